// Functions of a script that a backward calls: with the gradient of a tensor, before and after a node of the tape, when a
// leaf's `.grad` has been added to. They run in the order in which they were registered.
#pragma once

#include <cstdint>
#include <vector>

#include "frontend/history/packed_saved.h"
#include "frontend/values/value.h"

namespace tenon {

/// The hooks of one kind at one place. A container: a hook may hold what it hangs on.
class Hooks final : public Container {
public:
    Hooks() : Container(Kind::other) {}
    ~Hooks() override { dismantle(); }
    void visit_children(FunctionRef<void(const Value&)> visit) const override;
    void take_children(Values& into) override;

    /// Gives the number by which it is removed.
    uint64_t add(Value function);
    void remove(uint64_t id);
    bool is_empty() const { return hooks_.empty(); }
    size_t size() const { return hooks_.size(); }
    /// As they stand now: those that are called may register and remove others.
    Values functions() const;

private:
    struct Hook {
        uint64_t id;
        Value function;
    };
    std::vector<Hook> hooks_;
    uint64_t last_id_ = 0;
};

/// What registering a hook gives: `h.remove()`.
class HookHandle final : public Object {
public:
    HookHandle(Ref<Hooks> hooks, uint64_t id) : Object(Kind::other), hooks_(std::move(hooks)), id_(id) {}
    void visit_children(FunctionRef<void(const Value&)> visit) const override;
    void drop_children() override { hooks_ = nullptr; }
    std::string to_text(Evaluator&) override { return "hook"; }
    void remove() {
        if (hooks_) hooks_->remove(id_);
    }

private:
    Ref<Hooks> hooks_;
    const uint64_t id_;
};

/// The hooks of a node of the tape, null where there are none of a kind.
struct NodeHooks {
    Ref<PackedSaved> packed;  ///< in the place of what the node has saved
    Ref<Hooks> before;        ///< with what it receives
    Ref<Hooks> after;         ///< with what it has produced, and what it had received
};

/// The hooks of a leaf, null where there are none of a kind.
struct LeafHooks {
    Ref<Hooks> gradient;     ///< of the tensor: with its gradient, before it is added
    Ref<Hooks> before;       ///< of the node that adds: with what it receives
    Ref<Hooks> accumulated;  ///< of the tensor: once `.grad` has been added to
    Ref<Hooks> after;        ///< of the node, last
};

}  // namespace tenon
