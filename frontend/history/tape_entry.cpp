#include "frontend/history/tape_entry.h"

#include <algorithm>
#include <cassert>
#include <utility>
#include <vector>

#include "frontend/compile/graph_cache.h"

namespace tenon {

Edge Edge::of(const TensorObject& tensor) {
    assert(!tensor.is_behind() && "a view's history is used that is not its base's");
    if (!tensor.requires_grad()) return {};
    const Autograd& autograd = *tensor.autograd;
    if (autograd.entry) return {autograd.entry, autograd.output, {}};
    return autograd.in_graph ? Edge{} : Edge{{}, 0, tensor.autograd};
}

Ref<Autograd> Autograd::copy_of_history() const {
    auto copy = make_ref<Autograd>();
    copy->restore_history(*this);
    return copy;
}

void Autograd::restore_history(const Autograd& before) {
    requires_grad = before.requires_grad;
    entry = before.entry;
    output = before.output;
    in_graph = before.in_graph;
    number = before.number;
}

// Long chains (a recurrent net's steps) are taken apart one by one, not by recursion.
TapeEntry::~TapeEntry() {
    guard({});
    std::vector<Ref<TapeEntry>> chain;
    auto take = [&chain](TapeEntry& entry) {
        for (Edge& edge : entry.edges) {
            if (edge.entry) chain.push_back(std::move(edge.entry));
        }
        for (Input& input : entry.inputs) {
            if (input.edge.entry) chain.push_back(std::move(input.edge.entry));
        }
        for (Edge& edge : entry.unfolded) {
            if (edge.entry) chain.push_back(std::move(edge.entry));
        }
    };
    take(*this);
    while (!chain.empty()) {
        Ref<TapeEntry> entry = std::move(chain.back());
        chain.pop_back();
        if (entry.unique()) take(*entry);
    }
}

void TapeEntry::guard(std::span<const size_t> which) {
    for (size_t k : guarded) saved[k].tensor.storage->remove_reader(*this);
    guarded.assign(which.begin(), which.end());
    for (size_t k : guarded) saved[k].tensor.storage->add_reader(*this);
}

void TapeEntry::before_write(const Storage& storage) {
    std::erase_if(guarded, [&](size_t k) {
        if (saved[k].tensor.storage.get() != &storage) return false;
        saved[k] = {.tensor = saved[k].tensor.clone()};
        if (const Split::Saved& place = graph->saved()[k]; place.is_input) inputs[place.index].before = saved[k].tensor;
        return true;
    });
}

void TapeEntry::clear() {
    guard({});
    saved.clear();
    shown_memory.clear();
}

}  // namespace tenon
