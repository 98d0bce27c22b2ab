// The blocks of attention as loops: what a block of scores holds stays in the caches, and scores never lie in memory (Dao et
// al., "FlashAttention", 2022). Scores are kept with the queries side by side, so that keys and values are read where they
// lie.
#pragma once
#include <limits>
#include <vector>

#include "ir/ops/attention.h"

namespace tenon::attention {

inline constexpr double infinity = std::numeric_limits<double>::infinity();

// What both kernels have: the sizes, the block of queries at hand, its scores.
class Blocks {
public:
    Blocks(LoopWriter& writer, size_t mask_operand) : w(writer), mask_operand_(mask_operand) {
        const std::vector<SizeId>& q_sizes = w.operand_type(q).sizes;
        leading_.assign(q_sizes.begin(), q_sizes.end() - 2);
        for (SizeId s : leading_) heads_ = w.context().mul(heads_, s);
        queries_ = *(q_sizes.end() - 2);
        key_sizes_ = w.operand_type(k).sizes;
        dtype = w.operand_type(q).dtype;
        is_causal_ = w.attributes().flag("causal");
        zero = w.size(0), one = w.size(1), rows = w.size(queries_together), columns = w.size(keys_together);
        queries = w.size(queries_);
        keys = w.size(key_sizes_[key_sizes_.size() - 2]);
        width = w.size(q_sizes.back());
        values = w.size(w.operand_type(v).sizes.back());
        heads = w.size(heads_);
        blocks_ =
            w.context().floordiv(w.context().add(queries_, SizeId(queries_together - 1)), SizeId(queries_together));
        blocks = w.size(blocks_);
        all_blocks = w.size(w.context().mul(heads_, blocks_));
        if (mask_operand_ < w.operand_count()) find_mask();
    }

    // ---- places
    // Of row `row` of a head's matrix of so many rows, `across` elements each.
    NodeId place(NodeId head, NodeId all, NodeId row, NodeId across) {
        return w.mul(w.add(w.mul(head, all), row), across);
    }
    // The queries of the block, from `first` on; how many they are; and how many keys they see.
    void set_block(NodeId head_at, NodeId first_query) {
        head = head_at;
        first = first_query;
        count = w.minimum(rows, w.sub(queries, first));
        seen = is_causal_ ? w.minimum(keys, w.add(first, count)) : keys;
        if (!mask_sizes_.empty()) mask_base_ = base_of_mask();
    }
    // The keys of the block, from `first` on.
    void set_keys(NodeId first_at) {
        first_key = first_at;
        key_count = w.minimum(columns, w.sub(seen, first_at));
    }

    // The block's rows of a matrix, with the rows side by side: to[column, row].
    void transpose(NodeId to, NodeId from, NodeId across) {
        const NodeId base = place(head, queries, first, across);
        w.serial(zero, across, 1, [&](NodeId column) {
            const NodeId at = w.add(base, column), line = w.mul(column, rows);
            w.vector(zero, count,
                     [&](NodeId row) { w.store(to, w.add(line, row), w.load(from, w.add(at, w.mul(row, across)))); });
        });
    }
    void fill(NodeId buffer, NodeId from, NodeId elements, double value) {
        w.vector(zero, elements, [&](NodeId i) { w.store(buffer, w.add(from, i), w.literal(value, dtype)); });
    }
    // scores[key, query] = Σ from[key, p] across[p, query], over the keys at hand.
    void scores(NodeId to, NodeId from, NodeId across, NodeId across_count) {
        w.product({from, place(head, keys, first_key, across_count), across_count}, one, {across, zero, rows},
                  {to, zero, rows}, key_count, count, across_count, false);
    }
    // to[row of the keys at hand] += Σ by[key, query] from[query].
    void add_to_keys(NodeId to, NodeId by, NodeId from, NodeId across) {
        w.product({by, zero, rows}, one, {from, place(head, queries, first, across), across},
                  {to, place(head, keys, first_key, across), across}, key_count, across, count, true);
    }
    // to[row of the queries at hand] += Σ by[key, query] from[key].
    void add_to_queries(NodeId to, NodeId by, NodeId from, NodeId across) {
        w.product({by, zero, one}, rows, {from, place(head, keys, first_key, across), across},
                  {to, place(head, queries, first, across), across}, count, across, key_count, true);
    }
    // By key and query of the block, keys from `low` on; `element` has their place in it.
    using Element = FunctionRef<void(NodeId key, NodeId query, NodeId place)>;
    void each_score(NodeId low, Element element) {
        w.serial(low, key_count, 1, [&](NodeId key) {
            const NodeId line = w.mul(key, rows);
            w.vector(zero, count, [&](NodeId query) { element(key, query, w.add(line, query)); });
        });
    }
    void each_score(Element element) { each_score(zero, element); }

    // The keys that all queries of the block see come before this one, of the block's.
    NodeId first_hidden() { return w.maximum(zero, w.sub(w.add(first, one), first_key)); }
    NodeId is_seen(NodeId key, NodeId query) {  // up to the query's own place
        return w.apply(op<"less_equal">(), {w.number(w.add(first_key, key)), w.number(w.add(first, query))});
    }
    NodeId hidden_unless(NodeId sees, NodeId score) {
        return w.apply(op<"where">(), {sees, score, w.literal(-infinity, dtype)});
    }

    void mask(NodeId scores) {
        if (!mask_sizes_.empty())
            each_score([&](NodeId key, NodeId query, NodeId place) {
                w.store(scores, place, masked(w.load(scores, place), key, query));
            });
        if (!is_causal_) return;
        each_score(first_hidden(), [&](NodeId key, NodeId query, NodeId place) {
            w.store(scores, place, hidden_unless(is_seen(key, query), w.load(scores, place)));
        });
    }
    const std::vector<SizeId>& leading() const { return leading_; }
    SizeId queries_size() const { return queries_; }
    SizeId keys_size() const { return key_sizes_[key_sizes_.size() - 2]; }
    // A pass over the keys that the block sees, a block of them at a time.
    void each_keys(LoopWriter::Body body) {
        w.serial(zero, seen, keys_together, [&](NodeId first_key_at) {
            set_keys(first_key_at);
            body(first_key_at);
        });
    }

    LoopWriter& w;
    DType dtype;
    NodeId zero, one, rows, columns, queries, keys, width, values, heads, blocks, all_blocks;
    NodeId head, first, count, seen, first_key, key_count;  // of the block at hand

private:
    NodeId masked(NodeId score, NodeId key, NodeId query) {
        NodeId at = mask_base_;
        if (mask_query_) at = w.add(at, w.mul(w.add(first, query), mask_row_));
        if (mask_key_) at = w.add(at, w.add(first_key, key));
        const NodeId given = w.load(w.operand(mask_operand_), at);
        return w.operand_type(mask_operand_).dtype == DType::boolean ? hidden_unless(given, score)
                                                                     : w.apply(op<"add">(), {score, given});
    }
    // Where the mask has a dimension of one element it is the same along it.
    void find_mask() {
        mask_sizes_ = w.operand_type(mask_operand_).sizes;
        const size_t missing = leading_.size() + 2 - mask_sizes_.size();
        mask_sizes_.insert(mask_sizes_.begin(), missing, SizeId(1));
        mask_query_ = mask_sizes_[leading_.size()] != SizeId(1);
        mask_key_ = mask_sizes_.back() != SizeId(1);
        mask_row_ = w.size(mask_sizes_.back());
        SizeId matrix = w.context().mul(mask_sizes_[leading_.size()], mask_sizes_.back()), after(1);
        for (size_t d = leading_.size(); d-- > 0;) {
            if (mask_sizes_[d] != SizeId(1)) {
                mask_steps_.push_back({w.size(after), d > 0 ? w.size(leading_[d]) : NodeId(), w.size(matrix)});
                matrix = w.context().mul(matrix, mask_sizes_[d]);
            }
            after = w.context().mul(after, leading_[d]);
        }
    }
    NodeId base_of_mask() {
        NodeId base = zero;
        for (const MaskStep& step : mask_steps_) {
            NodeId at = w.floor_divide(head, step.after);
            if (step.size) at = w.remainder(at, step.size);
            base = w.add(base, w.mul(at, step.stride));
        }
        return base;
    }

    const size_t mask_operand_;
    std::vector<SizeId> leading_, key_sizes_, mask_sizes_;
    SizeId heads_{1}, queries_, blocks_;
    bool is_causal_ = false, mask_query_ = false, mask_key_ = false;
    struct
        MaskStep {  // of one of the leading dimensions: the heads within one step along it, its size, the mask's stride
        NodeId after, size, stride;
    };
    std::vector<MaskStep> mask_steps_;
    NodeId mask_row_, mask_base_;
};

}  // namespace tenon::attention
