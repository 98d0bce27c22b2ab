// Convolutions: three rows that are closed under differentiation, since each is linear in either operand and the gradient by
// it is another of the three. One function of jit/library serves every engine, so their bits agree.
//
// Data is [n, channels, …], a kernel [outputs, channels of a group, …], with one to three dimensions of space, and
//
//     conv                  y[n, o, p] = Σ  x[n, c, p·stride + q·dilation − padding] · w[o, c, q]     over c, q
//     conv_input_gradient   x[n, c, i] = Σ  y[n, o, p] · w[o, c, q]    over o, q, where i = p·stride + q·dilation − padding
//     conv_weight_gradient  w[o, c, q] = Σ  x[n, c, p·stride + q·dilation − padding] · y[n, o, p]     over n, p
//
// for c and o of one group. Each element is one chain of fma from +0.0 over the ascending indices of its sum, as written
// (channels before places of the kernel, row-major), whatever the blocks, tiles and threads. A place outside of x or y is a
// zero that takes part, so that an infinite weight is NaN in the padding; of conv_input_gradient's, places between those
// that the stride visits are no terms.
#include "ir/differentiate/batching.h"
#include "ir/differentiate/gradient.h"
#include "ir/ops/tables.h"
#include "runtime/integer.h"

namespace tenon {

namespace {

// The operands are `data` or `kernels`; for messages.
struct Operand {
    std::string_view what;
    size_t number;
};

struct Geometry {
    Dims stride, padding, dilation;
    SizeId groups;
};

Geometry geometry(Infer& i, const Operand& first, const Operand& second) {
    for (const Operand& o : {first, second}) require_tensor(i, o.number);
    const Type &a = i.type(first.number), &b = i.type(second.number);
    const std::string name(i.op);
    if (a.rank() < 3 || a.rank() > 5)
        i.fail("shape", name + " takes " + std::string(first.what) +
                            " with one to three dimensions of space, [n, channels, …], but got " +
                            i.show(i.operands[first.number]));
    if (a.rank() != b.rank())
        i.fail("shape", name + " takes operands of one rank, but they are " + i.show(i.operands[first.number]) +
                            " and " + i.show(i.operands[second.number]));
    if (a.dtype != b.dtype)
        i.fail("dtype",
               name + " needs operands of one dtype, but they are " + i.show(i.operands[first.number]) + " and " +
                   i.show(i.operands[second.number]),
               "cast one of them with `x.to(dtype)`");
    if (!admits(DTypes::floats, a.dtype))
        i.fail("dtype", name + " needs a float dtype, but got " + i.show(i.operands[first.number]),
               "cast with `x.to(f32)`");
    const Attributes attributes = i.attributes();
    Geometry g{attributes.integers("stride"), attributes.integers("padding"), attributes.integers("dilation"),
               attributes.size("groups")};
    const size_t space = a.rank() - 2;
    const auto check = [&](std::string_view key, const Dims& values, int64_t least) {
        if (values.size() != space)
            i.fail("shape", name + " of " + i.show(i.operands[first.number]) + " takes " + std::to_string(space) +
                                " values of " + std::string(key) + ", but got " + std::to_string(values.size()));
        for (int64_t value : values)
            if (value < least)
                i.fail("value", name + ": " + std::string(key) + " is at least " + std::to_string(least) +
                                    ", but it is " + std::to_string(value));
    };
    check("stride", g.stride, 1);
    check("padding", g.padding, 0);
    check("dilation", g.dilation, 1);
    if (const auto groups = i.context.as_constant(g.groups); groups && *groups < 1)
        i.fail("value", name + ": groups is at least 1, but it is " + std::to_string(*groups));
    return g;
}

// A size as far as it is known, while a graph is captured too.
std::optional<int64_t> known(const Infer& i, SizeId size) {
    const auto constant = i.context.as_constant(size);
    return constant || i.hints.empty() ? constant : std::optional(i.context.evaluate(size, i.hints));
}

// How many places of the kernel's origin there are along dimension d of space.
SizeId visited(Infer& i, const Geometry& g, size_t d, SizeId input, SizeId kernel) {
    Context& c = i.context;
    const SizeId extent = c.add(c.mul(c.constant(g.dilation[d]), c.sub(kernel, SizeId(1))), SizeId(1));
    const SizeId padded = c.add(input, c.constant(multiply_saturated(2, g.padding[d])));
    if (const auto k = known(i, kernel); k && *k < 1)
        i.fail("shape", std::string(i.op) + " needs a kernel of at least 1 in each dimension of space, but dimension " +
                            std::to_string(d) + " is " + std::to_string(*k));
    const auto have = known(i, padded), need = known(i, extent);
    if (have && need && *have < *need)
        i.fail("shape",
               std::string(i.op) + " needs an input that the kernel fits into, but dimension " + std::to_string(d) +
                   " of space is " + std::to_string(*have) + " with its padding and the kernel " +
                   std::to_string(*need) + (g.dilation[d] > 1 ? " with its dilation" : ""),
               "a larger `padding:` or a smaller kernel");
    return c.add(c.floordiv(c.sub(padded, extent), c.constant(g.stride[d])), SizeId(1));
}

void require_groups(Infer& i, std::string_view what, SizeId channels, SizeId groups) {
    const auto n = known(i, channels), g = known(i, groups);
    if (n && g && *n % *g != 0)
        i.fail("shape", std::string(i.op) + ": " + std::string(what) + " must be divided by groups, but they are " +
                            std::to_string(*n) + " and groups is " + std::to_string(*g));
}

TypeId conv_rule(Infer& i) {  // data, kernels
    const Geometry g = geometry(i, {"data", 0}, {"kernels", 1});
    const Type &x = i.type(0), &w = i.type(1);
    require_groups(i, "the channels of the data", x.sizes[1], g.groups);
    require_groups(i, "the outputs of the kernels", w.sizes[0], g.groups);
    const SizeId expected = i.context.mul(w.sizes[1], g.groups);
    if (!i.equal(x.sizes[1], expected))
        i.fail("shape",
               "conv with kernels " + i.show(i.operands[1]) + " and groups " + i.show(g.groups) + " takes data of " +
                   i.show(expected) + " channels, but it has " + i.show(x.sizes[1]) + ": " + i.show(i.operands[0]),
               "data is [n, channels, …], kernels are [outputs, channels / groups, …]");
    SizeList sizes{x.sizes[0], w.sizes[0]};
    for (size_t d = 0; d + 2 < x.rank(); ++d) sizes.push_back(visited(i, g, d, x.sizes[d + 2], w.sizes[d + 2]));
    return i.context.tensor(x.dtype, sizes, x.device);
}

// That y is what conv makes of inputs of these sizes of space with such kernels.
void require_visited(Infer& i, const Geometry& g, const Type& y, std::span<const SizeId> input,
                     std::span<const SizeId> kernel) {
    for (size_t d = 0; d < input.size(); ++d) {
        const SizeId expected = visited(i, g, d, input[d], kernel[d]);
        if (!i.equal(y.sizes[d + 2], expected))
            i.fail("shape", std::string(i.op) + ": a convolution of " + i.show(input[d]) + " with a kernel of " +
                                i.show(kernel[d]) + " gives " + i.show(expected) + " in dimension " +
                                std::to_string(d) + " of space, not " + i.show(y.sizes[d + 2]));
    }
}

SizeList space_of(Infer& i, std::string_view key, size_t rank) {
    const SizeList sizes = i.attributes().sizes(key);
    if (sizes.size() + 2 != rank)
        i.fail("shape", std::string(i.op) + " takes " + std::to_string(rank - 2) + " sizes of space, but got " +
                            std::to_string(sizes.size()));
    return sizes;
}

TypeId conv_input_gradient_rule(Infer& i) {  // results, kernels
    const Geometry g = geometry(i, {"data", 0}, {"kernels", 1});
    const Type &y = i.type(0), &w = i.type(1);
    require_groups(i, "the channels of the data", y.sizes[1], g.groups);
    if (!i.equal(y.sizes[1], w.sizes[0]))
        i.fail("shape",
               std::string(i.op) + " takes data with a channel for each kernel, but they are " + i.show(i.operands[0]) +
                   " and " + i.show(i.operands[1]),
               "data is [n, channels, …], kernels are [channels, outputs / groups, …]");
    const SizeList space = space_of(i, "sizes", y.rank());
    require_visited(i, g, y, space, std::span(w.sizes).subspan(2));
    SizeList sizes{y.sizes[0], i.context.mul(w.sizes[1], g.groups)};
    for (SizeId s : space) sizes.push_back(s);
    return i.context.tensor(y.dtype, sizes, y.device);
}

TypeId conv_weight_gradient_rule(Infer& i) {  // data, results
    const Geometry g = geometry(i, {"data", 0}, {"results", 1});
    const Type &x = i.type(0), &y = i.type(1);
    require_groups(i, "the channels of the data", x.sizes[1], g.groups);
    require_groups(i, "the channels of the results", y.sizes[1], g.groups);
    if (!i.equal(x.sizes[0], y.sizes[0]))
        i.fail("shape", std::string(i.op) + " takes as many examples as results, but they are " +
                            i.show(i.operands[0]) + " and " + i.show(i.operands[1]));
    const SizeList space = space_of(i, "sizes", x.rank());
    require_visited(i, g, y, std::span(x.sizes).subspan(2), space);
    SizeList sizes{y.sizes[1], i.context.floordiv(x.sizes[1], g.groups)};
    for (SizeId s : space) sizes.push_back(s);
    return i.context.tensor(x.dtype, sizes, x.device);
}

// ---- gradients ------------------------------------------------------------------------------------------------------
AttrId geometry_attr(Gradient& d, std::span<const SizeId> sizes = {}) {
    const Attributes a = d.attributes();
    const AttrValue stride = *a.find("stride"), padding = *a.find("padding"), dilation = *a.find("dilation"),
                    groups = *a.find("groups");
    if (sizes.empty())
        return d.attr({{"stride", stride}, {"padding", padding}, {"dilation", dilation}, {"groups", groups}});
    return d.attr({{"stride", stride},
                   {"padding", padding},
                   {"dilation", dilation},
                   {"groups", groups},
                   {"sizes", AttrList(sizes.begin(), sizes.end())}});
}
std::span<const SizeId> space(const Type& type) { return std::span(type.sizes).subspan(2); }

Term input_gradient(Gradient& d, const Term& y, const Term& w, const Type& x) {
    return apply(op<"conv_input_gradient">(), {y, w}, geometry_attr(d, space(x)));
}
Term weight_gradient(Gradient& d, const Term& x, const Term& y, const Type& w) {
    return apply(op<"conv_weight_gradient">(), {x, y}, geometry_attr(d, space(w)));
}
Term convolved(Gradient& d, const Term& x, const Term& w) { return apply(op<"conv">(), {x, w}, geometry_attr(d)); }

void conv_gradient(Gradient& d) {
    d.x(0) += input_gradient(d, d.g, d.b, d.type(0));
    d.x(1) += weight_gradient(d, d.a, d.g, d.type(1));
}
void conv_input_gradient_gradient(Gradient& d) {
    d.x(0) += convolved(d, d.g, d.b);
    d.x(1) += weight_gradient(d, d.g, d.a, d.type(1));
}
void conv_weight_gradient_gradient(Gradient& d) {
    d.x(0) += input_gradient(d, d.b, d.g, d.type(0));
    d.x(1) += convolved(d, d.a, d.g);
}

// ---- batching -------------------------------------------------------------------------------------------------------
// The batch goes where an example's chains stay what they are: into the examples where only the data has it, else beside the
// channels, of each group or as groups of their own.

// Of a value with the batch first, the example's dimension `axis` as [groups, batch, the rest].
NodeId beside(Batching& b, size_t operand, size_t axis, SizeId groups) {
    Context& c = b.context();
    const std::vector<SizeId> example = b.type(operand).sizes;
    AttrList split{b.size()}, axes, joined;
    for (size_t k = 0; k < example.size(); ++k) {
        const auto at = int64_t(split.size());
        if (k != axis) {
            axes.push_back(at);
            split.push_back(example[k]);
            joined.push_back(example[k]);
        } else {
            axes.insert(axes.end(), {AttrValue(at), AttrValue(int64_t(0)), AttrValue(at + 1)});
            split.push_back(groups);
            split.push_back(c.floordiv(example[k], groups));
            joined.push_back(c.mul(b.size(), example[k]));
        }
    }
    return b.reshape(b.permute(b.reshape(b.operand(operand), std::move(split)), std::move(axes)), std::move(joined));
}
// The result, whose dimension `axis` is [groups, batch, the rest], with the batch first again.
NodeId apart(Batching& b, NodeId value, size_t axis, SizeId groups) {
    const std::vector<SizeId> example = b.result_type().sizes;
    AttrList split, axes{int64_t(axis + 1)};
    for (size_t k = 0; k < example.size(); ++k) {
        if (k == axis) {
            split.push_back(groups);
            split.push_back(b.size());
        }
        split.push_back(k == axis ? b.context().floordiv(example[k], groups) : example[k]);
    }
    for (size_t k = 0; k < split.size(); ++k)
        if (k != axis + 1) axes.push_back(int64_t(k));
    return b.reshape(b.permute(b.reshape(value, std::move(split)), std::move(axes)), b.batch_of(example));
}
NodeId as_more_examples(Batching& b) {
    std::vector<SizeId> example = b.type(0).sizes;
    AttrList joined(example.begin(), example.end());
    joined[0] = b.context().mul(b.size(), example[0]);
    return b.reshape(b.again({b.reshape(b.operand(0), std::move(joined)), b.operand(1)}, b.attr()),
                     b.batch_of(b.result_type().sizes));
}
SizeId groups_of(Batching& b) { return b.attributes().size("groups"); }
// Each example of the batch as groups of its own; the channels stand at these dimensions.
NodeId as_more_groups(Batching& b, size_t first, size_t second, size_t result) {
    const AttrId attr = b.with("groups", b.context().mul(groups_of(b), b.size()));
    return apart(b, b.again({beside(b, 0, first, SizeId(1)), beside(b, 1, second, SizeId(1))}, attr), result,
                 SizeId(1));
}

NodeId conv_batching(Batching& b) {
    if (!b.batched(1)) return as_more_examples(b);
    if (b.batched(0)) return as_more_groups(b, 1, 0, 1);
    return apart(b, b.again({b.operand(0), beside(b, 1, 0, groups_of(b))}, b.attr()), 1, groups_of(b));
}
NodeId conv_input_gradient_batching(Batching& b) {
    if (!b.batched(1)) return as_more_examples(b);
    if (b.batched(0)) return as_more_groups(b, 1, 0, 1);
    return apart(b, b.again({b.operand(0), beside(b, 1, 1, SizeId(1))}, b.attr()), 1, groups_of(b));
}
NodeId conv_weight_gradient_batching(Batching& b) {
    if (b.batched(0) && b.batched(1)) return as_more_groups(b, 1, 1, 0);
    if (b.batched(0)) return apart(b, b.again({beside(b, 0, 1, groups_of(b)), b.operand(1)}, b.attr()), 1, SizeId(1));
    return apart(b, b.again({b.operand(0), beside(b, 1, 1, groups_of(b))}, b.attr()), 0, groups_of(b));
}

constexpr Row convolution(Row r) {
    r.min_operands = r.max_operands = 2;
    r.dtypes = DTypes::floats;
    r.lowering = Lowering::library;
    return r;
}

// clang-format off
const Row convolution_table[] = {
    convolution({.name = "conv", .doc = "convolution over one to three dimensions: data [n, channels, …], kernels [outputs, channels / groups, …]", .result = conv_rule,
                 .gradient = conv_gradient, .batching = conv_batching}),
    convolution({.name = "conv_input_gradient", .doc = "the gradient of conv's data, a transposed convolution: results [n, outputs, …], kernels", .result = conv_input_gradient_rule,
                 .gradient = conv_input_gradient_gradient, .batching = conv_input_gradient_batching}),
    convolution({.name = "conv_weight_gradient", .doc = "the gradient of conv's kernels: data [n, channels, …], results [n, outputs, …]", .result = conv_weight_gradient_rule,
                 .gradient = conv_weight_gradient_gradient, .batching = conv_weight_gradient_batching}),
};
// clang-format on

}  // namespace

std::span<const Row> convolution_rows() { return convolution_table; }

}  // namespace tenon
