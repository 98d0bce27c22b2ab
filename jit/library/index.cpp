// Rows that read and write at positions that are data, and those whose results are positions.
#include <algorithm>
#include <cstring>
#include <vector>

#include <fmt/format.h>

#include "ir/fold_order.h"
#include "jit/library/rows.h"
#include "jit/routines/routines.h"
#include "runtime/diagnostic.h"
#include "runtime/interrupt.h"

namespace tenon::library {

namespace {

// Positions as i64, those from the end made positive. Throws Error "index".
std::vector<int64_t> positions(const TensorView& index, int64_t size, int64_t axis, InstructionSet instructions) {
    std::vector<int64_t> out(size_t(index.numel()));
    find_cast(index.dtype, DType::i64, instructions)
        ->variants[0](out.data(), index.data, nullptr, nullptr, int64_t(out.size()));
    for (int64_t& p : out) {
        if (p < -size || p >= size)
            throw_error("index", fmt::format("position {} is out of range: dimension {} has size {}", p, axis, size),
                        size ? fmt::format("positions go from {} to {}", -size, size - 1) : "it has no elements");
        if (p < 0) p += size;
    }
    return out;
}

// f16 and bf16 are summed in f32 and rounded once.
template <class T>
using Sum = std::conditional_t<std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>, float, T>;

template <class T>
void add_to(Sum<T>& sum, T value) {
    if constexpr (std::is_same_v<T, bool>) sum |= value;
    else if constexpr (std::is_integral_v<T>) sum = T(std::make_unsigned_t<T>(sum) + std::make_unsigned_t<T>(value));
    else sum += Sum<T>(value);
}

// Sets result to base, and calls add(sums) on it as an array of Sum<T>.
template <class T, class Add>
void accumulate(const LibraryCall& call, Add add) {
    const TensorView& base = call.operands[0];
    const int64_t count = base.numel();
    if constexpr (std::is_same_v<Sum<T>, T>) {
        std::memcpy(call.result.data, base.data, size_t(count) * sizeof(T));
        add(call.result.as<T>());
    } else {
        std::vector<float> sums(base.as<T>(), base.as<T>() + count);
        add(sums.data());
        for (int64_t k = 0; k < count; ++k) call.result.as<T>()[k] = T(sums[size_t(k)]);
    }
}

// Row-major counting over `shape`, with a weight a dimension: the weighted sum of the counters.
class Odometer {
public:
    Odometer(const Dims& shape, const Dims& weights) : shape_(shape), weights_(weights), at_(shape.size(), 0) {}
    int64_t position() const { return position_; }
    void next() {
        for (size_t d = shape_.size(); d-- > 0;) {
            position_ += weights_[d];
            if (++at_[d] < shape_[d]) return;
            position_ -= weights_[d] * shape_[d];
            at_[d] = 0;
        }
    }

private:
    const Dims& shape_;
    const Dims& weights_;
    Dims at_;
    int64_t position_ = 0;
};

// Calls visit(k, position in `outer`) for each element k of index.
template <class Visit>
void visit_positions(const LibraryCall& call, const TensorView& outer, Visit visit) {
    const TensorView& index = call.operands[1];
    const int64_t axis = call.plan.axis;
    const std::vector<int64_t> along = positions(index, outer.shape[size_t(axis)], axis, call.instructions);
    Dims weights = contiguous_strides(outer.shape);
    const int64_t stride = weights[size_t(axis)];
    weights[size_t(axis)] = 0;
    Odometer others(index.shape, weights);
    for (size_t k = 0; k < along.size(); ++k, others.next()) {
        check_interrupt();
        visit(int64_t(k), others.position() + along[k] * stride);
    }
}

}  // namespace

void take(const LibraryCall& call) {
    const TensorView& x = call.operands[0];
    const AxisView view(x.shape, call.plan.axis);
    const std::vector<int64_t> along = positions(call.operands[1], view.size, call.plan.axis, call.instructions);
    const size_t bytes = size_t(view.inner) * size_of(x.dtype);
    std::byte* out = call.result.data;
    for (int64_t i = 0; i < view.outer; ++i)
        for (int64_t p : along) {
            check_interrupt();
            std::memcpy(out, x.data + size_t(i * view.size + p) * bytes, bytes);
            out += bytes;
        }
}

void take_add(const LibraryCall& call) {
    const AxisView view(call.operands[0].shape, call.plan.axis);
    const std::vector<int64_t> along = positions(call.operands[1], view.size, call.plan.axis, call.instructions);
    visit_dtype(call.result.dtype, [&]<class T>() {
        accumulate<T>(call, [&](Sum<T>* sums) {
            const T* value = call.operands[2].as<T>();
            for (int64_t i = 0; i < view.outer; ++i)
                for (int64_t p : along) {
                    check_interrupt();
                    Sum<T>* const to = sums + (i * view.size + p) * view.inner;
                    for (int64_t j = 0; j < view.inner; ++j) add_to<T>(to[j], *value++);
                }
        });
    });
}

void gather(const LibraryCall& call) {
    const TensorView& x = call.operands[0];
    const size_t size = size_of(x.dtype);
    visit_positions(call, x, [&](int64_t k, int64_t position) {
        std::memcpy(call.result.data + size_t(k) * size, x.data + size_t(position) * size, size);
    });
}

void scatter_add(const LibraryCall& call) {
    visit_dtype(call.result.dtype, [&]<class T>() {
        accumulate<T>(call, [&](Sum<T>* sums) {
            const T* const source = call.operands[2].as<T>();
            visit_positions(call, call.operands[0],
                            [&](int64_t k, int64_t position) { add_to<T>(sums[position], source[k]); });
        });
    });
}

namespace {

// A stable order is the order by value, then by position: of the first few no more is sorted than they are. Either result
// may be unwanted.
void sort_along(const LibraryCall& call, const TensorView* values, const TensorView* positions) {
    const TensorView& x = call.operands[0];
    const AxisView view(x.shape, call.plan.axis), result(call.result.shape, call.plan.axis);
    if (result.size > view.size)
        throw_error("index", fmt::format("the first {} positions are asked for, but dimension {} has {}", result.size,
                                         call.plan.axis, view.size));
    std::vector<int64_t> order;
    order.reserve(size_t(view.size));
    visit_dtype(x.dtype, [&]<class T>() {
        std::vector<T> row;
        row.reserve(size_t(view.size));
        const auto less = [](T a, T b) { return a < b || (b != b && a == a); };  // NaN is largest
        const auto before = [&](int64_t a, int64_t b) {
            check_interrupt();
            const T p = row[size_t(a)], q = row[size_t(b)];
            return call.plan.descending ? less(q, p) : less(p, q);
        };
        const auto strictly_before = [&](int64_t a, int64_t b) { return before(a, b) || (a < b && !before(b, a)); };
        for (int64_t i = 0; i < view.outer; ++i)
            for (int64_t j = 0; j < view.inner; ++j) {
                const T* const from = x.as<T>() + i * view.size * view.inner + j;
                row.clear();
                order.clear();
                for (int64_t k = 0; k < view.size; ++k) {
                    check_interrupt();
                    row.push_back(from[k * view.inner]);
                    order.push_back(k);
                }
                const auto end = order.begin() + result.size;
                if (end == order.end()) {
                    std::stable_sort(order.begin(), order.end(), before);
                } else {
                    std::nth_element(order.begin(), end, order.end(), strictly_before);
                    std::sort(order.begin(), end, strictly_before);
                }
                const int64_t to = i * result.size * view.inner + j;
                for (int64_t k = 0; k < result.size; ++k) {
                    if (values) values->as<T>()[to + k * view.inner] = row[size_t(order[size_t(k)])];
                    if (positions) positions->as<int64_t>()[to + k * view.inner] = order[size_t(k)];
                }
            }
    });
}

}  // namespace

void argsort(const LibraryCall& call) { sort_along(call, nullptr, &call.result); }
void sort(const LibraryCall& call) {
    const auto wanted = [&](size_t k) { return call.results[k].data ? &call.results[k] : nullptr; };
    sort_along(call, wanted(0), wanted(1));
}

// Running sums of f32 are f64 and rounded one by one; the others are those of `Sum`.
template <class T> using RunningSum = std::conditional_t<std::is_same_v<T, float>, double, Sum<T>>;

// Chunks of 1,024: running sums within each, to which the sum of the chunks before is added.
void cumsum(const LibraryCall& call) {
    constexpr int64_t chunk = fold_order::lanes_chunk;
    const TensorView& x = call.operands[0];
    const AxisView view(x.shape, call.plan.axis);
    visit_dtype(x.dtype, [&]<class T>() {
        const auto add = [](RunningSum<T>& to, RunningSum<T> value) { add_to<RunningSum<T>>(to, value); };
        for (int64_t i = 0; i < view.outer; ++i)
            for (int64_t j = 0; j < view.inner; ++j) {
                const int64_t start = i * view.size * view.inner + j;
                RunningSum<T> before{};
                for (int64_t first = 0; first < view.size; first += chunk) {
                    check_interrupt();
                    RunningSum<T> sum{};
                    for (int64_t k = first; k < std::min(view.size, first + chunk); ++k) {
                        const T value = x.as<T>()[start + k * view.inner];
                        if (k == first) sum = RunningSum<T>(value);
                        else add(sum, RunningSum<T>(value));
                        RunningSum<T> total = sum;
                        if (first > 0) add(total, before);
                        call.result.as<T>()[start + k * view.inner] = T(total);
                    }
                    if (first > 0) add(before, sum);
                    else before = sum;
                }
            }
    });
}

}  // namespace tenon::library
