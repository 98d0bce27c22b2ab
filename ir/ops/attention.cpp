// Attention: softmax(q kᵀ + mask) v without its scores in memory. The two rows are closed with those of ordinary ops: the
// gradient of the second one is said in matrix products.
#include "ir/ops/attention.h"

#include <limits>

#include "ir/differentiate/batching.h"
#include "ir/differentiate/gradient.h"
#include "ir/ops/tables.h"

namespace tenon {

// ---- results --------------------------------------------------------------------------------------------------------
namespace attention {

static void require_dtype(Infer& i, size_t operand) {
    const Type& first = i.type(attention::q);
    if (i.type(operand).dtype != first.dtype || !admits(row(i.row).dtypes, first.dtype))
        i.fail("dtype",
               std::string(i.op) + " takes q, k and v of one dtype, f32 or f64, but they are " +
                   i.show(i.operands[attention::q]) + " and " + i.show(i.operands[operand]),
               "cast one of them with `x.to(dtype)`");
}

Heads heads_of(Infer& i) {
    for (size_t operand = 0; operand < i.operands.size(); ++operand) require_tensor(i, operand);
    const Type &q = i.type(attention::q), &k = i.type(attention::k), &v = i.type(attention::v);
    const auto told = [&] {
        return i.show(i.operands[attention::q]) + ", " + i.show(i.operands[attention::k]) + " and " +
               i.show(i.operands[attention::v]);
    };
    for (size_t operand : {attention::k, attention::v}) require_dtype(i, operand);
    const size_t rank = q.rank();
    if (rank < 2 || k.rank() != rank || v.rank() != rank)
        i.fail("shape", std::string(i.op) + " takes q, k and v of one rank, two or more, but they are " + told());
    const auto leading = [&](const Type& t) { return std::span(t.sizes).first(rank - 2); };
    if (!same_sizes(i, leading(q), leading(k)) || !same_sizes(i, leading(q), leading(v)))
        i.fail("shape", std::string(i.op) + " takes q, k and v of the same leading sizes, but they are " + told());
    if (!i.equal(q.sizes[rank - 1], k.sizes[rank - 1]))
        i.fail("shape", std::string(i.op) + " takes queries and keys of the same width, but q, k and v are " + told());
    if (!i.equal(k.sizes[rank - 2], v.sizes[rank - 2]))
        i.fail("shape", std::string(i.op) + " takes as many keys as values, but q, k and v are " + told());
    return {{q.sizes.begin(), q.sizes.end() - 2}, q.sizes[rank - 2], k.sizes[rank - 2], v.sizes[rank - 1]};
}

static void require_mask(Infer& i, size_t operand, const Heads& heads) {
    if (operand >= i.operands.size()) return;
    const Type &mask = i.type(operand), &q = i.type(attention::q);
    if (mask.dtype != DType::boolean && mask.dtype != q.dtype)
        i.fail("dtype",
               std::string(i.op) + " takes a mask that is bool, or added to the scores and of q's dtype " +
                   std::string(name_of(q.dtype)) + ", but it is " + i.show(i.operands[operand]),
               "cast it with `mask.to(" + std::string(name_of(q.dtype)) + ")`");
    const std::vector<SizeId> scores = heads.with({heads.queries, heads.keys});
    bool fits = mask.rank() <= scores.size();
    for (size_t d = 0; fits && d < mask.rank(); ++d)
        fits = mask.sizes[d] == SizeId(1) || i.equal(mask.sizes[d], scores[scores.size() - mask.rank() + d]);
    if (!fits)
        i.fail("shape", std::string(i.op) + " takes a mask that broadcasts to the scores " +
                            i.show(i.context.tensor(mask.dtype, scores)) + ", but it is " +
                            i.show(i.operands[operand]));
}

static void require_sizes(Infer& i, size_t operand, std::string_view what, std::span<const SizeId> sizes) {
    const Type& type = i.type(operand);
    if (type.dtype != i.type(attention::q).dtype || !same_sizes(i, type.sizes, sizes))
        i.fail("shape", std::string(i.op) + " takes " + std::string(what) + " of " +
                            i.show(i.context.tensor(i.type(attention::q).dtype, sizes)) + ", but they are " +
                            i.show(i.operands[operand]));
}

std::vector<TypeId> result_types(Infer& i, const Heads& heads) {
    const Type& q = i.type(attention::q);
    return {i.context.tensor(q.dtype, heads.with({heads.queries, heads.values}), q.device),
            i.context.tensor(q.dtype, heads.with({heads.queries}), q.device)};
}

void require_gradient_operands(Infer& i, const Heads& heads) {
    require_sizes(i, attention::sums, "sums", heads.with({heads.queries}));
    require_sizes(i, attention::inner, "inner products", heads.with({heads.queries}));
    require_sizes(i, attention::cotangent, "cotangents", heads.with({heads.queries, heads.values}));
}

static TypeId result_rule(Infer& i) {
    const Heads heads = heads_of(i);
    require_mask(i, attention::mask, heads);
    return i.context.tuple(result_types(i, heads));
}

static TypeId gradient_result_rule(Infer& i) {
    const Heads heads = heads_of(i);
    require_mask(i, attention::gradient_mask, heads);
    require_gradient_operands(i, heads);
    return i.context.tuple(i.operands.first(3));
}

}  // namespace attention

namespace {

// ---- gradients ------------------------------------------------------------------------------------------------------
// What both gradients are made of: matrices [queries, keys] of every head.
class Scores {
public:
    Scores(Gradient& gradient, size_t mask) : d(gradient), mask_(mask), rank_(gradient.type(attention::q).rank()) {}

    Term transposed(const Term& t) const {
        AttrList axes;
        for (size_t axis = 0; axis < rank_; ++axis) axes.push_back(int64_t(axis));
        std::swap(axes[rank_ - 1], axes[rank_ - 2]);
        return apply(op<"permute">(), {t}, d.attr({{"axes", axes}}));
    }
    static Term product(const Term& a, const Term& b) { return apply(op<"matmul">(), {a, b}); }
    Term row_sums(const Term& t) const {
        return apply(op<"sum">(), {t}, d.attr({{"axes", AttrList{int64_t(rank_ - 1)}}, {"keepdim", false}}));
    }
    Term along_rows(const Term& t) const {  // [.., queries] as [.., queries, 1]
        SizeList sizes(d.type(attention::q).sizes.begin(), d.type(attention::q).sizes.end());
        sizes.back() = SizeId(1);
        return d.reshape_to(t, sizes);
    }
    bool has_mask() const { return mask_ < d.operand_count(); }

    // exp(scores − sums)
    Term weights(const Term& sums) const {
        Term scores = product(d.operand(attention::q), transposed(d.operand(attention::k)));
        const double nothing = -std::numeric_limits<double>::infinity();
        if (has_mask())
            scores = d.type(mask_).dtype == DType::boolean
                         ? apply(op<"where">(), {d.operand(mask_), scores, Term(nothing)})
                         : scores + d.operand(mask_);
        if (d.attributes().flag("causal")) {
            const SizeId queries = d.type(attention::q).sizes[rank_ - 2], keys = d.type(attention::k).sizes[rank_ - 2];
            const SizeList column{queries, SizeId(1)};
            const Term sees =
                apply(op<"less_equal">(), {d.positions(keys), d.reshape_to(d.positions(queries), column)});
            scores = apply(op<"where">(), {sees, scores, Term(nothing)});
        }
        return apply(op<"exp">(), {scores - along_rows(sums)});
    }

private:
    Gradient& d;
    const size_t mask_, rank_;
};

Term result_of(Gradient& d, const Term& results, int64_t index) {
    return apply(op<"get">(), {results}, d.attr({{"index", index}}));
}

// With weights p = exp(s − sums) the cotangent of s is p (g vᵀ − Σ g y), and that of the sums by p. What each result brings
// stands by itself, so that what is left of a half that lacks one is the other.
void attention_gradient(Gradient& d) {
    const Scores s(d, attention::mask);
    const Term q = d.operand(attention::q), k = d.operand(attention::k), v = d.operand(attention::v),
               sums = d.result(1);
    const auto both = [&](const Term& inner, const Term& g) {
        return s.has_mask() ? apply(op<"attention_gradient">(), {q, k, v, sums, inner, g, d.operand(attention::mask)},
                                    d.node_attr())
                            : apply(op<"attention_gradient">(), {q, k, v, sums, inner, g}, d.node_attr());
    };
    const bool adds_mask = s.has_mask() && is_float(d.type(attention::mask).dtype);
    if (d.has_cotangent(0)) {
        const Term g = d.cotangent(0), inner = s.row_sums(g * d.result(0)), all = both(inner, g);
        for (size_t operand : {attention::q, attention::k, attention::v})
            d.x(operand) += result_of(d, all, int64_t(operand));
        if (adds_mask)
            d.x(attention::mask) += s.weights(sums) * (Scores::product(g, s.transposed(v)) - s.along_rows(inner));
    }
    if (d.has_cotangent(1)) {
        const std::vector<SizeId>& sizes = d.context()[d.result_type().elements[0]].sizes;
        const Term none =
            apply(op<"full">(), {d.number(0, attention::q)}, d.attr({{"sizes", AttrList(sizes.begin(), sizes.end())}}));
        const Term all = both(-d.cotangent(1), none);
        for (size_t operand : {attention::q, attention::k}) d.x(operand) += result_of(d, all, int64_t(operand));
        if (adds_mask) d.x(attention::mask) += s.weights(sums) * s.along_rows(d.cotangent(1));
    }
}

// The second derivative, of dq = t k, dk = tᵀ q, dv = pᵀ g with p = exp(s − sums) and t = p (g vᵀ − inner).
void attention_gradient_gradient(Gradient& d) {
    using namespace attention;
    const Scores scores(d, gradient_mask);
    const Term at_q = d.operand(q), at_k = d.operand(k), at_v = d.operand(v), g = d.operand(cotangent);
    const Term p = scores.weights(d.operand(sums));
    const Term above = Scores::product(g, scores.transposed(at_v)) - scores.along_rows(d.operand(inner));
    const bool of_q = d.has_cotangent(0), of_k = d.has_cotangent(1), of_v = d.has_cotangent(2);
    Term to_t, to_p;  // cotangents
    if (of_q) to_t = Scores::product(d.cotangent(0), scores.transposed(at_k));
    if (of_k) {
        const Term more = Scores::product(at_q, scores.transposed(d.cotangent(1)));
        to_t = of_q ? to_t + more : more;
    }
    if (of_q || of_k) to_p = to_t * above;
    if (of_v) {
        const Term more = Scores::product(g, scores.transposed(d.cotangent(2)));
        to_p = of_q || of_k ? to_p + more : more;
    }
    const Term to_s = p * to_p, t = p * above;
    d.x(q) += Scores::product(to_s, at_k);
    if (of_k) d.x(q) += Scores::product(t, d.cotangent(1));
    d.x(k) += Scores::product(scores.transposed(to_s), at_q);
    if (of_q) d.x(k) += Scores::product(scores.transposed(t), d.cotangent(0));
    d.x(sums) += -scores.row_sums(to_s);
    if (of_q || of_k) {
        const Term to_above = to_t * p;
        d.x(v) += Scores::product(scores.transposed(to_above), g);
        d.x(inner) += -scores.row_sums(to_above);
        d.x(cotangent) += Scores::product(to_above, at_v);
    }
    if (of_v) d.x(cotangent) += Scores::product(p, d.cotangent(2));
    if (scores.has_mask() && is_float(d.type(gradient_mask).dtype)) d.x(gradient_mask) += to_s;
}

// ---- batching -------------------------------------------------------------------------------------------------------
NodeId batch_heads(Batching& b, size_t mask) {
    std::vector<NodeId> operands;
    for (size_t operand = 0; operand < b.operand_count(); ++operand)
        operands.push_back(operand == mask ? b.aligned(operand, b.type(attention::q).rank()) : b.whole(operand));
    return b.again(operands, b.attr());
}

// clang-format off
const Row attention_table[] = {
    {.name = "attention", .doc = "softmax(q kᵀ + mask) v and the logarithms of the sums of exp(scores), over the last two dimensions; a bool mask says where a query may look, `causal` up to its own place; a query that may look nowhere gives 0 and a sum of inf",
     .min_operands = 3, .max_operands = 4, .dtypes = DTypes::wide_floats, .result = attention::result_rule, .lowering = Lowering::tiles, .tiles = attention::write_attention,
     .gradient = attention_gradient, .batching = [](Batching& b) { return batch_heads(b, attention::mask); }},
    {.name = "attention_gradient", .doc = "t k, tᵀ q and pᵀ g for the weights p = exp(q kᵀ + mask − sums) and t = p (g vᵀ − inner), of q, k, v, sums, inner, g and the mask: the gradients of attention",
     .min_operands = 6, .max_operands = 7, .dtypes = DTypes::wide_floats, .result = attention::gradient_result_rule, .lowering = Lowering::tiles, .tiles = attention::write_attention_gradient,
     .gradient = attention_gradient_gradient, .batching = [](Batching& b) { return batch_heads(b, attention::gradient_mask); }},
};
// clang-format on

}  // namespace

std::span<const Row> attention_rows() { return attention_table; }

}  // namespace tenon
