// Convolutions over one to three dimensions of space, and what is their gradient. conv2d and its kin, in stdlib/images.model,
// are said in these.
#include <fmt/format.h>

#include "frontend/methods/tables.h"
#include "frontend/builtins/tensor.h"
#include "runtime/diagnostic.h"

namespace tenon {

namespace {

// An int for each dimension of space, or one for all.
Dims for_each_dimension(TensorCall& c, size_t k, size_t space, std::string_view what, int64_t otherwise) {
    Dims values = c.has(k) ? c.axes(k) : Dims{otherwise};
    if (values.size() == 1) values.resize(space, values[0]);
    if (values.size() != space)
        throw_error("shape", fmt::format("{} is an int, or one for each of {} dimensions of space, but there are {}",
                                         what, space, values.size()));
    return values;
}

struct Operands {
    TensorRef first, second;
};
Operands operands(TensorCall& c) { return {c.tensor(0), c.tensor(1)}; }

// The node, whose geometry is given by arguments from `at` on: stride, padding, dilation, groups.
TensorRef apply(TensorCall& c, Op op, const Operands& o, size_t at, const Sizes* sizes) {
    const size_t rank = o.first->rank(), space = rank > 2 ? rank - 2 : 1;
    Context& context = c.d.context();
    Record record;
    const auto add = [&](std::string_view key, size_t k, int64_t otherwise) {
        record.push_back({context.name(key), c.d.list(for_each_dimension(c, k, space, key, otherwise))});
    };
    add("stride", at, 1);
    add("padding", at + 1, 0);
    add("dilation", at + 2, 1);
    record.push_back({context.name("groups"), AttrValue(c.integer_or(at + 3, 1, "groups"))});
    if (sizes) record.push_back({context.name("sizes"), c.d.list(std::span<const Size>(*sizes))});
    return c.d.apply(op, {o.first, o.second}, context.attr(record));
}

Value conv(Evaluator& e, Arguments& a) {  // x, weight, stride?, padding?, dilation?, groups?
    TensorCall c(e, a);
    return apply(c, op<"conv">(), operands(c), 2, nullptr);
}
Value conv_input_gradient(Evaluator& e, Arguments& a) {  // y, weight, sizes, stride?, padding?, dilation?, groups?
    TensorCall c(e, a);
    const Operands o = operands(c);
    const Sizes sizes = c.sizes(2);
    return apply(c, op<"conv_input_gradient">(), o, 3, &sizes);
}
Value conv_weight_gradient(Evaluator& e, Arguments& a) {  // x, y, sizes, stride?, padding?, dilation?, groups?
    TensorCall c(e, a);
    const Operands o = operands(c);
    const Sizes sizes = c.sizes(2);
    return apply(c, op<"conv_weight_gradient">(), o, 3, &sizes);
}

constexpr Builtin tensor_convolution_table[] = {
    {"conv", "x, weight, stride?, padding?, dilation?, groups?", tensors, conv, takes_sizes,
     "the convolution of f[n, channels, …] with f[outputs, channels / groups, …] over one to three dimensions of "
     "space: "
     "Σ x[n, c, p·stride + q·dilation − padding] · weight[o, c, q]. stride 1, padding 0, dilation 1 by default: an "
     "int, "
     "or one for each dimension"},
    {"conv_input_gradient", "y, weight, sizes, stride?, padding?, dilation?, groups?", tensors, conv_input_gradient,
     takes_sizes,
     "the gradient of conv by x, where y is that by its result and `sizes` x's sizes of space: a transposed "
     "convolution"},
    {"conv_weight_gradient", "x, y, sizes, stride?, padding?, dilation?, groups?", tensors, conv_weight_gradient,
     takes_sizes, "the gradient of conv by weight, where y is that by its result and `sizes` weight's sizes of space"},
};

}  // namespace

std::span<const Builtin> tensor_convolution_builtins() { return tensor_convolution_table; }

}  // namespace tenon
