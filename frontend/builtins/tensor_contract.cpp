// Products that sum: of matrices, of vectors, over dimensions with letters. addmm and its kin, in stdlib/products.model, are
// said in these.
#include <algorithm>
#include <cctype>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "frontend/builtins/attention.h"
#include "frontend/builtins/tensor.h"
#include "frontend/methods/tables.h"
#include "frontend/ops/contraction.h"
#include "runtime/diagnostic.h"

namespace tenon {

namespace {

using ops::Labelled, ops::Labels;

void require_one_dtype(std::string_view what, std::span<const Labelled> operands) {
    for (const Labelled& x : operands) {
        if (x.tensor->dtype() != operands[0].tensor->dtype()) {
            const TensorObject &a = *operands[0].tensor, &b = *x.tensor;
            throw_error(
                "dtype",
                fmt::format("{} needs operands of one dtype, but they are {} and {}", what, describe_type(a),
                            describe_type(b)),
                fmt::format("cast one of them, for example with `.to({})`", name_of(promote(a.dtype(), b.dtype()))));
        }
    }
    if (operands[0].tensor->dtype() == DType::boolean)
        throw_error("dtype", fmt::format("{} needs a number dtype, but got bool", what), "cast with `x.to(f32)`");
}

Labels numbered(size_t rank, int first) {
    Labels labels;
    for (size_t k = 0; k < rank; ++k) labels.push_back(first + static_cast<int>(k));
    return labels;
}

// The product of two over dimensions that were found to be equal: `over` has one of each.
TensorRef contract_pair(TensorCall& c, std::string_view what, const TensorRef& a, const TensorRef& b,
                        std::span<const std::pair<int64_t, int64_t>> over) {
    std::vector<Labelled> pair = {{a, numbered(a->rank(), 0)}, {b, numbered(b->rank(), static_cast<int>(a->rank()))}};
    require_one_dtype(what, pair);
    Labels result = pair[0].labels;
    for (const auto& [i, j] : over) {
        pair[1].labels[static_cast<size_t>(j)] = static_cast<int>(i);
        std::erase(result, static_cast<int>(i));
    }
    for (int label : pair[1].labels) {
        if (label >= static_cast<int>(a->rank())) result.push_back(label);
    }
    return ops::contract(c.d, std::move(pair), result);
}

Value matmul(Evaluator& e, Arguments& a) {
    TensorCall c(e, a);
    return ops::matmul(c.d, c.tensor(0), c.tensor(1));
}
Value dot(Evaluator& e, Arguments& a) {
    TensorCall c(e, a);
    const TensorRef x = c.tensor(0), y = c.tensor(1);
    if (x->rank() != 1 || y->rank() != 1) {
        throw_error("shape",
                    fmt::format("dot takes two vectors, but got {} and {}", describe_type(*x), describe_type(*y)),
                    "`@` multiplies matrices, tensordot sums over dimensions of your choice");
    }
    return ops::matmul(c.d, x, y);
}
Value outer(Evaluator& e, Arguments& a) {
    TensorCall c(e, a);
    return ops::binary(c.d, Operator::mul, ops::unsqueeze(c.d, c.tensor(0), 1), ops::unsqueeze(c.d, c.tensor(1), 0));
}
Value inner(Evaluator& e, Arguments& a) {
    TensorCall c(e, a);
    const TensorRef x = c.tensor(0), y = c.tensor(1);
    if (x->rank() == 0 || y->rank() == 0) return ops::binary(c.d, Operator::mul, x, y);
    if (x->shape().back() != y->shape().back()) {
        throw_error("shape",
                    fmt::format("inner needs the last sizes to be equal, but they are {} and {}", x->shape().back(),
                                y->shape().back()),
                    "`a @ b` sums over the last dimension of a and the last but one of b");
    }
    const std::pair<int64_t, int64_t> over[] = {{x->rank() - 1, y->rank() - 1}};
    return contract_pair(c, "inner", x, y, over);
}

Value tensordot(Evaluator& e, Arguments& args) {  // a, b, dims?
    TensorCall c(e, args);
    const TensorRef a = c.tensor(0), b = c.tensor(1);
    Dims of_a, of_b;
    const Values* lists = c.has(2) ? items_of(c[2]) : nullptr;
    if (!lists) {
        const int64_t count = c.integer_or(2, 2, "dims");
        if (count < 0 || count > static_cast<int64_t>(std::min(a->rank(), b->rank())))
            throw_error("value",
                        fmt::format("tensordot over {} dimensions needs as many, but got {} and {}", count,
                                    describe_type(*a), describe_type(*b)),
                        "dims is how many of the last of the one and the first of the other, or two lists");
        for (int64_t k = 0; k < count; ++k) {
            of_a.push_back(static_cast<int64_t>(a->rank()) - count + k);
            of_b.push_back(k);
        }
    } else {
        const auto dims_of = [&](const Value& list, const TensorRef& x) {
            Dims dims;
            const Values* items = items_of(list);
            for (const Value& dim : items ? std::span<const Value>(*items) : std::span(&list, 1))
                dims.push_back(normalise_dim(ops::int_of(c.d, dim, "a dimension"), x->rank()));
            return dims;
        };
        if (lists->size() != 2)
            throw_error("value",
                        fmt::format("dims of tensordot is an int or two lists, but has {} items", lists->size()),
                        "dims: ([1], [0]) sums over dimension 1 of the first and 0 of the second");
        of_a = dims_of((*lists)[0], a);
        of_b = dims_of((*lists)[1], b);
        if (of_a.size() != of_b.size())
            throw_error("value",
                        fmt::format("tensordot pairs dimensions, but got {} of the first tensor and {} of the second",
                                    of_a.size(), of_b.size()),
                        "dims: ([1], [0]) sums over dimension 1 of the first and 0 of the second");
        for (const Dims* dims : {&of_a, &of_b}) {
            for (size_t k = 1; k < dims->size(); ++k) {
                if (std::find(dims->begin(), dims->begin() + k, (*dims)[k]) != dims->begin() + k)
                    throw_error("value", fmt::format("tensordot names dimension {} twice", (*dims)[k]));
            }
        }
    }
    std::vector<std::pair<int64_t, int64_t>> over;
    for (size_t k = 0; k < of_a.size(); ++k) {
        const int64_t left = a->shape()[static_cast<size_t>(of_a[k])], right = b->shape()[static_cast<size_t>(of_b[k])];
        if (left != right)
            throw_error("shape",
                        fmt::format("tensordot sums over dimension {} of {} and {} of {}, but they are {} and {}",
                                    of_a[k], describe_type(*a), of_b[k], describe_type(*b), left, right),
                        "dims says which dimensions belong together");
        over.push_back({of_a[k], of_b[k]});
    }
    return contract_pair(c, "tensordot", a, b, over);
}

Value diagonal(Evaluator& e, Arguments& a) {  // x, offset?, dim1?, dim2?
    TensorCall c(e, a);
    return ops::diagonal(c.d, c.tensor(0), c.integer_or(1, 0, "offset"), c.integer_or(2, 0, "a dimension"),
                         c.integer_or(3, 1, "a dimension"));
}

// ---- einsum --------------------------------------------------------------------------------------------------------
// The dimensions that an ellipsis stands for have negative labels, counted from the right: -1 is the last one.
std::string text_of(int label) {
    return label < 0 ? fmt::format("dimension {} of `...`", label) : fmt::format("letter {}", char(label));
}

struct Equation {
    std::vector<Labels> operands;
    Labels result;
};

constexpr int ellipsis = 0;
constexpr std::string_view form = "letters of each operand, separated by commas: \"ij,jk->ik\"";

// The letters of one operand or of the result, `ellipsis` for three dots.
Labels letters(std::string_view text, std::string_view whole) {
    Labels labels;
    for (size_t k = 0; k < text.size(); ++k) {
        if (std::isalpha(static_cast<unsigned char>(text[k]))) {
            labels.push_back(text[k]);
        } else if (text.substr(k, 3) == "..." && std::find(labels.begin(), labels.end(), ellipsis) == labels.end()) {
            labels.push_back(ellipsis);
            k += 2;
        } else {
            throw_error("value",
                        fmt::format("einsum takes letters and one `...` an operand, but \"{}\" has `{}` there", whole,
                                    text.substr(k, text[k] == '.' ? 3 : 1)),
                        std::string(form));
        }
    }
    return labels;
}

Equation parse(std::string_view given, std::span<const TensorRef> tensors) {
    std::string text;
    for (char ch : given) {
        if (ch != ' ') text.push_back(ch);
    }
    const std::string_view whole = text;
    const size_t arrow = whole.find("->");
    std::string_view left = whole.substr(0, arrow);
    std::vector<Labels> named;
    for (;;) {
        const size_t comma = left.find(',');
        named.push_back(letters(left.substr(0, comma), given));
        if (comma == std::string_view::npos) break;
        left.remove_prefix(comma + 1);
    }
    if (named.size() != tensors.size())
        throw_error("value",
                    fmt::format("einsum \"{}\" is for {} operands, but got {}", given, named.size(), tensors.size()),
                    std::string(form));
    Equation equation;
    size_t widest = 0;  // of what the ellipses stand for
    std::map<int, int> counts;
    for (size_t k = 0; k < named.size(); ++k) {
        const bool has_dots = std::find(named[k].begin(), named[k].end(), ellipsis) != named[k].end();
        const size_t letters = named[k].size() - has_dots, rank = tensors[k]->rank();
        if (has_dots ? letters > rank : letters != rank)
            throw_error("shape",
                        fmt::format("einsum \"{}\" names {}{} dimensions of operand {}, but it is {}", given, letters,
                                    has_dots ? " or more" : "", k + 1, describe_type(*tensors[k])),
                        has_dots ? "leave letters out" : "a letter for each dimension, or `...` for those without");
        Labels labels;
        for (int label : named[k]) {
            if (label != ellipsis) {
                labels.push_back(label);
                ++counts[label];
                continue;
            }
            widest = std::max(widest, rank - letters);
            for (size_t j = rank - letters; j > 0; --j) labels.push_back(-static_cast<int>(j));
        }
        equation.operands.push_back(std::move(labels));
    }
    const auto add_dots = [&] {
        for (size_t j = widest; j > 0; --j) equation.result.push_back(-static_cast<int>(j));
    };
    if (arrow == std::string_view::npos) {  // what stands once, in alphabetical order
        add_dots();
        for (const auto& [label, count] : counts) {
            if (count == 1) equation.result.push_back(label);
        }
        return equation;
    }
    for (int label : letters(whole.substr(arrow + 2), given)) {
        if (label == ellipsis) {
            add_dots();
            continue;
        }
        if (!counts.contains(label))
            throw_error("value", fmt::format("einsum \"{}\" asks for {}, which no operand has", given, text_of(label)),
                        "the result is made of letters of the operands");
        if (std::find(equation.result.begin(), equation.result.end(), label) != equation.result.end())
            throw_error("value", fmt::format("einsum \"{}\" asks for {} twice", given, text_of(label)),
                        "a letter stands once in the result");
        equation.result.push_back(label);
    }
    return equation;
}

// A list of lists of positions, as numpy.einsum_path gives it: its name may come first.
ops::Path path_of(TensorCall& c, size_t at, size_t count) {
    ops::Path path;
    const Values* steps = items_of(c[at]);
    if (!steps) throw_error("type", "path is a list of pairs of positions", "path: [(0, 2), (0, 1)]");
    for (const Value& step : *steps) {
        if (step.is(Kind::string) && path.empty()) continue;
        const Values* positions = items_of(step);
        if (!positions || positions->empty())
            throw_error("type", "a step of the path is a pair of positions", "path: [(0, 2), (0, 1)]");
        std::vector<size_t> group;
        for (const Value& position : *positions) {
            const int64_t k = ops::int_of(c.d, position, "a position");
            if (k < 0 || k >= static_cast<int64_t>(count) ||
                std::find(group.begin(), group.end(), static_cast<size_t>(k)) != group.end())
                throw_error("value", fmt::format("{} is no position of the path there: {} operands are left", k, count),
                            "what a step multiplies goes, and its product comes last");
            group.push_back(static_cast<size_t>(k));
        }
        count -= group.size() - 1;
        path.push_back(std::move(group));
    }
    return path;
}

Value einsum(Evaluator& e, Arguments& a) {  // equation, *operands; path?, optimize?
    TensorCall c(e, a);
    const std::string equation_text = a.text(0, "the equation of einsum");
    const Values* given = items_of(a[1]);
    size_t at = 1;
    if (given && given->size() == 1 && items_of((*given)[0])) given = items_of((*given)[0]);
    std::vector<TensorRef> tensors;
    for (const Value& value : *given) {
        if (!value.is_tensor())
            throw_error("type", fmt::format("einsum multiplies tensors, but got {}", with_article(value.kind())),
                        "an equation and a tensor for each part of it: einsum(\"ij,jk->ik\", a, b)");
        tensors.push_back(value.ref<TensorObject>());
    }
    const Equation equation = parse(equation_text, tensors);
    std::vector<Labelled> operands;
    for (size_t k = 0; k < tensors.size(); ++k) operands.push_back({tensors[k], equation.operands[k]});
    require_one_dtype("einsum", operands);
    ops::unify(c.d, operands, text_of);
    ops::Path path;
    if (c.has(++at)) {
        path = path_of(c, at, operands.size());
    } else if (c.flag(at + 1, "optimize")) {
        // By the sizes at hand, symbolic or not: a call for which another order is the best one makes another graph.
        path = ops::cheapest_path(operands, equation.result);
    }
    return ops::contract(c.d, std::move(operands), equation.result, path);
}

constexpr Builtin tensor_contract_table[] = {
    {"attention", "q, k, v; mask?, causal?, score?, dropout?, scale?, lse?", tensors, attention, 0,
     "softmax(q kᵀ + mask) v for q: f[…, t, d], k: f[…, s, d], v: f[…, s, e]  ->  f[…, t, e], with `lse: true` beside "
     "log Σ exp(q kᵀ + mask): f[…, t], in f32 or f64: one kernel, whose scores never lie in memory. mask: bool, true "
     "where a query may "
     "look, or a float added to the scores, in either case broadcast to f[…, t, s], or a function mask(b, h, i, j) "
     "that tells it of one pair; causal: query i sees the keys up to i; score(s, b, h, i, j): what becomes of the "
     "score of a pair; dropout: the probability with which a weight is 0, the others divided by 1 − dropout; scale: "
     "what q is multiplied by. b counts the leading dimensions but the last, h that one, i queries and j keys; the "
     "functions may read tensors and numbers from around them, and have a gradient by these tensors. A query that may "
     "look nowhere gives 0 and inf. What scaled_dot_product_attention is made of"},
    {"matmul", "x, y", tensors, matmul, 0,
     "x @ y: the products of the matrices in the last two dimensions, the others broadcast; a vector is a row or a "
     "column, two are their dot"},
    {"mm", "x, y", tensors, matmul, 0, "x @ y"},
    {"bmm", "x, y", tensors, matmul, 0, "x @ y, of batches of matrices"},
    {"mv", "x, y", tensors, matmul, 0, "x @ y, of a matrix and a vector"},
    {"dot", "x, y", tensors, dot, 0, "Σ x · y of two vectors, in the order of sums"},
    {"vdot", "x, y", tensors, dot, 0, "the same as dot"},
    {"inner", "x, y", tensors, inner, 0, "Σ x · y over the last dimension of both: f[…, k], f[…, k] -> f[…, …]"},
    {"outer", "x, y", tensors, outer, 0, "all products of an element of x with one of y: f[n], f[m] -> f[n, m]"},
    {"ger", "x, y", tensors, outer, 0, "the same as outer"},
    {"tensordot", "x, y, dims?", tensors, tensordot, 0,
     "Σ x · y over the last `dims` (2) dimensions of x and the first of y, or over those that two lists name"},
    {"einsum", "equation, *operands; path?, optimize?", kinds(Kind::string), einsum, 0,
     "sums of products over dimensions with letters: einsum(\"ij,jk->ik\", a, b). A letter in several operands is one "
     "size "
     "(or 1), one that stands twice in an operand a diagonal, one that the result lacks is summed; `...` stands for "
     "the "
     "dimensions without letters; without `->` the result has the letters that stand once. From left to right, or in "
     "the "
     "order of path, as numpy.einsum_path gives it; optimize: true chooses it by sizes"},
    {"diagonal", "x, offset?, dim1?, dim2?", tensors, diagonal, 0,
     "the elements x[…, i, …, i + offset, …] of two dimensions (0 and 1) along a new last one, as a view"},
};

}  // namespace

std::span<const Builtin> tensor_contract_builtins() { return tensor_contract_table; }

}  // namespace tenon
