// What a kernel is, whatever graph it stands in: its code, and the sizes that its code need not know.
//
// A size is a parameter of the code where code that knows it is no better: it has symbols, or it says where a buffer is
// read or written (an offset, the stride of a loop that is neither the vector loop nor a fold), or where an outermost
// loop ends that is long enough. Kernels that differ in no other size are of one form, and compiled once.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "ir/stable_hash.h"
#include "jit/backend.h"
#include "jit/kernel.h"

namespace tenon {

struct KernelForm {
    StableHash hash;                 ///< equal for kernels of one form, in any session and process
    std::vector<SizeId> parameters;  ///< what this one gives for them, sizes of its graph
    std::vector<int32_t> uses;       ///< of extents, in the order of the region: a parameter, or −1 for a constant
};

KernelForm kernel_form(const Graph&, NodeId kernel, std::span<const InPlace> in_place);

/// A kernel of that form in a graph of its own, whose symbols are the parameters, in order. Tensors of that graph have
/// no sizes. Its name is made of its ops and the hash.
KernelSource standing_kernel(const Graph&, NodeId kernel, std::vector<InPlace> in_place, const KernelForm& form);

/// What a loop stage of a standing kernel is, whichever of the kernel's buffers and parameters it works on: the parts of a
/// long cat, an optimiser's updates of small tensors.
struct StageForm {
    StableHash hash;
    std::vector<uint32_t> buffers, extents;  ///< in the order in which the stage uses them, by number in the kernel
};
/// None where it reads scalars of other stages.
std::optional<StageForm> stage_form(const KernelSource& source, const KernelInfo& info, const KernelStage& stage);

}  // namespace tenon
