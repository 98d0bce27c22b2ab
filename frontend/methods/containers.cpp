// Methods of list, tuple and dict.
#include <fmt/format.h>

#include <algorithm>

#include "frontend/methods/containers.h"
#include "frontend/methods/tables.h"
#include "frontend/evaluate/evaluator.h"
#include "frontend/values/builtin.h"
#include "frontend/values/positions.h"
#include "runtime/diagnostic.h"

namespace tenon {

namespace {

struct SortItem {
    Value key, value;
};

// Equal items keep their order, descending too.
template <class Less> void sort_items(std::vector<SortItem>& items, bool descending, Less less) {
    std::stable_sort(items.begin(), items.end(), [&](const SortItem& a, const SortItem& b) {
        check_interrupt();
        return descending ? less(b.key, a.key) : less(a.key, b.key);
    });
}

}  // namespace

void sort_values(Evaluator& evaluator, Values& values, const Value& key, bool descending) {
    std::vector<SortItem> items;
    items.reserve(values.size());
    for (Value& value : values) {
        check_interrupt();
        items.push_back({key.is_none() || key.is_unset() ? value : evaluator.call(key, {value}), value});
    }
    auto all = [&](auto test) {
        return std::all_of(items.begin(), items.end(), [&](const SortItem& item) {
            check_interrupt();
            return test(item.key);
        });
    };
    if (all([](const Value& v) { return v.is_int(); })) {
        sort_items(items, descending, [](const Value& a, const Value& b) { return a.as_int() < b.as_int(); });
    } else if (all([](const Value& v) { return v.is<StringObject>(); })) {
        sort_items(items, descending, [](const Value& a, const Value& b) { return text_of(a) < text_of(b); });
    } else {
        sort_items(items, descending, [&](const Value& a, const Value& b) { return evaluator.semantics().less(a, b); });
    }
    for (size_t i = 0; i < items.size(); ++i) values[i] = std::move(items[i].value);
}

namespace {

ListObject& list_of(Arguments& a) { return a[0].as<ListObject>(); }
DictObject& dict_of(Arguments& a) { return a[0].as<DictObject>(); }

// ---- list ---------------------------------------------------------------------------------------------------------

Value append(Evaluator& evaluator, Arguments& a) {
    evaluator.writes().append(list_of(a), std::move(a[1]));
    return {};
}

Value extend(Evaluator& evaluator, Arguments& a) {
    evaluator.writes().extend(list_of(a), evaluator.collect(a[1]));
    return {};
}

Value insert(Evaluator& evaluator, Arguments& a) {
    a[1] = evaluator.settled(a[1], a.span_of(1));
    int64_t count = static_cast<int64_t>(list_of(a).items.size()), at = a.integer(1, "a position");
    if (at < 0) at += count;
    evaluator.writes().insert(list_of(a), static_cast<size_t>(std::clamp<int64_t>(at, 0, count)), a[2]);
    return {};
}

Value pop(Evaluator& evaluator, Arguments& a) {
    size_t at = position_in(a.integer_or(1, -1, "a position"), list_of(a).items.size(), "list");
    return evaluator.writes().remove(list_of(a), at);
}

size_t index_in(Evaluator& evaluator, const Values& items, const Value& wanted) {
    for (size_t i = 0; i < items.size(); ++i) {
        check_interrupt();
        if (evaluator.semantics().same_item(items[i], wanted)) return i;
    }
    return items.size();
}

Value remove(Evaluator& evaluator, Arguments& a) {
    Values& items = list_of(a).items;
    size_t at = index_in(evaluator, items, a[1]);
    if (at == items.size())
        throw_error("value", fmt::format("{} is not in the list", evaluator.semantics().repr(a[1])));
    evaluator.writes().remove(list_of(a), at);
    return {};
}

Value index(Evaluator& evaluator, Arguments& a) {
    const Values& items = *items_of(a[0]);
    size_t at = index_in(evaluator, items, a[1]);
    if (at == items.size()) {
        throw_error("value",
                    fmt::format("{} is not in the {}", evaluator.semantics().repr(a[1]), name_of(a[0].kind())));
    }
    return at;
}

Value count(Evaluator& evaluator, Arguments& a) {
    const Values& items = *items_of(a[0]);
    return std::count_if(items.begin(), items.end(), [&](const Value& item) {
        check_interrupt();
        return evaluator.semantics().same_item(item, a[1]);
    });
}

Value reverse(Evaluator& evaluator, Arguments& a) {
    evaluator.writes().will_change(list_of(a));
    std::reverse(list_of(a).items.begin(), list_of(a).items.end());
    return {};
}

Value sort(Evaluator& evaluator, Arguments& a) {
    Values sorted = list_of(a).items;
    sort_values(evaluator, sorted, a[1], a.flag_or(2, false, "reverse"));
    evaluator.writes().will_change(list_of(a));
    std::swap(list_of(a).items, sorted);
    return {};
}

Value clear_list(Evaluator& evaluator, Arguments& a) {
    evaluator.writes().will_change(list_of(a));
    Values dropped = std::move(list_of(a).items);
    list_of(a).items.clear();
    return {};
}

Value copy_list(Evaluator&, Arguments& a) { return make_list(list_of(a).items); }

// ---- dict ---------------------------------------------------------------------------------------------------------

[[noreturn]] void no_key(Evaluator& evaluator, const Value& key) {
    throw_error("key", fmt::format("the dict has no key {}", evaluator.semantics().repr(key)),
                "d.get(key, default) gives a default");
}

Value get(Evaluator& evaluator, Arguments& a) {
    const bool is_simple = DictObject::is_simple(a[1]);
    const Value* found = dict_of(a).find(is_simple ? a[1] : evaluator.as_key(a[1], a.span_of(1)));
    return found ? *found : a.has(2) ? std::move(a[2]) : Value();
}

template <class Pick> Value list_entries(const DictObject& dict, Pick pick) {
    Values out;
    out.reserve(dict.size());
    for (const auto& entry : dict.entries()) out.push_back(pick(entry));
    return make_list(std::move(out));
}

Value keys(Evaluator&, Arguments& a) {
    return list_entries(dict_of(a), [](const DictObject::Entry& e) { return e.key; });
}
Value values(Evaluator&, Arguments& a) {
    return list_entries(dict_of(a), [](const DictObject::Entry& e) { return e.value; });
}
Value items(Evaluator&, Arguments& a) {
    return list_entries(dict_of(a), [](const DictObject::Entry& e) { return make_tuple({e.key, e.value}); });
}

Value pop_entry(Evaluator& evaluator, Arguments& a) {
    const Value key = evaluator.as_key(a[1], a.span_of(1));
    Value* found = dict_of(a).find(key);
    if (!found) {
        if (a.has(2)) return a[2];
        no_key(evaluator, key);
    }
    return evaluator.writes().remove_entry(dict_of(a), key);
}

Value set_default(Evaluator& evaluator, Arguments& a) {
    const Value key = evaluator.as_key(a[1], a.span_of(1));
    if (const Value* found = dict_of(a).find(key)) return *found;
    Value fresh = a.has(2) ? a[2] : Value();
    evaluator.writes().set_entry(dict_of(a), key, fresh);
    return fresh;
}

Value update(Evaluator& evaluator, Arguments& a) {
    auto take = [&](const DictObject& from) {
        for (const auto& entry : from.entries()) evaluator.writes().set_entry(dict_of(a), entry.key, entry.value);
    };
    if (a.has(1)) {
        auto* from = a[1].try_as<DictObject>();
        if (!from) throw_error("type", "update takes a dict, found a " + evaluator.semantics().describe(a[1]));
        if (from != &dict_of(a)) take(*from);
    }
    take(a[2].as<DictObject>());
    return {};
}

Value clear_dict(Evaluator& evaluator, Arguments& a) {
    evaluator.writes().will_change(dict_of(a));
    dict_of(a).clear();
    return {};
}

Value copy_dict(Evaluator&, Arguments& a) {
    auto copy = make_ref<DictObject>();
    for (const auto& entry : dict_of(a).entries()) copy->set(entry.key, entry.value);
    return copy;
}

constexpr KindSet lists = tenon::kinds(Kind::list);
constexpr KindSet sequences = tenon::kinds(Kind::list, Kind::tuple);
constexpr KindSet dicts = tenon::kinds(Kind::dict);

constexpr Builtin container_table[] = {
    {"append", "list, value", lists, append, method_only | takes_symbolic, "adds a value at the end"},
    {"extend", "list, values", lists, extend, method_only, "adds each of the values at the end"},
    {"insert", "list, position, value", lists, insert, method_only | takes_symbolic, "adds a value before a position"},
    {"pop", "list, position?", lists, pop, method_only, "takes the item at a position out (the last by default)"},
    {"remove", "list, value", lists, remove, method_only | takes_symbolic, "takes the first equal item out"},
    {"reverse", "list", lists, reverse, method_only, "turns the list around"},
    {"sort", "list; key?, reverse?", lists, sort, method_only, "sorts the list; equal items keep their order"},
    {"clear", "list", lists, clear_list, method_only, "takes everything out"},
    {"copy", "list", lists, copy_list, method_only, "another list of the same items"},
    {"index", "sequence, value", sequences, index, method_only | takes_symbolic,
     "the position of the first equal item"},
    {"count", "sequence, value", sequences, count, method_only | takes_symbolic,
     "how many items are equal to the value"},
    {"get", "dict, key, default?", dicts, get, method_only | takes_symbolic,
     "the value of a key, the default (none) where it is missing"},
    {"keys", "dict", dicts, keys, method_only, "the keys, in order of insertion"},
    {"values", "dict", dicts, values, method_only, "the values, in order of insertion"},
    {"items", "dict", dicts, items, method_only, "the (key, value) pairs, in order of insertion"},
    {"pop", "dict, key, default?", dicts, pop_entry, method_only | takes_symbolic,
     "takes an entry out and gives its value"},
    {"setdefault", "dict, key, default?", dicts, set_default, method_only | takes_symbolic,
     "the value of a key, set to the default first where it is missing"},
    {"update", "dict, other?; **entries", dicts, update, method_only | takes_symbolic,
     "sets each entry of another dict"},
    {"clear", "dict", dicts, clear_dict, method_only, "takes everything out"},
    {"copy", "dict", dicts, copy_dict, method_only, "another dict with the same entries"},
};

}  // namespace

std::span<const Builtin> container_builtins() { return container_table; }

}  // namespace tenon
