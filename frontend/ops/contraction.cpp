#include "frontend/ops/contraction.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <limits>
#include <map>

#include <fmt/format.h>

#include "runtime/diagnostic.h"

namespace tenon::ops {

namespace {

bool has(const Labels& labels, int label) { return std::find(labels.begin(), labels.end(), label) != labels.end(); }
size_t place(const Labels& labels, int label) {
    return static_cast<size_t>(std::find(labels.begin(), labels.end(), label) - labels.begin());
}

Labels without(const Labels& labels, FunctionRef<bool(int)> gone) {
    Labels left;
    for (int label : labels) {
        if (!gone(label)) left.push_back(label);
    }
    return left;
}

// The dimensions in the order of `order`, all of x's.
TensorRef ordered(Dispatcher& d, const Labelled& x, const Labels& order) {
    Dims axes;
    for (int label : order) axes.push_back(static_cast<int64_t>(place(x.labels, label)));
    return std::is_sorted(axes.begin(), axes.end()) ? x.tensor : permute(d, x.tensor, axes);
}

Size size_of_label(Dispatcher& d, const Labelled& x, int label) { return d.size(*x.tensor, place(x.labels, label)); }

// ---- products of elements ------------------------------------------------------------------------------------------
// x's dimensions in the order of `order`, with size 1 where it has none.
TensorRef spread(Dispatcher& d, const Labelled& x, const Labels& order) {
    const Labels own = without(order, [&](int label) { return !has(x.labels, label); });
    Sizes sizes;
    for (int label : order) sizes.push_back(has(x.labels, label) ? size_of_label(d, x, label) : Size(1));
    const TensorRef moved = ordered(d, x, own);
    return sizes.size() == moved->rank() ? moved : reshape(d, moved, std::move(sizes));
}

// No matrices: every name is in both or in the result. Products, and their sum in the order of reductions.
Labelled multiply_elements(Dispatcher& d, const Labelled& a, const Labelled& b, const Labels& kept,
                           const Labels& summed) {
    Labels order = kept;
    order.insert(order.end(), summed.begin(), summed.end());
    if (summed.empty())
        return {elementwise(d, op<"mul">(), {spread(d, a, order), spread(d, b, order)}), std::move(order)};
    Dims axes;
    for (size_t k = kept.size(); k < order.size(); ++k) axes.push_back(static_cast<int64_t>(k));
    const TensorRef products =
        elementwise(d, op<"mul">(), {widened(d, spread(d, a, order)), widened(d, spread(d, b, order))});
    return {cast(d, reduce(d, op<"sum">(), products, axes, false), a.tensor->dtype()), kept};
}

// ---- products of matrices ------------------------------------------------------------------------------------------
// A dimension of its own that stands before the last one of the batch is a dimension of the batch too, which the other
// operand repeats: nothing is moved then. One at least stays, as the rows of the matrices.
Labels leading(const Labels& x, const Labels& batch, const Labels& own) {
    const auto last = [&](const Labels& of) {
        size_t at = 0;
        for (int label : of) at = std::max(at, place(x, label) + 1);
        return at;
    };
    const size_t end = last(batch);
    if (last(own) < end) return without(x, [&](int label) { return !has(batch, label); });
    Labels lead;
    for (size_t k = 0; k < end; ++k) {
        if (has(batch, x[k]) || has(own, x[k])) lead.push_back(x[k]);
    }
    return lead;
}

// The dimensions before those of the matrices, of which each operand has some, in an order that is its own for the first,
// and for the second as far as that allows.
Labels merged(const Labels& first, const Labels& second) {
    Labels all;
    size_t next = 0;
    for (int label : first) {
        if (has(second, label)) {
            for (; next < second.size() && second[next] != label && !has(first, second[next]); ++next)
                all.push_back(second[next]);
            if (next < second.size() && second[next] == label) ++next;
        }
        all.push_back(label);
    }
    for (int label : second) {
        if (!has(all, label)) all.push_back(label);
    }
    return all;
}

// As matrices: [lead…, own, inner] or the other way round, where `inner` are the dimensions that are summed. What lies
// otherwise is a transposed view.
TensorRef matrices(Dispatcher& d, const Labelled& x, const Labels& lead, const Labels& own, const Labels& inner,
                   bool inner_first) {
    const bool lies_inner_first =
        own.empty() ? inner_first : place(x.labels, inner.back()) < place(x.labels, own.front());
    Labels order = without(lead, [&](int label) { return !has(x.labels, label); });
    const Labels &before = lies_inner_first ? inner : own, &after = lies_inner_first ? own : inner;
    order.insert(order.end(), before.begin(), before.end());
    order.insert(order.end(), after.begin(), after.end());
    Sizes sizes;
    for (int label : lead) sizes.push_back(has(x.labels, label) ? size_of_label(d, x, label) : Size(1));
    for (const Labels* part : {&before, &after}) {
        Size count(1);
        for (int label : *part) count = multiply(d, count, size_of_label(d, x, label));
        sizes.push_back(count);
    }
    TensorRef moved = ordered(d, x, order);
    if (before.size() != 1 || after.size() != 1 || sizes.size() != moved->rank())
        moved = reshape(d, moved, std::move(sizes));
    return lies_inner_first != inner_first ? transpose(d, moved, -2, -1) : moved;
}

Labelled multiply_matrices(Dispatcher& d, const Labelled& a, const Labelled& b, const Labels& batch,
                           const Labels& inner) {
    const auto own = [&](const Labelled& x) {
        return without(x.labels, [&](int label) { return has(batch, label) || has(inner, label); });
    };
    const Labels lead_a = leading(a.labels, batch, own(a)), lead_b = leading(b.labels, batch, own(b));
    const Labels lead = merged(lead_a, lead_b);
    const Labels rows = without(own(a), [&](int label) { return has(lead, label); }),
                 columns = without(own(b), [&](int label) { return has(lead, label); });
    const TensorRef left = matrices(d, a, lead, rows, inner, false), right = matrices(d, b, lead, columns, inner, true);
    const TensorRef product = d.apply(op<"matmul">(), {left, right});
    Labels result = lead;
    Sizes sizes;
    for (size_t k = 0; k < lead.size(); ++k) sizes.push_back(d.size(*product, k));
    for (const auto& [x, labels] : {std::pair{&a, &rows}, std::pair{&b, &columns}}) {
        for (int label : *labels) {
            result.push_back(label);
            sizes.push_back(size_of_label(d, *x, label));
        }
    }
    const bool same = rows.size() == 1 && columns.size() == 1;
    return {same ? product : reshape(d, product, std::move(sizes)), std::move(result)};
}

// ---- one pair ------------------------------------------------------------------------------------------------------
Labelled summed_over(Dispatcher& d, const Labelled& x, FunctionRef<bool(int)> gone) {
    Dims axes;
    for (size_t k = 0; k < x.labels.size(); ++k) {
        if (gone(x.labels[k])) axes.push_back(static_cast<int64_t>(k));
    }
    if (axes.empty()) return x;
    return {reduce(d, op<"sum">(), x.tensor, axes, false), without(x.labels, gone)};
}

// Of `wanted`, in that order, those that there are.
Labelled multiplied(Dispatcher& d, Labelled a, Labelled b, const Labels& wanted) {
    a = summed_over(d, a, [&](int label) { return !has(wanted, label) && !has(b.labels, label); });
    b = summed_over(d, b, [&](int label) { return !has(wanted, label) && !has(a.labels, label); });
    const Labels shared = without(a.labels, [&](int label) { return !has(b.labels, label); });
    const Labels inner = without(shared, [&](int label) { return has(wanted, label); });
    const Labels batch = without(shared, [&](int label) { return !has(wanted, label); });
    const bool no_rows = a.labels.size() == shared.size(), no_columns = b.labels.size() == shared.size();
    if (inner.empty() || (no_rows && no_columns)) {
        const Labels kept = without(wanted, [&](int label) { return !has(a.labels, label) && !has(b.labels, label); });
        return multiply_elements(d, a, b, kept, inner);
    }
    // The operand whose own dimension comes last in the result is on the right: nothing is permuted afterwards then.
    for (size_t k = wanted.size(); k-- > 0 && !no_rows && !no_columns;) {
        const bool in_a = has(a.labels, wanted[k]), in_b = has(b.labels, wanted[k]);
        if (in_a == in_b) continue;
        if (in_a) std::swap(a, b);
        break;
    }
    return multiply_matrices(d, a, b, batch, inner);
}

// What is still asked of the product of some operands: by the result, in its order, and then by the others.
Labels wanted_of(const Labels& result, std::span<const Labelled> others) {
    Labels wanted = result;
    for (const Labelled& other : others) {
        for (int label : other.labels) {
            if (!has(wanted, label)) wanted.push_back(label);
        }
    }
    return wanted;
}

}  // namespace

void unify(Dispatcher& d, std::span<Labelled> operands, FunctionRef<std::string(int)> show) {
    std::map<int, std::pair<int64_t, size_t>> sizes;  // the size that is not 1, if there is one, and whose it is
    for (size_t k = 0; k < operands.size(); ++k) {
        Labelled& x = operands[k];
        for (size_t i = 0; i < x.labels.size(); ++i) {
            for (size_t j = i + 1; j < x.labels.size();) {
                if (x.labels[i] != x.labels[j]) {
                    ++j;
                    continue;
                }
                const int64_t one = x.tensor->shape()[i], other = x.tensor->shape()[j];
                if (one != other) {
                    throw_error("shape",
                                fmt::format("{} stands twice for operand {}, {}, where it is {} and {}",
                                            show(x.labels[i]), k + 1, describe_type(*x.tensor), one, other),
                                "a diagonal has one size; narrow the operand, or name its dimensions apart");
                }
                const int label = x.labels[i];
                x.tensor = diagonal(d, x.tensor, 0, static_cast<int64_t>(i), static_cast<int64_t>(j));
                x.labels.erase(x.labels.begin() + static_cast<ptrdiff_t>(j));
                x.labels.erase(x.labels.begin() + static_cast<ptrdiff_t>(i));
                x.labels.push_back(label);
                j = i + 1;
            }
        }
        for (size_t i = 0; i < x.labels.size(); ++i) {
            const int64_t size = x.tensor->shape()[i];
            auto& [known, owner] = sizes.try_emplace(x.labels[i], size, k).first->second;
            if (size == 1 || size == known) continue;
            if (known != 1) {
                throw_error("shape",
                            fmt::format("{} is {} in operand {}, {}, and {} in operand {}, {}", show(x.labels[i]),
                                        known, owner + 1, describe_type(*operands[owner].tensor), size, k + 1,
                                        describe_type(*x.tensor)),
                            "one letter is one size in all operands, or 1");
            }
            known = size;
            owner = k;
        }
    }
    for (Labelled& x : operands) {
        for (size_t i = x.labels.size(); i-- > 0;) {
            if (x.tensor->shape()[i] != 1 || sizes.at(x.labels[i]).first == 1) continue;
            x.tensor = squeeze(d, x.tensor, static_cast<int64_t>(i));
            x.labels.erase(x.labels.begin() + static_cast<ptrdiff_t>(i));
        }
    }
}

TensorRef contract(Dispatcher& d, std::vector<Labelled> left, const Labels& result, const Path& path) {
    const auto multiply_some = [&](std::vector<Labelled> group) {
        std::vector<Labelled> others = left;
        Labelled product = group[0];
        for (size_t k = 1; k < group.size(); ++k) {
            std::vector<Labelled> rest(group.begin() + static_cast<ptrdiff_t>(k) + 1, group.end());
            rest.insert(rest.end(), others.begin(), others.end());
            product = multiplied(d, std::move(product), group[k], wanted_of(result, rest));
        }
        return product;
    };
    for (const std::vector<size_t>& step : path) {
        std::vector<Labelled> group;
        for (size_t k : step) group.push_back(left[k]);
        std::vector<Labelled> rest;
        for (size_t k = 0; k < left.size(); ++k) {
            if (std::find(step.begin(), step.end(), k) == step.end()) rest.push_back(std::move(left[k]));
        }
        left = std::move(rest);
        left.push_back(multiply_some(std::move(group)));
    }
    std::vector<Labelled> group = std::exchange(left, {});
    Labelled product = multiply_some(std::move(group));
    product = summed_over(d, product, [&](int label) { return !has(result, label); });
    return ordered(d, product, result);
}

// ---- which pair first ----------------------------------------------------------------------------------------------
namespace {

// The names of operands as bits.
struct Costs {
    Costs(std::span<const Labelled> operands, const Labels& result) {
        std::map<int, size_t> numbers;
        for (const Labelled& x : operands) {
            Set set(sizes.size());
            for (size_t k = 0; k < x.labels.size(); ++k) {
                const size_t bit = numbers.try_emplace(x.labels[k], numbers.size()).first->second;
                if (bit >= sizes.size()) sizes.push_back(0);
                sizes[bit] = static_cast<double>(x.tensor->shape()[k]);
                if (bit >= set.size()) set.resize(bit + 1);
                set[bit] = true;
            }
            names.push_back(std::move(set));
        }
        for (Set& set : names) set.resize(std::max(sizes.size(), size_t{1}));
        wanted.resize(names.empty() ? 1 : names[0].size());
        for (int label : result) {
            if (const auto found = numbers.find(label); found != numbers.end()) wanted[found->second] = true;
        }
    }
    using Set = std::vector<bool>;
    double product(const Set& a, const Set& b) const {
        double count = 1;
        for (size_t k = 0; k < sizes.size(); ++k) {
            if (a[k] || b[k]) count *= sizes[k];
        }
        return count;
    }
    // Of the names of both, those that the result or another operand asks for.
    Set left(const Set& a, const Set& b, const Set& asked) const {
        Set kept(a.size());
        for (size_t k = 0; k < kept.size(); ++k) kept[k] = (a[k] || b[k]) && asked[k];
        return kept;
    }

    std::vector<double> sizes;
    std::vector<Set> names;
    Set wanted;
};

Path best_path(const Costs& costs, size_t count) {
    const size_t all = (size_t{1} << count) - 1;
    const auto asked_outside = [&](size_t subset) {
        Costs::Set asked = costs.wanted;
        for (size_t k = 0; k < count; ++k) {
            if (subset >> k & 1) continue;
            for (size_t bit = 0; bit < asked.size(); ++bit) asked[bit] = asked[bit] || costs.names[k][bit];
        }
        return asked;
    };
    std::vector<double> cost(all + 1, 0);
    std::vector<size_t> part(all + 1, 0);
    std::vector<Costs::Set> names(all + 1);
    for (size_t subset = 1; subset <= all; ++subset) {
        if (std::has_single_bit(subset)) {
            names[subset] = costs.names[static_cast<size_t>(std::countr_zero(subset))];
            continue;
        }
        cost[subset] = std::numeric_limits<double>::infinity();
        const size_t lowest = subset & (~subset + 1);
        // Parts that hold the lowest operand, the smallest first.
        for (size_t rest = 0;; rest = (rest - (subset ^ lowest)) & (subset ^ lowest)) {
            const size_t one = lowest | rest, other = subset ^ one;
            if (other == 0) break;
            const double total = cost[one] + cost[other] + costs.product(names[one], names[other]);
            if (total < cost[subset]) {
                cost[subset] = total;
                part[subset] = one;
            }
        }
        if (part[subset] == 0) part[subset] = lowest;  // nothing is smaller than infinity
        names[subset] = costs.left(names[part[subset]], names[subset ^ part[subset]], asked_outside(subset));
    }
    Path path;
    std::vector<size_t> left;  // subsets, in the order of the list
    for (size_t k = 0; k < count; ++k) left.push_back(size_t{1} << k);
    const auto take = [&](auto&& self, size_t subset) -> void {
        if (std::has_single_bit(subset)) return;
        const size_t one = part[subset], other = subset ^ one;
        self(self, one);
        self(self, other);
        const auto at = [&](size_t of) {
            return static_cast<size_t>(std::find(left.begin(), left.end(), of) - left.begin());
        };
        path.push_back({at(one), at(other)});
        std::erase(left, one);
        std::erase(left, other);
        left.push_back(subset);
    };
    take(take, all);
    return path;
}

Path greedy_path(Costs costs) {
    Path path;
    std::vector<Costs::Set>& left = costs.names;
    while (left.size() > 2) {
        double least = std::numeric_limits<double>::infinity();
        std::pair<size_t, size_t> pair{0, 1};
        for (size_t i = 0; i < left.size(); ++i) {
            for (size_t j = i + 1; j < left.size(); ++j) {
                const double cost = costs.product(left[i], left[j]);
                if (cost < least) {
                    least = cost;
                    pair = {i, j};
                }
            }
        }
        const auto [i, j] = pair;
        Costs::Set asked = costs.wanted;
        for (size_t k = 0; k < left.size(); ++k) {
            for (size_t bit = 0; bit < asked.size() && k != i && k != j; ++bit) asked[bit] = asked[bit] || left[k][bit];
        }
        left.push_back(costs.left(left[i], left[j], asked));
        left.erase(left.begin() + static_cast<ptrdiff_t>(j));
        left.erase(left.begin() + static_cast<ptrdiff_t>(i));
        path.push_back({i, j});
    }
    return path;
}

}  // namespace

Path cheapest_path(std::span<const Labelled> operands, const Labels& result) {
    constexpr size_t few = 6;
    if (operands.size() < 3) return {};
    Costs costs(operands, result);
    return operands.size() <= few ? best_path(costs, operands.size()) : greedy_path(std::move(costs));
}

// ---- diagonals -----------------------------------------------------------------------------------------------------
TensorRef diagonal(Dispatcher& d, const TensorRef& x, int64_t offset, int64_t first, int64_t second) {
    const int64_t one = normalise_dim(first, x->rank()), other = normalise_dim(second, x->rank());
    if (one == other) throw_error("value", fmt::format("diagonal takes two dimensions, but got {} twice", one));
    const int64_t axes[] = {one, other};
    const Dispatcher::Names& n = d.names();
    const AttrId attr = d.attr({{n.axes, d.list(std::span<const int64_t>(axes))}, {n.offset, AttrValue(offset)}});
    return d.view(op<"diagonal">(), *x, attr, row(op<"diagonal">()).view(x->tensor, {d.context(), attr}));
}

}  // namespace tenon::ops
