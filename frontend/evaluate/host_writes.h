// Writes to host objects. They all go through here: while a graph is captured each leaves a note of how to take it back,
// and the collector hears of what an object holds now.
#pragma once

#include "frontend/record/tracer.h"
#include "frontend/values/collector.h"
#include "frontend/values/effects.h"
#include "frontend/values/models.h"
#include "frontend/values/value.h"

namespace tenon {

class HostWrites {
public:
    HostWrites(Tracer& tracer, Collector& collector) : tracer_(tracer), collector_(collector) {}

    void append(ListObject& list, Value value) {
        if (tracer_.capturing()) tracer_.record(HostEffect::list_growth(list));
        collector_.note(list, value);
        list.items.push_back(std::move(value));
    }
    void extend(ListObject& list, Values values);
    void insert(ListObject& list, size_t position, Value value);
    /// Takes an item out.
    Value remove(ListObject& list, size_t position);
    void set_item(ListObject& list, size_t position, Value value);
    /// Any other change: call it before.
    void will_change(ListObject& list);
    void set_entry(DictObject& dict, const Value& key, Value value);
    /// Takes an entry out that is there.
    Value remove_entry(DictObject& dict, const Value& key);
    void will_change(DictObject& dict);
    void set_field(ModelObject& model, size_t slot, Value value) {
        Value& field = model.fields[slot];
        if (tracer_.capturing()) tracer_.record(HostEffect::slot(model, field));
        collector_.note(model, value);
        field = std::move(value);
    }
    /// A variable that closures share.
    void set_cell(CellObject& cell, Value value);

private:
    Tracer& tracer_;
    Collector& collector_;
};

}  // namespace tenon
