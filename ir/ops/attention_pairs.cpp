#include "ir/ops/attention_pairs.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cstdint>

#include "ir/build/stacks.h"
#include "ir/index_arithmetic.h"
#include "ir/row.h"

namespace tenon::attention {

namespace {

bool is_read(Op o) { return o == op<"take">() || o == op<"gather">(); }

size_t axis_of(const Graph& graph, NodeId read) {
    const int64_t axis = graph.attributes(read).integer("axis");
    return size_t(axis < 0 ? axis + int64_t(graph.type(graph.operand(read, 0)).rank()) : axis);
}

}  // namespace

// ---- what a function is made of -------------------------------------------------------------------------------------
std::string why_no_pair_function(const Graph& graph, NodeId& where) {
    for (NodeId id : graph.body()) {
        const Row& r = row(graph[id].op);
        where = id;
        if (r.regions > 0) return "it holds control flow on a tensor's value";
        if (is_ordered(r.effect)) return "it has an effect";
        if (r.lowering == Lowering::reduce || r.lowering == Lowering::composite)
            return "it goes over several elements (" + std::string(r.name) + ")";
        if (r.own_per_example) return "it draws random numbers";
        const bool known = r.lowering == Lowering::scalar || r.lowering == Lowering::movement || is_at_hand(r.source);
        if (is_read(graph[id].op)) {
            const std::vector<SizeId>& sizes = graph.type(graph.operand(id, 0)).sizes;
            if (sizes[axis_of(graph, id)] == SizeId(0)) return "it reads a tensor that has no elements";
        } else if (!known) return "it computes " + std::string(r.name) + ", which is nothing of one element";
    }
    return {};
}

std::vector<PairRead> reads_of(const Graph& graph, const std::vector<bool>& parameters) {
    constexpr size_t none = SIZE_MAX;
    std::vector<size_t> whole(graph.nodes.size(), none);  // of which parameter a node is a part, with dimensions
    std::vector<PairRead> reads;
    const auto params = graph.params();
    for (size_t k = 0; k < params.size(); ++k) {
        if (!parameters[k]) continue;
        if (graph.type(params[k]).rank() == 0) reads.push_back({k, params[k]});
        else whole[params[k].index] = k;
    }
    for (NodeId id : graph.body()) {
        const auto operands = graph.operands_of(id);
        const auto from =
            std::find_if(operands.begin(), operands.end(), [&](NodeId o) { return whole[o.index] != none; });
        if (from == operands.end()) continue;
        const bool moves = row(graph[id].op).lowering == Lowering::movement || is_read(graph[id].op);
        if (!moves || row(graph[id].op).stops_gradient) {
            if (row(graph[id].op).stops_gradient) continue;
            Diagnostic d;
            d.kind = "gradient";
            d.message = "a function of attention has no gradient by a tensor that it computes with as a whole";
            d.span = graph.origin(id).span;
            d.help = "read an element and compute with that, or compute the tensor outside of the function";
            throw Error(std::move(d));
        }
        if (graph.type(id).rank() == 0) reads.push_back({whole[from->index], id});
        else whole[id.index] = whole[from->index];
    }
    return reads;
}

NodeId emit_place(Builder& builder, const Graph& graph, Copier& copied, const PairRead& read) {
    std::vector<NodeId> path;
    const NodeId tensor = graph.params()[read.parameter];
    for (NodeId id = read.value; id != tensor; id = graph.operand(id, 0)) path.push_back(id);
    if (path.empty()) return builder.literal(int64_t{0}, DType::i64);
    Context& context = builder.context();
    SizeId count(1);
    for (SizeId s : graph.type(tensor).sizes) count = context.mul(count, s);
    const AttrId all = context.attr({{context.name("sizes"), AttrValue(AttrList{AttrValue(count)})},
                                     {context.name("dtype"), AttrValue(DType::i64)}});
    NodeId place = emit_reshape(builder, builder.emit(op<"iota">(), {}, all), graph.type(tensor).sizes);
    for (size_t k = path.size(); k-- > 0;) {
        std::vector<NodeId> operands{place};
        for (NodeId o : graph.operands_of(path[k]).subspan(1)) operands.push_back(copied(o));
        place = builder.emit(graph[path[k]].op, operands, graph[path[k]].attr);
    }
    return place;
}

// ---- scalar code ----------------------------------------------------------------------------------------------------
PairCode::PairCode(LoopWriter& writer, unsigned region, std::span<const Argument> arguments)
    : w_(writer), graph_(writer.graph()), region_(writer.region(region)), facts_(writer.context(), graph_.equalities),
      positions_(facts_), arguments_(arguments) {
    const auto params = graph_.params(region_);
    assert(params.size() == arguments.size());
    for (size_t k = 0; k < params.size(); ++k) parameters_.emplace(params[k], k);
}

// In order, so that a long function is no deep recursion.
std::vector<NodeId> PairCode::write() {
    for (NodeId id : graph_.body(region_)) {
        if (graph_.type(id).rank() > 0) continue;
        if (!place(id, {})) value(id, {});
    }
    std::vector<NodeId> results;
    for (NodeId r : graph_.results(region_)) results.push_back(value(r, {}));
    return results;
}

const PairCode::Argument* PairCode::argument(NodeId id) const {
    const auto found = parameters_.find(id);
    return found == parameters_.end() ? nullptr : &arguments_[found->second];
}

NodeId PairCode::value(NodeId id, const PositionList& at) {
    if (!at.empty()) return compute(id, at);
    if (const auto known = scalars_.find(id); known != scalars_.end()) return known->second;
    const NodeId made = compute(id, at);
    scalars_.emplace(id, made);
    return made;
}

NodeId PairCode::compute(NodeId id, const PositionList& at) {
    const Node& node = graph_[id];
    const Type& type = graph_.type(id);
    const Row& r = row(node.op);
    if (node.op == op<"constant">()) {
        const AttrValue& value = *graph_.attributes(id).find("value");
        if (const auto* x = std::get_if<double>(&value.value)) return w_.literal(Scalar(*x), type.dtype);
        if (const auto* x = std::get_if<int64_t>(&value.value)) return w_.literal(Scalar(*x), type.dtype);
        return w_.literal(Scalar(std::get<bool>(value.value)), type.dtype);
    }
    if (const std::optional<Place> known = place(id, at)) return w_.cast(w_.number(known->index), type.dtype);
    if (const Argument* given = argument(id)) {
        if (given->scalar) return given->scalar;
        return w_.load(given->buffer, index(positions_.linear(at, type.sizes)));
    }
    if (r.source == Source::operand) return value(graph_.operand(id, 0), {});
    if (is_read(node.op)) return value(graph_.operand(id, 0), read_at(id, at));
    if (r.lowering == Lowering::movement)
        return value(graph_.operand(id, 0), operand_positions(positions_, graph_, id, 0, at));
    std::vector<NodeId> operands;
    for (size_t k = 0; k < node.operands.count; ++k)
        operands.push_back(value(graph_.operand(id, k), operand_positions(positions_, graph_, id, k, at)));
    return w_.apply(node.op, operands, node.attr);
}

// ---- indices
std::optional<Place> PairCode::place(NodeId id, const PositionList& at) {
    if (!at.empty()) return arithmetic(id, at);
    if (const auto known = places_.find(id); known != places_.end()) return known->second;
    const std::optional<Place> made = arithmetic(id, at);
    places_.emplace(id, made);
    return made;
}

// What the loops' own arithmetic on positions can be: of a value that is read from memory it is not.
std::optional<Place> PairCode::arithmetic(NodeId id, const PositionList& at) {
    const Node& node = graph_[id];
    const Row& r = row(node.op);
    if (!is_integer(graph_.type(id).dtype)) return std::nullopt;
    if (const Argument* given = argument(id)) return given->place;
    if (r.source == Source::position)
        return at.empty() ? constant(0) : below(index(at.back()), graph_.type(id).sizes.back());
    if (graph_.type(id).dtype != DType::i64) return std::nullopt;
    if (node.op == op<"constant">()) return constant(graph_.attributes(id).integer("value"));
    if (r.source == Source::size) {
        const SizeId size = graph_.attributes(id).size("value");
        const auto value = w_.context().as_constant(size);
        return Place{w_.size(size), value, value, std::nullopt};
    }
    if (is_read(node.op)) {  // of positions themselves
        NodeId from = graph_.operand(id, 0);
        while (row(graph_[from].op).lowering == Lowering::movement) from = graph_.operand(from, 0);
        if (row(graph_[from].op).source != Source::position) return std::nullopt;
        return place(graph_.operand(id, 0), read_at(id, at));
    }
    if (r.lowering == Lowering::movement)
        return place(graph_.operand(id, 0), operand_positions(positions_, graph_, id, 0, at));
    if (r.index_op == IndexOp::none || node.operands.count != 2) return std::nullopt;
    const auto operand = [&](size_t k) {
        return place(graph_.operand(id, k), operand_positions(positions_, graph_, id, k, at));
    };
    const std::optional<Place> a = operand(0), b = operand(1);
    if (!a || !b) return std::nullopt;
    if (divides(r.index_op) && !(b->low && b->high && *b->low == *b->high && *b->low > 0)) return std::nullopt;
    Place made{w_.apply(node.op, {a->index, b->index}), std::nullopt, std::nullopt, std::nullopt};
    const auto is_small = [](const Place& p) {  // so that no product overflows
        return p.low && p.high && *p.low >= INT32_MIN && *p.high <= INT32_MAX;
    };
    if (!is_small(*a) || !is_small(*b)) return made;
    std::array<int64_t, 4> ends;
    for (size_t k = 0; k < 4; ++k) ends[k] = apply(r.index_op, k & 1 ? *a->low : *a->high, k & 2 ? *b->low : *b->high);
    made.low = std::min({ends[0], ends[1], ends[2], ends[3]});
    made.high = std::max({ends[0], ends[1], ends[2], ends[3]});
    if (r.index_op == IndexOp::remainder) made.low = 0, made.high = *b->low - 1;
    return made;
}

PositionList PairCode::read_at(NodeId id, const PositionList& at) {
    const NodeId positions = graph_.operand(id, 1);
    const size_t axis = axis_of(graph_, id), rank = graph_.type(positions).rank();
    const SizeId size = graph_.type(graph_.operand(id, 0)).sizes[axis];
    PositionList from(at.begin(), at.begin() + ptrdiff_t(axis));
    if (graph_[id].op == op<"gather">()) {
        from.push_back(bounded(positions, at, size));
        from.insert(from.end(), at.begin() + ptrdiff_t(axis) + 1, at.end());
        return from;
    }
    from.push_back(
        bounded(positions, PositionList(at.begin() + ptrdiff_t(axis), at.begin() + ptrdiff_t(axis + rank)), size));
    from.insert(from.end(), at.begin() + ptrdiff_t(axis + rank), at.end());
    return from;
}

bool PairCode::is_within(const Place& place, SizeId size) const {
    if (place.extent && facts_.nonnegative(facts_.sub(size, *place.extent))) return true;
    const auto count = w_.context().as_constant(size);
    return count && place.low && place.high && *place.low >= 0 && *place.high < *count;
}

Position PairCode::bounded(NodeId position, const PositionList& at, SizeId size) {
    std::optional<Place> known = place(position, at);
    if (!known || !is_within(*known, size)) {
        const NodeId given = w_.cast(known ? w_.number(known->index) : value(position, at), DType::i64),
                     zero = w_.literal(Scalar(int64_t{0}), DType::i64), count = w_.number(w_.size(size)),
                     last = w_.apply(op<"sub">(), {count, w_.literal(Scalar(int64_t{1}), DType::i64)}),
                     from_end = w_.apply(op<"add">(), {given, count}),
                     counted = w_.apply(op<"where">(), {w_.apply(op<"less">(), {given, zero}), from_end, given});
        known = Place{
            w_.position(w_.apply(op<"maximum">(), {w_.apply(op<"minimum">(), {counted, last}), zero})), {}, {}, {}};
    }
    variables_.push_back(known->index);
    return positions_.variable(uint32_t(variables_.size() - 1), size);
}

NodeId PairCode::index(Position p) {
    const Positions::Form form = positions_[p];
    NodeId sum;
    if (form.offset != SizeId(0) || form.terms.empty()) sum = w_.size(form.offset);
    for (const Positions::Term& t : form.terms) {
        const Positions::Atom atom = positions_.atom(t.atom);
        NodeId term;
        switch (atom.kind) {
            case Positions::Atom::Kind::variable: term = variables_[atom.number]; break;
            case Positions::Atom::Kind::quotient:
                term = w_.floor_divide(index({atom.inner}), w_.size(atom.divisor));
                break;
            case Positions::Atom::Kind::remainder:
                term = w_.remainder(index({atom.inner}), w_.size(atom.divisor));
                break;
        }
        if (t.stride != SizeId(1)) term = w_.mul(term, w_.size(t.stride));
        sum = sum ? w_.add(sum, term) : term;
    }
    return sum;
}

}  // namespace tenon::attention
