// split: forward and backward apart. Forward is what its results and effects need, the rest is backward (so `cos`,
// which only the gradient of `sin` names, lands there). Saved is exactly what backward names: results of forward,
// inputs. Backward's parameters are the saved values in forward order, then cotangents, then running sums. Names are
// kept.
#include <string>
#include <unordered_map>

#include "ir/build/copier.h"
#include "ir/passes/passes.h"
#include "ir/row.h"

namespace tenon {

namespace {

class Splitter {
public:
    Splitter(const Joint& joint, const Graph& graph)
        : joint_(joint), graph_(graph), forward_(graph.nodes.size(), false) {}

    Split run() {
        for (size_t k = 0; k < joint_.outputs; ++k) mark(graph_.results()[k]);
        for (NodeId id : graph_.body())
            if (is_ordered(row(graph_[id].op).effect)) mark(id);
        for (NodeId id : graph_.body())  // what is saved is a result of a node, never all of them as one
            if (graph_[id].op == op<"get">() && forward_[graph_.operand(id, 0).index]) mark(id);

        std::vector<bool> named(graph_.nodes.size(), false);  // by backward
        for (NodeId id : graph_.body()) {
            if (forward_[id.index]) continue;
            const auto operands = graph_.operands_of(id);
            for (size_t k = 0; k < operands.size(); ++k) {
                // An update's view leads to its base: where forward has it, backward has its own.
                const bool is_way = row(graph_[id].op).memory == MemoryUse::replaces && k == replaced_view;
                if (!is_way) named[operands[k].index] = true;
            }
        }
        for (size_t k = joint_.outputs; k < graph_.results().size(); ++k) named[graph_.results()[k].index] = true;

        name_definers(named);

        Split split;
        split.results = joint_.outputs;
        split.cotangents = joint_.results.size();
        std::vector<NodeId> saved;
        for (size_t k = 0; k < joint_.inputs; ++k)
            if (named[graph_.params()[k].index]) {
                saved.push_back(graph_.params()[k]);
                split.saved.push_back({true, k});
            }
        std::vector<NodeId> results(graph_.results().begin(), graph_.results().begin() + ptrdiff_t(joint_.outputs));
        for (size_t k = 0; k < results.size(); ++k) position_.try_emplace(results[k], k);
        for (NodeId id : graph_.body())
            if (forward_[id.index] && named[id.index]) {
                saved.push_back(id);
                split.saved.push_back({false, position(results, id)});
            }
        split.forward = half(std::span(graph_.params()).first(joint_.inputs), true, results, ".forward");
        std::vector<NodeId> params = saved;
        const auto rest = graph_.params().subspan(joint_.inputs);
        params.insert(params.end(), rest.begin(), rest.end());
        split.backward = half(params, false, graph_.results().subspan(joint_.outputs), ".backward");
        return split;
    }

private:
    void mark(NodeId id) {
        std::vector<NodeId> stack{id};
        while (!stack.empty()) {
            const NodeId next = stack.back();
            stack.pop_back();
            if (forward_[next.index]) continue;
            forward_[next.index] = true;
            for (NodeId operand : graph_.operands_of(next)) stack.push_back(operand);
        }
    }
    // A symbol that backward's types and attributes use must be readable off one of its parameters: else its definer is
    // saved too. Running sums do not count: there may be none.
    void name_definers(std::vector<bool>& named) const {
        std::vector<bool> shown(graph_.symbols.size(), false), used(graph_.symbols.size(), false);
        const auto show = [&](NodeId id) {
            for (SizeId size : graph_.type(id).sizes)
                if (const auto k = graph_.context->symbol_number(size)) shown[*k] = true;
        };
        for (size_t k = 0; k < joint_.inputs + joint_.results.size(); ++k)
            if (k >= joint_.inputs || named[graph_.params()[k].index]) show(graph_.params()[k]);
        for (NodeId id : graph_.body()) {
            if (forward_[id.index] && named[id.index]) show(id);
            if (forward_[id.index]) continue;
            mark_symbols(graph_, id, used);
        }
        for (uint32_t k = 0; k < shown.size(); ++k)
            if (used[k] && !shown[k] && graph_.symbols[k].dim != defined_around)
                named[graph_.symbols[k].definer.index] = true;
    }
    size_t position(std::vector<NodeId>& results, NodeId id) {  // a result of forward already, or a new one
        const auto [known, fresh] = position_.try_emplace(id, results.size());
        if (fresh) results.push_back(id);
        return known->second;
    }
    GraphRef half(std::span<const NodeId> params, bool forward, std::span<const NodeId> results, const char* suffix) {
        Context& context = *graph_.context;
        Builder builder(context);
        Copier copy(graph_, builder);
        for (NodeId p : params) {
            // Inputs of either half carry no metadata, a saved value its maker's.
            const bool is_param = graph_[p].op == op<"param">();
            Stamp stamp = copy.stamp_of(p);
            stamp.flags = 0;
            if (is_param) stamp.meta = {};
            Builder::StampScope scope(builder, stamp);
            copy.map(p, builder.parameter(graph_[p].type, graph_.names[p.index]));
        }
        define_symbols(builder, copy, params);
        builder.known_sizes().add(graph_.equalities);
        for (NodeId id : graph_.body()) {
            if (forward_[id.index] != forward) continue;
            if (row(graph_[id].op).memory == MemoryUse::replaces) {
                const NodeId view = graph_.operand(id, replaced_view), base = copy(graph_.operand(id, replaced_base));
                copy.map(view, copy.view_from(base, id, copy.has(view) ? copy(view) : NodeId::none()));
            }
            copy.copy(id);
        }
        std::vector<NodeId> out;
        for (NodeId r : results) out.push_back(copy(r));
        const bool is_named = bool(graph_.name);
        const std::string name = is_named ? std::string(context.text(graph_.name)) + suffix : std::string(suffix + 1);
        return verified(PassId::split, builder.finish(out, context.name(name)));
    }
    // The half's own parameters define the joint graph's symbols, under the same numbers.
    void define_symbols(Builder& builder, Copier& copy, std::span<const NodeId> params) {
        std::vector<std::pair<NodeId, int>> shown(graph_.symbols.size());
        for (NodeId p : params)
            for (size_t d = 0; d < graph_.type(p).sizes.size(); ++d) {
                const auto k = graph_.context->symbol_number(graph_.type(p).sizes[d]);
                if (k && !shown[*k].first) shown[*k] = {p, int(d)};
            }
        for (uint32_t k = 0; k < graph_.symbols.size(); ++k) {
            const SizeSymbol& s = graph_.symbols[k];
            if (s.dim == defined_around) builder.symbol(NodeId::none(), s.dim, s.hint, s.name);
            else if (copy.has(s.definer)) builder.symbol(copy(s.definer), s.dim, s.hint, s.name);
            else if (shown[k].first) builder.symbol(copy(shown[k].first), shown[k].second, s.hint, s.name);
            else builder.symbol(NodeId::none(), -1, s.hint, s.name);  // keeps the numbering; nothing uses it
        }
    }

    const Joint& joint_;
    const Graph& graph_;
    std::vector<bool> forward_;
    std::unordered_map<NodeId, size_t> position_;  // among the results of forward
};

}  // namespace

Split split_joint(const Joint& joint) {
    const GraphRef graph = recompute(joint);
    return Splitter(joint, *graph).run();
}

}  // namespace tenon
