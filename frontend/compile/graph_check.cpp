#include "frontend/compile/graph_check.h"

#include <algorithm>

#include "frontend/compile/graph_cache.h"

namespace tenon {

void GraphCheck::forward(std::span<const MadeGraph> made, Executable& executable, std::span<const Tensor> inputs,
                         std::vector<Tensor>& outputs) {
    std::vector<MadeGraph> graphs;
    const size_t own = graph_.result_count();
    if (graph_.joint()) {
        graphs.push_back({"capture", graph_.graph()});
        graphs.push_back({"reverse", graph_.joint()->graph, own, own});
        graphs.push_back({"split", graph_.split()->forward, own});
    }
    graphs.insert(graphs.end(), made.begin(), made.end());
    if (graph_.joint()) graphs[3].compared = own;
    inputs_ = copy_together(inputs, checker_.allocator());
    first_ = checker_.run(graphs, machine_code_, executable, engine_, inputs, outputs);
}

bool GraphCheck::is_first_run(std::span<const Tensor> saved, std::span<const Tensor> cotangents) const {
    for (size_t k = 0; k < saved.size(); ++k) {
        const Split::Saved& s = graph_.saved()[k];
        const std::vector<Tensor>& known = s.is_input ? inputs_ : first_.results;
        if (s.index >= known.size() || !describe_difference(known[s.index], saved[k]).empty()) return false;
    }
    for (size_t k = 0; k < cotangents.size(); ++k) {
        const size_t result = graph_.differentiable()[k];
        if (result >= first_.results.size() || first_.results[result].shape != cotangents[k].shape) return false;
    }
    return true;
}

void GraphCheck::check_halves(const Half& half, std::span<const Tensor> cotangents, std::span<const Tensor> running,
                              RunRecord now) const {
    std::vector<size_t> results;
    std::vector<Tensor> inputs = inputs_;
    const bool all = std::find(half.present.begin(), half.present.end(), false) == half.present.end();
    for (size_t k = 0; k < cotangents.size(); ++k) {
        if (!all && !half.present[k]) continue;
        results.push_back(graph_.differentiable()[k]);
        inputs.push_back(cotangents[k]);
    }
    inputs.insert(inputs.end(), running.begin(), running.end());
    const Joint joint = make_joint(*graph_.graph(), results, graph_.wrt(), half.continues);
    const auto gradients_of = [&](const GraphRef& graph, std::span<const Tensor> given, size_t own) {
        const MadeGraph made{"", graph};
        RunRecord record = checker_.check({&made, 1}, given);
        record.inputs.clear();
        if (!record.failure) record.results.erase(record.results.begin(), record.results.begin() + ptrdiff_t(own));
        return record;
    };
    RunRecord expected = gradients_of(joint.graph, inputs, joint.outputs);
    if (all) {
        const Split split = split_joint(joint);
        const MadeGraph forward{"", split.forward};
        const RunRecord values = checker_.check({&forward, 1}, inputs_);
        std::vector<Tensor> given;
        for (const Split::Saved& s : split.saved)
            given.push_back(s.is_input ? inputs_[s.index] : values.results[s.index]);
        given.insert(given.end(), cotangents.begin(), cotangents.end());
        given.insert(given.end(), running.begin(), running.end());
        RunRecord apart = gradients_of(split.backward, given, 0);
        PassCheck::compare(expected, apart, "split", *split.backward);
        expected = std::move(apart);
    }
    // Where a cotangent is left out, a gradient may be, too.
    std::vector<Tensor> counterparts;
    for (size_t k = 0, next = 0; k < half.reached.size(); ++k) {
        if (joint.reached[k] && half.reached[k]) counterparts.push_back(expected.results[next]);
        next += joint.reached[k];
    }
    expected.results = std::move(counterparts);
    now.inputs.clear();
    PassCheck::compare(expected, now, half.made[0].maker, *half.made[0].graph);
}

void GraphCheck::backward(const Half& half, Executable& executable, std::span<const Tensor> arguments,
                          std::vector<Tensor>& gradients) {
    const size_t saved = graph_.saved().size(), cotangents = graph_.differentiable().size();
    if (is_first_run(arguments.first(saved), arguments.subspan(saved, cotangents)))
        check_halves(half, arguments.subspan(saved, cotangents), arguments.subspan(saved + cotangents),
                     checker_.check(half.made.first(1), arguments));
    checker_.run(half.made, machine_code_, executable, engine_, arguments, gradients);
}

}  // namespace tenon
