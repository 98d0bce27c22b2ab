// Syntax trees as text, for `tenon dump --stage ast`.
#pragma once

#include <string>

#include "frontend/syntax/ast.h"
#include "frontend/syntax/source_map.h"

namespace tenon {

/// One line a node, indented by depth, with its place; names show what the resolver found, if it has run.
std::string print_tree(const ast::Script& script, const SymbolTable& symbols, const SourceMap& sources);

/// The same as a JSON object.
std::string print_tree_json(const ast::Script& script, const SymbolTable& symbols, const SourceMap& sources);

}  // namespace tenon
