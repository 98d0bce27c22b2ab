// Writes the expressions of a kernel's nests as loops: each expression into the loop that it depends on, invariant ones
// before it.
#pragma once
#include <functional>
#include <vector>

#include "ir/build/copier.h"
#include "ir/marks.h"
#include "ir/schedule/nest.h"

namespace tenon {

class KernelWriter {
public:
    // `params`: the open region's buffers.
    KernelWriter(Builder& builder, Copier& copier, const Expressions& expressions, std::vector<NodeId> params)
        : builder_(builder), context_(builder.context()), copier_(copier), expressions_(expressions),
          params_(std::move(params)), emitted_(expressions.size()) {}

    // Scratch: the buffer in which an inner expression is kept for the inner loops after the one that computes it, at
    // the position given. A buffer of the kernel, of the expression's dtype; or of each iteration of the nest's loops,
    // of so many elements.
    struct Scratch {
        ExpressionId value = 0, position = 0;
        uint32_t buffer = 0;
        int64_t elements = 0;
    };
    struct PlannedNest {
        const Nest* nest = nullptr;
        std::vector<NestLoop> loops;
        NestExpressions expressions;
        std::vector<Scratch> scratch;
        size_t crossing =
            0;  // so many nests after it fold chunks of the positions of its only loop: they share a loop over chunks
    };
    void write(const std::vector<PlannedNest>&);

private:
    NodeId emit(ExpressionId);
    NodeId there(ExpressionId);
    const Scratch* scratch_of(ExpressionId) const;
    NodeId memory_of(const Scratch&);
    void keep(const Scratch&);
    NodeId emit_node(const Expression&, std::span<const NodeId> operands);
    NodeId emit_fold(const Expression&, NodeId low, NodeId high);
    void emit_level(const PlannedNest&, size_t depth);  // what depends on the loop at `depth`, folds among it
    void write_top(const PlannedNest&);
    void write_loops(const PlannedNest&, size_t level);
    void write_nest(const PlannedNest&);
    void write_crossed(std::span<const PlannedNest>);
    void begin(const PlannedNest&);
    void write_blocks(const PlannedNest&, size_t level, std::string_view kind, int64_t step,
                      const std::function<void()>& inside);
    std::pair<NodeId, NodeId> bounds(const PlannedNest&, size_t level);
    void open_scratch(const PlannedNest&);
    void write_body(const PlannedNest&);  // inside the innermost kept loop
    void write_inner(const PlannedNest&, const std::vector<const StoreExpression*>&,
                     const std::vector<const Scratch*>&);
    void store(NodeId buffer, ExpressionId position, ExpressionId value, std::optional<SizeId> all = {},
               bool after_folds = false);
    void store(const StoreExpression& s) { store(params_[s.store.buffer], s.position, s.value, s.all, s.after_folds); }
    std::vector<std::vector<ExpressionId>> needed(const PlannedNest&);
    std::vector<bool> reached_inside(const std::vector<ExpressionId>& roots) const;
    std::vector<const Scratch*> new_scratch_of(const std::vector<ExpressionId>& roots) const;
    void set_stored(const std::vector<const Scratch*>&);

    NodeId extent(SizeId);
    NodeId extent(AttrId);
    NodeId index_call(Op, NodeId, NodeId);
    RegionId open_loop(uint32_t variable);
    RegionId open_blocks();
    void close_loop(RegionId, NodeId low, NodeId high, std::string_view kind, int64_t step);
    size_t mark() const { return trail_.size(); }
    void leave(size_t mark);  // forgets what was emitted in a region that closes
    void set_emitted(ExpressionId, NodeId);

    Builder& builder_;
    Context& context_;
    Copier& copier_;
    const Expressions& expressions_;
    std::vector<NodeId> params_;
    std::vector<NodeId> emitted_;
    static constexpr ExpressionId no_expression = UINT32_MAX;
    std::vector<ExpressionId> trail_;                      // what was emitted, in order; an extent as no expression
    std::map<AttrId, std::pair<NodeId, size_t>> extents_;  // with the mark at which each was emitted
    const PlannedNest* nest_ = nullptr;
    std::vector<bool> stored_scratch_;
    std::vector<NodeId> private_scratch_;            // the nodes of those that belong to iterations
    std::vector<const Scratch*> kept_by_fold_;       // what the fold to be written is to store
    std::vector<std::vector<ExpressionId>> levels_;  // of the nest at hand
    struct Block {
        NodeId first;
        int64_t size = 0;
    };
    std::vector<Block> blocks_;  // by loop of the nest at hand: the innermost block of its positions that is open
    Marks met_;
    NodeId last_param_;
};

}  // namespace tenon
