// Nodes with regions taken apart: what they stand for, where values are at hand. Eager runs do this, and checks.
#pragma once
#include <span>
#include <string>
#include <vector>

#include "ir/build/regions.h"
#include "ir/build/unroll.h"
#include "ir/row.h"
#include "runtime/function_ref.h"

namespace tenon {

/// A graph of the values that some turns have saved, those of one turn after those of another, to the values of a bounded
/// while_loop after what it carries: how many turns there were, and the stacks.
GraphRef stacks_of_turns(Context&, std::span<const TypeId> saved, int64_t turns, int64_t max_turns);
[[noreturn]] void throw_too_many_turns(int64_t max_turns);

/// The values of a node with regions. `run` does a graph of plain ops, `is_true` reads a condition.
template <class Value>
std::vector<Value> take_apart(const Graph& graph, NodeId id, Substitution& sizes, std::vector<Value> operands,
                              FunctionRef<std::vector<Value>(const Graph&, std::span<const Value>)> run,
                              FunctionRef<bool(const Value&)> is_true) {
    const Attributes attributes(*graph.context, sizes(graph[id].attr));
    const auto region = [&](unsigned k) { return with_sizes(*extract_region(graph, id, k), sizes); };
    switch (row(graph[id].op).control) {
        case ControlFlow::turns: {
            std::vector<TypeId> types;
            for (NodeId operand : graph.operands_of(id)) types.push_back(sizes(graph[operand].type));
            return run(*unroll(*region(0), ScanForm(attributes), types), operands);
        }
        case ControlFlow::branch: return run(*region(is_true(operands[0]) ? 0 : 1), std::span(operands).subspan(1));
        case ControlFlow::loop: {
            const LoopForm form(attributes);
            const GraphRef condition = region(0), body = region(1);
            std::vector<Value> saved;
            int64_t turns = 0;
            for (; is_true(run(*condition, operands)[0]); ++turns) {
                if (turns == form.max_turns) throw_too_many_turns(form.max_turns);
                std::vector<Value> left = run(*body, operands);
                std::move(left.begin() + ptrdiff_t(form.carried), left.end(), std::back_inserter(saved));
                std::move(left.begin(), left.begin() + ptrdiff_t(form.carried), operands.begin());
            }
            operands.resize(form.carried);
            if (form.is_bounded()) {
                std::vector<TypeId> types;
                for (NodeId r : body->results().subspan(form.carried)) types.push_back((*body)[r].type);
                std::vector<Value> stacks = run(*stacks_of_turns(*graph.context, types, turns, form.max_turns), saved);
                std::move(stacks.begin(), stacks.end(), std::back_inserter(operands));
            }
            return operands;
        }
        case ControlFlow::none: break;
    }
    return {};
}

}  // namespace tenon
