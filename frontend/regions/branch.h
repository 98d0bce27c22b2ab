// A branch on a tensor's value as one node of the graph under capture (cond, ir/regions.h).
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "frontend/record/tracer.h"
#include "runtime/function_ref.h"

namespace tenon {

/// One side: gives its tensors, as many of the same types as the other. It is run to be traced, and what it does to the
/// host is taken back.
using BranchSide = FunctionRef<std::vector<TensorRef>()>;

struct BranchRules {
    /// Whether result k may be `shown`, a tensor from around the branch that a side gives as it is, or a view of it: as a
    /// result of the node it is one by itself.
    FunctionRef<bool(size_t k, const TensorObject& shown)> may_show;
    FunctionRef<std::string(size_t k)> name;  ///< what messages call result k
};

/// The results of the node. Nothing, and `why`, where a side has effects or raises, the types differ, or a gradient would
/// not lead where it leads when only the side taken is run.
std::optional<std::vector<TensorRef>> append_branch(Tracer& tracer, const TensorRef& condition, BranchSide yes,
                                                    BranchSide no, const BranchRules& rules, std::string& why);

}  // namespace tenon
