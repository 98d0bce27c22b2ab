#include "ir/schedule/kernel_writer.h"

#include <algorithm>
#include <cassert>
#include <utility>

namespace tenon {

// ---- small pieces -------------------------------------------------------------------------------------------------
void KernelWriter::set_emitted(ExpressionId id, NodeId node) {
    emitted_[id] = node;
    trail_.push_back(id);
}
void KernelWriter::leave(size_t mark) {
    for (; trail_.size() > mark; trail_.pop_back())
        if (trail_.back() != no_expression) emitted_[trail_.back()] = NodeId::none();
    std::erase_if(extents_, [&](const auto& e) { return e.second.second > mark; });
}
NodeId KernelWriter::extent(AttrId value) {
    const auto [it, fresh] = extents_.try_emplace(value);
    if (fresh) {
        trail_.push_back(no_expression);  // a region may hold an extent and no expression yet
        it->second = {builder_.emit_typed(op<"extent">(), context_.index(), {}, value), mark()};
    }
    return it->second.first;
}
NodeId KernelWriter::extent(SizeId value) {
    return extent(context_.attr({{context_.name("value"), AttrValue(value)}}));
}
NodeId KernelWriter::index_call(Op o, NodeId a, NodeId b) { return builder_.emit_typed(o, context_.index(), {a, b}); }

RegionId KernelWriter::open_loop(uint32_t variable) {
    const RegionId region = builder_.open_region();
    last_param_ = builder_.parameter(context_.index(), context_.name("i"));
    set_emitted(expressions_.variable(variable), last_param_);
    return region;
}
RegionId KernelWriter::open_blocks() {
    const RegionId region = builder_.open_region();
    last_param_ = builder_.parameter(context_.index(), context_.name("block"));
    return region;
}
void KernelWriter::close_loop(RegionId region, NodeId low, NodeId high, std::string_view kind, int64_t step) {
    builder_.close_region({});
    const AttrId attr = context_.attr(
        {{context_.name("kind"), AttrValue(context_.name(kind))}, {context_.name("step"), AttrValue(step)}});
    builder_.emit_typed(op<"for">(), context_.none(), {low, high}, attr, region, 1);
}

// ---- expressions --------------------------------------------------------------------------------------------------
// The node of what is there already, or takes none; none where it is to be made.
NodeId KernelWriter::there(ExpressionId id) {
    if (emitted_[id]) return emitted_[id];
    const Expression& e = expressions_[id];
    switch (e.kind) {
        case Expression::Kind::variable: assert(!"a variable outside its loop"); return {};
        case Expression::Kind::buffer: return params_[e.number];
        case Expression::Kind::literal: {
            const DType dtype = context_[e.type].dtype;
            return e.source ? copier_(e.source)
                            : builder_.literal(Scalar(Attributes(context_, e.attr).real("value")), dtype);
        }
        case Expression::Kind::node: return e.op == op<"extent">() ? extent(e.attr) : NodeId();
        case Expression::Kind::fold: return {};
    }
    return {};
}

// Is it kept by an inner loop before?
const KernelWriter::Scratch* KernelWriter::scratch_of(ExpressionId id) const {
    if (!nest_ || expressions_[id].kind != Expression::Kind::node) return nullptr;
    for (size_t k = 0; k < nest_->scratch.size(); ++k)
        if (nest_->scratch[k].value == id && stored_scratch_[k]) return &nest_->scratch[k];
    return nullptr;
}

// Its memory; an iteration's own is made by write_loops.
NodeId KernelWriter::memory_of(const Scratch& s) {
    return s.elements ? private_scratch_[size_t(&s - nest_->scratch.data())] : params_[s.buffer];
}
void KernelWriter::keep(const Scratch& s) { store(memory_of(s), s.position, s.value); }

// Operands first; a worklist, since expressions are as deep as the kernel is long.
NodeId KernelWriter::emit(ExpressionId root) {
    std::vector<ExpressionId> stack{root};
    for (;;) {
        const ExpressionId id = stack.back();
        NodeId node = there(id);
        if (!node) {
            const Expression& e = expressions_[id];
            const Scratch* kept = scratch_of(id);
            std::span<const ExpressionId> wanted = e.operands;
            if (kept) wanted = {&kept->position, 1};
            else if (e.kind == Expression::Kind::fold) wanted = wanted.subspan(1);  // its body stands inside
            std::vector<NodeId> operands;
            const auto missing = std::find_if(wanted.begin(), wanted.end(), [&](ExpressionId o) {
                operands.push_back(there(o));
                return !operands.back();
            });
            if (missing != wanted.end()) {
                stack.push_back(*missing);
                continue;
            }
            node = kept ? builder_.emit_typed(op<"load">(), e.type, {memory_of(*kept), operands[0]})
                   : e.kind == Expression::Kind::fold ? emit_fold(e, operands[0], operands[1])
                                                      : emit_node(e, operands);
            set_emitted(id, node);
        }
        stack.pop_back();
        if (stack.empty()) return node;
    }
}

NodeId KernelWriter::emit_node(const Expression& e, std::span<const NodeId> operands) {
    Stamp stamp;  // loops keep the origin; metadata stays with the kernel
    if (e.source) stamp.origin = copier_.stamp_of(e.source).origin;
    Builder::StampScope scope(builder_, stamp);
    return builder_.emit_typed(e.op, e.type, operands, e.attr);
}

NodeId KernelWriter::emit_fold(const Expression& e, NodeId low, NodeId high) {
    const size_t here = mark();
    const RegionId region = open_loop(e.number);
    const NodeId body = emit(e.operands[0]);
    for (const Scratch* s : std::exchange(kept_by_fold_, {})) keep(*s);
    builder_.close_region({body});
    leave(here);
    Builder::StampScope scope(builder_, {copier_.stamp_of(e.source).origin, {}, 0});
    return builder_.emit_typed(op<"fold">(), e.type, {low, high}, e.attr, region, 1);
}

void KernelWriter::store(NodeId buffer, ExpressionId position, ExpressionId value, std::optional<SizeId> all,
                         bool after_folds) {
    const NodeId at = emit(position), scalar = emit(value);
    std::vector<NodeId> operands{buffer, at, scalar};
    if (all) operands.push_back(extent(*all));
    const AttrId attr = after_folds ? context_.attr({{context_.name("after_folds"), true}}) : AttrId{};
    builder_.emit_typed(op<"store">(), context_.none(), operands, attr);
}

// What the nest's stores depend on and is to be made at each depth of loops, in order of creation, which puts operands
// first.
std::vector<std::vector<ExpressionId>> KernelWriter::needed(const PlannedNest& n) {
    std::vector<ExpressionId> stack, found;
    for (const StoreExpression& s : n.expressions.stores) stack.insert(stack.end(), {s.value, s.position});
    for (const Scratch& s : n.scratch) stack.insert(stack.end(), {s.value, s.position});
    met_.begin(expressions_.size());
    while (!stack.empty()) {
        const ExpressionId id = stack.back();
        stack.pop_back();
        if (!met_.add(id)) continue;
        const Expression& e = expressions_[id];
        if (e.kind == Expression::Kind::node || e.kind == Expression::Kind::fold) found.push_back(id);
        stack.insert(stack.end(), e.operands.begin(), e.operands.end());
    }
    std::sort(found.begin(), found.end());
    std::vector<std::vector<ExpressionId>> levels(n.loops.size() + 1);
    for (ExpressionId id : found)
        if (size_t(expressions_[id].depth) < levels.size()) levels[size_t(expressions_[id].depth)].push_back(id);
    return levels;
}

void KernelWriter::emit_level(const PlannedNest& n, size_t depth) {
    for (ExpressionId id : levels_[depth]) {
        const Expression& e = expressions_[id];
        const bool inner = e.kind == Expression::Kind::fold && depth == n.loops.size();
        if (inner) kept_by_fold_ = new_scratch_of({e.operands[0]});
        const std::vector<const Scratch*> kept = kept_by_fold_;
        emit(id);
        assert(kept_by_fold_.empty());
        set_stored(kept);
    }
}

// ---- inner loops ---------------------------------------------------------------------------------------------------
std::vector<bool> KernelWriter::reached_inside(const std::vector<ExpressionId>& roots) const {
    std::vector<bool> seen(expressions_.size());
    std::vector<ExpressionId> stack = roots;
    while (!stack.empty()) {
        const ExpressionId id = stack.back();
        stack.pop_back();
        if (seen[id] || expressions_[id].depth < nest_->expressions.inner_depth) continue;
        seen[id] = true;
        for (ExpressionId o : expressions_[id].operands) stack.push_back(o);
    }
    return seen;
}

// What the first inner loop that computes it, of these roots, is to keep for the next ones.
std::vector<const KernelWriter::Scratch*> KernelWriter::new_scratch_of(const std::vector<ExpressionId>& roots) const {
    std::vector<const Scratch*> wanted;
    if (nest_->scratch.empty()) return wanted;
    const std::vector<bool> reached = reached_inside(roots);
    for (size_t k = 0; k < nest_->scratch.size(); ++k)
        if (!stored_scratch_[k] && reached[nest_->scratch[k].value]) wanted.push_back(&nest_->scratch[k]);
    return wanted;
}
void KernelWriter::set_stored(const std::vector<const Scratch*>& kept) {
    for (const Scratch* s : kept) stored_scratch_[size_t(s - nest_->scratch.data())] = true;
}

void KernelWriter::write_inner(const PlannedNest& n, const std::vector<const StoreExpression*>& stores,
                               const std::vector<const Scratch*>& scratch) {
    const NodeId low = extent(SizeId(0));
    const NodeId high = extent(n.nest->reduced);
    const size_t here = mark();
    const RegionId region = open_loop(n.expressions.reduction);
    for (const Scratch* s : scratch) keep(*s);
    for (const StoreExpression* s : stores) emit(s->value);  // all loads before the stores that may overwrite them
    for (const StoreExpression* s : stores) store(*s);
    leave(here);
    close_loop(region, low, high, "vector", 1);
}

// ---- nests ---------------------------------------------------------------------------------------------------------
void KernelWriter::write_body(const PlannedNest& n) {
    std::vector<const StoreExpression*> full;
    std::vector<ExpressionId> roots;
    for (const StoreExpression& s : n.expressions.stores) {
        if (s.store.kind == NestStore::Kind::full) {
            const bool kept = std::any_of(n.scratch.begin(), n.scratch.end(), [&](const Scratch& k) {
                return k.value == s.value && k.buffer == s.store.buffer;
            });
            if (!kept) full.push_back(&s);
            roots.push_back(s.value);
        } else store(s);
    }
    const std::vector<const Scratch*> kept = new_scratch_of(roots);
    if (!kept.empty()) write_inner(n, {}, kept);
    set_stored(kept);
    if (!full.empty()) write_inner(n, full, {});
}

void KernelWriter::open_scratch(const PlannedNest& n) {
    private_scratch_.assign(n.scratch.size(), {});
    for (size_t k = 0; k < n.scratch.size(); ++k) {
        if (n.scratch[k].elements == 0) continue;
        const DType dtype = context_[expressions_[n.scratch[k].value].type].dtype;
        const AttrId attr = context_.attr({{context_.name("dtype"), AttrValue(dtype)}});
        const NodeId elements = extent(SizeId(n.scratch[k].elements));
        private_scratch_[k] = builder_.emit_typed(op<"scratch">(), context_.buffer(dtype), {elements}, attr);
    }
}

// A loop within its block ends with that or with the positions there are: blocks within blocks divide them.
std::pair<NodeId, NodeId> KernelWriter::bounds(const PlannedNest& n, size_t level) {
    const SizeId all = n.loops[level].extent;
    const Block& block = blocks_[level];
    if (!block.first) {
        const NodeId low = extent(SizeId(0));
        return {low, extent(all)};
    }
    const NodeId past = index_call(op<"add">(), block.first, extent(SizeId(block.size)));
    return {block.first, index_call(op<"minimum">(), past, extent(all))};
}

void KernelWriter::write_blocks(const PlannedNest& n, size_t level, std::string_view kind, int64_t step,
                                const std::function<void()>& inside) {
    const auto [low, high] = bounds(n, level);
    const size_t here = mark();
    const RegionId region = open_blocks();
    const Block outer = std::exchange(blocks_[level], {last_param_, step});
    inside();
    blocks_[level] = outer;
    leave(here);
    close_loop(region, low, high, kind, step);
}

void KernelWriter::write_loops(const PlannedNest& n, size_t level) {
    if (level == n.loops.size()) return write_body(n);
    const NestLoop& loop = n.loops[level];
    if (level + 2 == n.loops.size()) {
        for (size_t k : {level + 1, level}) {
            const int64_t tile = n.loops[k].tile;
            const std::optional<int64_t> all = context_.as_constant(n.loops[k].extent);
            if (tile > 0 && blocks_[k].size != tile && !(all && *all <= tile))
                return write_blocks(n, k, "serial", tile, [&] { write_loops(n, level); });
        }
    }
    const auto [low, high] = bounds(n, level);
    const size_t here = mark();
    const RegionId region = open_loop(n.expressions.variables[level]);
    if (level + 1 == n.loops.size()) open_scratch(n);
    emit_level(n, level + 1);
    write_loops(n, level + 1);
    leave(here);
    static constexpr std::string_view kinds[] = {"serial", "parallel", "vector"};
    close_loop(region, low, high, kinds[size_t(loop.kind)], 1);
}

void KernelWriter::begin(const PlannedNest& n) {
    nest_ = &n;
    stored_scratch_.assign(n.scratch.size(), false);
    levels_ = needed(n);
    blocks_.assign(n.loops.size(), {});
}

void KernelWriter::write_nest(const PlannedNest& n) {
    begin(n);
    if (n.loops.empty()) {
        std::vector<const StoreExpression*> full;
        for (const StoreExpression& s : n.expressions.stores)
            if (s.store.kind == NestStore::Kind::full) full.push_back(&s);
        if (!full.empty()) write_inner(n, full, {});
        return;
    }
    const auto blocked = std::find_if(n.loops.begin(), n.loops.end(), [](const NestLoop& l) { return l.block > 0; });
    if (blocked == n.loops.end()) return write_loops(n, 0);
    write_blocks(n, size_t(blocked - n.loops.begin()), "parallel", blocked->block, [&] { write_loops(n, 0); });
}

// The rows of a chunk, then each sum's fold of the chunk.
void KernelWriter::write_crossed(std::span<const PlannedNest> nests) {
    const PlannedNest &rows = nests[0], &first = nests[1];
    const NodeId low = extent(SizeId(0)), high = extent(first.loops[0].extent);
    const RegionId region = open_loop(first.expressions.variables[0]);
    const NodeId chunk = last_param_;
    for (const PlannedNest& n : nests.subspan(2)) set_emitted(expressions_.variable(n.expressions.variables[0]), chunk);
    begin(rows);
    const int64_t size = first.nest->chunk;
    blocks_[0] = {index_call(op<"mul">(), chunk, extent(SizeId(size))), size};
    write_loops(rows, 0);
    for (const PlannedNest& n : nests.subspan(1)) {
        begin(n);
        emit_level(n, 1);
        write_loops(n, 1);
    }
    close_loop(region, low, high, "parallel", 1);
}

void KernelWriter::write(const std::vector<PlannedNest>& nests) {
    for (const PlannedNest& n : nests) {  // what runs once, before the nests
        begin(n);
        emit_level(n, 0);
        if (!n.loops.empty()) continue;
        for (const StoreExpression& s : n.expressions.stores)
            if (s.store.kind != NestStore::Kind::full) store(s);
    }
    for (size_t k = 0; k < nests.size(); k += 1 + nests[k].crossing) {
        const size_t here = mark();
        if (nests[k].crossing > 0) write_crossed(std::span(nests).subspan(k, 1 + nests[k].crossing));
        else write_nest(nests[k]);
        leave(here);
    }
}

}  // namespace tenon
