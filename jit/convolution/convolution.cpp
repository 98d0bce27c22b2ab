// The functions behind the rows of ir/ops/convolution.cpp. f16 and bf16 are widened to f32 and rounded once.
#include <cstring>

#include "jit/contract/strided_target.h"
#include "jit/convolution/copies.h"
#include "jit/convolution/planes.h"
#include "jit/convolution/sources.h"
#include "jit/library/rows.h"
#include "jit/routines/routines.h"

namespace tenon {

namespace {

using namespace convolution;

// Three dimensions of space, however many there are: the ones that lack come first, of size 1.
struct Space {
    std::array<int64_t, 3> x{1, 1, 1}, kernel{1, 1, 1}, y{1, 1, 1}, stride{1, 1, 1}, padding{0, 0, 0},
        dilation{1, 1, 1};
};
int64_t volume(const std::array<int64_t, 3>& sizes) { return sizes[0] * sizes[1] * sizes[2]; }

// A convolution: y of x and kernels, one of which is what is computed.
struct Shape {
    Space space;
    int64_t examples, groups, channels, outputs;  // channels and outputs of a group
};

Shape shape_of(const LibraryPlan& plan, const TensorView& x, const TensorView& kernel, const TensorView& y) {
    Shape s;
    const size_t rank = x.shape.size(), missing = 5 - rank;
    for (size_t d = 2; d < rank; ++d) {
        const size_t at = d - 2 + missing;
        s.space.x[at] = x.shape[d];
        s.space.kernel[at] = kernel.shape[d];
        s.space.y[at] = y.shape[d];
        s.space.stride[at] = plan.window.stride[d - 2];
        s.space.padding[at] = plan.window.padding[d - 2];
        s.space.dilation[at] = plan.window.dilation[d - 2];
    }
    s.examples = x.shape[0];
    s.channels = kernel.shape[1];
    s.groups = s.channels == 0 ? 1 : x.shape[1] / s.channels;
    s.outputs = s.groups == 0 ? 0 : y.shape[1] / s.groups;
    return s;
}

// Calls f(place in the kernel, its index) row-major.
template <class F>
void each_place(const std::array<int64_t, 3>& sizes, F f) {
    int64_t place = 0;
    std::array<int64_t, 3> at{};
    for (at[0] = 0; at[0] < sizes[0]; ++at[0])
        for (at[1] = 0; at[1] < sizes[1]; ++at[1])
            for (at[2] = 0; at[2] < sizes[2]; ++at[2]) f(place++, at);
}

Patches patches_of_x(const Shape& s) {
    const Space& a = s.space;
    Patches p{s.examples, a.x, a.y, a.stride, {}, volume(a.x), s.groups * s.channels * volume(a.x)};
    each_place(a.kernel, [&](int64_t place, const std::array<int64_t, 3>& at) {
        Tap tap{place, {}};
        for (size_t d = 0; d < 3; ++d) tap.offset[d] = at[d] * a.dilation[d] - a.padding[d];
        p.taps.push_back(tap);
    });
    return p;
}

template <class T>
T* memory_for_copy(const Patches& patches, int64_t channels, Workspace& workspace) {
    return reinterpret_cast<T*>(workspace.reserve(size_t(elements_of_copy(patches, channels)) * sizeof(T)));
}

template <class T>
void multiply(PatchProduct<T> product, const contract::Means& means) {
    product.patches.prepare();
    if (are_few(product.rows, product.channels)) return multiply_directly(product, means);
    Workspace copied(means.workspaces), packed(means.workspaces);
    KernelRows<T> kernels(product);
    if (product.patches.columns() >= 2 * product.rows) kernels.pack_all(means, packed);
    const Patches& p = product.patches;
    const int64_t channels = product.groups * product.channels, depth = product.channels * int64_t(p.taps.size());
    if (const Planes planes(p, channels); planes.are_worth_it()) {
        const T* data = product.source;
        if (!planes.are_source()) {
            T* const copy = reinterpret_cast<T*>(copied.reserve(size_t(planes.elements()) * sizeof(T)));
            planes.copy(product.source, copy, means.pool);
            data = copy;
        }
        return contract::multiply(
            contract::Product<T>{product.groups * p.examples, product.rows, depth, planes.columns(), kernels,
                                 PlaneColumns<T>(product, planes, data), PlaneImage<T>(product, planes)},
            means);
    }
    if (worth_a_copy(p)) {
        T* const copy = memory_for_copy<T>(p, channels, copied);
        copy_with_zeros(product.patches, channels, product.source, copy, means.pool);
        product.source = copy;
    }
    contract::multiply(contract::Product<T>{p.merges ? product.groups : product.groups * p.examples, product.rows,
                                            depth, p.merges ? p.columns() : p.places_of_example(), kernels,
                                            PatchColumns<T>(product, !p.merges), Image<T>(product, !p.merges)},
                       means);
}

template <class T>
void conv(const Shape& s, const T* x, const T* kernels, T* y, const contract::Means& means) {
    const Space& a = s.space;
    const int64_t places = volume(a.kernel), plane = volume(a.y);
    multiply(PatchProduct<T>{s.groups,
                             s.outputs,
                             s.channels,
                             patches_of_x(s),
                             x,
                             {kernels, s.outputs * s.channels * places, s.channels * places, places, 1},
                             y,
                             plane,
                             {s.groups * s.outputs * plane, 0, {a.y[1] * a.y[2], a.y[2], 1}}},
             means);
}

// The places of x that begin at `phase` and lie a stride apart are those of a convolution of y of their own.
template <class T>
void input_gradient_phase(const Shape& s, const std::array<int64_t, 3>& phase, const T* y, const Kernels<T>& kernels,
                          T* x, const contract::Means& means) {
    const Space& a = s.space;
    const int64_t plane = volume(a.x);
    Patches p{s.examples, a.y, {}, {1, 1, 1}, {}, volume(a.y), s.groups * s.outputs * volume(a.y)};
    Targets targets{s.groups * s.channels * plane, 0, {a.x[1] * a.x[2], a.x[2], 1}};
    for (size_t d = 0; d < 3; ++d) {
        p.places[d] = (a.x[d] - phase[d] + a.stride[d] - 1) / a.stride[d];
        targets.origin += phase[d] * targets.strides[d];
    }
    for (size_t d = 0; d < 3; ++d) targets.strides[d] *= a.stride[d];
    each_place(a.kernel, [&](int64_t place, const std::array<int64_t, 3>& at) {
        Tap tap{place, {}};
        for (size_t d = 0; d < 3; ++d) {
            const int64_t from = phase[d] + a.padding[d] - at[d] * a.dilation[d];
            if (from % a.stride[d] != 0) return;
            tap.offset[d] = from / a.stride[d];
        }
        p.taps.push_back(tap);
    });
    if (p.taps.empty()) return;
    multiply(PatchProduct<T>{s.groups, s.channels, s.outputs, std::move(p), y, kernels, x, plane, targets}, means);
}

template <class T>
void conv_input_gradient(const Shape& s, const T* y, const T* kernels, T* x, const contract::Means& means) {
    const Space& a = s.space;
    std::array<int64_t, 3> phases;
    bool all_reached = true;
    for (size_t d = 0; d < 3; ++d) {
        phases[d] = std::min(a.stride[d], a.x[d]);
        all_reached &= a.stride[d] == 1 || (a.dilation[d] == 1 && a.kernel[d] >= a.stride[d]);
    }
    if (!all_reached) std::fill(x, x + s.examples * s.groups * s.channels * volume(a.x), T(0));
    // Channels become rows, which are packed for every phase and block: so they are laid side by side once.
    const int64_t places = volume(a.kernel), of_output = s.channels * places;
    Kernels<T> rows{kernels, s.outputs * of_output, places, of_output, 1};
    Workspace workspace(means.workspaces);
    if (!are_few(s.channels, s.outputs)) {
        T* const transposed = reinterpret_cast<T*>(workspace.reserve(size_t(s.groups * rows.group) * sizeof(T)));
        for_each_of(means.pool, s.groups * s.outputs, of_output, [&](int64_t k) {
            transpose(kernels + k * of_output, s.channels, places, transposed + k * of_output);
        });
        rows = {transposed, rows.group, 1, of_output, s.channels};
    }
    each_place(phases, [&](int64_t, const std::array<int64_t, 3>& phase) {
        input_gradient_phase(s, phase, y, rows, x, means);
    });
}

template <class T>
void conv_weight_gradient(const Shape& s, const T* x, const T* y, T* kernels, const contract::Means& means) {
    ColumnProduct<T> product{s.groups, s.outputs, s.channels, patches_of_x(s), x, y, kernels};
    product.patches.prepare();
    if (s.outputs * s.channels <= small_group && s.groups >= worth_a_lane_each)
        return multiply_directly(product, means);
    const int64_t columns = s.channels * volume(s.space.kernel), channels = s.groups * s.channels;
    Workspace workspace(means.workspaces);
    if (worth_a_copy(product.patches)) {
        T* const copy = memory_for_copy<T>(product.patches, channels, workspace);
        if (s.channels % Vector<T>::lanes == 0) {
            const int64_t panel = contract::panel_width<T>(means.instructions),
                          block = s.channels % panel == 0 ? panel : s.channels;
            copy_channels_last(product.patches, channels, block, x, copy, means.pool);
            return contract::multiply(
                contract::Product<T>{s.groups, s.outputs, product.patches.columns(), columns, FactorRows<T>(product),
                                     ChannelsLastTaps<T>(product, copy, block), KernelsOfTaps<T>(product, block)},
                means);
        }
        copy_with_zeros(product.patches, channels, x, copy, means.pool);
        product.source = copy;
    }
    contract::multiply(
        contract::Product<T>{
            s.groups, s.outputs, product.patches.columns(), columns, FactorRows<T>(product), PatchTaps<T>(product),
            contract::StridedTarget<T, T>(kernels, s.outputs * columns, columns, 1, means.instructions)},
        means);
}

// f(left, right, result) on elements that are computed with.
template <class F>
void on_wide_elements(const LibraryCall& call, F f) {
    const TensorView &a = call.operands[0], &b = call.operands[1], &c = call.result;
    visit_dtype(c.dtype, [&]<class T>() {
        if constexpr (std::is_same_v<T, float> || std::is_same_v<T, double>) {
            f(static_cast<const T*>(a.as<T>()), static_cast<const T*>(b.as<T>()), c.as<T>());
        } else if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>) {
            Workspace workspace(call.workspaces);
            float* const left =
                reinterpret_cast<float*>(workspace.reserve(size_t(a.numel() + b.numel() + c.numel()) * sizeof(float)));
            float *const right = left + a.numel(), *const result = right + b.numel();
            (*find_cast(c.dtype, DType::f32, call.instructions))(left, a.data, a.numel());
            (*find_cast(c.dtype, DType::f32, call.instructions))(right, b.data, b.numel());
            f(static_cast<const float*>(left), static_cast<const float*>(right), result);
            (*find_cast(DType::f32, c.dtype, call.instructions))(c.data, result, c.numel());
        }
    });
}

// Whether sums of nothing are all there is, which are zeros then, or no sums at all.
bool is_trivial(const LibraryCall& call) {
    if (call.operands[0].numel() != 0 && call.operands[1].numel() != 0) return call.result.numel() == 0;
    if (call.result.numel() != 0)
        std::memset(call.result.data, 0, size_t(call.result.numel()) * size_of(call.result.dtype));
    return true;
}

}  // namespace

void library::conv(const LibraryCall& call) {
    if (is_trivial(call)) return;
    const Shape s = shape_of(call.plan, call.operands[0], call.operands[1], call.result);
    on_wide_elements(call, [&](const auto* x, const auto* kernels, auto* y) {
        ::tenon::conv(s, x, kernels, y, {call.instructions, call.pool, call.workspaces});
    });
}
void library::conv_input_gradient(const LibraryCall& call) {
    if (is_trivial(call)) return;
    const Shape s = shape_of(call.plan, call.result, call.operands[1], call.operands[0]);
    on_wide_elements(call, [&](const auto* y, const auto* kernels, auto* x) {
        ::tenon::conv_input_gradient(s, y, kernels, x, {call.instructions, call.pool, call.workspaces});
    });
}
void library::conv_weight_gradient(const LibraryCall& call) {
    if (is_trivial(call)) return;
    const Shape s = shape_of(call.plan, call.operands[0], call.result, call.operands[1]);
    on_wide_elements(call, [&](const auto* x, const auto* y, auto* kernels) {
        ::tenon::conv_weight_gradient(s, x, y, kernels, {call.instructions, call.pool, call.workspaces});
    });
}

}  // namespace tenon
