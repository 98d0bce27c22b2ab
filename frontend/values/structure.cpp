#include "frontend/values/structure.h"

#include <cassert>

#include "frontend/values/errors.h"

namespace tenon {

namespace {

constexpr int deepest_tree = 1000;  // branches inside branches

int below(int depth) {
    if (depth >= deepest_tree)
        throw_error("recursion", "lists, tuples and dicts are nested too deeply here, or one of them holds itself");
    return depth + 1;
}

void visit_leaves(const Value& tree, int depth, FunctionRef<void(const Value&)> visit) {
    if (!is_branch(tree)) return visit(tree);
    for_each_part(tree, [&](const Value& part, size_t, const Value*) { visit_leaves(part, below(depth), visit); });
}

void visit_paths(const Value& tree, std::vector<Step>& path,
                 FunctionRef<void(const Value&, std::span<const Step>)> visit) {
    if (!is_branch(tree)) return visit(tree, path);
    below(static_cast<int>(path.size()));
    for_each_part(tree, [&](const Value& part, size_t position, const Value* key) {
        path.push_back({position, key ? *key : Value::unset()});
        visit_paths(part, path, visit);
        path.pop_back();
    });
}

Value map_tree(const Value& tree, int depth, FunctionRef<Value(const Value&)> replace) {
    if (!is_branch(tree)) return replace(tree);
    Values parts;
    for_each_part(
        tree, [&](const Value& part, size_t, const Value*) { parts.push_back(map_tree(part, below(depth), replace)); });
    return with_parts(tree, std::move(parts));
}

bool same_tree(const Value& a, const Value& b, int depth) {
    if (is_branch(a) != is_branch(b)) return false;
    if (!is_branch(a)) return true;
    if (a.kind() != b.kind()) return false;
    if (const Values *x = items_of(a), *y = items_of(b); x) {
        if (x->size() != y->size()) return false;
        for (size_t k = 0; k < x->size(); ++k)
            if (!same_tree((*x)[k], (*y)[k], below(depth))) return false;
        return true;
    }
    const auto &x = a.as<DictObject>(), &y = b.as<DictObject>();
    if (x.size() != y.size()) return false;
    auto other = y.entries().begin();
    for (const auto& entry : x.entries()) {
        if (!equal_keys(entry.key, other->key) || !same_tree(entry.value, other->value, below(depth))) return false;
        ++other;
    }
    return true;
}

}  // namespace

bool is_branch(const Value& value) { return value.is(Kind::list) || value.is(Kind::tuple) || value.is(Kind::dict); }

Value with_parts(const Value& branch, Values parts) {
    if (branch.is(Kind::list)) return make_list(std::move(parts));
    if (branch.is(Kind::tuple)) return make_tuple(std::move(parts));
    const auto& dict = branch.as<DictObject>();
    assert(dict.size() == parts.size());
    auto made = make_ref<DictObject>();
    size_t k = 0;
    for (const auto& entry : dict.entries()) made->set(entry.key, std::move(parts[k++]));
    return made;
}

void for_each_part(const Value& branch, FunctionRef<void(const Value& part, size_t position, const Value* key)> visit) {
    if (const Values* items = items_of(branch)) {
        // Of a copy of each value: what is called may change the list.
        for (size_t k = 0; k < items->size(); ++k) visit(Value((*items)[k]), k, nullptr);
        return;
    }
    size_t k = 0;
    for (const auto& entry : branch.as<DictObject>().entries()) {
        const Value key = entry.key, part = entry.value;
        visit(part, k++, &key);
    }
}

void for_each_leaf(const Value& tree, FunctionRef<void(const Value& leaf)> visit) { visit_leaves(tree, 0, visit); }

void for_each_leaf_at(const Value& tree, FunctionRef<void(const Value& leaf, std::span<const Step> path)> visit) {
    std::vector<Step> path;
    visit_paths(tree, path, visit);
}

std::vector<Value> leaves_of(const Value& tree) {
    std::vector<Value> leaves;
    for_each_leaf(tree, [&](const Value& leaf) { leaves.push_back(leaf); });
    return leaves;
}

Value map_leaves(const Value& tree, FunctionRef<Value(const Value& leaf)> replace) {
    return map_tree(tree, 0, replace);
}

Value with_leaves(const Value& tree, std::span<const Value> leaves) {
    size_t next = 0;
    Value made = map_leaves(tree, [&](const Value&) {
        assert(next < leaves.size());
        return leaves[next++];
    });
    assert(next == leaves.size());
    return made;
}

bool same_structure(const Value& a, const Value& b) { return same_tree(a, b, 0); }

}  // namespace tenon
