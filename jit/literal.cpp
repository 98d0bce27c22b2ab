#include "jit/literal.h"

#include <bit>
#include <cmath>
#include <cstring>

#include <fmt/format.h>

#include "ir/scalar/program.h"
#include "runtime/diagnostic.h"

namespace tenon {

Literal literal_of(const Graph& graph, NodeId constant) {
    const auto& value = graph.attributes(constant).find("value")->value;
    if (const auto* truth = std::get_if<bool>(&value)) return {double(*truth), *truth};
    if (const auto* integer = std::get_if<int64_t>(&value)) return {double(*integer), *integer};
    return {std::get<double>(value), 0};
}

Scalar scalar_of(const Graph& graph, NodeId constant) {
    const auto& value = graph.attributes(constant).find("value")->value;
    if (const auto* truth = std::get_if<bool>(&value)) return *truth;
    if (const auto* integer = std::get_if<int64_t>(&value)) return *integer;
    return std::get<double>(value);
}

uint64_t element_bits(const Graph& graph, NodeId constant) {
    uint64_t bits = 0;
    visit_dtype(graph.type(constant).dtype, [&]<class T>() {
        const T element = std::visit([](auto x) { return convert<T>(x); }, scalar_of(graph, constant));
        std::memcpy(&bits, &element, sizeof element);
    });
    return bits;
}

bool begins_below_zero(const Literal& start, DType dtype) {
    return is_float(dtype) && start.real == 0 && std::signbit(start.real);
}

Literal fold_identity(std::string_view op, DType dtype) {
    const std::optional<uint64_t> bits = scalar::identity_of(op, dtype);
    if (!bits) throw_error("internal", fmt::format("no fold by {}", op));
    switch (scalar::lane_of(dtype)) {
        case scalar::Lane::f64: return {std::bit_cast<double>(*bits), 0};
        case scalar::Lane::f32: return {double(std::bit_cast<float>(uint32_t(*bits))), 0};
        default: break;
    }
    const int unused = 64 - 8 * int(size_of(dtype));
    const auto value = int64_t(*bits << unused);
    return {0, is_signed(dtype) ? value >> unused : int64_t(uint64_t(value) >> unused)};
}

}  // namespace tenon
