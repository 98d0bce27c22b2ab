// Nested values as trees: lists, tuples and dicts are branches, everything else (tensors, models, numbers, …) is a leaf.
// Arguments, results and `wrt:` are taken apart and put together again by these functions and no others.
#pragma once

#include <span>
#include <vector>

#include "frontend/values/value.h"
#include "runtime/function_ref.h"

namespace tenon {

/// A list, tuple or dict.
bool is_branch(const Value& value);

/// A branch like this one (a list, a tuple, a dict with these keys) with other parts in the places of its own.
Value with_parts(const Value& branch, Values parts);

// Parts and leaves come in the order of items and entries. A tree that is nested deeper than 1,000 branches, which one
// that holds itself is, throws Error "recursion".

/// The parts of a branch; `key` is null for the items of lists and tuples.
void for_each_part(const Value& branch, FunctionRef<void(const Value& part, size_t position, const Value* key)> visit);
void for_each_leaf(const Value& tree, FunctionRef<void(const Value& leaf)> visit);
/// The same with the way from the root: one step a branch.
struct Step {
    size_t position = 0;
    Value key;  ///< unset of an item
};
void for_each_leaf_at(const Value& tree, FunctionRef<void(const Value& leaf, std::span<const Step> path)> visit);
std::vector<Value> leaves_of(const Value& tree);

/// The tree with what `replace` gives in the place of each leaf.
Value map_leaves(const Value& tree, FunctionRef<Value(const Value& leaf)> replace);
/// The tree with these leaves in the places of its own: with_leaves(tree, leaves_of(tree)) equals tree.
Value with_leaves(const Value& tree, std::span<const Value> leaves);

/// Whether both have the same branches: kinds, lengths and, in the same order, keys. Leaves are not compared.
bool same_structure(const Value& a, const Value& b);

}  // namespace tenon
