#include "frontend/function.h"

#include <algorithm>

namespace tenon {

namespace {

void visit_environment(const Environment& environment, FunctionRef<void(const Value&)> visit) {
    for (const Ref<CellObject>& cell : environment.cells) {
        if (cell) visit(Value(*cell));
    }
    visit(environment.self);
}

}    // namespace

FunctionObject::FunctionObject(const ast::Function& function_, Environment environment_)
    : Container(class_kind),
      function(function_),
      environment(std::move(environment_)),
      takes_rest(std::any_of(function.parameters.begin(), function.parameters.end(),
                             [](const ast::Parameter& p) { return p.kind != ast::ParameterKind::plain; })) {}

void FunctionObject::visit_children(FunctionRef<void(const Value&)> visit) const {
    visit_environment(environment, visit);
    for (const DecoratorScope& scope : scopes) {
        for (const auto& [name, value] : scope.arguments) visit(value);
    }
}

void FunctionObject::drop_children() {
    // The cells stay in their places, so that a function that is being run by a destructor still finds them.
    for (Ref<CellObject>& cell : environment.cells) cell = make_ref<CellObject>();
    environment.self = {};
    scopes.clear();
}

void BoundMethodObject::visit_children(FunctionRef<void(const Value&)> visit) const {
    visit(receiver);
    visit(function);
}

void BoundMethodObject::drop_children() { receiver = function = Value(); }

}    // namespace tenon
