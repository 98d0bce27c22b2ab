// Diagnostics as people read them.
#pragma once

#include <string>

#include "frontend/syntax/source_map.h"
#include "runtime/diagnostic.h"

namespace tenon {

/// The message with its source lines, every labelled part underlined, and the help line; ends with a newline.
/// `colour` uses terminal escapes: pass it only for a terminal.
std::string render(const Diagnostic& diagnostic, const SourceMap& sources, bool colour);

}  // namespace tenon
