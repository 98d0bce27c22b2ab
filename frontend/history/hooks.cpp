#include "frontend/history/hooks.h"

#include <algorithm>
#include <utility>

namespace tenon {

void Hooks::visit_children(FunctionRef<void(const Value&)> visit) const {
    for (const Hook& hook : hooks_) visit(hook.function);
}

void Hooks::take_children(Values& into) {
    for (Hook& hook : hooks_) into.push_back(std::move(hook.function));
    hooks_.clear();
}

uint64_t Hooks::add(Value function) {
    hooks_.push_back({++last_id_, std::move(function)});
    return last_id_;
}

void Hooks::remove(uint64_t id) {
    const auto found = std::find_if(hooks_.begin(), hooks_.end(), [id](const Hook& hook) { return hook.id == id; });
    if (found == hooks_.end()) return;
    const Value last = std::move(found->function);  // released when the list is whole again
    hooks_.erase(found);
}

Values Hooks::functions() const {
    Values functions;
    for (const Hook& hook : hooks_) functions.push_back(hook.function);
    return functions;
}

void HookHandle::visit_children(FunctionRef<void(const Value&)> visit) const {
    if (hooks_) visit(Value(hooks_));
}

}  // namespace tenon
