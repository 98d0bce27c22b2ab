// Structure: inputs, literals, results, tuples, calls, and the two nodes that own regions after fusion and scheduling.
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

constexpr Row structure(std::string_view name, std::string_view doc, int low, int high, ResultRule result,
                        std::string_view why_none) {
    return {name,        doc,    Level::any, Effect::none, int8_t(low),         int8_t(high),
            DTypes::all, result, nullptr,    why_none,     Lowering::structure, nullptr,
            {},          0,      false};
}

// clang-format off
const Row rows[] = {
    structure("param", "an input of a region", 0, 0, nullptr, "it is where differentiation ends"),
    structure("constant", "a literal, outside the body", 0, 0, nullptr, "a number has no gradient"),
    structure("tensor", "a captured tensor, outside the body", 0, 0, nullptr, "it does not change"),
    structure("yield", "the results of a region", 0, -1, nullptr, "it is no value"),
    structure("tuple", "several values as one", 0, -1, tuple_rule, "reverse goes through its elements"),
    structure("get", "one value of a tuple", 1, 1, get_rule, "reverse goes through the tuple's maker"),
    structure("call", "a function's body at its call: a composite, a layer or a checkpoint", 0, -1, region_results,
              "calls are inlined before differentiation"),
    structure("fusion", "tensor ops that become one kernel", 0, -1, region_results, "graphs are differentiated before they are fused"),
};
// clang-format on

}  // namespace

std::span<const Row> control_rows() { return rows; }

}  // namespace tenon
