// Attention as loops over blocks of queries and keys: what a block of scores holds stays in the caches, and scores never lie
// in memory (Dao et al., "FlashAttention", 2022). Scores are kept with the queries side by side, so that keys and values are
// read where they lie.
#include <algorithm>
#include <limits>
#include <optional>

#include "ir/ops/attention.h"

namespace tenon::attention {

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

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

    void mask(NodeId scores) {
        if (!mask_sizes_.empty())
            each_score([&](NodeId key, NodeId query, NodeId place) {
                w.store(scores, place, masked(w.load(scores, place), key, query));
            });
        if (!is_causal_) return;
        // All queries of the block see the keys up to the first of them.
        const NodeId hidden = w.maximum(zero, w.sub(w.add(first, one), first_key));
        each_score(hidden, [&](NodeId key, NodeId query, NodeId place) {
            const NodeId key_at = w.apply(op<"number">(), {w.add(first_key, key)}),
                         query_at = w.apply(op<"number">(), {w.add(first, query)}),
                         sees = w.apply(op<"less_equal">(), {key_at, query_at});
            w.store(scores, place, w.apply(op<"where">(), {sees, w.load(scores, place), w.literal(-infinity, dtype)}));
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
        return w.operand_type(mask_operand_).dtype == DType::boolean
                   ? w.apply(op<"where">(), {given, score, w.literal(-infinity, dtype)})
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

}  // namespace

// Of each query the largest score so far and the sum of exp(score − it) are kept; what was added up before is scaled where a
// larger one comes.
void write_attention(LoopWriter& w) {
    Blocks b(w, mask);
    const NodeId out = w.result(0), lse = w.result(1);
    const DType dtype = b.dtype;
    const NodeId transposed_elements = w.mul(b.width, b.rows),
                 block_elements = w.size(queries_together * keys_together);
    w.parallel(b.zero, b.all_blocks, [&](NodeId i) {
        const NodeId head = w.floor_divide(i, b.blocks), block = w.remainder(i, b.blocks);
        b.set_block(head, w.mul(block, b.rows));
        const NodeId transposed = w.scratch(dtype, transposed_elements), scores = w.scratch(dtype, block_elements),
                     top = w.scratch(dtype, b.rows), shift = w.scratch(dtype, b.rows), sum = w.scratch(dtype, b.rows),
                     scale = w.scratch(dtype, b.rows);
        const NodeId base = b.place(b.head, b.queries, b.first, b.values);
        b.transpose(transposed, w.operand(q), b.width);
        w.vector(b.zero, b.count, [&](NodeId query) {
            w.store(top, query, w.literal(-infinity, dtype));
            w.store(shift, query, w.literal(0, dtype));
            w.store(sum, query, w.literal(0, dtype));
        });
        b.fill(out, base, w.mul(b.count, b.values), 0);
        const auto each_output = [&](FunctionRef<NodeId(NodeId value, NodeId by)> changed) {
            w.serial(b.zero, b.count, 1, [&](NodeId query) {
                const NodeId by = w.load(scale, query), line = w.add(base, w.mul(query, b.values));
                w.vector(b.zero, b.values, [&](NodeId e) {
                    const NodeId at = w.add(line, e);
                    w.store(out, at, changed(w.load(out, at), by));
                });
            });
        };
        w.serial(b.zero, b.seen, keys_together, [&](NodeId first_key) {
            b.set_keys(first_key);
            b.scores(scores, w.operand(k), transposed, b.width);
            b.mask(scores);
            const auto score_at = [&](NodeId query) {
                return [&, query](NodeId key) { return w.load(scores, w.add(w.mul(key, b.rows), query)); };
            };
            w.vector(b.zero, b.count, [&](NodeId query) {
                const NodeId here = w.fold("maximum", b.zero, b.key_count, score_at(query)),
                             before = w.load(top, query), now = w.apply(op<"maximum">(), {before, here}),
                             none = w.apply(op<"equal">(), {now, w.literal(-infinity, dtype)}),
                             from = w.apply(op<"where">(), {none, w.literal(0, dtype), now});
                w.store(scale, query, w.apply(op<"exp">(), {w.apply(op<"sub">(), {before, from})}));
                w.store(top, query, now);
                w.store(shift, query, from);
            });
            b.each_score([&](NodeId, NodeId query, NodeId place) {
                const NodeId above = w.apply(op<"sub">(), {w.load(scores, place), w.load(shift, query)});
                w.store(scores, place, w.apply(op<"exp">(), {above}));
            });
            w.vector(b.zero, b.count, [&](NodeId query) {
                const NodeId here = w.fold("add", b.zero, b.key_count, score_at(query)),
                             before = w.apply(op<"mul">(), {w.load(sum, query), w.load(scale, query)});
                w.store(sum, query, w.apply(op<"add">(), {before, here}));
            });
            each_output([&](NodeId value, NodeId by) { return w.apply(op<"mul">(), {value, by}); });
            b.add_to_queries(out, scores, w.operand(v), b.values);
        });
        const NodeId first_sum = w.add(w.mul(b.head, b.queries), b.first);
        w.vector(b.zero, b.count, [&](NodeId query) {
            const NodeId all = w.load(sum, query), none = w.apply(op<"equal">(), {all, w.literal(0, dtype)}),
                         log = w.apply(op<"add">(), {w.load(shift, query), w.apply(op<"log">(), {all})});
            w.store(scale, query, w.apply(op<"where">(), {none, w.literal(1, dtype), all}));
            w.store(lse, w.add(first_sum, query), w.apply(op<"where">(), {none, w.literal(infinity, dtype), log}));
        });
        each_output([&](NodeId value, NodeId by) { return w.apply(op<"div">(), {value, by}); });
    });
}

// A head at a time, since keys and values add up what all queries bring them, in ascending order.
void write_attention_gradient(LoopWriter& w) {
    Blocks b(w, gradient_mask);
    const NodeId dq = w.result(0), dk = w.result(1), dv = w.result(2);
    const DType dtype = b.dtype;
    const NodeId q_elements = w.mul(b.width, b.rows), g_elements = w.mul(b.values, b.rows),
                 block_elements = w.size(queries_together * keys_together), head_q = w.mul(b.queries, b.width),
                 head_k = w.mul(b.keys, b.width), head_v = w.mul(b.keys, b.values);
    w.parallel(b.zero, b.heads, [&](NodeId head) {
        const NodeId q_across = w.scratch(dtype, q_elements), g_across = w.scratch(dtype, g_elements),
                     weights = w.scratch(dtype, block_elements), slopes = w.scratch(dtype, block_elements);
        b.fill(dq, w.mul(head, head_q), head_q, 0);
        b.fill(dk, w.mul(head, head_k), head_k, 0);
        b.fill(dv, w.mul(head, head_v), head_v, 0);
        w.serial(b.zero, b.queries, queries_together, [&](NodeId first) {
            b.set_block(head, first);
            const NodeId first_sum = w.add(w.mul(head, b.queries), first);
            b.transpose(q_across, w.operand(q), b.width);
            b.transpose(g_across, w.operand(cotangent), b.values);
            w.serial(b.zero, b.seen, keys_together, [&](NodeId first_key) {
                b.set_keys(first_key);
                b.scores(weights, w.operand(k), q_across, b.width);
                b.mask(weights);
                b.scores(slopes, w.operand(v), g_across, b.values);
                b.each_score([&](NodeId, NodeId query, NodeId place) {
                    const NodeId at = w.add(first_sum, query);
                    const NodeId weight = w.apply(
                        op<"exp">(), {w.apply(op<"sub">(), {w.load(weights, place), w.load(w.operand(sums), at)})});
                    const NodeId above = w.apply(op<"sub">(), {w.load(slopes, place), w.load(w.operand(inner), at)});
                    const NodeId slope = w.apply(op<"mul">(), {weight, above});
                    w.store(weights, place, weight);
                    w.store(slopes, place, slope);
                });
                b.add_to_keys(dv, weights, w.operand(cotangent), b.values);
                b.add_to_keys(dk, slopes, w.operand(q), b.width);
                b.add_to_queries(dq, slopes, w.operand(k), b.width);
            });
        });
    });
}

}  // namespace tenon::attention
