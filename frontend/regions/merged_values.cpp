#include "frontend/regions/merged_values.h"

#include <fmt/format.h>

namespace tenon {

std::vector<TensorRef> tensors_of(const Value& tree) {
    std::vector<TensorRef> tensors;
    if (tree.is_unset()) return tensors;
    for_each_leaf(tree, [&](const Value& leaf) {
        if (leaf.is_tensor()) tensors.push_back(leaf.ref<TensorObject>());
    });
    return tensors;
}

Value with_tensors(const Value& tree, std::span<const TensorRef>& next) {
    return map_leaves(tree, [&](const Value& leaf) -> Value {
        if (!leaf.is_tensor()) return leaf;
        const TensorRef tensor = next.front();
        next = next.subspan(1);
        return tensor;
    });
}

std::string what_differs(const Value& yes, const Value& no) {
    if (!same_structure(yes, no))
        return fmt::format("{} on the one side and {} on the other", with_article(yes.kind()), with_article(no.kind()));
    const std::vector<Value> a = leaves_of(yes), b = leaves_of(no);
    for (size_t k = 0; k < a.size(); ++k) {
        if (a[k].is_tensor() && b[k].is_tensor()) continue;
        if (a[k].kind() != b[k].kind())
            return fmt::format("{} on the one side and {} on the other", with_article(a[k].kind()),
                               with_article(b[k].kind()));
        const bool is_text =
            a[k].kind() == Kind::string && a[k].as<StringObject>().text() == b[k].as<StringObject>().text();
        if (!is_text && !identical(a[k], b[k])) return fmt::format("another {} on each side", name_of(a[k].kind()));
    }
    return {};
}

}  // namespace tenon
