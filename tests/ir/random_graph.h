// Random tensor-level graphs of f32 values: elementwise ops that broadcast, movement, reductions, cat and update, over
// small shapes that hit what is special: sizes of 1, dimensions that merge, views of views. With symbols, sizes of
// parameters are symbolic here and there, other sizes are written by these, and what has to be equal is so by a guard.
// With `several`, some nodes have several results, of which some are read, some tuples are made, and values are put
// together of parts.
#pragma once
#include <algorithm>
#include <random>
#include <string_view>
#include <vector>

#include "ir/build/builder.h"
#include "ir/passes/passes.h"
#include "ir/text/text.h"
#include "runtime/diagnostic.h"

namespace tenon {

// Tiles of two positions by eight, wherever memory lies along two dimensions.
constexpr Target tiny_caches{.cache_bytes = 16, .near_bytes = 16, .cache_ways = 1, .line_bytes = 8};

class RandomGraph {
public:
    RandomGraph(Context& context, uint32_t seed, bool symbols = false, bool several = false)
        : context_(context), builder_(context), random_(seed), symbols_(symbols), several_(several), extra_(seed + 1) {
        builder_.known_sizes().assume_hints(symbols);
        builder_.known_sizes().decide_small(symbols);
    }

    // Receives the shapes of the parameters.
    GraphRef make(std::vector<std::vector<int64_t>>& inputs) {
        const size_t params = 1 + pick(3);
        for (size_t k = 0; k < params; ++k) {
            std::vector<int64_t> shape;
            for (size_t d = 0, rank = pick(4); d < rank; ++d) shape.push_back(extent());
            inputs.push_back(shape);
            values_.push_back(parameter(shape));
        }
        for (size_t k = 0, nodes = 3 + pick(14); k < nodes; ++k) add();
        std::vector<NodeId> results{values_.back()};
        for (size_t k = 0, n = pick(4); k < n; ++k) results.push_back(any());
        return builder_.finish(results, context_.name("random"));
    }

private:
    using Sizes = std::vector<SizeId>;

    size_t pick(size_t n) { return std::uniform_int_distribution<size_t>(0, n - 1)(random_); }
    // Of what graphs without symbols do not choose: their seeds mean what they always meant.
    bool choose() { return symbols_ && std::uniform_int_distribution<int>(0, 1)(extra_) == 1; }
    int64_t extent() {
        static constexpr int64_t some[] = {1, 2, 3, 4, 5, 7, 12};
        return some[pick(std::size(some))];
    }
    NodeId parameter(const std::vector<int64_t>& shape) {
        Sizes sizes;
        std::vector<size_t> symbolic;
        for (size_t d = 0; d < shape.size(); ++d) {
            sizes.push_back(SizeId(shape[d]));
            if (shape[d] < 2 || !choose()) continue;
            sizes.back() = context_.symbol(uint32_t(builder_.symbols().size() + symbolic.size()));
            symbolic.push_back(d);
        }
        const NodeId made = builder_.parameter(context_.tensor(DType::f32, sizes));
        for (size_t d : symbolic) builder_.symbol(made, int(d), shape[d]);
        return made;
    }
    NodeId any() { return values_[values_.size() - 1 - std::min(pick(values_.size()), pick(values_.size()))]; }
    const Sizes& sizes(NodeId id) const { return builder_.type(id).sizes; }
    int64_t value(SizeId size) const { return context_.evaluate(size, builder_.known_sizes().hints()); }
    std::vector<int64_t> shape(NodeId id) const {
        std::vector<int64_t> out;
        for (SizeId s : sizes(id)) out.push_back(value(s));
        return out;
    }
    AttrId attr(std::initializer_list<std::pair<const char*, AttrValue>> entries) {
        Record record;
        for (const auto& [key, value] : entries) record.push_back({context_.name(key), value});
        return context_.attr(std::move(record));
    }
    static AttrList list(const std::vector<int64_t>& v) { return AttrList(v.begin(), v.end()); }
    static AttrList list(const Sizes& v) { return AttrList(v.begin(), v.end()); }
    NodeId emit(std::string_view o, std::initializer_list<NodeId> operands, AttrId a = {}) {
        return builder_.emit(find_op(o), operands, a);
    }
    void push(NodeId id) {
        int64_t n = 1;
        for (int64_t s : shape(id)) n *= s;
        if (n <= 4096) values_.push_back(id);
    }
    // A size to repeat by: a number, or with symbols one that is written by others.
    SizeId repeats() {
        const SizeId number(extent());
        if (!choose()) return number;
        const Sizes& some = sizes(values_[size_t(value(number)) % values_.size()]);
        return some.empty() || value(some.back()) > 12 ? number : some.back();
    }

    void add() {
        const NodeId x = any();
        const std::vector<int64_t> s = shape(x);
        const size_t rank = s.size();
        if (several_ && pick(4) == 0) return add_several(x, rank);
        switch (pick(16)) {
            case 0: push(emit("neg", {x})); break;
            case 1: push(emit("tanh", {x})); break;
            case 2: push(emit("relu", {x})); break;
            case 3: push(emit("mul", {x, builder_.literal(0.5, DType::f32)})); break;
            case 4:
            case 5:
            case 6: binary(x); break;
            case 7: {
                std::vector<int64_t> axes;
                for (size_t d = 0; d < rank; ++d) axes.push_back(int64_t(d));
                std::shuffle(axes.begin(), axes.end(), random_);
                push(emit("permute", {x}, attr({{"axes", list(axes)}})));
                break;
            }
            case 8: {
                const NodeId part = slice(x);
                push(part);
                if (pick(2)) break;
                Record place = context_[builder_.node(part).attr];
                place.push_back({context_.name("sizes"), AttrValue(list(sizes(x)))});
                NodeId whole = emit("pad", {pick(2) ? emit("tanh", {part}) : part}, context_.attr(place));
                for (size_t more = pick(3); more > 0; --more) {  // a sum of them, and of what may be -0.0
                    const NodeId other = pick(2) ? x : emit("pad", {part}, context_.attr(place));
                    whole = pick(2) ? emit("add", {whole, other}) : emit("add", {other, whole});
                }
                push(whole);
                break;
            }
            case 9: reshape(x, sizes(x)); break;
            case 10: {
                Sizes to = sizes(x);
                for (SizeId& d : to)
                    if (d == SizeId(1)) d = repeats();
                if (pick(2)) to.insert(to.begin(), repeats());
                push(emit("expand", {x}, attr({{"sizes", list(to)}})));
                break;
            }
            case 11: {
                std::vector<int64_t> axes;
                for (size_t d = 0; d < rank; ++d)
                    if (pick(2)) axes.push_back(int64_t(d));
                push(emit("flip", {x}, attr({{"axes", list(axes)}})));
                break;
            }
            case 12:
            case 13: {
                std::vector<int64_t> axes;
                for (size_t d = 0; d < rank; ++d)
                    if (pick(2)) axes.push_back(int64_t(d));
                push(emit(pick(3) ? "sum" : "max", {x}, attr({{"axes", list(axes)}, {"keepdim", pick(2) == 1}})));
                break;
            }
            case 14:
                if (rank > 0) {
                    const int64_t axis = int64_t(pick(rank));
                    push(emit("cat", {x, emit("tanh", {x})}, attr({{"axis", axis}})));
                }
                break;
            case 15: {
                NodeId view = slice(x);
                if (pick(2))
                    view = emit("flip", {view},
                                attr({{"axes", list(rank > 0 ? std::vector<int64_t>{0} : std::vector<int64_t>{})}}));
                if (pick(3) == 0) {  // the whole, in another shape
                    std::vector<int64_t> axes(rank);
                    for (size_t d = 0; d < rank; ++d) axes[d] = int64_t(rank - 1 - d);
                    view = emit("permute", {x}, attr({{"axes", list(axes)}}));
                    if (pick(2)) view = emit("permute", {view}, attr({{"axes", list(axes)}}));
                }
                push(emit("update", {x, view,
                                     pick(2) ? emit("tanh", {view})
                                             : emit("full", {builder_.literal(3.0, DType::f32)},
                                                    attr({{"sizes", list(sizes(view))}}))}));
                break;
            }
        }
    }
    // Parts of x along an axis, each put where it was, and their sum, unless one is left out or there twice.
    void add_parts(NodeId x, size_t axis) {
        const Sizes whole = sizes(x);
        Sizes cuts{SizeId(0)};
        for (int64_t k = 1; k < value(whole[axis]); ++k)
            if (pick(2)) cuts.push_back(SizeId(k));
        cuts.push_back(whole[axis]);
        std::vector<NodeId> parts;
        for (size_t k = 0; k + 1 < cuts.size(); ++k) {
            Sizes starts(whole.size(), SizeId(0)), stops = whole;
            starts[axis] = cuts[k];
            stops[axis] = cuts[k + 1];
            Record place = context_[attr({{"starts", list(starts)},
                                          {"stops", list(stops)},
                                          {"steps", list(std::vector<int64_t>(whole.size(), 1))}})];
            const NodeId part = emit("slice", {x}, context_.attr(place));
            place.push_back({context_.name("sizes"), AttrValue(list(whole))});
            parts.push_back(emit("pad", {pick(2) ? emit("tanh", {part}) : part}, context_.attr(place)));
        }
        if (pick(4) == 0) parts.push_back(parts[pick(parts.size())]);
        if (pick(4) == 0 && parts.size() > 1) parts.pop_back();
        std::shuffle(parts.begin(), parts.end(), random_);
        for (; parts.size() > 1; parts.pop_back()) {
            const size_t to = pick(parts.size() - 1);
            parts[to] = emit("add", {parts[to], parts.back()});
        }
        push(parts[0]);
    }
    void add_several(NodeId x, size_t rank) {
        std::vector<NodeId> results;
        if (rank > 0 && pick(3) == 0) return add_parts(x, pick(rank));
        if (rank > 0 && pick(3) > 0) {
            const AttrValue axis(int64_t(pick(rank))), descending(pick(2) == 1);
            results = builder_.results_of(emit("sort", {x}, attr({{"axis", axis}, {"descending", descending}})));
            results[1] = emit("cast", {results[1]}, attr({{"dtype", AttrValue(DType::f32)}}));
        } else {
            results = builder_.results_of(emit("tuple", {x, any(), pick(2) ? emit("tanh", {x}) : any()}));
        }
        for (NodeId result : results)
            if (pick(3) > 0) push(result);
    }
    void binary(NodeId x) {
        static constexpr std::string_view names[] = {"add", "sub", "mul", "maximum"};
        for (int tries = 0; tries < 8; ++tries) {
            const NodeId y = any();
            const std::vector<int64_t> a = shape(x), b = shape(y);
            bool fits = true;
            for (size_t d = 0; d < std::min(a.size(), b.size()); ++d) {
                const int64_t p = a[a.size() - 1 - d], q = b[b.size() - 1 - d];
                fits &= p == q || p == 1 || q == 1;
            }
            if (fits) return push(emit(names[pick(4)], {x, y}));
        }
    }
    NodeId slice(NodeId x) {
        Sizes starts, stops;
        std::vector<int64_t> steps;
        for (SizeId size : sizes(x)) {
            const int64_t n = value(size);
            const int64_t a = int64_t(pick(size_t(n))), b = a + 1 + int64_t(pick(size_t(n - a)));
            starts.push_back(SizeId(pick(2) ? 0 : a));
            stops.push_back(b == n || choose() ? context_.sub(size, SizeId(n - b)) : SizeId(b));
            steps.push_back(1 + int64_t(pick(2)));
        }
        return emit("slice", {x}, attr({{"starts", list(starts)}, {"stops", list(stops)}, {"steps", list(steps)}}));
    }
    void reshape(NodeId x, Sizes s) {
        if (s.size() >= 2 && pick(2)) {
            const size_t d = pick(s.size() - 1);
            s[d] = context_.mul(s[d], s[d + 1]);
            s.erase(s.begin() + ptrdiff_t(d) + 1);
        } else {
            for (size_t d = 0; d < s.size(); ++d)
                if (value(s[d]) % 2 == 0) {
                    s[d] = context_.floordiv(s[d], SizeId(2));
                    s.insert(s.begin() + ptrdiff_t(d) + ptrdiff_t(pick(2)), SizeId(2));
                    break;
                }
            if (pick(2)) s.insert(s.begin() + ptrdiff_t(pick(s.size() + 1)), SizeId(1));
        }
        if (choose()) regroup(x, s);
        push(emit("reshape", {x}, attr({{"sizes", list(s)}})));
    }
    // The sizes of another value with as many elements, if there is one: equal for no reason that polynomials tell.
    void regroup(NodeId x, Sizes& s) {
        const auto numel = [&](NodeId id) {
            int64_t n = 1;
            for (int64_t d : shape(id)) n *= d;
            return n;
        };
        for (NodeId other : values_)
            if (other != x && numel(other) == numel(x) && sizes(other) != sizes(x)) s = sizes(other);
    }

    Context& context_;
    Builder builder_;
    std::mt19937 random_;
    const bool symbols_, several_;
    std::mt19937 extra_;
    std::vector<NodeId> values_;
};

// The graph with these sizes as constants; null where they do not fit (a slice leaves what it slices).
inline GraphRef at_sizes(const Graph& graph, std::span<const int64_t> values) {
    try {
        const GraphRef constant = specialise(graph, values, std::vector<bool>(values.size()));
        return find_fault(*constant) ? nullptr : constant;
    } catch (const Error&) { return nullptr; }
}

// A graph with symbols, some of them kept, and other sizes for which it holds as well.
struct SymbolicGraph {
    GraphRef graph;
    struct Sizes {
        std::vector<std::vector<int64_t>> inputs;  // shapes
        GraphRef constant;                         // the same graph with these sizes as constants
    };
    std::vector<Sizes> sizes;  // the first are those it was made with
};
inline SymbolicGraph random_symbolic_graph(Context& context, uint32_t seed, bool several = false) {
    std::vector<std::vector<int64_t>> shapes;
    const GraphRef made = RandomGraph(context, seed, true, several).make(shapes);
    std::mt19937 random(seed);
    std::vector<int64_t> values;
    std::vector<bool> keep;
    for (const SizeSymbol& symbol : made->symbols) {
        values.push_back(symbol.hint);
        keep.push_back(random() % 4 != 0);
    }
    // One at least, so that few graphs are without: of those that are, guards have decided every size.
    if (!keep.empty() && std::find(keep.begin(), keep.end(), true) == keep.end()) keep[random() % keep.size()] = true;
    SymbolicGraph out{specialise(*made, values, keep), {}};
    values.clear();
    for (const SizeSymbol& symbol : out.graph->symbols) values.push_back(symbol.hint);
    for (int tries = 0; tries < 12 && out.sizes.size() < 4; ++tries) {
        const bool holds = std::all_of(out.graph->equalities.begin(), out.graph->equalities.end(), [&](const auto& e) {
            return context.evaluate(e.left, values) == context.evaluate(e.right, values);
        });
        if (GraphRef constant = holds ? at_sizes(*out.graph, values) : nullptr) {
            SymbolicGraph::Sizes sizes{{}, std::move(constant)};
            for (NodeId p : out.graph->params()) {
                sizes.inputs.emplace_back();
                for (SizeId size : out.graph->type(p).sizes)
                    sizes.inputs.back().push_back(context.evaluate(size, values));
            }
            out.sizes.push_back(std::move(sizes));
        }
        static constexpr int64_t some[] = {1, 2, 3, 4, 5, 6, 8, 13};
        for (int64_t& value : values) value = some[random() % std::size(some)];
    }
    return out;
}

}  // namespace tenon
