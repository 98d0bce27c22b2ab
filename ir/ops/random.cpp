// Random numbers are pure: key and offset are inputs, an element's bits depend on its logical index alone
// (Philox4x32-10, ir/scalar/philox.h).
#include "ir/differentiate/batching.h"
#include "ir/ops/tables.h"

namespace tenon {

namespace {

TypeId random_rule(Infer& i) {
    for (size_t k = 0; k < 2; ++k)
        if (i.type(k).rank() != 0 || i.type(k).dtype != DType::i64)
            i.fail("type", "random needs a 0-dim i64 key and offset, but operand " + std::to_string(k) + " is " +
                               i.show(i.operands[k]));
    const Attributes a = i.attributes();
    const DType dtype = a.dtype("dtype");
    if (!is_float(dtype) && (row(i.row).source == Source::none || dtype != DType::i64))
        i.fail("dtype", std::string(i.op) + " makes floats" +
                            (row(i.row).source == Source::none ? "" : ", or bits as i64") + ", not " +
                            std::string(name_of(dtype)));
    return i.context.tensor(dtype, a.sizes("sizes"));
}

// The numbers that one draw for the whole batch gives: the element's index in it goes over all examples.
NodeId random_batching(Batching& b) {
    if (b.batched(0) || b.batched(1))
        b.fail("the key and the offset are one for all examples",
               "each example has numbers of its own from them; or draw them outside of the function");
    return b.again({b.operand(0), b.operand(1)}, b.with("sizes", b.batch_of(b.attributes().sizes("sizes"))));
}

constexpr Row random(Row r) {
    r.min_operands = r.max_operands = 2;
    r.result = random_rule;
    r.no_gradient = "random numbers depend on nothing differentiable";
    r.batching = random_batching;
    r.own_per_example = true;
    return r;
}

// clang-format off
const Row random_table[] = {
    random({.name = "random", .doc = "uniform numbers in [0, 1), or 63 random bits as i64, from (key, offset, index)",
            .lowering = Lowering::loops, .source = Source::drawn, .cost = 48}),
    random({.name = "random_normal", .doc = "normal numbers from (key, offset, index)", .lowering = Lowering::library}),
};
// clang-format on

}  // namespace

std::span<const Row> random_rows() { return random_table; }

}  // namespace tenon
