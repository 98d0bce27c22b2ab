#include "frontend/record/tape.h"

#include <algorithm>
#include <cassert>
#include <queue>
#include <unordered_map>
#include <unordered_set>

#include <fmt/format.h>

#include "frontend/compile/graph_cache.h"
#include "frontend/history/graph_paths.h"
#include "frontend/record/graph_replay.h"
#include "frontend/record/saved_values.h"
#include "frontend/record/tracer.h"
#include "ir/passes/drop_cotangents.h"
#include "ir/row.h"
#include "runtime/diagnostic.h"

namespace tenon {

void Tape::record(const std::shared_ptr<CompiledGraph>& graph, std::vector<TapeEntry::Input> inputs,
                  std::span<const Tensor> outputs, std::span<TensorObject* const> results, Span span, MetaId meta) {
    assert(results.size() == graph->differentiable().size());
    assert(inputs.size() == graph->graph()->params().size() + graph->wrt().size() - graph->first_leaf());
    auto entry = make_ref<TapeEntry>();
    entry->position = take_position();
    entry->graph = graph;
    for (const Split::Saved& s : graph->saved()) {
        if (s.is_input) entry->saved.push_back({inputs[s.index].tensor, inputs[s.index].version});
        else entry->saved.push_back({outputs[s.index], outputs[s.index].storage->version});
    }
    entry->inputs = std::move(inputs);
    for (TapeEntry::Input& input : entry->inputs) input.after = input.tensor.storage->version;
    for (size_t k = 0; k < graph->wrt().size(); ++k) entry->edges.push_back(entry->input_of(k).edge);
    if (graph->purpose() == CompiledGraph::Purpose::op) {
        // An op's formula names what is saved and no more, at any order: the other operands need not live on.
        SmallVector<uint8_t, 8> kept(entry->inputs.size(), 0);
        for (const Split::Saved& s : graph->saved()) {
            if (s.is_input) kept[s.index] = 1;
        }
        for (size_t k = 0; k < entry->inputs.size(); ++k) {
            if (!kept[k]) entry->inputs[k].tensor.storage = nullptr;
        }
    }
    entry->span = span;
    entry->meta = meta;
    for (size_t k = 0; k < results.size(); ++k) {
        TensorObject& result = *results[k];
        entry->outputs.push_back({result.dtype(), result.shape()});
        Autograd& autograd = result.make_autograd();
        autograd.requires_grad = true;
        autograd.entry = entry;
        autograd.output = static_cast<uint32_t>(k);
        autograd.in_graph = false;
        autograd.number = number_history();
    }
}

void Tape::keep(const Edge& last, uint64_t since, const Storage& memory) {
    std::vector<TapeEntry*> found;
    const auto visit = [&](const Edge& edge) {
        TapeEntry* entry = edge.entry.get();
        if (entry && entry->position >= since && std::find(found.begin(), found.end(), entry) == found.end())
            found.push_back(entry);
    };
    visit(last);
    for (size_t k = 0; k < found.size(); ++k) {
        TapeEntry& entry = *found[k];
        std::vector<std::pair<Tensor, Tensor>> copies;  // one of what several refer to
        const auto keep_copy = [&](Tensor& tensor, uint32_t& version) {
            if (tensor.storage.get() != &memory || version != memory.version) return;
            const auto same = [&](const auto& copy) {
                return copy.first.offset == tensor.offset && copy.first.shape == tensor.shape &&
                       copy.first.strides == tensor.strides && copy.first.dtype == tensor.dtype;
            };
            auto copy = std::find_if(copies.begin(), copies.end(), same);
            if (copy == copies.end()) copy = copies.insert(copy, {tensor, tensor.clone()});
            tensor = copy->second;
            version = tensor.storage->version;
        };
        for (TapeEntry::Saved& saved : entry.saved) keep_copy(saved.tensor, saved.version);
        for (TapeEntry::Saved& shown : entry.shown_memory) keep_copy(shown.tensor, shown.version);
        for (TapeEntry::Input& input : entry.inputs) {
            if (input.tensor.storage) keep_copy(input.tensor, input.version);
        }
        for (const Edge& edge : entry.edges) visit(edge);
    }
}

const TapeEntry::Input& TapeEntry::input_of(size_t edge) const {
    if (edge < graph->first_leaf()) return inputs[graph->wrt()[edge]];
    return inputs[inputs.size() - graph->wrt().size() + edge];
}

Ref<TapeEntry> Tape::used_up(std::vector<Edge> edges, Span span) {
    auto entry = make_ref<TapeEntry>();
    entry->position = take_position();
    entry->span = span;
    entry->edges = std::move(edges);
    entry->freed = true;
    entry->outputs.resize(1);
    return entry;
}

// ---- unfolding ----------------------------------------------------------------------------------------------------
namespace {

bool is_folded(const TapeEntry& entry) {
    return entry.graph && entry.graph->purpose() == CompiledGraph::Purpose::capture && entry.unfolded.empty();
}

Edge resolved(Edge edge) {
    while (edge.entry && !edge.entry->unfolded.empty()) edge = Edge(edge.entry->unfolded[edge.output]);
    return edge;
}

// Which results a cotangent comes from; empty: all of them. `cotangents`: null where there is none.
std::vector<bool> present_of(std::span<const TensorRef> cotangents) {
    if (std::find(cotangents.begin(), cotangents.end(), TensorRef()) == cotangents.end()) return {};
    std::vector<bool> present;
    for (const TensorRef& cotangent : cotangents) present.push_back(bool(cotangent));
    return present;
}

}  // namespace

void Tape::unfold(TapeEntry& entry) {
    Dispatcher& dispatcher = tracer_.dispatcher();
    const Tracer::Pause pause(tracer_);  // what it computes is there already: no graph under capture needs it
    struct Place {                       // the ops' entries stand where the graph's entry stood
        Tape& tape;
        Dispatcher& dispatcher;
        const uint64_t next;
        const Span span;
        ~Place() {
            tape.next_position_ = next;
            tape.step_ = apart;
            dispatcher.set_span(span);
        }
    } place{*this, dispatcher, next_position_, dispatcher.span()};
    next_position_ = entry.position - apart + 1;
    step_ = 1;
    dispatcher.set_span(entry.span);
    const Dispatcher::GradMode mode(dispatcher, true);
    std::vector<Edge> edges;
    for (const TensorRef& output : replay_outputs(dispatcher, entry)) edges.push_back(Edge::of(*output));
    entry.unfolded = std::move(edges);
    entry.clear();
    entry.inputs.clear();
    entry.edges.clear();
}

// ---- the walk -----------------------------------------------------------------------------------------------------
class Tape::Walk {
public:
    Walk(Tracer& tracer, const BackwardOptions& options)
        : tracer_(tracer), d_(tracer.dispatcher()), options_(options) {}

    struct LeafSum {
        Ref<Autograd> leaf;
        TensorRef sum;
    };
    std::vector<LeafSum> leaves;  // in the order in which they were first reached

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
    /// The cotangent of a result that was asked for.
    TensorRef result(const Edge& edge) const {
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
        for (size_t k = 0; k < roots.size(); ++k) add(edges[k], roots[k].cotangent);
        while (!queue_.empty()) {
            const Ref<TapeEntry> entry = queue_.top().entry;
            queue_.pop();
            visit(entry);
        }
        if (doubt_) throw Error(std::move(*doubt_));
    }

private:
    struct State {
        Ref<TapeEntry> entry;
        std::vector<TensorRef> cotangents;
        bool queued = false;
        std::vector<bool> needed;  // by result: it leads to what was asked for
        std::vector<bool> live;    // or to any leaf but those that are over
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

    // The edge past what is unfolded, or has to be. What is used up stays as it is: an error if it is gone through.
    void settle(Edge& edge) {
        edge = resolved(std::move(edge));
        while (options_.by_ops() && edge.entry && is_folded(*edge.entry) && !edge.entry->freed) {
            tracer_.tape().unfold(*edge.entry);
            edge = resolved(std::move(edge));
        }
    }

    void collect(const Edge& root) {
        std::vector<Ref<TapeEntry>> stack;
        if (root.entry) stack.push_back(root.entry);
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
            for (Edge& edge : entry->edges) {
                settle(edge);
                if (edge.entry) stack.push_back(edge.entry);
                if (edge.leaf && edge.leaf->is_over) any_over_ = true;
            }
            for (TapeEntry::Input& input : entry->inputs) input.edge = resolved(std::move(input.edge));
        }
    }
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
        if (edge.leaf) {
            for (LeafSum& leaf : leaves) {
                if (leaf.leaf == edge.leaf) return &leaf.sum;
            }
            leaves.push_back({edge.leaf, {}});
            return &leaves.back().sum;
        }
        State& state = states_.at(edge.entry.get());
        if (!state.queued && state.needed[edge.output]) {
            state.queued = true;
            queue_.push({state.entry});
        }
        return &state.cotangents[edge.output];
    }
    TensorRef sum_of(const Edge& edge) {
        if (edge.leaf) {
            for (const LeafSum& leaf : leaves) {
                if (leaf.leaf == edge.leaf) return leaf.sum;
            }
            return {};
        }
        return edge.entry ? states_.at(edge.entry.get()).cotangents[edge.output] : TensorRef();
    }
    void set(const Edge& edge, TensorRef sum) {
        *slot(edge) = sum;
        if (!edge.entry) return;
        const auto asked = asked_results_.find(edge.entry.get());
        if (asked != asked_results_.end() && asked->second.contains(edge.output))
            asked_sums_[{edge.entry.get(), edge.output}] = sum;
    }
    void add(const Edge& edge, TensorRef cotangent) {
        const TensorRef before = sum_of(edge);
        set(edge, before ? d_.apply(op<"add">(), {before, cotangent}) : std::move(cotangent));
    }

    void visit(const Ref<TapeEntry>& of) {
        TapeEntry& entry = *of;
        State& state = states_.at(&entry);
        std::vector<TensorRef> cotangents = std::move(state.cotangents);
        for (size_t k = 0; k < cotangents.size(); ++k) {
            if (!state.needed[k]) cotangents[k] = nullptr;
        }
        const std::vector<bool> present = present_of(cotangents);
        const std::vector<bool> to = entry.used_up.empty() ? std::vector<bool>() : wanted_edges(entry);
        if (std::optional<Missing> gone = missing(d_, entry, present, to, live_edges(entry))) {
            if (!gone->is_certain) {
                if (!doubt_) doubt_ = std::move(gone->error);
            } else if (!is_folded(entry) || entry.freed) {
                throw Error(std::move(gone->error));
            } else {
                return visit_ops(entry, cotangents);
            }
        }
        assert(!entry.edges.empty() && "a cotangent comes to an entry that leads nowhere");
        std::vector<bool> reached;  // empty: what the graph says
        if (!present.empty()) reached = reached_from(*entry.graph, present);
        for (size_t k = 0; k < cotangents.size(); ++k) {
            if (cotangents[k]) continue;
            const TapeEntry::Output& output = entry.outputs[k];
            cotangents[k] = make_ref<TensorObject>(Tensor::zeros(tracer_.allocator(), output.dtype, output.shape));
        }
        const CompiledGraph& graph = *entry.graph;
        if (options_.by_ops()) {
            std::vector<bool> wanted_and_reached = wanted_edges(entry);
            for (size_t k = 0; k < reached.size(); ++k) wanted_and_reached[k] = wanted_and_reached[k] && reached[k];
            const std::vector<TensorRef> gradients = replay_gradients(d_, of, cotangents, wanted_and_reached);
            for (size_t k = 0; k < gradients.size(); ++k) {
                if (gradients[k]) add(entry.edges[k], gradients[k]);
            }
            return;
        }
        std::vector<Tensor> saved, incoming, running, gradients;
        for (const TapeEntry::Saved& s : entry.saved) saved.push_back(s.tensor);
        for (size_t k = 0; k < cotangents.size(); ++k) incoming.push_back(d_.elements(*cotangents[k], "backward"));
        const bool continues = graph.purpose() == CompiledGraph::Purpose::capture && sums_to_continue(entry);
        if (continues) {
            for (size_t k = 0; k < entry.edges.size(); ++k) {
                const Tensor& input = entry.input_of(k).tensor;
                const TensorRef sum = is_first_use(entry, k) ? sum_of(entry.edges[k]) : TensorRef();
                running.push_back(sum ? sum->tensor
                                      : Tensor::full(tracer_.allocator(), input.dtype, input.shape, -0.0));
            }
        }
        entry.graph->backward(saved, incoming, present, running, gradients);
        if (!options_.retain_graph) use_up(entry, present);
        for (size_t k = 0; k < gradients.size(); ++k) {
            if (!gradients[k].defined() || !wanted(entry.edges[k]) || !(reached.empty() || reached[k])) continue;
            auto gradient = make_ref<TensorObject>(std::move(gradients[k]));
            if (continues && is_first_use(entry, k)) set(entry.edges[k], std::move(gradient));
            else add(entry.edges[k], std::move(gradient));
        }
    }
    // In the graph's place its ops, which miss what the graph misses, each in its turn: with the error that they raise
    // where nothing was captured.
    void visit_ops(TapeEntry& graph, std::vector<TensorRef>& cotangents) {
        tracer_.tape().unfold(graph);
        for (const Edge& edge : graph.unfolded) collect(edge);
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
        if (entry.graph->purpose() == CompiledGraph::Purpose::op) return free(entry);  // it is gone through as a whole
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
        if (entry.graph && entry.graph->purpose() == CompiledGraph::Purpose::op &&
            !keeps_history((*entry.graph->graph())[entry.graph->graph()->body().back()].op))
            return;
        entry.freed = true;
        entry.clear();
        for (TapeEntry::Input& input : entry.inputs) input.tensor = input.before = {};
    }

    Tracer& tracer_;
    Dispatcher& d_;
    const BackwardOptions options_;
    std::unordered_map<const TapeEntry*, State> states_;
    std::priority_queue<Later> queue_;
    bool asked_any_ = false, any_over_ = false;
    std::optional<Diagnostic> doubt_;  // what is missing where no op is known to miss it
    std::unordered_set<const Autograd*> asked_leaves_;
    std::unordered_map<const TapeEntry*, std::unordered_set<uint32_t>> asked_results_;
    std::unordered_map<std::pair<const TapeEntry*, uint32_t>, TensorRef, ResultHash> asked_sums_;
};

void Tape::backward(std::span<const Root> roots, const BackwardOptions& options, std::span<const TensorRef> only) {
    Dispatcher& dispatcher = tracer_.dispatcher();
    const Dispatcher::GradMode mode(dispatcher, options.create_graph);
    Walk walk(tracer_, options);
    for (const TensorRef& tensor : only) {
        dispatcher.settle_history(*tensor);
        walk.ask(Edge::of(*tensor));
    }
    walk.run(roots);
    for (const Walk::LeafSum& leaf : walk.leaves) {
        if (!leaf.sum) continue;
        accumulate_gradient(dispatcher, *leaf.leaf, leaf.sum, options.create_graph);
    }
}

std::vector<TensorRef> Tape::gradients(std::span<const Root> roots, std::span<const TensorRef> wrt,
                                       const BackwardOptions& options) {
    const Dispatcher::GradMode mode(tracer_.dispatcher(), options.create_graph);
    Walk walk(tracer_, options);
    std::vector<Edge> edges;
    for (const TensorRef& tensor : wrt) {
        tracer_.dispatcher().settle_history(*tensor);
        edges.push_back(Edge::of(*tensor));
        if (edges.back()) edges.back() = walk.ask(edges.back());
    }
    walk.run(roots);
    std::vector<TensorRef> found(wrt.size());
    for (size_t k = 0; k < wrt.size(); ++k) {
        if (edges[k].leaf) {
            for (const Walk::LeafSum& leaf : walk.leaves) {
                if (leaf.leaf == edges[k].leaf) found[k] = leaf.sum;
            }
        } else if (edges[k].entry) {
            found[k] = walk.result(edges[k]);
        }
    }
    return found;
}

void accumulate_gradient(Dispatcher& dispatcher, Autograd& leaf, TensorRef gradient, bool keep_history) {
    if (!leaf.grad) {
        // A cotangent that others may hold too becomes a copy: `.grad` is written in place later.
        if (gradient->use_count() > 1 && !gradient->is_symbolic()) {
            if (keep_history) gradient = dispatcher.apply(op<"identity">(), {gradient});
            else gradient = make_ref<TensorObject>(gradient->tensor.clone());
        }
        dispatcher.tracer().set_gradient(leaf, std::move(gradient));
        return;
    }
    if (keep_history) {
        dispatcher.tracer().set_gradient(leaf, dispatcher.apply(op<"add">(), {gradient, leaf.grad}));
        return;
    }
    const Dispatcher::GradMode mode(dispatcher, false);
    const TensorRef sum = dispatcher.apply(op<"add">(), {gradient, leaf.grad});
    dispatcher.write(*leaf.grad, *sum);
}

}  // namespace tenon
