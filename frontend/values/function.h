// Functions as values.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "frontend/syntax/ast.h"
#include "frontend/values/value.h"

namespace tenon {

class Module;
struct BuiltinGroup;
struct CaptureHistory;

/// The cells a closure took from where it was made, and the script it is part of.
struct Environment {
    Module* module = nullptr;  ///< modules live as long as their session
    std::vector<Ref<CellObject>> cells;
    Value self;  ///< the model whose fields it sees, or none
};

/// A scope that a decorator put around a function: `@annotate(pp_stage: 1)`.
struct DecoratorScope {
    std::string name;
    std::vector<std::pair<std::string, Value>> arguments;  ///< positional ones have no name
};

class FunctionObject final : public Container {
public:
    static constexpr Kind class_kind = Kind::function;
    FunctionObject(const ast::Function& function_, Environment environment_, std::vector<DecoratorScope> scopes_ = {});
    ~FunctionObject() override { dismantle(); }
    void visit_children(FunctionRef<void(const Value&)> visit) const override;
    void take_children(Values& into) override;

    const ast::Function& function;
    Environment environment;
    std::vector<DecoratorScope> scopes;         ///< outermost first
    const bool takes_rest;                      ///< has `*xs` or `**kw`
    const bool is_plain;                        ///< each argument given, nothing is left to do before its body
    const bool is_left_uncompiled;              ///< no call of it begins a graph, whatever its arguments
    const size_t by_position;                   ///< how many arguments may be given by position
    mutable CaptureHistory* history = nullptr;  ///< what capture knows of it; null until it asked
};

/// A method together with its receiver.
class BoundMethodObject final : public Container {
public:
    static constexpr Kind class_kind = Kind::bound_method;
    BoundMethodObject(Value receiver_, Value function_)
        : Container(class_kind), receiver(std::move(receiver_)), function(std::move(function_)) {}
    ~BoundMethodObject() override { dismantle(); }
    void visit_children(FunctionRef<void(const Value&)> visit) const override;
    void take_children(Values& into) override;

    Value receiver, function;
};

class BuiltinObject final : public Object {
public:
    static constexpr Kind class_kind = Kind::builtin;
    explicit BuiltinObject(const BuiltinGroup& group_) : Object(class_kind), group(group_) {}

    const BuiltinGroup& group;
};

}  // namespace tenon
