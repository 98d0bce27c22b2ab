// What a builder knows of the symbolic sizes of its graph: the hint of each symbol, and which sizes are equal.
#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "ir/build/skeleton_hash.h"
#include "ir/context.h"
#include "ir/size_facts.h"

namespace tenon {

class KnownSizes {
public:
    explicit KnownSizes(Context& context) : context_(&context) {}

    // Sizes whose hints are equal where they must be are so by a guard, which is an equality of the graph from then on.
    void assume_hints(bool on) { assume_hints_ = on; }
    // A computed size whose hint is 0 or 1 is decided, as one of an input is: a guard says that it is the constant.
    void decide_small(bool on) { decide_small_ = on; }

    void add_symbol(int64_t hint);
    // An equality of the graph is what makes sizes equal that are not the same polynomial.
    void add(std::span<const SizeEquality>);

    std::span<const int64_t> hints() const { return hints_; }  // by symbol
    const std::vector<SizeEquality>& equalities() const { return equalities_; }
    bool equal(SizeId a, SizeId b) const;  // the same, or by a guard between symbols

    // Of the result rule of a node that is emitted. A guard is a fact of the skeleton, and mixed into its hash.
    bool must_be_equal(SizeId a, SizeId b, SkeletonHash& hash);
    TypeId decided(TypeId, SkeletonHash& hash);  // the type with its small sizes decided, where that is on

    void clear();  // forgets all but what is on

private:
    void guard(SizeId a, SizeId b, SkeletonHash& hash);
    uint32_t first_equal(uint32_t symbol) const;

    Context* context_;
    bool assume_hints_ = false, decide_small_ = false;
    std::vector<int64_t> hints_;
    std::vector<SizeEquality> equalities_;
    std::optional<SizeFacts> facts_;              // of the equalities; made when asked for
    mutable std::vector<uint32_t> equal_symbol_;  // for each symbol one that it is equal to by a guard, or itself
};

}  // namespace tenon
