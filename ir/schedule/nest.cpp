#include "ir/schedule/nest.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <numeric>

#include "runtime/integer.h"

namespace tenon {

namespace {
constexpr int64_t parallel_work = 32768;  // elements of little work below which waking threads costs more than it gains
constexpr int64_t block_work = 4096;      // elements a block of a parallel loop: a few microseconds
constexpr int64_t least_block = 256;      // positions of a vector loop that is cut into blocks
constexpr int64_t most_columns = 1024;  // of such a block that are folded by rows, or read in tiles: a page of each row
constexpr int64_t longest_tile = 1024;    // positions of a vector loop: a block of the interpreter's
constexpr int64_t tiles_together = 8;     // in a block of a parallel loop
constexpr int64_t square_tile = 32;       // positions of both loops of a tile of what no cache holds
constexpr int64_t past_caches = 32 << 20;  // bytes
constexpr int64_t much_work = 16;         // additions an element

// How many elements a stride apart a cache keeps: their lines share the sets that the stride meets.
int64_t kept(const Target& target, int64_t cache_bytes, int64_t stride) {
    const int64_t way = cache_bytes / target.cache_ways, line = target.line_bytes;
    return way / std::max(std::gcd(stride, way), line) * target.cache_ways * std::max<int64_t>(line / stride, 1);
}
}  // namespace

int64_t NestBuilder::hint(SizeId size) const {
    if (size.is_inline_constant()) return size.bits;
    std::vector<int64_t> hints;
    for (const SizeSymbol& s : graph_.symbols) hints.push_back(s.hint);
    return context_.evaluate(size, hints);
}

int64_t NestBuilder::work(const Nest& nest) const {
    int64_t n = nest.chunk ? nest.chunk : hint(nest.reduced) / std::max<int64_t>(nest.folded, 1);
    for (SizeId s : nest.kept) n = multiply_saturated(n, hint(s));
    return n;
}

// Symbolic sizes may grow: the executor decides at run time.
bool NestBuilder::worth_threads(const Nest& nest, const Expressions& trial) const {
    const auto symbolic = [&](SizeId s) { return !context_.as_constant(s); };
    return multiply_saturated(work(nest), std::max<int64_t>(trial.arithmetic() / much_work, 1)) >= parallel_work ||
           symbolic(nest.reduced) || std::any_of(nest.kept.begin(), nest.kept.end(), symbolic);
}

// ---- what is stored where -----------------------------------------------------------------------------------------
StoreExpression NestBuilder::store(const Nest& nest, const NestStore& s, const Place& place, Expressions& e) const {
    Positions& positions = e.positions();
    const Type& type = graph_.type(s.value);
    Position to = place.linear;
    ExpressionId value = 0;
    switch (s.kind) {
        case NestStore::Kind::kept: value = e.value(s.value, positions.split(to, type.sizes)); break;
        case NestStore::Kind::full:
            to = positions.add(positions.scale(place.linear, nest.reduced), place.reduced);
            value = e.value(s.value, positions.split(to, type.sizes));
            break;
        case NestStore::Kind::part: {
            const int64_t named = graph_.attributes(s.value).integer("axis");
            const size_t axis = size_t(named < 0 ? named + int64_t(type.rank()) : named);
            SizeId offset(0);
            for (size_t k = 0; k < s.part; ++k)
                offset = context_.add(offset, graph_.type(graph_.operand(s.value, k)).sizes[axis]);
            PositionList at = place.kept;
            value = e.value(graph_.operand(s.value, s.part), at);
            at[axis] = positions.add(at[axis], positions.constant(offset));
            to = positions.linear(at, type.sizes);
            break;
        }
        case NestStore::Kind::update: {
            value = e.value(graph_.operand(s.value, 2), place.kept);
            PositionList at = place.kept;
            NodeId view = graph_.operand(s.value, 1);
            for (; row(graph_[view].op).lowering == Lowering::movement; view = graph_.operand(view, 0))
                at = operand_positions(positions, graph_, view, 0, at);
            assert(view == graph_.operand(s.value, 0));
            to = positions.linear(at, type.sizes);
            break;
        }
        case NestStore::Kind::partial: {
            const bool lanes = context_.text(nest.order) == "lanes";
            const Position chunk = lanes ? place.kept.back() : place.kept.front();
            const std::span<const Position> rest(place.kept.data() + (lanes ? 0 : 1), place.kept.size() - 1);
            const std::span<const SizeId> sizes(nest.kept.data() + (lanes ? 0 : 1), nest.kept.size() - 1);
            const PositionList at = positions.split(positions.linear(rest, sizes), type.sizes);
            const ExpressionId low = e.index(positions.scale(chunk, SizeId(nest.chunk)));
            const ExpressionId past = e.index(
                positions.add(positions.scale(chunk, SizeId(nest.chunk)), positions.constant(SizeId(nest.chunk))));
            const ExpressionId high = e.call(op<"minimum">(), {past, e.index(positions.constant(nest.reduced))});
            value = e.fold_between(s.value, at, low, high);
            break;
        }
    }
    e.note_position(to, int64_t(size_of(type.dtype)));
    return {s, value, e.index(to)};
}

NestExpressions NestBuilder::build(const Nest& nest, const std::vector<NestLoop>& loops, Expressions& e) const {
    NestExpressions out;
    Place place;
    place.kept.assign(nest.kept.size(), e.positions().constant(SizeId(0)));
    for (size_t k = 0; k < loops.size(); ++k) {
        const uint32_t variable = e.add_variable(int(k) + 1);
        out.variables.push_back(variable);
        const NestLoop& loop = loops[k];
        const PositionList at = e.positions().split(e.positions().variable(variable, loop.extent),
                                                    std::span(nest.kept).subspan(loop.first, loop.count));
        std::copy(at.begin(), at.end(), place.kept.begin() + ptrdiff_t(loop.first));
    }
    out.inner_depth = int(loops.size()) + 1;
    place.linear = e.positions().linear(place.kept, nest.kept);
    // A vector loop of one turn: emitters see by its variable that its lanes store to places of their own.
    for (size_t k = 0; k < loops.size(); ++k)
        if (loops[k].count == 0)
            place.linear = e.positions().add(place.linear, e.positions().named(out.variables[k], SizeId(1)));
    out.reduction = e.add_variable(out.inner_depth);
    place.reduced = e.positions().variable(out.reduction, nest.reduced);
    e.set_reduction({out.reduction, place.reduced, nest.reduced, nest.order, out.inner_depth});
    for (const NestStore& s : nest.stores) out.stores.push_back(store(nest, s, place, e));
    out.reduced_position = e.index(place.reduced);
    out.full_position = e.index(e.positions().add(e.positions().scale(place.linear, nest.reduced), place.reduced));
    return out;
}

// ---- which loops --------------------------------------------------------------------------------------------------
std::vector<NestLoop> NestBuilder::plan(const Nest& nest, Expressions& trial) const {
    std::vector<NestLoop> loops;
    std::vector<uint32_t> variables;  // of the loops' last dimensions
    std::vector<NestLoop> single;
    for (size_t d = 0; d < nest.kept.size(); ++d)
        if (nest.kept[d] != SizeId(1)) single.push_back({d, 1, nest.kept[d], LoopKind::serial, 0});
    build(nest, single, trial);  // variables 0, 1, … are those of `single`
    std::vector<Position> used;
    for (const Expressions::Use& use : trial.used_positions()) used.push_back(use.at);
    const bool lanes = nest.order && context_.text(nest.order) == "lanes";
    const size_t chunks = nest.chunk ? (lanes ? nest.kept.size() - 1 : 0) : SIZE_MAX;
    for (size_t k = 0; k < single.size(); ++k) {
        const bool joins = k > 0 && single[k].first != chunks && single[k - 1].first != chunks &&
                           trial.positions().collapses(used, uint32_t(k - 1), uint32_t(k), single[k].extent);
        if (joins) {
            loops.back().count = single[k].first + 1 - loops.back().first;
            loops.back().extent = trial.positions().facts().mul(loops.back().extent, single[k].extent);
        } else loops.push_back(single[k]);
    }
    // Folds by rows stand in a vector loop (not that over chunks, which bounds the fold), and what reads earlier nests
    // stands in a nest, if only of one turn.
    const bool bare = loops.empty() || (loops.size() == 1 && loops[0].first == chunks);
    if (bare && nest.order && (!lanes || (loops.empty() && nest.folded)))
        loops.push_back({0, 0, SizeId(1), LoopKind::serial, 0});
    choose_kinds(nest, loops, trial);
    return loops;
}

// Where memory lies along another loop than the vector loop, and its lines or pages would be gone before that loop's
// next turn comes to their next element: this loop becomes the one around the vector loop, and both go in tiles. The
// vector loop's is no longer than what the first cache keeps of such lines, and as long as a line of what it writes; what
// vectors transpose in registers (4 or 8 bytes) no cache need keep, and memory likes some lines of each row.
void NestBuilder::choose_tiles(const Nest& nest, std::vector<NestLoop>& loops, const Expressions& trial) const {
    if (nest.order || loops.size() < 2) return;
    const auto variable = [&](const NestLoop& l) {  // of its last dimension, which moves by the least
        const auto last = nest.kept.begin() + ptrdiff_t(l.first + l.count) - 1;
        return uint32_t(last - nest.kept.begin() - std::count(nest.kept.begin(), last, SizeId(1)));
    };
    const auto fixed = [&](SizeId s) { return context_.as_constant(s).has_value(); };
    const NestLoop& vector = loops.back();
    auto along = loops.end();
    int64_t least = target_.line_bytes, stride = 0, bytes = 0;
    for (const auto& [at, size] : trial.used_positions()) {
        if (size == 0) continue;
        const auto step = [&](const NestLoop& l) -> int64_t {  // in bytes; a symbolic one is never short
            const std::optional<SizeId> by = trial.positions().stride(at, variable(l));
            if (!by) return 0;
            const int64_t seen = std::abs(hint(*by)) * size;
            return fixed(*by) ? seen : std::max(seen, target_.line_bytes);
        };
        const int64_t across = step(vector);
        for (auto loop = loops.begin(); loop != loops.end() - 1; ++loop) {
            const int64_t by = step(*loop);
            if (by == 0 || by >= least || across <= by) continue;
            along = loop;
            least = by;
            stride = across;
            bytes = size;
        }
    }
    if (along == loops.end()) return;
    const int64_t line = std::max<int64_t>(target_.line_bytes / bytes, 1), turns = hint(vector.extent);
    const int64_t held = std::min(kept(target_, target_.cache_bytes, stride) / 2,
                                  target_.pages * std::max<int64_t>(target_.page_bytes / stride, 1));
    const int64_t near = kept(target_, target_.near_bytes, stride);
    const int64_t shortest = bytes >= 4 ? 4 * line : line;
    const int64_t tile =
        std::clamp(int64_t(std::bit_floor(uint64_t(near))), shortest, std::max(shortest, longest_tile));
    if (fixed(vector.extent) && turns <= std::max(held, tile)) return;
    // Much is computed of what the second cache holds after all: then that takes the time.
    const bool all_fixed = fixed(vector.extent) && fixed(along->extent);
    if (all_fixed && turns * hint(along->extent) * bytes <= target_.cache_bytes && trial.cost() >= much_work) return;
    std::rotate(along, along + 1, loops.end() - 1);
    NestLoop &outer = loops[loops.size() - 2], &inner = loops.back();
    // Of what comes from memory at that: as many rows on either side as a core has the addresses of pages at hand for.
    const int64_t all = multiply_saturated(multiply_saturated(turns, hint(outer.extent)), bytes);
    const bool from_memory = bytes >= 4 && tile == shortest && all > past_caches;
    outer.tile = from_memory ? square_tile : 4 * line;
    inner.tile = from_memory ? square_tile : tile;
}

void NestBuilder::choose_kinds(const Nest& nest, std::vector<NestLoop>& loops, const Expressions& trial) const {
    if (loops.empty()) return;
    const bool inner = (nest.order && context_.text(nest.order) == "lanes") ||
                       std::any_of(nest.stores.begin(), nest.stores.end(),
                                   [](const NestStore& s) { return s.kind == NestStore::Kind::full; });
    const auto extent = [&](const NestLoop& l) { return std::max<int64_t>(hint(l.extent), 1); };
    const auto longest = [&] {
        return std::max_element(loops.begin(), loops.end(),
                                [&](const NestLoop& a, const NestLoop& b) { return extent(a) < extent(b); });
    };
    if (!inner) {  // the innermost loop is the vector loop; one of three elements would be all overhead
        auto vector = loops.end() - 1;
        if (!nest.chunk && extent(*vector) <= 4 && context_.as_constant(vector->extent) &&
            extent(*longest()) >= 8 * extent(*vector))
            vector = longest();
        vector->kind = LoopKind::vector;
        std::rotate(vector, vector + 1, loops.end());
        choose_tiles(nest, loops, trial);
    }
    if (!worth_threads(nest, trial)) return;
    const auto turns = [&](const NestLoop& l) { return (extent(l) - 1) / std::max<int64_t>(l.tile, 1) + 1; };
    auto parallel = std::find_if(loops.begin(), loops.end(), [&](const NestLoop& l) { return turns(l) >= 16; });
    if (parallel == loops.end())
        parallel = std::max_element(loops.begin(), loops.end(),
                                    [&](const NestLoop& a, const NestLoop& b) { return turns(a) < turns(b); });
    const int64_t each = std::max<int64_t>(work(nest) / extent(*parallel), 1);
    if (parallel->tile) {
        const int64_t shared = turns(*parallel) / (2 * std::max(target_.threads, 1));
        const int64_t together = parallel->tile == square_tile
                                     ? std::clamp<int64_t>(shared, 1, most_columns / square_tile)
                                     : std::clamp<int64_t>(turns(*parallel) / 16, 1, tiles_together);
        parallel->block = parallel->tile * together;
        return;
    }
    if (parallel->kind == LoopKind::vector) {
        const int64_t wide = std::clamp(extent(*parallel) / 16 / 256 * 256, least_block, most_columns);
        const int64_t block = std::max(block_work / each, nest.order ? wide : least_block);
        if (2 * block <= extent(*parallel) || !context_.as_constant(parallel->extent)) parallel->block = block;
        return;
    }
    const int64_t block = std::clamp<int64_t>(block_work / each, 1, std::max<int64_t>(extent(*parallel) / 2, 1));
    if (block > 1) parallel->block = block;
    else parallel->kind = LoopKind::parallel;
    std::rotate(loops.begin(), parallel, parallel + 1);
}

}  // namespace tenon
