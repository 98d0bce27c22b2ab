// Runs of alike kernels: which steps are one dispatch, and an order in which more of them are.
#pragma once

#include <vector>

#include "jit/machine.h"
#include "jit/step_builder.h"

namespace tenon {

/// Sets `plan.batches`, and brings steps of one form together: a kernel that moves little memory waits for the next of its
/// form, as long as nothing needs what it makes. Not where values would then take more memory than before, by the sizes
/// seen. `kernels`: by step, put in the order of the steps; those without code join nothing.
void batch_steps(const Graph&, StepPlan& plan, std::vector<Machine::Kernel>& kernels);

}  // namespace tenon
