// Random numbers are pure: key and offset are inputs, an element's bits depend on its logical index alone
// (Philox4x32-10).
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
    const std::string_view kind = a.text("kind");
    if (kind != "uniform" && kind != "normal" && kind != "bits")
        i.fail("value", "random knows the kinds uniform, normal and bits, but got " + std::string(kind));
    const DType dtype = a.dtype("dtype");
    if ((kind == "bits") != (dtype == DType::i64))
        i.fail("dtype", "random makes floats, or bits as i64, but got " + std::string(kind) + " of " +
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

// clang-format off
const Row random_table[] = {
    {.name = "random", .doc = "uniform numbers in [0, 1), normal ones, or 63 random bits, from (key, offset, index)", .min_operands = 2,
     .max_operands = 2, .result = random_rule, .lowering = Lowering::library,
     .no_gradient = "random numbers depend on nothing differentiable", .batching = random_batching, .own_per_example = true},
};
// clang-format on

}  // namespace

std::span<const Row> random_rows() { return random_table; }

}  // namespace tenon
