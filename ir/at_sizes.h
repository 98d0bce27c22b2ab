// Types and attributes with constants for sizes: what they are for one value of each symbol.
#pragma once
#include <span>

#include "ir/context.h"

namespace tenon {

AttrId at_sizes(Context&, AttrId, std::span<const int64_t> symbols);
TypeId at_sizes(Context&, TypeId, std::span<const int64_t> symbols);

}  // namespace tenon
