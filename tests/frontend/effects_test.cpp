// A journal takes back what it was told of, in whatever order and however often one thing was written.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "frontend/values/effects.h"

namespace tenon {
namespace {

// Two lists, a dict, a cell and the random state, and random writes to them, each told to the journal before.
class World {
public:
    explicit World(uint64_t seed) : random_(seed) {}

    Generator generator;
    Journal journal{generator};
    void write(uint32_t position) {
        switch (below(12)) {
            case 0:
            case 1: {
                ListObject& l = list();
                tell(position, HostEffect::list_growth(l));
                for (size_t n = below(3) + 1; n-- > 0;) l.items.push_back(fresh());
                break;
            }
            case 2: {
                ListObject& l = list();
                const size_t at = below(l.items.size() + 1);
                tell(position, HostEffect::list_insert(l, at));
                l.items.insert(l.items.begin() + static_cast<ptrdiff_t>(at), fresh());
                break;
            }
            case 3: {
                ListObject& l = list();
                if (l.items.empty()) break;
                const size_t at = below(l.items.size());
                tell(position, HostEffect::list_remove(l, at));
                l.items.erase(l.items.begin() + static_cast<ptrdiff_t>(at));
                break;
            }
            case 4:
            case 5: {
                ListObject& l = list();
                if (l.items.empty()) break;
                const size_t at = below(l.items.size());
                tell(position, HostEffect::list_item(l, at));
                l.items[at] = fresh();
                break;
            }
            case 6: {
                ListObject& l = list();
                tell(position, HostEffect::list_content(l));
                std::reverse(l.items.begin(), l.items.end());
                if (!l.items.empty() && below(2) == 0) l.items.pop_back();
                break;
            }
            case 7:
            case 8: {
                const Value key(below(12));
                tell(position, HostEffect::dict_entry(*dict, key));
                dict->set(key, fresh());
                break;
            }
            case 9: {
                if (dict->size() == 0) break;
                const Value key = dict->entries()[below(dict->size())].key;
                tell(position, HostEffect::dict_remove(*dict, key));
                dict->remove(key);
                break;
            }
            case 10: {
                if (below(4) > 0) break;
                tell(position, HostEffect::dict_content(*dict));
                dict->clear();
                break;
            }
            default:
                tell(position, HostEffect::slot(*cell, cell->value));
                cell->value = fresh();
                tell(position, HostEffect::random_state(generator));
                generator.draw(3);
                if (below(5) == 0) generator.seed(static_cast<int64_t>(below(100)));
        }
    }
    /// All that there is, in words.
    std::string text() const {
        std::string all;
        for (const auto& l : lists) {
            for (const Value& item : l->items) all += std::to_string(item.as_int()) + " ";
            all += "| ";
        }
        for (const auto& entry : dict->entries())
            all += std::to_string(entry.key.as_int()) + ":" + std::to_string(entry.value.as_int()) + " ";
        return all + "| " + std::to_string(cell->value.as_int()) + " " + std::to_string(generator.key()) + " " +
               std::to_string(generator.offset());
    }
    size_t below(size_t n) { return random_() % n; }
    size_t told = 0;

private:
    void tell(uint32_t position, HostEffect effect) {
        ++told;
        journal.record(position, std::move(effect));
    }
    ListObject& list() { return *lists[below(2)]; }
    Value fresh() { return Value(++last_); }

    std::mt19937_64 random_;
    int64_t last_ = 0;
    Ref<ListObject> lists[2] = {make_ref<ListObject>(), make_ref<ListObject>()};
    Ref<DictObject> dict = make_ref<DictObject>();
    Ref<CellObject> cell = make_ref<CellObject>(Value(0));
};

TEST(Journal, TakesBackWhatFollowsAPosition) {
    for (uint64_t seed = 1; seed <= 400; ++seed) {
        World world(seed);
        std::vector<std::string> before;  // by position: what there was when it was reached
        const uint32_t positions = 6;
        for (uint32_t at = 0; at < positions; ++at) {
            before.push_back(world.text());
            for (size_t n = world.below(12); n-- > 0;) world.write(at);
        }
        const auto kept = static_cast<uint32_t>(world.below(positions));
        const std::string now = world.text();
        world.journal.undo_after(kept);
        ASSERT_EQ(world.text(), kept + 1 < positions ? before[kept + 1] : now) << "seed " << seed;
        world.journal.undo_after(0);  // of which nothing was forgotten
        ASSERT_EQ(world.text(), before[1]) << "seed " << seed;
    }
}

TEST(Journal, TakesBackAll) {
    for (uint64_t seed = 1; seed <= 200; ++seed) {
        World world(seed);
        const std::string before = world.text();
        for (uint32_t at = 0; at < 40; ++at) world.write(at / 8);
        world.journal.undo_all();
        ASSERT_EQ(world.text(), before) << "seed " << seed;
    }
}

TEST(Journal, GrowsByWhatIsWrittenAtAPositionNotByHowOften) {
    Generator generator;
    Journal journal(generator);
    auto list = make_ref<ListObject>(Values{Value(1)});
    auto dict = make_ref<DictObject>();
    auto cell = make_ref<CellObject>(Value(0));
    for (int k = 0; k < 100000; ++k) {
        journal.record(3, HostEffect::list_growth(*list));
        list->items.push_back(Value(k));
        journal.record(3, HostEffect::list_item(*list, 0));
        list->items[0] = Value(k);
        journal.record(3, HostEffect::dict_entry(*dict, Value(k)));
        dict->set(Value(k), Value(k));
        journal.record(3, HostEffect::slot(*cell, cell->value));
        cell->value = Value(k);
    }
    EXPECT_EQ(journal.mark(), 4u);
    journal.undo_after(2);
    EXPECT_EQ(list->items.size(), 1u);
    EXPECT_EQ(list->items[0].as_int(), 1);
    EXPECT_EQ(dict->size(), 0u);
    EXPECT_EQ(cell->value.as_int(), 0);
}

TEST(Journal, KeepsWhatIsAskedToStay) {
    Generator generator;
    Journal journal(generator);
    auto cell = make_ref<CellObject>(Value(0));
    auto write = [&](int64_t value) {
        journal.record(1, HostEffect::slot(*cell, cell->value));
        cell->value = Value(value);
    };
    write(1);
    const size_t marked = journal.mark();
    auto module = make_ref<CellObject>(Value(5));
    journal.record(1, HostEffect::slot(*module, module->value));
    module->value = Value(6);
    journal.keep_after(marked);
    write(2);
    journal.undo_all();
    EXPECT_EQ(cell->value.as_int(), 0);
    EXPECT_EQ(module->value.as_int(), 6);
}

TEST(Journal, HandsTheRandomStateOn) {
    Generator generator;
    Journal outer(generator), inner(generator);
    auto cell = make_ref<CellObject>(Value(0));
    inner.record(0, HostEffect::slot(*cell, cell->value));
    cell->value = Value(1);
    inner.record(0, HostEffect::random_state(generator));
    generator.draw(5);
    inner.undo_all_but_random_state();
    EXPECT_EQ(cell->value.as_int(), 0);
    EXPECT_EQ(generator.offset(), 5);
    outer.take_over(7, inner);
    outer.undo_after(6);
    EXPECT_EQ(generator.offset(), 0);
}

}  // namespace
}  // namespace tenon
