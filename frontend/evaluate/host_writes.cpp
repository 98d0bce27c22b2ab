#include "frontend/evaluate/host_writes.h"

namespace tenon {

void HostWrites::extend(ListObject& list, Values values) {
    if (tracer_.capturing()) tracer_.record(HostEffect::list_growth(list));
    for (Value& value : values) {
        collector_.note(list, value);
        list.items.push_back(std::move(value));
    }
}

void HostWrites::insert(ListObject& list, size_t position, Value value) {
    if (tracer_.capturing()) tracer_.record(HostEffect::list_insert(list, position));
    collector_.note(list, value);
    list.items.insert(list.items.begin() + static_cast<ptrdiff_t>(position), std::move(value));
}

Value HostWrites::remove(ListObject& list, size_t position) {
    if (tracer_.capturing()) tracer_.record(HostEffect::list_remove(list, position));
    Value taken = std::move(list.items[position]);
    list.items.erase(list.items.begin() + static_cast<ptrdiff_t>(position));
    return taken;
}

void HostWrites::set_item(ListObject& list, size_t position, Value value) {
    if (tracer_.capturing()) tracer_.record(HostEffect::list_item(list, position));
    collector_.note(list, value);
    list.items[position] = std::move(value);
}

void HostWrites::will_change(ListObject& list) {
    if (tracer_.capturing()) tracer_.record(HostEffect::list_content(list));
}

void HostWrites::set_entry(DictObject& dict, const Value& key, Value value) {
    if (tracer_.capturing()) tracer_.record(HostEffect::dict_entry(dict, key));
    collector_.note(dict, key);
    collector_.note(dict, value);
    dict.set(key, std::move(value));
}

Value HostWrites::remove_entry(DictObject& dict, const Value& key) {
    if (tracer_.capturing()) tracer_.record(HostEffect::dict_remove(dict, key));
    Value taken = std::move(*dict.find(key));
    dict.remove(key);
    return taken;
}

void HostWrites::will_change(DictObject& dict) {
    if (tracer_.capturing()) tracer_.record(HostEffect::dict_content(dict));
}

void HostWrites::set_cell(CellObject& cell, Value value) {
    if (tracer_.capturing()) tracer_.record(HostEffect::slot(cell, cell.value));
    collector_.note(cell, value);
    cell.value = std::move(value);
}

}  // namespace tenon
