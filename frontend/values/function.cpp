#include "frontend/values/function.h"

#include <algorithm>

namespace tenon {

namespace {

void visit_environment(const Environment& environment, FunctionRef<void(const Value&)> visit) {
    for (const Ref<CellObject>& cell : environment.cells) {
        if (cell) visit(Value(*cell));
    }
    visit(environment.self);
}

}  // namespace

FunctionObject::FunctionObject(const ast::Function& function_, Environment environment_)
    : Container(class_kind), function(function_), environment(std::move(environment_)),
      takes_rest(std::any_of(function.parameters.begin(), function.parameters.end(),
                             [](const ast::Parameter& p) { return p.kind != ast::ParameterKind::plain; })),
      is_plain(!takes_rest && function.kind != ast::FunctionKind::constructor && function.cell_slots.empty() &&
               function.hoisted.empty() && function.hoisted_models.empty() && !function.result &&
               std::none_of(function.parameters.begin(), function.parameters.end(),
                            [](const ast::Parameter& p) { return p.type || p.is_cell; })) {}

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
