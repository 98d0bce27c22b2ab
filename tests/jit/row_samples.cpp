#include "tests/jit/row_samples.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <map>

#include <fmt/format.h>

#include "ir/row.h"

namespace tenon {

namespace {

using Shape = std::vector<int64_t>;
using Shapes = std::vector<Shape>;

AttrList list(const Shape& values) { return AttrList(values.begin(), values.end()); }

// What one family of rows is tried with.
struct Recipe {
    Context& context;
    Op op;
    DType dtype;
    std::vector<RowSample> samples;

    AttrId attr(std::initializer_list<std::pair<std::string_view, AttrValue>> entries) {
        Record record;
        for (const auto& [key, value] : entries) record.push_back({context.name(key), value});
        return context.attr(std::move(record));
    }
    void add(std::vector<SampleOperand> operands, AttrId with = {}) {
        std::string name = std::string(row(op).name) + " of";
        for (const SampleOperand& o : operands) name += " " + std::string(name_of(o.dtype)) + shape_to_string(o.sizes);
        samples.push_back({op, std::move(name), std::move(operands), with});
    }
    SampleOperand data(Shape sizes) const { return {std::move(sizes), dtype}; }
    SampleOperand positions(Shape sizes, int64_t below) const { return {std::move(sizes), DType::i64, below}; }
};

void elementwise(Recipe& r, bool large) {
    const size_t count = size_t(row(r.op).max_operands);
    const std::vector<Shapes> unary = {{{2, 3}}, {{}}, {{0, 3}}, {{1}}, {{67}}, {{5, 1, 4}}};
    const std::vector<Shapes> binary = {{{2, 3}, {2, 3}}, {{2, 1, 3}, {4, 1}}, {{}, {}},
                                        {{3}, {}},        {{0, 3}, {3}},       {{33}, {33}}};
    const std::vector<Shapes> ternary = {{{2, 3}, {2, 3}, {2, 3}}, {{3, 1}, {4}, {}}, {{}, {}, {}}, {{0}, {0}, {1}}};
    std::vector<Shapes> all = count == 1 ? unary : count == 2 ? binary : ternary;
    if (large) all = {Shapes(count, {90001}), count == 1 ? Shapes{{7, 130, 101}} : Shapes{{7, 130, 101}, {130, 1}, {}}};
    for (Shapes& shapes : all) {
        shapes.resize(count);
        std::vector<SampleOperand> operands;
        for (const Shape& s : shapes) operands.push_back(r.data(s));
        if (row(r.op).name == "where") operands[0].dtype = DType::boolean;
        if (row(r.op).name != "cast") {
            r.add(operands);
            continue;
        }
        for (int to = 0; to < dtype_count; ++to) r.add(operands, r.attr({{"dtype", DType(to)}}));
    }
}

void reduction(Recipe& r, bool large) {
    struct Case {
        Shape sizes, axes;
    };
    std::vector<Case> cases = {{{3, 4}, {1}},    {{3, 4}, {0}}, {{3, 4}, {0, 1}}, {{2, 3, 5}, {0, 2}},
                               {{2, 3, 5}, {1}}, {{}, {}},      {{37}, {0}},      {{3, 1}, {1}}};
    const bool has_identity = row(r.op).name != "max" && row(r.op).name != "min";
    if (has_identity) cases.push_back({{0, 3}, {0}});
    cases.push_back({{0, 3}, {1}});
    if (large) cases = {{{300, 401}, {1}}, {{300, 401}, {0}}, {{120001}, {0}}, {{20, 50, 120}, {0, 2}}};
    for (const Case& c : cases)
        for (bool keep : {false, true}) r.add({r.data(c.sizes)}, r.attr({{"axes", list(c.axes)}, {"keepdim", keep}}));
}

void along_axis(Recipe& r, bool large, bool keepdim) {
    std::vector<std::pair<Shape, int64_t>> cases = {{{3, 4}, 1}, {{3, 4}, 0}, {{2, 3, 5}, 1}, {{7}, 0}};
    if (large) cases = {{{300, 401}, 1}, {{300, 401}, 0}, {{2, 60, 300}, 1}, {{120001}, 0}};
    for (const auto& [sizes, axis] : cases) {
        if (keepdim) r.add({r.data(sizes)}, r.attr({{"axis", axis}, {"keepdim", false}}));
        else if (row(r.op).name == "argsort" || row(r.op).name == "sort")
            for (int64_t count : {sizes[size_t(axis)], int64_t{2}})
                r.add({r.data(sizes)}, r.attr({{"axis", axis}, {"descending", axis == 0}, {"count", count}}));
        else r.add({r.data(sizes)}, r.attr({{"axis", axis}}));
    }
}

void movement(Recipe& r, bool large) {
    const std::string_view name = row(r.op).name;
    const int64_t n = large ? 401 : 4;
    if (name == "expand") {
        r.add({r.data({3, 1})}, r.attr({{"sizes", list({2, 3, n})}}));
        r.add({r.data({})}, r.attr({{"sizes", list({n, 2})}}));
    } else if (name == "permute") {
        r.add({r.data({2, 3, n})}, r.attr({{"axes", list({2, 0, 1})}}));
        r.add({r.data({300, n})}, r.attr({{"axes", list({1, 0})}}));
        r.add({r.data({})}, r.attr({{"axes", AttrList{}}}));
    } else if (name == "reshape") {
        r.add({r.data({3, n})}, r.attr({{"sizes", list({n, 3})}}));
        r.add({r.data({1})}, r.attr({{"sizes", AttrList{}}}));
        r.add({r.data({0, 4})}, r.attr({{"sizes", list({2, 0})}}));
    } else if (name == "slice") {
        r.add({r.data({5, n})}, r.attr({{"starts", list({1, 0})}, {"stops", list({4, n})}, {"steps", list({1, 2})}}));
        r.add({r.data({5, n})}, r.attr({{"starts", list({2, 0})}, {"stops", list({2, n})}, {"steps", list({1, 1})}}));
    } else if (name == "diagonal") {
        for (int64_t k : {-1, 0, 2}) r.add({r.data({n, 2, 4})}, r.attr({{"axes", list({2, 0})}, {"offset", k}}));
    } else if (name == "flip") {
        for (const Shape& axes : {Shape{1}, Shape{0, 1}}) r.add({r.data({3, n})}, r.attr({{"axes", list(axes)}}));
    } else if (name == "with_history") {
        r.add({r.data({3, n}), r.data({3, n})});
    } else {  // identity, detach
        r.add({r.data({3, n})});
    }
}

void index_row(Recipe& r, bool large) {
    const std::string_view name = row(r.op).name;
    const int64_t n = large ? 401 : 4, m = large ? 300 : 3;
    if (name == "take") {
        r.add({r.data({5, n}), r.positions({m}, 5)}, r.attr({{"axis", int64_t(0)}}));
        r.add({r.data({5, n}), r.positions({m, 2}, n)}, r.attr({{"axis", int64_t(1)}}));
        for (const Shape& at : {Shape{}, Shape{0}})
            r.add({r.data({5, n}), r.positions(at, 5)}, r.attr({{"axis", int64_t(0)}}));
    } else if (name == "take_add") {
        r.add({r.data({5, n}), r.positions({m}, 5), r.data({m, n})}, r.attr({{"axis", int64_t(0)}}));
        r.add({r.data({5, n}), r.positions({m}, n), r.data({5, m})}, r.attr({{"axis", int64_t(1)}}));
    } else if (name == "gather") {
        r.add({r.data({5, n}), r.positions({5, m}, n)}, r.attr({{"axis", int64_t(1)}}));
        r.add({r.data({5, n}), r.positions({m, n}, 5)}, r.attr({{"axis", int64_t(0)}}));
    } else {  // scatter_add
        r.add({r.data({5, n}), r.positions({5, m}, n), r.data({5, m})}, r.attr({{"axis", int64_t(1)}}));
        r.add({r.data({5, n}), r.positions({m, n}, 5), r.data({m, n})}, r.attr({{"axis", int64_t(0)}}));
    }
}

// Within one block of queries and keys and beyond it; masks of either kind, which broadcast or do not.
void attention(Recipe& r, bool large) {
    struct Case {
        Shape lead;
        int64_t queries, keys, width, values;
        Shape mask;
        bool masks = false, adds = false, causal = false;
    };
    std::vector<Case> cases = {
        {{2}, 5, 7, 3, 4, {}, false, false, false},  {{2, 2}, 4, 3, 2, 1, {2, 1, 1, 3}, true, false, false},
        {{2}, 3, 4, 2, 2, {3, 4}, true, true, true}, {{}, 66, 130, 1, 2, {66, 1}, true, true, false},
        {{1}, 67, 3, 2, 1, {}, false, false, true},  {{2}, 0, 3, 2, 2, {}, false, false, false}};
    if (large)
        cases = {{{3, 4}, 200, 300, 40, 24, {200, 300}, true, true, false},
                 {{8}, 150, 150, 16, 16, {}, false, false, true}};
    const auto joined = [](Shape lead, Shape last) {
        lead.insert(lead.end(), last.begin(), last.end());
        return lead;
    };
    for (const Case& c : cases) {
        std::vector<SampleOperand> operands = {r.data(joined(c.lead, {c.queries, c.width})),
                                               r.data(joined(c.lead, {c.keys, c.width})),
                                               r.data(joined(c.lead, {c.keys, c.values}))};
        if (row(r.op).name == "attention_gradient")
            for (const Shape& last : {Shape{c.queries}, Shape{c.queries}, Shape{c.queries, c.values}})
                operands.push_back(r.data(joined(c.lead, last)));
        if (c.masks) operands.push_back({c.mask, c.adds ? r.dtype : DType::boolean});
        r.add(operands, r.attr({{"causal", c.causal}}));
    }
}

// conv and its gradients, of one, two and three dimensions of space.
void convolution(Recipe& r, bool large) {
    struct Case {
        Shape x, kernel, stride, padding, dilation;
        int64_t groups;
    };
    std::vector<Case> cases = {
        {{2, 3, 5, 4}, {4, 3, 3, 2}, {1, 1}, {0, 0}, {1, 1}, 1},
        {{2, 16, 6, 7}, {6, 8, 3, 3}, {2, 1}, {1, 2}, {1, 2}, 2},
        {{3, 2, 9}, {3, 2, 4}, {3}, {1}, {1}, 1},
        {{1, 2, 4, 3, 5}, {2, 2, 2, 3, 1}, {1, 2, 3}, {1, 1, 0}, {2, 1, 1}, 1},
        {{2, 3, 9, 20}, {3, 1, 3, 3}, {1, 1}, {1, 1}, {1, 1}, 3},
        {{1, 3, 7, 6}, {6, 1, 1, 1}, {2, 3}, {0, 0}, {1, 1}, 3},
        {{0, 2, 4}, {3, 2, 2}, {1}, {0}, {1}, 1},
        {{2, 2, 4}, {0, 2, 2}, {1}, {0}, {1}, 1},
        {{2, 3, 1, 1}, {2, 3, 3, 3}, {1, 1}, {1, 1}, {1, 1}, 1},
    };
    if (large)
        cases = {{{3, 20, 30, 33}, {50, 20, 3, 3}, {1, 1}, {1, 1}, {1, 1}, 1},
                 {{5, 12, 24, 17}, {40, 12, 3, 5}, {2, 2}, {1, 2}, {1, 1}, 1},
                 {{20, 60, 7, 7}, {100, 30, 3, 3}, {1, 1}, {1, 1}, {1, 1}, 2},
                 {{4, 40, 30, 30}, {40, 1, 3, 3}, {1, 1}, {1, 1}, {1, 1}, 40},
                 {{3, 8, 1500}, {20, 8, 25}, {3}, {4}, {2}, 1},
                 {{2, 90, 12, 12}, {70, 90, 1, 1}, {2, 2}, {0, 0}, {1, 1}, 1},
                 {{2, 10, 6, 9, 10}, {30, 10, 3, 3, 3}, {1, 1, 2}, {1, 1, 1}, {1, 1, 1}, 1},
                 {{2, 130, 5, 40}, {14, 130, 3, 3}, {1, 1}, {2, 1}, {1, 1}, 1},
                 {{3, 64, 9, 41}, {26, 32, 3, 3}, {2, 3}, {1, 1}, {1, 1}, 2},
                 {{2, 40, 7, 33}, {30, 40, 2, 3}, {1, 1}, {0, 0}, {1, 1}, 1},
                 {{3, 40, 9, 11}, {30, 40, 1, 1}, {1, 1}, {0, 0}, {1, 1}, 1},
                 {{2, 48, 6, 31}, {17, 48, 3, 3}, {1, 1}, {1, 2}, {1, 2}, 1}};
    for (const Case& c : cases) {
        Shape y{c.x[0], c.kernel[0]}, x_space(c.x.begin() + 2, c.x.end()),
            kernel_space(c.kernel.begin() + 2, c.kernel.end());
        for (size_t d = 0; d < x_space.size(); ++d)
            y.push_back((x_space[d] + 2 * c.padding[d] - c.dilation[d] * (kernel_space[d] - 1) - 1) / c.stride[d] + 1);
        const std::string_view name = row(r.op).name;
        Record record;
        for (auto [key, values] : {std::pair{"stride", c.stride}, {"padding", c.padding}, {"dilation", c.dilation}})
            record.push_back({r.context.name(key), list(values)});
        record.push_back({r.context.name("groups"), AttrValue(c.groups)});
        if (name != "conv")
            record.push_back({r.context.name("sizes"), list(name == "conv_input_gradient" ? x_space : kernel_space)});
        r.add({r.data(name == "conv_input_gradient" ? y : c.x), r.data(name == "conv_weight_gradient" ? y : c.kernel)},
              r.context.attr(record));
    }
}

// Rows whose operands need more than a dtype, by name.
bool special(Recipe& r, bool large) {
    const std::string_view name = row(r.op).name;
    const int64_t n = large ? 401 : 4;
    if (name == "matmul") {
        r.add({r.data({3, n}), r.data({n, 5})});
        r.add({r.data({2, 1, 3, n}), r.data({4, n, 2})});
        r.add({r.data({2, 3, n}), r.data({n, 5})});
        r.add({r.data({n, 3}), r.data({5, n})}, r.attr({{"transpose_a", true}, {"transpose_b", true}}));
        r.add({r.data({3, 0}), r.data({0, 2})});
        for (const Shape& added : {Shape{3, 5}, {5}, {}, {1}, {3, 1}, {1, 5}})
            r.add({r.data({3, n}), r.data({n, 5}), r.data(added)});
        for (const Shape& added : {Shape{2, 4, 3, 2}, {4, 1, 2}, {2, 1, 3, 2}, {2, 4, 1, 1}})
            r.add({r.data({2, 1, 3, n}), r.data({4, n, 2}), r.data(added)});
        for (const Shape& added : {Shape{2, 3, 5}, {2, 1, 5}, {3, 5}})
            r.add({r.data({2, 3, n}), r.data({n, 5}), r.data(added)});
        r.add({r.data({9, 0}), r.data({0, 2}), r.data({9, 2})});
        if (large) r.add({r.data({200, 300}), r.data({300, 170})});
    } else if (name == "conv" || name == "conv_input_gradient" || name == "conv_weight_gradient") {
        convolution(r, large);
    } else if (name == "attention" || name == "attention_gradient") {
        attention(r, large);
    } else if (name == "cat") {
        r.add({r.data({2, n}), r.data({3, n}), r.data({0, n})}, r.attr({{"axis", int64_t(0)}}));
        r.add({r.data({2, n}), r.data({2, 1})}, r.attr({{"axis", int64_t(1)}}));
    } else if (name == "full") {
        r.add({r.data({})}, r.attr({{"sizes", list({3, n})}}));
    } else if (name == "iota") {
        if (r.dtype != DType::boolean) r.add({}, r.attr({{"sizes", list({large ? 100 : n})}, {"dtype", r.dtype}}));
    } else if (name == "size") {
        if (r.dtype == DType::i64) r.add({}, r.attr({{"value", int64_t(7)}, {"dtype", r.dtype}}));
    } else if (name == "random" || name == "random_normal") {
        const std::vector<SampleOperand> key = {r.positions({}, 1000), r.positions({}, 1000)};
        if (is_float(r.dtype) || (r.dtype == DType::i64 && name == "random"))
            r.add(key, r.attr({{"sizes", list({3, n})}, {"dtype", r.dtype}}));
    } else if (name == "recurrence") {
        for (bool reverse : {false, true}) {
            const AttrId from_1 = r.attr({{"axis", int64_t(1)}, {"reverse", reverse}, {"start", 1.0}});
            const AttrId from_0 = r.attr({{"axis", int64_t(0)}, {"reverse", reverse}, {"start", 0.0}});
            r.add({r.data({3, n})}, from_1);
            r.add({r.data({n, 2}), r.data({n, 2})}, from_0);
            r.add({r.data({2, n}), r.data({2, n})}, from_1);
            r.add({r.data({0}), r.data({0})}, from_0);
        }
    } else {
        return false;
    }
    return true;
}

std::vector<RowSample> samples(Context& context, Op op, DType dtype, bool large) {
    const Row& r = row(op);
    Recipe recipe{context, op, dtype, {}};
    const bool is_where = r.name == "where";  // its first operand is bool, the row admits any dtype for the others
    if (!is_where && !admits(r.dtypes, dtype)) return {};
    if (dtype == DType::boolean && (r.name == "cumsum" || r.name == "matmul")) return {};
    if (special(recipe, large)) {
    } else if (r.lowering == Lowering::scalar) {
        elementwise(recipe, large);
    } else if (r.lowering == Lowering::reduce) {
        reduction(recipe, large);
    } else if (r.lowering == Lowering::movement) {
        movement(recipe, large);
    } else if (r.name == "argmax" || r.name == "argmin" || r.name == "max_along" || r.name == "min_along") {
        along_axis(recipe, large, true);
    } else if (r.name == "cumsum" || r.name == "argsort" || r.name == "sort" || r.lowering == Lowering::composite) {
        along_axis(recipe, large, false);
    } else if (r.name == "take" || r.name == "take_add" || r.name == "gather" || r.name == "scatter_add") {
        index_row(recipe, large);
    } else if (r.name == "pad") {
        const auto into = [&](const SampleOperand& x, const AttrValue& starts, const AttrValue& stops,
                              const AttrValue& steps, const AttrValue& sizes) {
            recipe.add({x}, recipe.attr({{"starts", starts}, {"stops", stops}, {"steps", steps}, {"sizes", sizes}}));
        };
        into(recipe.data({3, 2}), list({1, 0}), list({4, 4}), list({1, 2}), list({5, 4}));
        into(recipe.data({0, 3}), list({2, 0}), list({2, 3}), list({1, 1}), list({4, 3}));
        into(recipe.data({4}), list({0}), list({4}), list({1}), list({4}));
        into(recipe.data({}), AttrList{}, AttrList{}, AttrList{}, AttrList{});
        if (large) into(recipe.data({3, 1000}), list({2, 0}), list({5, 1000}), list({1, 1}), list({40, 1000}));
    } else if (r.name == "update") {
        recipe.add({recipe.data({5, 4}), recipe.data({3, 2})});  // graph() writes through a slice
    }
    return std::move(recipe.samples);
}

double uniform(std::mt19937_64& random) { return double(random() >> 11) * 0x1p-53; }

// Where the gradient of a row exists and central differences of it are accurate.
double smooth_value(std::string_view row, size_t operand, std::mt19937_64& random) {
    const double u = uniform(random);
    if (row == "log" || row == "log2" || row == "sqrt" || row == "rsqrt" || row == "pow") return 0.4 + 1.8 * u;
    if (row == "asin" || row == "acos") return 1.7 * u - 0.85;
    if (row == "tan") return 2 * u - 1;
    if (row.starts_with("attention")) return 1.6 * u - 0.8;
    if (row == "log1p") return 2 * u - 0.6;
    if (row == "div" || row == "fmod" || row == "remainder" || row == "floor_divide") {
        // Quotients stay away from integers: 0.55 to 0.95 above one.
        return operand == 1 ? 1.9 + 0.1 * u : 2 * double(random() % 5) + 1.1 + 0.6 * u;
    }
    // Never near an integer or a half, where floor, round, abs and sign jump.
    return (double(random() % 3) + 0.1 + 0.3 * u) * (random() % 2 ? 1 : -1);
}

template <class T> T hostile_value(std::string_view row, size_t operand, std::mt19937_64& random) {
    const bool divides = row == "floor_divide" || row == "remainder" || row == "fmod";
    if constexpr (std::is_same_v<T, bool>) {
        return random() % 2;
    } else if constexpr (std::is_integral_v<T>) {
        if (operand == 1 && row == "pow") return T(random() % 6);   // a negative power of an integer is none
        if (operand == 1 && divides) return T(random() % 100 + 1);  // a division by 0 is an error
        const T extremes[] = {0, 1, T(-1), 2, 7, std::numeric_limits<T>::min(), std::numeric_limits<T>::max()};
        return random() % 3 ? T(random()) : extremes[random() % 7];
    } else {
        const double extremes[] = {0.0,   -0.0, 1,    -1,    2,      0.5,   NAN,  INFINITY, -INFINITY,
                                   1e-40, 1e-7, 1e30, 1e300, 1e-310, 65504, -3.5, 1e-300,   20.5};
        return T(random() % 3 ? 8 * uniform(random) - 4 : extremes[random() % 18]);
    }
}

}  // namespace

// Rows with regions are tried in tests/jit/regions/scan_test.cpp.
std::vector<Op> computing_rows() {
    std::vector<Op> ops;
    for (const Row& r : all_rows()) {
        const bool computes = r.lowering != Lowering::structure && r.regions == 0 && r.effect == Effect::none && r.level != Level::loop;
        if (computes) ops.push_back(find_op(r.name));
    }
    return ops;
}

std::vector<RowSample> samples_of(Context& context, Op op, DType dtype) { return samples(context, op, dtype, false); }
std::vector<RowSample> large_samples_of(Context& context, Op op, DType dtype) {
    return samples(context, op, dtype, true);
}

GraphRef RowSample::graph(Context& context) const {
    Builder builder(context);
    std::vector<NodeId> inputs;
    for (const SampleOperand& o : operands) {
        std::vector<SizeId> sizes;
        for (int64_t s : o.sizes) sizes.push_back(context.constant(s));
        inputs.push_back(builder.parameter(context.tensor(o.dtype, sizes)));
    }
    if (tenon::row(op).name == "update") {
        Record record;
        for (auto [key, values] : {std::pair{"starts", Shape{1, 0}}, {"stops", Shape{4, 4}}, {"steps", Shape{1, 2}}})
            record.push_back({context.name(key), list(values)});
        const NodeId view = builder.emit(require_op("slice"), {inputs[0]}, context.attr(record));
        return builder.finish({builder.emit(op, {inputs[0], view, inputs[1]})});
    }
    return builder.finish(builder.results_of(builder.emit(op, inputs, attr)));
}

std::vector<Tensor> RowSample::values(const Allocator& allocator, Draw draw, uint64_t seed) const {
    std::mt19937_64 random(seed);
    std::vector<Tensor> tensors;
    for (size_t k = 0; k < operands.size(); ++k) {
        const SampleOperand& o = operands[k];
        Tensor t = Tensor::empty(allocator, o.dtype, Dims(o.sizes.begin(), o.sizes.end()));
        visit_dtype(o.dtype, [&]<class T>() {
            for (int64_t i = 0; i < t.numel(); ++i) {
                T& element = t.data<T>()[i];
                if (o.below) {
                    if constexpr (std::is_same_v<T, int64_t>) element = int64_t(random() % uint64_t(o.below));
                } else if constexpr (std::is_integral_v<T>) {
                    element =
                        draw == Draw::hostile ? hostile_value<T>(tenon::row(op).name, k, random) : T(random() % 5 + 1);
                } else if (draw == Draw::hostile) {
                    element = T(hostile_value<double>(tenon::row(op).name, k, random));
                } else {
                    element = T(smooth_value(tenon::row(op).name, k, random));
                }
            }
        });
        tensors.push_back(std::move(t));
    }
    return tensors;
}

}  // namespace tenon
