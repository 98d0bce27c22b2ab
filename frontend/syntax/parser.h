// From text to syntax tree.
#pragma once

#include <vector>

#include "frontend/syntax/arena.h"
#include "frontend/syntax/ast.h"
#include "frontend/syntax/source_map.h"
#include "runtime/diagnostic.h"

namespace tenon {

struct ParseResult {
    ast::Script* script = nullptr;        // never null; not to be resolved if there are diagnostics
    std::vector<Diagnostic> diagnostics;  // in the order of the text, all of kind syntax
    bool incomplete = false;              // more text could make it right: an open bracket, string or expression
};

/// Parses a whole source. Never throws on account of the text; the tree lives in `arena`.
ParseResult parse(SourceId source, const SourceMap& sources, SymbolTable& symbols, Arena& arena);

}  // namespace tenon
