// A step that calls a library function, on sizes that are known.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "ir/graph.h"
#include "jit/library/library.h"
#include "jit/machine.h"
#include "jit/prepared_operands.h"
#include "jit/step_builder.h"

namespace tenon {

Dims shape_of(const Graph&, TypeId, std::span<const int64_t> symbols);

class LibraryStep {
public:
    /// `step` and `graph` outlive it. Of a region that runs several times: its parameters from `first_captured` on are the
    /// same each time.
    LibraryStep(const Graph& graph, const StepLayout& step, size_t first_captured)
        : graph_(graph), step_(step), first_captured_(first_captured) {}

    /// What depends on the values of symbols.
    struct Sizes {
        std::vector<TensorView> views;  // operands, then results
        Preparation preparation;        // of an operand that is the same in all turns
    };
    Sizes plan(std::span<const int64_t> symbols, Machine& machine) const;
    /// What `explain` tells of it.
    void decide(const Sizes&, Decisions&) const;

    /// `pointers`: what it reads and writes; `prepared`: what the turns at hand share, null where there are none. Errors of the
    /// function get the node's place.
    void run(Sizes&, std::span<std::byte* const> pointers, PreparedOperands* prepared, Machine&) const;

private:
    LibraryCall call(std::span<const TensorView> views, Machine& machine) const {
        return {step_.library,
                views.first(step_.reads.size()),
                views.subspan(step_.reads.size()),
                machine.instructions(),
                machine.pool(),
                machine.workspaces()};
    }

    const Graph& graph_;
    const StepLayout& step_;
    const size_t first_captured_;
};

}  // namespace tenon
