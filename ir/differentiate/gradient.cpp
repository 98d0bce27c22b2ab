#include "ir/differentiate/gradient.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <map>
#include <string>
#include <unordered_map>

#include "ir/build/fold_literals.h"
#include "ir/differentiate/repeats.h"

namespace tenon {

template <class Nodes> static NodeId owner_of_history(const Nodes& nodes, NodeId id, const auto& op_of) {
    for (int k = row(op_of(id)).history_of; k >= 0; k = row(op_of(id)).history_of)
        id = nodes.operands_of(id)[static_cast<size_t>(k)];
    return id;
}
NodeId history_owner(const Builder& builder, NodeId id) {
    return owner_of_history(builder, id, [&](NodeId node) { return builder.node(node).op; });
}
NodeId history_owner(const Graph& graph, NodeId id) {
    return owner_of_history(graph, id, [&](NodeId node) { return graph[node].op; });
}

bool is_differentiable(const Context& context, TypeId id) {
    const Type& type = context[id];
    if (type.kind != Type::Kind::tuple) return type.is_tensor() && is_float(type.dtype);
    return std::any_of(type.elements.begin(), type.elements.end(),
                       [&](TypeId element) { return is_differentiable(context, element); });
}

// Reverse mode over one builder. Formulas write Terms into an arena; a Term becomes nodes when a slot takes it.
class Reverse {
public:
    Reverse(Builder& builder, const ReverseRequest& request)
        : builder_(builder), end_(builder.size()), needs_(end_, false), cotangent_(end_), named_(request.named),
          differentiable_(request.differentiable), given_(request.given), inside_region_(request.inside_region) {
        mark_dependents(request.wrt, request.begin);
        const std::vector<NodeId> body(builder_.body().begin() + ptrdiff_t(request.begin),
                                       builder_.body().end());  // without what is made here
        if (request.begin == 0) note_repeats();
        Builder::StampScope scope(builder_, {});
        if (!request.running.empty())
            for (size_t k = 0; k < request.wrt.size(); ++k)
                cotangent_[owner(request.wrt[k]).index] = request.running[k];
        for (size_t k = 0; k < request.results.size(); ++k) {
            const NodeId result = request.results[k];
            if (needs_[result.index])
                accumulate(result, request.cotangents.empty() ? ones(result) : request.cotangents[k]);
        }
        for (size_t i = body.size(); i-- > 0;)
            if (needs_[body[i].index] && has_cotangent(body[i]) && through(body[i])) differentiate(widest(body[i]));
    }

    NodeId cotangent(NodeId id) const { return cotangent_[owner(id).index]; }
    const std::vector<bool>& dependents() const { return needs_; }

private:
    friend class Gradient;
    friend Term apply(Op, std::initializer_list<Term>, AttrId);

    static constexpr size_t most_operands = 7;
    struct Entry {
        enum class Kind : uint8_t { forward, made, call, fit } kind;  // forward value, node made here, op, fit to shape
        Op op;
        NodeId node;
        AttrId attr;
        uint8_t count = 0;
        std::array<Term, most_operands> operands{};
        TypeId shape;  // fit: the tensor type whose shape the operand takes
        DType number_dtype = DType::f32;
        bool typed_number = false;
    };

    // ---- which nodes lie between wrt and the results
    NodeId owner(NodeId id) const { return history_owner(builder_, id); }
    void mark_dependents(std::span<const NodeId> wrt, size_t begin) {
        for (NodeId w : wrt) needs_[w.index] = needs_[owner(w).index] = true;
        for (NodeId id : builder_.body().subspan(begin)) {
            if (needs_[id.index] || !through(id)) continue;
            if (!is_differentiable(builder_.context(), builder_.node(id).type)) continue;
            for (NodeId operand : builder_.operands_of(id))
                if (needs_[operand.index]) {
                    needs_[id.index] = true;
                    break;
                }
        }
    }
    bool through(NodeId id) const {
        const Node& node = builder_.node(id);
        return !(node.flags & no_grad_flag) && !row(node.op).stops_gradient && node.op != op<"param">();
    }

    // The first node whose derivative may add to this one's cotangent.
    NodeId first_user(NodeId id) {
        if (first_user_.empty()) {
            first_user_.resize(end_);
            for (NodeId user : builder_.body()) {
                if (user.index >= end_ || !needs_[user.index]) continue;
                for (NodeId operand : builder_.operands_of(user))
                    if (NodeId& first = first_user_[owner(operand).index]; !first) first = user;
            }
        }
        return first_user_[owner(id).index];
    }

    void note_repeats() {
        for (const Repeated& node : find_repeats(builder_)) {
            for (NodeId other : node.others) first_[other.index] = node.first;
            widest_[node.first.index] = node.widest;
        }
    }

    // ---- nodes with several results
    bool is_tuple(NodeId id) const { return builder_.type(id).kind == Type::Kind::tuple; }
    bool has_cotangent(NodeId id) const { return cotangent_[id.index] || elements_.contains(id.index); }
    // Where the cotangent of a value is kept, or of an element of a tuple.
    NodeId& cotangent_of(NodeId id, int element) {
        if (element < 0) return cotangent_[owner(id).index];
        std::vector<NodeId>& all = elements_[first(id).index];
        all.resize(builder_.type(widest(first(id))).elements.size());
        return all[size_t(element)];
    }
    // A node with regions and those that repeat it are one (ir/differentiate/repeats.h).
    NodeId first(NodeId id) const {
        const auto known = first_.find(id.index);
        return known == first_.end() ? id : known->second;
    }
    NodeId widest(NodeId id) const {
        const auto known = widest_.find(id.index);
        return known == widest_.end() ? id : known->second;
    }
    // The result as a value of the forward graph; of those that nothing reads there is none yet.
    NodeId result(NodeId maker, size_t k) {
        if (!is_tuple(maker)) return maker;
        if (k < builder_.type(first(maker)).elements.size()) maker = first(maker);
        if (results_.empty())
            for (NodeId id : builder_.body())
                if (id.index < end_ && builder_.node(id).op == op<"get">())
                    results_.try_emplace({builder_.operands_of(id)[0], builder_.attributes(id).integer("index")}, id);
        NodeId& found = results_[{maker, int64_t(k)}];
        if (!found) {
            Builder::StampScope scope(builder_, builder_.stamp_of(maker));
            found = builder_.emit(op<"get">(), {maker}, one_attr("index", AttrValue(int64_t(k))));
        }
        return found;
    }

    // ---- one node
    void differentiate(NodeId id) {
        const Row& r = row(builder_.node(id).op);
        if (!r.gradient) {
            Diagnostic diagnostic;
            diagnostic.kind = "gradient";
            diagnostic.message = std::string(r.name) + " has no gradient: " + std::string(r.no_gradient);
            diagnostic.span = builder_.context()[builder_.stamp_of(id).origin].span;
            diagnostic.help = "detach its operand, or compute it under no_grad";
            throw Error(std::move(diagnostic));
        }
        Stamp stamp = builder_.stamp_of(id);
        Origin origin = builder_.context()[stamp.origin];
        origin.differentiated = builder_.node(id).op;
        stamp.origin = builder_.context().origin(origin);
        stamp.flags = 0;
        Builder::StampScope scope(builder_, stamp);
        arena_.clear();
        differentiated_ = id;
        Gradient gradient(*this, id);
        r.gradient(gradient);
    }
    void accumulate(NodeId to, NodeId contribution, int element = -1) {
        NodeId& sum = cotangent_of(to, element);
        if (!sum) {
            sum = contribution;
            return;
        }
        Stamp bare;  // sums at a fan-out carry no metadata
        bare.origin = builder_.stamp().origin;
        Builder::StampScope scope(builder_, bare);
        sum = builder_.emit(op<"add">(), {sum, contribution});
    }
    NodeId ones(NodeId like) {
        const Type& t = builder_.type(like);
        const NodeId one = builder_.literal(1.0, t.dtype);
        return t.rank() == 0 ? one : spread(one, builder_.node(like).type);
    }

    // ---- terms
    Term make(Entry entry) {
        arena_.push_back(entry);
        Term t;
        t.owner_ = this;
        t.entry_ = uint32_t(arena_.size() - 1);
        return t;
    }
    Term forward(NodeId id) {
        Entry e{};
        e.kind = Entry::Kind::forward;
        e.node = id;
        return make(e);
    }
    Term made(NodeId id) {
        Entry e{};
        e.kind = Entry::Kind::made;
        e.node = id;
        return make(e);
    }
    NodeId emit(const Term& t, DType number_dtype) {
        if (!t.owner_) return builder_.literal(t.number_, number_dtype);
        const Entry entry = arena_[t.entry_];
        NodeId result;
        switch (entry.kind) {
            case Entry::Kind::made: return entry.node;
            case Entry::Kind::forward: {
                if (named_) named_->push_back({entry.node, differentiated_});
                const auto found = std::find_if(given_.begin(), given_.end(),
                                                [&](const auto& given) { return given.first == entry.node; });
                return found == given_.end() ? entry.node : found->second;
            }
            case Entry::Kind::fit: result = fit(emit(entry.operands[0], number_dtype), entry.shape); break;
            case Entry::Kind::call: result = emit_call(entry, number_dtype); break;
        }
        arena_[t.entry_].kind = Entry::Kind::made;  // a term used twice is one node
        arena_[t.entry_].node = result;
        return result;
    }
    NodeId emit_call(const Entry& entry, DType number_dtype) {
        std::array<NodeId, most_operands> operands;
        const auto first = size_t(row(entry.op).conditions);
        DType dtype = number_dtype;
        for (size_t k = 0; k < entry.count; ++k)
            if (entry.operands[k].owner_) operands[k] = emit(entry.operands[k], number_dtype);
        for (size_t k = entry.count; k-- > first;)
            if (entry.operands[k].owner_) dtype = builder_.type(operands[k]).dtype;
        for (size_t k = 0; k < entry.count; ++k)
            if (!entry.operands[k].owner_) operands[k] = builder_.literal(entry.operands[k].number_, dtype);
        const std::span<const NodeId> given(operands.data(), entry.count);
        if (entry.count == 2)  // an exponent less 1
            if (const NodeId folded = fold_literals(builder_, entry.op, builder_.node(operands[1]).type, given))
                return folded;
        return builder_.emit(entry.op, given, entry.attr);
    }

    // What a term that is not emitted would name.
    void name_only(NodeId operand, const Term& term) {
        if (!named_ || operand.index >= differentiable_.size() || !differentiable_[operand.index]) return;
        std::vector<Term> stack{term};
        while (!stack.empty()) {
            const Term t = stack.back();
            stack.pop_back();
            if (!t.owner_) continue;
            const Entry& entry = arena_[t.entry_];
            if (entry.kind == Entry::Kind::forward) named_->push_back({entry.node, differentiated_});
            else if (entry.kind == Entry::Kind::fit) stack.push_back(entry.operands[0]);
            else if (entry.kind == Entry::Kind::call)
                for (size_t k = entry.count; k-- > 0;) stack.push_back(entry.operands[k]);
        }
    }

    // ---- shapes
    AttrValue as_list(std::span<const SizeId> sizes) { return AttrList(sizes.begin(), sizes.end()); }
    AttrId one_attr(std::string_view key, AttrValue value) {
        Context& context = builder_.context();
        return context.attr({{context.name(key), std::move(value)}});
    }
    NodeId spread(NodeId value, TypeId shape) {
        return builder_.emit(builder_.type(value).rank() == 0 ? op<"full">() : op<"expand">(), {value},
                             one_attr("sizes", as_list(builder_.context()[shape].sizes)));
    }
    // Sums over the dimensions along which `value` was broadcast, repeats those along which it must be.
    NodeId fit(NodeId value, TypeId shape) {
        Context& context = builder_.context();
        const Type &want = context[shape], &have = builder_.type(value);  // entries of the context: they stay
        if (have.sizes == want.sizes) return value;
        if (have.rank() >= want.rank()) {
            const size_t extra = have.rank() - want.rank();
            AttrList axes;
            SizeList left;
            for (size_t d = 0; d < have.rank(); ++d) {
                const bool summed = d < extra || (want.sizes[d - extra] == SizeId(1) && have.sizes[d] != SizeId(1));
                if (summed) axes.push_back(int64_t(d));
                else left.push_back(have.sizes[d]);
            }
            if (!axes.empty())
                value = builder_.emit(
                    op<"sum">(), {value},
                    context.attr({{context.name("axes"), axes}, {context.name("keepdim"), AttrValue(false)}}));
            if (left.size() < want.rank()) {
                SizeList sizes = want.sizes;
                for (size_t d = 0; d < want.rank(); ++d)
                    if (have.sizes[d + extra] == SizeId(1)) sizes[d] = SizeId(1);  // to be repeated below
                value = builder_.emit(op<"reshape">(), {value}, one_attr("sizes", as_list(sizes)));
            }
        }
        for (size_t d = 0; d < want.rank(); ++d) {
            const Type& now = builder_.type(value);
            const size_t missing = want.rank() - now.rank();
            if (d < missing || (now.sizes[d - missing] == SizeId(1) && want.sizes[d] != SizeId(1)))
                return spread(value, shape);
        }
        return value;
    }

    Builder& builder_;
    const size_t end_;         // nodes below are the forward graph's
    std::vector<bool> needs_;  // depends on wrt
    std::vector<NodeId> cotangent_;
    std::unordered_map<uint32_t, std::vector<NodeId>>
        elements_;                                          // of tuples: a cotangent each, none where there is none
    std::unordered_map<uint32_t, NodeId> first_, widest_;   // of those that are one: by any other, by the first
    std::map<std::pair<NodeId, int64_t>, NodeId> results_;  // of nodes with several, once one is asked for
    std::vector<NodeId> first_user_;                        // once it is asked for
    std::vector<ReverseRequest::Named>* const named_;
    const std::span<const uint8_t> differentiable_;
    const std::span<const std::pair<NodeId, NodeId>> given_;
    const bool inside_region_;
    NodeId differentiated_;  // whose formula is at hand
    std::vector<Entry> arena_;
};

// ---- terms --------------------------------------------------------------------------------------------------------
Term apply(Op o, std::initializer_list<Term> operands, AttrId attr) {
    Reverse* owner = nullptr;
    Reverse::Entry e{};
    e.kind = Reverse::Entry::Kind::call;
    e.op = o;
    e.attr = attr;
    assert(operands.size() <= e.operands.size());
    for (const Term& t : operands) {
        e.operands[e.count++] = t;
        if (t.owner_) owner = t.owner_;
    }
    assert(owner && "a formula's term needs an operand that is no number");
    return owner->make(e);
}
Term operator+(const Term& a, const Term& b) { return apply(op<"add">(), {a, b}); }
Term operator-(const Term& a, const Term& b) { return apply(op<"sub">(), {a, b}); }
Term operator*(const Term& a, const Term& b) { return apply(op<"mul">(), {a, b}); }
Term operator/(const Term& a, const Term& b) { return apply(op<"div">(), {a, b}); }
Term operator-(const Term& a) { return apply(op<"neg">(), {a}); }

// ---- what a formula sees ------------------------------------------------------------------------------------------
Gradient::Gradient(Reverse& reverse, NodeId node) : reverse_(reverse), node_(node) {
    if (!reverse.is_tuple(node)) {
        g = cotangent(0);
        y = result(0);
    }
    const size_t count = operand_count();
    if (count > 0) a = operand(0);
    if (count > 1) b = operand(1);
    if (count > 2) c = operand(2);
}

void Gradient::Slot::operator+=(const Term& term) {
    Reverse& reverse = gradient.reverse_;
    const NodeId target = reverse.builder_.operands_of(gradient.node_)[operand];
    if (!gradient.needs(operand)) return reverse.name_only(target, term);
    const TypeId type =
        element < 0 ? reverse.builder_.node(target).type : gradient.type(operand).elements[size_t(element)];
    const NodeId value = reverse.emit(term, reverse.builder_.context()[type].dtype);
    reverse.accumulate(target, reverse.fit(value, type), element);
}

bool Gradient::needs(size_t k) const { return reverse_.needs_[reverse_.builder_.operands_of(node_)[k].index]; }
Term Gradient::operand(size_t k) const { return reverse_.forward(reverse_.builder_.operands_of(node_)[k]); }
size_t Gradient::operand_count() const { return reverse_.builder_.operands_of(node_).size(); }
std::optional<double> Gradient::literal(size_t k) const {
    const NodeId id = reverse_.builder_.operands_of(node_)[k];
    if (!reverse_.builder_.is_literal(id) || !is_float(reverse_.builder_.type(id).dtype)) return std::nullopt;
    return reverse_.builder_.attributes(id).real("value");
}
const Type& Gradient::type(size_t k) const { return reverse_.builder_.type(reverse_.builder_.operands_of(node_)[k]); }
const Type& Gradient::result_type() const { return reverse_.builder_.type(node_); }
size_t Gradient::result_count() const { return reverse_.is_tuple(node_) ? result_type().elements.size() : 1; }
bool Gradient::has_cotangent(size_t k) const {
    return bool(reverse_.is_tuple(node_) ? reverse_.elements_.at(reverse_.first(node_).index)[k]
                                         : reverse_.cotangent_[node_.index]);
}
Term Gradient::cotangent(size_t k) const {
    assert(has_cotangent(k));
    return reverse_.made(reverse_.is_tuple(node_) ? reverse_.elements_.at(reverse_.first(node_).index)[k]
                                                  : reverse_.cotangent_[node_.index]);
}
Term Gradient::result(size_t k) const { return reverse_.forward(reverse_.result(node_, k)); }

Term Gradient::number(double value, size_t like) const {
    return reverse_.made(reverse_.builder_.literal(value, type(like).dtype));
}
Term Gradient::zero_like(size_t k) const {
    Reverse::Entry e{};
    e.kind = Reverse::Entry::Kind::fit;
    e.operands[0] = number(0, k);
    e.shape = reverse_.builder_.node(reverse_.builder_.operands_of(node_)[k]).type;
    return reverse_.make(e);
}
Term Gradient::positions(SizeId count) const {
    return reverse_.made(reverse_.builder_.emit(op<"iota">(), std::span<const NodeId>(),
                                                attr({{"sizes", AttrList{count}}, {"dtype", DType::i64}})));
}
Term Gradient::zero() const {
    return apply(op<"detach">(),
                 {apply(op<"where">(), {reverse_.made(reverse_.builder_.literal(false, DType::boolean)), g, 0})});
}
Term Gradient::cast(const Term& t, DType to) const { return apply(op<"cast">(), {t}, attr({{"dtype", to}})); }
Term Gradient::reshape_to(const Term& t, std::span<const SizeId> sizes) const {
    return apply(op<"reshape">(), {t}, attr({{"sizes", AttrList(sizes.begin(), sizes.end())}}));
}
Term Gradient::expand_to(const Term& t, size_t k) const {
    Reverse::Entry e{};
    e.kind = Reverse::Entry::Kind::fit;
    e.operands[0] = t;
    e.shape = reverse_.builder_.node(reverse_.builder_.operands_of(node_)[k]).type;
    return reverse_.make(e);
}
Term Gradient::replay(const Term& other) const { return apply(reverse_.builder_.node(node_).op, {other}, node_attr()); }
Term Gradient::replay_view(size_t view, size_t base, const Term& new_base) const {
    const auto operands = reverse_.builder_.operands_of(node_);
    std::vector<NodeId> chain;
    for (NodeId id = operands[view]; id != operands[base]; id = reverse_.builder_.operands_of(id)[0]) {
        assert(row(reverse_.builder_.node(id).op).lowering == Lowering::movement);
        chain.push_back(id);
    }
    Term t = new_base;
    for (size_t k = chain.size(); k-- > 0;)
        t = apply(reverse_.builder_.node(chain[k]).op, {t}, reverse_.builder_.node(chain[k]).attr);
    return t;
}

Builder& Gradient::builder() const { return reverse_.builder_; }
NodeId Gradient::cotangent_node(size_t k) const {
    if (!reverse_.is_tuple(node_)) return reverse_.cotangent_[node_.index];
    return reverse_.elements_.at(reverse_.first(node_).index)[k];
}
NodeId Gradient::result_node(size_t k) const { return reverse_.result(node_, k); }
NodeId Gradient::sum(size_t k) const { return reverse_.cotangent(reverse_.builder_.operands_of(node_)[k]); }
void Gradient::set_sum(size_t k, NodeId sum) {
    reverse_.cotangent_of(reverse_.builder_.operands_of(node_)[k], -1) = sum;
}
void Gradient::add(size_t k, NodeId contribution) {
    reverse_.accumulate(reverse_.builder_.operands_of(node_)[k], contribution);
}
bool Gradient::is_used_before(size_t k) const {
    return reverse_.first_user(reverse_.builder_.operands_of(node_)[k]) != reverse_.first(node_);
}
NodeId Gradient::value_of(NodeId node, size_t k) const {
    const NodeId value = reverse_.result(reverse_.first(node), k);
    return value.index < reverse_.end_ ? value : NodeId::none();
}
bool Gradient::needs_value(NodeId value) const { return value.index < reverse_.end_ && reverse_.needs_[value.index]; }
void Gradient::add_to(NodeId value, NodeId contribution) { reverse_.accumulate(value, contribution); }
NodeId Gradient::sum_of(NodeId value) const { return reverse_.cotangent(value); }
void Gradient::set_sum_of(NodeId value, NodeId sum) { reverse_.cotangent_of(value, -1) = sum; }
bool Gradient::is_inside_region() const { return reverse_.inside_region_; }
void Gradient::name(NodeId value) {
    if (reverse_.named_) reverse_.named_->push_back({value, node_});
}

Context& Gradient::context() const { return reverse_.builder_.context(); }
Attributes Gradient::attributes() const { return reverse_.builder_.attributes(node_); }
AttrId Gradient::node_attr() const { return reverse_.builder_.node(node_).attr; }
AttrId Gradient::reduction_attr() const {
    AttrList axes;
    for (int64_t axis : attributes().integers("axes")) axes.push_back(axis);
    return attr({{"axes", axes}, {"keepdim", true}});
}
AttrId Gradient::attr(std::initializer_list<std::pair<std::string_view, AttrValue>> entries) const {
    Record record;
    for (const auto& [key, value] : entries) record.push_back({context().name(key), value});
    return context().attr(record);
}

std::vector<bool> dependents(Builder& builder, std::span<const NodeId> wrt) {
    return Reverse(builder, {{}, {}, wrt, {}}).dependents();
}

std::vector<NodeId> reverse(Builder& builder, const ReverseRequest& request) {
    const Reverse pass(builder, request);
    std::vector<NodeId> out;
    out.reserve(request.wrt.size());
    for (NodeId w : request.wrt) out.push_back(pass.cotangent(w));
    return out;
}

}  // namespace tenon
