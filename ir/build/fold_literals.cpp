#include "ir/build/fold_literals.h"

#include <algorithm>
#include <cmath>

#include "ir/row.h"
#include "ir/scalar/program.h"

namespace tenon {

namespace {

// As a scalar definition takes it: f16 and bf16 as f32, bool as 0 or 1.
uint64_t bits_of(const Builder& builder, NodeId literal) {
    const auto& value = builder.attributes(literal).find("value")->value;
    const DType dtype = builder.type(literal).dtype;
    return visit_dtype(dtype, [&]<class T>() {
        const T element = std::visit(
            []<class V>(const V& v) -> T {
                if constexpr (std::is_arithmetic_v<V>) return convert<T>(v);
                else return {};
            },
            value);
        uint64_t bits = 0;
        if constexpr (sizeof(T) == 2 && requires { element.bits; }) {
            const float wide = float(element);
            __builtin_memcpy(&bits, &wide, sizeof wide);
        } else {
            __builtin_memcpy(&bits, &element, sizeof element);
        }
        return bits;
    });
}

NodeId literal_of(Builder& builder, DType dtype, uint64_t bits) {
    return visit_dtype(dtype, [&]<class T>() -> NodeId {
        if constexpr (std::is_same_v<T, bool>) {
            return builder.literal(bits != 0, DType::boolean);
        } else if constexpr (std::is_integral_v<T>) {
            T element;
            __builtin_memcpy(&element, &bits, sizeof element);
            return builder.literal(int64_t(element), dtype);
        } else {
            using Held = std::conditional_t<sizeof(T) == 2, float, T>;
            Held held;
            __builtin_memcpy(&held, &bits, sizeof held);
            return std::isnan(held) ? NodeId::none() : builder.literal(double(T(held)), dtype);
        }
    });
}

bool is_plain(const Builder& builder, NodeId id) {
    return builder.is_literal(id) && builder.type(id).kind == Type::Kind::tensor;
}

}  // namespace

NodeId fold_literals(Builder& builder, Op op, TypeId type, std::span<const NodeId> operands) {
    const Row& r = row(op);
    if (r.lowering != Lowering::scalar || operands.empty()) return {};
    if (!std::all_of(operands.begin(), operands.end(), [&](NodeId id) { return is_plain(builder, id); })) return {};
    const DType from = builder.type(operands.back()).dtype, cast_to = builder.context()[type].dtype;
    const bool is_cast = r.converts;
    const auto program = is_cast ? scalar::cast_program(from, cast_to) : scalar::program_of(r.name, from);
    if (!program) return {};
    const DType to = is_cast ? cast_to : program->lane() == scalar::Lane::mask ? DType::boolean : from;
    std::vector<uint64_t> values;
    for (NodeId operand : operands) values.push_back(bits_of(builder, operand));
    if (const auto fault = scalar::fault_of(r.name, from); fault && scalar::evaluate(*fault, values)) return {};
    return literal_of(builder, to, scalar::evaluate(*program, values));
}

}  // namespace tenon
