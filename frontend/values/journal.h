// What undoes the host effects of a captured function: a run that fails takes back what came after the failing node.
#pragma once

#include <utility>

#include "frontend/values/value.h"

namespace tenon {

/// One host write, as the way back. `apply` is called at most once, in reverse order of the writes.
struct Undo {
    Ref<Object> object;  ///< what was written
    Value key;           ///< which part: an index, a key, a slot; none where there is one part only
    Value old;           ///< its value before; unset where it had none
    void (*apply)(Undo&);

    /// Of a variable of a frame that is still there when the graph runs: of one that is inside a `try`.
    static Undo variable(Value& variable) {
        return {Ref<Object>(new Variable(variable)), {}, variable, [](Undo& u) {
                    static_cast<Variable&>(*u.object).place = std::move(u.old);
                }};
    }
    static Undo cell(CellObject& cell) {
        return {Ref<Object>(&cell), {}, cell.value, [](Undo& u) {
                    static_cast<CellObject&>(*u.object).value = std::move(u.old);
                }};
    }
    static Undo list_item(ListObject& list, size_t position) {
        return {Ref<Object>(&list), Value(position), list.items[position], [](Undo& u) {
                    static_cast<ListObject&>(*u.object).items[static_cast<size_t>(u.key.as_int())] = std::move(u.old);
                }};
    }
    /// Of an append: cuts the list back to its present length.
    static Undo list_growth(ListObject& list) {
        return {Ref<Object>(&list), Value(list.items.size()), {}, [](Undo& u) {
                    static_cast<ListObject&>(*u.object).items.resize(static_cast<size_t>(u.key.as_int()));
                }};
    }
    /// Of anything else: puts the whole content back.
    static Undo list_content(ListObject& list) {
        return {Ref<Object>(&list), {}, make_list(list.items), [](Undo& u) {
                    static_cast<ListObject&>(*u.object).items = u.old.as<ListObject>().items;
                }};
    }
    /// Of setting an entry of a dict: its old value, or that there was none.
    static Undo dict_entry(DictObject& dict, const Value& key) {
        Value* present = dict.find(key);
        return {Ref<Object>(&dict), key, present ? *present : Value::unset(), [](Undo& u) {
                    auto& dict = static_cast<DictObject&>(*u.object);
                    if (u.old.is_unset()) {
                        dict.remove(u.key);
                    } else {
                        dict.set(u.key, std::move(u.old));
                    }
                }};
    }
    /// Of anything else done to a dict.
    static Undo dict_content(DictObject& dict) {
        auto copy = make_ref<DictObject>();
        for (const auto& entry : dict.entries()) copy->set(entry.key, entry.value);
        return {Ref<Object>(&dict), {}, copy, [](Undo& u) {
                    auto& dict = static_cast<DictObject&>(*u.object);
                    dict.clear();
                    for (const auto& entry : u.old.as<DictObject>().entries()) dict.set(entry.key, entry.value);
                }};
    }

private:
    class Variable final : public Object {
    public:
        explicit Variable(Value& place_) : Object(Kind::other), place(place_) {}
        Value& place;
    };
};

}  // namespace tenon
