#include "ir/schedule/expressions.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <utility>

namespace tenon {

Expressions::Expressions(const Graph& graph, Positions& positions)
    : graph_(graph), context_(*graph.context), positions_(positions) {}

uint32_t Expressions::add_variable(int depth) {
    Expression e;
    e.kind = Expression::Kind::variable;
    e.type = context_.index();
    e.depth = depth;
    e.number = uint32_t(variables_.size());
    variables_.push_back(intern(std::move(e)));
    return uint32_t(variables_.size() - 1);
}

ExpressionId Expressions::intern(Expression e) {
    std::vector<uint64_t> key{uint64_t(e.kind) << 48 | uint64_t(e.op.row) << 32 | e.type.index,
                              uint64_t(e.attr.index) << 32 | e.number};
    if (e.kind == Expression::Kind::literal) key.push_back(e.source.index);
    for (ExpressionId o : e.operands) key.push_back(o);
    const auto [it, fresh] = ids_.try_emplace(std::move(key), ExpressionId(entries_.size()));
    if (fresh) entries_.push_back(std::move(e));
    return it->second;
}

ExpressionId Expressions::call(Op o, std::vector<ExpressionId> operands, AttrId attr, NodeId source, int inside) {
    Expression e;
    e.op = o;
    e.attr = attr;
    e.source = source;
    e.depth = inside;
    e.number = uint32_t(inside);
    std::vector<TypeId> types;
    for (ExpressionId k : operands) {
        types.push_back(entries_[k].type);
        e.depth = std::max(e.depth, entries_[k].depth);
    }
    Infer infer{context_, row(o).name, o, types, attr, {}, nullptr, {}};
    e.type = row(o).result(infer);
    if (row(o).lowering == Lowering::scalar && context_[e.type].kind != Type::Kind::index) e.cost = row(o).cost;
    e.operands = std::move(operands);
    return intern(std::move(e));
}

ExpressionId Expressions::extent(SizeId size) {
    return call(op<"extent">(), {}, context_.attr({{context_.name("value"), AttrValue(size)}}));
}

// What a position divides is worked out before it, each once: forms of views of views share theirs.
ExpressionId Expressions::index(Position p) {
    std::vector<uint32_t> stack{p.id};
    while (!stack.empty()) {
        const uint32_t id = stack.back();
        if (indices_.size() <= id) indices_.resize(id + 1);
        if (!indices_[id]) {
            const std::vector<Positions::Term>& terms = positions_[{id}].terms;
            const auto missing = std::find_if(terms.begin(), terms.end(), [&](const Positions::Term& t) {
                const Positions::Atom& a = positions_.atom(t.atom);
                return a.kind != Positions::Atom::Kind::variable && (indices_.size() <= a.inner || !indices_[a.inner]);
            });
            if (missing != terms.end()) {
                stack.push_back(positions_.atom(missing->atom).inner);
                continue;
            }
            indices_[id] = sum_of(positions_[{id}]);
        }
        stack.pop_back();
    }
    return *indices_[p.id];
}

int64_t Expressions::cost() const {
    int64_t sum = 0;
    for (const Expression& e : entries_) sum += e.cost;
    return sum;
}

int64_t Expressions::arithmetic() const {
    int64_t sum = 0;
    for (const Expression& e : entries_) sum += e.kind == Expression::Kind::fold ? 1 : e.cost;
    return sum;
}

// Summands with shallower loops first, so that what is invariant in a loop is computed outside it.
ExpressionId Expressions::sum_of(const Positions::Form& form) {
    std::vector<ExpressionId> summands;
    if (form.offset != SizeId(0) || form.terms.empty()) summands.push_back(extent(form.offset));
    for (const Positions::Term& t : form.terms) {
        const Positions::Atom a = positions_.atom(t.atom);
        ExpressionId atom;
        if (a.kind == Positions::Atom::Kind::variable) atom = variables_[a.number];
        else
            atom = call(a.kind == Positions::Atom::Kind::quotient ? op<"floor_divide">() : op<"remainder">(),
                        {*indices_[a.inner], extent(a.divisor)});
        summands.push_back(t.stride == SizeId(1) ? atom : call(op<"mul">(), {atom, extent(t.stride)}));
    }
    std::stable_sort(summands.begin(), summands.end(),
                     [&](ExpressionId a, ExpressionId b) { return entries_[a].depth < entries_[b].depth; });
    ExpressionId sum = summands[0];
    for (size_t k = 1; k < summands.size(); ++k) sum = call(op<"add">(), {sum, summands[k]});
    return sum;
}

ExpressionId Expressions::load(uint32_t buffer, DType dtype, Position p) {
    note_position(p, int64_t(size_of(dtype)));
    Expression b;
    b.kind = Expression::Kind::buffer;
    b.type = context_.buffer(dtype);
    b.number = buffer;
    const ExpressionId memory = intern(std::move(b));
    return call(op<"load">(), {memory, index(p)});
}

ExpressionId Expressions::fold(NodeId reduce, ExpressionId body, uint32_t variable, ExpressionId low, ExpressionId high,
                               int depth) {
    Expression e;
    e.kind = Expression::Kind::fold;
    e.depth = depth;
    e.op = op<"fold">();
    const Type& scalar = context_[entries_[body].type];
    e.type = context_.scalar(scalar.dtype);
    e.attr = context_.attr({{context_.name("op"), AttrValue(context_.name(row(graph_[reduce].op).fold))},
                            {context_.name("order"), AttrValue(reduction_.order)}});
    e.operands = {body, low, high};
    e.number = variable;
    e.source = reduce;
    e.cost = 1 << 20;  // never computed twice
    const int inner = entries_[variables_[variable]].depth;
    for (ExpressionId k : {low, high}) e.depth = std::max(e.depth, entries_[k].depth);
    // As deep as the deepest loop around the fold that its body depends on.
    std::vector<ExpressionId> stack{body};
    std::vector<bool> seen(entries_.size());
    while (!stack.empty()) {
        const ExpressionId at = stack.back();
        stack.pop_back();
        if (seen[at]) continue;
        seen[at] = true;
        if (entries_[at].depth < inner) e.depth = std::max(e.depth, entries_[at].depth);
        else
            for (ExpressionId o : entries_[at].operands) stack.push_back(o);
    }
    return intern(std::move(e));
}

// Where the reduction's operand is read: at the kept position, and at the fold's variable along what is reduced.
PositionList Expressions::folded_position(NodeId id, const PositionList& at) {
    const Type& from = graph_.type(graph_.operand(id, 0));
    std::vector<bool> gone(from.rank());
    for (int64_t a : graph_.attributes(id).integers("axes")) gone[size_t(a < 0 ? a + int64_t(from.rank()) : a)] = true;
    const bool keep = graph_.attributes(id).flag("keepdim");
    std::vector<SizeId> reduced;
    for (size_t d = 0; d < from.rank(); ++d)
        if (gone[d]) reduced.push_back(from.sizes[d]);
    const PositionList within = positions_.split(reduction_.position, reduced);
    PositionList inside(from.rank());
    for (size_t d = 0, kept = 0, r = 0; d < from.rank(); ++d) {
        inside[d] = gone[d] ? within[r++] : at[keep ? d : kept];
        if (!gone[d]) ++kept;
    }
    return inside;
}

ExpressionId Expressions::fold_between(NodeId id, const PositionList& at, ExpressionId low, ExpressionId high) {
    return fold(id, value(graph_.operand(id, 0), folded_position(id, at)), reduction_.variable, low, high);
}

ExpressionId Expressions::fold_of_partials(NodeId id, const PositionList& at) {
    const Partial partial = partials_.at(id);
    const Type& type = graph_.type(id);
    const SizeId size(partial.chunk),
        chunks = context_.floordiv(positions_.facts().add(reduction_.extent, SizeId(partial.chunk - 1)), size);
    const uint32_t variable = add_variable(reduction_.depth);
    const Position chunk = positions_.variable(variable, chunks), kept = positions_.linear(at, type.sizes);
    const Position place = context_.text(reduction_.order) == "lanes"
                               ? positions_.add(positions_.scale(kept, chunks), chunk)
                               : positions_.add(positions_.scale(chunk, positions_.facts().product(type.sizes)), kept);
    return fold(id, load(partial.buffer, type.dtype, place), variable, extent(SizeId(0)), extent(chunks),
                reduction_.depth - 1);  // inside a nest: after those that fold the chunks
}

// ---- the value of a node --------------------------------------------------------------------------------------------
std::optional<ExpressionId> Expressions::known(NodeId id, const PositionList& at) const {
    std::vector<uint32_t> key;
    for (Position p : at) key.push_back(p.id);
    const auto found = values_.find({id.index, std::move(key)});
    return found == values_.end() ? std::nullopt : std::optional(found->second);
}

// What needs no other value.
std::optional<ExpressionId> Expressions::leaf(NodeId id, const PositionList& at) {
    const Node& node = graph_[id];
    const Type& type = graph_.type(id);
    if (const auto buffer = buffer_of_.find(id); buffer != buffer_of_.end())
        return load(buffer->second, type.dtype, positions_.linear(at, type.sizes));
    if (node.op == op<"constant">()) {
        Expression e;
        e.kind = Expression::Kind::literal;
        e.type = node.type;
        e.source = id;
        return intern(std::move(e));
    }
    if (partials_.contains(id)) return fold_of_partials(id, at);
    const Source source = row(node.op).source;
    if (source != Source::position && source != Source::size) return std::nullopt;
    ExpressionId number;
    if (source == Source::size) {
        number = call(op<"number">(), {extent(graph_.attributes(id).size("value"))}, {}, id);
    } else {
        const Position p = at.empty() ? positions_.constant(SizeId(0)) : at.back();
        note_position(p);
        number = call(op<"number">(), {index(p)}, {}, id);
    }
    return type.dtype == DType::i64 ? number : cast(number, type.dtype, id);
}
ExpressionId Expressions::cast(ExpressionId x, DType dtype, NodeId source) {
    return call(op<"cast">(), {x}, context_.attr({{context_.name("dtype"), AttrValue(dtype)}}), source);
}
ExpressionId Expressions::literal(double value, DType dtype) {
    Expression e;
    e.kind = Expression::Kind::literal;
    e.type = context_.tensor(dtype, {});
    e.attr = context_.attr({{context_.name("value"), AttrValue(value)}});
    return intern(std::move(e));
}

// The bits of its place in row-major order, and of a float as many of them as its significand has, as a multiple of their
// unit: uniform in [0, 1).
ExpressionId Expressions::drawn(const Wanted& w) {
    const Type& type = graph_.type(w.id);
    const Position p = positions_.linear(w.at, type.sizes);
    note_position(p);
    const ExpressionId number = call(op<"number">(), {index(p)}, {}, w.id);
    const bool wide = size_of(type.dtype) == 8;
    ExpressionId bits =
        call(wide ? op<"random_bits">() : op<"random_word">(), {w.operands[0], w.operands[1], number}, {}, w.id);
    if (!is_float(type.dtype)) return bits;
    const int kept = type.dtype == DType::f64 ? 53 : type.dtype == DType::f32 ? 24 : type.dtype == DType::f16 ? 11 : 8;
    bits = call(op<"shift_right">(), {bits, literal((wide ? 63 : 32) - kept, DType::i64)}, {}, w.id);
    if (!wide) bits = cast(bits, DType::i32, w.id);  // which the instruction sets convert in one step
    return call(op<"mul">(), {cast(bits, type.dtype, w.id), literal(std::ldexp(1.0, -kept), type.dtype)}, {}, w.id);
}

size_t Expressions::operand_count(NodeId id) const {
    const Row& r = row(graph_[id].op);
    return r.lowering == Lowering::scalar || r.source == Source::drawn ? graph_[id].operands.count : 1;
}

Expressions::Wanted Expressions::operand(const Wanted& of, size_t k) {
    const NodeId id = graph_.operand(of.id, k);
    if (row(graph_[of.id].op).lowering == Lowering::reduce) {
        extent(reduction_.extent);  // the bounds stand before the fold
        extent(SizeId(0));
        return {id, folded_position(of.id, of.at), {}};
    }
    const Source source = row(graph_[of.id].op).source;
    if (source == Source::operand || source == Source::drawn) return {id, {}, {}};
    return {id, operand_positions(positions_, graph_, of.id, k, of.at), {}};
}

ExpressionId Expressions::combine(const Wanted& w) {
    const Node& node = graph_[w.id];
    const Lowering lowering = row(node.op).lowering;
    if (lowering == Lowering::reduce)
        return fold(w.id, w.operands[0], reduction_.variable, extent(SizeId(0)), extent(reduction_.extent));
    if (row(node.op).source == Source::drawn) return drawn(w);
    if (lowering != Lowering::scalar) return w.operands[0];  // movement, full
    // What may fail does so for an element: in the loops around it, which may have no turn, though it is the same in all.
    const bool fails = row(node.op).may_fail && is_integer(graph_.type(w.id).dtype);
    return call(node.op, w.operands, node.attr, w.id, fails ? depth_of(w.at) : 0);
}

// How many loops are around what stands at this position.
int Expressions::depth_of(const PositionList& at) {
    int depth = 0;
    for (Position p : at) depth = std::max(depth, entries_[index(p)].depth);
    return depth;
}

// What the value depends on comes first, operand by operand; a worklist, since that is as long as the kernel is deep.
ExpressionId Expressions::value(NodeId id, const PositionList& at) {
    std::vector<Wanted> stack{{id, at, {}}};
    for (std::optional<ExpressionId> result;;) {
        Wanted& top = stack.back();
        if (result) top.operands.push_back(*std::exchange(result, std::nullopt));
        const bool fresh = top.operands.empty();
        if (fresh) result = known(top.id, top.at);
        if (!result) {
            if (fresh) result = leaf(top.id, top.at);
            if (!result && top.operands.size() < operand_count(top.id)) {
                stack.push_back(operand(top, top.operands.size()));
                continue;
            }
            if (!result) result = combine(top);
            std::vector<uint32_t> key;
            for (Position p : top.at) key.push_back(p.id);
            values_.emplace(std::pair(top.id.index, std::move(key)), *result);
        }
        stack.pop_back();
        if (stack.empty()) return *result;
    }
}

}  // namespace tenon
