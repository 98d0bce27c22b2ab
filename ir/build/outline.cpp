#include "ir/build/outline.h"
#include "ir/build/copier.h"
#include "ir/marks.h"

#include <algorithm>

namespace tenon {

namespace {

// Rebuilds a flat body with its call ranges as `call` nodes: what the range reads from outside becomes operands and
// parameters, what others read of it becomes its results. A checkpoint says in `recomputed` which of its results only
// derivatives read: these are not kept for them.
class Outliner {
public:
    Outliner(const Graph& g, std::span<const NodeId> params, std::span<const NodeId> body,
             std::span<const NodeId> results, const std::vector<CallRange>& calls, const Liveness& live)
        : graph_(g), body_(body), results_(results), calls_(calls), live_(live), builder_(*g.context),
          copy_(g, builder_), position_(g.nodes.size(), UINT32_MAX), last_use_(g.nodes.size(), 0),
          last_kept_use_(g.nodes.size(), 0) {
        for (uint32_t i = 0; i < body.size(); ++i) {
            position_[body[i].index] = i;
            if (live[body[i]]) visit_uses(body[i], i);
        }
        for (NodeId r : results) last_use_[r.index] = last_kept_use_[r.index] = uint32_t(body.size());
        for (NodeId p : params) copy_.copy_parameter(p);
        for (const SizeSymbol& s : g.symbols)
            builder_.symbol(s.definer ? copy_(s.definer) : NodeId::none(), s.dim, s.hint, s.name);
        builder_.known_sizes().add(g.equalities);
    }
    GraphRef run(NameId name) {
        range(0, uint32_t(body_.size()), -1);
        std::vector<NodeId> out;
        for (NodeId r : results_) out.push_back(copy_(r));
        return builder_.finish(out, name);
    }

private:
    void visit_uses(NodeId id, uint32_t at) {
        const bool keeps = !graph_.origin(id).differentiated;
        for (NodeId operand : graph_.operands_of(id)) {
            last_use_[operand.index] = at;
            if (keeps) last_kept_use_[operand.index] = at;
        }
    }
    bool is_outermost_checkpoint(const CallRange& call) const {
        const NameId checkpoint = graph_.context->name("checkpoint");
        if (call.kind != checkpoint) return false;
        for (int32_t at = call.parent; at >= 0; at = calls_[size_t(at)].parent)
            if (calls_[size_t(at)].kind == checkpoint) return false;
        return true;
    }
    void range(uint32_t begin, uint32_t end, int32_t parent) {
        for (uint32_t i = begin; i < end;) {
            // Calls are listed as they were opened: one that begins here is the next that has not been written.
            while (next_ < calls_.size() && (calls_[next_].begin < i || calls_[next_].end <= calls_[next_].begin)) ++next_;
            if (next_ < calls_.size() && calls_[next_].begin == i && calls_[next_].parent == parent) {
                const CallRange& call = calls_[next_];
                outline(call, int32_t(next_++));
                i = call.end;
            } else {
                if (live_[body_[i]]) copy_.copy(body_[i]);
                ++i;
            }
        }
    }
    void outline(const CallRange& call, int32_t index) {
        Context& context = builder_.context();
        std::vector<NodeId> inputs, outputs;
        bool any = false;
        met_.begin(graph_.nodes.size());
        for (uint32_t i = call.begin; i < call.end; ++i) {
            if (!live_[body_[i]]) continue;
            any = true;
            for (NodeId operand : graph_.operands_of(body_[i])) {
                const Op o = graph_[operand].op;
                if (o == op<"constant">() || o == op<"tensor">()) continue;
                const uint32_t at = position_[operand.index];
                const bool outside = at == UINT32_MAX || at < call.begin;
                if (outside && met_.add(operand.index)) inputs.push_back(operand);
            }
            if (last_use_[body_[i].index] >= call.end) outputs.push_back(body_[i]);
        }
        if (!any) return;
        Builder::StampScope scope(builder_, call.stamp);
        std::vector<NodeId> operands, saved;
        for (NodeId input : inputs) {
            saved.push_back(copy_(input));
            operands.push_back(saved.back());
        }
        const RegionId region = builder_.open_region();
        for (NodeId input : inputs) copy_.map(input, builder_.parameter(graph_[input].type));
        range(call.begin, call.end, index);
        std::vector<NodeId> yielded;
        std::vector<TypeId> types;
        AttrList recomputed;
        for (NodeId output : outputs) {
            if (last_kept_use_[output.index] < call.end) recomputed.push_back(int64_t(yielded.size()));
            yielded.push_back(copy_(output));
            types.push_back(graph_[output].type);
        }
        builder_.close_region(yielded);
        for (size_t k = 0; k < inputs.size(); ++k) copy_.map(inputs[k], saved[k]);
        Record record{{context.name("name"), AttrValue(call.name)}, {context.name("kind"), AttrValue(call.kind)}};
        for (const AttrEntry& e : context[call.record]) record.push_back(e);
        if (!recomputed.empty() && is_outermost_checkpoint(call))
            record.push_back({context.name("recomputed"), AttrValue(std::move(recomputed))});
        const TypeId type = types.size() == 1 ? types[0] : context.tuple(types);
        const NodeId node = builder_.emit_typed(op<"call">(), type, operands, context.attr(record), region, 1);
        if (outputs.size() == 1) copy_.map(outputs[0], node);
        else
            for (size_t k = 0; k < outputs.size(); ++k)
                copy_.map(outputs[k],
                          builder_.emit_typed(op<"get">(), types[k], {node},
                                              context.attr({{context.name("index"), AttrValue(int64_t(k))}})));
    }

    const Graph& graph_;
    std::span<const NodeId> body_, results_;
    const std::vector<CallRange>& calls_;
    const Liveness& live_;
    Builder builder_;
    Copier copy_;
    std::vector<uint32_t> position_, last_use_, last_kept_use_;  // kept: by what is no derivative, or as a result
    size_t next_ = 0;  // among calls_
    Marks met_;
};

}  // namespace

GraphRef outline(const Graph& graph, std::span<const NodeId> params, std::span<const NodeId> body,
                 std::span<const NodeId> results, const std::vector<CallRange>& calls, const Liveness& live) {
    return Outliner(graph, params, body, results, calls, live).run(graph.name);
}

}  // namespace tenon
