#include "frontend/values/function.h"

#include <algorithm>

#include "ir/annotation_keys.h"

namespace tenon {

namespace {

void visit_environment(const Environment& environment, FunctionRef<void(const Value&)> visit) {
    for (const Ref<CellObject>& cell : environment.cells) {
        if (cell) visit(Value(*cell));
    }
    visit(environment.self);
}

bool needs_no_preparation(const ast::Function& function) {
    return function.kind != ast::FunctionKind::constructor && function.cell_slots.empty() && function.hoisted.empty() &&
           function.hoisted_models.empty() && !function.result &&
           std::all_of(function.parameters.begin(), function.parameters.end(), [](const ast::Parameter& p) {
               return p.kind == ast::ParameterKind::plain && !p.type && !p.is_cell;
           });
}

/// `@no_compile fn`, `@annotate(compile: false) fn`.
bool forbids_compiling(const DecoratorScope& scope) {
    if (scope.name == "no_compile") return true;
    return scope.name == "annotate" &&
           std::any_of(scope.arguments.begin(), scope.arguments.end(), [](const auto& argument) {
               return argument.first == compile_key && argument.second.is_bool() && !argument.second.as_bool();
           });
}

}  // namespace

FunctionObject::FunctionObject(const ast::Function& function_, Environment environment_,
                               std::vector<DecoratorScope> scopes_)
    : Container(class_kind), function(function_), environment(std::move(environment_)), scopes(std::move(scopes_)),
      takes_rest(std::any_of(function.parameters.begin(), function.parameters.end(),
                             [](const ast::Parameter& p) { return p.kind != ast::ParameterKind::plain; })),
      is_plain(scopes.empty() && needs_no_preparation(function)),
      is_left_uncompiled(function.kind == ast::FunctionKind::constructor || function.kind == ast::FunctionKind::test ||
                         function.kind == ast::FunctionKind::custom_forward ||
                         function.kind == ast::FunctionKind::custom_backward ||
                         std::any_of(scopes.begin(), scopes.end(), forbids_compiling)),
      by_position(static_cast<size_t>(
          std::find_if(function.parameters.begin(), function.parameters.end(),
                       [](const ast::Parameter& p) { return p.keyword_only || p.kind != ast::ParameterKind::plain; }) -
          function.parameters.begin())) {}

void FunctionObject::visit_children(FunctionRef<void(const Value&)> visit) const {
    visit_environment(environment, visit);
    for (const DecoratorScope& scope : scopes) {
        for (const auto& [name, value] : scope.arguments) visit(value);
    }
}

void FunctionObject::take_children(Values& into) {
    for (Ref<CellObject>& cell : environment.cells) {
        if (cell) into.push_back(std::move(cell));
    }
    environment.cells.clear();
    into.push_back(std::exchange(environment.self, {}));
    for (DecoratorScope& scope : scopes) {
        for (auto& [name, value] : scope.arguments) into.push_back(std::move(value));
    }
    scopes.clear();
}

void BoundMethodObject::visit_children(FunctionRef<void(const Value&)> visit) const {
    visit(receiver);
    visit(function);
}

void BoundMethodObject::take_children(Values& into) {
    into.push_back(std::exchange(receiver, {}));
    into.push_back(std::exchange(function, {}));
}

}  // namespace tenon
