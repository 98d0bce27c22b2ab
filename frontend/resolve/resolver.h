// Says of every name what it means, before anything runs.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "frontend/syntax/arena.h"
#include "frontend/syntax/ast.h"
#include "runtime/diagnostic.h"

namespace tenon {

/// A name of another script.
struct Export {
    Symbol name = Symbol::none;
    uint32_t module = 0;                       // the evaluator's number for that script
    uint32_t slot = 0;                         // of its globals
    bool is_function = false;                  // declared by `fn`, `custom fn` or `model`, never assigned
    const ast::Function* signature = nullptr;  // parameters, where calls can be checked; or null
};

/// The top level of one script. It outlives a parse: each input of the REPL adds to it.
class ModuleScope {
public:
    struct Global {
        Symbol name;
        bool is_private = false;                   // begins with `_`
        bool is_function = false;                  // declared, never assigned
        const ast::Function* signature = nullptr;  // set only if it was declared exactly once, without decorators
    };

    std::optional<uint32_t> find(Symbol name) const;
    uint32_t add(Symbol name);
    Global& global(uint32_t slot) { return globals_[slot]; }
    const std::vector<Global>& globals() const { return globals_; }

    /// What NameKind::imported numbers.
    const std::vector<Export>& imports() const { return imports_; }
    std::optional<uint32_t> find_import(Symbol name) const;
    uint32_t add_import(const Export& name);

    /// Everything a `use` of this script brings: names that do not begin with `_`.
    std::vector<Export> exports(uint32_t module) const;

private:
    std::vector<Global> globals_;
    std::unordered_map<Symbol, uint32_t> slots_;
    std::vector<Export> imports_;
    std::unordered_map<Symbol, uint32_t> import_numbers_;
};

struct BuiltinName {
    uint32_t index = 0;
    bool takes_block = false;  // `name { }` and `name(arguments) { }`
    bool needs_block = false;  // it means nothing without one, unless as a decorator
};

/// What a script finds outside of itself.
struct NameSource {
    /// Always in scope.
    std::function<std::optional<BuiltinName>(Symbol)> builtin;
    /// In scope without a `use`: operations that are written in the language. May be empty.
    std::function<std::optional<Export>(Symbol)> prelude;
    /// Loads (parses and resolves) what a `use` names and returns what it exports; throws Error when it cannot.
    /// It sets `item.module`.
    std::function<std::vector<Export>(ast::UseItem& item)> load;
    /// Every built-in and prelude name, for "did you mean".
    std::function<std::vector<Symbol>()> all_names;
    /// The module of the standard library that has the name (`std.nn`), for a hint; or empty.
    std::function<std::string(Symbol)> module_of;
};

struct ResolveOptions {
    bool interactive = false;  // the REPL: the last expression is shown, so it is used
};

/// Fills in the resolver's part of the tree. Returns errors of kind name, arity and syntax, in the order of the text;
/// a script that has any must not run.
std::vector<Diagnostic> resolve(ast::Script& script, ModuleScope& scope, const NameSource& names, SymbolTable& symbols,
                                Arena& arena, const ResolveOptions& options = {});

/// The candidate nearest to `name` in letters, if it is near enough to be what was meant.
std::optional<Symbol> nearest_name(Symbol name, const std::vector<Symbol>& candidates, const SymbolTable& symbols);

}  // namespace tenon
