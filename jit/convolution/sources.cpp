#include "jit/convolution/sources.h"

#include <algorithm>
#include <cassert>
#include <cstring>

#include "jit/convolution/copies.h"

namespace tenon::convolution {

using contract::Block, contract::Lines, contract::Part;

constexpr int64_t near_bytes = 16 << 10;  // of a panel, that stay in the first cache beside what they are made of

template <class T>
void PatchColumns<T>::pack(const Part& part, int64_t width, T* to) const {
    using V = Vector<T>;
    const int64_t taps = int64_t(patches_.taps.size()), g = part.matrix % product_.groups;
    const int64_t places = patches_.places_of_example();
    const int64_t first = part.line + (apart_ ? part.matrix / product_.groups * places : 0), end = first + part.lines;
    const T* const source = product_.source + g * product_.channels * patches_.channel;
    // Some channels at a time, of which all rows of a panel stay in the first cache until its vectors have filled them.
    const int64_t vectors = width / V::lanes,
                  near = std::max<int64_t>(near_bytes / (taps * width * int64_t(sizeof(T))), 1);
    const int64_t channels = (part.begin + part.depth + taps - 1) / taps;
    ReadingMemory<T> memory(vectors, taps);
    SmallVector<bool, 8> inside(static_cast<size_t>(vectors));
    for (int64_t begin = first; begin < end; begin += width) {
        memory.clear();
        T* const panel = to + (begin - first) * part.depth;
        // Vectors that end with their example are put together of several.
        for (int64_t v = 0; v < vectors && begin + v * V::lanes < end; ++v)
            inside[size_t(v)] = find_readings(patches_, begin + v * V::lanes, end - begin - v * V::lanes,
                                              memory.readings() + v * taps, memory);
        for (int64_t some = part.begin / taps; some < channels; some += near)
            for (int64_t v = 0; v < vectors && begin + v * V::lanes < end; ++v)
                for (int64_t t = 0; t < taps; ++t) {  // of a tap several channels, so that how it lies is asked once
                    const int64_t c = std::max((part.begin - t + taps - 1) / taps, some),
                                  stop = std::min((part.begin + part.depth - t + taps - 1) / taps, some + near);
                    if (c >= stop) continue;
                    T* row = panel + (c * taps + t - part.begin) * width + v * V::lanes;
                    const bool is_inside = inside[size_t(v)];
                    const Reading<T>& reading = memory.readings()[v * taps + (is_inside ? 0 : t)];
                    const T* channel = source + c * patches_.channel + (is_inside ? patches_.taps[size_t(t)].shift : 0);
                    visit(reading.lie, [&]<Lie lie>() {
                        for (int64_t left = stop - c; left > 0;
                             --left, channel += patches_.channel, row += taps * width) {
                            __builtin_prefetch(channel + reading.base +
                                               width);  // channels lie far apart: for the panel to come
                            V::store(row, reading.template from<lie>(channel));
                        }
                    });
                }
    }
    // A vector may reach into a panel's last lines only: widths are multiples of its lanes.
}

template <class T>
void PatchTaps<T>::pack(const Part& part, int64_t width, T* to) const {
    using V = Vector<T>;
    constexpr int64_t lanes = V::lanes;
    const int64_t taps = int64_t(patches_.taps.size());
    const T* const source = product_.source + part.matrix * product_.channels * patches_.channel;
    ReadingMemory<T> memory(1, taps);
    for (int64_t p = 0, live; p < part.depth; p += live) {
        const int64_t column = part.begin + p;
        live = std::min(lanes, patches_.end_of_vectors(column, part.begin + part.depth) - column);
        memory.clear();
        const bool inside = find_readings(patches_, column, live, memory.readings(), memory);
        const Reading<T>* const readings = memory.readings();
        for (int64_t line = 0; line < part.lines; line += lanes) {
            const int64_t many = std::min(lanes, part.lines - line);
            const T* channels[lanes];
            int64_t reading[lanes];
            for (int64_t l = 0; l < many; ++l) {
                const int64_t t = (part.line + line + l) % taps;
                channels[l] = source + (part.line + line + l) / taps * patches_.channel +
                              (inside ? patches_.taps[size_t(t)].shift : 0);
                reading[l] = inside ? 0 : t;
            }
            T* const rows = to + line / width * width * part.depth + p * width + line % width;
            if (inside && many == lanes && live == lanes) {
                visit(readings->lie, [&]<Lie lie>() {
                    typename V::Type v[lanes];
                    _Pragma("GCC unroll 8") for (int64_t l = 0; l < lanes; ++l) v[l] =
                        readings->template from<lie>(channels[l]);
                    V::transpose(v);
                    _Pragma("GCC unroll 8") for (int64_t l = 0; l < lanes; ++l) V::store(rows + l * width, v[l]);
                });
                continue;
            }
            typename V::Type v[lanes];
            for (int64_t l = 0; l < lanes; ++l) v[l] = l < many ? readings[reading[l]].load(channels[l]) : V::all(T(0));
            V::transpose(v);
            for (int64_t l = 0; l < live; ++l) V::store(rows + l * width, v[l]);
        }
    }
}

template <class T>
void KernelRows<T>::pack_all(const contract::Means& means, Workspace& workspace) {
    width_ = contract::panel_height<T>(means.instructions);
    const int64_t depth = product_.channels * int64_t(product_.patches.taps.size()),
                  panels = (product_.rows + width_ - 1) / width_;
    group_ = panels * width_ * depth;
    T* const to = reinterpret_cast<T*>(workspace.reserve(size_t(product_.groups * group_) * sizeof(T)));
    for_each_of(means.pool, product_.groups * panels, width_ * depth, [&](int64_t k) {
        const int64_t line = k % panels * width_, lines = std::min(width_, product_.rows - line);
        pack({k / panels, line, lines, 0, depth}, width_, to + k * width_ * depth);
    });
    panels_ = to;
}
template <class T>
const T* KernelRows<T>::packed(int64_t matrix, int64_t width) const {
    return panels_ && width == width_ ? panels_ + matrix % product_.groups * group_ : nullptr;
}

template <class T>
void KernelRows<T>::pack(const Part& part, int64_t width, T* to) const {
    const Kernels<T>& k = product_.kernels;
    const std::vector<Tap>& tap = product_.patches.taps;
    const int64_t taps = int64_t(tap.size());
    const T* const from = k.data + part.matrix % product_.groups * k.group + part.line * k.row;
    if (k.row != 1) {
        assert(k.channel == taps && k.place == 1 && tap.back().place == taps - 1);
        return contract::pack_lines(Lines<T>{from + part.begin, k.row, 1}, part.lines, part.depth, width, to);
    }
    const int64_t whole = part.lines / width * width;
    const auto row = [&](int64_t p) { return from + p / taps * k.channel + tap[size_t(p % taps)].place * k.place; };
    const auto rows = [&](auto count) {
        constexpr int64_t ahead = 4, line = 64 / int64_t(sizeof(T));  // rows lie far apart
        for (int64_t p = 0; p < part.depth; ++p) {
            if (p + ahead < part.depth)
                for (int64_t i = 0; i < part.lines; i += line) __builtin_prefetch(row(part.begin + p + ahead) + i);
            const T* const elements = row(part.begin + p);
            T* panel = to + p * width;
            for (int64_t i = 0; i < whole; i += width, panel += width * part.depth)
                std::memcpy(panel, elements + i, size_t(count) * sizeof(T));
            std::copy(elements + whole, elements + part.lines, panel);
        }
    };
    constexpr int64_t tall = 12;  // panels of most machines: a few moves
    if (width == tall) rows(std::integral_constant<int64_t, tall>());
    else rows(width);
}

template <class T>
void FactorRows<T>::pack(const Part& part, int64_t width, T* to) const {
    const int64_t places = product_.patches.places_of_example();
    for (int64_t i = 0; i < part.lines; i += width, to += width * part.depth)
        for (int64_t p = 0, run; p < part.depth; p += run) {
            const int64_t example = (part.begin + p) / places, place = (part.begin + p) % places;
            run = std::min(places - place, part.depth - p);
            const int64_t row = (example * product_.groups + part.matrix) * product_.rows + part.line + i;
            contract::pack_lines(Lines<T>{product_.factors + row * places + place, places, 1},
                                 std::min(width, part.lines - i), run, width, to + p * width);
        }
}

template <class T>
T* Image<T>::first(int64_t matrix) const {
    return product_.result + matrix % product_.groups * product_.rows * product_.result_row;
}
template <class T>
typename contract::Target<T>::Rows Image<T>::in_place(int64_t matrix) const {
    if (!in_order_ || (!apart_ && product_.patches.examples > 1)) return {};
    return {first(matrix) + product_.targets.origin + matrix / product_.groups * product_.targets.example,
            product_.result_row};
}
template <class T>
void Image<T>::store(const Block& block, const T* from, int64_t row) const {
    const int64_t places = product_.patches.places_of_example();
    Column column(product_.patches, block.column + (apart_ ? block.matrix / product_.groups * places : 0));
    T* const result = first(block.matrix) + block.row * product_.result_row;
    for (int64_t j = 0; j < block.columns;) {  // places that lie side by side, or each by itself
        const int64_t at = column.in(product_.targets);
        int64_t run = 1;
        for (column.next(); j + run < block.columns && column.in(product_.targets) == at + run; ++run) column.next();
        for (int64_t i = 0; i < block.rows; ++i) {
            T* const to = result + i * product_.result_row + at;
            if (run == 1) *to = from[i * row + j];
            else std::memcpy(to, from + i * row + j, size_t(run) * sizeof(T));
        }
        j += run;
    }
}

#define TENON_SOURCES(T)            \
    template class PatchColumns<T>; \
    template class PatchTaps<T>;    \
    template class KernelRows<T>;   \
    template class FactorRows<T>;   \
    template class Image<T>;
TENON_SOURCES(float)
TENON_SOURCES(double)
#undef TENON_SOURCES

}  // namespace tenon::convolution
