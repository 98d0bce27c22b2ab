// Random tensor-level graphs of f32 values: elementwise ops that broadcast, movement, reductions, cat and update, over
// small shapes that hit what is special: sizes of 1, dimensions that merge, views of views.
#pragma once
#include <algorithm>
#include <random>
#include <string_view>
#include <vector>

#include "ir/build/builder.h"

namespace tenon {

class RandomGraph {
public:
    RandomGraph(Context& context, uint32_t seed) : context_(context), builder_(context), random_(seed) {}

    // Receives the shapes of the parameters.
    GraphRef make(std::vector<std::vector<int64_t>>& inputs) {
        const size_t params = 1 + pick(3);
        for (size_t k = 0; k < params; ++k) {
            std::vector<int64_t> shape;
            for (size_t d = 0, rank = pick(4); d < rank; ++d) shape.push_back(extent());
            inputs.push_back(shape);
            values_.push_back(builder_.parameter(context_.tensor(DType::f32, sizes(shape))));
        }
        for (size_t k = 0, nodes = 3 + pick(14); k < nodes; ++k) add();
        std::vector<NodeId> results{values_.back()};
        for (size_t k = 0, n = pick(4); k < n; ++k) results.push_back(any());
        return builder_.finish(results, context_.name("random"));
    }

private:
    size_t pick(size_t n) { return std::uniform_int_distribution<size_t>(0, n - 1)(random_); }
    int64_t extent() {
        static constexpr int64_t some[] = {1, 2, 3, 4, 5, 7, 12};
        return some[pick(std::size(some))];
    }
    NodeId any() { return values_[values_.size() - 1 - std::min(pick(values_.size()), pick(values_.size()))]; }
    std::vector<SizeId> sizes(const std::vector<int64_t>& shape) const { return {shape.begin(), shape.end()}; }
    std::vector<int64_t> shape(NodeId id) const {
        std::vector<int64_t> out;
        for (SizeId s : builder_.type(id).sizes) out.push_back(*context_.as_constant(s));
        return out;
    }
    AttrId attr(std::initializer_list<std::pair<const char*, AttrValue>> entries) {
        Record record;
        for (const auto& [key, value] : entries) record.push_back({context_.name(key), value});
        return context_.attr(std::move(record));
    }
    static AttrList list(const std::vector<int64_t>& v) { return AttrList(v.begin(), v.end()); }
    NodeId emit(std::string_view o, std::initializer_list<NodeId> operands, AttrId a = {}) {
        return builder_.emit(find_op(o), operands, a);
    }
    void push(NodeId id) {
        int64_t n = 1;
        for (int64_t s : shape(id)) n *= s;
        if (n <= 4096) values_.push_back(id);
    }

    void add() {
        const NodeId x = any();
        const std::vector<int64_t> s = shape(x);
        const size_t rank = s.size();
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
            case 8: push(slice(x)); break;
            case 9: reshape(x, s); break;
            case 10: {
                std::vector<int64_t> to = s;
                for (int64_t& d : to)
                    if (d == 1) d = extent();
                if (pick(2)) to.insert(to.begin(), extent());
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
                                                    attr({{"sizes", list(shape(view))}}))}));
                break;
            }
        }
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
        std::vector<int64_t> starts, stops, steps;
        for (int64_t n : shape(x)) {
            const int64_t a = int64_t(pick(size_t(n))), b = a + 1 + int64_t(pick(size_t(n - a)));
            starts.push_back(pick(2) ? 0 : a);
            stops.push_back(b);
            steps.push_back(1 + int64_t(pick(2)));
        }
        return emit("slice", {x}, attr({{"starts", list(starts)}, {"stops", list(stops)}, {"steps", list(steps)}}));
    }
    void reshape(NodeId x, std::vector<int64_t> s) {
        if (s.size() >= 2 && pick(2)) {
            const size_t d = pick(s.size() - 1);
            s[d] *= s[d + 1];
            s.erase(s.begin() + ptrdiff_t(d) + 1);
        } else {
            for (size_t d = 0; d < s.size(); ++d)
                if (s[d] % 2 == 0) {
                    s[d] /= 2;
                    s.insert(s.begin() + ptrdiff_t(d) + ptrdiff_t(pick(2)), 2);
                    break;
                }
            if (pick(2)) s.insert(s.begin() + ptrdiff_t(pick(s.size() + 1)), 1);
        }
        push(emit("reshape", {x}, attr({{"sizes", list(s)}})));
    }

    Context& context_;
    Builder builder_;
    std::mt19937 random_;
    std::vector<NodeId> values_;
};

}  // namespace tenon
