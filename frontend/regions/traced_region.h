// A function of a script as a region of a node: run once under a capture of its own, on values without elements.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "frontend/record/tracer.h"
#include "ir/graph.h"
#include "runtime/diagnostic.h"
#include "runtime/function_ref.h"

namespace tenon {

struct TracedRegion {
    GraphRef graph;                   ///< calls inlined
    std::vector<TensorRef> operands;  ///< what its parameters stand for: tensors from around it
    std::vector<TensorRef> shown;  ///< by result: the tensor from around it that it is or shows; null: one of its own
};

/// `run` gives the results; what it does to the host is taken back. Nothing, and `why`, where the function is no region:
/// it has effects, raises, or holds a checkpoint. May end the graph under capture, which then has another serial.
/// `cause` (optional) receives the error that it ended in, if it did.
std::optional<TracedRegion> trace_region(Tracer& tracer, FunctionRef<std::vector<TensorRef>()> run, std::string& why,
                                         Diagnostic* cause = nullptr);

/// The regions with one list of operands; each gets them all. `first` come first, as the first parameters of each that
/// stand for them, or as ones that it does not read.
std::vector<TensorRef> share_operands(std::span<TracedRegion> regions, std::span<const TensorRef> first = {});

}  // namespace tenon
