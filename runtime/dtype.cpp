#include "runtime/dtype.h"

namespace tenon {

std::optional<DType> dtype_from_name(std::string_view name) {
    for (int i = 0; i < dtype_count; ++i) {
        if (auto d = static_cast<DType>(i); name == name_of(d)) return d;
    }
    return std::nullopt;
}

}  // namespace tenon
