// h₀ = start, hₖ₊₁ = aₖ hₖ + bₖ along an axis, one step after the other; f16 and bf16 are computed in f32 and rounded once.
#include "jit/library/rows.h"
#include "runtime/interrupt.h"

namespace tenon::library {

namespace {

template <class T>
using Wide = std::conditional_t<std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>, float, T>;

template <class T>
void run_rows(const LibraryCall& call) {
    const TensorView& factors = call.operands[0];
    const AxisView view(factors.shape, call.plan.axis);
    const T* const a = factors.as<T>();
    const T* const b = call.operands.size() > 1 ? call.operands[1].as<T>() : nullptr;
    T* const out = call.result.as<T>();
    const int64_t step = call.plan.reverse ? -view.inner : view.inner;
    in_ranges(call, view.outer * view.inner, 4 * view.size, [&](int64_t begin, int64_t end) {
        for (int64_t r = begin; r < end; ++r) {
            const int64_t first = r / view.inner * view.size * view.inner + r % view.inner;
            int64_t at = first + (call.plan.reverse ? (view.size - 1) * view.inner : 0);
            auto h = Wide<T>(call.plan.start);
            for (int64_t k = 0; k < view.size; ++k, at += step) {
                check_interrupt();
                out[at] = T(h);
                h = Wide<T>(a[at]) * h;
                if (b) h = h + Wide<T>(b[at]);
            }
        }
    });
}

}  // namespace

void recurrence(const LibraryCall& call) {
    visit_dtype(call.result.dtype, [&]<class T>() {
        if constexpr (!std::is_integral_v<T>) run_rows<T>(call);
    });
}

}  // namespace tenon::library
