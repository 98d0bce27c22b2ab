// Writes to host objects. They all go through here: while a graph is captured each leaves a note of how to take it back,
// and the collector hears of what an object holds now.
#pragma once

#include "frontend/values/value.h"

namespace tenon {

class CellObject;
class Collector;
class ModelObject;
class Tracer;

class HostWrites {
public:
    HostWrites(Tracer& tracer, Collector& collector) : tracer_(tracer), collector_(collector) {}

    void append(ListObject& list, Value value);
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
    void set_field(ModelObject& model, size_t slot, Value value);
    /// A variable that closures share.
    void set_cell(CellObject& cell, Value value);

private:
    Tracer& tracer_;
    Collector& collector_;
};

}  // namespace tenon
