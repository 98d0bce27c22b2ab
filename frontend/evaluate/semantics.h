// What values mean: whether they are true, equal, in order, and what they look like.
#pragma once

#include <string>
#include <vector>

#include "frontend/values/operators.h"
#include "frontend/values/value.h"
#include "runtime/span.h"

namespace tenon {

class Evaluator;

class Semantics {
public:
    explicit Semantics(Evaluator& evaluator) : evaluator_(evaluator) {}

    /// An operator on host values. Throws Error "type" where they do not go with it.
    Value binary(Operator op, const Value& a, const Value& b, Span span);
    /// A condition: a bool or a one-element bool tensor; anything else is Error "type".
    bool truth(const Value& value);
    bool truth(const Value& value, Span span);
    /// `==` as one answer: lists and tuples by elements, tensors when all their elements are equal.
    bool equal(const Value& a, const Value& b);
    /// Whether containers take them for one item: identical or equal.
    bool same_item(const Value& a, const Value& b);
    /// `<` of ints, floats, strs, lists and tuples.
    bool less(const Value& a, const Value& b);

    /// What print shows, and what containers show of their items (strs quoted).
    std::string text(const Value& value);
    std::string repr(const Value& value);
    /// A type as messages name it: "an int", "f32[3, 4]", "a model Linear".
    std::string describe(const Value& value) const;

private:
    std::string repr_of(const Value& value);

    Evaluator& evaluator_;
    std::vector<const Object*> shown_;  // the containers whose text is being made, for those that hold themselves
};

}  // namespace tenon
