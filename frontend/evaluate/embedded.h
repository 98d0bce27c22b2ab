// The standard library's sources, stdlib/*.model, as the build embedded them.
#pragma once
#include <algorithm>
#include <span>
#include <string_view>

#include "runtime/embedded_file.h"

namespace tenon {

// In alphabetical order of their names ("data", "init", …).
std::span<const EmbeddedFile> standard_library_files();

// The files whose names are in scope without a `use`. None of them sees those of another.
inline constexpr std::string_view prelude_names[] = {"ops", "images", "products"};
inline bool is_prelude(std::string_view name) {
    return std::ranges::find(prelude_names, name) != std::end(prelude_names);
}

}  // namespace tenon
