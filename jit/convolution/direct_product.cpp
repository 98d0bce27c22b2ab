#include "jit/convolution/direct_product.h"

#include <algorithm>
#include <vector>

#include "runtime/interrupt.h"

namespace tenon::convolution {

namespace {

struct Range {
    int64_t begin = 0, end = 0;
    int64_t count() const { return end - begin; }
};
// The k-th of `parts` parts of 0 … size − 1, each but the last of a multiple.
Range part(int64_t size, int64_t parts, int64_t k, int64_t multiple) {
    const int64_t each = (size + parts * multiple - 1) / (parts * multiple) * multiple;
    return {std::min(size, k * each), std::min(size, (k + 1) * each)};
}

// Places of one example, whose readings serve every example, group and row.
template <class T>
class PlaceTile {
public:
    PlaceTile(const PatchProduct<T>& product, const Range& planes, const Range& places)
        : p_(product), planes_(planes), places_(places), taps_(int64_t(product.patches.taps.size())),
          memory_((places.count() + lanes - 1) / lanes, taps_) {
        for (const Tap& tap : product.patches.taps) taps_at_.push_back({tap.shift, tap.place * product.kernels.place});
    }

    void run() {
        const int64_t vectors = (places_.count() + lanes - 1) / lanes;
        for (int64_t v = 0; v < vectors; ++v) {
            const bool inside = find_readings(p_.patches, places_.begin + v * lanes, places_.count() - v * lanes,
                                              memory_.readings() + v * taps_, memory_);
            sort(v, inside);
        }
        find_targets();
        for (int64_t plane = planes_.begin; plane < planes_.end; ++plane) {
            const int64_t row = plane % p_.rows, g = plane / p_.rows % p_.groups,
                          example = plane / (p_.rows * p_.groups);
            source_ = p_.source + example * p_.patches.example + g * p_.channels * p_.patches.channel;
            kernel_ = p_.kernels.data + g * p_.kernels.group + row * p_.kernels.row;
            result_ = p_.result + example * p_.targets.example + (g * p_.rows + row) * p_.result_row;
            for (size_t lie = 0; lie < lies; ++lie) visit(Lie(lie), [&]<Lie how>() { plane_of<how>(vectors_[lie]); });
            others(vectors_[lies]);
        }
    }

private:
    using V = Vector<T>;
    static constexpr int64_t lanes = V::lanes;
    static constexpr size_t together = 4, lies = 6;

    // Vectors that may be read in one way under all taps come together: what is in a run in part, or not at all, as a part.
    void sort(int64_t v, bool inside) {
        const Reading<T>* const r = memory_.readings() + v * taps_;
        size_t list = size_t(Lie::part_of_run);
        if (inside) list = size_t(r[0].lie);
        else if (std::any_of(r, r + taps_, [](const Reading<T>& x) { return x.lie > Lie::part_of_run; })) list = lies;
        vectors_[list].push_back(v);
    }
    void find_targets() {
        Column column(p_.patches, places_.begin);
        for (int64_t k = places_.begin; k < places_.end; ++k, column.next()) targets_.push_back(column.in(p_.targets));
    }

    template <Lie lie>
    void plane_of(const std::vector<int64_t>& vectors) {
        size_t k = 0;
        for (; k + together <= vectors.size(); k += together) some<lie, together>(vectors.data() + k);
        for (; k < vectors.size(); ++k) some<lie, 1>(vectors.data() + k);
    }
    template <Lie lie, size_t count>
    void some(const int64_t* vectors) {
        typename V::Type sums[count];
        const Reading<T>* readings[count];
        _Pragma("GCC unroll 4") for (size_t k = 0; k < count; ++k) {
            sums[k] = V::all(T(0));
            readings[k] = memory_.readings() + vectors[k] * taps_;
        }
        constexpr bool inside = lie != Lie::part_of_run;
        for (int64_t c = 0; c < p_.channels; ++c) {
            check(c);
            const T *const channel = source_ + c * p_.patches.channel, *const kernel = kernel_ + c * p_.kernels.channel;
            for (int64_t t = 0; t < taps_; ++t) {
                const auto [shift, place] = taps_at_[size_t(t)];
                const typename V::Type factor = V::all(kernel[place]);
                _Pragma("GCC unroll 4") for (size_t k = 0; k < count; ++k) sums[k] =
                    V::fma(factor,
                           inside ? readings[k]->template from<lie>(channel + shift)
                                  : readings[k][t].template from<lie>(channel),
                           sums[k]);
            }
        }
        _Pragma("GCC unroll 4") for (size_t k = 0; k < count; ++k) write(vectors[k], sums[k]);
    }
    void others(const std::vector<int64_t>& vectors) {
        for (int64_t v : vectors) {
            typename V::Type sum = V::all(T(0));
            const Reading<T>* const readings = memory_.readings() + v * taps_;
            for (int64_t c = 0; c < p_.channels; ++c) {
                check(c);
                const T *const channel = source_ + c * p_.patches.channel, *const kernel =
                                                                               kernel_ + c * p_.kernels.channel;
                for (int64_t t = 0; t < taps_; ++t)
                    sum = V::fma(V::all(kernel[taps_at_[size_t(t)].place]), readings[t].load(channel), sum);
            }
            write(v, sum);
        }
    }
    static void check(int64_t c) {
        if (c % 256 == 0) check_interrupt();
    }
    void write(int64_t v, typename V::Type sum) {
        const int64_t* const to = targets_.data() + v * lanes;
        const int64_t live = std::min(lanes, places_.count() - v * lanes);
        if (live == lanes && to[lanes - 1] - to[0] == lanes - 1) return V::store(result_ + to[0], sum);
        T elements[lanes];
        V::store(elements, sum);
        for (int64_t l = 0; l < live; ++l) result_[to[l]] = elements[l];
    }

    const PatchProduct<T>& p_;
    const Range planes_, places_;
    const int64_t taps_;
    ReadingMemory<T> memory_;
    struct TapAt {
        int64_t shift, place;  // in the source; in the kernel
    };
    std::vector<TapAt> taps_at_;
    std::vector<int64_t> vectors_[lies + 1];  // by how they lie; the last lie in several ways
    std::vector<int64_t> targets_;
    const T *source_ = nullptr, *kernel_ = nullptr;
    T* result_ = nullptr;
};

// Groups in the lanes: at each place the elements of so many, in each lane a chain of its own.
template <class T>
class GroupTile {
public:
    GroupTile(const ColumnProduct<T>& product, const Range& groups)
        : p_(product), groups_(groups), taps_(int64_t(product.patches.taps.size())),
          places_(product.patches.places_of_example()), sums_(product.rows * product.channels * taps_),
          memory_(1, taps_) {}

    void run(WorkspacePool& workspaces) {
        Workspace workspace(workspaces);
        const int64_t columns = p_.patches.columns(), all_sums = (groups_.count() + lanes - 1) / lanes * sums_ * lanes;
        const auto sums_bytes = int64_t(sizeof(T)) * all_sums;
        T* const sums = reinterpret_cast<T*>(workspace.reserve(size_t(sums_bytes)));
        each_sum([](int64_t, int64_t, T& sum) { sum = 0; }, sums);
        for (int64_t column = 0, live; column < columns; column += live) {
            check_interrupt();
            live = std::min(lanes, p_.patches.end_of_vectors(column, columns) - column);
            memory_.clear();
            inside_ = find_readings(p_.patches, column, live, memory_.readings(), memory_);
            for (int64_t g = groups_.begin; g < groups_.end; g += lanes)
                add(g, column, live, sums + (g - groups_.begin) * sums_);
        }
        each_sum([&](int64_t g, int64_t k, T& sum) { p_.result[g * sums_ + k] = sum; }, sums);
    }

private:
    using V = Vector<T>;
    static constexpr int64_t lanes = V::lanes;
    static constexpr int64_t most_rows = 16;

    template <class F>
    void each_sum(F f, T* sums) {
        for (int64_t g = groups_.begin; g < groups_.end; ++g)
            for (int64_t k = 0; k < sums_; ++k) {
                const int64_t at = g - groups_.begin;
                f(g, k, sums[(at / lanes * sums_ + k) * lanes + at % lanes]);
            }
    }
    void add(int64_t first, int64_t column, int64_t live, T* sums) {
        const int64_t many = std::min(lanes, groups_.end - first);
        typename V::Type factors[most_rows][lanes];
        for (int64_t m = 0; m < p_.rows; ++m) load_factors(first, many, m, column, live, factors[m]);
        for (int64_t c = 0; c < p_.channels; ++c)
            for (int64_t t = 0; t < taps_; ++t) {
                const Reading<T>& reading = memory_.readings()[inside_ ? 0 : t];
                const T* const channel = p_.source + (first * p_.channels + c) * p_.patches.channel +
                                         (inside_ ? p_.patches.taps[size_t(t)].shift : 0);
                T* const at = sums + (c * taps_ + t) * lanes;  // of row 0
                if (many == lanes && live == lanes)
                    visit(reading.lie, [&]<Lie lie>() { full<lie>(reading, channel, factors, at); });
                else partial(reading, channel, many, live, factors, at);
            }
    }
    template <Lie lie>
    void full(const Reading<T>& reading, const T* channel, const typename V::Type (&factors)[most_rows][lanes],
              T* sums) {
        typename V::Type v[lanes];
        const int64_t next = p_.channels * p_.patches.channel;
        _Pragma("GCC unroll 8") for (int64_t l = 0; l < lanes; ++l) v[l] =
            reading.template from<lie>(channel + l * next);
        V::transpose(v);
        for (int64_t m = 0; m < p_.rows; ++m, sums += p_.channels * taps_ * lanes) {
            typename V::Type sum = V::load(sums);
            _Pragma("GCC unroll 8") for (int64_t l = 0; l < lanes; ++l) sum = V::fma(v[l], factors[m][l], sum);
            V::store(sums, sum);
        }
    }
    void partial(const Reading<T>& reading, const T* channel, int64_t many, int64_t live,
                 const typename V::Type (&factors)[most_rows][lanes], T* sums) {
        typename V::Type v[lanes];
        for (int64_t l = 0; l < lanes; ++l)
            v[l] = l < many ? reading.load(channel + l * p_.channels * p_.patches.channel) : V::all(T(0));
        V::transpose(v);
        for (int64_t m = 0; m < p_.rows; ++m, sums += p_.channels * taps_ * lanes) {
            typename V::Type sum = V::load(sums);
            for (int64_t l = 0; l < live; ++l) sum = V::fma(v[l], factors[m][l], sum);
            V::store(sums, sum);
        }
    }
    void load_factors(int64_t first, int64_t many, int64_t m, int64_t column, int64_t live,
                      typename V::Type (&to)[lanes]) {
        const int64_t example = column / places_, place = column % places_;
        const T* const from = p_.factors + ((example * p_.groups + first) * p_.rows + m) * places_ + place;
        const bool in_one = live == lanes && place + lanes <= places_;
        for (int64_t l = 0; l < lanes; ++l) {
            T elements[lanes] = {};
            if (l < many && in_one) {
                to[l] = V::load(from + l * p_.rows * places_);
                continue;
            }
            for (int64_t k = 0; l < many && k < live; ++k) {
                const int64_t n = (column + k) / places_, at = (column + k) % places_;
                elements[k] = p_.factors[((n * p_.groups + first + l) * p_.rows + m) * places_ + at];
            }
            to[l] = V::load(elements);
        }
        V::transpose(to);
    }

    const ColumnProduct<T>& p_;
    const Range groups_;
    const int64_t taps_, places_, sums_;  // sums of a group
    ReadingMemory<T> memory_;
    bool inside_ = false;  // under all taps
};

}  // namespace

template <class T>
void multiply_directly(const PatchProduct<T>& product, const contract::Means& means) {
    const int64_t planes = product.patches.examples * product.groups * product.rows,
                  places = product.patches.places_of_example(), taps = int64_t(product.patches.taps.size());
    PatchProduct<T> one = product;  // readings of one example
    one.patches.examples = 1;
    constexpr int64_t readings_bytes = 256 << 10, lanes = Vector<T>::lanes;
    const int64_t each =
        std::max<int64_t>(readings_bytes / (taps * int64_t(sizeof(Reading<T>) + sizeof(Masks<T>))), 4) * lanes;
    const int64_t across = (places + each - 1) / each;
    constexpr double worth_a_tile = 1 << 18;
    const double work = double(planes) * double(places) * double(product.channels) * double(taps);
    const int64_t wanted = means.pool.threads() == 1 ? 1 : (4 * means.pool.threads() + across - 1) / across;
    const int64_t down = std::clamp<int64_t>(int64_t(work / worth_a_tile) / across, 1, std::min(planes, wanted));
    const auto tile = [&](int64_t k) {
        const Range some = part(planes, down, k / across, 1),
                    at{k % across * each, std::min(places, (k % across + 1) * each)};
        if (some.count() > 0) PlaceTile<T>(one, some, at).run();
    };
    if (work < worth_a_tile)
        for (int64_t k = 0; k < down * across; ++k) tile(k);
    else means.pool.parallel_for(down * across, tile);
}

template <class T>
void multiply_directly(const ColumnProduct<T>& product, const contract::Means& means) {
    const double work = double(product.groups * product.rows * product.channels) * double(product.patches.taps.size()) *
                        double(product.patches.columns());
    constexpr double worth_a_tile = 1 << 18;
    constexpr int64_t lanes = Vector<T>::lanes;
    const int64_t vectors = (product.groups + lanes - 1) / lanes;
    const int64_t parts = means.pool.threads() == 1
                              ? 1
                              : std::clamp<int64_t>(int64_t(work / worth_a_tile), 1,
                                                    std::min<int64_t>(vectors, 4 * means.pool.threads()));
    const auto tile = [&](int64_t k) {
        const Range groups = part(product.groups, parts, k, lanes);
        if (groups.count() > 0) GroupTile<T>(product, groups).run(means.workspaces);
    };
    if (parts == 1) tile(0);
    else means.pool.parallel_for(parts, tile);
}

template void multiply_directly<float>(const PatchProduct<float>&, const contract::Means&);
template void multiply_directly<double>(const PatchProduct<double>&, const contract::Means&);
template void multiply_directly<float>(const ColumnProduct<float>&, const contract::Means&);
template void multiply_directly<double>(const ColumnProduct<double>&, const contract::Means&);

}  // namespace tenon::convolution
