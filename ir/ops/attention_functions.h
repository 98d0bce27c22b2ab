// What flex_attention has beside attention: the functions of a pair, applied to the block of scores at hand, and dropout.
#pragma once
#include "ir/ops/attention_blocks.h"
#include "ir/ops/attention_pairs.h"
#include "ir/regions.h"

namespace tenon::attention {

class Functions {
public:
    Functions(Blocks& blocks, const FlexForm& form);

    bool has_score() const { return has_score_; }
    bool has_dropout() const { return form_.dropout > 0; }
    const FlexForm& form() const { return form_; }

    /// Once a head is known, and where memory of the iteration may stand.
    void begin(NodeId head);
    /// The body, if any query of the block may see any key at hand: a block that is hidden as a whole is left out.
    void where_any_is_seen(FunctionRef<void()> body);
    /// to = score(from) where the one may see the other, else −∞.
    void score(NodeId from, NodeId to);
    /// Of region 1 of a gradient: the cotangent of s, and of each read its element's and the place of it.
    std::vector<NodeId> joint(NodeId key, NodeId query, NodeId s, NodeId cotangent);
    /// What the pair's weight is multiplied by: 1 / (1 − dropout), or 0 with that probability. As `where(kept, x · by, 0)`.
    NodeId dropped(NodeId key, NodeId query, NodeId x);

private:
    std::vector<PairCode::Argument> arguments(NodeId key, NodeId query, std::optional<NodeId> s);
    NodeId apply(unsigned region, NodeId key, NodeId query, std::optional<NodeId> s);

    Blocks& b_;
    LoopWriter& w_;
    const FlexForm form_;
    bool has_score_ = true, has_mask_ = true;
    NodeId batch_, head_;  // b and h
    NodeId sees_, any_;    // scratch: may the query see the key; does a query see any
};

}  // namespace tenon::attention
