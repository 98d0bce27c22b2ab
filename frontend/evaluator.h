// The evaluator: walks resolved syntax trees. Variables are slots found by the resolver; tensors are the tracer's.
#pragma once

#include <atomic>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "frontend/builtin.h"
#include "frontend/value.h"
#include "runtime/diagnostic.h"
#include "runtime/span.h"

namespace tenon {

class Session;
class Tracer;

/// A keyword argument of a call made from C++.
struct KeywordArgument {
    std::string_view name;
    Value value;
};

/// One line of a call stack, innermost first.
struct StackEntry {
    std::string function;    ///< its name, "" for a script's own lines
    Span call;               ///< where it was called
};

class Evaluator {
public:
    explicit Evaluator(Session& session);
    ~Evaluator();
    Evaluator(const Evaluator&) = delete;
    Evaluator& operator=(const Evaluator&) = delete;

    Session& session() { return session_; }
    Tracer& tracer() { return tracer_; }

    /// The innermost call or operation under way: what nodes captured now originate from.
    Span here() const { return here_; }
    std::vector<StackEntry> call_stack() const;

    // -- calls
    /// Calls anything that can be called: functions, methods, built-ins, model classes, models.
    Value call(const Value& callee, std::span<const Value> positional, std::span<const KeywordArgument> keywords = {});
    Value call(const Value& callee, std::initializer_list<Value> positional) {
        return call(callee, std::span(positional.begin(), positional.size()));
    }
    /// Whether `receiver.name(…)` is a field or method; then calls it.
    bool has_method(const Value& receiver, std::string_view name) const;
    Value call_method(const Value& receiver, std::string_view name, std::span<const Value> positional);
    bool is_callable(const Value& value) const;

    // -- what values mean
    /// A condition: a bool or a one-element bool tensor; anything else is Error "type".
    bool truth(const Value& value);
    /// `==` as one answer: lists and tuples by elements, tensors when all their elements are equal.
    bool equal(const Value& a, const Value& b);
    /// `<` of ints, floats, strs, lists and tuples.
    bool less(const Value& a, const Value& b);
    /// What print shows, and what containers show of their items (strs quoted).
    std::string text(const Value& value);
    std::string repr(const Value& value);
    /// A type as messages name it: "int", "f32[3, 4]", "list", "Linear".
    std::string describe(const Value& value);

    // -- iteration: lists, tuples, dicts (keys), ranges, strs, tensors, iterators, models with next()
    Ref<IteratorObject> iterate(const Value& value);
    Values collect(const Value& value);

    // -- host effects
    // Writes to host objects go through these: while a graph is captured they leave a note of how to take them back.
    void set_cell(CellObject& cell, Value value);
    void append(ListObject& list, Value value);
    void set_item(ListObject& list, size_t position, Value value);
    /// Any other change: call it before.
    void will_change(ListObject& list);
    void set_entry(DictObject& dict, const Value& key, Value value);
    void will_change(DictObject& dict);

private:
    Session& session_;
    Tracer& tracer_;
    Span here_;
};

}    // namespace tenon
