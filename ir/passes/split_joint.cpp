// split: forward and backward apart. Forward is what its results and effects need, the rest is backward (so `cos`,
// which only the gradient of `sin` names, lands there). Saved is exactly what backward names: results of forward,
// inputs. Backward's parameters are the saved values in forward order, then cotangents, then running sums. Names are
// kept.
#include <string>

#include "ir/build/copier.h"
#include "ir/passes/passes.h"

namespace tenon {

namespace {

class Splitter {
public:
    explicit Splitter(const Joint& joint) : joint_(joint), graph_(*joint.graph), forward_(graph_.nodes.size(), false) {}

    Split run() {
        for (size_t k = 0; k < joint_.outputs; ++k) mark(graph_.results()[k]);
        for (NodeId id : graph_.body())
            if (row(graph_[id].op).effect == Effect::ordered) mark(id);

        std::vector<bool> named(graph_.nodes.size(), false);  // by backward
        for (NodeId id : graph_.body())
            if (!forward_[id.index])
                for (NodeId operand : graph_.operands_of(id)) named[operand.index] = true;
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
        if (forward_[id.index]) return;
        forward_[id.index] = true;
        for (NodeId operand : graph_.operands_of(id)) mark_soon_.push_back(operand);
        while (!mark_soon_.empty()) {
            const NodeId next = mark_soon_.back();
            mark_soon_.pop_back();
            mark(next);
        }
    }
    // A symbol that backward's types and attributes use must be readable off one of its parameters: else its definer is
    // saved too. Running sums do not count: there may be none.
    void name_definers(std::vector<bool>& named) const {
        std::vector<bool> shown(graph_.symbols.size(), false), used(graph_.symbols.size(), false);
        const auto show = [&](NodeId id) {
            for (SizeId size : graph_.type(id).sizes)
                for (uint32_t k = 0; k < shown.size(); ++k)
                    if (size == graph_.context->symbol(k)) shown[k] = true;
        };
        for (size_t k = 0; k < joint_.inputs + joint_.results.size(); ++k)
            if (k >= joint_.inputs || named[graph_.params()[k].index]) show(graph_.params()[k]);
        for (NodeId id : graph_.body()) {
            if (forward_[id.index] && named[id.index]) show(id);
            if (forward_[id.index]) continue;
            mark_symbols(graph_, id, used);
        }
        for (uint32_t k = 0; k < shown.size(); ++k)
            if (used[k] && !shown[k]) named[graph_.symbols[k].definer.index] = true;
    }
    static size_t position(std::vector<NodeId>& results, NodeId id) {  // a result of forward already, or a new one
        for (size_t k = 0; k < results.size(); ++k)
            if (results[k] == id) return k;
        results.push_back(id);
        return results.size() - 1;
    }
    GraphRef half(std::span<const NodeId> params, bool forward, std::span<const NodeId> results, const char* suffix) {
        Context& context = *graph_.context;
        Builder builder(context);
        Copier copy(graph_, builder);
        for (NodeId p : params) {
            // Inputs of either half carry no metadata, a saved value its maker's (rule 4 of the architecture).
            const bool is_param = graph_[p].op == op<"param">();
            Stamp stamp = copy.stamp_of(p);
            stamp.flags = 0;
            if (is_param) stamp.meta = {};
            Builder::StampScope scope(builder, stamp);
            copy.map(p, builder.parameter(graph_[p].type, graph_.names[p.index]));
        }
        define_symbols(builder, copy, params);
        for (NodeId id : graph_.body())
            if (forward_[id.index] == forward) copy.copy(id);
        std::vector<NodeId> out;
        for (NodeId r : results) out.push_back(copy(r));
        const bool is_named = bool(graph_.name);
        return builder.finish(
            out, context.name(is_named ? std::string(context.text(graph_.name)) + suffix : std::string(suffix + 1)));
    }
    // The half's own parameters define the joint graph's symbols, under the same numbers.
    void define_symbols(Builder& builder, Copier& copy, std::span<const NodeId> params) {
        for (uint32_t k = 0; k < graph_.symbols.size(); ++k) {
            const SizeSymbol& s = graph_.symbols[k];
            NodeId definer = copy.has(s.definer) ? s.definer : NodeId::none();
            int dim = s.dim;
            for (size_t p = 0; p < params.size() && !definer; ++p) {
                const auto& sizes = graph_.type(params[p]).sizes;
                for (size_t d = 0; d < sizes.size() && !definer; ++d)
                    if (sizes[d] == graph_.context->symbol(k)) {
                        definer = params[p];
                        dim = int(d);
                    }
            }
            if (definer) builder.symbol(copy(definer), dim, s.hint, s.name);
            else builder.symbol(NodeId::none(), -1, s.hint, s.name);  // keeps the numbering; nothing uses it
        }
    }

    const Joint& joint_;
    const Graph& graph_;
    std::vector<bool> forward_;
    std::vector<NodeId> mark_soon_;
};

}  // namespace

Split split_joint(const Joint& joint) { return Splitter(joint).run(); }

}  // namespace tenon
