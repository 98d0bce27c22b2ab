// One run of a graph through dispatch, op by op.
#pragma once

#include <algorithm>
#include <cassert>
#include <unordered_map>
#include <unordered_set>

#include "frontend/compile/graph_cache.h"
#include "frontend/record/capture.h"
#include "frontend/record/capture_trace.h"
#include "frontend/record/saved_values.h"
#include "frontend/record/tracer.h"
#include "frontend/replay/graph_replay.h"
#include "ir/build/regions.h"
#include "ir/build/substitution.h"
#include "ir/build/take_apart.h"
#include "ir/passes/drop_cotangents.h"
#include "ir/row.h"
#include "jit/literal.h"
#include "runtime/diagnostic.h"

namespace tenon {

/// One run of a graph through dispatch: of all that what is wanted depends on, and no more.
class Replay {
public:
    Replay(Dispatcher& dispatcher, const Graph& graph, std::span<const TensorRef> inputs,
           const ReplayOptions& options = {})
        : dispatcher_(dispatcher), context_(dispatcher.context()), graph_(graph), values_(graph.nodes.size()),
          needed_(graph.nodes.size()), options_(options) {
        assert(inputs.size() == graph.params().size());
        for (size_t k = 0; k < inputs.size(); ++k) values_[graph.params()[k].index] = inputs[k];
        std::vector<SizeId> sizes;
        for (const SizeSymbol& symbol : graph.symbols) {
            const TensorRef definer = symbol.definer ? values_[symbol.definer.index] : TensorRef();
            const auto dim = static_cast<size_t>(symbol.dim);
            if (!definer || symbol.dim < 0) sizes.push_back(context_.constant(symbol.hint));
            else if (options.own_sizes) sizes.push_back(dispatcher.size(*definer, dim).id);
            else sizes.push_back(context_.constant(definer->shape()[dim]));
        }
        at_sizes_.emplace(context_, std::move(sizes));
    }

    /// A value that is known already: neither it nor what only it needs is computed.
    void give(NodeId id, TensorRef value) { values_[id.index] = std::move(value); }
    void want(NodeId id) { needed_[id.index] = true; }
    /// A value that is a leaf once it is computed, this one. Null: it requires a gradient, if not for a history of its
    /// own then as a leaf of its own.
    void make_leaf(NodeId id, Ref<Autograd> leaf) { leaves_.emplace(id.index, std::move(leaf)); }
    /// What this value was is gone, by the write: what is computed from it is something else than it was.
    void mark_gone(NodeId value, Span write) { gone_.emplace(value.index, write); }
    /// And the gradient of this op misses it.
    void mark_gone(NodeId value, NodeId by, Span write) { gone_for_.push_back({value, by, write}); }
    /// What the op saves lies in this memory, which others may write.
    void mark_shown(TapeEntry::Shown what, const TapeEntry::Saved& memory) {
        what.as_lost.needed_by = {true};
        Watched& watched = shown_[what.as_lost.op.index];
        watched.what.push_back(std::move(what));
        watched.memory.push_back(memory);
    }
    /// A backward has used up the history of the op that gives this value.
    void mark_used_up(NodeId value) { used_up_.insert(value.index); }
    /// What this value was is there, whatever it is computed from by now.
    void know(NodeId value, Tensor was) { known_.emplace(value.index, std::move(was)); }
    /// To be called once all is given and wanted: finds what is needed for it.
    void plan() {
        const std::span<const NodeId> body = graph_.body();
        for (size_t i = body.size(); i-- > 0;) {
            const NodeId id = body[i];
            if (options_.effects && row(graph_[id].op).effect != Effect::none) want(id);
            if (!needed_[id.index] || values_[id.index]) continue;
            for (NodeId operand : graph_.operands_of(id)) want(operand);
        }
        for (NodeId id : body)  // all results of an op: what it saves of them is seen to there
            if (graph_[id].op == op<"get">() && needed_[graph_.operand(id, 0).index]) want(id);
    }
    bool needs(NodeId id) const { return needed_[id.index]; }

    void run() {
        for (NodeId id : graph_.body()) {
            if (!needed_[id.index] || values_[id.index]) continue;
            const Stamped stamped(*this, id);
            if (row(graph_[id].op).effect != Effect::none) {
                if (options_.effects) perform(id);
            } else {
                compute(id);
                if (TapeEntry* entry = used_up_.contains(id.index) ? entry_of(id) : nullptr) entry->freed = true;
                if (!values_[id.index]) continue;  // several: each has a `get`
                if (const auto leaf = leaves_.find(id.index); leaf != leaves_.end())
                    become(*values_[id.index], leaf->second);
                if (options_.stamps && dispatcher_.tracer().capturing())
                    dispatcher_.tracer().capture().restamp(*values_[id.index], {.origin = graph_.origins[id.index],
                                                                                .meta = graph_.metas[id.index],
                                                                                .flags = graph_[id].flags});
            }
        }
    }
    /// The same without commits, until a node fails; values go when nothing needs them any more.
    NodeId run_until_failure(Error& error) {
        std::vector<uint32_t> uses(graph_.nodes.size());
        for (NodeId id : graph_.body()) {
            for (NodeId operand : graph_.operands_of(id)) ++uses[operand.index];
        }
        for (NodeId id : graph_.body()) {
            dispatcher_.set_span(graph_.origin(id).span);
            try {
                if (row(graph_[id].op).effect == Effect::asserts) perform(id);
                else if (row(graph_[id].op).effect == Effect::none) compute(id);
            } catch (Error& found) {
                error = std::move(found);
                if (!error.diagnostic.span) error.diagnostic.span = graph_.origin(id).span;
                return id;
            }
            for (NodeId operand : graph_.operands_of(id)) {
                if (--uses[operand.index] > 0) continue;
                values_[operand.index] = nullptr;
                results_.erase(operand.index);
            }
        }
        return {};
    }
    TensorRef value(NodeId id) {
        if (!values_[id.index]) {
            const Arg number = argument(id);
            if (!number.tensor) values_[id.index] = scalar(number);
        }
        return values_[id.index];
    }

private:
    // The node's place and metadata, while it is replayed.
    class Stamped {
    public:
        Stamped(Replay& replay, NodeId id)
            : dispatcher_(replay.dispatcher_), span_(dispatcher_.span()), meta_(dispatcher_.meta()) {
            if (const Span span = replay.graph_.origin(id).span) dispatcher_.set_span(span);
            if (replay.options_.stamps) dispatcher_.set_meta(replay.graph_.metas[id.index]);
        }
        ~Stamped() {
            dispatcher_.set_span(span_);
            dispatcher_.set_meta(meta_);
        }
        Stamped(const Stamped&) = delete;

    private:
        Dispatcher& dispatcher_;
        Span span_;
        MetaId meta_;
    };

    static void become(TensorObject& x, const Ref<Autograd>& leaf) {
        if (leaf) x.autograd = leaf;
        else x.make_autograd().requires_grad = true;
    }
    Arg argument(NodeId id) {
        if (values_[id.index]) return Arg(values_[id.index]);
        if (graph_[id].op == op<"tensor">()) {
            values_[id.index] =
                make_ref<TensorObject>(graph_.tensors[static_cast<size_t>(graph_.attributes(id).integer("index"))]);
            return Arg(values_[id.index]);
        }
        assert(graph_[id].op == op<"constant">());
        return Arg::literal(scalar_of(graph_, id), graph_.type(id).dtype);
    }
    // In a graph a value of it, not a tensor from outside, which could not come in while ids are held.
    TensorRef scalar(const Arg& number) {
        if (dispatcher_.tracer().capturing())
            return dispatcher_.apply(op<"full">(), {number}, dispatcher_.sizes_attr({}));
        return make_ref<TensorObject>(Tensor::scalar(dispatcher_.tracer().allocator(), number.dtype, number.number));
    }
    void perform(NodeId id) {
        TensorRef& first = values_[graph_.operand(id, 0).index];
        if (row(graph_[id].op).effect == Effect::asserts) {
            const Attributes attributes = graph_.attributes(id);
            const std::string message(attributes.has("message") ? attributes.text("message")
                                                                : "the assertion does not hold");
            dispatcher_.tracer().assert_true(*first, message);
        } else if (row(graph_[id].op).effect == Effect::commits) {
            dispatcher_.write(*first, *values_[graph_.operand(id, 1).index]);
        }
    }
    // Sizes as constants, unless they are those of the graph under capture: symbols take the values that inputs show.
    AttrId attr_of(NodeId id) { return options_.symbols ? graph_[id].attr : (*at_sizes_)(graph_[id].attr); }
    void compute(NodeId id) {
        const bool grad = dispatcher_.grad_enabled() && !(graph_[id].flags & no_grad_flag);
        const Dispatcher::GradMode mode(dispatcher_, grad);
        std::vector<NodeId> inputs;  // what a tape entry of this op has as such
        const int history_of = row(graph_[id].op).history_of;
        if (graph_[id].op == op<"tuple">()) return;  // it has its elements
        if (graph_[id].op == op<"get">()) {
            const NodeId element = graph_.element(id);
            inputs = {element ? element : graph_.operand(id, 0)};
            values_[id.index] = element ? value(element) : results_.at(inputs[0].index)[result_number(id)];
        } else if (history_of >= 0 && !dispatcher_.tracer().capturing()) {
            const Ref<Autograd>& history = value(graph_.operand(id, static_cast<size_t>(history_of)))->autograd;
            values_[id.index] = make_ref<TensorObject>(value(graph_.operand(id, 0))->tensor);
            values_[id.index]->autograd = history;
            inputs = {graph_.operand(id, 0)};
        } else if (row(graph_[id].op).lowering == Lowering::regions) {
            for (NodeId operand : graph_.operands_of(id)) {
                value(operand);
                inputs.push_back(operand);
            }
            results_[id.index] = with_regions(id, inputs);
        } else if (row(graph_[id].op).memory == MemoryUse::replaces) {
            values_[id.index] = update(id);
            inputs = {graph_.operand(id, replaced_base), graph_.operand(id, replaced_value)};
        } else {
            std::vector<Arg> arguments;
            for (NodeId operand : graph_.operands_of(id)) {
                arguments.push_back(argument(operand));
                if (arguments.back().tensor) inputs.push_back(operand);
            }
            if (graph_[id].regions > 0) {
                std::vector<TensorRef> made = with_kernel_regions(id);
                if (graph_.type(id).is_tensor()) values_[id.index] = std::move(made[0]);
                else results_[id.index] = std::move(made);
            } else if (graph_.type(id).is_tensor()) {
                values_[id.index] = dispatcher_.apply(graph_[id].op, arguments, attr_of(id));
            } else {
                results_[id.index] = dispatcher_.apply_all(graph_[id].op, arguments, attr_of(id));
            }
        }
        if (!gone_.empty() || !gone_for_.empty()) note_gone(id, inputs);
        if (const auto shown = shown_.find(id.index); shown != shown_.end()) show(id, shown->second);
    }
    size_t result_number(NodeId get) const { return static_cast<size_t>(graph_.attributes(get).integer("index")); }
    // What was recorded of a node just computed.
    TapeEntry* entry_of(NodeId id) const {
        const auto several = results_.find(id.index);
        const std::span<const TensorRef> all(several == results_.end() ? std::span(&values_[id.index], 1)
                                                                       : several->second);
        const auto is_recorded = [](const TensorRef& x) { return x && x->autograd && x->autograd->entry; };
        const auto found = std::find_if(all.begin(), all.end(), is_recorded);
        return found == all.end() ? nullptr : (*found)->autograd->entry.get();
    }
    // In the graph under capture the node again (turns, whose number is known: where its sizes are that one's); otherwise
    // its regions are run here, each op by itself.
    std::vector<TensorRef> with_regions(NodeId id, std::span<const NodeId> inputs) {
        std::vector<TensorRef> operands;
        for (NodeId input : inputs) operands.push_back(values_[input.index]);
        if (dispatcher_.tracer().capturing() &&
            (options_.symbols || options_.own_sizes || row(graph_[id].op).control != ControlFlow::turns)) {
            std::vector<GraphRef> regions;
            for (unsigned k = 0; k < graph_[id].regions; ++k) {
                regions.push_back(extract_region(graph_, id, k));
                if (!options_.symbols) regions.back() = with_sizes(*regions.back(), *at_sizes_);
            }
            return dispatcher_.tracer().capture().trace().append_regions(graph_[id].op, operands, attr_of(id), regions);
        }
        std::vector<TensorRef> results = take_apart<TensorRef>(
            graph_, id, *at_sizes_, operands,
            [&](const Graph& region, std::span<const TensorRef> values) {
                return replay(dispatcher_, region, values, {.effects = true});
            },
            [&](const TensorRef& condition) {
                return dispatcher_.elements(*condition, "a condition").read_scalar() == Scalar(true);
            });
        // What a node gives is memory of its own.
        std::unordered_set<const Storage*> known;
        for (const TensorRef& x : operands) known.insert(x->tensor.storage.get());
        for (TensorRef& x : results)
            if (!x->is_symbolic() && !known.insert(x->tensor.storage.get()).second)
                x = dispatcher_.apply(op<"identity">(), {x});
        return results;
    }
    // Regions that are a part of the node's own kernel.
    std::vector<TensorRef> with_kernel_regions(NodeId id) {
        std::vector<TensorRef> operands;
        for (NodeId operand : graph_.operands_of(id)) operands.push_back(value(operand));
        std::vector<GraphRef> regions;
        for (unsigned k = 0; k < graph_[id].regions; ++k) {
            regions.push_back(extract_region(graph_, id, k));
            if (!options_.symbols) regions.back() = with_sizes(*regions.back(), *at_sizes_);
        }
        return dispatcher_.apply_all(graph_[id].op, operands, attr_of(id), regions);
    }
    // Of a value just computed: whether it is what it was, and what its entry has saved; of several results each in its turn.
    void note_gone(NodeId id, std::span<const NodeId> inputs) {
        for (NodeId input : inputs) {
            if (const auto found = gone_.find(input.index); found != gone_.end()) {
                gone_.emplace(id.index, found->second);
                break;
            }
        }
        const auto known = gone_.contains(id.index) ? known_.find(id.index) : known_.end();
        if (known != known_.end()) {
            values_[id.index]->tensor = known->second;
            gone_.erase(id.index);
        }
        const bool is_get = graph_[id].op == op<"get">();
        const NodeId maker = is_get ? graph_.operand(id, 0) : id;
        TapeEntry* const entry = row(graph_[id].op).history_of < 0 ? entry_of(maker) : nullptr;  // of a tuple: none
        if (!entry) return;
        const std::span<const Split::Saved> saved = entry->graph->saved();
        for (size_t k = 0; k < saved.size(); ++k) {
            if (saved[k].is_input ? is_get : !values_[id.index] || (is_get && saved[k].index != result_number(id)))
                continue;
            if (!saved[k].is_input && known != known_.end())
                entry->saved[k] = {known->second, known->second.storage->version};
            const NodeId value = saved[k].is_input ? inputs[saved[k].index] : id;
            if (const auto found = gone_.find(value.index); found != gone_.end()) {
                entry->saved[k].is_unknown = true;
                entry->saved[k].write = found->second;
            }
            for (const GoneFor& one : gone_for_) {
                if (one.value != value || one.by != maker) continue;
                entry->saved[k].is_gone = true;
                entry->saved[k].write = one.write;
            }
        }
    }
    struct Watched {
        std::vector<TapeEntry::Shown> what;
        std::vector<TapeEntry::Saved> memory;  // beside it
    };
    void show(NodeId id, const Watched& watched) {
        TapeEntry* const history = entry_of(id);
        if (!history) return;
        history->shown = std::make_shared<const std::vector<TapeEntry::Shown>>(watched.what);
        history->shown_memory = watched.memory;
    }
    // The view that is written is given as the way to it from the base.
    TensorRef update(NodeId id) {
        const NodeId base = graph_.operand(id, replaced_base);
        std::vector<Dispatcher::Step> steps;
        for (NodeId link = graph_.operand(id, replaced_view); link != base; link = graph_.operand(link, 0))
            steps.push_back({graph_[link].op, attr_of(link)});
        std::reverse(steps.begin(), steps.end());
        return dispatcher_.updated(*value(base), steps, *value(graph_.operand(id, replaced_value)));
    }

    Dispatcher& dispatcher_;
    Context& context_;
    const Graph& graph_;
    std::vector<TensorRef> values_;
    std::unordered_map<uint32_t, std::vector<TensorRef>> results_;  // of nodes with several
    std::vector<bool> needed_;
    std::unordered_map<uint32_t, Ref<Autograd>> leaves_;
    struct GoneFor {
        NodeId value, by;
        Span write;
    };
    std::unordered_map<uint32_t, Span> gone_;
    std::unordered_map<uint32_t, Tensor> known_;
    std::unordered_set<uint32_t> used_up_;
    std::vector<GoneFor> gone_for_;
    std::unordered_map<uint32_t, Watched> shown_;  // by op
    std::optional<Substitution> at_sizes_;
    const ReplayOptions options_;
};

}  // namespace tenon
