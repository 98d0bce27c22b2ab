// Scans of derivatives as they run. To differentiation each of their turns reads values of another scan's turns
// (ScanForm::saved), one for one; here it gets what is in memory, and makes the rest of that.
#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <tuple>
#include <utility>
#include <vector>

#include "ir/build/copier.h"
#include "ir/build/regions.h"
#include "ir/build/stacks.h"
#include "ir/control/scan_turn.h"
#include "ir/differentiate/regions.h"
#include "ir/row.h"

namespace tenon {

namespace {

bool is_scan(const Graph& g, NodeId id) { return row(g[id].op).control == ControlFlow::turns; }
bool is_constant(const Graph& g, NodeId id) { return g[id].op == op<"constant">() || g[id].op == op<"tensor">(); }

class Settler {
public:
    explicit Settler(const Graph& graph)
        : graph_(graph), context_(*graph.context), builder_(context_), copy_(graph, builder_) {}

    // Nothing to do where no scan reads another one's turns.
    bool find() {
        bool any = false;
        for (NodeId id : graph_.body()) {
            if (!is_scan(graph_, id)) continue;
            const Scan& scan = scans_.emplace(id, Scan(graph_, id)).first->second;
            any = any || !scan.form.saved.empty() || is_single(scan);
        }
        if (!any) return false;
        find_kept();
        for (auto& [id, scan] : scans_)
            for (NodeId param : scan.body->params())
                if (const Value here{id, param, SizeId(0)}; got_by(here)) need(here);
        for (auto& [id, scan] : scans_) place_stacks(scan);
        return true;
    }
    GraphRef run() {
        copy_.copy_params();
        for (NodeId id : graph_.body()) {
            if (const auto known = scans_.find(id); known != scans_.end()) scan(id, known->second);
            else if (const NodeId stack = scan_of(id); stack) element(id, scans_.at(stack));
            else copy_.copy(id);
        }
        return copy_.finish();
    }

private:
    struct Scan {
        Scan(const Graph& graph, NodeId id)
            : form(graph.attributes(id)), body(extract_region(graph, id, 0)),
              again(made_again(*body, form.carried + form.sliced)), kept(body->results().size()),
              place(body->results().size(), SIZE_MAX) {
            const Attributes attributes = graph.attributes(id);
            if (!attributes.has("cotangents")) return;
            for (int64_t operand : attributes.integers("cotangents")) cotangents.push_back(size_t(operand));
        }

        ScanForm form;
        std::vector<size_t> cotangents;  // operands that are such
        GraphRef body;
        std::vector<bool> again;    // by node of the region: made in the turn that reads it
        std::vector<bool> kept;     // by result: read by others than scans that save it
        std::vector<NodeId> given;  // the results, of the region
        std::vector<size_t> place;  // by result: among these
        std::vector<NodeId> asked;  // values that are read in other scans' turns, beside results that are kept
        // Once it is made:
        NodeId made;                 // none where it became its ops
        std::vector<NodeId> values;  // then
    };
    // A value of a scan's turn, at the place of a reader's turn and `first` more.
    struct Value {
        NodeId scan, node;  // a node of its region
        SizeId first;
    };

    static bool is_single(const Scan& scan) {  // a turn of a derivative by itself
        return scan.form.turns == SizeId(1) && (!scan.form.saved.empty() || !scan.cotangents.empty());
    }
    // The scan whose value a `get` is; none of any other node.
    NodeId scan_of(NodeId id) const {
        if (graph_[id].op != op<"get">()) return {};
        const NodeId node = graph_.operand(id, 0);
        return scans_.contains(node) ? node : NodeId::none();
    }
    // What is read of which turn; none where it is no value of a turn.
    std::optional<Value> value_of(NodeId stack, SizeId first) const {
        const NodeId id = scan_of(stack);
        if (!id) return {};
        const Scan& scan = scans_.at(id);
        const size_t result = size_t(graph_.attributes(stack).integer("index"));
        if (result < scan.form.carried) return {};
        return Value{id, scan.body->results()[result], first};
    }
    // A stack that is read, or operand of a scan: is it one that a turn reads as saved?
    void find_kept() {
        const auto keep = [&](NodeId id) {
            if (const NodeId node = scan_of(id))
                scans_.at(node).kept[size_t(graph_.attributes(id).integer("index"))] = true;
        };
        for (NodeId r : graph_.results()) keep(r);
        for (NodeId id : graph_.body()) {
            const auto operands = graph_.operands_of(id);
            const auto known = scans_.find(id);
            for (size_t k = 0; k < operands.size(); ++k)
                if (known == scans_.end() || !known->second.form.saved_at(k)) keep(operands[k]);
        }
    }

    // ---- what a value is made of
    // What a turn has left, in turns that hand on what they got (TurnRole::left_value): as a value of the scan that they read.
    // Cotangents may go round: `more` is how many carries there may be on the way yet.
    std::optional<Value> left_value(const Value& value, size_t more) const {
        const Scan& scan = scans_.at(value.scan);
        const auto params = scan.body->params().first(scan.form.carried);
        const size_t k = size_t(std::find(params.begin(), params.end(), value.node) - params.begin());
        if (k == params.size() || scan.form.saved.empty() || more == 0) return {};
        const Value given{value.scan, scan.body->results()[k], value.first};
        std::optional<Value> got = saved_value(given);
        if (!got) got = left_value(given, more - 1);
        if (!got) return {};
        const Scan& read = scans_.at(got->scan);
        const auto carried = read.body->params().first(read.form.carried);
        const size_t carry = size_t(std::find(carried.begin(), carried.end(), got->node) - carried.begin());
        if (carry == carried.size()) return {};
        return Value{got->scan, read.body->results()[carry], got->first};
    }
    std::optional<Value> got_by(const Value& value) const {
        if (const std::optional<Value> saved = saved_value(value)) return saved;
        return left_value(value, scans_.at(value.scan).form.carried);
    }
    // Of a slice that a turn has of another scan's turns: the value there.
    std::optional<Value> saved_value(const Value& value) const {
        const Scan& scan = scans_.at(value.scan);
        const auto params = scan.body->params();
        const size_t k = size_t(std::find(params.begin(), params.end(), value.node) - params.begin());
        if (k == params.size() || !scan.form.saved_at(k)) return {};
        return value_of(graph_.operand(value.scan, k), context_.add(scan.form.first_of(k), value.first));
    }
    // The value as one of the scan that computed it.
    Value origin(Value value) const {
        while (const std::optional<Value> next = got_by(value)) value = *next;
        return value;
    }
    enum class Kind : uint8_t { stack, slice, captured, literal, again };
    Kind kind_of(const Value& value) const {
        const Scan& scan = scans_.at(value.scan);
        if (is_constant(*scan.body, value.node)) return Kind::literal;
        const auto params = scan.body->params();
        const size_t k = size_t(std::find(params.begin(), params.end(), value.node) - params.begin());
        if (k < params.size()) {
            if (k < scan.form.carried) return Kind::stack;
            return scan.form.is_sliced(k) ? Kind::slice : Kind::captured;
        }
        return scan.again[value.node.index] ? Kind::again : Kind::stack;
    }
    NodeId operand_of(const Value& value) const {  // of one that its turns get
        const auto params = scans_.at(value.scan).body->params();
        return graph_.operand(value.scan, size_t(std::find(params.begin(), params.end(), value.node) - params.begin()));
    }

    // ---- which stacks there are
    void need(const Value& read) {
        std::vector<Value> stack{read};
        while (!stack.empty()) {
            const Value value = origin(stack.back());
            stack.pop_back();
            Scan& scan = scans_.at(value.scan);
            const Kind kind = kind_of(value);
            if (kind == Kind::again)
                for (NodeId o : scan.body->operands_of(value.node)) stack.push_back({value.scan, o, value.first});
            else if (kind == Kind::stack &&
                     std::find(scan.asked.begin(), scan.asked.end(), value.node) == scan.asked.end())
                scan.asked.push_back(value.node);
        }
    }
    void place_stacks(Scan& scan) {
        const auto results = scan.body->results();
        for (size_t k = 0; k < results.size(); ++k) {
            if (k >= scan.form.carried && !scan.kept[k]) continue;
            scan.place[k] = scan.given.size();
            scan.given.push_back(results[k]);
        }
        for (NodeId value : scan.asked) {
            const auto stacks = scan.given.begin() + ptrdiff_t(scan.form.carried);
            if (std::find(stacks, scan.given.end(), value) == scan.given.end()) scan.given.push_back(value);
        }
    }

    // ---- what there is in their place
    void element(NodeId id, Scan& scan) {
        const size_t result = size_t(graph_.attributes(id).integer("index"));
        if (scan.place[result] == SIZE_MAX) return;  // only turns have read it
        const size_t at = scan.place[result];
        if (!scan.made) {
            if (scan.values[at]) copy_.map(id, scan.values[at]);
            return;
        }
        Builder::StampScope scope(builder_, copy_.stamp_of(id));
        const NodeId made = emit_element(builder_, scan.made, at);
        builder_.set_name(made, graph_.names[id.index]);
        copy_.map(id, made);
    }
    NodeId stack_of(const Value& value) {
        const Scan& scan = scans_.at(value.scan);
        const auto first = scan.given.begin() + ptrdiff_t(scan.form.carried);
        const size_t at = size_t(std::find(first, scan.given.end(), value.node) - scan.given.begin());
        if (!scan.made) return scan.values[at];
        NodeId& made = stacks_[{value.scan, at}];
        if (!made) made = emit_element(builder_, scan.made, at);
        return made;
    }

    // A scan whose turns are written anew: what they get, and in which of the ways.
    struct Anew {
        struct Given {
            NodeId value;  // in builder_
            SizeId first;
            std::vector<NodeId> as;  // parameters of the region; of a scan's turn
            std::vector<Value> values;
            TypeId type;
            NameId name;
            OriginId origin;
            bool is_cotangent = false;
        };
        std::vector<Given> carried, sliced, captured;
    };
    static Anew::Given& place_in(std::vector<Anew::Given>& list, NodeId value, SizeId first, TypeId type) {
        for (Anew::Given& given : list)
            if (given.value == value && given.first == first && given.type == type) return given;
        list.push_back({value, first, {}, {}, type, {}, {}, false});
        return list.back();
    }

    void scan(NodeId id, Scan& scan) {
        Anew anew;
        const Graph& body = *scan.body;
        const std::vector<size_t>& told = scan.cotangents;
        std::vector<bool> is_dropped(scan.form.carried);
        std::vector<Value> saved;  // read of other scans
        for (size_t k = 0; k < body.params().size(); ++k) {
            const NodeId param = body.params()[k];
            const Value here{id, param, SizeId(0)};
            if (got_by(here)) {
                saved.push_back(here);
                if (k < scan.form.carried) is_dropped[k] = true;
                continue;
            }
            std::vector<Anew::Given>& list = k < scan.form.carried    ? anew.carried
                                             : scan.form.is_sliced(k) ? anew.sliced
                                                                      : anew.captured;
            list.push_back({copy_(graph_.operand(id, k)),
                            scan.form.first_of(k),
                            {param},
                            {},
                            body[param].type,
                            body.names[param.index],
                            body.origins[param.index],
                            std::find(told.begin(), told.end(), k) != told.end()});
        }
        for (const Value& value : saved) collect(anew, value);
        write(id, scan, anew, is_dropped);
    }
    // What a turn has to get to have this value.
    void collect(Anew& anew, const Value& read) {
        std::vector<Value> stack{read};
        while (!stack.empty()) {
            const Value value = origin(stack.back());
            stack.pop_back();
            const Graph& body = *scans_.at(value.scan).body;
            const TypeId type = body[value.node].type;
            Anew::Given* given = nullptr;
            switch (kind_of(value)) {
                case Kind::literal: break;
                case Kind::captured: given = &place_in(anew.captured, copy_(operand_of(value)), SizeId(0), type); break;
                case Kind::slice: {
                    const SizeId own = scans_.at(value.scan).form.first_of(index_of(value));
                    given = &place_in(anew.sliced, copy_(operand_of(value)), context_.add(own, value.first), type);
                    break;
                }
                case Kind::stack: given = &place_in(anew.sliced, stack_of(value), value.first, type); break;
                case Kind::again:
                    for (NodeId o : body.operands_of(value.node)) stack.push_back({value.scan, o, value.first});
            }
            if (!given) continue;
            if (!given->name)
                given->name = body.names[value.node.index], given->origin = body.origins[value.node.index];
            given->values.push_back(value);
        }
    }
    size_t index_of(const Value& value) const {
        const auto params = scans_.at(value.scan).body->params();
        return size_t(std::find(params.begin(), params.end(), value.node) - params.begin());
    }

    using Known = std::map<std::tuple<NodeId, NodeId, int64_t>, NodeId>;
    static std::tuple<NodeId, NodeId, int64_t> key(const Value& v) { return {v.scan, v.node, v.first.bits}; }

    // The value in a turn of another scan, made of what that gets.
    NodeId again(Builder& builder, Known& known, const Value& read) {
        std::vector<Value> stack{origin(read)};
        while (!stack.empty()) {
            const Value value = stack.back();
            if (known.contains(key(value))) {
                stack.pop_back();
                continue;
            }
            const Graph& body = *scans_.at(value.scan).body;
            if (is_constant(body, value.node)) {
                known[key(value)] = Copier(body, builder)(value.node);
                continue;
            }
            std::vector<NodeId> operands;
            bool ready = true;
            for (NodeId o : body.operands_of(value.node)) {
                const Value operand = origin({value.scan, o, value.first});
                const auto made = known.find(key(operand));
                if (made != known.end()) operands.push_back(made->second);
                else stack.push_back(operand), ready = false;
            }
            if (!ready) continue;
            const Node& node = body[value.node];
            Builder::StampScope scope(builder,
                                      {body.origins[value.node.index], body.metas[value.node.index], node.flags});
            const NodeId made = builder.emit_typed(node.op, node.type, operands, node.attr);
            builder.set_name(made, body.names[value.node.index]);
            known[key(value)] = made;
        }
        return known.at(key(origin(read)));
    }

    void write(NodeId id, Scan& scan, Anew& anew, const std::vector<bool>& is_dropped) {
        const Graph& body = *scan.body;
        const bool is_alone = is_single(scan);
        Builder own(context_);
        Builder& region = is_alone ? builder_ : own;
        Copier copy(body, region);
        Known known;
        std::vector<NodeId> operands;
        std::vector<size_t> cotangents;
        const auto give = [&](Anew::Given& given, bool is_slice) {
            NodeId here;
            if (is_alone) here = is_slice ? emit_slice_of(builder_, given.value, given.first) : given.value;
            else {
                Stamp stamp;
                stamp.origin = given.origin;
                Builder::StampScope scope(region, stamp);
                here = region.parameter(given.type, given.name);
                if (given.is_cotangent) cotangents.push_back(operands.size());
                operands.push_back(is_slice ? emit_part(builder_, given.value, given.first, scan.form.turns)
                                            : given.value);
            }
            for (NodeId param : given.as) copy.map(param, here);
            for (const Value& value : given.values) known[key(value)] = here;
        };
        for (Anew::Given& given : anew.carried) give(given, false);
        for (Anew::Given& given : anew.sliced) give(given, true);
        for (Anew::Given& given : anew.captured) give(given, false);
        if (!is_alone) {
            for (const SizeSymbol& s : body.symbols) own.symbol(NodeId::none(), defined_around, s.hint, s.name);
            own.known_sizes().add(body.equalities);
        }
        for (size_t k = 0; k < body.params().size(); ++k) {
            const Value here{id, body.params()[k], SizeId(0)};
            if (got_by(here)) copy.map(here.node, again(region, known, here));
        }
        copy.copy_body();
        std::vector<NodeId> results;
        std::vector<size_t> places(scan.given.size(), SIZE_MAX);
        for (size_t r = 0; r < scan.given.size(); ++r) {
            if (r < scan.form.carried && is_dropped[r]) continue;
            places[r] = results.size();
            results.push_back(copy(scan.given[r]));
        }
        if (is_alone) {
            scan.values.resize(scan.given.size());
            for (size_t r = 0; r < scan.given.size(); ++r) {
                const NodeId value = copy(scan.given[r]);
                scan.values[r] = r < scan.form.carried ? value : emit_as_stack(builder_, value);
            }
            return;
        }
        ScanForm form(scan.form.turns, anew.carried.size(), anew.sliced.size(), scan.form.reverse);
        Builder::StampScope scope(builder_, copy_.stamp_of(id));
        scan.made = emit_with_regions(builder_, graph_[id].op, operands, {{own.finish(results, body.name)}},
                                      form.attr(context_, cotangents));
        builder_.set_name(scan.made, graph_.names[id.index]);
        // Its values by the places of those that it was to give.
        const size_t dropped = size_t(std::count(is_dropped.begin(), is_dropped.end(), true));
        if (dropped == 0) return;
        scan.values.resize(scan.given.size());
        for (size_t r = 0; r < scan.given.size(); ++r)
            if (places[r] != SIZE_MAX) scan.values[r] = emit_element(builder_, scan.made, places[r]);
            else scan.values[r] = got_last({id, scan.given[r], SizeId(0)});
        scan.made = {};
    }

    // What the last turn of a scan got of another one's turns.
    NodeId got_last(const Value& given) {
        const ScanForm& form = scans_.at(given.scan).form;
        const Value value = origin(given);
        const SizeId last = form.reverse ? SizeId(0) : context_.sub(form.turns, SizeId(1));
        return emit_slice_of(builder_, stack_of(value), context_.add(value.first, last));
    }

    const Graph& graph_;
    Context& context_;
    Builder builder_;
    Copier copy_;
    std::map<NodeId, Scan> scans_;  // in order of the body
    std::map<std::pair<NodeId, size_t>, NodeId> stacks_;
};

}  // namespace

GraphRef settle_turns(const Graph& graph) {
    const auto is_of_derivative = [&](NodeId id) {
        const Attributes attributes = graph.attributes(id);
        return is_scan(graph, id) && (attributes.has("saved") || attributes.has("cotangents"));
    };
    if (std::none_of(graph.body().begin(), graph.body().end(), is_of_derivative)) return nullptr;
    const GraphRef merged = merge_regions(graph);
    Settler settler(merged ? *merged : graph);
    return settler.find() ? settler.run() : nullptr;
}

}  // namespace tenon
