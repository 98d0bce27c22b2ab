#include "jit/convolution/planes.h"

#include <algorithm>
#include <cstring>

#include "jit/convolution/copies.h"
#include "runtime/integer.h"

namespace tenon::convolution {

Planes::Planes(const Patches& p, int64_t channels) : patches_(p), channels_(channels) {
    std::array<int64_t, 3> most{};
    std::vector<std::pair<size_t, std::array<int64_t, 3>>>
        taps;  // the plane of each, and how many strides from where it begins
    is_source_ = p.step == std::array<int64_t, 3>{1, 1, 1};
    for (const Tap& tap : p.taps) {
        Phase phase;
        std::array<int64_t, 3> at;
        for (size_t d = 0; d < 3; ++d) {
            at[d] = floor_divide(tap.offset[d], p.step[d]);
            phase[d] = tap.offset[d] - at[d] * p.step[d];
            least_[d] = taps.empty() ? at[d] : std::min(least_[d], at[d]);
            most[d] = taps.empty() ? at[d] : std::max(most[d], at[d]);
            is_source_ &= at[d] >= 0 && at[d] + p.places[d] <= p.sizes[d];
        }
        const auto known = std::find(phases_.begin(), phases_.end(), phase);
        taps.emplace_back(size_t(known - phases_.begin()), at);
        if (known == phases_.end()) phases_.push_back(phase);
    }
    if (is_source_) {
        least_ = {};
        sizes_ = p.sizes;
        row_ = sizes_[2];
        channel_ = p.channel;
        example_ = p.example;
    } else {
        for (size_t d = 0; d < 3; ++d) sizes_[d] = p.places[d] + most[d] - least_[d];
        int64_t shared = std::max<int64_t>(-least_[2], 0);  // zeros that end a row and begin the next
        for (const Phase& phase : phases_) {
            const int64_t end = (p.sizes[2] - phase[2] + p.step[2] - 1) / p.step[2];
            shared = std::clamp<int64_t>(least_[2] + sizes_[2] - end, 0, shared);
        }
        row_ = sizes_[2] - std::min(shared, sizes_[2] - 1);
        plane_ = sizes_[0] * sizes_[1] * row_ + sizes_[2] - row_;
        channel_ = int64_t(phases_.size()) * plane_;
        example_ = channels * channel_;
    }
    columns_ = ((p.places[0] - 1) * sizes_[1] + p.places[1] - 1) * row_ + p.places[2];
    for (const auto& [plane, at] : taps)
        taps_.push_back(int64_t(plane) * plane_ + ((at[0] - least_[0]) * sizes_[1] + at[1] - least_[1]) * row_ + at[2] -
                        least_[2]);
}

bool Planes::are_worth_it() const {
    constexpr double least_used = 0.9;
    constexpr int64_t lanes = 64 / int64_t(sizeof(float));
    const int64_t computed = (columns_ + lanes - 1) / lanes * lanes, used = patches_.places_of_example();
    if (double(used) < least_used * double(computed)) return false;
    return is_source_ || (patches_.taps.size() >= enough_taps && channel_ <= most_elements);
}

template <class F>
void Planes::each_run(int64_t begin, int64_t end, F f) const {
    const auto& places = patches_.places;
    const int64_t all = sizes_[1] * row_;
    for (int64_t z = begin / all; z < places[0] && z * all < end; ++z)
        for (int64_t y = std::max<int64_t>(begin - z * all, 0) / row_; y < places[1]; ++y) {
            const int64_t row = z * all + y * row_, from = std::max(begin, row), to = std::min(end, row + places[2]);
            if (row >= end) break;
            if (from < to) f(std::array<int64_t, 3>{z, y, from - row}, from, to - from);
        }
}

template <class T>
void Planes::copy_plane(const Phase& phase, const T* channel, T* to) const {
    const auto& step = patches_.step;
    const auto inside = [&](size_t d, int64_t k) {  // where element k of a plane is in the source; −1: outside
        const int64_t at = (least_[d] + k) * step[d] + phase[d];
        return at < patches_.sizes[d] ? std::max<int64_t>(at, -1) : -1;
    };
    const int64_t before = std::min(std::max<int64_t>(-least_[2], 0), sizes_[2]),
                  end =
                      std::clamp((patches_.sizes[2] - phase[2] + step[2] - 1) / step[2] - least_[2], before, sizes_[2]);
    for (int64_t z = 0; z < sizes_[0]; ++z)
        for (int64_t y = 0; y < sizes_[1]; ++y, to += row_) {
            const int64_t at_z = inside(0, z), at_y = inside(1, y);
            if (at_z < 0 || at_y < 0) {
                std::fill(to, to + sizes_[2], T(0));
                continue;
            }
            const T* const from = channel + (at_z * patches_.sizes[1] + at_y) * patches_.sizes[2] +
                                  (least_[2] + before) * step[2] + phase[2];
            std::fill(to, to + before, T(0));
            if (step[2] == 1) std::memcpy(to + before, from, size_t(end - before) * sizeof(T));
            else if (step[2] == 2)
                for (int64_t x = before; x < end; ++x) to[x] = from[(x - before) * 2];
            else
                for (int64_t x = before; x < end; ++x) to[x] = from[(x - before) * step[2]];
            std::fill(to + end, to + sizes_[2], T(0));
        }
}

template <class T>
void Planes::copy(const T* source, T* to, ThreadPool& pool) const {
    for_each_of(pool, patches_.examples * channels_, channel_, [&](int64_t k) {
        const T* const channel = source + k / channels_ * patches_.example + k % channels_ * patches_.channel;
        T* plane = to + k * channel_;
        for (const Phase& phase : phases_) {
            copy_plane(phase, channel, plane);
            plane += plane_;
        }
    });
}

template <class T>
PlaneColumns<T>::PlaneColumns(const PatchProduct<T>& product, const Planes& planes, const T* data)
    : planes_(planes), data_(data), groups_(product.groups), group_(product.channels * planes.channel()) {
    const size_t taps = product.patches.taps.size();
    offsets_.reserve(size_t(product.channels) * taps + contract::rows_ahead);
    for (int64_t c = 0; c < product.channels; ++c)
        for (size_t t = 0; t < taps; ++t) offsets_.push_back(c * planes.channel() + planes.tap(t));
    offsets_.resize(offsets_.size() + contract::rows_ahead, offsets_.empty() ? 0 : offsets_.back());
}
template <class T>
contract::RowsApart<T> PlaneColumns<T>::apart(int64_t matrix, int64_t line, int64_t) const {
    return {data_ + matrix / groups_ * planes_.example() + matrix % groups_ * group_ + line, offsets_.data()};
}

template <class T>
T* PlaneImage<T>::first(int64_t matrix) const {
    return product_.result + matrix % product_.groups * product_.rows * product_.result_row + product_.targets.origin +
           matrix / product_.groups * product_.targets.example;
}
template <class T>
typename contract::Target<T>::Rows PlaneImage<T>::in_place(int64_t matrix) const {
    const Patches& p = product_.patches;
    if (planes_.columns() != p.places_of_example() || !are_in_order(p, product_.targets)) return {};
    return {first(matrix), product_.result_row};
}
template <class T>
void PlaneImage<T>::store(const contract::Block& block, const T* from, int64_t row) const {
    const Targets& t = product_.targets;
    T* const result = first(block.matrix) + block.row * product_.result_row;
    planes_.each_run(block.column, block.column + block.columns,
                     [&](const std::array<int64_t, 3>& at, int64_t column, int64_t count) {
                         T* const to = result + at[0] * t.strides[0] + at[1] * t.strides[1] + at[2] * t.strides[2];
                         const T* const elements = from + column - block.column;
                         for (int64_t i = 0; i < block.rows; ++i) {
                             T* const line = to + i * product_.result_row;
                             const T* const some = elements + i * row;
                             if (t.strides[2] == 1) std::memcpy(line, some, size_t(count) * sizeof(T));
                             else
                                 for (int64_t k = 0; k < count; ++k) line[k * t.strides[2]] = some[k];
                         }
                     });
}

#define TENON_PLANES(T)                                             \
    template void Planes::copy<T>(const T*, T*, ThreadPool&) const; \
    template class PlaneColumns<T>;                                 \
    template class PlaneImage<T>;
TENON_PLANES(float)
TENON_PLANES(double)
#undef TENON_PLANES

}  // namespace tenon::convolution
