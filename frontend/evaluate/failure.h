// What a script did wrong, as people read it.
#pragma once

#include <string>
#include <vector>

#include "frontend/syntax/source_map.h"
#include "runtime/diagnostic.h"

namespace tenon {

class Session;

/// All that is wrong with a script that cannot run.
std::string render_all(const std::vector<Diagnostic>& diagnostics, const SourceMap& sources, bool colour);
/// What ended a run, and the calls that it went through, which the evaluator forgets by that.
std::string render_failure(Session& session, const Diagnostic& diagnostic, bool colour);

}  // namespace tenon
