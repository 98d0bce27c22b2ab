#include "jit/control/turns.h"

#include <algorithm>
#include <cstring>

#include "ir/build/copier.h"
#include "ir/build/regions.h"
#include "ir/row.h"
#include "runtime/interrupt.h"

namespace tenon {

Turns::Turns(const Graph& graph, NodeId node)
    : form_(graph.attributes(node)), stack_of_(form_.carried, none), result_of_carry_(form_.carried, none) {
    const GraphRef whole = extract_region(graph, node, 0);
    const auto results = whole->results();
    stacks_ = results.size() - form_.carried;
    Builder builder(*whole->context);
    Copier copy(*whole, builder);
    copy.copy_params();
    copy.copy_body();
    std::vector<NodeId> written;
    for (size_t k = 0; k < form_.carried; ++k) {
        const auto stacks = results.subspan(form_.carried);
        const auto stack = std::find(stacks.begin(), stacks.end(), results[k]);
        if (stack != stacks.end()) {
            stack_of_[k] = size_t(stack - stacks.begin());
            continue;
        }
        result_of_carry_[k] = written.size();
        written.push_back(copy(results[k]));
    }
    for (NodeId stack : results.subspan(form_.carried)) written.push_back(copy(stack));
    regions_ = {builder.finish(written, whole->name)};
    for (size_t k = 0; k < form_.carried; ++k) stays_.push_back(may_stay(k));
    inputs_.resize(regions_[0]->params().size());
    first_.resize(inputs_.size());
    outputs_.resize(written.size());
}

// What it becomes is all that reads it.
bool Turns::may_stay(size_t carry) const {
    if (result_of_carry_[carry] == none) return false;
    const Graph& g = *regions_[0];
    const NodeId value = g.params()[carry], becomes = g.results()[result_of_carry_[carry]];
    const int operand = row(g[becomes].op).in_place_operand;
    const auto read = g.operands_of(becomes);
    if (operand < 0 || size_t(operand) >= read.size() || read[size_t(operand)] != value) return false;
    if (g[value].type != g[becomes].type) return false;
    size_t uses = size_t(std::count(g.results().begin(), g.results().end(), value));
    for (NodeId id : g.body()) {
        const auto operands = g.operands_of(id);
        uses += size_t(std::count(operands.begin(), operands.end(), value));
    }
    return uses == 1 && std::count(g.results().begin(), g.results().end(), becomes) == 1;
}

size_t Turns::scratch_bytes(std::span<const Sizes> sizes) const { return Places::bytes(sizes[0].results, 2); }

void Turns::run(const Call& call) {
    const auto &reads = call.reads, &writes = call.writes;
    const Sizes& sizes = call.sizes[0];
    const int64_t turns = call.evaluate(form_.turns);
    places_.set(sizes.results, 2, call.scratch);
    const size_t first_stack = outputs_.size() - stacks_;
    carried_.assign(reads.begin(), reads.begin() + ptrdiff_t(form_.carried));
    for (const ScanForm::Saved& saved : form_.saved) first_[saved.operand] = size_t(call.evaluate(saved.first));
    for (int64_t i = 0; i < turns; ++i) {
        check_interrupt();
        const size_t t = size_t(form_.reverse ? turns - 1 - i : i);
        const bool is_last = i + 1 == turns;
        for (size_t k = 0; k < inputs_.size(); ++k) {
            if (k < form_.carried) inputs_[k] = carried_[k];
            else inputs_[k] = reads[k] + (form_.is_sliced(k) ? (first_[k] + t) * sizes.parameters[k] : 0);
        }
        for (size_t k = 0; k < form_.carried; ++k) {
            const size_t result = result_of_carry_[k];
            if (result == none) continue;
            outputs_[result] = writes[k] && (is_last || stays_[k]) ? writes[k] : places_(result, stays_[k] ? 0 : i);
        }
        for (size_t j = 0; j < stacks_; ++j) {
            const size_t result = first_stack + j;
            std::byte* const stack = writes[form_.carried + j];
            outputs_[result] = stack ? stack + t * sizes.results[result] : places_(result, i);
        }
        call.run(0, inputs_, outputs_);
        for (size_t k = 0; k < form_.carried; ++k)
            carried_[k] = outputs_[stack_of_[k] != none ? first_stack + stack_of_[k] : result_of_carry_[k]];
    }
    for (size_t k = 0; k < form_.carried; ++k)
        if (writes[k] && carried_[k] != writes[k] && sizes.parameters[k] > 0)
            std::memcpy(writes[k], carried_[k], sizes.parameters[k]);
}

}  // namespace tenon
