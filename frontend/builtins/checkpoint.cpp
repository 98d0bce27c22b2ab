// Checkpoints: the block, and the names that their policies know values by. What a policy may answer is constants.
#include "frontend/builtins/tensor.h"
#include "frontend/methods/tables.h"
#include "frontend/record/checkpoint_policy.h"

namespace tenon {

namespace {

Value checkpoint_name(Evaluator& e, Arguments& a) {  // x, name
    TensorCall c(e, a);
    const std::string& name = a.text(1, "the name of a value");
    c.d.policies().name_value(*c.tensor(0), name);
    return a[0];
}

const Builtin checkpoint_table[] = {
    {"checkpoint", "*arguments; policy?", any_kind, nullptr, scope_block,
     "`checkpoint { … }`: what is computed inside is computed again in backward, not kept; also `@checkpoint`, "
     "checkpoint(f, x). policy: fn(op, name) says for each value whether it is: must_save, prefer_save, "
     "prefer_recompute or must_recompute; save_matmuls and save_names([…]) are such policies"},
    {"checkpoint_name", "x, name", tensors, checkpoint_name, 0,
     "x, which the policies of the checkpoints that compute it know by this name"},
};

}  // namespace

std::span<const Builtin> checkpoint_builtins() { return checkpoint_table; }

}  // namespace tenon
