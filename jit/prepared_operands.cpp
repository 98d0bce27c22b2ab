#include "jit/prepared_operands.h"

#include <algorithm>

namespace tenon {

const std::byte* PreparedOperands::find(const Preparation& wanted, const LibraryCall& call,
                                        const Allocator& allocator) {
    const std::byte* const elements = call.operands[wanted.operand].data;
    const auto known = std::find_if(forms_.begin(), forms_.end(), [&](const Form& form) {
        return form.elements == elements && form.layout == wanted.layout;
    });
    if (known != forms_.end()) return known->made->data;
    if (bytes_ + wanted.bytes > most_bytes) return nullptr;
    Ref<Storage> made = allocator.allocate(wanted.bytes);
    call.plan.preparing->make(call, made->data);
    bytes_ += wanted.bytes;
    return forms_.emplace_back(Form{elements, wanted.layout, std::move(made)}).made->data;
}

}  // namespace tenon
