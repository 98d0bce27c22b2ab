// A hash table that is emptied in no time: entries of an earlier epoch do not count. For the tables a capture fills
// anew at each call.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>
#include <vector>

namespace tenon {

template <class Key, class Mapped>
class EpochMap {
public:
    EpochMap() : slots_(64) {}

    Mapped* find(const Key& key) {
        for (size_t at = start(key);; at = (at + 1) & (slots_.size() - 1)) {
            Slot& slot = slots_[at];
            if (slot.epoch != epoch_) return nullptr;
            if (slot.key == key) return &slot.mapped;
        }
    }
    const Mapped* find(const Key& key) const { return const_cast<EpochMap*>(this)->find(key); }
    /// The key must not be there yet.
    void add(const Key& key, Mapped mapped) {
        if (2 * (size_ + 1) > slots_.size()) grow();
        place(key, std::move(mapped));
        ++size_;
    }
    void clear() {
        ++epoch_;
        size_ = 0;
    }
    size_t size() const { return size_; }

private:
    struct Slot {
        uint64_t epoch = 0;
        Key key{};
        Mapped mapped{};
    };
    size_t start(const Key& key) const {
        uint64_t hash;
        if constexpr (std::is_pointer_v<Key>) {
            hash = reinterpret_cast<uintptr_t>(key);
        } else {
            hash = key.bits ^ (key.site * 0xD6E8FEB86659FD93ull);
        }
        hash *= 0x9E3779B97F4A7C15ull;
        return (hash >> 32) & (slots_.size() - 1);
    }
    void place(const Key& key, Mapped mapped) {
        size_t at = start(key);
        while (slots_[at].epoch == epoch_) at = (at + 1) & (slots_.size() - 1);
        slots_[at] = {epoch_, key, std::move(mapped)};
    }
    void grow() {
        std::vector<Slot> old(slots_.size() * 2);
        std::swap(old, slots_);
        for (Slot& slot : old) {
            if (slot.epoch == epoch_) place(slot.key, std::move(slot.mapped));
        }
    }

    std::vector<Slot> slots_;
    uint64_t epoch_ = 1;
    size_t size_ = 0;
};

}  // namespace tenon
