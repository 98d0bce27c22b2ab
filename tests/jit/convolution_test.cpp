// Convolutions and their gradients against their definition (ir/ops/convolution.cpp): one chain of fma an element, to the bit.
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstring>

#include "tests/jit/computer.h"
#include "tests/jit/row_samples.h"

namespace tenon {
namespace {

using Three = std::array<int64_t, 3>;

// All with three dimensions of space, those that lack of size 1.
struct Reference {
    int64_t n, groups, channels, outputs;
    Three x{1, 1, 1}, kernel{1, 1, 1}, y{1, 1, 1}, stride{1, 1, 1}, padding{0, 0, 0}, dilation{1, 1, 1};

    Reference(const Tensor& input, const Tensor& weight, const Tensor& result, const Attributes& a) {
        const size_t rank = input.rank(), missing = 5 - rank;
        const Dims strides = a.integers("stride"), paddings = a.integers("padding"), dilations = a.integers("dilation");
        for (size_t d = 2; d < rank; ++d) {
            const size_t at = d - 2 + missing;
            x[at] = input.shape[d];
            kernel[at] = weight.shape[d];
            y[at] = result.shape[d];
            stride[at] = strides[d - 2];
            padding[at] = paddings[d - 2];
            dilation[at] = dilations[d - 2];
        }
        n = input.shape[0];
        groups = a.integer("groups");
        channels = weight.shape[1];
        outputs = weight.shape[0] / groups;
    }
    static void each(const Three& sizes, const std::function<void(const Three&)>& f) {
        Three at;
        for (at[0] = 0; at[0] < sizes[0]; ++at[0])
            for (at[1] = 0; at[1] < sizes[1]; ++at[1])
                for (at[2] = 0; at[2] < sizes[2]; ++at[2]) f(at);
    }
    static int64_t offset(const Three& sizes, const Three& at) { return (at[0] * sizes[1] + at[1]) * sizes[2] + at[2]; }
    static int64_t volume(const Three& s) { return s[0] * s[1] * s[2]; }
    int64_t in_x(int64_t example, int64_t g, int64_t c) const {
        return ((example * groups + g) * channels + c) * volume(x);
    }
    int64_t in_y(int64_t example, int64_t g, int64_t o) const {
        return ((example * groups + g) * outputs + o) * volume(y);
    }
    int64_t in_w(int64_t g, int64_t o, int64_t c) const { return ((g * outputs + o) * channels + c) * volume(kernel); }
    // What stands there, 0 outside.
    template <class T>
    static T at(const T* data, const Three& sizes, const Three& place) {
        for (size_t d = 0; d < 3; ++d)
            if (place[d] < 0 || place[d] >= sizes[d]) return T(0);
        return data[offset(sizes, place)];
    }
    Three place(const Three& p, const Three& q) const {
        Three i;
        for (size_t d = 0; d < 3; ++d) i[d] = p[d] * stride[d] + q[d] * dilation[d] - padding[d];
        return i;
    }

    template <class T>
    std::vector<T> conv(const T* xs, const T* w) const {
        std::vector<T> out;
        for (int64_t k = 0; k < n; ++k)
            for (int64_t g = 0; g < groups; ++g)
                for (int64_t o = 0; o < outputs; ++o)
                    each(y, [&](const Three& p) {
                        T sum = 0;
                        for (int64_t c = 0; c < channels; ++c)
                            each(kernel, [&](const Three& q) {
                                sum = std::fma(at(xs + in_x(k, g, c), x, place(p, q)),
                                               w[in_w(g, o, c) + offset(kernel, q)], sum);
                            });
                        out.push_back(sum);
                    });
        return out;
    }
    template <class T>
    std::vector<T> input_gradient(const T* ys, const T* w) const {
        std::vector<T> out;
        for (int64_t k = 0; k < n; ++k)
            for (int64_t g = 0; g < groups; ++g)
                for (int64_t c = 0; c < channels; ++c)
                    each(x, [&](const Three& i) {
                        T sum = 0;
                        for (int64_t o = 0; o < outputs; ++o)
                            each(kernel, [&](const Three& q) {
                                Three p;
                                for (size_t d = 0; d < 3; ++d) {
                                    p[d] = i[d] + padding[d] - q[d] * dilation[d];
                                    if (p[d] % stride[d] != 0) return;
                                    p[d] /= stride[d];
                                }
                                sum = std::fma(at(ys + in_y(k, g, o), y, p), w[in_w(g, o, c) + offset(kernel, q)], sum);
                            });
                        out.push_back(sum);
                    });
        return out;
    }
    template <class T>
    std::vector<T> weight_gradient(const T* xs, const T* ys) const {
        std::vector<T> out;
        for (int64_t g = 0; g < groups; ++g)
            for (int64_t o = 0; o < outputs; ++o)
                for (int64_t c = 0; c < channels; ++c)
                    each(kernel, [&](const Three& q) {
                        T sum = 0;
                        for (int64_t k = 0; k < n; ++k)
                            each(y, [&](const Three& p) {
                                sum = std::fma(at(xs + in_x(k, g, c), x, place(p, q)), ys[in_y(k, g, o) + offset(y, p)],
                                               sum);
                            });
                        out.push_back(sum);
                    });
        return out;
    }
};

template <class T>
void expect_definition(Context& context, const RowSample& sample, Draw draw) {
    Computer one(1), three(3);
    const GraphRef graph = sample.graph(context);
    const std::vector<Tensor> in = sample.values(one.allocator(), draw, 7);
    const Tensor out = one.run(graph, in, EngineKind::interp)[0];
    expect_same({out}, three.run(graph, in, EngineKind::interp), sample.name);
    const Attributes a = graph->attributes(graph->results()[0]);
    const T *left = in[0].data<T>(), *right = in[1].data<T>();
    const std::string_view name = row(sample.op).name;
    const std::vector<T> expected = name == "conv" ? Reference(in[0], in[1], out, a).conv(left, right)
                                    : name == "conv_input_gradient"
                                        ? Reference(out, in[1], in[0], a).input_gradient(left, right)
                                        : Reference(in[0], out, in[1], a).weight_gradient(left, right);
    ASSERT_EQ(int64_t(expected.size()), out.numel());
    for (int64_t k = 0; k < out.numel(); ++k) {
        const T found = out.data<T>()[k];
        if (std::isnan(found) && std::isnan(expected[size_t(k)])) continue;
        ASSERT_EQ(std::memcmp(&found, &expected[size_t(k)], sizeof(T)), 0)
            << sample.name << " at " << k << ": " << found << ", not " << expected[size_t(k)];
    }
}

TEST(Convolution, ElementsAreOneChainOfFma) {
    Context context;
    for (const char* name : {"conv", "conv_input_gradient", "conv_weight_gradient"}) {
        const Op op = require_op(name);
        for (Draw draw : {Draw::smooth, Draw::hostile}) {
            for (const RowSample& sample : samples_of(context, op, DType::f32))
                expect_definition<float>(context, sample, draw);
            for (const RowSample& sample : samples_of(context, op, DType::f64))
                expect_definition<double>(context, sample, draw);
        }
        for (const RowSample& sample : large_samples_of(context, op, DType::f32))
            expect_definition<float>(context, sample, Draw::smooth);
        for (const RowSample& sample : large_samples_of(context, op, DType::f64))
            expect_definition<double>(context, sample, Draw::hostile);
    }
}

// Narrow elements are computed with as f32 and rounded once.
TEST(Convolution, NarrowElementsAreRoundedOnce) {
    Context context;
    Computer computer(2);
    for (const char* name : {"conv", "conv_input_gradient", "conv_weight_gradient"})
        for (DType dtype : {DType::f16, DType::bf16}) {
            const auto narrow = samples_of(context, require_op(name), dtype),
                       wide = samples_of(context, require_op(name), DType::f32);
            for (size_t k = 0; k < narrow.size(); ++k) {
                const std::vector<Tensor> in = narrow[k].values(computer.allocator(), Draw::hostile, 8);
                const Tensor exact = computer.run(wide[k].graph(context),
                                                  std::vector<Tensor>{in[0].cast(DType::f32), in[1].cast(DType::f32)},
                                                  EngineKind::interp)[0];
                expect_same({exact.cast(dtype)}, computer.run(narrow[k].graph(context), in, EngineKind::interp),
                            narrow[k].name);
            }
        }
}

}  // namespace
}  // namespace tenon
