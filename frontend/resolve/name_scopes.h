// Scopes of names while a script is resolved: one for each function being looked at, from the script's own inwards.
#pragma once

#include <map>
#include <unordered_map>
#include <vector>

#include "frontend/resolve/resolver.h"
#include "frontend/syntax/arena.h"
#include "frontend/syntax/ast.h"

namespace tenon {

/// The names of a model: what its methods see bare.
struct ModelNames {
    ast::Model* model;
    std::vector<Symbol> fields;
    std::unordered_map<Symbol, uint32_t> field_numbers;
    std::vector<ast::FunctionDeclaration*> methods;
    std::unordered_map<Symbol, uint32_t> method_numbers;
    size_t parameter_count = 0;  // the first fields, which types may mention

    bool is_parameter(Symbol name) const {
        auto found = field_numbers.find(name);
        return found != field_numbers.end() && found->second < parameter_count;
    }
};

/// A place in the tree to be filled in when it is known whether closures share the variable.
struct UseSite {
    ast::NameUse* use;
    Span span;
    bool is_read;
};

struct Variable {
    Symbol name;
    bool is_cell = false;
    bool is_function = false;                  // declared, never assigned
    const ast::Function* signature = nullptr;  // where calls can be checked
    ast::Parameter* parameter = nullptr;
    std::vector<UseSite> uses;
};

/// A `for` or a comprehension clause whose body is being resolved.
struct Turn {
    std::vector<uint32_t> variables;  // of the scope; at the top level, globals
    bool are_globals;
    std::vector<uint32_t> captured;  // those that a closure made in the body refers to
};

struct PendingOutputs {
    ast::ScopeBlock* block;
    std::vector<uint32_t> variables;
    std::vector<ast::NameUse> others;  // globals and fields
};

class NameScope {
public:
    NameScope(ast::Function& function, NameScope* parent, ModelNames* model)
        : function(function), parent(parent), model(model) {}

    /// A new slot; the name means it from now on.
    uint32_t declare(Symbol name);
    std::optional<uint32_t> find(Symbol name) const;
    /// Ends the meaning of names declared since `names` were remembered.
    void restore(std::unordered_map<Symbol, uint32_t> names) { names_ = std::move(names); }
    const std::unordered_map<Symbol, uint32_t>& names() const { return names_; }
    void hide(Symbol name) { names_.erase(name); }

    /// The cell of this function that holds variable `slot` of `owner`, a scope around it.
    uint32_t capture(NameScope& owner, uint32_t slot);
    /// The same for a global that a `for` around it gives a new cell each turn.
    uint32_t capture_global(NameScope& main, uint32_t slot, Symbol name);
    /// Notes that a closure within the body of a loop refers to its variable.
    void mark_turn(uint32_t variable, bool is_global);

    /// Writes what was found into the function.
    void finish(Arena& arena);

    ast::Function& function;
    NameScope* parent;
    ModelNames* model;  // of a method or constructor: its names come after this scope's own
    std::vector<Variable> variables;
    std::vector<Turn> turns;
    std::vector<PendingOutputs> outputs;
    std::vector<ast::FunctionDeclaration*> hoisted;
    std::vector<ast::ModelDeclaration*> hoisted_models;
    std::vector<uint32_t> dimensions;
    int loops = 0;  // around the statement at hand, within the innermost checkpoint
    int checkpoints = 0;
    bool in_parameters = false;  // what is looked at is no line of the function yet

private:
    uint32_t add_capture(NameScope* owner, uint32_t key, ast::Capture from_owner);

    std::unordered_map<Symbol, uint32_t> names_;
    std::map<std::pair<NameScope*, uint32_t>, uint32_t> capture_numbers_;
    std::vector<ast::Capture> captures_;
};

}  // namespace tenon
