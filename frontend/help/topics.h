// Where topics come from: each function reads the tables or sources that say what there is, so that nothing is told twice.
#pragma once

#include "frontend/help/topic.h"

namespace tenon {

class BuiltinTable;

void add_language_topics(Topics& topics);  // language_topics.cpp: statements, operators, fields
void add_builtin_topics(Topics& topics, const BuiltinTable& builtins);  // builtin_topics.cpp: rows and constants
void add_library_topics(Topics& topics);                                // library_topics.cpp: stdlib/*.model
void add_compiler_topics(Topics& topics);  // compiler_topics.cpp: annotation keys, passes, rules, ops

/// Everything, in the order of docs/reference.md.
Topics all_topics(const BuiltinTable& builtins);

}  // namespace tenon
