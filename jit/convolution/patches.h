// What a convolution reads: for each place of its result, the elements of a source that the taps of a kernel lie on there.
// They are gathered while panels of a product are packed, so that no matrix of patches ever lies in memory.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "jit/convolution/vectors.h"

namespace tenon::convolution {

struct Tap {
    int64_t place;                  // in the kernel, row-major
    std::array<int64_t, 3> offset;  // in the source, from where a place of the result begins
    int64_t shift = 0;              // the same in elements
};

/// Columns are the places of all examples one after the other, row-major. Elements of the source are counted from its first.
struct Patches {
    int64_t examples = 0;
    std::array<int64_t, 3> sizes{};   // of the source's space
    std::array<int64_t, 3> places{};  // of the result's
    std::array<int64_t, 3> step{};    // in the source, from place to place
    std::vector<Tap> taps;
    int64_t channel = 0, example = 0;        // strides of the source
    std::array<int64_t, 3> least{}, most{};  // of the taps' offsets

    bool merges = true;  // whether the columns of a vector may be of several examples

    /// What follows from the sizes and the taps. Throws Error "value" for differences that 32 bits do not hold.
    void prepare();
    /// Up to here, or to the end of `column`'s example where vectors end there.
    int64_t end_of_vectors(int64_t column, int64_t end) const {
        return merges ? end : std::min(end, (column / places_of_example() + 1) * places_of_example());
    }

    int64_t places_of_example() const { return places[0] * places[1] * places[2]; }
    int64_t columns() const { return examples * places_of_example(); }
};

/// Where the places of a result lie.
struct Targets {
    int64_t example = 0, origin = 0;
    std::array<int64_t, 3> strides{};
};

/// Whether the places of an example lie as columns do.
inline bool are_in_order(const Patches& p, const Targets& t) {
    return t.strides == std::array<int64_t, 3>{p.places[1] * p.places[2], p.places[2], 1};
}

/// Goes from column to column.
class Column {
public:
    Column(const Patches& patches, int64_t column) : patches_(patches) {
        for (size_t d = 3; d-- > 0; column /= patches.places[d]) at[d] = column % patches.places[d];
        example = column;
    }
    void next() {
        for (size_t d = 3; d-- > 0;) {
            if (++at[d] < patches_.places[d]) return;
            at[d] = 0;
        }
        ++example;
    }
    int64_t in(const Targets& t) const {
        return t.origin + example * t.example + at[0] * t.strides[0] + at[1] * t.strides[1] + at[2] * t.strides[2];
    }
    int64_t example = 0;
    std::array<int64_t, 3> at{};

private:
    const Patches& patches_;
};

// How the elements of a vector of columns lie under one tap. What lies outside of the source is 0.
enum class Lie : uint8_t { nowhere, run, part_of_run, two_runs, every_second, scattered };

template <class T>
struct alignas(32) Masks {  // which lanes are of the first and of the second run; where each lies from the first on
    static constexpr int64_t lanes = Vector<T>::lanes;
    typename Vector<T>::MaskLane first[lanes], second[lanes];
    alignas(32) int32_t offsets[lanes];
};

template <class T>
inline constexpr Masks<T> all_lanes = [] {
    Masks<T> m{};
    for (auto& lane : m.first) lane = -1;
    return m;
}();
template <class T>
inline constexpr Masks<T> no_lanes{};

/// A vector of columns under one tap, in any channel. What lies nowhere or in a run may also be read as a part of one, and what
/// is a part of one as two.
template <class T>
struct Reading {
    using V = Vector<T>;
    static constexpr int64_t lanes = V::lanes;
    const Masks<T>* masks;
    int64_t base, second_base;
    Lie lie;

    template <Lie how>
    typename V::Type from(const T* channel) const {
        const auto mask = [](const auto* m) { return _mm256_load_si256(reinterpret_cast<const __m256i*>(m)); };
        if constexpr (how == Lie::nowhere) return V::all(T(0));
        else if constexpr (how == Lie::run) return V::load(channel + base);
        else if constexpr (how == Lie::part_of_run) return V::load(channel + base, mask(masks->first));
        else if constexpr (how == Lie::two_runs)
            return Vector<T>::either(V::load(channel + base, mask(masks->first)),
                                     V::load(channel + second_base, mask(masks->second)));
        else if constexpr (how == Lie::every_second) return Vector<T>::every_second(channel + base);
        else return Vector<T>::gather(channel + base, masks->offsets, mask(masks->first));
    }
    typename V::Type load(const T* channel) const {
        switch (lie) {
            case Lie::run: return from<Lie::run>(channel);
            case Lie::part_of_run: return from<Lie::part_of_run>(channel);
            case Lie::two_runs: return from<Lie::two_runs>(channel);
            case Lie::every_second: return from<Lie::every_second>(channel);
            case Lie::scattered: return from<Lie::scattered>(channel);
            default: return V::all(T(0));
        }
    }
};
/// f.template operator()<lie>().
template <class F>
void visit(Lie lie, F&& f) {
    switch (lie) {
        case Lie::nowhere: return f.template operator()<Lie::nowhere>();
        case Lie::run: return f.template operator()<Lie::run>();
        case Lie::part_of_run: return f.template operator()<Lie::part_of_run>();
        case Lie::two_runs: return f.template operator()<Lie::two_runs>();
        case Lie::every_second: return f.template operator()<Lie::every_second>();
        case Lie::scattered: return f.template operator()<Lie::scattered>();
    }
}

/// Where readings are made: for so many vectors of columns and so many taps.
template <class T>
class ReadingMemory {
public:
    ReadingMemory(int64_t vectors, int64_t taps)
        : readings_(size_t(vectors * taps)), masks_(size_t(vectors * (taps + 1))), free(masks_.data()) {}
    Reading<T>* readings() { return readings_.data(); }
    void clear() { free = masks_.data(); }

private:
    std::vector<Reading<T>> readings_;
    std::vector<Masks<T>> masks_;  // at most one a reading, and one a vector

public:
    Masks<T>* free;
};

/// The readings of `live` columns from `column` on, the rest of the vector nowhere: one for each tap, at `to`. True where all taps
/// lie inside: then the first reading alone is made, of what lies `shift` before each of them.
template <class T>
bool find_readings(const Patches& patches, int64_t column, int64_t live, Reading<T>* to, ReadingMemory<T>& memory);

}  // namespace tenon::convolution
