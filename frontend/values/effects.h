// Host effects of a captured function, as data. They happen at once; a run that fails takes back those that come after
// the failing node, and a capture that is given up (a trace, an interrupt) all of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "frontend/values/generator.h"
#include "frontend/values/tensor_object.h"
#include "frontend/values/value.h"
#include "runtime/epoch_map.h"

namespace tenon {

/// One host write that is about to happen, with what takes it back.
struct HostEffect {
    enum class Kind : uint8_t {
        variable,      ///< `place`, of a frame that is still there when the graph runs: of one that is inside a `try`
        slot,          ///< `place` in `object`: a field of a model, a cell of a closure
        list_item,     ///< `key`: the position
        list_growth,   ///< more items at the end; `key`: how many there were
        list_insert,   ///< `key`: where an item comes in
        list_remove,   ///< `key`: where `old` goes out
        list_content,  ///< anything else; `old`: the items
        dict_entry,    ///< `key`: the position of an entry that gets another value
        dict_growth,   ///< more entries at the end; `key`: how many there were
        dict_remove,   ///< `key`: a pair of position and key
        dict_content,  ///< anything else; `old`: the entries
        gradient,      ///< `.grad`
        history,       ///< what differentiation knows about a tensor; `key`: the facts, `old`: what they were
        generator,     ///< the random state; `key` and `old`: what it was
    };
    Kind kind;
    Ref<Object> object;  ///< what is written
    Value key;           ///< which part
    Value old;           ///< its value before
    Value* place = nullptr;

    static HostEffect variable(Value& place) { return {Kind::variable, {}, {}, place, &place}; }
    static HostEffect slot(Object& owner, Value& place) { return {Kind::slot, Ref<Object>(&owner), {}, place, &place}; }
    static HostEffect list_item(ListObject& list, size_t position) {
        return {Kind::list_item, Ref<Object>(&list), Value(position), list.items[position]};
    }
    static HostEffect list_growth(ListObject& list) {
        return {Kind::list_growth, Ref<Object>(&list), Value(list.items.size()), {}};
    }
    static HostEffect list_insert(ListObject& list, size_t position) {
        return {Kind::list_insert, Ref<Object>(&list), Value(position), {}};
    }
    static HostEffect list_remove(ListObject& list, size_t position) {
        return {Kind::list_remove, Ref<Object>(&list), Value(position), list.items[position]};
    }
    static HostEffect list_content(ListObject& list) {
        return {Kind::list_content, Ref<Object>(&list), {}, make_list(list.items)};
    }
    /// Of setting an entry.
    static HostEffect dict_entry(DictObject& dict, const Value& key);
    static HostEffect dict_remove(DictObject& dict, const Value& key);
    static HostEffect dict_content(DictObject& dict);
    static HostEffect gradient(Autograd& leaf);
    static HostEffect history(TensorObject& tensor);
    static HostEffect random_state(const Generator& generator) {
        return {Kind::generator, {}, Value(generator.key()), Value(generator.offset())};
    }
};

/// The effects of the graph under capture, each with its position: how many nodes the body had before it.
class Journal {
public:
    explicit Journal(Generator& generator) : generator_(generator) {}

    /// Of several effects on one thing at one position the first is kept: they are taken back together or not at all.
    void record(uint32_t position, HostEffect effect);
    /// Takes back those after `position`, the last first; the others are still recorded.
    void undo_after(uint32_t position);
    /// Takes all back. Variables stay as they are: the frames that held them are gone.
    void undo_all();
    /// The same but for the random state, whose changes remain, recorded.
    void undo_all_but_random_state();
    /// Of the effects on one leaf's `.grad` between two of these positions, ascending, all but the first: no run fails
    /// there, so they are taken back together, to what was before the first. What the others replaced is nobody's.
    void join_gradients(std::span<const uint32_t> failing);
    /// Forgets the effects on what nothing but they hold: nobody can see whether they are taken back. What such an object has in
    /// it goes with it.
    void forget_unseen();
    void clear();

    bool is_empty() const { return entries_.empty(); }
    /// How many there are; the next one is kept whatever stands at its position.
    size_t mark() {
        known_.clear();
        return entries_.size();
    }
    /// Those after the first `count` are not taken back from here on.
    void keep_after(size_t count);
    /// Records the other's effects, at one position.
    void take_over(uint32_t position, Journal& other);

private:
    struct Entry {
        uint32_t position;
        HostEffect effect;
    };
    struct Part {  // what an effect is on
        uint64_t bits, site;
        bool operator==(const Part&) const = default;
    };
    static Part part_of(const HostEffect& effect);
    void undo(HostEffect& effect);

    Generator& generator_;
    std::vector<Entry> entries_;
    uint32_t position_ = 0;       // of the last one
    EpochMap<Part, char> known_;  // the parts that an effect at this position is on
};

}  // namespace tenon
