// Operands of library calls that all turns of a scan read alike, in the form that their functions read faster: made once a run.
#pragma once

#include <array>
#include <vector>

#include "jit/library/library.h"
#include "runtime/allocator.h"
#include "runtime/tensor.h"

namespace tenon {

/// The forms that the turns at hand share.
class PreparedOperands {
public:
    static constexpr size_t most_bytes = size_t{256}
                                         << 20;  ///< of all of them: beyond it operands are read as they lie

    /// The form of an operand, made by the first call that wants it; null where the call shall read it as it lies.
    const std::byte* find(const Preparation&, const LibraryCall&, const Allocator&);

private:
    struct Form {
        const std::byte* elements;
        std::array<int64_t, 4> layout;
        Ref<Storage> made;  // null: there was no room
    };
    std::vector<Form> forms_;
    size_t bytes_ = 0;
};

}  // namespace tenon
