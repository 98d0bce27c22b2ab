// The table of all rows, and what the result rules of several families share.
#include "ir/ops/tables.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <unordered_map>

#include "ir/text/text.h"

namespace tenon {

namespace {
std::vector<Row> collect() {
    std::vector<Row> rows;
    for (std::span<const Row> family :
         {control_rows(), elementwise_rows(), movement_rows(), reduce_rows(), contract_rows(), convolution_rows(),
          attention_rows(), flex_attention_rows(), index_rows(), random_rows(), region_rows(), own_gradient_rows(),
          effect_rows(), loop_rows()})
        rows.insert(rows.end(), family.begin(), family.end());
    return rows;
}
const std::vector<Row>& table() {
    static const std::vector<Row> rows = collect();
    return rows;
}
}  // namespace

std::span<const Row> all_rows() { return table(); }

Op find_op(std::string_view name) {
    static const std::unordered_map<std::string_view, Op> by_name = [] {
        std::unordered_map<std::string_view, Op> map;
        for (size_t i = 0; i < table().size(); ++i) map.emplace(table()[i].name, Op{uint16_t(i)});
        return map;
    }();
    const auto it = by_name.find(name);
    return it == by_name.end() ? Op{} : it->second;
}

Op require_op(std::string_view name) {
    const Op found = find_op(name);
    if (!found) {
        std::fprintf(stderr, "internal error: no op row is named '%.*s'\n", int(name.size()), name.data());
        std::abort();
    }
    return found;
}

std::string_view describe(DTypes set) {
    switch (set) {
        case DTypes::floats: return "a float dtype";
        case DTypes::wide_floats: return "f32 or f64";
        case DTypes::integers: return "an integer dtype";
        case DTypes::boolean: return "bool";
        case DTypes::counts: return "i64";
        case DTypes::numeric: return "a number dtype";
        case DTypes::integral: return "an integer dtype or bool";
        case DTypes::all: return "any dtype";
    }
    return "another dtype";
}

std::string Infer::show(SizeId size) const {
    if (const auto c = context.as_constant(size)) return std::to_string(*c);
    if (!hints.empty()) return std::to_string(context.evaluate(size, hints));
    return context.to_string(size, {});
}

std::string Infer::show(TypeId id) const {
    const Type& t = context[id];
    if (!t.is_tensor()) return print_type(context, id, {});
    std::string out(name_of(t.dtype));
    out += '[';
    for (size_t d = 0; d < t.sizes.size(); ++d) out += (d ? ", " : "") + show(t.sizes[d]);
    return out + "]";
}

void Infer::fail(std::string_view kind, std::string message, std::string help) const {
    Diagnostic diagnostic;
    diagnostic.kind = kind;
    diagnostic.message = std::move(message);
    diagnostic.help = std::move(help);
    throw Error(std::move(diagnostic));
}

TypeId same_as_first(Infer& i) { return i.operands[0]; }

void require_tensor(Infer& i, size_t operand) {
    if (!i.type(operand).is_tensor())
        i.fail("type", std::string(i.op) + " takes tensors, but operand " + std::to_string(operand) + " is " +
                           i.show(i.operands[operand]));
}

bool same_sizes(const Infer& i, std::span<const SizeId> a, std::span<const SizeId> b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [&](SizeId x, SizeId y) { return i.equal(x, y); });
}

int64_t normalised_axis(Infer& i, int64_t axis, size_t rank) {
    const int64_t r = int64_t(rank);
    if (axis < -r || axis >= r)
        i.fail("index",
               std::string(i.op) + " of a tensor of rank " + std::to_string(rank) + " has no dimension " +
                   std::to_string(axis),
               r == 0 ? "a 0-dim tensor has no dimensions to name"
                      : "dimensions go from " + std::to_string(-r) + " to " + std::to_string(r - 1));
    return axis < 0 ? axis + r : axis;
}

SizeId broadcast_size(Infer& i, SizeId a, SizeId b, size_t from_right) {
    if (a == b) return a;
    if (a == SizeId(1)) return b;
    if (b == SizeId(1)) return a;
    if (!i.equal(a, b))
        i.fail("shape",
               std::string(i.op) + " needs shapes that broadcast, but dimension -" + std::to_string(from_right) +
                   " is " + i.show(a) + " and " + i.show(b),
               "sizes match from the right: each pair is equal, or one of them is 1");
    return i.context.as_constant(b) ? b : a;
}

}  // namespace tenon
