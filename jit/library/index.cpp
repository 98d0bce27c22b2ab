// Rows that read and write at positions that are data, and those whose results are positions.
#include <algorithm>
#include <cstring>
#include <limits>

#include <fmt/format.h>

#include "ir/fold_order.h"
#include "jit/library/rows.h"
#include "jit/routines/routines.h"
#include "runtime/diagnostic.h"
#include "runtime/interrupt.h"

namespace tenon::library {

namespace {

// The positions of a call as i64 in borrowed memory, those from the end made positive. Throws Error "index".
class Along {
public:
    Along(const LibraryCall& call, int64_t size)
        : workspace_(call.workspaces), count_(call.operands[1].numel()),
          values_(reinterpret_cast<int64_t*>(workspace_.reserve(size_t(count_) * sizeof(int64_t)))) {
        const TensorView& index = call.operands[1];
        const auto convert = find_cast(index.dtype, DType::i64, call.instructions)->variants[0];
        in_ranges(call, count_, 4, [&](int64_t begin, int64_t end) {
            const std::byte* const from = index.data + size_t(begin) * size_of(index.dtype);
            convert(values_ + begin, from, nullptr, nullptr, end - begin);
            for (int64_t k = begin; k < end; ++k) {
                int64_t& p = values_[k];
                if (p < -size || p >= size)
                    throw_error(
                        "index",
                        fmt::format("position {} is out of range: dimension {} has size {}", p, call.plan.axis, size),
                        size ? fmt::format("positions go from {} to {}", -size, size - 1) : "it has no elements");
                if (p < 0) p += size;
            }
        });
    }
    int64_t count() const { return count_; }
    int64_t operator[](int64_t k) const { return values_[k]; }

private:
    Workspace workspace_;
    int64_t count_;
    int64_t* values_;
};

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
    const T* const base = call.operands[0].as<T>();
    T* const result = call.result.as<T>();
    const int64_t count = call.operands[0].numel();
    if constexpr (std::is_same_v<Sum<T>, T>) {
        in_ranges(call, count, 1, [&](int64_t begin, int64_t end) {
            std::memcpy(result + begin, base + begin, size_t(end - begin) * sizeof(T));
        });
        add(result);
    } else {
        Workspace workspace(call.workspaces);
        float* const sums = reinterpret_cast<float*>(workspace.reserve(size_t(count) * sizeof(float)));
        in_ranges(call, count, 2,
                  [&](int64_t begin, int64_t end) { std::copy(base + begin, base + end, sums + begin); });
        add(sums);
        in_ranges(call, count, 2, [&](int64_t begin, int64_t end) {
            for (int64_t k = begin; k < end; ++k) result[k] = T(sums[k]);
        });
    }
}

// Row-major counting over `shape`, with a weight a dimension: the weighted sum of the counters.
class Odometer {
public:
    Odometer(const Dims& shape, const Dims& weights, int64_t start)
        : shape_(shape), weights_(weights), at_(shape.size(), 0) {
        for (size_t d = shape.size(); d-- > 0; start /= shape[d]) {
            at_[d] = start % shape[d];
            position_ += at_[d] * weights[d];
        }
    }
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

// Calls visit(k, position in `outer`) for each element k of index: in ascending order for those that have all but the
// axis in common, which alone can meet in one place; others may be on other threads.
template <class Visit>
void visit_positions(const LibraryCall& call, const TensorView& outer, Visit visit) {
    const Dims& shape = call.operands[1].shape;
    const int64_t axis = call.plan.axis;
    const Along along(call, outer.shape[size_t(axis)]);
    if (along.count() == 0) return;
    Dims weights = contiguous_strides(outer.shape);
    const int64_t stride = weights[size_t(axis)];
    weights[size_t(axis)] = 0;
    const AxisView view(shape, axis);
    const auto run = [&](int64_t begin, int64_t end) {
        Odometer others(shape, weights, begin);
        for (int64_t k = begin; k < end; ++k, others.next()) visit(k, others.position() + along[k] * stride);
    };
    if (view.inner < 64) {
        const int64_t each = view.size * view.inner;
        in_ranges(call, view.outer, 4 * each, [&](int64_t begin, int64_t end) {
            for (int64_t i = begin; i < end; ++i) {
                check_interrupt();
                run(i * each, (i + 1) * each);
            }
        });
        return;
    }
    constexpr int64_t columns = 64;
    for (int64_t i = 0; i < view.outer; ++i)
        in_ranges(call, (view.inner + columns - 1) / columns, 4 * columns * view.size, [&](int64_t begin, int64_t end) {
            for (int64_t a = 0; a < view.size; ++a) {
                check_interrupt();
                const int64_t row = (i * view.size + a) * view.inner;
                run(row + begin * columns, row + std::min(end * columns, view.inner));
            }
        });
}

// As elements of so many bytes, whose copies are single instructions.
template <class F>
void with_element_bytes(size_t size, F f) {
    switch (size) {
        case 1: return f(uint8_t{});
        case 2: return f(uint16_t{});
        case 4: return f(uint32_t{});
        default: return f(uint64_t{});
    }
}

}  // namespace

void take(const LibraryCall& call) {
    const TensorView& x = call.operands[0];
    const AxisView view(x.shape, call.plan.axis);
    const Along along(call, view.size);
    const int64_t n = along.count();
    const size_t bytes = size_t(view.inner) * size_of(x.dtype);
    in_ranges(call, view.outer * n, view.inner + 4, [&](int64_t begin, int64_t end) {
        int64_t i = n ? begin / n : 0, p = begin - i * n;
        for (int64_t k = begin; k < end; ++k) {
            check_interrupt();
            std::memcpy(call.result.data + size_t(k) * bytes, x.data + size_t(i * view.size + along[p]) * bytes, bytes);
            if (++p == n) ++i, p = 0;
        }
    });
}

// What is added to one row comes in the order of the positions, whoever has the row: a thread takes some rows, and looks
// at all positions.
void take_add(const LibraryCall& call) {
    const AxisView view(call.operands[0].shape, call.plan.axis);
    const Along along(call, view.size);
    const int64_t n = along.count();
    constexpr int64_t enough = 65536, short_row = 8;
    const bool shares = view.inner >= short_row && n * view.inner >= enough;
    const int64_t parts = shares ? std::min<int64_t>(call.pool.threads(), view.size) : 1;
    visit_dtype(call.result.dtype, [&]<class T>() {
        accumulate<T>(call, [&](Sum<T>* sums) {
            const T* const value = call.operands[2].as<T>();
            const auto add = [&](int64_t part) {
                const int64_t first = part * view.size / parts, last = (part + 1) * view.size / parts;
                for (int64_t i = 0; i < view.outer; ++i)
                    for (int64_t k = 0; k < n; ++k) {
                        check_interrupt();
                        if (along[k] < first || along[k] >= last) continue;
                        Sum<T>* const to = sums + (i * view.size + along[k]) * view.inner;
                        const T* const from = value + (i * n + k) * view.inner;
                        for (int64_t j = 0; j < view.inner; ++j) add_to<T>(to[j], from[j]);
                    }
            };
            if (parts > 1) call.pool.parallel_for(parts, add);
            else add(0);
        });
    });
}

void gather(const LibraryCall& call) {
    const TensorView& x = call.operands[0];
    with_element_bytes(size_of(x.dtype), [&]<class E>(E) {
        visit_positions(call, x, [to = call.result.as<E>(), from = x.as<E>()](int64_t k, int64_t position) {
            to[k] = from[position];
        });
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

template <class T>
struct Placed {
    T value;
    int32_t position;
};

// The order by value, then by position, which is that of a stable sort: of the first few no more is sorted than they
// are. Either result may be unwanted.
template <class T>
void sort_rows(const LibraryCall& call, const TensorView* values, const TensorView* positions) {
    const TensorView& x = call.operands[0];
    const AxisView view(x.shape, call.plan.axis);
    const int64_t wanted = call.result.shape[size_t(call.plan.axis)];
    const auto less = [](T a, T b) { return a < b || (b != b && a == a); };  // NaN is largest
    const auto before = [&](const Placed<T>& a, const Placed<T>& b) {
        check_interrupt();
        if (call.plan.descending ? less(b.value, a.value) : less(a.value, b.value)) return true;
        if (call.plan.descending ? less(a.value, b.value) : less(b.value, a.value)) return false;
        return a.position < b.position;
    };
    in_ranges(call, view.outer * view.inner, 16 * view.size, [&](int64_t begin, int64_t end) {
        Workspace workspace(call.workspaces);
        Placed<T>* const row = reinterpret_cast<Placed<T>*>(workspace.reserve(size_t(view.size) * sizeof(Placed<T>)));
        for (int64_t r = begin; r < end; ++r) {
            const int64_t i = r / view.inner, j = r % view.inner;
            const T* const from = x.as<T>() + i * view.size * view.inner + j;
            for (int64_t k = 0; k < view.size; ++k) {
                check_interrupt();
                row[k] = {from[k * view.inner], int32_t(k)};
            }
            if (wanted < view.size) std::nth_element(row, row + wanted, row + view.size, before);
            std::sort(row, row + wanted, before);
            const int64_t to = i * wanted * view.inner + j;
            for (int64_t k = 0; k < wanted; ++k) {
                if (values) values->as<T>()[to + k * view.inner] = row[k].value;
                if (positions) positions->as<int64_t>()[to + k * view.inner] = row[k].position;
            }
        }
    });
}

void sort_along(const LibraryCall& call, const TensorView* values, const TensorView* positions) {
    const int64_t size = call.operands[0].shape[size_t(call.plan.axis)],
                  wanted = call.result.shape[size_t(call.plan.axis)];
    if (wanted > size)
        throw_error("index", fmt::format("the first {} positions are asked for, but dimension {} has {}", wanted,
                                         call.plan.axis, size));
    if (size > std::numeric_limits<int32_t>::max())
        throw_error("value", fmt::format("{} elements are too many to be sorted", size));
    visit_dtype(call.operands[0].dtype, [&]<class T>() { sort_rows<T>(call, values, positions); });
}

}  // namespace

void argsort(const LibraryCall& call) { sort_along(call, nullptr, &call.result); }
void sort(const LibraryCall& call) {
    const auto wanted = [&](size_t k) { return call.results[k].data ? &call.results[k] : nullptr; };
    sort_along(call, wanted(0), wanted(1));
}

// Running sums of f32 are f64 and rounded one by one; the others are those of `Sum`.
template <class T> using RunningSum = std::conditional_t<std::is_same_v<T, float>, double, Sum<T>>;

// Chunks of 1,024: running sums within each, to which the sum of the chunks before is added. Columns that lie side by
// side go together.
void cumsum(const LibraryCall& call) {
    constexpr int64_t chunk = fold_order::lanes_chunk, together = 64;
    const TensorView& x = call.operands[0];
    const AxisView view(x.shape, call.plan.axis);
    const int64_t blocks = (view.inner + together - 1) / together;
    visit_dtype(x.dtype, [&]<class T>() {
        using S = RunningSum<T>;
        const auto add = [](S& to, S value) { add_to<S>(to, value); };
        const auto run = [&]<int64_t most>(std::integral_constant<int64_t, most>, int64_t start, int64_t width) {
            S before[most] = {}, sum[most] = {};
            for (int64_t first = 0; first < view.size; first += chunk) {
                check_interrupt();
                for (int64_t k = first; k < std::min(view.size, first + chunk); ++k) {
                    const T* const from = x.as<T>() + start + k * view.inner;
                    T* const to = call.result.as<T>() + start + k * view.inner;
                    for (int64_t j = 0; j < (most == 1 ? 1 : width); ++j) {
                        if (k == first) sum[j] = S(from[j]);
                        else add(sum[j], S(from[j]));
                        S total = sum[j];
                        if (first > 0) add(total, before[j]);
                        to[j] = T(total);
                    }
                }
                for (int64_t j = 0; j < width; ++j) {
                    if (first > 0) add(before[j], sum[j]);
                    else before[j] = sum[j];
                }
            }
        };
        in_ranges(call, view.outer * blocks, 4 * view.size * std::min(view.inner, together),
                  [&](int64_t begin, int64_t end) {
                      for (int64_t b = begin; b < end; ++b) {
                          const int64_t first = b % blocks * together, width = std::min(together, view.inner - first),
                                        start = b / blocks * view.size * view.inner + first;
                          if (width == 1) run(std::integral_constant<int64_t, 1>(), start, 1);
                          else run(std::integral_constant<int64_t, together>(), start, width);
                      }
                  });
    });
}

}  // namespace tenon::library
