// What rows with regions say of their operands, parameters and results (ir/ops/region.cpp).
#pragma once
#include <span>

#include "ir/context.h"

namespace tenon {

// scan: `turns` times its region, one after the other.
//
//   operands     what the first turn carries | what each turn gets a slice of | what every turn gets as it is
//   parameters   the same, of the middle ones slice t: dimension 0 is gone
//   results      what the next turn carries | what is stacked: dimension 0 is the turn
//   values       what the last turn carried | the stacks
//
// In `reverse` turn `turns − 1` is the first; slices and stacks lie where they would lie otherwise.
struct ScanForm {
    ScanForm(const Attributes& attributes)
        : turns(attributes.size("turns")), carried(size_t(attributes.integer("carried"))),
          sliced(size_t(attributes.integer("sliced"))), reverse(attributes.flag("reverse")) {}
    ScanForm(SizeId turns, size_t carried, size_t sliced, bool reverse)
        : turns(turns), carried(carried), sliced(sliced), reverse(reverse) {}
    // `cotangents`: the operands of a derivative that are such. Any of them may be absent, as if it were −0.0; where all
    // are, so are the values (ir/passes/drop_cotangents.h).
    AttrId attr(Context& context, std::span<const size_t> cotangents = {}) const {
        Record record{{context.name("turns"), AttrValue(turns)},
                      {context.name("carried"), AttrValue(int64_t(carried))},
                      {context.name("sliced"), AttrValue(int64_t(sliced))}};
        if (reverse) record.push_back({context.name("reverse"), AttrValue(true)});
        if (!cotangents.empty()) {
            AttrList list;
            for (size_t k : cotangents) list.push_back(AttrValue(int64_t(k)));
            record.push_back({context.name("cotangents"), AttrValue(std::move(list))});
        }
        return context.attr(record);
    }

    SizeId turns;
    size_t carried, sliced;
    bool reverse;
};

}  // namespace tenon
