#include "ir/passes/kernel_writer.h"

#include <algorithm>
#include <cassert>

namespace tenon {

// ---- small pieces -------------------------------------------------------------------------------------------------
void KernelWriter::set_emitted(ExpressionId id, NodeId node) {
    emitted_[id] = node;
    trail_.push_back(id);
}
void KernelWriter::leave(size_t mark) {
    for (; trail_.size() > mark; trail_.pop_back()) emitted_[trail_.back()] = NodeId::none();
    std::erase_if(extents_, [&](const auto& e) { return e.second.second > mark; });
}
NodeId KernelWriter::extent(AttrId value) {
    const auto [it, fresh] = extents_.try_emplace(value);
    if (fresh) it->second = {builder_.emit_typed(op<"extent">(), context_.index(), {}, value), mark()};
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
NodeId KernelWriter::emit(ExpressionId id) {
    if (emitted_[id]) return emitted_[id];
    const Expression& e = expressions_[id];
    NodeId node;
    switch (e.kind) {
        case Expression::Kind::variable: assert(!"a variable outside its loop"); break;
        case Expression::Kind::buffer: return params_[e.number];
        case Expression::Kind::literal: return copier_(e.source);
        case Expression::Kind::fold: node = emit_fold(e); break;
        case Expression::Kind::node: {
            if (e.op == op<"extent">()) return extent(e.attr);
            if (nest_)  // kept by an earlier inner loop?
                for (size_t k = 0; k < nest_->scratch.size(); ++k) {
                    const Scratch& s = nest_->scratch[k];
                    if (s.value != id || !stored_scratch_[k]) continue;
                    const NodeId position = emit(s.position);
                    node = builder_.emit_typed(op<"load">(), e.type, {params_[s.buffer], position});
                    set_emitted(id, node);
                    return node;
                }
            std::vector<NodeId> operands;
            for (ExpressionId o : e.operands) operands.push_back(emit(o));
            Stamp stamp;  // loops keep the origin; metadata stays with the kernel
            if (e.source) stamp.origin = copier_.stamp_of(e.source).origin;
            Builder::StampScope scope(builder_, stamp);
            node = builder_.emit_typed(e.op, e.type, operands, e.attr);
            break;
        }
    }
    set_emitted(id, node);
    return node;
}

NodeId KernelWriter::emit_fold(const Expression& e) {
    const NodeId low = emit(e.operands[1]), high = emit(e.operands[2]);
    const size_t here = mark();
    const RegionId region = open_loop(e.number);
    const NodeId body = emit(e.operands[0]);
    builder_.close_region({body});
    leave(here);
    Builder::StampScope scope(builder_, {copier_.stamp_of(e.source).origin, {}, 0});
    return builder_.emit_typed(op<"fold">(), e.type, {low, high}, e.attr, region, 1);
}

void KernelWriter::store(uint32_t buffer, ExpressionId position, ExpressionId value) {
    const NodeId at = emit(position), scalar = emit(value);
    builder_.emit_typed(op<"store">(), context_.none(), {params_[buffer], at, scalar});
}

// Everything that the nest's stores depend on, in order of creation, which puts operands first.
std::vector<ExpressionId> KernelWriter::needed(const PlannedNest& n) const {
    std::vector<bool> seen(expressions_.size());
    std::vector<ExpressionId> stack, out;
    for (const StoreExpression& s : n.expressions.stores) stack.insert(stack.end(), {s.value, s.position});
    for (const Scratch& s : n.scratch) stack.insert(stack.end(), {s.value, s.position});
    while (!stack.empty()) {
        const ExpressionId id = stack.back();
        stack.pop_back();
        if (seen[id]) continue;
        seen[id] = true;
        for (ExpressionId o : expressions_[id].operands) stack.push_back(o);
    }
    for (ExpressionId id = 0; id < seen.size(); ++id)
        if (seen[id]) out.push_back(id);
    return out;
}

void KernelWriter::emit_level(const PlannedNest& n, int depth) {
    for (ExpressionId id : needed(n)) {
        const Expression& e = expressions_[id];
        if (e.depth != depth || (e.kind != Expression::Kind::node && e.kind != Expression::Kind::fold)) continue;
        if (e.kind == Expression::Kind::fold && depth == int(n.loops.size())) store_scratch_of({e.operands[0]});
        emit(id);
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

// Before an inner loop reads a value that an inner loop of its own keeps.
void KernelWriter::store_scratch_of(const std::vector<ExpressionId>& roots) {
    if (nest_->scratch.empty()) return;
    const std::vector<bool> reached = reached_inside(roots);
    std::vector<const Scratch*> wanted;
    for (size_t k = 0; k < nest_->scratch.size(); ++k)
        if (!stored_scratch_[k] && reached[nest_->scratch[k].value]) wanted.push_back(&nest_->scratch[k]);
    if (wanted.empty()) return;
    write_inner(*nest_, {}, wanted);
    for (const Scratch* s : wanted) stored_scratch_[size_t(s - nest_->scratch.data())] = true;
}

void KernelWriter::write_inner(const PlannedNest& n, const std::vector<const StoreExpression*>& stores,
                               const std::vector<const Scratch*>& scratch) {
    const NodeId low = extent(SizeId(0));
    const NodeId high = extent(n.nest->reduced);
    const size_t here = mark();
    const RegionId region = open_loop(n.expressions.reduction);
    for (const Scratch* s : scratch) store(s->buffer, s->position, s->value);
    for (const StoreExpression* s : stores) emit(s->value);  // all loads before the stores that may overwrite them
    for (const StoreExpression* s : stores) store(s->store.buffer, s->position, s->value);
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
        } else store(s.store.buffer, s.position, s.value);
    }
    store_scratch_of(roots);
    if (!full.empty()) write_inner(n, full, {});
}

void KernelWriter::write_loops(const PlannedNest& n, size_t level, NodeId block) {
    if (level == n.loops.size()) return write_body(n);
    const NestLoop& loop = n.loops[level];
    NodeId low, high;
    if (loop.block > 0) {
        low = block;
        const NodeId past = index_call(op<"add">(), block, extent(SizeId(loop.block)));
        const NodeId all = extent(loop.extent);
        high = index_call(op<"minimum">(), past, all);
    } else {
        low = extent(SizeId(0));
        high = extent(loop.extent);
    }
    const size_t here = mark();
    const RegionId region = open_loop(n.expressions.variables[level]);
    emit_level(n, int(level) + 1);
    write_loops(n, level + 1, block);
    leave(here);
    static constexpr std::string_view kinds[] = {"serial", "parallel", "vector"};
    close_loop(region, low, high, kinds[size_t(loop.kind)], 1);
}

void KernelWriter::write(const std::vector<PlannedNest>& nests) {
    for (const PlannedNest& n : nests) {  // what runs once, before the nests
        nest_ = &n;
        stored_scratch_.assign(n.scratch.size(), false);
        emit_level(n, 0);
        if (!n.loops.empty()) continue;
        for (const StoreExpression& s : n.expressions.stores)
            if (s.store.kind != NestStore::Kind::full) store(s.store.buffer, s.position, s.value);
    }
    for (const PlannedNest& n : nests) {
        nest_ = &n;
        stored_scratch_.assign(n.scratch.size(), false);
        const size_t here = mark();
        if (n.loops.empty()) {
            std::vector<const StoreExpression*> full;
            for (const StoreExpression& s : n.expressions.stores)
                if (s.store.kind == NestStore::Kind::full) full.push_back(&s);
            if (!full.empty()) write_inner(n, full, {});
        } else {
            const auto blocked =
                std::find_if(n.loops.begin(), n.loops.end(), [](const NestLoop& l) { return l.block > 0; });
            if (blocked == n.loops.end()) write_loops(n, 0, {});
            else {
                const NodeId low = extent(SizeId(0));
                const NodeId high = extent(blocked->extent);
                const RegionId region = open_blocks();
                write_loops(n, 0, last_param_);
                close_loop(region, low, high, "parallel", blocked->block);
            }
        }
        leave(here);
    }
}

}  // namespace tenon
