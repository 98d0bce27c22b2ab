// The border between the evaluator and the world of tensors. The evaluator hands over whatever involves a tensor or a
// symbolic number; behind the border an op runs at once (eager) or is appended to the graph under capture.
//
// Every function that can fail throws Error; where a span is passed, the error's place is that span.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "frontend/record/tracer.h"
#include "frontend/values/operators.h"
#include "frontend/values/value.h"
#include "runtime/function_ref.h"
#include "runtime/span.h"

namespace tenon {

class Dispatcher;

class Border {
public:
    /// Arithmetic of two host numbers, for symbolic sizes that no polynomial can say.
    using HostBinary = std::function<Value(Operator, const Value&, const Value&, Span)>;
    Border(Tracer& tracer, HostBinary host_binary);

    // ---- expressions; at least one operand is a tensor or symbolic ------------------------------------------------
    Value binary(Operator op, Operand a, Operand b, Span span);
    Value unary(UnaryOperator op, const Value& x, Span span);
    /// `x += e` on a tensor: writes into x.
    void update(Operator op, const Value& x, Operand e, Span span);
    /// `x[i]`: i is an int, a slice, `...`, none, a list, a tensor, or a tuple of these.
    Value index(const Value& x, const Value& i, Span span);
    void set_index(const Value& x, const Value& i, Operand e, Span span);
    /// Of a tensor as a condition: its only bool. Ends the graph where that is not known yet; `why` it was no part of it.
    bool truth(const Value& x, Span span, std::string_view why = {});
    /// Whether `x` is a condition that the graph under capture is yet to compute.
    bool is_pending_condition(const Value& x) const;
    /// The host number that a symbolic value or a one-element tensor stands for. The graph now depends on it (a guard),
    /// or ends if a tensor's value is asked for.
    Value settle(const Value& x, Span span);
    /// The same for what must be an int.
    int64_t settle_int(const Value& x, Span span);
    /// Whether `-x` (or `~x`) of a symbolic number can stay symbolic.
    bool defers(const Value& x, bool negates) const;
    /// The symbolic float (or int) of an int or bool that a graph is yet to compute; nothing for other numbers.
    std::optional<Value> convert_pending(const Value& x, DType to, Span span);
    /// The only element of x as a host number; while a graph is yet to compute it, as a symbolic one.
    Value item(TensorObject& x, Span span);
    /// What `print(x)` and `str(x)` show. Ends the graph.
    std::string text(const Value& x, Span span);
    /// The first dimension, for `len(x)` and `for`.
    int64_t length(const Value& x, Span span);
    /// `x.shape` and the other fields of a tensor (shape, dtype, device, rank, grad, requires_grad, T, …); nothing for
    /// a name that is no field.
    std::optional<Value> attribute(const Value& x, std::string_view name, Span span);
    /// `x.grad = e`, `x.requires_grad = e`; false for a name that is no field.
    bool set_attribute(const Value& x, std::string_view name, const Value& e, Span span);
    /// The size of a dimension as the script sees it: an int, or a symbolic one under capture.
    Value size(const TensorObject& x, size_t dimension);
    /// `assert cond, message` where cond is a tensor. The message is asked for at once under capture when
    /// `message_is_pure`, otherwise the graph ends here.
    void assert_tensor(const Value& condition, FunctionRef<std::string()> message, bool message_is_pure, Span span);

    // ---- models ---------------------------------------------------------------------------------------------------
    /// The tensor a `param` or `buffer` holds: a copy of `initial` (a tensor or a number) of its own; a param
    /// requires grad where its dtype is a float.
    Value make_parameter(const Value& initial, bool is_buffer, Span span);

    // ---- calls ----------------------------------------------------------------------------------------------------
    /// Runs `thunk` under capture. What the outermost call returns and was deferred is a plain number again.
    Value captured_call(const CallSite& site, FunctionRef<Value()> thunk);

private:
    Value symbolic_binary(Operator op, const Value& a, const Value& b);
    std::optional<Value> deferred_binary(Operator op, const Value& a, const Value& b);
    std::optional<Value> size_binary(Operator op, const Value& a, const Value& b);
    bool is_pending_number(const Value& x) const;
    void settle_results(Value& result);

    Tracer& tracer_;
    Dispatcher& dispatcher_;
    HostBinary host_binary_;
};

}  // namespace tenon
