// Capture: ending a graph. Finds it in the cache or compiles it, runs it, and binds what is still alive to its results.
#include <algorithm>
#include <cassert>
#include <iterator>

#include <fmt/format.h>

#include "frontend/compile/counters.h"
#include "frontend/record/capture_backward.h"
#include "frontend/record/capture_differentiation.h"
#include "frontend/record/capture_overwritten.h"
#include "frontend/record/capture_trace.h"
#include "ir/row.h"
#include "runtime/diagnostic.h"

namespace tenon {

// The leaves that this graph has made: what is computed from one leads to the value that it was then, whether or not the
// script has it still.
void Capture::add_leaves(Plan& plan) {
    if (plan.differentiable.empty()) return;
    for (const auto& [leaf, node] : differentiation_->leaves()) {
        if (leaf->is_over || builder_.node(node).op == op<"param">()) continue;
        const auto found = std::find(plan.results.begin(), plan.results.end(), node);
        plan.leaves.push_back({leaf, static_cast<size_t>(found - plan.results.begin())});
        if (found == plan.results.end()) plan.results.push_back(node);
    }
}

// Which views have a history of their own after this graph, which is a result of it: what comes to them from later graphs
// has its place among what comes to their bases and to other views. It has none beside it where nobody else has the base,
// and this graph uses neither the view nor, from there on, the base.
std::vector<bool> Capture::views_with_history() const {
    const std::vector<Differentiation::Uses> uses = differentiation_->uses();
    std::vector<bool> found(values_.size());
    for (const TensorObject* x = ring_.next_; x != &ring_; x = x->next_) {
        const ViewValue& view = values_[x->capture_value_];
        const StorageValue& storage = storages_[view.storage];
        if (!x->base || view.parent == none || !view.chain || view.chain_histories != storage.histories) continue;
        uint32_t first = x->capture_value_;
        bool beside = storage.input != none || x->base->use_count() > 1 || uses[view.chain.index].count > 0;
        for (; !beside && values_[values_[first].parent].parent != none; first = values_[first].parent) {
            const NodeId above = values_[values_[first].parent].chain;
            beside = !above || uses[above.index].count > 1;
        }
        if (!beside) {
            const NodeId last = uses[builder_.operands_of(values_[first].chain)[0].index].last;
            beside = last && last > view.chain;
        }
        found[x->capture_value_] = beside;
    }
    return found;
}

// Values whose histories a captured backward has used up need no derivatives of this graph.
void Capture::set_consumed_apart(Plan& plan, std::span<const NodeId> values) {
    const std::vector<bool> consumed = differentiation_->consumed(values);
    if (std::find(consumed.begin(), consumed.end(), true) == consumed.end()) return;
    std::vector<size_t> differentiable;
    std::vector<TensorObject*> owners;
    std::vector<std::pair<NodeId, Plan::Consumed>> found;
    for (size_t k = 0; k < values.size(); ++k) {
        if (!consumed[k]) {
            differentiable.push_back(plan.differentiable[k]);
            owners.push_back(plan.owners[k]);
            continue;
        }
        Differentiation::Sources sources = differentiation_->sources(values[k], values);
        Plan::Consumed value{TensorRef(plan.owners[k]), std::move(sources.edges), {}};
        for (size_t other : sources.values) value.values.emplace_back(plan.owners[other]);
        found.emplace_back(values[k], std::move(value));
    }
    std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    for (auto& [node, value] : found) plan.consumed.push_back(std::move(value));
    plan.differentiable = std::move(differentiable);
    plan.owners = std::move(owners);
}

Capture::Plan Capture::plan_flush() {
    Plan plan;
    journal_.join_gradients(failing_);
    journal_.forget_unseen();
    std::vector<NodeId> values;  // beside plan.owners
    std::vector<bool> with_history;
    const auto add_history = [&](TensorObject& owner, NodeId node, size_t result) {
        plan.differentiable.push_back(result);
        plan.owners.push_back(&owner);
        values.push_back(node);
    };
    for (TensorObject* x = ring_.next_; x != &ring_; x = x->next_) {
        const ViewValue& value = values_[x->capture_value_];
        StorageValue& storage = storages_[value.storage];
        if (storage.input == none && storage.output == none) {
            storage.output = static_cast<uint32_t>(plan.results.size());
            plan.results.push_back(storage.current);
        }
        if (!x->autograd || !x->autograd->in_graph) continue;
        if (value.parent == none) {
            add_history(*x, storage.current, storage.output);
        } else {
            if (with_history.empty()) with_history = views_with_history();
            if (!with_history[x->capture_value_]) continue;
            add_history(*x, value.chain, plan.results.size());
            plan.results.push_back(value.chain);
        }
    }
    for (const TensorRef& x : rewritten_) {
        if (!x->autograd || !x->autograd->in_graph) continue;  // then overwritten by what has no history
        const StorageValue& storage = storages_[values_[x->capture_value_].storage];
        add_history(*x, storage.current, plan.results.size());
        plan.results.push_back(storage.current);
    }
    set_consumed_apart(plan, values);
    add_leaves(plan);
    commit_dirty();
    if (!fallible_.empty()) {  // what fails does so whether it is used or not
        const Liveness live = builder_.liveness(plan.results);
        for (NodeId id : fallible_) {
            if (!live[id]) plan.results.push_back(id);
        }
    }
    if (plan.results.empty()) {
        plan.empty = true;
        for (NodeId id : builder_.body()) {
            if (row(builder_.node(id).op).effect != Effect::none) plan.empty = false;
        }
    }
    if (!plan.differentiable.empty()) {
        for (size_t k = 0; k < inputs_.size(); ++k) {
            if (inputs_[k].edge && is_float(inputs_[k].tensor.dtype)) plan.wrt.push_back(k);
        }
        for (const Plan::Leaf& leaf : plan.leaves) plan.wrt.push_back(inputs_.size() + leaf.result);
        for (NodeId id : differentiation_->used_up()) builder_.mix(id.index);
    }
    for (NodeId id : plan.results) builder_.mix(id.index);
    builder_.mix(plan.results.size());
    for (size_t k : plan.differentiable) builder_.mix(k);
    builder_.mix(plan.differentiable.size());
    for (size_t k : plan.wrt) builder_.mix(k);
    return plan;
}

void Capture::flush(std::string_view reason, Span at) {
    run_graph(reason, at);
    tracer_.tape().pack_pending();
}

void Capture::run_graph(std::string_view reason, Span at) {
    if (is_empty()) {
        journal_.clear();
        return;
    }
    tracer_.dispatcher().policies().refuse();
    if (tracing_) trace_->refuse_break(reason, at);
    tracer_.functions().note_work();
    assert(!flushing_);
    assert(held_ == 0 && "a graph ends while its ids are held");
    const std::vector<OpenCall> open = open_calls_;
    while (!open_calls_.empty()) {
        builder_.end_call();
        open_calls_.pop_back();
    }
    // Whatever happens, the next op finds an empty graph with the calls it is in open again.
    struct Renew {
        Capture& capture;
        const std::vector<OpenCall>& open;
        ~Renew() {
            capture.flushing_ = false;
            capture.clear();
            capture.open_calls_ = open;
            for (OpenCall& call : capture.open_calls_) {
                call.begin = 0;
                capture.reopen(call);
            }
        }
    } renew{*this, open};
    flushing_ = true;

    try {
        try {
            run(plan_flush(), reason, at);
        } catch (Error& error) { fail_run(std::move(error)); }
    } catch (Error&) { throw; } catch (...) {
        journal_.undo_after(0);  // an interrupt, or an end of memory: nothing of it has happened
        throw;
    }
}

void Capture::run(const Plan& plan, std::string_view reason, Span at, bool recovers) {
    if (plan.empty) {  // views of inputs need no run
        bind(plan, nullptr, {}, {});
        return;
    }
    bool hit = false;
    const std::shared_ptr<CompiledGraph> graph = recovers ? compile_once(plan) : find_graph(plan, hit);
    if (log_) {
        if (hit) name_inputs();
        const GraphRef captured = builder_.finish(plan.results, tracer_.context().name(site_.name), true);
        const std::vector<bool> all(captured->symbols.size(), true);
        log_->push_back(
            {.graph = specialise(*captured, builder_.known_sizes().hints(), all),  // what guards make one size is one
             .compiled = graph,
             .ended_by = std::string(reason),
             .ended_at = at,
             .from_cache = hit});
    }
    std::vector<Tensor> arguments;
    arguments.reserve(inputs_.size());
    for (const Input& input : inputs_) arguments.push_back(input.tensor);
    std::vector<TapeEntry::Input> recorded = overwritten_->inputs_to_record(plan, *graph);
    for (const StorageValue& storage : storages_) {
        if (storage.input != none && storage.version > 0) inputs_[storage.input].tensor.storage->begin_write();
    }
    std::vector<Tensor> outputs;
    graph->run(arguments, outputs);
    functions_.next_graph();
    if (backward_->is_under_way()) backward_->next_piece();
    bind(plan, graph, std::move(recorded), outputs);
}

std::shared_ptr<CompiledGraph> Capture::find_graph(const Plan& plan, bool& hit) {
    GraphCache& cache = tracer_.graph_cache();
    Counters& counters = tracer_.counters();
    builder_.mix(tracer_.compile_settings().bits());
    if (backward_->is_under_way()) builder_.mix(backward_->key());
    const SkeletonHash hash = builder_.hash();
    GraphEntry* entry = cache.find(hash);
    if (entry) {
        if (const GraphEntry::Variant* variant = entry->find(builder_.known_sizes().hints())) {
            hit = true;
            ++counters.cache_hits;
            return variant->graph;
        }
    }
    name_inputs();
    if (!entry) {
        GraphEntry made;
        made.skeleton = builder_.finish(plan.results, tracer_.context().name(site_.name), !builder_.calls().empty());
        made.differentiable = plan.differentiable;
        made.wrt = plan.wrt;
        made.solved = solved_sizes(*made.skeleton);
        made.function = site_.name;
        if (backward_->is_under_way()) made.purpose = CompiledGraph::Purpose::backward;
        made.declaration = site_.declaration;
        entry = &cache.add(hash, std::move(made));
    }
    std::vector<bool> dynamic(builder_.known_sizes().hints().size(), dynamic_);
    for (size_t k : dynamic_symbols_) dynamic[k] = true;
    if (backward_->is_under_way()) mark_changed_sizes(dynamic);
    const std::string changed = cache.add_variant(*entry, tracer_.compile_settings(), builder_.known_sizes().hints(),
                                                  dynamic, tracer_.services.locate);
    note_recompile(*entry, changed);
    if (backward_->is_under_way()) {
        ++counters.compiles;
        backward_->note_compiled();
    }
    const std::shared_ptr<CompiledGraph> graph = entry->find(builder_.known_sizes().hints())->graph;
    overwritten_->note_named(*graph, plan);
    return graph;
}

// Sizes of a backward are symbolic from their first change on, also where a size was 1 and the skeleton is another.
void Capture::mark_changed_sizes(std::vector<bool>& dynamic) {
    std::vector<Dims>& last = tracer_.graph_cache().last_shapes(backward_->key());
    const auto has_rank_of = [](const Input& input, const Dims& shape) {
        return input.tensor.shape.size() == shape.size();
    };
    // A size of 1 is none of the host: then the inputs are others.
    if (!last.empty() && !std::equal(inputs_.begin(), inputs_.end(), last.begin(), last.end(), has_rank_of))
        dynamic.assign(dynamic.size(), true);
    for (size_t k = 0; k < inputs_.size(); ++k) {
        const Dims& shape = inputs_[k].tensor.shape;
        if (last.size() != inputs_.size() || last[k].size() != shape.size()) continue;
        for (size_t d = 0; d < shape.size(); ++d) {
            if (shape[d] == last[k][d]) continue;
            if (const auto symbol = tracer_.context().symbol_number(builder_.type(inputs_[k].node).sizes[d]))
                dynamic[*symbol] = true;
        }
    }
    last.clear();
    for (const Input& input : inputs_) last.push_back(input.tensor.shape);
}

// Inputs are called what the captured call's arguments are called, or were when the function was captured first.
void Capture::name_inputs() {
    const FunctionLog::Graph* before = functions_.before();
    if (!before) return;
    size_t k = 0;
    for (Input& input : inputs_) {
        if (input.storage == none) continue;
        if (input.name.empty() && k < before->inputs.size()) input.name = before->inputs[k];
        ++k;
        if (!input.name.empty()) builder_.set_name(input.node, tracer_.context().name(input.name));
    }
}

// Whether this is a graph of a function that had one at this place already, and what differs.
void Capture::note_recompile(const GraphEntry& entry, const std::string& changed) {
    FunctionLog::Graph now;
    for (const Input& input : inputs_) {
        if (input.storage == none) continue;
        now.shapes.push_back(input.tensor.shape);
        now.inputs.push_back(input.name);
    }
    std::optional<std::string> reason = functions_.note(site_.function, std::move(now), changed);
    if (!reason) return;
    ++tracer_.counters().recompiles;
    tracer_.tell(tracer_.counters().recompilations.add({entry.function, std::move(*reason), site_.span}),
                 "compiled again");
}

void Capture::bind(const Plan& plan, const std::shared_ptr<CompiledGraph>& graph, std::vector<TapeEntry::Input> inputs,
                   std::span<const Tensor> outputs) {
    // The ring is emptied by the caller; what it holds gets its memory now.
    // Views that have a history of their own until their bases get another one: that of a result, or none (no_grad).
    std::vector<TensorObject*> apart;
    std::copy_if(plan.owners.begin(), plan.owners.end(), std::back_inserter(apart),
                 [](const TensorObject* x) { return bool(x->base); });
    for (TensorObject* x = ring_.next_; x != &ring_; x = x->next_) {
        if (x->base && !x->is_behind() && !x->requires_grad()) apart.push_back(x);
        const StorageValue& storage = storages_[values_[x->capture_value_].storage];
        const Tensor& memory = storage.input == none ? outputs[storage.output] : inputs_[storage.input].tensor;
        x->tensor.storage = memory.storage;
        if (storage.input == none) x->tensor.offset += memory.offset;
    }
    if (!plan.differentiable.empty()) {
        for (const Plan::Leaf& leaf : plan.leaves)
            inputs.push_back({outputs[leaf.result], 0, Edge{{}, 0, leaf.leaf}});
        tracer_.tape().record(graph, std::move(inputs), outputs, plan.owners, site_.span, MetaId::none());
        for (TensorObject* x : plan.owners) {
            if (x->base) x->base_history = x->base->history();
        }
    }
    overwritten_->describe_run(graph.get(), plan, outputs);
    for (const Plan::Consumed& value : plan.consumed) {
        std::vector<Edge> edges = value.edges;
        for (const TensorRef& other : value.values) edges.push_back(Edge::of(*other));
        Autograd& autograd = *value.of->autograd;
        autograd.entry = tracer_.tape().used_up(std::move(edges), site_.span);
        autograd.output = 0;
        autograd.in_graph = false;
        autograd.number = tracer_.tape().number_history();
    }
    // Other views have the histories of their bases, from when these are asked for.
    std::sort(apart.begin(), apart.end());
    for (TensorObject* x = ring_.next_; x != &ring_; x = x->next_) {
        if (!x->base || std::binary_search(apart.begin(), apart.end(), x)) continue;
        if (x->requires_grad()) x->autograd = nullptr;
        x->base_history = 0;
    }
    for (TensorObject* x : apart) x->base_history = x->base->history();
}

}  // namespace tenon
