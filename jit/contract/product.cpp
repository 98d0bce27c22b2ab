#include "jit/contract/product.h"

#include <algorithm>
#include <cassert>

#include "jit/contract/few_rows.h"
#include "jit/contract/kernels.h"
#include "runtime/interrupt.h"

namespace tenon::contract {

namespace avx2 {
template <class T>
const MicroKernels<T>& kernels();
}
namespace avx512 {
template <class T>
const MicroKernels<T>& kernels();
}

template <class T>
const MicroKernels<T>& micro_kernels(InstructionSet set) {
    return set == InstructionSet::avx512 ? avx512::kernels<T>() : avx2::kernels<T>();
}

template <class T>
int64_t panel_width(InstructionSet set) {
    return micro_kernels<T>(set).columns();
}

template <class T>
int64_t panel_height(InstructionSet set) {
    return micro_kernels<T>(set).rows;
}

static constexpr int64_t round_up(int64_t n, int64_t multiple) { return (n + multiple - 1) / multiple * multiple; }

// One tile of a result: what of the operands is packed, in blocks of which size, and where in a workspace they lie.
template <class T>
class TileProduct {
public:
    TileProduct(const Product<T>& product, const MicroKernels<T>& kernels, const Block& tile)
        : s_(product), kernels_(kernels), tile_(tile), a_(product.a.in_place(tile.matrix)),
          b_(product.b.in_place(tile.matrix)), panels_a_(product.a.packed(tile.matrix, kernels.rows)),
          panels_(product.b.packed(tile.matrix, kernels.columns())),
          is_apart_(product.b.apart(tile.matrix, 0, kernels.columns()).data), c_(product.c.in_place(tile.matrix)),
          added_(product.c.added(tile.matrix)) {
        constexpr int64_t often = 128;  // columns for which rows of a that lie as rows are worth packing
        packs_a_ = !panels_a_ && (!a_.data || (tile.rows > kernels.rows && (a_.step != 1 || tile.columns > often)));
        const bool lies_as_rows = b_.data && b_.line == 1;
        packs_b_ = !panels_ && !is_apart_ && (!lies_as_rows || tile.rows > kernels.rows);
        packs_by_kernel_ = packs_b_ && lies_as_rows;
        const int64_t most = is_apart_ ? 2 * most_depth : most_depth;  // taps share lines: fewer are at hand than rows
        const int64_t blocks = std::max<int64_t>((s_.k + most - 1) / most, 1);
        depth_ = round_up((s_.k + blocks - 1) / blocks, 8);  // alike, and no more than the most
        rows_ =
            std::min(a_bytes / (most_depth * size) / kernels.rows * kernels.rows, round_up(tile.rows, kernels.rows));
        group_ = 4 * width();
        // What is added lies where chains would wait to go on.
        if (added_.data && added_.data == c_.data && s_.k > depth_) c_ = {};
        columns_ = std::min((panels_a_ && packs_b_ ? near_b_bytes : b_bytes) / (most_depth * size) / group_ * group_,
                            round_up(tile.columns, width()));
        if (is_apart_ && !c_.data)
            columns_ = std::min(columns_, std::max(stored_bytes / (tile.rows * size) / width(), int64_t{1}) * width());
    }

    void compute(Workspace& workspace) {
        if constexpr (std::is_floating_point_v<T>) {
            if (tile_.rows <= most_few_rows && !panels_ && (!added_.data || added_.data != c_.data) && a_.data &&
                b_.data && b_.step == 1 && b_.line != 1 && c_.data) {
                T* const to = c_.data + tile_.row * c_.line + tile_.column;
                multiply_few_rows(tile_.rows, tile_.columns, s_.k, a_.at(tile_.row, 0), b_.at(tile_.column, 0), to,
                                  c_.line);
                if (!added_.data) return;
                for (int64_t i = 0; i < tile_.rows; ++i) {
                    const T* const from = added_.data + (tile_.row + i) * added_.line + tile_.column;
                    for (int64_t j = 0; j < tile_.columns; ++j) to[i * c_.line + j] += from[j];
                }
                return;
            }
        }
        lay_out(workspace);
        for (int64_t column = 0; column < tile_.columns; column += columns_) {
            const int64_t columns = std::min(columns_, tile_.columns - column);
            if (c_.data) to_ = {c_.data + tile_.row * c_.line + tile_.column + column, c_.line};
            else to_ = {stored_, columns};
            int64_t begin = 0;
            do {  // without elements of k too: a sum of nothing is 0
                for (int64_t row = 0; row < tile_.rows; row += rows_)
                    block(row, std::min(rows_, tile_.rows - row), column, columns, begin,
                          std::min(depth_, s_.k - begin));
                begin += depth_;
            } while (begin < s_.k);
            if (!c_.data)
                s_.c.store({tile_.matrix, tile_.row, tile_.column + column, tile_.rows, columns}, stored_, columns);
        }
    }

private:
    static constexpr int64_t size = sizeof(T), most_depth = 2048 / size;
    static constexpr int64_t a_bytes = 384 << 10;  // of a block
    static constexpr int64_t b_bytes = 4 << 20, near_b_bytes = 256 << 10, stored_bytes = 128 << 10;

    int64_t width() const { return kernels_.columns(); }

    void lay_out(Workspace& workspace) {
        constexpr int64_t line = 64 / size;
        const int64_t held = tile_.rows > rows_ ? columns_ : std::min(columns_, group_);
        const int64_t b = packs_a_ ? round_up(rows_ * depth_, line) : 0;
        const int64_t c = b + (packs_b_ ? round_up(held * depth_, line) : 0);
        const int64_t end = c + (c_.data ? 0 : tile_.rows * columns_);
        packed_a_ = reinterpret_cast<T*>(workspace.reserve(size_t(end * size)));
        packed_b_ = packed_a_ + b;
        stored_ = packed_a_ + c;
    }

    // Some rows of a times a block of b, which the first rows pack.
    void block(int64_t row, int64_t rows, int64_t column, int64_t columns, int64_t begin, int64_t depth) {
        check_interrupt();
        if (packs_a_) s_.a.pack({tile_.matrix, tile_.row + row, rows, begin, depth}, kernels_.rows, packed_a_);
        // What is not packed here lies so: from row to row, from one panel's columns to the next.
        Lying b;
        if (panels_) b = {panels_ + (tile_.column + column) * s_.k + begin * width(), width(), width() * s_.k};
        else if (!is_apart_ && (!packs_b_ || packs_by_kernel_))
            b = {b_.at(tile_.column + column, begin).data, b_.step, width()};
        const auto at = [&](int64_t j) { return b.data + j / width() * b.panel; };
        MicroTile<T> micro{.k = depth, .c_row = to_.line, .continues = begin > 0, .added_row = added_.line};
        const T* const added = begin + depth >= s_.k && added_.data
                                   ? added_.data + tile_.row * added_.line + tile_.column + column
                                   : nullptr;
        int64_t j = 0;
        if (!packs_b_ && !panels_ && !is_apart_ && tile_.rows <= kernels_.few_rows) {
            const auto& wide = kernels_.wide[tile_.rows - 1];
            micro.b_row = b.row;
            for (const int64_t stretch = wide.vectors * kernels_.lanes; j + stretch <= columns; j += stretch) {
                take_rows(micro, row, 0, begin, depth);
                micro.b = at(j);
                micro.c = to_.data + j;
                if (added) micro.added = added + j;
                wide.tile(micro);
            }
        }
        for (; j < columns; j += width()) {
            const int64_t count = std::min(width(), columns - j);
            // Where all rows are one block, a panel is read but once: its group has the place of the one before.
            T* const panel = packed_b_ + (tile_.rows > rows_ ? j : j % group_) * depth;
            const bool packs = packs_b_ && row == 0, kernel_packs = packs && packs_by_kernel_ && count == width();
            if (packs && !kernel_packs && (packs_by_kernel_ || j % group_ == 0)) {
                const int64_t lines = packs_by_kernel_ ? count : std::min(group_, columns - j);
                s_.b.pack({tile_.matrix, tile_.column + column + j, lines, begin, depth}, width(), panel);
            }
            micro.last = (count - 1) % kernels_.lanes + 1;
            RowsApart<T> apart;
            if (is_apart_) apart = s_.b.apart(tile_.matrix, tile_.column + column + j, width());
            for (int64_t i = 0; i < rows; i += kernels_.rows) {
                take_rows(micro, row, i, begin, depth);
                micro.c = to_.data + (row + i) * to_.line + j;
                if (added) micro.added = added + (row + i) * added_.line + j;
                const bool lies = !packs_b_ || (kernel_packs && i == 0);
                micro.b = lies ? at(j) : panel;
                micro.b_row = lies ? b.row : width();
                micro.packed = panel;
                const int64_t height = std::min(kernels_.rows, rows - i);
                if (is_apart_) {
                    micro.b = apart.data;
                    micro.b_rows = apart.offsets + begin;
                    kernels_.apart[count > kernels_.lanes][height - 1](micro);
                    continue;
                }
                if (kernel_packs && i == 0) kernels_.packing_tile[height - 1](micro);
                else kernels_.tile[count > kernels_.lanes][height - 1](micro);
            }
        }
    }

    struct Lying {
        const T* data = nullptr;
        int64_t row = 0, panel = 0;
    };

    void take_rows(MicroTile<T>& micro, int64_t row, int64_t i, int64_t begin, int64_t depth) const {
        if (panels_a_) {
            assert((tile_.row + row + i) % kernels_.rows == 0);  // tiles begin with a panel
            micro.a = panels_a_ + (tile_.row + row + i) * s_.k + begin * kernels_.rows;
            micro.a_row = 1;
            micro.a_column = kernels_.rows;
        } else if (packs_a_) {
            micro.a = packed_a_ + i * depth;
            micro.a_row = 1;
            micro.a_column = kernels_.rows;
        } else {
            micro.a = a_.at(tile_.row + row + i, begin).data;
            micro.a_row = a_.line;
            micro.a_column = a_.step;
        }
    }

    const Product<T>& s_;
    const MicroKernels<T>& kernels_;
    const Block tile_;
    const Lines<T> a_, b_;
    const T *const panels_a_, *const panels_;  // packed before
    const bool is_apart_;                      // b lies as RowsApart
    typename Target<T>::Rows c_;
    const typename Target<T>::Added added_;
    bool packs_a_, packs_b_;
    bool packs_by_kernel_;                    // b lies as its panels do: the first rows' kernel packs what it reads
    int64_t depth_, rows_, columns_, group_;  // of blocks; columns that are packed at a time
    T *packed_a_ = nullptr, *packed_b_ = nullptr, *stored_ = nullptr;
    typename Target<T>::Rows to_{};  // the tile's result in the block of columns at hand
};

// ---- tiles --------------------------------------------------------------------------------------------------------

// How a matrix is cut: tiles are halved, the longer side first, until there is one for each thread, or some where they are large
// enough for what is packed again in each. Where one operand is packed for all tiles, the lines of the other go first: then nothing
// is packed again.
struct Cut {
    int64_t rows, columns;  // of one tile
    int64_t down, across;   // how many
};

template <class T>
static Cut choose_tiles(const Product<T>& s, const MicroKernels<T>& kernels, int64_t threads, bool stores) {
    const bool b_lies = s.b.packed(0, kernels.columns()) || s.b.apart(0, 0, kernels.columns()).data,
               a_alone_lies = !b_lies && s.a.packed(0, kernels.rows);
    constexpr int64_t worth_a_tile = 3 << 19, worth_some = 32 << 20;  // operations
    constexpr int64_t smallest = 96, most_stored = 512;
    const int64_t wanted = (threads + s.count - 1) / s.count, enough = threads == 1 ? 1 : 4 * wanted;
    Cut t{s.m, s.n, 1, 1};
    const auto half = [](int64_t size, int64_t multiple) { return round_up((size + 1) / 2, multiple); };
    const auto work = [&] { return 2.0 * double(t.rows) * double(t.columns) * double(s.k); };
    while (std::max(t.rows, t.columns) >= smallest &&
           ((t.down * t.across < wanted && work() > worth_a_tile) ||
            (t.down * t.across < enough && work() > worth_some) ||
            (stores && t.rows * t.columns > most_stored * most_stored))) {
        bool by_columns = t.columns >= t.rows;
        if (b_lies) by_columns = t.rows < 2 * smallest && t.columns >= smallest;
        if (a_alone_lies) by_columns = t.columns >= smallest;
        const bool whole_panels = b_lies || t.columns >= 8 * kernels.columns();  // half of one costs little then
        if (by_columns) t.columns = half(t.columns, whole_panels ? kernels.columns() : kernels.lanes);
        else t.rows = half(t.rows, kernels.rows);
        t.down = (s.m + t.rows - 1) / t.rows;
        t.across = (s.n + t.columns - 1) / t.columns;
    }
    return t;
}

// b as threads share it: packed by all of them before any tile is computed.
template <class T>
class SharedPanels final : public PanelSource<T> {
public:
    SharedPanels(const Product<T>& s, const Means& means, Workspace& workspace)
        : source_(s.b), width_(panel_width<T>(means.instructions)) {
        T* const panels = reinterpret_cast<T*>(workspace.reserve(size_t(bytes(s, width_))));
        const int64_t jobs = 2 * means.pool.threads(), lines = round_up((s.n + jobs - 1) / jobs, width_);
        means.pool.parallel_for((s.n + lines - 1) / lines, [&](int64_t job) {
            check_interrupt();
            const int64_t first = job * lines;
            source_.pack({0, first, std::min(lines, s.n - first), 0, s.k}, width_, panels + first * s.k);
        });
        panels_ = panels;
    }
    // Whether several tiles have rows enough to be worth it.
    static bool are_worth_it(const Product<T>& s, const Means& means) {
        constexpr int64_t most_bytes = 16 << 20, least_rows = 192;
        constexpr double least_work = 8 << 20;
        const int64_t width = panel_width<T>(means.instructions);
        const bool lies =
            s.b.packed(0, width) || s.b.apart(0, 0, width).data || s.a.packed(0, panel_height<T>(means.instructions));
        return means.pool.threads() > 1 && s.count == 1 && s.m >= least_rows && s.k > 0 && !lies &&
               bytes(s, width) <= most_bytes && 2.0 * double(s.m) * double(s.n) * double(s.k) >= least_work;
    }

    void pack(const Part& part, int64_t width, T* to) const override { source_.pack(part, width, to); }
    Lines<T> in_place(int64_t matrix) const override { return source_.in_place(matrix); }
    const T* packed(int64_t, int64_t width) const override { return width == width_ ? panels_ : nullptr; }

private:
    static int64_t bytes(const Product<T>& s, int64_t width) { return round_up(s.n, width) * s.k * int64_t(sizeof(T)); }

    const PanelSource<T>& source_;
    const int64_t width_;
    const T* panels_ = nullptr;
};

template <class T>
static void multiply_tiles(const Product<T>& s, const Means& means) {
    if (s.m == 0 || s.n == 0 || s.count == 0) return;
    constexpr double worth_threads = 1 << 20;
    const bool stores = !s.c.in_place(0).data;
    const MicroKernels<T>& kernels = micro_kernels<T>(means.instructions);
    const Cut t = choose_tiles(s, kernels, means.pool.threads(), stores);
    const int64_t per_matrix = t.down * t.across, count = s.count * per_matrix;
    const double work = 2.0 * double(s.m) * double(s.n) * double(s.k);
    // Small matrices go several at a time.
    const int64_t at_a_time = std::clamp<int64_t>(int64_t(worth_threads / 8 / (work / double(per_matrix))), 1, count);
    const auto job = [&](int64_t number) {
        Workspace workspace(means.workspaces);
        for (int64_t k = number * at_a_time; k < std::min(count, (number + 1) * at_a_time); ++k) {
            const int64_t row = k % per_matrix / t.across * t.rows, column = k % t.across * t.columns;
            const Block tile{k / per_matrix, row, column, std::min(t.rows, s.m - row),
                             std::min(t.columns, s.n - column)};
            TileProduct<T>(s, kernels, tile).compute(workspace);
        }
    };
    const int64_t jobs = (count + at_a_time - 1) / at_a_time;
    if (jobs == 1 || work * double(s.count) < worth_threads)
        for (int64_t k = 0; k < jobs; ++k) job(k);
    else means.pool.parallel_for(jobs, job);
}

template <class T>
void multiply(const Product<T>& s, const Means& means) {
    if (!SharedPanels<T>::are_worth_it(s, means)) return multiply_tiles(s, means);
    Workspace workspace(means.workspaces);
    const SharedPanels<T> panels(s, means, workspace);
    multiply_tiles<T>({s.count, s.m, s.k, s.n, s.a, panels, s.c}, means);
}

#define TENON_MULTIPLY(T)                                          \
    template const MicroKernels<T>& micro_kernels(InstructionSet); \
    template int64_t panel_width<T>(InstructionSet);               \
    template int64_t panel_height<T>(InstructionSet);              \
    template void multiply(const Product<T>&, const Means&);
TENON_CONTRACT_TYPES(TENON_MULTIPLY)
#undef TENON_MULTIPLY

}  // namespace tenon::contract
