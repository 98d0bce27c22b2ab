#include "jit/plan.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <queue>
#include <set>

namespace tenon {

namespace {

constexpr size_t alignment = 64;
constexpr size_t many = 2048;

size_t rounded(const Lifetime& lifetime) {
    return (std::max<size_t>(lifetime.bytes, 1) + alignment - 1) / alignment * alignment;
}

// The largest first, each at the lowest place that is free while it lives. Packs well; quadratic.
void place_by_size(std::span<const Lifetime> lifetimes, ArenaPlan& plan) {
    std::vector<size_t> order(lifetimes.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return rounded(lifetimes[a]) > rounded(lifetimes[b]); });
    std::vector<size_t> placed;  // by offset
    for (size_t k : order) {
        const Lifetime& mine = lifetimes[k];
        size_t offset = 0;
        for (size_t other : placed) {
            const Lifetime& theirs = lifetimes[other];
            if (theirs.last < mine.first || mine.last < theirs.first) continue;
            if (offset + rounded(mine) <= plan.offsets[other]) break;
            offset = std::max(offset, plan.offsets[other] + rounded(theirs));
        }
        plan.offsets[k] = offset;
        const auto by_offset = [&](size_t a, size_t b) { return plan.offsets[a] < plan.offsets[b]; };
        placed.insert(std::upper_bound(placed.begin(), placed.end(), k, by_offset), k);
    }
}

// In the order in which they begin, as an allocator would: each in the smallest gap that holds it.
class Sweep {
public:
    Sweep(std::span<const Lifetime> lifetimes, ArenaPlan& plan) : lifetimes_(lifetimes), plan_(plan) {}

    void run(std::span<const size_t> order) {
        const auto later = [&](size_t a, size_t b) { return lifetimes_[a].last > lifetimes_[b].last; };
        std::priority_queue<size_t, std::vector<size_t>, decltype(later)> alive(later);
        for (size_t k : order) {
            for (; !alive.empty() && lifetimes_[alive.top()].last < lifetimes_[k].first; alive.pop())
                give(plan_.offsets[alive.top()], rounded(lifetimes_[alive.top()]));
            plan_.offsets[k] = take(rounded(lifetimes_[k]));
            alive.push(k);
        }
    }

private:
    size_t take(size_t bytes) {
        const auto fit = by_size_.lower_bound({bytes, 0});
        if (fit == by_size_.end()) {  // at the end, and in the gap before it
            size_t begin = end_;
            if (!gaps_.empty() && gaps_.rbegin()->first + gaps_.rbegin()->second == end_) {
                begin = gaps_.rbegin()->first;
                remove(std::prev(gaps_.end()));
            }
            end_ = begin + bytes;
            return begin;
        }
        const auto [size, offset] = *fit;
        remove(gaps_.find(offset));
        if (size > bytes) add(offset + bytes, size - bytes);
        return offset;
    }
    void give(size_t offset, size_t bytes) {
        auto next = gaps_.lower_bound(offset);
        if (next != gaps_.end() && offset + bytes == next->first) {
            bytes += next->second;
            next = remove(next);
        }
        if (next != gaps_.begin() && std::prev(next)->first + std::prev(next)->second == offset) {
            const auto before = std::prev(next);
            offset = before->first;
            bytes += before->second;
            remove(before);
        }
        add(offset, bytes);
    }
    using Gaps = std::map<size_t, size_t>;  // offset -> bytes
    void add(size_t offset, size_t bytes) {
        gaps_.emplace(offset, bytes);
        by_size_.emplace(bytes, offset);
    }
    Gaps::iterator remove(Gaps::iterator gap) {
        by_size_.erase({gap->second, gap->first});
        return gaps_.erase(gap);
    }

    std::span<const Lifetime> lifetimes_;
    ArenaPlan& plan_;
    Gaps gaps_;
    std::set<std::pair<size_t, size_t>> by_size_;
    size_t end_ = 0;
};

// Whose memory each takes: of those that lay there before, the one that was needed longest.
void find_reuses(std::span<const Lifetime> lifetimes, std::span<const size_t> order, ArenaPlan& plan) {
    struct Part {
        size_t end, owner;
    };
    std::map<size_t, Part> parts;  // by offset: who was there last
    for (size_t k : order) {
        const size_t begin = plan.offsets[k], end = begin + rounded(lifetimes[k]);
        auto at = parts.upper_bound(begin);
        if (at != parts.begin() && std::prev(at)->second.end > begin) --at;
        while (at != parts.end() && at->first < end) {
            const auto [offset, part] = *at;
            const Lifetime& theirs = lifetimes[part.owner];
            const int32_t best = plan.reuses[k];
            const bool longer = best < 0 || lifetimes[size_t(best)].last < theirs.last ||
                                (lifetimes[size_t(best)].last == theirs.last && part.owner < size_t(best));
            if (theirs.last < lifetimes[k].first && longer) plan.reuses[k] = int32_t(part.owner);
            at = parts.erase(at);
            if (offset < begin) parts.emplace(offset, Part{begin, part.owner});
            if (part.end > end) at = parts.emplace(end, part).first;
        }
        parts.emplace(begin, Part{end, k});
    }
}

}  // namespace

ArenaPlan plan_arena(std::span<const Lifetime> lifetimes) {
    ArenaPlan plan;
    plan.offsets.resize(lifetimes.size());
    plan.reuses.assign(lifetimes.size(), -1);
    std::vector<size_t> order(lifetimes.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return lifetimes[a].first < lifetimes[b].first; });
    if (lifetimes.size() <= many) place_by_size(lifetimes, plan);
    else Sweep(lifetimes, plan).run(order);
    for (size_t k = 0; k < lifetimes.size(); ++k)
        plan.bytes = std::max(plan.bytes, plan.offsets[k] + rounded(lifetimes[k]));
    find_reuses(lifetimes, order, plan);
    return plan;
}

}  // namespace tenon
