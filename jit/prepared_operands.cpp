#include "jit/prepared_operands.h"

#include <algorithm>

#include "runtime/diagnostic.h"

namespace tenon {

const std::byte* PreparedOperands::find(const Preparation& wanted, const LibraryCall& call,
                                        const Allocator& allocator) {
    const std::byte* const elements = call.operands[wanted.operand].data;
    const auto known = std::find_if(forms_.begin(), forms_.end(), [&](const Form& form) {
        return form.elements == elements && form.layout == wanted.layout;
    });
    if (known != forms_.end()) return known->made ? known->made->data : nullptr;
    Form form{elements, wanted.layout, {}};
    if (bytes_ + wanted.bytes <= most_bytes) {
        try {
            form.made = allocator.allocate(wanted.bytes);
        } catch (const Error&) {  // no memory for it: the turns can do without
        }
    }
    if (form.made) {
        call.plan.preparing->make(call, form.made->data);
        bytes_ += wanted.bytes;
    }
    forms_.push_back(std::move(form));
    return forms_.back().made ? forms_.back().made->data : nullptr;
}

}  // namespace tenon
