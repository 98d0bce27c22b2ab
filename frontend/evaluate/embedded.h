// The standard library's sources, stdlib/*.model, as the build embedded them.
#pragma once
#include "runtime/embedded_file.h"

namespace tenon {

// In alphabetical order of their names ("data", "init", …).
std::span<const EmbeddedFile> standard_library_files();

}  // namespace tenon
