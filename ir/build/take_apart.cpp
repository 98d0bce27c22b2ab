#include "ir/build/take_apart.h"

#include <fmt/format.h>

#include "ir/build/stacks.h"
#include "runtime/diagnostic.h"

namespace tenon {

GraphRef stacks_of_turns(Context& context, std::span<const TypeId> saved, int64_t turns, int64_t max_turns) {
    Builder builder(context);
    std::vector<std::vector<NodeId>> stacks(saved.size());
    for (int64_t t = 0; t < turns; ++t)
        for (size_t k = 0; k < saved.size(); ++k) stacks[k].push_back(builder.parameter(saved[k]));
    std::vector<NodeId> results{builder.literal(turns, DType::i64)};
    for (size_t k = 0; k < saved.size(); ++k) {
        for (NodeId& value : stacks[k]) value = emit_as_stack(builder, value);
        if (turns < max_turns || turns == 0) {
            Type rest = context[saved[k]];
            rest.sizes.insert(rest.sizes.begin(), SizeId(max_turns - turns));
            stacks[k].push_back(emit_filled(builder, int64_t{0}, rest));
        }
        results.push_back(emit_cat(builder, stacks[k]));
    }
    return builder.finish(results);
}

void throw_too_many_turns(int64_t max_turns) {
    throw_error("value", fmt::format("while_loop goes on after {} turns, which are its `max_turns:`", max_turns),
                "give a larger `max_turns:`: what backward reads is kept for as many turns");
}

}  // namespace tenon
