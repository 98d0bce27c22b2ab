// What names mean.
#include "frontend/resolve/resolver_pass.h"

#include <fmt/format.h>
#include <algorithm>

#include "frontend/resolve/suggestions.h"

namespace tenon {

using namespace ast;

Resolver::Meaning Resolver::global(uint32_t slot) {
    const ModuleScope::Global& found = module_.global(slot);
    return {
        .slot = slot, .use = {NameKind::global, slot}, .signature = found.signature, .is_function = found.is_function};
}

/// Beyond every function: the script's own names win over imported ones, those over the language's.
Resolver::Meaning Resolver::find_outside(Symbol name, bool functions_only) {
    if (auto slot = module_.find(name); slot && !(functions_only && !module_.global(*slot).is_function))
        return global(*slot);
    auto number = module_.find_import(name);
    if (!number && names_.prelude) {
        if (auto found = names_.prelude(name)) number = module_.add_import(*found);
    }
    if (number) {
        const Export& found = module_.imports()[*number];
        if (!functions_only || found.is_function) {
            return {
                .use = {NameKind::imported, *number}, .signature = found.signature, .is_function = found.is_function};
        }
    }
    if (auto builtin = names_.builtin(name)) return {.use = {NameKind::builtin, builtin->index}, .is_function = true};
    return {};
}

Resolver::Meaning Resolver::find(Symbol name) {
    for (NameScope* scope = scope_; scope; scope = scope->parent) {
        if (auto slot = scope->find(name)) {
            const Variable& variable = scope->variables[*slot];
            return {
                .scope = scope, .slot = *slot, .signature = variable.signature, .is_function = variable.is_function};
        }
        if (!scope->model) continue;
        if (name == symbols::self) return {.use = {NameKind::self, 0}};
        if (auto field = scope->model->field_numbers.find(name); field != scope->model->field_numbers.end()) {
            return {.use = {NameKind::field, field->second}};
        }
        if (auto method = scope->model->method_numbers.find(name); method != scope->model->method_numbers.end()) {
            FunctionDeclaration* declaration = scope->model->methods[method->second];
            return {.use = {NameKind::method, method->second},
                    .signature = declaration->decorators.empty() ? declaration->function : nullptr,
                    .is_function = true};
        }
    }
    return find_outside(name, false);
}

/// What `x.name(…)` may call with `x` as its first argument: a declared function, never a variable.
Resolver::Meaning Resolver::find_function(Symbol name) {
    for (NameScope* scope = scope_; scope; scope = scope->parent) {
        auto slot = scope->find(name);
        if (slot && scope->variables[*slot].is_function) return {.scope = scope, .slot = *slot, .is_function = true};
    }
    return find_outside(name, true);
}

void Resolver::use_variable(NameScope& owner, uint32_t slot, NameUse& use, Span span, bool is_read) {
    if (&owner == scope_) {
        owner.variables[slot].uses.push_back({&use, span, is_read});
    } else {
        use = {NameKind::captured, scope_->capture(owner, slot)};
    }
}

void Resolver::use_global(uint32_t slot, NameUse& use) {
    bool changes_each_turn = std::ranges::any_of(main_->turns, [&](const Turn& turn) {
        return turn.are_globals && std::ranges::count(turn.variables, slot) != 0;
    });
    if (scope_ == main_ || !changes_each_turn) {
        use = {NameKind::global, slot};
    } else {
        use = {NameKind::captured, scope_->capture_global(*main_, slot, module_.global(slot).name)};
    }
}

void Resolver::use(const Meaning& meaning, NameUse& use, Span span, bool is_read) {
    if (meaning.scope) return use_variable(*meaning.scope, meaning.slot, use, span, is_read);
    if (meaning.use.kind == NameKind::global) return use_global(meaning.use.index, use);
    use = meaning.use;
    if (use.kind == NameKind::self || use.kind == NameKind::field || use.kind == NameKind::method) {
        for (NameScope* scope = scope_; scope; scope = scope->parent) {
            scope->function.uses_self = true;
            if (scope->model) break;
        }
    }
}

Resolver::Meaning Resolver::read(Name& name) {
    Meaning meaning = find(name.name);
    if (meaning) use(meaning, name.use, name.span, true);
    else unknown(name.name, name.span);
    return meaning;
}

/// Whether `x += e` may give `x` another value: only where it was made.
bool Resolver::may_rebind(const Meaning& meaning) const {
    if (meaning.scope) return meaning.scope == scope_;
    if (meaning.use.kind == NameKind::global) return scope_ == main_;
    return meaning.use.kind == NameKind::field && scope_->function.kind == FunctionKind::constructor;
}

std::vector<Symbol> Resolver::visible_names() const {
    std::vector<Symbol> result;
    for (NameScope* scope = scope_; scope; scope = scope->parent) {
        for (auto [name, slot] : scope->names()) result.push_back(name);
        if (!scope->model) continue;
        for (Symbol field : scope->model->fields) result.push_back(field);
        for (auto [name, number] : scope->model->method_numbers) result.push_back(name);
    }
    for (const ModuleScope::Global& global : module_.globals()) result.push_back(global.name);
    for (const Export& import : module_.imports()) result.push_back(import.name);
    if (names_.all_names) std::ranges::copy(names_.all_names(), std::back_inserter(result));
    return result;
}

std::vector<Symbol> Resolver::type_names() const {
    std::vector<Symbol> result;
    for (const char* name :
         {"any",    "bool", "int", "float", "str",  "list", "tuple", "dict", "range", "dtype", "device",
          "tensor", "f64",  "f32", "f16",   "bf16", "i64",  "i32",   "i16",  "i8",    "u8"}) {
        result.push_back(symbols_.intern(name));
    }
    for (const ModuleScope::Global& global : module_.globals()) {
        if (global.is_function) result.push_back(global.name);
    }
    return result;
}

void Resolver::unknown(Symbol name, Span span, bool is_type) {
    if (!reported_.insert(name).second) return;  // once is enough
    if (const std::string_view planned = planned_name(text(name)); !planned.empty() && !is_type) {
        complain("name", span, fmt::format("`{}` is not there yet", text(name)), std::string(planned));
        return;
    }
    std::string help;
    std::string home = names_.module_of ? names_.module_of(name) : "";
    if (name == symbols::self) {
        help = "`self` is the model in the body and the methods of a `model`";
    } else if (!home.empty()) {
        help = fmt::format("`{}` is in {}: write `use {}` at the top", text(name), home, home);
    } else if (std::string advice = advice_for_foreign_name(text(name)); !advice.empty()) {
        help = std::move(advice);
    } else if (auto nearest = nearest_name(name, is_type ? type_names() : visible_names(), symbols_)) {
        help = fmt::format("did you mean `{}`?", text(*nearest));
    }
    complain("name", span, fmt::format("there is no {} `{}`", is_type ? "type" : "name", text(name)), std::move(help));
}

}  // namespace tenon
