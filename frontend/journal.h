// What undoes the host effects of a captured function: a run that fails takes back what came after the failing node.
#pragma once

#include <memory>
#include <utility>

#include "frontend/tracer.h"
#include "frontend/value.h"

namespace tenon {

template <class Action>
class UndoAction final : public Undo {
public:
    explicit UndoAction(Action action) : action_(std::move(action)) {}
    void undo() override { action_(); }

private:
    Action action_;
};

template <class Action>
std::unique_ptr<Undo> undo_by(Action action) {
    return std::make_unique<UndoAction<Action>>(std::move(action));
}

}    // namespace tenon
