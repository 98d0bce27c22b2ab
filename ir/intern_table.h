// An append-only table of unique entries. Entries never move, so reading one needs no lock; inserting takes the
// caller's.
#pragma once
#include <array>
#include <atomic>
#include <bit>
#include <cassert>
#include <cstdint>
#include <memory>
#include <vector>

namespace tenon {

constexpr uint64_t mix_hash(uint64_t h, uint64_t v) {
    h ^= v + 0x9E3779B97F4A7C15ull + (h << 6) + (h >> 2);
    h *= 0xBF58476D1CE4E5B9ull;
    return h ^ (h >> 31);
}

template <class T>
class InternTable {
public:
    InternTable() = default;
    ~InternTable() {
        for (auto& chunk : chunks_) delete[] chunk.load(std::memory_order_relaxed);
    }
    InternTable(const InternTable&) = delete;

    const T& operator[](uint32_t index) const {
        const uint32_t shifted = index + first_chunk;
        const unsigned chunk = unsigned(std::bit_width(shifted)) - 1;
        return chunks_[chunk - first_bits].load(std::memory_order_acquire)[shifted - (1u << chunk)];
    }
    uint32_t size() const { return count_; }

    // The index of the entry with this hash for which `same(entry)` holds, else that of a new one from `make()`.
    template <class Same, class Make>
    uint32_t intern(uint64_t hash, Same same, Make make) {
        if ((count_ + 1) * 2 > slots_.size()) grow();
        size_t slot = hash & (slots_.size() - 1);
        for (; slots_[slot] != empty; slot = (slot + 1) & (slots_.size() - 1))
            if (hashes_[slots_[slot]] == hash && same((*this)[slots_[slot]])) return slots_[slot];
        slots_[slot] = count_;
        hashes_.push_back(hash);
        const uint32_t shifted = count_ + first_chunk;
        const unsigned chunk = unsigned(std::bit_width(shifted)) - 1;
        auto& storage = chunks_[chunk - first_bits];
        if (!storage.load(std::memory_order_relaxed))
            storage.store(new T[size_t(1) << chunk], std::memory_order_release);
        storage.load(std::memory_order_relaxed)[shifted - (1u << chunk)] = make();
        return count_++;
    }

private:
    static constexpr unsigned first_bits = 6;
    static constexpr uint32_t first_chunk = 1u << first_bits, empty = UINT32_MAX;

    void grow() {
        slots_.assign(slots_.empty() ? 256 : slots_.size() * 2, empty);
        for (uint32_t i = 0; i < count_; ++i) {
            size_t slot = hashes_[i] & (slots_.size() - 1);
            while (slots_[slot] != empty) slot = (slot + 1) & (slots_.size() - 1);
            slots_[slot] = i;
        }
    }

    std::array<std::atomic<T*>, 26> chunks_{};
    std::vector<uint32_t> slots_;
    std::vector<uint64_t> hashes_;
    uint32_t count_ = 0;
};

}  // namespace tenon
