#include "ir/build/unroll.h"

#include <algorithm>
#include <cassert>

#include "ir/build/copier.h"
#include "ir/build/stacks.h"
#include "ir/row.h"

namespace tenon {

namespace {

class Unroller {
public:
    Unroller(const Graph& region, const ScanForm& form)
        : region_(region), form_(form), context_(*region.context), builder_(context_) {}

    GraphRef run(std::span<const TypeId> types) {
        std::vector<NodeId> operands;
        for (TypeId type : types) operands.push_back(builder_.parameter(type));
        assert(context_.as_constant(form_.turns));
        const int64_t turns = *context_.as_constant(form_.turns);
        std::vector<std::vector<NodeId>> stacks(region_.results().size() - form_.carried);
        for (int64_t i = 0; i < turns; ++i) turn(operands, form_.reverse ? turns - 1 - i : i, stacks);
        operands.resize(form_.carried);
        for (size_t k = 0; k < stacks.size(); ++k) {
            if (form_.reverse) std::reverse(stacks[k].begin(), stacks[k].end());
            operands.push_back(stacked(stacks[k], region_.results()[form_.carried + k]));
        }
        return builder_.finish(operands, region_.name);
    }

private:
    void turn(std::vector<NodeId>& operands, int64_t t, std::vector<std::vector<NodeId>>& stacks) {
        Copier copy(region_, builder_);
        for (size_t k = 0; k < operands.size(); ++k) {
            const auto slice = [&] {
                return emit_slice_of(builder_, operands[k], context_.add(form_.first_of(k), SizeId(t)));
            };
            copy.map(region_.params()[k], form_.is_sliced(k) ? slice() : operands[k]);
        }
        copy.copy_body();
        for (size_t k = 0; k < region_.results().size(); ++k) {
            const NodeId result = copy(region_.results()[k]);
            if (k < form_.carried) operands[k] = result;
            else stacks[k - form_.carried].push_back(result);
        }
    }
    NodeId stacked(std::vector<NodeId>& values, NodeId like) {
        if (values.empty()) {
            Type none = region_.type(like);
            none.sizes.insert(none.sizes.begin(), SizeId(0));
            return emit_filled(builder_, int64_t{0}, none);
        }
        for (NodeId& value : values) value = emit_as_stack(builder_, value);
        return emit_cat(builder_, values);
    }

    const Graph& region_;
    const ScanForm& form_;
    Context& context_;
    Builder builder_;
};

}  // namespace

GraphRef unroll(const Graph& region, const ScanForm& form, std::span<const TypeId> operands) {
    return Unroller(region, form).run(operands);
}

}  // namespace tenon
