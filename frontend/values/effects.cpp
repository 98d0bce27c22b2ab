#include "frontend/values/effects.h"

#include <algorithm>
#include <unordered_map>
#include <utility>

namespace tenon {

namespace {

size_t size_in(const Value& value) { return static_cast<size_t>(value.as_int()); }

bool changes_positions(HostEffect::Kind kind) {
    switch (kind) {
        case HostEffect::Kind::list_insert:
        case HostEffect::Kind::list_remove:
        case HostEffect::Kind::list_content:
        case HostEffect::Kind::dict_remove:
        case HostEffect::Kind::dict_content: return true;
        default: return false;
    }
}

}  // namespace

// ---- what takes a write back --------------------------------------------------------------------------------------
HostEffect HostEffect::dict_entry(DictObject& dict, const Value& key) {
    const Value* present = dict.find(key);
    if (!present) return {Kind::dict_growth, Ref<Object>(&dict), Value(dict.size()), {}};
    return {Kind::dict_entry, Ref<Object>(&dict), Value(dict.position_of(key)), *present};
}

HostEffect HostEffect::dict_remove(DictObject& dict, const Value& key) {
    const size_t position = dict.position_of(key);
    const DictObject::Entry& entry = dict.entries()[position];
    return {Kind::dict_remove, Ref<Object>(&dict), make_tuple({Value(position), entry.key}), entry.value};
}

HostEffect HostEffect::dict_content(DictObject& dict) {
    auto copy = make_ref<DictObject>();
    for (const auto& entry : dict.entries()) copy->set(entry.key, entry.value);
    return {Kind::dict_content, Ref<Object>(&dict), {}, copy};
}

HostEffect HostEffect::gradient(Autograd& leaf) {
    return {Kind::gradient, Ref<Object>(&leaf), {}, leaf.grad ? Value(leaf.grad) : Value()};
}

HostEffect HostEffect::history(TensorObject& tensor) {
    HostEffect effect{Kind::history, Ref<Object>(&tensor), {}, {}};
    if (!tensor.autograd) return effect;
    effect.key = Value(tensor.autograd);
    effect.old = Value(tensor.autograd->copy_of_history());
    return effect;
}

void Journal::undo(HostEffect& effect) {
    const auto list = [&]() -> Values& { return static_cast<ListObject&>(*effect.object).items; };
    const auto dict = [&]() -> DictObject& { return static_cast<DictObject&>(*effect.object); };
    switch (effect.kind) {
        case HostEffect::Kind::variable:
        case HostEffect::Kind::slot: *effect.place = std::move(effect.old); break;
        case HostEffect::Kind::list_item: list()[size_in(effect.key)] = std::move(effect.old); break;
        case HostEffect::Kind::list_growth: list().resize(size_in(effect.key)); break;
        case HostEffect::Kind::list_insert: list().erase(list().begin() + effect.key.as_int()); break;
        case HostEffect::Kind::list_remove:
            list().insert(list().begin() + effect.key.as_int(), std::move(effect.old));
            break;
        case HostEffect::Kind::list_content: list().swap(effect.old.as<ListObject>().items); break;
        case HostEffect::Kind::dict_entry: dict().value_at(size_in(effect.key)) = std::move(effect.old); break;
        case HostEffect::Kind::dict_growth: dict().truncate(size_in(effect.key)); break;
        case HostEffect::Kind::dict_remove: {
            const Values& where = effect.key.as<TupleObject>().items;
            dict().insert_at(size_in(where[0]), where[1], std::move(effect.old));
            break;
        }
        case HostEffect::Kind::dict_content: dict().swap(effect.old.as<DictObject>()); break;
        case HostEffect::Kind::gradient:
            static_cast<Autograd&>(*effect.object).grad =
                effect.old.is_tensor() ? effect.old.ref<TensorObject>() : Ref<TensorObject>();
            break;
        case HostEffect::Kind::history: {
            auto& tensor = static_cast<TensorObject&>(*effect.object);
            tensor.autograd = nullptr;
            if (effect.key.is_none()) break;
            tensor.autograd = Ref<Autograd>(&static_cast<Autograd&>(effect.key.object()));
            tensor.autograd->restore_history(static_cast<const Autograd&>(effect.old.object()));
            break;
        }
        case HostEffect::Kind::generator: generator_.restore(effect.key.as_int(), effect.old.as_int()); break;
    }
}

// ---- the journal --------------------------------------------------------------------------------------------------
// Growth is one part however much there is of it: cutting back to the first length takes all of it back.
Journal::Part Journal::part_of(const HostEffect& effect) {
    const void* what = effect.place ? static_cast<const void*>(effect.place) : effect.object.get();
    const bool is_one = effect.kind == HostEffect::Kind::list_item || effect.kind == HostEffect::Kind::dict_entry;
    const uint64_t position = is_one ? static_cast<uint64_t>(effect.key.as_int()) : 0;
    return {reinterpret_cast<uintptr_t>(what), position << 8 | static_cast<uint64_t>(effect.kind)};
}

void Journal::record(uint32_t position, HostEffect effect) {
    if (position != position_) known_.clear();
    position_ = position;
    if (changes_positions(effect.kind)) {
        known_.clear();
    } else {
        const Part part = part_of(effect);
        if (known_.find(part)) return;
        known_.add(part, {});
    }
    entries_.push_back({position, std::move(effect)});
}

void Journal::undo_after(uint32_t position) {
    // Nothing that a value's end could set off is recorded in between.
    std::vector<Entry> entries = std::exchange(entries_, {});
    known_.clear();
    size_t kept = entries.size();
    for (; kept > 0 && entries[kept - 1].position > position; --kept) undo(entries[kept - 1].effect);
    entries.erase(entries.begin() + static_cast<ptrdiff_t>(kept), entries.end());
    entries_ = std::move(entries);
}

void Journal::undo_all() {
    std::vector<Entry> entries = std::exchange(entries_, {});
    known_.clear();
    for (size_t k = entries.size(); k-- > 0;) {
        if (entries[k].effect.kind != HostEffect::Kind::variable) undo(entries[k].effect);
    }
}

void Journal::undo_all_but_random_state() {
    std::vector<Entry> kept;
    for (const Entry& entry : entries_) {
        if (entry.effect.kind == HostEffect::Kind::generator) kept.push_back(entry);
    }
    std::erase_if(entries_, [](const Entry& entry) { return entry.effect.kind == HostEffect::Kind::generator; });
    undo_all();
    entries_ = std::move(kept);
}

void Journal::join_gradients(std::span<const uint32_t> failing) {
    std::unordered_map<const Object*, size_t> between;  // the last effect on a leaf: before how many of the positions
    const auto is_joined = [&](const Entry& entry) {
        if (entry.effect.kind != HostEffect::Kind::gradient) return false;
        const auto stop = std::lower_bound(failing.begin(), failing.end(), entry.position);
        const auto after = static_cast<size_t>(stop - failing.begin());
        const auto [known, is_first] = between.try_emplace(entry.effect.object.get(), after);
        return !is_first && std::exchange(known->second, after) == after;
    };
    if (std::erase_if(entries_, is_joined) > 0) known_.clear();
}

void Journal::forget_unseen() {
    const auto target = [](const Entry& entry) -> const Object* {
        switch (entry.effect.kind) {
            case HostEffect::Kind::variable:
            case HostEffect::Kind::gradient:  // of what a backward has reached, whoever else has it
            case HostEffect::Kind::generator: return nullptr;
            default: return entry.effect.object.get();
        }
    };
    for (;;) {  // what goes may have held another
        std::unordered_map<const Object*, uint32_t> held;
        for (const Entry& entry : entries_)
            if (const Object* object = target(entry)) ++held[object];
        std::erase_if(held, [](const auto& known) { return known.first->use_count() != known.second; });
        if (held.empty()) return;
        const auto kept = std::stable_partition(entries_.begin(), entries_.end(), [&](const Entry& entry) {
            const Object* object = target(entry);
            return !object || !held.contains(object);
        });
        // Its end may set off more: by then these are no entries any more.
        const std::vector<Entry> gone(std::make_move_iterator(kept), std::make_move_iterator(entries_.end()));
        entries_.erase(kept, entries_.end());
        known_.clear();
    }
}

void Journal::clear() {
    entries_.clear();
    known_.clear();
}

void Journal::keep_after(size_t count) {
    if (count < entries_.size()) entries_.erase(entries_.begin() + static_cast<ptrdiff_t>(count), entries_.end());
    known_.clear();
}

void Journal::take_over(uint32_t position, Journal& other) {
    for (Entry& entry : other.entries_) record(position, std::move(entry.effect));
    other.clear();
}

}  // namespace tenon
