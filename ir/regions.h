// What rows with regions say of their operands, parameters and results (ir/ops/region.cpp).
#pragma once
#include <span>
#include <vector>

#include "ir/context.h"

namespace tenon {

// The attribute `cotangents`: the operands of a derivative's scan or while_loop that are such. Any of them may be absent,
// as if it were −0.0; where all are, so are the values (ir/passes/drop_cotangents.h).
inline void add_cotangents(Record& record, Context& context, std::span<const size_t> operands) {
    if (operands.empty()) return;
    AttrList list;
    for (size_t k : operands) list.push_back(AttrValue(int64_t(k)));
    record.push_back({context.name("cotangents"), AttrValue(std::move(list))});
}

// scan: `turns` times its region, one after the other.
//
//   operands     what the first turn carries | what each turn gets a slice of | what every turn gets as it is
//   parameters   the same, of the middle ones slice t: dimension 0 is gone
//   results      what the next turn carries | what is stacked: dimension 0 is the turn
//   values       what the last turn carried | the stacks
//
// In `reverse` turn `turns − 1` is the first; slices and stacks lie where they would lie otherwise.
//
// In a derivative some of the sliced operands are `saved`: what another scan has computed in its turns, stacked by all of
// them. The turns here are those of its turns from a place on, which is given for each. Its values have one cotangent
// each, as they have written out: where no turn adds to it, it is −0.0, and it does not begin at +0.0 as those of slices.
struct ScanForm {
    struct Saved {
        size_t operand;
        SizeId first;  // the place of the first slice
        bool operator==(const Saved&) const = default;
    };

    ScanForm(const Attributes& attributes)
        : turns(attributes.size("turns")), carried(size_t(attributes.integer("carried"))),
          sliced(size_t(attributes.integer("sliced"))), reverse(attributes.flag("reverse")) {
        if (!attributes.has("saved")) return;
        const SizeList places = attributes.sizes("places");
        for (int64_t operand : attributes.integers("saved")) saved.push_back({size_t(operand), places[saved.size()]});
    }
    ScanForm(SizeId turns, size_t carried, size_t sliced, bool reverse)
        : turns(turns), carried(carried), sliced(sliced), reverse(reverse) {}
    AttrId attr(Context& context, std::span<const size_t> cotangents = {}) const {
        Record record{{context.name("turns"), AttrValue(turns)},
                      {context.name("carried"), AttrValue(int64_t(carried))},
                      {context.name("sliced"), AttrValue(int64_t(sliced))}};
        if (reverse) record.push_back({context.name("reverse"), AttrValue(true)});
        add_cotangents(record, context, cotangents);
        if (!saved.empty()) {
            AttrList operands, places;
            for (const Saved& s : saved) {
                operands.push_back(AttrValue(int64_t(s.operand)));
                places.push_back(AttrValue(s.first));
            }
            record.push_back({context.name("saved"), AttrValue(std::move(operands))});
            record.push_back({context.name("places"), AttrValue(std::move(places))});
        }
        return context.attr(record);
    }
    bool is_sliced(size_t operand) const { return operand >= carried && operand < carried + sliced; }
    const Saved* saved_at(size_t operand) const {
        for (const Saved& s : saved)
            if (s.operand == operand) return &s;
        return nullptr;
    }
    SizeId first_of(size_t operand) const {  // the place of the first slice
        const Saved* const s = saved_at(operand);
        return s ? s->first : SizeId(0);
    }

    SizeId turns;
    size_t carried, sliced;
    bool reverse;
    std::vector<Saved> saved;
};

// cond: its first region where the condition is true, else its second.
//
//   operands     one bool | what both regions get
//   parameters   the latter
//   results      as many of both regions, of the same types: the values

// while_loop: its second region, turn by turn, as long as the first gives true.
//
//   operands     what the first turn carries | what every turn gets as it is
//   parameters   the same, of both regions
//   results      one bool; what the next turn carries | what is stacked
//   values       what the last turn carried | with `max_turns`: how many turns there were, and the stacks: dimension 0,
//                of size max_turns, is the turn, and zeros lie where there was none
//
// More than `max_turns` turns are an error of the run. Without it there is no stack.
struct LoopForm {
    LoopForm(const Attributes& attributes)
        : carried(size_t(attributes.integer("carried"))), max_turns(attributes.integer_or("max_turns", -1)) {}
    explicit LoopForm(size_t carried, int64_t max_turns = -1) : carried(carried), max_turns(max_turns) {}
    AttrId attr(Context& context, std::span<const size_t> cotangents = {}) const {
        Record record{{context.name("carried"), AttrValue(int64_t(carried))}};
        if (is_bounded()) record.push_back({context.name("max_turns"), AttrValue(max_turns)});
        add_cotangents(record, context, cotangents);
        return context.attr(record);
    }
    bool is_bounded() const { return max_turns >= 0; }
    size_t first_stack() const { return carried + 1; }  // among the values of one that is bounded

    size_t carried;
    int64_t max_turns;  // −1: any number
};

// flex_attention: attention whose scores and mask are functions of a pair of a query and a key. No executor runs these
// regions: they are part of the kernel (ir/ops/attention_pairs.h).
//
//   operands     q, k, v: [batch, heads, …, …] | key and offset of random numbers, with `dropout` | what both regions get
//   region 0     the score of the pair: of s, b, h, i, j | what is captured; s and its result have q's dtype, b to j are i64[]
//   region 1     may query i see key j: of b, h, i, j | what is captured; its result is bool[]
//
// flex_attention_gradient: what it brings to q, k, v, and of what region 0 has read.
//
//   operands     q, k, v, sums, inner, cotangent | key and offset | what all regions get
//   region 0     the score
//   region 1     of s, b, h, i, j | what is captured | the score's cotangent: that of s; of each read its element's cotangent,
//                and where that lies in its tensor, row-major
//   region 2     the mask
struct FlexForm {
    FlexForm(const Attributes& attributes, bool is_gradient)
        : causal(attributes.flag("causal")), dropout(attributes.has("dropout") ? attributes.real("dropout") : 0),
          is_gradient(is_gradient) {
        if (!attributes.has("reads")) return;
        examples = attributes.size("examples");
        for (SizeId count : attributes.sizes("elements")) elements.push_back(count);
        for (int64_t of : attributes.integers("reads")) reads.push_back(size_t(of));
    }
    explicit FlexForm(bool causal, double dropout = 0) : causal(causal), dropout(dropout) {}
    AttrId attr(Context& context) const {
        Record record{{context.name("causal"), AttrValue(causal)}};
        if (dropout > 0) record.push_back({context.name("dropout"), AttrValue(dropout)});
        if (reads.empty()) return context.attr(record);
        AttrList of;
        for (size_t read : reads) of.push_back(AttrValue(int64_t(read)));
        record.push_back({context.name("examples"), AttrValue(examples)});
        record.push_back({context.name("elements"), AttrValue(AttrList(elements.begin(), elements.end()))});
        record.push_back({context.name("reads"), AttrValue(std::move(of))});
        return context.attr(record);
    }
    size_t first_random() const { return is_gradient ? 6 : 3; }
    size_t first_captured() const { return first_random() + (dropout > 0 ? 2 : 0); }
    unsigned score_region() const { return 0; }
    unsigned mask_region() const { return is_gradient ? 2 : 1; }

    // What the reads of a tensor bring is summed up by groups of heads: of those of an example whose number has the same
    // remainder. Each group takes its heads, and each head its blocks of queries and keys, in ascending order.
    static constexpr int64_t groups = 8;

    bool causal = false;
    double dropout = 0;
    bool is_gradient = false;
    SizeId examples{1};            // of a gradient with reads: the batch is so many examples (vmap)
    std::vector<SizeId> elements;  // of each tensor that is read, of one example
    std::vector<size_t> reads;     // which of these a read is of
};

// with_gradient: its first operand, whose gradient is not that of what computes it. No executor runs its region: it stands in
// derivatives, over what is captured.
//
//   operands     the value | what gets gradients: `count` of them | what the region gets
//   parameters   the value's cotangent | the latter
//   results      a gradient each
struct OwnGradientForm {
    explicit OwnGradientForm(const Attributes& attributes) : count(size_t(attributes.integer("count"))) {}
    explicit OwnGradientForm(size_t count) : count(count) {}
    AttrId attr(Context& context) const { return context.attr({{context.name("count"), AttrValue(int64_t(count))}}); }
    size_t first_captured() const { return 1 + count; }

    size_t count;
};

}  // namespace tenon
