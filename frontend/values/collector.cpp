#include "frontend/values/collector.h"

#include <algorithm>
#include <unordered_map>
#include <vector>

#include "runtime/interrupt.h"

namespace tenon {

class Collector::Head final : public Container {
public:
    Head() : Container(Kind::other) {}
};

Collector::Collector() : head_(make_ref<Head>()) { head_->previous_ = head_->next_ = head_.get(); }

Collector::~Collector() {
    while (head_->next_ != head_.get()) head_->next_->unlink();
    head_->previous_ = head_->next_ = nullptr;
}

void Collector::add(Container& container) {
    container.previous_ = head_->previous_;
    container.next_ = head_.get();
    head_->previous_->next_ = &container;
    head_->previous_ = &container;
    ++count_;
}

size_t Collector::collect() {
    // Everything the suspects reach, with the references that come from inside.
    struct Facts {
        uint32_t inside = 0;
        bool alive = false;
    };
    std::unordered_map<const Object*, Facts> reached;
    std::vector<const Object*> order;
    auto reach = [&](const Object& object) -> Facts& {
        auto [at, fresh] = reached.try_emplace(&object);
        if (fresh) order.push_back(&object);
        return at->second;
    };
    for (Container* c = head_->next_; c != head_.get(); c = c->next_) reach(*c);
    for (size_t i = 0; i < order.size(); ++i) {
        check_interrupt();
        order[i]->visit_children([&](const Value& child) {
            if (child.is_object()) ++reach(child.object()).inside;
        });
    }

    // Whoever has more references than those is held from outside, and so is all that it reaches.
    std::vector<const Object*> work;
    for (const Object* object : order) {
        if (object->use_count() > reached[object].inside) {
            reached[object].alive = true;
            work.push_back(object);
        }
    }
    while (!work.empty()) {
        check_interrupt();
        const Object* object = work.back();
        work.pop_back();
        object->visit_children([&](const Value& child) {
            if (!child.is_object()) return;
            Facts& facts = reached[&child.object()];
            if (std::exchange(facts.alive, true)) return;
            work.push_back(&child.object());
        });
    }

    // The rest is garbage; it is held while it lets go of itself.
    std::vector<Value> garbage;
    for (const Object* object : order) {
        if (!reached[object].alive) garbage.emplace_back(const_cast<Object&>(*object));
    }
    for (Value& value : garbage) value.object().drop_children();

    size_t alive = 0;
    for (Container* c = head_->next_; c != head_.get(); c = c->next_) ++alive;
    count_ = 0;
    threshold_ = std::max<size_t>(1000, alive);  // so that the work stays proportional to what was added
    return garbage.size();
}

}  // namespace tenon
