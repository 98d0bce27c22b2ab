#include "frontend/record/capture_overwritten.h"

#include <algorithm>
#include <cassert>

#include "frontend/history/graph_paths.h"
#include "frontend/record/capture_differentiation.h"
#include "frontend/record/saved_values.h"
#include "ir/passes/drop_cotangents.h"

namespace tenon {

void Capture::OverwrittenValues::note_shown(NodeId view, NodeId value) {
    if (shows_.size() <= view.index) shows_.resize(view.index + 1);
    shows_[view.index] = value;
}

// What the memory that this node shows held: a value of a storage.
NodeId Capture::OverwrittenValues::memory_value(NodeId node) const {
    while (node.index < shows_.size() && shows_[node.index]) node = shows_[node.index];
    return node;
}

// The write that has replaced what this node shows; null where there was none.
const Capture::OverwrittenValues::Write* Capture::OverwrittenValues::overwritten(NodeId node) const {
    if (writes_.empty()) return nullptr;
    const NodeId value = memory_value(node);
    const auto found = std::find_if(writes_.begin(), writes_.end(), [&](const Write& o) { return o.node == value; });
    return found == writes_.end() ? nullptr : &*found;
}

// A value that is read before it is overwritten by the operation whose gradient needs it, or that this operation has
// written itself, is kept for it; and what reads it later, as the gradient's own formula does, reads what was kept.
bool Capture::OverwrittenValues::is_kept(const Write& write, NodeId by) const {
    if (write.by.has(by) || write.made_by.has(by)) return true;
    const std::span<const NodeId> body = builder_.body();
    return write.position < body.size() && by.index >= body[write.position].index;
}

void Capture::OverwrittenValues::check(std::vector<ReverseRequest::Named> named, NodeId last) const {
    sort_as_saved(named, [&](NodeId id) { return builder_.operands_of(id); });
    for (const auto& [value, by] : named) {
        const Write* write = overwritten(value);
        if (!write || is_kept(*write, by) || (last && by.index <= last.index)) continue;
        throw_overwritten(describe(value), tracer_.context()[builder_.stamp_of(by).origin].span, write->write);
    }
}

std::string Capture::OverwrittenValues::describe(NodeId value) const {
    const Type& type = builder_.type(value);
    Dims shape;
    for (SizeId size : type.sizes) shape.push_back(tracer_.context().evaluate(size, builder_.known_sizes().hints()));
    return std::string(name_of(type.dtype)) + shape_to_string(shape);
}

GraphRef without_symbols(const Graph& graph, std::span<const int64_t> values) {
    return specialise(graph, values, std::vector<bool>(values.size()));
}

// What the formulas of this graph's backward half name, here. `flat`: this graph, `kept`: where its nodes are there.
std::vector<ReverseRequest::Named> Capture::OverwrittenValues::named_by(const Plan& plan, const Graph& flat,
                                                                        std::span<const NodeId> kept) const {
    std::vector<NodeId> here(flat.nodes.size());
    for (uint32_t id = 0; id < kept.size(); ++id) {
        if (kept[id]) here[kept[id].index] = NodeId(id);
    }
    std::vector<NodeId> results, wrt;
    for (size_t k : plan.differentiable) results.push_back(flat.results()[k]);
    const size_t inputs = flat.params().size();
    for (size_t k : plan.wrt) wrt.push_back(k < inputs ? flat.params()[k] : flat.results()[k - inputs]);
    std::vector<ReverseRequest::Named> found;
    for (const auto& [value, by] : named_by_formulas(flat, builder_.known_sizes().hints(), results, wrt)) {
        if (here[value.index]) found.push_back({here[value.index], here[by.index]});
    }
    return found;
}

// Of the values that a backward half reads, those that some result's cotangent needs only to compute again what op by op
// would have been saved: no formula on its way names them, so that what others write is no error.
std::vector<size_t> Capture::OverwrittenValues::read_again(const CompiledGraph& graph, const Plan& plan,
                                                           std::span<const ReverseRequest::Named> named,
                                                           std::span<const std::vector<bool>> reached) const {
    std::vector<NodeId> memory;  // by saved value: of which memory it is; null where nobody else has it
    for (const Split::Saved& saved : graph.saved()) {
        NodeId& value = memory.emplace_back();
        if (saved.is_input && capture_.inputs_[saved.index].storage != none) value = capture_.inputs_[saved.index].node;
        if (!saved.is_input && saved.index < plan.results.size()) value = plan.results[saved.index];
    }
    std::vector<size_t> found;
    if (std::none_of(memory.begin(), memory.end(), [](NodeId id) { return bool(id); })) return found;
    const std::vector<std::vector<bool>> reads =
        reads_saved_of_each(*graph.lean()->backward, memory.size(), reached.size());
    std::vector<bool> guarded(memory.size());
    for (size_t r = 0; r < reached.size(); ++r) {
        std::vector<bool> names(builder_.size());
        for (const auto& [value, by] : named) {
            if (reached[r][by.index]) names[memory_value(value).index] = true;
        }
        for (size_t k = 0; k < memory.size(); ++k) {
            if (memory[k] && reads[r][k] && !names[memory[k].index]) guarded[k] = true;
        }
    }
    for (size_t k = 0; k < guarded.size(); ++k) {
        if (guarded[k]) found.push_back(k);
    }
    return found;
}

void Capture::OverwrittenValues::note_named(const CompiledGraph& graph, const Plan& plan) {
    named_.erase(&graph);  // of one before it, which is gone
    if (!graph.split()) return;
    std::vector<NodeId> kept;
    const GraphRef flat = builder_.finish(plan.results, {}, false, &kept);
    // The joint's graph begins with the same nodes in the same order.
    const Graph& joint = *graph.joint()->graph;
    std::vector<NodeId> there(flat->nodes.size());
    for (size_t k = 0; k < flat->params().size(); ++k) there[flat->params()[k].index] = joint.params()[k];
    for (size_t k = 0; k < flat->body().size(); ++k) {
        assert((*flat)[flat->body()[k]].op == joint[joint.body()[k]].op && "the joint begins with another graph");
        there[flat->body()[k].index] = joint.body()[k];
    }
    std::vector<uint32_t> holder(builder_.size(), none);  // of a value that memory holds at the end: its storage
    for (uint32_t s = 0; s < capture_.storages_.size(); ++s) {
        if (capture_.storages_[s].input != none || capture_.storages_[s].output != none)
            holder[capture_.storages_[s].current.index] = s;
    }
    std::vector<std::vector<bool>> reached;  // by differentiable result: nodes of this graph
    for (const std::vector<bool>& nodes : nodes_reached(*flat, plan.differentiable)) {
        std::vector<bool>& here = reached.emplace_back(builder_.size());
        for (uint32_t id = 0; id < kept.size(); ++id) here[id] = kept[id] && nodes[kept[id].index];
    }
    const auto as_lost = [&](NodeId value, NodeId by, Span write) {
        const Type& type = builder_.type(value);
        TapeEntry::Lost lost{type.dtype,
                             {},
                             tracer_.context()[builder_.stamp_of(by).origin].span,
                             write,
                             {},
                             there[kept[by.index].index],
                             there[kept[value.index].index]};
        for (SizeId size : type.sizes)
            lost.shape.push_back(tracer_.context().evaluate(size, builder_.known_sizes().hints()));
        for (const std::vector<bool>& nodes : reached) lost.needed_by.push_back(nodes[by.index]);
        return lost;
    };
    NamedValues found;
    std::vector<TapeEntry::Shown> shown;
    const std::vector<ReverseRequest::Named> named = named_by(plan, *flat, kept);
    for (const auto& [value, by] : named) {
        const NodeId held = memory_value(value);
        if (const Write* write = overwritten(value)) {
            if (!is_kept(*write, by)) {
                found.lost.push_back(as_lost(value, by, write->write));
                continue;
            }
            for (size_t k = 0; k < capture_.inputs_.size(); ++k) {
                if (capture_.inputs_[k].node == held) found.kept.push_back(k);
            }
        } else if (const uint32_t s = holder[held.index]; s != none && !capture_.storages_[s].written_by.has(by)) {
            const bool is_input = capture_.storages_[s].input != none;
            shown.push_back({as_lost(value, by, {}), is_input,
                             is_input ? capture_.storages_[s].input : capture_.storages_[s].output});
        }
    }
    for (size_t k : read_again(graph, plan, named, reached)) {
        const Split::Saved& saved = graph.saved()[k];
        if (saved.is_input && capture_.storages_[capture_.inputs_[saved.index].storage].version > 0)
            found.kept.push_back(saved.index);
        else found.guarded.push_back(k);
    }
    for (NodeId id : capture_.differentiation_->used_up()) {
        if (!kept[id.index]) continue;
        found.used_up.resize(graph.joint()->graph->nodes.size());
        found.used_up[there[kept[id.index].index].index] = true;
    }
    if (found.lost.empty() && found.kept.empty() && found.guarded.empty() && found.used_up.empty() && shown.empty())
        return;
    found.shown = std::make_shared<const std::vector<TapeEntry::Shown>>(std::move(shown));
    named_.emplace(&graph, std::move(found));
}

std::vector<TapeEntry::Input> Capture::OverwrittenValues::inputs_to_record(const Plan& plan,
                                                                           const CompiledGraph& graph) const {
    std::vector<TapeEntry::Input> inputs;
    if (plan.differentiable.empty()) return inputs;
    inputs.reserve(capture_.inputs_.size());
    for (const Input& input : capture_.inputs_)
        inputs.push_back({input.tensor, input.tensor.storage->version, input.edge});
    // A functional derivative that goes on after this graph differentiates it op by op, from what its inputs were.
    if (capture_.differentiation_->derives()) {
        for (size_t k = 0; k < capture_.inputs_.size(); ++k) {
            const uint32_t storage = capture_.inputs_[k].storage;
            if (storage != none && capture_.storages_[storage].version > 0)
                inputs[k].before = capture_.inputs_[k].tensor.clone();
        }
    }
    const auto written = named_.find(&graph);
    if (written == named_.end()) return inputs;
    for (const Split::Saved& saved : graph.saved()) {
        const std::vector<size_t>& kept = written->second.kept;
        if (!saved.is_input || std::find(kept.begin(), kept.end(), saved.index) == kept.end()) continue;
        inputs[saved.index].tensor = inputs[saved.index].tensor.clone();
        inputs[saved.index].version = inputs[saved.index].tensor.storage->version;
    }
    return inputs;
}

void Capture::OverwrittenValues::describe_run(const CompiledGraph* graph, const Plan& plan,
                                              std::span<const Tensor> outputs) const {
    const auto named = named_.find(graph);
    if (named == named_.end() || plan.owners.empty()) return;
    TapeEntry& entry = *plan.owners[0]->autograd->entry;
    entry.lost = named->second.lost;
    entry.guard(named->second.guarded);
    entry.used_up = named->second.used_up;
    entry.shown = named->second.shown;
    for (const TapeEntry::Shown& shown : *entry.shown) {
        const Tensor& memory = shown.is_input ? capture_.inputs_[shown.index].tensor : outputs[shown.index];
        entry.shown_memory.push_back({memory, memory.storage->version});
    }
}

void Capture::OverwrittenValues::take_back(uint32_t position) {
    for (; !writes_.empty() && writes_.back().position > position; writes_.pop_back())
        capture_.storages_[writes_.back().storage].current = writes_.back().node;
}

void Capture::OverwrittenValues::renumber(std::span<const NodeId> image) {
    for (Write& write : writes_) {
        if (write.node) write.node = image[write.node.index];
        write.by.renumber(builder_, image);
        write.made_by.renumber(builder_, image);
    }
    std::vector<NodeId> shown(shows_.empty() ? 0 : builder_.size());
    for (size_t k = 0; k < shows_.size(); ++k) {
        if (shows_[k] && image[k]) shown[image[k].index] = image[shows_[k].index];
    }
    shows_ = std::move(shown);
}

void Capture::OverwrittenValues::clear() {
    writes_.clear();
    shows_.clear();
}

}  // namespace tenon
