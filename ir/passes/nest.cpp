#include "ir/passes/nest.h"

#include <algorithm>
#include <cassert>

namespace tenon {

namespace {
constexpr int64_t parallel_work = 32768;  // elements below which waking threads costs more than it gains
constexpr int64_t block_work = 4096;      // elements a block of a parallel loop: a few microseconds
}  // namespace

int64_t NestBuilder::hint(SizeId size) const {
    if (size.is_inline_constant()) return size.bits;
    std::vector<int64_t> hints;
    for (const SizeSymbol& s : graph_.symbols) hints.push_back(s.hint);
    return context_.evaluate(size, hints);
}

int64_t NestBuilder::work(const Nest& nest) const {
    int64_t n = nest.chunk ? nest.chunk : hint(nest.reduced) / std::max<int64_t>(nest.folded, 1);
    for (SizeId s : nest.kept) n *= hint(s);
    return n;
}

// Symbolic sizes may grow: the executor decides at run time.
bool NestBuilder::worth_threads(const Nest& nest) const {
    const auto symbolic = [&](SizeId s) { return !context_.as_constant(s); };
    return work(nest) >= parallel_work || symbolic(nest.reduced) ||
           std::any_of(nest.kept.begin(), nest.kept.end(), symbolic);
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
    e.note_position(to);
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
    const std::vector<Position>& used = trial.used_positions();
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
    choose_kinds(nest, loops);
    return loops;
}

void NestBuilder::choose_kinds(const Nest& nest, std::vector<NestLoop>& loops) const {
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
    }
    if (!worth_threads(nest)) return;
    auto parallel = std::find_if(loops.begin(), loops.end(), [&](const NestLoop& l) { return extent(l) >= 16; });
    if (parallel == loops.end()) parallel = longest();
    const int64_t each = std::max<int64_t>(work(nest) / extent(*parallel), 1);
    if (parallel->kind == LoopKind::vector) {
        const int64_t block = std::max<int64_t>(block_work / each, 256);
        if (2 * block <= extent(*parallel) || !context_.as_constant(parallel->extent)) parallel->block = block;
        return;
    }
    const int64_t block = std::clamp<int64_t>(block_work / each, 1, std::max<int64_t>(extent(*parallel) / 2, 1));
    if (block > 1) parallel->block = block;
    else parallel->kind = LoopKind::parallel;
    std::rotate(loops.begin(), parallel, parallel + 1);
}

}  // namespace tenon
