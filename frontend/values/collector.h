// Reference counts free nearly everything; this finds the cycles they cannot: closures that hold themselves, a list
// that holds its model, a hook that holds its tensor.
#pragma once

#include <cstddef>

#include "frontend/values/value.h"

namespace tenon {

/// A cycle can only close when a container is stored into another that exists already. Containers that this has
/// happened to are suspects: the collector knows them, and looks from time to time whether the references inside the
/// suspects (and all they reach) account for all of their counts. What nobody else holds is emptied.
class Collector {
public:
    Collector();
    ~Collector();
    Collector(const Collector&) = delete;
    Collector& operator=(const Collector&) = delete;

    /// To be called when `stored` was put into `into`.
    void note(Container& into, const Value& stored) {
        if (!stored.is_object() || into.is_suspect()) return;
        if (Container::can_nest(stored)) add(into);
    }
    /// Collects when enough suspects have come up since the last time; called where the evaluator is between
    /// statements.
    void step() {
        if (count_ >= threshold_) collect();
    }
    /// Returns how many containers it emptied.
    size_t collect();

private:
    void add(Container& container);

    class Head;
    Ref<Container> head_;  // both ends of the ring of suspects
    size_t count_ = 0;     // added since the last collection
    size_t threshold_ = 1000;
};

}  // namespace tenon
