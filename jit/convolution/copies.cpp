#include "jit/convolution/copies.h"

#include <algorithm>
#include <cassert>
#include <cstring>

namespace tenon::convolution {

namespace {

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

void become_copy(Patches& p, int64_t channel, int64_t example) {
    const std::array<int64_t, 3> sizes = extents(p);
    for (Tap& tap : p.taps)
        for (size_t d = 0; d < 3; ++d) tap.offset[d] -= p.least[d];
    p.sizes = sizes;
    p.channel = channel;
    p.example = example;
    p.prepare();
}

// Some lines of some elements, no more than a vector has lanes: element p of line l goes to to[p · next + l].
template <class T>
void transpose_some(const T* from, int64_t line, int64_t lines, int64_t elements, T* to, int64_t next) {
    using V = Vector<T>;
    constexpr int64_t lanes = V::lanes;
    if (elements == 1 || lines == 1) {
        for (int64_t l = 0; l < lines; ++l)
            for (int64_t p = 0; p < elements; ++p) to[p * next + l] = from[l * line + p];
        return;
    }
    typename V::Type v[lanes];
    const auto there = V::first(elements), kept = V::first(lines);
    _Pragma("GCC unroll 8") for (int64_t l = 0; l < lanes; ++l) v[l] =
        l < lines ? V::load(from + l * line, there) : V::all(T(0));
    V::transpose(v);
    _Pragma("GCC unroll 8") for (int64_t p = 0; p < lanes; ++p) if (p < elements) V::store(to + p * next, kept, v[p]);
}

// Lines and their elements change places: element p of line l, at from[l · line + p], goes to to[p · next + l].
template <class T>
void transpose_lines(const T* from, int64_t line, int64_t lines, int64_t elements, T* to, int64_t next) {
    using V = Vector<T>;
    constexpr int64_t lanes = V::lanes;
    for (int64_t l = 0; l < lines; l += lanes) {
        int64_t p = 0;
        if (l + lanes <= lines)
            for (; p + lanes <= elements; p += lanes) {
                typename V::Type v[lanes];
                _Pragma("GCC unroll 8") for (int64_t k = 0; k < lanes; ++k) v[k] = V::load(from + (l + k) * line + p);
                V::transpose(v);
                _Pragma("GCC unroll 8") for (int64_t k = 0; k < lanes; ++k) V::store(to + (p + k) * next + l, v[k]);
            }
        for (; p < elements; p += lanes)
            transpose_some(from + l * line + p, line, std::min(lanes, lines - l), std::min(lanes, elements - p),
                           to + p * next + l, next);
    }
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
void transpose(const T* from, int64_t rows, int64_t columns, T* to) {
    transpose_lines(from, columns, rows, columns, to, rows);
}

template <class T>
void copy_with_zeros(Patches& p, int64_t channels, const T* source, T* to, ThreadPool& pool) {
    const SourceRows rows(p);
    const int64_t plane = volume(rows.sizes), length = rows.sizes[2];
    for_each_of(pool, p.examples * channels, plane, [&](int64_t k) {
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
void copy_channels_last(Patches& p, int64_t channels, int64_t block, const T* source, T* to, ThreadPool& pool) {
    constexpr int64_t lanes = Vector<T>::lanes;
    assert(block % lanes == 0 && channels % block == 0);
    const SourceRows rows(p);
    const int64_t length = rows.sizes[2] * block, begin = rows.before[2] * block, end = begin + rows.inside * block,
                  of_block = p.examples * rows.count();
    for_each_of(pool, channels / block * of_block, length, [&](int64_t k) {
        const int64_t at = rows.in_source(k % rows.count());
        T* const row = to + k * length;
        if (at < 0) {
            std::fill(row, row + length, T(0));
            return;
        }
        const T* const from = source + k / of_block * block * p.channel + k % of_block / rows.count() * p.example + at;
        std::fill(row, row + begin, T(0));
        for (int64_t c = 0; c < block; c += lanes)
            transpose_lines(from + c * p.channel, p.channel, lanes, rows.inside, row + begin + c, block);
        std::fill(row + end, row + length, T(0));
    });
    become_copy(p, 1, volume(rows.sizes));
}

template <class T>
ChannelsLastTaps<T>::ChannelsLastTaps(const ColumnProduct<T>& product, const T* copy, int64_t block)
    : product_(product), copy_(copy), block_(block) {
    assert(product.channels % block == 0);
    const Patches& p = product.patches;
    places_.reserve(size_t(p.columns() + contract::rows_ahead));
    for (int64_t example = 0; example < p.examples; ++example)
        for (int64_t z = 0; z < p.places[0]; ++z)
            for (int64_t y = 0; y < p.places[1]; ++y) {
                const int64_t row = example * p.example + (z * p.step[0] * p.sizes[1] + y * p.step[1]) * p.sizes[2];
                for (int64_t x = 0; x < p.places[2]; ++x) places_.push_back((row + x * p.step[2]) * block);
            }
    places_.resize(places_.size() + contract::rows_ahead, places_.empty() ? 0 : places_.back());
}
// Where its elements lie, from `places_` on.
template <class T>
const T* ChannelsLastTaps<T>::line(int64_t matrix, int64_t line) const {
    const Patches& p = product_.patches;
    const int64_t taps = int64_t(p.taps.size()), block = matrix * product_.channels / block_ + line / (taps * block_),
                  tap = line / block_ % taps;
    return copy_ + (block * p.examples * p.example + p.taps[size_t(tap)].shift) * block_ + line % block_;
}
template <class T>
contract::RowsApart<T> ChannelsLastTaps<T>::apart(int64_t matrix, int64_t first, int64_t width) const {
    assert(width != block_ || first % width == 0);
    return width == block_ ? contract::RowsApart<T>{line(matrix, first), places_.data()} : contract::RowsApart<T>{};
}
template <class T>
void ChannelsLastTaps<T>::pack(const contract::Part& part, int64_t width, T* to) const {
    using V = Vector<T>;
    constexpr int64_t lanes = V::lanes, most_vectors = 128 / int64_t(sizeof(T)) / lanes;
    assert(part.line % lanes == 0 && width % lanes == 0 && width <= most_vectors * lanes);
    const int64_t* const places = places_.data() + part.begin;
    for (int64_t first = 0; first < part.lines; first += width, to += width * part.depth) {
        const T* from[most_vectors];
        const int64_t vectors = (std::min(width, part.lines - first) + lanes - 1) / lanes;
        for (int64_t v = 0; v < vectors; ++v) from[v] = line(part.matrix, part.line + first + v * lanes);
        const auto rows = [&](auto count) {
            T* row = to;
            for (int64_t p = 0; p < part.depth; ++p, row += width)
                for (int64_t v = 0; v < count; ++v) V::store(row + v * lanes, V::load(from[v] + places[p]));
        };
        if (vectors == most_vectors) rows(std::integral_constant<int64_t, most_vectors>());
        else rows(vectors);
    }
}

// Some channels and taps at a time, which are transposed in registers.
template <class T>
void KernelsOfTaps<T>::store(const contract::Block& part, const T* from, int64_t row) const {
    using V = Vector<T>;
    constexpr int64_t lanes = V::lanes;
    const int64_t taps = int64_t(product_.patches.taps.size()), all = taps * block_, end = part.column + part.columns;
    assert(part.column % lanes == 0 && part.columns % lanes == 0);
    T* const kernels = product_.result + (part.matrix * product_.rows + part.row) * product_.channels * taps;
    for (int64_t i = 0; i < part.rows; ++i, from += row)
        for (int64_t block = part.column / all; block * all < end; ++block)
            for (int64_t c = 0; c < block_; c += lanes) {
                const T* const elements = from + block * all - part.column + c;  // of tap 0
                T* const to = kernels + (i * product_.channels + block * block_ + c) * taps;
                // The taps of these channels that the part has.
                const int64_t before = part.column - block * all - c, after = end - block * all - c;
                const int64_t first = before <= 0 ? 0 : (before + block_ - 1) / block_,
                              last = std::min(taps, (after + block_ - 1) / block_);
                transpose_lines(elements + first * block_, block_, last - first, lanes, to + first, taps);
            }
}

#define TENON_COPIES(T)                                                                         \
    template void transpose<T>(const T*, int64_t, int64_t, T*);                                 \
    template void copy_with_zeros<T>(Patches&, int64_t, const T*, T*, ThreadPool&);             \
    template void copy_channels_last<T>(Patches&, int64_t, int64_t, const T*, T*, ThreadPool&); \
    template class ChannelsLastTaps<T>;                                                         \
    template class KernelsOfTaps<T>;
TENON_COPIES(float)
TENON_COPIES(double)
#undef TENON_COPIES

}  // namespace tenon::convolution
