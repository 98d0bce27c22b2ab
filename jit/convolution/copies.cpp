#include "jit/convolution/copies.h"

#include <algorithm>
#include <cassert>
#include <cstring>

#include "runtime/interrupt.h"

namespace tenon::convolution {

namespace {

constexpr size_t enough_taps = 4;
constexpr int64_t most_elements = int64_t{1} << 26;  // of a channel's copy, of which 32 bits hold the differences

// From the first element that a tap lies on, or the source's own first one, to the last.
std::array<int64_t, 3> extents(const Patches& p) {
    std::array<int64_t, 3> sizes;
    for (size_t d = 0; d < 3; ++d) sizes[d] = (p.places[d] - 1) * p.step[d] + p.most[d] - p.least[d] + 1;
    return sizes;
}
int64_t volume(const std::array<int64_t, 3>& sizes) { return sizes[0] * sizes[1] * sizes[2]; }

}  // namespace

// The rows of the last dimension: where they begin in the copy and in a channel of the source. What lies outside has no row there.
struct SourceRows {
    SourceRows(const Patches& p)
        : sizes(extents(p)), source(p.sizes), before{-p.least[0], -p.least[1], -p.least[2]},
          inside(std::clamp<int64_t>(sizes[2] - before[2], 0, source[2])) {}
    int64_t count() const { return sizes[0] * sizes[1]; }
    int64_t in_source(int64_t row) const {  // −1: outside
        const int64_t z = row / sizes[1] - before[0], y = row % sizes[1] - before[1];
        return z < 0 || z >= source[0] || y < 0 || y >= source[1] ? -1 : (z * source[1] + y) * source[2];
    }
    const std::array<int64_t, 3> sizes, source, before;
    const int64_t inside;  // elements of a row that are the source's
};

namespace {

// Calls f(k) for each k below `count`, many at a time of little work each.
template <class F>
void each(ThreadPool& pool, int64_t count, int64_t elements, F f) {
    constexpr int64_t tile_elements = 1 << 15;
    const int64_t together = std::max<int64_t>(tile_elements / std::max<int64_t>(elements, 1), 1);
    pool.parallel_for((count + together - 1) / together, [&](int64_t tile) {
        check_interrupt();
        for (int64_t k = tile * together; k < std::min(count, (tile + 1) * together); ++k) f(k);
    });
}

void become_copy(Patches& p, int64_t channel, int64_t example) {
    const std::array<int64_t, 3> sizes = extents(p);
    for (Tap& tap : p.taps)
        for (size_t d = 0; d < 3; ++d) tap.offset[d] -= p.least[d];
    p.sizes = sizes;
    p.channel = channel;
    p.example = example;
    p.prepare();
}

// A row of as many channels as a vector has lanes, beside each other: source[c · channel + x] goes to to[x · stride + c].
template <class T>
void transpose_row(const T* source, int64_t channel, int64_t count, T* to, int64_t stride) {
    using V = Vector<T>;
    constexpr int64_t lanes = V::lanes;
    int64_t x = 0;
    for (; x + lanes <= count; x += lanes) {
        typename V::Type v[lanes];
        _Pragma("GCC unroll 8") for (int64_t l = 0; l < lanes; ++l) v[l] = V::load(source + l * channel + x);
        V::transpose(v);
        _Pragma("GCC unroll 8") for (int64_t l = 0; l < lanes; ++l) V::store(to + (x + l) * stride, v[l]);
    }
    for (; x < count; ++x)
        for (int64_t l = 0; l < lanes; ++l) to[x * stride + l] = source[l * channel + x];
}

}  // namespace

bool worth_a_copy(const Patches& p) {
    if (p.taps.size() < enough_taps || p.columns() == 0 || volume(extents(p)) > most_elements) return false;
    bool outside = false;
    for (size_t d = 0; d < 3; ++d) outside |= p.least[d] < 0 || (p.places[d] - 1) * p.step[d] + p.most[d] >= p.sizes[d];
    return outside;
}

int64_t elements_of_copy(const Patches& p, int64_t channels) { return p.examples * channels * volume(extents(p)); }

template <class T>
void copy_with_zeros(Patches& p, int64_t channels, const T* source, T* to, ThreadPool& pool) {
    const SourceRows rows(p);
    const int64_t plane = volume(rows.sizes), length = rows.sizes[2];
    each(pool, p.examples * channels, plane, [&](int64_t k) {
        const T* const from = source + k / channels * p.example + k % channels * p.channel;
        T* row = to + k * plane;
        for (int64_t r = 0; r < rows.count(); ++r, row += length) {
            const int64_t at = rows.in_source(r);
            if (at < 0) {
                std::fill(row, row + length, T(0));
                continue;
            }
            std::fill(row, row + rows.before[2], T(0));
            std::memcpy(row + rows.before[2], from + at, size_t(rows.inside) * sizeof(T));
            std::fill(row + rows.before[2] + rows.inside, row + length, T(0));
        }
    });
    become_copy(p, plane, channels * plane);
}

template <class T>
void copy_channels_last(Patches& p, int64_t channels, const T* source, T* to, ThreadPool& pool) {
    constexpr int64_t lanes = Vector<T>::lanes;
    assert(channels % lanes == 0);
    const SourceRows rows(p);
    const int64_t length = rows.sizes[2] * channels, begin = rows.before[2] * channels,
                  end = begin + rows.inside * channels;
    each(pool, p.examples * rows.count(), length, [&](int64_t k) {
        const int64_t at = rows.in_source(k % rows.count());
        T* const row = to + k * length;
        if (at < 0) {
            std::fill(row, row + length, T(0));
            return;
        }
        const T* const from = source + k / rows.count() * p.example + at;
        std::fill(row, row + begin, T(0));
        for (int64_t c = 0; c < channels; c += lanes)
            transpose_row(from + c * p.channel, p.channel, rows.inside, row + begin + c, channels);
        std::fill(row + end, row + length, T(0));
    });
    become_copy(p, 1, channels * volume(rows.sizes));
}

template <class T>
void ChannelsLastTaps<T>::pack(const contract::Part& part, int64_t width, T* to) const {
    using V = Vector<T>;
    constexpr int64_t lanes = V::lanes, most_vectors = 128 / int64_t(sizeof(T)) / lanes;
    assert(part.line % lanes == 0 && width % lanes == 0 && width <= most_vectors * lanes);
    const int64_t all = product_.groups * product_.channels;
    std::vector<int64_t> places(static_cast<size_t>(part.depth));
    Column column(patches_, part.begin);
    for (int64_t& place : places) {
        place = column.example * patches_.example +
                ((column.at[0] * patches_.step[0] * patches_.sizes[1] + column.at[1] * patches_.step[1]) *
                     patches_.sizes[2] +
                 column.at[2] * patches_.step[2]) *
                    all;
        column.next();
    }
    for (int64_t line = 0; line < part.lines; line += width, to += width * part.depth) {
        const T* from[most_vectors];
        const int64_t vectors = (std::min(width, part.lines - line) + lanes - 1) / lanes;
        for (int64_t v = 0; v < vectors; ++v) {
            const int64_t at = part.line + line + v * lanes;
            from[v] = copy_ + patches_.taps[size_t(at / product_.channels)].shift * all +
                      part.matrix * product_.channels + at % product_.channels;
        }
        T* row = to;
        if (vectors == most_vectors) {
            for (int64_t place : places) {
                for (int64_t v = 0; v < most_vectors; ++v) V::store(row + v * lanes, V::load(from[v] + place));
                row += width;
            }
        } else {
            for (int64_t place : places) {
                for (int64_t v = 0; v < vectors; ++v) V::store(row + v * lanes, V::load(from[v] + place));
                row += width;
            }
        }
    }
}

template <class T>
void KernelsOfTaps<T>::store(const contract::Block& block, const T* from, int64_t row) const {
    const int64_t taps = int64_t(product_.patches.taps.size()), channels = product_.channels;
    T* const kernels = product_.result + (block.matrix * product_.rows + block.row) * channels * taps;
    for (int64_t i = 0; i < block.rows; ++i)
        for (int64_t j = 0, run; j < block.columns; j += run) {  // of one tap
            const int64_t t = (block.column + j) / channels, c = (block.column + j) % channels;
            run = std::min(channels - c, block.columns - j);
            T* const to = kernels + (i * channels + c) * taps + t;
            for (int64_t k = 0; k < run; ++k) to[k * taps] = from[i * row + j + k];
        }
}

#define TENON_COPIES(T)                                                                \
    template void copy_with_zeros<T>(Patches&, int64_t, const T*, T*, ThreadPool&);    \
    template void copy_channels_last<T>(Patches&, int64_t, const T*, T*, ThreadPool&); \
    template class ChannelsLastTaps<T>;                                                \
    template class KernelsOfTaps<T>;
TENON_COPIES(float)
TENON_COPIES(double)
#undef TENON_COPIES

}  // namespace tenon::convolution
