// A kernel's call on one thread, with the thread's own memory behind the kernel's buffers.
#pragma once

#include <algorithm>
#include <optional>
#include <span>

#include "jit/kernel.h"
#include "runtime/workspace.h"

namespace tenon {

class ScratchCall {
public:
    /// `offsets`: scratch_offsets of the kernel, or none where it has no scratch. What is borrowed of the pool is given back
    /// at the end, and kept there: nothing is allocated once a thread has run a kernel of this size.
    ScratchCall(const KernelCall& call, const KernelInfo& info, std::span<const size_t> offsets, WorkspacePool& pool)
        : call_(call) {
        if (offsets.empty()) return;
        constexpr size_t line = 64;
        const size_t first = info.first_scratch(), count = offsets.size() - 1,
                     pointers = ((first + count) * sizeof(void*) + line - 1) / line * line;
        workspace_.emplace(pool);
        std::byte* const memory = workspace_->reserve(pointers + offsets.back());
        void** const buffers = reinterpret_cast<void**>(memory);
        std::copy_n(call.buffers, first, buffers);
        for (size_t k = 0; k < count; ++k) buffers[first + k] = memory + pointers + offsets[k];
        call_.buffers = buffers;
    }
    const KernelCall& operator*() const { return call_; }

private:
    KernelCall call_;
    std::optional<Workspace> workspace_;
};

}  // namespace tenon
