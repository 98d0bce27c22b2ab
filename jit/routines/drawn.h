// Routines of functions that are drawn (ir/scalar/philox.h): what a counter gives is computed once for all elements that it
// gives, where these are asked for in order.
#pragma once
#include <utility>

#include "jit/routines/elementwise.h"

namespace tenon::TENON_ISA {

// What is drawn from (key, offset, position): a register of counters at a time where positions are in order, each of which
// gives `together` elements; elsewhere element by element.
template <class F, int N, unsigned single>
struct Drawn {
    static constexpr int each = F::together, many = N * each;
    using V = Pack<int64_t, N>;

    static Faults run(void* out, const void* key, const void* offset, const void* position, int64_t n) {
        auto* to = static_cast<int64_t*>(out);
        const auto *k = static_cast<const int64_t*>(key), *o = static_cast<const int64_t*>(offset),
                   *p = static_cast<const int64_t*>(position);
        for (int64_t i = 0; i < n;) {
            const int64_t first = at<4>(p, i), before = first & (each - 1);
            const int64_t most = many - before < n - i ? many - before : n - i;
            if (are_in_order(k, o, p, i, most)) {
                constexpr int some = N > 4 ? N / 2 : N;  // a narrow register costs less
                if (before + most <= some * each) draw_group<some>(to + i, at<1>(k, i), at<2>(o, i), first, most);
                else draw_group<N>(to + i, at<1>(k, i), at<2>(o, i), first, most);
                i += most;
            } else {
                const int64_t some = N < n - i ? N : n - i;
                draw_each(to + i, k, o, p, i, some);
                i += some;
            }
        }
        return no_fault;
    }

private:
    template <unsigned bit>
    TENON_INLINE static int64_t at(const int64_t* x, int64_t i) {
        return single & bit ? *x : x[i];
    }
    TENON_INLINE static bool are_in_order(const int64_t* k, const int64_t* o, const int64_t* p, int64_t i, int64_t n) {
        if (single & 4) return n == 1;
        int64_t differ = 0;
        for (int64_t j = 0; j < n; ++j) {
            differ |= p[i + j] ^ (p[i] + j);
            if (!(single & 1)) differ |= k[i + j] ^ k[i];
            if (!(single & 2)) differ |= o[i + j] ^ o[i];
        }
        return differ == 0;
    }
    // Elements at first, first + 1, …, n of them, of so many counters: a register of them, or the half of one.
    template <int counters>
    TENON_INLINE static void draw_group(int64_t* to, int64_t key, int64_t offset, int64_t first, int64_t n) {
        using W = Pack<int64_t, counters>;
        W counter;
        for (int lane = 0; lane < counters; ++lane) counter.value[lane] = lane;
        const int64_t before = first & (each - 1);
        counter = counter + W::splat((first - before) / each);
        const auto drawn = F::group(W::splat(key), W::splat(offset), counter);
        W rows[each];
        if constexpr (each == 4) {
            const W a = zip<0>(drawn.element[0], drawn.element[2]), b = zip<1>(drawn.element[0], drawn.element[2]);
            const W c = zip<0>(drawn.element[1], drawn.element[3]), d = zip<1>(drawn.element[1], drawn.element[3]);
            rows[0] = zip<0>(a, c), rows[1] = zip<1>(a, c), rows[2] = zip<0>(b, d), rows[3] = zip<1>(b, d);
        } else {
            rows[0] = zip<0>(drawn.element[0], drawn.element[1]), rows[1] = zip<1>(drawn.element[0], drawn.element[1]);
        }
        if (n == counters * each) {
            for (int r = 0; r < each; ++r) rows[r].store(to + r * counters);
            return;
        }
        int64_t buffer[counters * each];
        for (int r = 0; r < each; ++r) rows[r].store(buffer + r * counters);
        for (int64_t j = 0; j < n; ++j) to[j] = buffer[before + j];
    }
    [[gnu::noinline]] static void draw_each(int64_t* to, const int64_t* k, const int64_t* o, const int64_t* p,
                                            int64_t i, int64_t n) {
        V key, offset, position;
        for (int lane = 0; lane < N; ++lane) {
            const int64_t from = i + (lane < n ? lane : 0);
            key.value[lane] = at<1>(k, from), offset.value[lane] = at<2>(o, from),
            position.value[lane] = at<4>(p, from);
        }
        const V drawn = F::of(key, offset, position);
        for (int64_t j = 0; j < n; ++j) to[j] = drawn.value[j];
    }
    // a and b in turns, the half of them.
    template <int half, class W>
    TENON_INLINE static W zip(W a, W b) {
        return zip_lanes<half>(a, b, std::make_integer_sequence<int, int(sizeof(W) / sizeof(int64_t))>());
    }
    template <int half, class W, int... lane>
    TENON_INLINE static W zip_lanes(W a, W b, std::integer_sequence<int, lane...>) {
        constexpr int n = sizeof...(lane);
        return {__builtin_shufflevector(a.value, b.value, (half * n / 2 + lane / 2 + lane % 2 * n)...)};
    }
};

template <class F, class S>
constexpr Routine drawn() {
    constexpr int N = vector_bytes / int(sizeof(S));
    return {F::is.name,
            3,
            dtype_of<S>,
            dtype_of<S>,
            {&Drawn<F, N, 0>::run, &Drawn<F, N, 1>::run, &Drawn<F, N, 2>::run, &Drawn<F, N, 3>::run,
             &Drawn<F, N, 4>::run, &Drawn<F, N, 5>::run, &Drawn<F, N, 6>::run, &Drawn<F, N, 7>::run}};
}

}  // namespace tenon::TENON_ISA
