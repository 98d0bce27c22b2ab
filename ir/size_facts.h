// What holds of the sizes of one graph: no symbol is negative, and the graph's equalities (its guards) hold. What is
// said here is proved for every run of the graph; what cannot be proved is denied.
#pragma once
#include <optional>
#include <span>
#include <vector>

#include "ir/context.h"

namespace tenon {

class SizeFacts {
public:
    SizeFacts(Context& context, std::span<const SizeEquality> equalities);

    Context& context() const { return *context_; }
    // The size, with the largest products that the equalities name written by the others: sizes that they make equal
    // are one id then, for all but contrived equalities.
    SizeId normal(SizeId) const;
    bool equal(SizeId a, SizeId b) const;
    bool nonnegative(SizeId) const;

    SizeId add(SizeId a, SizeId b) const { return normal(context_->add(a, b)); }
    SizeId sub(SizeId a, SizeId b) const { return normal(context_->sub(a, b)); }
    SizeId mul(SizeId a, SizeId b) const { return normal(context_->mul(a, b)); }
    SizeId product(std::span<const SizeId>) const;

private:
    struct Rule {  // the product of these atoms is that size, in whose terms all products are smaller
        SizeList product;
        SizeId size;
    };
    bool is_nonnegative_atom(SizeId) const;
    bool nonnegative(SizeId, int bounds) const;
    std::optional<SizeId> bounded(const SizeTerm& negative, int64_t& scale) const;

    Context* context_;
    std::vector<Rule> rules_;
    std::vector<SizeId> noughts_;  // what the equalities say is 0, as it stands in them
};

// Equalities solved for symbols: symbol k of the graph is sizes[k], written by those symbols that stay free; what no
// symbol can be taken out of is left. `sizes` says what the symbols are to begin with.
struct SolvedSizes {
    std::vector<SizeId> sizes;
    std::vector<SizeEquality> left;
};
SolvedSizes solve(Context&, std::vector<SizeId> sizes, std::span<const SizeEquality>);

SizeId product(Context&, std::span<const SizeId>);

}  // namespace tenon
