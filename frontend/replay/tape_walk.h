// One walk of a backward over the tape: which entries it needs, and the cotangents as they come to them. Part of tape.cpp.
#pragma once

#include <algorithm>
#include <cassert>
#include <optional>
#include <queue>
#include <unordered_map>
#include <unordered_set>

#include "frontend/compile/graph_cache.h"
#include "frontend/history/graph_paths.h"
#include "frontend/record/capture_backward.h"
#include "frontend/record/hook_calls.h"
#include "frontend/record/saved_values.h"
#include "frontend/record/tape.h"
#include "frontend/record/tracer.h"
#include "frontend/replay/anomaly.h"
#include "frontend/replay/graph_replay.h"
#include "frontend/replay/packing.h"
#include "ir/row.h"

namespace tenon {

class Tape::Walk {
public:
    enum class Leaves : uint8_t { give, accumulate };  // what comes to leaves: result(), or into `.grad`
    Walk(Tracer& tracer, const BackwardOptions& options, Leaves leaves)
        : tracer_(tracer), d_(tracer.dispatcher()), options_(options), accumulates_(leaves == Leaves::accumulate) {}

    /// What is asked for; with nothing asked for, every leaf. Gives the edge under which result() finds it.
    Edge ask(Edge edge) {
        if (edge.entry && is_folded(*edge.entry) && !edge.entry->freed &&
            (options_.by_ops() || leads_to_another_result(*edge.entry->graph, edge.output)))
            tracer_.tape().unfold(*edge.entry);
        edge = resolved(std::move(edge));
        asked_any_ = true;
        if (edge.leaf) asked_leaves_.insert(edge.leaf.get());
        if (edge.entry) asked_results_[edge.entry.get()].insert(edge.output);
        return edge;
    }
    /// The cotangent of a result or a leaf that was asked for.
    TensorRef result(const Edge& edge) const {
        if (edge.leaf) {
            const auto found = leaves_.find(edge.leaf.get());
            return found == leaves_.end() ? TensorRef() : found->second.sum;
        }
        const auto found = asked_sums_.find({edge.entry.get(), edge.output});
        return found == asked_sums_.end() ? TensorRef() : found->second;
    }

    void run(std::span<const Root> roots) {
        std::vector<Edge> edges;
        for (const Root& root : roots) {
            edges.push_back(root.edge);
            settle(edges.back());
            collect(edges.back());
        }
        find_needed();
        if (options_.captured) tracer_.capture().backward().begin(key(edges));
        for (const Root& root : roots) {
            if (detects_anomaly_) check_finite(tracer_, root.cotangent, d_.span());
        }
        for (size_t k = 0; k < roots.size(); ++k) add(edges[k], roots[k].cotangent);
        while (!queue_.empty()) {
            const Ref<TapeEntry> entry = queue_.top().entry;
            queue_.pop();
            if (has_hooks_) complete_leaves(entry->position);
            visit(entry);
        }
        if (doubt_) throw Error(std::move(*doubt_));
        complete_leaves(0);
    }

    static bool is_folded(const TapeEntry& entry) {
        return entry.graph && !entry.graph->is_op() && entry.unfolded.empty();
    }

private:
    // Which results a cotangent comes from; empty: all of them. `cotangents`: null where there is none.
    static std::vector<bool> present_of(std::span<const TensorRef> cotangents) {
        if (std::find(cotangents.begin(), cotangents.end(), TensorRef()) == cotangents.end()) return {};
        std::vector<bool> present;
        for (const TensorRef& cotangent : cotangents) present.push_back(bool(cotangent));
        return present;
    }

    struct State {
        Ref<TapeEntry> entry;
        std::vector<TensorRef> cotangents;
        bool queued = false;
        std::vector<bool> needed;  // by result: it leads to what was asked for
        std::vector<bool> live;    // or to any leaf but those that are over
    };
    // What is appended for an entry is stamped with its place and its metadata.
    class StandsAt {
    public:
        StandsAt(Dispatcher& d, const TapeEntry& entry) : d_(d), span_(d.span()), meta_(d.meta()) {
            d.set_span(entry.span);
            d.set_meta(entry.meta);
        }
        ~StandsAt() {
            d_.set_span(span_);
            d_.set_meta(meta_);
        }
        StandsAt(const StandsAt&) = delete;

    private:
        Dispatcher& d_;
        const Span span_;
        const MetaId meta_;
    };
    struct LeafState {
        Ref<Autograd> leaf;
        TensorRef sum;
        uint64_t last = UINT64_MAX;  // where the entry stands that is the last to add to it; a root: it is complete
        size_t edge = 0;             // by which of that entry's edges
        const TapeEntry* entry = nullptr;
        bool is_complete = false;
    };
    struct Later {
        Ref<TapeEntry> entry;
        bool operator<(const Later& other) const { return entry->position < other.entry->position; }
    };
    struct ResultHash {
        size_t operator()(const std::pair<const TapeEntry*, uint32_t>& k) const {
            return reinterpret_cast<uintptr_t>(k.first) * 0x9E3779B97F4A7C15ull + k.second;
        }
    };

    // Of a graph's result that others are computed from, the whole cotangent is known between its ops alone.
    static bool has_hooks_inside(const TapeEntry& entry) {
        for (uint32_t k = 0; k < entry.outputs.size(); ++k) {
            const TapeEntry::Output& output = entry.outputs[k];
            if ((output.hooks || output.retained) && leads_to_another_result(*entry.graph, k)) return true;
        }
        return false;
    }

    // The edge past what is unfolded, or has to be. What is used up stays as it is: an error if it is gone through.
    void settle(Edge& edge) {
        edge = resolved(std::move(edge));
        while (edge.entry && is_folded(*edge.entry) && !edge.entry->freed &&
               (options_.by_ops() || detects_anomaly_ || has_hooks_inside(*edge.entry))) {
            tracer_.tape().unfold(*edge.entry);
            edge = resolved(std::move(edge));
        }
    }

    void note_leaf(const Ref<Autograd>& leaf, uint64_t position, size_t edge, const TapeEntry* entry) {
        if (leaf->is_over) any_over_ = true;
        has_hooks_ = has_hooks_ || leaf->hooks;
        LeafState& state = leaves_[leaf.get()];
        if (state.leaf && state.last <= position) return;
        state.leaf = leaf;
        state.last = position;
        state.edge = edge;
        state.entry = entry;
    }

    void collect(const Edge& root) {
        std::vector<Ref<TapeEntry>> stack;
        if (root.entry) stack.push_back(root.entry);
        if (root.leaf) note_leaf(root.leaf, UINT64_MAX, 0, nullptr);
        while (!stack.empty()) {
            const Ref<TapeEntry> entry = std::move(stack.back());
            stack.pop_back();
            State& state = states_[entry.get()];
            if (state.entry) continue;
            state.entry = entry;
            state.cotangents.resize(entry->outputs.size());
            state.needed.resize(entry->outputs.size(), true);
            state.live.resize(entry->outputs.size(), true);
            if (entry->edges.empty()) any_over_ = true;  // it was when the graph ended
            has_hooks_ = has_hooks_ || has_hooks(*entry);
            for (size_t k = 0; k < entry->edges.size(); ++k) {
                Edge& edge = entry->edges[k];
                settle(edge);
                if (edge.entry) stack.push_back(edge.entry);
                if (edge.leaf) note_leaf(edge.leaf, entry->position, k, entry.get());
            }
            for (TapeEntry::Input& input : entry->inputs) input.edge = resolved(std::move(input.edge));
        }
    }
    uint64_t key(std::span<const Edge> roots) const;
    // Results of entries that lead to what was asked for, and to leaves that are not over; found from the earliest on.
    void find_needed() {
        if (!asked_any_ && !any_over_) return;
        std::vector<State*> order;
        for (auto& [entry, state] : states_) order.push_back(&state);
        std::sort(order.begin(), order.end(),
                  [](State* a, State* b) { return a->entry->position < b->entry->position; });
        for (State* state : order) {
            if (any_over_) state->live = leading_to(*state->entry, live_edges(*state->entry));
            if (asked_any_) find_needed(*state);
            else state->needed = state->live;
        }
    }
    void find_needed(State& state) const {
        const TapeEntry& entry = *state.entry;
        state.needed = leading_to(entry, wanted_edges(entry));
        const auto asked = asked_results_.find(&entry);  // of one that is used up: else its ops stand in its place
        if (!is_folded(entry) || asked == asked_results_.end()) return;
        for (uint32_t output : asked->second) {
            const std::vector<bool> others = results_computed_from(*entry.graph, output);
            for (size_t k = 0; k < others.size(); ++k) state.needed[k] = state.needed[k] || others[k];
        }
    }
    // Which results of the entry lead to these of its edges.
    static std::vector<bool> leading_to(const TapeEntry& entry, const std::vector<bool>& edges) {
        const bool any = std::find(edges.begin(), edges.end(), true) != edges.end();
        if (any && is_folded(entry)) return results_leading_to(*entry.graph, edges);
        return std::vector<bool>(entry.outputs.size(), any);
    }
    bool is_asked(const Edge& edge) const {
        if (edge.leaf) return asked_leaves_.contains(edge.leaf.get());
        const auto asked = asked_results_.find(edge.entry.get());
        return asked != asked_results_.end() && asked->second.contains(edge.output);
    }
    bool is_live(const Edge& edge) const {
        if (edge.leaf) return !edge.leaf->is_over;
        return edge.entry && (is_asked(edge) || states_.at(edge.entry.get()).live[edge.output]);
    }
    bool wanted(const Edge& edge) const {
        if (!asked_any_) return is_live(edge);
        if (!edge.entry) return edge.leaf && is_asked(edge);
        return is_asked(edge) || states_.at(edge.entry.get()).needed[edge.output];
    }

    TensorRef* slot(const Edge& edge) {
        if (edge.leaf) return &leaves_.at(edge.leaf.get()).sum;
        State& state = states_.at(edge.entry.get());
        const bool is_met = state.needed[edge.output] || (has_hooks(*state.entry) && is_asked(edge));
        if (!state.queued && is_met) {
            state.queued = true;
            queue_.push({state.entry});
        }
        return &state.cotangents[edge.output];
    }
    TensorRef sum_of(const Edge& edge) {
        if (edge.leaf) return leaves_.at(edge.leaf.get()).sum;
        return edge.entry ? states_.at(edge.entry.get()).cotangents[edge.output] : TensorRef();
    }
    void set(const Edge& edge, TensorRef sum) {
        *slot(edge) = sum;
        if (edge.entry && is_asked(edge)) asked_sums_[{edge.entry.get(), edge.output}] = sum;
    }
    void add(const Edge& edge, TensorRef cotangent) {
        const TensorRef before = sum_of(edge);
        set(edge, before ? d_.apply(op<"add">(), {before, cotangent}) : std::move(cotangent));
    }

    // Leaves to which nothing comes from entries before `position`: those that were complete first come first.
    void complete_leaves(uint64_t position) {
        std::vector<LeafState*> complete;
        for (auto& [leaf, state] : leaves_) {
            if (!state.is_complete && state.sum && state.last > position) complete.push_back(&state);
        }
        // Of those that one graph adds to last, the order in which its ops would.
        const auto last_op = [&](const LeafState* state) -> std::pair<NodeId, size_t> {
            if (!has_hooks_ || !state->entry || !is_folded(*state->entry)) return {NodeId(), state->edge};
            return last_uses(*state->entry->graph)[state->edge];
        };
        std::sort(complete.begin(), complete.end(), [&](const LeafState* a, const LeafState* b) {
            if (a->last != b->last) return a->last > b->last;
            const auto [op_a, operand_a] = last_op(a);
            const auto [op_b, operand_b] = last_op(b);
            return op_a != op_b ? op_b < op_a : operand_a < operand_b;
        });
        for (LeafState* state : complete) complete_leaf(*state);
    }
    void complete_leaf(LeafState& state) {
        state.is_complete = true;
        const LeafHooks* const hooks = state.leaf->hooks.get();
        if (hooks && hooks->gradient) call_tensor_hooks(tracer_, *hooks->gradient, state.sum);
        if (accumulates_) accumulate_with_hooks(tracer_, *state.leaf, state.sum, options_.create_graph);
    }

    // The hooks of an entry's results; and results that were asked for are what these give.
    void call_result_hooks(TapeEntry& entry, std::span<TensorRef> cotangents) {
        for (uint32_t k = 0; k < cotangents.size(); ++k) {
            if (!cotangents[k]) continue;
            if (entry.outputs[k].hooks) call_tensor_hooks(tracer_, *entry.outputs[k].hooks, cotangents[k]);
            if (entry.outputs[k].retained)
                accumulate_gradient(d_, *entry.outputs[k].retained, cotangents[k], options_.create_graph);
            if (is_asked({Ref<TapeEntry>(&entry), k, {}})) asked_sums_[{&entry, k}] = cotangents[k];
        }
    }

    void visit(const Ref<TapeEntry>& of) {
        TapeEntry& entry = *of;
        State& state = states_.at(&entry);
        std::vector<TensorRef> cotangents = std::move(state.cotangents);
        if (!entry.unfolded.empty()) return visit_ops(entry, cotangents);  // by a hook
        if (has_hooks(entry)) call_result_hooks(entry, cotangents);
        for (size_t k = 0; k < cotangents.size(); ++k) {
            if (!state.needed[k]) cotangents[k] = nullptr;
        }
        if (std::find(state.needed.begin(), state.needed.end(), true) == state.needed.end()) return;
        if (entry.hooks.before) call_hooks_before(tracer_, *entry.hooks.before, cotangents);
        const std::vector<TensorRef> received = entry.hooks.after ? cotangents : std::vector<TensorRef>();
        unpack_saved(tracer_, entry, options_.by_ops());
        const std::vector<bool> present = present_of(cotangents);
        const std::vector<bool> to = entry.used_up.empty() ? std::vector<bool>() : wanted_edges(entry);
        if (std::optional<Missing> gone = missing(d_, entry, present, to, live_edges(entry))) {
            assert((gone->is_certain || !is_folded(entry)) && "what a graph misses is known");
            if (!gone->is_certain) {
                if (!doubt_) doubt_ = std::move(gone->error);
            } else if (!is_folded(entry) || entry.freed) {
                throw Error(std::move(gone->error));
            } else {
                return visit_ops(entry, cotangents);
            }
        }
        assert(!entry.edges.empty() && "a cotangent comes to an entry that leads nowhere");
        std::vector<bool> wanted_and_reached = wanted_edges(entry);
        if (!present.empty() && entry.graph) {
            const std::vector<bool> reached = reached_from(*entry.graph, present);
            for (size_t k = 0; k < reached.size(); ++k) wanted_and_reached[k] = wanted_and_reached[k] && reached[k];
        }
        std::vector<TensorRef> produced;
        const bool is_op = entry.graph && entry.graph->is_op();
        const bool continues = entry.graph && !options_.by_ops() && !is_op && sums_to_continue(entry);
        if (entry.custom) {
            const StandsAt place(d_, entry);
            produced = entry.custom->backward(entry, cotangents);
        } else if (options_.captured && !options_.by_ops() && is_op) {
            const StandsAt place(d_, entry);
            produced = tracer_.capture().backward().gradients_of_op(entry, cotangents, wanted_and_reached);
        } else {
            fill_absent(entry, cotangents);
            if (options_.by_ops()) produced = replay_gradients(d_, of, cotangents, present, wanted_and_reached);
            else if (options_.captured) produced = append_half(entry, cotangents, present, continues);
            else produced = run_half(entry, cotangents, present, continues);
        }
        if (detects_anomaly_) check_finite(tracer_, entry, produced, d_.span());
        if (!options_.by_ops() && !options_.retain_graph) use_up(entry, present);
        for (size_t k = 0; k < produced.size(); ++k) {
            if (!wanted_and_reached[k]) produced[k] = nullptr;
        }
        if (entry.hooks.after) call_after(entry, produced, received);
        for (size_t k = 0; k < produced.size(); ++k) {
            if (!produced[k]) continue;
            if (continues && is_first_use(entry, k)) set(entry.edges[k], std::move(produced[k]));
            else add(entry.edges[k], std::move(produced[k]));
        }
    }
    // In tape_gradients.cpp: the gradients of an entry's edges, null where there is none.
    std::vector<TensorRef> run_half(const TapeEntry& entry, std::span<const TensorRef> cotangents,
                                    const std::vector<bool>& present, bool continues);
    std::vector<TensorRef> append_half(const TapeEntry& entry, std::span<const TensorRef> cotangents,
                                       const std::vector<bool>& present, bool continues);
    void fill_absent(const TapeEntry& entry, std::span<TensorRef> cotangents);
    void call_after(const TapeEntry& entry, std::vector<TensorRef>& produced, std::span<const TensorRef> received);

    // In the graph's place its ops, which miss what the graph misses, each in its turn: with the error that they raise
    // where nothing was captured.
    void visit_ops(TapeEntry& graph, std::vector<TensorRef>& cotangents) {
        if (graph.unfolded.empty()) tracer_.tape().unfold(graph);
        for (Edge& edge : graph.unfolded) {
            settle(edge);
            collect(edge);
        }
        find_needed();
        for (size_t k = 0; k < cotangents.size(); ++k) {
            if (cotangents[k] && graph.unfolded[k]) add(graph.unfolded[k], std::move(cotangents[k]));
        }
    }
    bool sums_to_continue(const TapeEntry& entry) {
        for (size_t k = 0; k < entry.edges.size(); ++k) {
            if (entry.graph->reaches(k) && wanted(entry.edges[k]) && sum_of(entry.edges[k])) return true;
        }
        return false;
    }
    // Two inputs of a graph may be one tensor under two histories; only the first continues the sum.
    static bool is_first_use(const TapeEntry& entry, size_t k) {
        const Edge& edge = entry.edges[k];
        for (size_t i = 0; i < k; ++i) {
            const Edge& other = entry.edges[i];
            if (other.leaf == edge.leaf && other.entry == edge.entry && other.output == edge.output) return false;
        }
        return true;
    }
    std::vector<bool> live_edges(const TapeEntry& entry) const {  // empty: all
        std::vector<bool> live;
        for (size_t k = 0; any_over_ && k < entry.edges.size(); ++k) live.push_back(is_live(entry.edges[k]));
        return live;
    }
    std::vector<bool> wanted_edges(const TapeEntry& entry) const {
        std::vector<bool> all;
        for (const Edge& edge : entry.edges) all.push_back(wanted(edge));
        return all;
    }
    void use_up(TapeEntry& entry, const std::vector<bool>& present) {
        if (entry.custom) {
            entry.freed = true;
            return entry.custom->use_up();
        }
        if (entry.graph->is_op()) return free(entry);  // it is gone through as a whole
        if (present.empty() && all_results_keep(*entry.graph) &&
            std::all_of(entry.edges.begin(), entry.edges.end(), [&](const Edge& edge) { return wanted(edge); }))
            return free(entry);
        const std::vector<bool> all(entry.outputs.size(), true);
        const std::vector<bool> met = gone_through(*entry.graph, present.empty() ? all : present, wanted_edges(entry));
        const Joint& joint = *entry.graph->joint();
        entry.used_up.resize(met.size());
        for (NodeId id : joint.graph->body()) {
            if (met[id.index] && keeps_history((*joint.graph)[id].op)) entry.used_up[id.index] = true;
        }
        if (all_begin_with(*entry.graph, entry.used_up)) free(entry);
    }
    // The ops that give the results have kept something: what has gone through all of them has used all up.
    static bool all_results_keep(const CompiledGraph& compiled) {
        const Joint& joint = *compiled.joint();
        return std::all_of(joint.results.begin(), joint.results.end(),
                           [&](size_t k) { return keeps_history((*joint.graph)[joint.graph->results()[k]].op); });
    }
    static void free(TapeEntry& entry) {
        if (entry.graph && entry.graph->is_op() &&
            !keeps_history((*entry.graph->graph())[entry.graph->graph()->body().back()].op))
            return;
        entry.freed = true;
        entry.clear();
        for (TapeEntry::Input& input : entry.inputs) input.tensor = input.before = {};
    }

    Tracer& tracer_;
    Dispatcher& d_;
    const BackwardOptions options_;
    const bool accumulates_;
    const bool detects_anomaly_ = tracer_.backward.detects_anomaly && !tracer_.capturing();
    bool has_hooks_ = false;  // then leaves are complete in their turn, which hooks may see; else at the end
    std::unordered_map<const Autograd*, LeafState> leaves_;
    std::unordered_map<const TapeEntry*, State> states_;
    std::priority_queue<Later> queue_;
    bool asked_any_ = false, any_over_ = false;
    std::optional<Diagnostic> doubt_;  // what is missing where no op is known to miss it
    std::unordered_set<const Autograd*> asked_leaves_;
    std::unordered_map<const TapeEntry*, std::unordered_set<uint32_t>> asked_results_;
    std::unordered_map<std::pair<const TapeEntry*, uint32_t>, TensorRef, ResultHash> asked_sums_;
};

}  // namespace tenon
