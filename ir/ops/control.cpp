// Structure: inputs, literals, results, tuples, calls, and the two nodes that own regions after fusion and scheduling.
#include "ir/differentiate/batching.h"
#include "ir/differentiate/gradient.h"
#include "ir/ops/tables.h"

namespace tenon {

namespace {

TypeId tuple_rule(Infer& i) { return i.context.tuple(i.operands); }

TypeId get_rule(Infer& i) {
    const Type& t = i.type(0);
    const int64_t index = i.attributes().integer("index");
    if (t.kind != Type::Kind::tuple) i.fail("type", "get takes a tuple, but its operand is " + i.show(i.operands[0]));
    if (index < 0 || size_t(index) >= t.elements.size())
        i.fail("index",
               "get of element " + std::to_string(index) + " of a tuple of " + std::to_string(t.elements.size()));
    return t.elements[size_t(index)];
}

TypeId region_results(Infer& i) {
    return i.region_results.size() == 1 ? i.region_results[0] : i.context.tuple(i.region_results);
}

void tuple_gradient(Gradient& d) {
    for (size_t k = 0; k < d.result_count(); ++k)
        if (d.has_cotangent(k)) d.x(k) += d.cotangent(k);
}
void get_gradient(Gradient& d) { d.element_of(0, size_t(d.attributes().integer("index"))) += d.g; }

NodeId tuple_batching(Batching& b) {
    std::vector<NodeId> elements;
    for (size_t k = 0; k < b.operand_count(); ++k) elements.push_back(b.whole(k));
    return b.again(elements, b.attr());
}
NodeId get_batching(Batching& b) { return b.again({b.operand(0)}, b.attr()); }

constexpr Row structure(Row r) {
    r.level = Level::any;
    r.lowering = Lowering::structure;
    return r;
}
constexpr Row variadic(Row r) {  // any number of operands
    r.max_operands = -1;
    return structure(r);
}

// clang-format off
const Row control_table[] = {
    structure({.name = "param", .doc = "an input of a region", .no_gradient = "it is where differentiation ends",
               .no_batching = "which inputs are batched is asked for"}),
    structure({.name = "constant", .doc = "a literal, outside the body", .no_gradient = "a number has no gradient",
               .no_batching = "it is one number for all examples"}),
    structure({.name = "tensor", .doc = "a captured tensor, outside the body", .no_gradient = "it does not change",
               .no_batching = "it is one value for all examples"}),
    variadic({.name = "yield", .doc = "the results of a region", .no_gradient = "it is no value", .no_batching = "it is no value"}),
    variadic({.name = "tuple", .doc = "several values as one", .result = tuple_rule, .gradient = tuple_gradient, .batching = tuple_batching}),
    structure({.name = "get", .doc = "one value of a tuple: of what its maker gives several of", .min_operands = 1, .max_operands = 1, .result = get_rule,
               .gradient = get_gradient, .batching = get_batching}),
    variadic({.name = "call", .doc = "a function's body at its call: a composite, a layer or a checkpoint", .result = region_results,
              .no_gradient = "calls are inlined before differentiation", .no_batching = "calls are inlined before batching"}),
    variadic({.name = "fusion", .doc = "tensor ops that become one kernel", .result = region_results,
              .no_gradient = "graphs are differentiated before they are fused", .no_batching = "graphs are batched before they are fused"}),
};
// clang-format on

}  // namespace

std::span<const Row> control_rows() { return control_table; }

}  // namespace tenon
