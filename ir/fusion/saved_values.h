// What derivatives read of the values computed before them: kept in memory until then, or computed again. Elementwise ops,
// casts and movement can be computed again, from values that are kept. Every choice costs bytes of memory traffic: of what
// is kept its writing and reading, and the room that it takes meanwhile; of what is computed again its arithmetic. The
// cheapest of all choices is a minimum cut between what cannot be computed again and what derivatives read (Jain et al.,
// "Checkmate: Breaking the memory wall with optimal tensor rematerialization", 2020, has the problem).
#pragma once
#include <vector>

#include "ir/passes/passes.h"

namespace tenon {

struct SavedValues {  // by node, of those that are no part of a derivative and that derivatives need
    std::vector<bool> kept, again;
};

/// `backward`: by node, is it a part of a derivative? `keeps_inputs`: parameters are there anyway. Decisions: each value,
/// with its bytes.
SavedValues choose_saved_values(const Graph&, const std::vector<bool>& backward, bool keeps_inputs, const Target&,
                                Decisions&);

}  // namespace tenon
