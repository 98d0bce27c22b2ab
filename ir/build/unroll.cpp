#include "ir/build/unroll.h"

#include <algorithm>
#include <cassert>

#include "ir/build/copier.h"
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
            const bool is_sliced = k >= form_.carried && k < form_.carried + form_.sliced;
            copy.map(region_.params()[k], is_sliced ? slice(operands[k], t) : operands[k]);
        }
        copy.copy_body();
        for (size_t k = 0; k < region_.results().size(); ++k) {
            const NodeId result = copy(region_.results()[k]);
            if (k < form_.carried) operands[k] = result;
            else stacks[k - form_.carried].push_back(result);
        }
    }
    NodeId slice(NodeId stack, int64_t t) {
        const std::vector<SizeId> sizes = builder_.type(stack).sizes;
        AttrList starts{AttrValue(t)}, stops{AttrValue(t + 1)}, steps{AttrValue(int64_t{1})},
            one{AttrValue(int64_t{1})};
        for (size_t d = 1; d < sizes.size(); ++d) {
            starts.push_back(AttrValue(int64_t{0}));
            stops.push_back(AttrValue(sizes[d]));
            steps.push_back(AttrValue(int64_t{1}));
            one.push_back(AttrValue(sizes[d]));
        }
        const std::array<NodeId, 1> from{stack};
        return reshape(
            builder_.emit(op<"slice">(), from, attr({{"starts", starts}, {"stops", stops}, {"steps", steps}})),
            {sizes.begin() + 1, sizes.end()});
    }
    NodeId stacked(std::vector<NodeId>& values, NodeId like) {
        std::vector<SizeId> sizes = region_.type(like).sizes;
        sizes.insert(sizes.begin(), SizeId(int64_t(values.empty() ? 0 : 1)));
        if (values.empty()) {
            const std::array<NodeId, 1> zero{builder_.literal(int64_t{0}, region_.type(like).dtype)};
            return builder_.emit(op<"full">(), zero, attr({{"sizes", list(sizes)}}));
        }
        for (NodeId& value : values) value = reshape(value, sizes);
        if (values.size() == 1) return values[0];
        return builder_.emit(op<"cat">(), values, attr({{"axis", int64_t{0}}}));
    }
    NodeId reshape(NodeId value, const std::vector<SizeId>& sizes) {
        const std::array<NodeId, 1> from{value};
        return builder_.emit(op<"reshape">(), from, attr({{"sizes", list(sizes)}}));
    }
    static AttrList list(const std::vector<SizeId>& sizes) { return AttrList(sizes.begin(), sizes.end()); }
    AttrId attr(std::initializer_list<std::pair<std::string_view, AttrValue>> entries) const {
        Record record;
        for (const auto& [key, value] : entries) record.push_back({context_.name(key), value});
        return context_.attr(record);
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
