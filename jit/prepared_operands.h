// Operands of library calls that all turns of a scan read alike, in the form that their functions read faster: made once a run.
#pragma once

#include <array>
#include <span>
#include <vector>

#include "jit/library/library.h"

namespace tenon {

/// The forms that the turns at hand share.
class PreparedOperands {
public:
    static constexpr size_t most_bytes = size_t{256}
                                         << 20;  ///< of all of them: beyond it operands are read as they lie
    static constexpr size_t rounded(size_t bytes) { return (bytes + 63) / 64 * 64; }

    /// Other turns begin, which may have so much memory.
    void begin(std::span<std::byte> memory);
    /// The form of an operand, made by the first call that wants it; null where the call shall read it as it lies.
    const std::byte* find(const Preparation&, const LibraryCall&);

private:
    struct Form {
        const std::byte* elements;
        std::array<int64_t, 4> layout;
        const std::byte* made;  // null: there was no room
    };
    std::vector<Form> forms_;
    std::span<std::byte> free_;
};

}  // namespace tenon
