// Capture: ending a graph. Finds it in the cache or compiles it, runs it, and binds what is still alive to its results.
#include <algorithm>
#include <cassert>

#include <fmt/format.h>

#include "frontend/capture.h"
#include "frontend/counters.h"
#include "ir/row.h"
#include "runtime/diagnostic.h"

namespace tenon {

struct Capture::Plan {
    std::vector<NodeId> results;
    std::vector<size_t> differentiable;  // results through which cotangents may come
    std::vector<TensorObject*> owners;   // beside them: whose history they are
    std::vector<TensorRef> consumed;     // whose history a captured backward has used up
    std::vector<size_t> wrt;             // inputs that require a gradient
    std::vector<TensorObject*> views;    // views that need a history of their own
    bool empty = false;                  // nothing to run
};

Capture::Plan Capture::plan_flush() {
    Plan plan;
    // What a backward of this graph has gone through cannot be gone through again, nor can what depends on it.
    std::vector<bool> tainted = used_up_;
    if (!tainted.empty()) {
        tainted.resize(builder_.size());
        for (NodeId id : builder_.body()) {
            for (NodeId operand : builder_.operands_of(id)) {
                if (tainted[operand.index]) tainted[id.index] = true;
            }
        }
    }
    auto add_history = [&](TensorObject& owner, NodeId node, size_t result) {
        if (!tainted.empty() && tainted[node.index]) {
            plan.consumed.push_back(TensorRef(&owner));
            return;
        }
        plan.differentiable.push_back(result);
        plan.owners.push_back(&owner);
    };
    for (TensorObject* x = ring_.next_; x != &ring_; x = x->next_) {
        const ViewValue& value = values_[x->capture_value_];
        StorageValue& storage = storages_[value.storage];
        if (storage.input == none && storage.output == none) {
            storage.output = static_cast<uint32_t>(plan.results.size());
            plan.results.push_back(storage.current);
        }
        if (!x->autograd || !x->autograd->in_graph) continue;
        if (value.parent == none) add_history(*x, storage.current, storage.output);
        else plan.views.push_back(x);
    }
    for (const TensorRef& x : rewritten_) {
        const StorageValue& storage = storages_[values_[x->capture_value_].storage];
        add_history(*x, storage.current, plan.results.size());
        plan.results.push_back(storage.current);
    }
    commit_dirty();
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
    }
    for (NodeId id : plan.results) builder_.mix(id.index);
    builder_.mix(plan.results.size());
    for (size_t k : plan.differentiable) builder_.mix(k);
    builder_.mix(plan.differentiable.size());
    for (size_t k : plan.wrt) builder_.mix(k);
    return plan;
}

void Capture::flush(std::string_view reason, Span at) {
    if (is_empty()) {
        journal_.clear();
        return;
    }
    assert(!tracing_);
    assert(!flushing_);
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
            for (const OpenCall& call : open) capture.reopen(call);
        }
    } renew{*this, open};
    flushing_ = true;

    const Plan plan = plan_flush();
    if (plan.empty) {  // views of inputs need no run
        bind(plan, nullptr, {}, {});
        return;
    }
    bool hit = false;
    const std::shared_ptr<CompiledGraph> graph = find_graph(plan, hit);
    if (log_) {
        if (hit) name_inputs();
        log_->push_back({.graph = builder_.finish(plan.results, tracer_.context().name(site_.name), true),
                         .compiled = graph,
                         .ended_by = std::string(reason),
                         .ended_at = at,
                         .from_cache = hit});
    }
    std::vector<Tensor> arguments;
    std::vector<uint32_t> versions;  // before the run: a saved input that the graph itself writes is stale afterwards
    arguments.reserve(inputs_.size());
    for (const Input& input : inputs_) {
        arguments.push_back(input.tensor);
        if (!plan.differentiable.empty()) versions.push_back(input.tensor.storage->version);
    }
    std::vector<Tensor> outputs;
    try {
        graph->run(arguments, outputs);
    } catch (Error& error) { fail_run(std::move(error), graph->effects_done()); }
    ++graph_number_;
    bind(plan, graph, versions, outputs);
}

std::shared_ptr<CompiledGraph> Capture::find_graph(const Plan& plan, bool& hit) {
    GraphCache& cache = tracer_.graph_cache();
    Counters& counters = tracer_.counters();
    const Builder::Hash hash = builder_.hash();
    GraphEntry* entry = cache.find(hash);
    if (entry) {
        if (const GraphEntry::Variant* variant = entry->find(builder_.hints())) {
            hit = true;
            ++counters.cache_hits;
            return variant->graph;
        }
    } else {
        name_inputs();
        GraphEntry made;
        made.skeleton = builder_.finish(plan.results, tracer_.context().name(site_.name), !builder_.calls().empty());
        made.differentiable = plan.differentiable;
        made.wrt = plan.wrt;
        made.function = site_.name;
        made.declaration = site_.declaration;
        entry = &cache.add(hash, std::move(made));
    }
    std::vector<bool> dynamic(builder_.hints().size(), dynamic_);
    for (size_t k : dynamic_symbols_) dynamic[k] = true;
    const std::string changed = cache.add_variant(*entry, builder_.hints(), dynamic);
    note_recompile(*entry, changed);
    const std::shared_ptr<CompiledGraph> graph = entry->find(builder_.hints())->graph;
    if (!overwritten_.empty() && builder_.calls().empty()) {
        std::vector<NodeId> kept;
        const GraphRef skeleton = builder_.finish(plan.results, {}, false, &kept);
        note_stale(*graph, kept, *skeleton);
    }
    return graph;
}

// Inputs are called what the captured call's arguments are called, or were when the function was captured first.
void Capture::name_inputs() {
    if (!record_ || graph_number_ >= record_->graphs.size()) return;
    const std::vector<std::string>& before = record_->graphs[graph_number_].inputs;
    size_t k = 0;
    for (Input& input : inputs_) {
        if (input.storage == none) continue;
        if (input.name.empty() && k < before.size()) input.name = before[k];
        ++k;
        if (!input.name.empty()) builder_.set_name(input.node, tracer_.context().name(input.name));
    }
}

// Whether this is a graph of a function that had one at this place already, and what differs.
void Capture::note_recompile(const GraphEntry& entry, const std::string& changed) {
    FunctionRecord& record = record_ ? *record_ : functions_[site_.function];
    FunctionRecord::Graph now;
    for (const Input& input : inputs_) {
        if (input.storage == none) continue;
        now.shapes.push_back(input.tensor.shape);
        now.inputs.push_back(input.name);
    }
    const bool is_first = record.graphs.size() <= graph_number_;
    if (is_first) {
        record.graphs.resize(graph_number_ + 1);
    } else {
        std::string reason = changed;
        const FunctionRecord::Graph& before = record.graphs[graph_number_];
        if (reason.empty()) {
            if (before.shapes.size() != now.shapes.size()) {
                reason = fmt::format("it took {} tensors, now {}", before.shapes.size(), now.shapes.size());
            }
            for (size_t k = 0; reason.empty() && k < now.shapes.size(); ++k) {
                if (before.shapes[k] == now.shapes[k]) continue;
                const std::string name = now.inputs[k].empty() ? fmt::format("input {}", k) : now.inputs[k];
                reason = fmt::format("{} had the shape {}, now {}", name, shape_to_string(before.shapes[k]),
                                     shape_to_string(now.shapes[k]));
            }
            if (reason.empty()) reason = "its lines took another path, or another dtype or requires_grad";
        }
        ++tracer_.counters().recompiles;
        tracer_.counters().recompilations.push_back({entry.function, std::move(reason), site_.span});
        tracer_.tell(tracer_.counters().recompilations.back(), "compiled again");
    }
    record.graphs[graph_number_] = std::move(now);
}

void Capture::bind(const Plan& plan, const std::shared_ptr<CompiledGraph>& graph, std::span<const uint32_t> versions,
                   std::span<const Tensor> outputs) {
    // The ring is emptied by the caller; what it holds gets its memory now.
    for (TensorObject* x = ring_.next_; x != &ring_; x = x->next_) {
        const StorageValue& storage = storages_[values_[x->capture_value_].storage];
        const Tensor& memory = storage.input == none ? outputs[storage.output] : inputs_[storage.input].tensor;
        x->tensor.storage = memory.storage;
        if (storage.input == none) x->tensor.offset += memory.offset;
    }
    if (!plan.differentiable.empty()) {
        std::vector<TapeEntry::Input> inputs;
        inputs.reserve(inputs_.size());
        for (size_t k = 0; k < inputs_.size(); ++k) inputs.push_back({inputs_[k].tensor, versions[k], inputs_[k].edge});
        tracer_.tape().record(graph, std::move(inputs), outputs, plan.owners, site_.span, MetaId::none());
    }
    if (const auto stale = stale_.find(graph.get()); stale != stale_.end()) {
        for (const Stale& one : stale->second) {
            // In its place stands memory that has another version than the one saved: the graph itself has written it.
            const Tensor written = Tensor::empty(tracer_.allocator(), one.dtype, one.shape);
            plan.owners[0]->autograd->entry->saved.push_back({written, written.storage->version - 1});
            tracer_.dispatcher().note_write(*written.storage, one.write);
        }
    }
    for (const TensorRef& x : plan.consumed) {
        x->autograd->entry = tracer_.tape().used_up(site_.span);
        x->autograd->output = 0;
        x->autograd->in_graph = false;
    }
    for (TensorObject* x : plan.views) tracer_.dispatcher().renew_view_history(*x);
}

namespace {

NodeId copy_literal(const Builder& from, NodeId id, Builder& to) {
    assert(from.is_literal(id));
    const AttrValue& value = *from.attributes(id).find("value");
    const DType dtype = from.type(id).dtype;
    if (const auto* real = std::get_if<double>(&value.value)) return to.literal(*real, dtype);
    if (const auto* integer = std::get_if<int64_t>(&value.value)) return to.literal(*integer, dtype);
    return to.literal(std::get<bool>(value.value));
}

}  // namespace

// What precedes the failing node has happened; host writes that came after it are taken back, the last one first.
void Capture::fail_run(Error error, size_t effects_done) {
    uint32_t failing = 0;
    size_t effects = 0;
    const std::span<const NodeId> body = builder_.body();
    const bool is_assertion = error.diagnostic.kind == "assertion";
    for (uint32_t i = 0; i < body.size(); ++i) {
        const bool is_effect = row(builder_.node(body[i]).op).effect == Effect::ordered;
        if (is_effect && effects++ == effects_done) {  // the failing node is this effect, or lies before it
            if (is_assertion) failing = i;
            break;
        }
        if (!is_assertion && effects == effects_done && failing == 0 &&
            tracer_.context()[builder_.stamp_of(body[i]).origin].span == error.diagnostic.span) {
            failing = i;
        }
    }
    std::vector<JournalEntry> journal = std::move(journal_);
    journal_.clear();
    for (size_t k = journal.size(); k-- > 0 && journal[k].position > failing;) journal[k].undo.apply(journal[k].undo);
    journal.clear();
    try {
        recover(failing);
    } catch (Error&) {  // what cannot be computed stays without elements, and says so when it is used
    }
    throw error;
}

// Tensors that the script still holds and that were computed before the failing node get their elements: by the part of
// the graph that precedes it. Not those that depend on an input which that part has written already.
void Capture::recover(uint32_t failing) {
    std::vector<NodeId> image(builder_.size());
    std::vector<bool> stale(builder_.size());
    Builder prefix(tracer_.context());
    const std::span<const NodeId> body = builder_.body();
    for (uint32_t i = 0; i < failing; ++i) {
        if (builder_.node(body[i]).op == op<"commit">()) stale[builder_.operands_of(body[i])[0].index] = true;
    }
    for (NodeId p : builder_.params()) image[p.index] = prefix.parameter(builder_.node(p).type);
    for (const SizeSymbol& symbol : builder_.symbols())
        prefix.symbol(image[symbol.definer.index], symbol.dim, symbol.hint, symbol.name);
    for (uint32_t i = 0; i < failing; ++i) {
        const Node node = builder_.node(body[i]);
        if (row(node.op).effect != Effect::none) continue;
        std::vector<NodeId> operands;
        for (NodeId operand : builder_.operands_of(body[i])) {
            stale[body[i].index] = stale[body[i].index] || stale[operand.index];
            if (!image[operand.index]) image[operand.index] = copy_literal(builder_, operand, prefix);
            operands.push_back(image[operand.index]);
        }
        image[body[i].index] = prefix.emit_typed(node.op, node.type, operands, node.attr);
    }
    std::vector<NodeId> results;
    std::vector<uint32_t> storages;
    for (TensorObject* x = ring_.next_; x != &ring_; x = x->next_) {
        const uint32_t s = values_[x->capture_value_].storage;
        const NodeId current = storages_[s].current;
        if (storages_[s].input != none || !image[current.index] || stale[current.index]) continue;
        if (std::find(storages.begin(), storages.end(), s) != storages.end()) continue;
        storages.push_back(s);
        results.push_back(image[current.index]);
    }
    std::vector<Tensor> arguments, outputs;
    if (!results.empty()) {
        for (const Input& input : inputs_) arguments.push_back(input.tensor);
        CompiledGraph graph(tracer_, prefix.finish(results), {}, {}, CompiledGraph::Purpose::op);
        graph.run(arguments, outputs);
    }
    for (TensorObject* x = ring_.next_; x != &ring_; x = x->next_) {
        const uint32_t s = values_[x->capture_value_].storage;
        const auto found = std::find(storages.begin(), storages.end(), s);
        if (storages_[s].input != none) x->tensor.storage = inputs_[storages_[s].input].tensor.storage;
        else if (found != storages.end())
            x->tensor.storage = outputs[static_cast<size_t>(found - storages.begin())].storage;
        if (x->autograd && x->autograd->in_graph) {
            x->autograd->entry = tracer_.tape().used_up(site_.span);
            x->autograd->output = 0;
            x->autograd->in_graph = false;
        }
    }
}

}  // namespace tenon
