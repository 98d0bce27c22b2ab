// The resolver at work on one script: from the script's own scope inwards, function by function.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <unordered_set>
#include <vector>

#include "frontend/resolve/bindings.h"
#include "frontend/resolve/name_scopes.h"
#include "frontend/resolve/resolver.h"

namespace tenon {

/// Goes through a script once. What a body assigns is collected before it is looked at, so a name means the same in all
/// of its function.
class Resolver {
public:
    Resolver(ast::Script& script, ModuleScope& module, const NameSource& names, SymbolTable& symbols, Arena& arena,
             const ResolveOptions& options)
        : script_(script), module_(module), names_(names), symbols_(symbols), arena_(arena), options_(options) {}

    std::vector<Diagnostic> run();

private:
    // What a name means.
    struct Meaning {
        NameScope* scope = nullptr;  // of a variable
        uint32_t slot = 0;
        ast::NameUse use;  // of everything else
        const ast::Function* signature = nullptr;
        bool is_function = false;

        explicit operator bool() const { return scope || use; }
    };
    Meaning find(Symbol name);
    Meaning find_function(Symbol name);
    Meaning find_outside(Symbol name, bool functions_only);
    Meaning global(uint32_t slot);
    void use_variable(NameScope& owner, uint32_t slot, ast::NameUse& use, Span span, bool is_read);
    void use_global(uint32_t slot, ast::NameUse& use);
    void use(const Meaning& meaning, ast::NameUse& use, Span span, bool is_read);
    Meaning read(ast::Name& name);
    bool may_rebind(const Meaning& meaning) const;
    void unknown(Symbol name, Span span, bool is_type = false);
    std::vector<Symbol> type_names() const;
    std::vector<Symbol> visible_names() const;

    // Functions and models.
    void function(ast::Function& function, NameScope* parent, ModelNames* model);
    void parameters();
    void type(ast::TypeNode& type);
    void dimension(ast::Dimension& dimension);
    void dimension_value(ast::Expr& expr);
    std::optional<uint32_t> dimension_variable(ast::Name& name);
    void declare(const std::vector<Binding>& bindings);
    void hoist(const std::vector<Binding>& bindings);
    void decorators(std::span<ast::Expr*> decorators);
    void model(ast::ModelDeclaration& declaration);
    ModelNames names_of(ast::Model& model);
    void custom(ast::CustomDeclaration& declaration);

    // Statements and expressions.
    void block(ast::Block* body, bool last_is_used = false);
    void inner_block(ast::Block* body, bool last_is_used = false);
    void statement(ast::Statement& statement, bool is_used);
    void unused(const ast::Expr& value);
    void leave(const ast::Statement& statement, const char* word);
    void update(ast::Update& update);
    void tensor(ast::TensorDeclaration& declaration);
    void for_loop(ast::For& loop);
    Turn turn_of(const ast::Expr& target);
    std::span<ast::NameUse> end_turn();
    void target(ast::Expr& expr);
    void expression(ast::Expr* expr);
    void arguments(const ast::Arguments& list);
    void call(ast::Call& expr);
    void comprehension(ast::Comprehension& expr);
    void scope_block(ast::ScopeBlock& expr);
    void annotation_keys(const ast::Arguments& list);
    void load(ast::UseItem& item);

    void add(Diagnostic diagnostic) {
        uint32_t position = diagnostic.span.begin;
        diagnostics_.push_back({position, std::move(diagnostic)});
    }
    void complain(const char* kind, Span span, std::string message, std::string help = {},
                  std::vector<Label> labels = {}) {
        add({kind, std::move(message), span, std::move(labels), std::move(help)});
    }
    const std::string& text(Symbol symbol) const { return symbols_.text(symbol); }

    ast::Script& script_;
    ModuleScope& module_;
    const NameSource& names_;
    SymbolTable& symbols_;
    Arena& arena_;
    const ResolveOptions& options_;
    struct Found {
        uint32_t position;  // in this script
        Diagnostic diagnostic;
    };
    std::vector<Found> diagnostics_;
    std::unordered_set<Symbol> reported_;
    NameScope* main_ = nullptr;
    NameScope* scope_ = nullptr;
    int depth_ = 0;  // how many blocks are open, of all functions
};

}  // namespace tenon
