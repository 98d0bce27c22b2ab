// The kernels of attention, with the functions of a pair where there are any: to these a pair's score goes on its way into the
// softmax, and its cotangent on the way back.
#include "ir/ops/attention_functions.h"

namespace tenon::attention {

namespace {

// Of each query the largest score so far and the sum of exp(score − it) are kept; what was added up before is scaled where a
// larger one comes.
void write_forward(Blocks& b, Functions* functions) {
    LoopWriter& w = b.w;
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
        if (functions) functions->begin(head);
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
        const auto take_in_keys = [&] {
            b.scores(scores, w.operand(k), transposed, b.width);
            if (functions) functions->score(scores, scores);
            else b.mask(scores);
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
            if (functions && functions->has_dropout())
                b.each_score([&](NodeId key, NodeId query, NodeId place) {
                    w.store(scores, place, functions->dropped(key, query, w.load(scores, place)));
                });
            b.add_to_queries(out, scores, w.operand(v), b.values);
        };
        b.each_keys([&](NodeId) {
            if (functions) functions->where_any_is_seen(take_in_keys);
            else take_in_keys();
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
class BackwardWriter {
public:
    BackwardWriter(Blocks& blocks, Functions* functions)
        : b(blocks), w(b.w), f(functions), dtype(b.dtype), block_elements(w.size(queries_together * keys_together)) {}

    void run() {
        const size_t tensors = f ? f->form().elements.size() : 0;
        if (tensors == 0) {
            w.parallel(b.zero, b.heads, [&](NodeId at) {
                make_scratch();
                head(at);
            });
            return;
        }
        // The sums of what was read: a group of an example's heads has its own.
        const FlexForm& form = f->form();
        Context& context = w.context();
        const NodeId groups = w.size(FlexForm::groups),
                     units = w.size(context.mul(form.examples, SizeId(FlexForm::groups)));
        const NodeId heads_of_one =
            w.size(context.floordiv(context.mul(b.leading()[0], b.leading()[1]), form.examples));
        for (SizeId elements : form.elements) elements_.push_back(w.size(elements));
        w.parallel(b.zero, units, [&](NodeId unit) {
            make_scratch();
            bases_.clear();
            for (size_t k = 0; k < tensors; ++k) {
                bases_.push_back(w.mul(unit, elements_[k]));
                b.fill(w.result(3 + k), bases_[k], elements_[k], 0);
            }
            const NodeId first = w.mul(w.floor_divide(unit, groups), heads_of_one);
            w.serial(w.remainder(unit, groups), heads_of_one, FlexForm::groups,
                     [&](NodeId within) { head(w.add(first, within)); });
        });
    }

private:
    void make_scratch() {
        q_across = w.scratch(dtype, w.mul(b.width, b.rows));
        g_across = w.scratch(dtype, w.mul(b.values, b.rows));
        weights = w.scratch(dtype, block_elements);
        slopes = w.scratch(dtype, block_elements);
        raw = f && f->has_score() ? w.scratch(dtype, block_elements) : weights;
        terms.clear();
        places.clear();
        for (size_t k = 0; f && k < f->form().reads.size(); ++k) {
            terms.push_back(w.scratch(dtype, block_elements));
            places.push_back(w.scratch(DType::i64, block_elements));
        }
    }
    void head(NodeId head) {
        const NodeId head_q = w.mul(b.queries, b.width), head_k = w.mul(b.keys, b.width),
                     head_v = w.mul(b.keys, b.values);
        b.fill(w.result(0), w.mul(head, head_q), head_q, 0);
        b.fill(w.result(1), w.mul(head, head_k), head_k, 0);
        b.fill(w.result(2), w.mul(head, head_v), head_v, 0);
        if (f) f->begin(head);
        w.serial(b.zero, b.queries, queries_together, [&](NodeId first) {
            b.set_block(head, first);
            first_sum = w.add(w.mul(head, b.queries), first);
            b.transpose(q_across, w.operand(q), b.width);
            b.transpose(g_across, w.operand(cotangent), b.values);
            b.each_keys([&](NodeId) {
                const auto block = [&] { take_in_keys(); };
                if (f) f->where_any_is_seen(block);
                else block();
            });
        });
    }
    void take_in_keys() {
        b.scores(raw, w.operand(k), q_across, b.width);
        if (f) f->score(raw, weights);
        else b.mask(weights);
        b.scores(slopes, w.operand(v), g_across, b.values);
        b.each_score([&](NodeId key, NodeId query, NodeId place) { pair(key, query, place); });
        for (size_t k = 0; k < terms.size(); ++k)
            w.scatter(w.result(3 + f->form().reads[k]), places[k], terms[k], b.zero, b.rows, b.key_count, b.count);
        b.add_to_keys(w.result(2), weights, w.operand(cotangent), b.values);
        b.add_to_keys(w.result(1), slopes, w.operand(q), b.width);
        b.add_to_queries(w.result(0), slopes, w.operand(k), b.width);
    }
    void pair(NodeId key, NodeId query, NodeId place) {
        const NodeId at = w.add(first_sum, query);
        const NodeId weight =
            w.apply(op<"exp">(), {w.apply(op<"sub">(), {w.load(weights, place), w.load(w.operand(sums), at)})});
        NodeId slope = w.load(slopes, place), used = weight;
        if (f && f->has_dropout()) {
            slope = f->dropped(key, query, slope);
            used = f->dropped(key, query, weight);
        }
        const NodeId above = w.apply(op<"sub">(), {slope, w.load(w.operand(inner), at)});
        slope = w.apply(op<"mul">(), {weight, above});
        if (f && f->has_score()) slope = through_score(key, query, place, weight, slope);
        w.store(weights, place, used);
        w.store(slopes, place, slope);
    }
    // A pair without weight has no gradient, whatever the score's is there.
    NodeId through_score(NodeId key, NodeId query, NodeId place, NodeId weight, NodeId slope) {
        const NodeId nothing = w.literal(0.0, dtype), none = w.apply(op<"equal">(), {weight, nothing});
        const std::vector<NodeId> all = f->joint(key, query, w.load(raw, place), slope);
        for (size_t k = 0; k < terms.size(); ++k) {
            w.store(terms[k], place, w.apply(op<"where">(), {none, nothing, all[1 + 2 * k]}));
            w.store(places[k], place, w.apply(op<"add">(), {all[2 + 2 * k], w.number(bases_[f->form().reads[k]])}));
        }
        return w.apply(op<"where">(), {none, nothing, all[0]});
    }

    Blocks& b;
    LoopWriter& w;
    Functions* const f;
    const DType dtype;
    const NodeId block_elements;
    NodeId q_across, g_across, weights, slopes, raw, first_sum;
    std::vector<NodeId> terms, places;      // scratch, by read
    std::vector<NodeId> elements_, bases_;  // by tensor that is read: how many, and where the unit's sums begin
};

}  // namespace

void write_attention(LoopWriter& w) {
    Blocks b(w, mask);
    write_forward(b, nullptr);
}
void write_attention_gradient(LoopWriter& w) {
    Blocks b(w, gradient_mask);
    BackwardWriter(b, nullptr).run();
}

constexpr size_t no_mask = SIZE_MAX;  // as an operand
void write_flex_attention(LoopWriter& w) {
    Blocks b(w, no_mask);
    Functions functions(b, FlexForm(w.attributes(), false));
    write_forward(b, &functions);
}
void write_flex_attention_gradient(LoopWriter& w) {
    Blocks b(w, no_mask);
    Functions functions(b, FlexForm(w.attributes(), true));
    BackwardWriter(b, &functions).run();
}

}  // namespace tenon::attention
