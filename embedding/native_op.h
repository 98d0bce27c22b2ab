// Ops that a C++ program has registered, as values of a script.
#pragma once

#include <memory>
#include <optional>

#include "embedding/state.h"
#include "frontend/regions/custom_function.h"

namespace tenon::embed::detail {

/// What `native_op(name)` gives.
class NativeOp final : public Container {
public:
    NativeOp(State& state, std::shared_ptr<const Op> op);
    ~NativeOp() override { dismantle(); }
    void visit_children(FunctionRef<void(const tenon::Value&)> visit) const override { visit(function_); }
    void take_children(tenon::Values& into) override { into.push_back(std::exchange(function_, {})); }
    bool call(Evaluator& evaluator, std::span<const tenon::Value> positional, std::span<const KeywordArgument> keywords,
              tenon::Value& result) override;
    std::string to_text(Evaluator&) override { return "native op " + op_->name; }

private:
    bool wants_gradient(std::span<const tenon::Value> arguments) const;
    /// With its own gradient as a part of the graph under capture; nothing, and `why`, where it cannot be one.
    std::optional<tenon::Value> append(Evaluator& evaluator, std::span<const tenon::Value> positional,
                                       std::string& why);

    State& state_;
    const std::shared_ptr<const Op> op_;
    tenon::Value forward_;   // takes the context and then the arguments
    tenon::Value backward_;  // the context and then the cotangents; none where there is none
    tenon::Value function_;  // a CustomFunction: the op with its own gradient, or whatever runs between graphs
};

/// Throws tenon::Error "value" where the op is not whole.
void check_op(const Op& op);

}  // namespace tenon::embed::detail
