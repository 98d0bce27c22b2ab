#include "jit/prepared_operands.h"

#include <algorithm>

namespace tenon {

void PreparedOperands::begin(std::span<std::byte> memory) {
    forms_.clear();
    free_ = memory;
}

const std::byte* PreparedOperands::find(const Preparation& wanted, const LibraryCall& call) {
    const std::byte* const elements = call.operands[wanted.operand].data;
    const auto known = std::find_if(forms_.begin(), forms_.end(), [&](const Form& form) {
        return form.elements == elements && form.layout == wanted.layout;
    });
    if (known != forms_.end()) return known->made;
    std::byte* made = nullptr;
    if (const size_t bytes = rounded(wanted.bytes); bytes <= free_.size()) {
        made = free_.data();
        free_ = free_.subspan(bytes);
        call.plan.preparing->make(call, made);
    }
    forms_.push_back({elements, wanted.layout, made});
    return made;
}

}  // namespace tenon
