#include "jit/convolution/patches.h"

#include <algorithm>
#include <limits>

#include "runtime/diagnostic.h"

namespace tenon::convolution {

namespace {

constexpr int32_t outside = std::numeric_limits<int32_t>::min() / 2;  // a coordinate that no tap brings back

}  // namespace

void Patches::prepare() {
    constexpr int64_t largest = std::numeric_limits<int32_t>::max() / 4;
    bool fits = true;
    double elements = 1;
    for (size_t d = 0; d < 3; ++d) {
        least[d] = most[d] = 0;
        for (const Tap& tap : taps) {
            least[d] = std::min(least[d], tap.offset[d]);
            most[d] = std::max(most[d], tap.offset[d]);
        }
        fits &= sizes[d] <= largest && -least[d] <= largest && most[d] <= largest &&
                double(places[d]) * double(step[d]) <= double(largest);
        elements *= double(sizes[d]);
    }
    if (!fits || elements > double(largest))
        throw_error("value", "a convolution takes channels of up to 2²⁹ elements, its padding and dilation included");
    merges = example <= largest / Vector<float>::lanes;
    for (Tap& tap : taps) tap.shift = (tap.offset[0] * sizes[1] + tap.offset[1]) * sizes[2] + tap.offset[2];
}

namespace {

// Lanes of columns before any tap: coordinates in the source, and elements from the first lane's example on.
template <class T>
struct Origin {
    static constexpr int64_t lanes = Reading<T>::lanes;
    alignas(32) int32_t at[3][lanes], example[lanes], offset[lanes];
    int64_t first;  // example
    bool inside = true;

    Origin(const Patches& p, int64_t column, int64_t live) : inside(live >= lanes) {
        Column place(p, column);
        first = place.example;
        for (int64_t l = 0; l < lanes; ++l) {
            if (l >= live) {
                at[0][l] = outside;
                at[1][l] = at[2][l] = example[l] = offset[l] = 0;
                continue;
            }
            for (size_t d = 0; d < 3; ++d) {
                const int64_t x = place.at[d] * p.step[d];
                at[d][l] = int32_t(x);
                inside &= x + p.least[d] >= 0 && x + p.most[d] < p.sizes[d];
            }
            example[l] = int32_t((place.example - first) * p.example);
            offset[l] = int32_t((place.at[0] * p.step[0] * p.sizes[1] + place.at[1] * p.step[1]) * p.sizes[2] +
                                place.at[2] * p.step[2]) +
                        example[l];
            place.next();
        }
    }
};

// How lanes lie of which `in` are inside, and where from, but for what all have in common.
template <class T>
void classify(const int32_t* offset, const int32_t* in, bool all, Reading<T>& r, Masks<T>*& free) {
    constexpr int64_t lanes = Reading<T>::lanes;
    using Mask = typename Vector<T>::MaskLane;
    int64_t known = 0;
    while (!in[known]) ++known;
    const auto run = int32_t(offset[known] - known);
    int64_t other = known;
    while (other < lanes && (!in[other] || offset[other] - other == run)) ++other;
    r.base = run;
    r.second_base = run;
    if (other == lanes && all) {
        r.lie = Lie::run;
        r.masks = &all_lanes<T>;
        return;
    }
    const int32_t second = other == lanes ? 0 : int32_t(offset[other] - other);
    bool two = true, every_second = all;
    for (int64_t l = 0; l < lanes; ++l) {
        const auto mine = int32_t(offset[l] - l);
        two &= !in[l] || mine == run || mine == second;
        every_second &= offset[l] == offset[0] + 2 * l;
    }
    if (every_second) {
        r.lie = Lie::every_second;
        r.base = offset[0];
        return;
    }
    Masks<T>& masks = *free++;
    r.masks = &masks;
    r.lie = other == lanes ? Lie::part_of_run : two ? Lie::two_runs : Lie::scattered;
    if (r.lie == Lie::two_runs) r.second_base = second;
    if (r.lie == Lie::scattered) r.base = offset[known];
    for (int64_t l = 0; l < lanes; ++l) {
        const bool is_second = r.lie == Lie::two_runs && offset[l] - l != run;
        masks.first[l] = is_second ? Mask(0) : Mask(in[l]);
        masks.second[l] = is_second ? Mask(in[l]) : Mask(0);
        masks.offsets[l] = in[l] ? offset[l] - offset[known] : 0;
    }
}

}  // namespace

template <class T>
bool find_readings(const Patches& p, int64_t column, int64_t live, Reading<T>* to, ReadingMemory<T>& memory) {
    constexpr int64_t lanes = Reading<T>::lanes;
    const Origin<T> origin(p, column, live);
    const int64_t first = origin.first * p.example;
    int32_t in[lanes];
    if (origin.inside) {
        std::fill(in, in + lanes, -1);
        *to = {};
        classify(origin.offset, in, true, *to, memory.free);
        to->base += first;
        to->second_base += first;
        return true;
    }
    const auto s0 = uint32_t(p.sizes[0]), s1 = uint32_t(p.sizes[1]), s2 = uint32_t(p.sizes[2]);
    for (const Tap& tap : p.taps) {
        const auto o0 = int32_t(tap.offset[0]), o1 = int32_t(tap.offset[1]), o2 = int32_t(tap.offset[2]);
        int any = 0, all = -1;
        for (int64_t l = 0; l < lanes; ++l) {
            in[l] =
                -int32_t(unsigned(uint32_t(origin.at[0][l] + o0) < s0) & unsigned(uint32_t(origin.at[1][l] + o1) < s1) &
                         unsigned(uint32_t(origin.at[2][l] + o2) < s2));
            any |= in[l];
            all &= in[l];
        }
        Reading<T>& r = *to++;
        r = {};
        if (!any) {
            r.lie = Lie::nowhere;
            r.masks = &no_lanes<T>;
            continue;
        }
        classify(origin.offset, in, all != 0, r, memory.free);
        r.base += first + tap.shift;
        r.second_base += first + tap.shift;
    }
    return false;
}

template bool find_readings<float>(const Patches&, int64_t, int64_t, Reading<float>*, ReadingMemory<float>&);
template bool find_readings<double>(const Patches&, int64_t, int64_t, Reading<double>*, ReadingMemory<double>&);

}  // namespace tenon::convolution
