#include "ir/ops/attention_functions.h"

#include <cmath>

#include "ir/row.h"

namespace tenon::attention {

Functions::Functions(Blocks& blocks, const FlexForm& form) : b_(blocks), w_(blocks.w), form_(form) {
    const Graph& graph = w_.graph();
    const Region &score = w_.region(form.score_region()), &mask = w_.region(form.mask_region());
    has_score_ = graph.results(score)[0] != graph.params(score)[0];
    const NodeId sees = graph.results(mask)[0];
    const AttrValue* const always = graph[sees].op == op<"constant">() ? graph.attributes(sees).find("value") : nullptr;
    has_mask_ = !always || *always != AttrValue(true);
}

void Functions::begin(NodeId head) {
    const NodeId heads = w_.size(b_.leading()[1]);
    batch_ = w_.floor_divide(head, heads);
    head_ = w_.remainder(head, heads);
    if (!has_mask_) return;
    sees_ = w_.scratch(DType::boolean, w_.size(queries_together * keys_together));
    any_ = w_.scratch(DType::i64, b_.rows);
}

std::vector<PairCode::Argument> Functions::arguments(NodeId key, NodeId query, std::optional<NodeId> s) {
    const auto place = [&](NodeId index, SizeId extent) {
        const auto count = w_.context().as_constant(extent);
        return Place{index, 0, count ? std::optional(*count - 1) : std::nullopt, extent};
    };
    std::vector<PairCode::Argument> made;
    if (s) made.push_back({.scalar = *s});
    made.push_back({.place = place(batch_, b_.leading()[0])});
    made.push_back({.place = place(head_, b_.leading()[1])});
    made.push_back({.place = place(w_.add(b_.first, query), b_.queries_size())});
    made.push_back({.place = place(w_.add(b_.first_key, key), b_.keys_size())});
    for (size_t k = form_.first_captured(); k < w_.operand_count(); ++k) made.push_back({.buffer = w_.operand(k)});
    return made;
}

NodeId Functions::apply(unsigned region, NodeId key, NodeId query, std::optional<NodeId> s) {
    return PairCode(w_, region, arguments(key, query, s)).write()[0];
}

std::vector<NodeId> Functions::joint(NodeId key, NodeId query, NodeId s, NodeId cotangent) {
    std::vector<PairCode::Argument> all = arguments(key, query, s);
    all.push_back({.scalar = cotangent});
    return PairCode(w_, 1, all).write();
}

void Functions::where_any_is_seen(FunctionRef<void()> body) {
    if (!has_mask_) return body();
    b_.each_score([&](NodeId key, NodeId query, NodeId place) {
        w_.store(sees_, place, apply(form_.mask_region(), key, query, std::nullopt));
    });
    const auto number = [&](int64_t value) { return w_.literal(Scalar(value), DType::i64); };
    w_.vector(b_.zero, b_.count, [&](NodeId query) {
        const NodeId any = w_.fold("logical_or", b_.zero, b_.key_count,
                                   [&](NodeId key) { return w_.load(sees_, w_.add(w_.mul(key, b_.rows), query)); });
        w_.store(any_, query, w_.apply(op<"where">(), {any, number(1), number(0)}));
    });
    const NodeId turns =
        w_.position(w_.fold("maximum", b_.zero, b_.count, [&](NodeId query) { return w_.load(any_, query); }, "lanes"));
    w_.serial(b_.zero, turns, 1, [&](NodeId) { body(); });
}

void Functions::score(NodeId from, NodeId to) {
    if (has_score_ || has_mask_ || from != to)
        b_.each_score([&](NodeId key, NodeId query, NodeId place) {
            const NodeId s = w_.load(from, place);
            NodeId score = has_score_ ? apply(form_.score_region(), key, query, s) : s;
            if (has_mask_) score = b_.hidden_unless(w_.load(sees_, place), score);
            w_.store(to, place, score);
        });
    b_.mask(to);
}

// As the row `random` draws numbers of [batch, heads, keys, queries]: along the queries a counter's four numbers are
// neighbours.
NodeId Functions::dropped(NodeId key, NodeId query, NodeId x) {
    const DType dtype = b_.dtype;
    const bool wide = dtype == DType::f64;
    const NodeId line = w_.add(w_.mul(b_.head, b_.keys), w_.add(b_.first_key, key)),
                 place = w_.number(w_.add(w_.mul(line, b_.queries), w_.add(b_.first, query))),
                 seed = w_.load(w_.operand(form_.first_random()), b_.zero),
                 offset = w_.load(w_.operand(form_.first_random() + 1), b_.zero);
    const int kept = wide ? 53 : 24;
    NodeId bits = w_.apply(wide ? op<"random_bits">() : op<"random_word">(), {seed, offset, place});
    bits = w_.apply(op<"shift_right">(), {bits, w_.literal(Scalar(int64_t{(wide ? 63 : 32) - kept}), DType::i64)});
    if (!wide) bits = w_.cast(bits, DType::i32);
    const NodeId drawn = w_.apply(op<"mul">(), {w_.cast(bits, dtype), w_.literal(std::ldexp(1.0, -kept), dtype)}),
                 stays = w_.apply(op<"greater_equal">(), {drawn, w_.literal(form_.dropout, dtype)}),
                 more = w_.apply(op<"mul">(), {x, w_.literal(1 / (1 - form_.dropout), dtype)});
    return w_.apply(op<"where">(), {stays, more, w_.literal(0.0, dtype)});
}

}  // namespace tenon::attention
