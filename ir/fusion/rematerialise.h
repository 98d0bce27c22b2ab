// Whole steps, with their derivatives in them, computed again in part. (Halves: `rematerialise`, ir/passes/passes.h.)
#pragma once
#include <vector>

#include "ir/passes/passes.h"

namespace tenon {

struct Rematerialised {
    GraphRef graph;
    std::vector<bool> kept;  // by node: it gets memory of its own, from which derivatives read it
};
// Afterwards a node of a derivative reads, of what was computed before derivatives, what is kept for it, inputs, or copies
// that are computed where they are first needed. A graph without derivatives, or of nothing else, is given back.
Rematerialised rematerialise_step(const GraphRef&, Decisions&);

}  // namespace tenon
