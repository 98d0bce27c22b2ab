#include "jit/plan.h"

#include <algorithm>
#include <numeric>

namespace tenon {

ArenaPlan plan_arena(std::span<const Lifetime> lifetimes) {
    constexpr size_t alignment = 64;
    const auto rounded = [&](size_t k) {
        return (std::max<size_t>(lifetimes[k].bytes, 1) + alignment - 1) / alignment * alignment;
    };
    ArenaPlan plan;
    plan.offsets.resize(lifetimes.size());
    plan.reuses.assign(lifetimes.size(), -1);
    std::vector<size_t> order(lifetimes.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return rounded(a) > rounded(b); });

    std::vector<size_t> placed;  // by offset
    for (size_t k : order) {
        const Lifetime& mine = lifetimes[k];
        size_t offset = 0;
        for (size_t other : placed) {
            const Lifetime& theirs = lifetimes[other];
            if (theirs.last < mine.first || mine.last < theirs.first) continue;
            if (offset + rounded(k) <= plan.offsets[other]) break;
            offset = std::max(offset, plan.offsets[other] + rounded(other));
        }
        plan.offsets[k] = offset;
        plan.bytes = std::max(plan.bytes, offset + rounded(k));
        const auto by_offset = [&](size_t a, size_t b) { return plan.offsets[a] < plan.offsets[b]; };
        placed.insert(std::upper_bound(placed.begin(), placed.end(), k, by_offset), k);
    }
    for (size_t k = 0; k < lifetimes.size(); ++k)
        for (size_t other = 0; other < lifetimes.size(); ++other) {
            const bool overlaps = plan.offsets[other] < plan.offsets[k] + rounded(k) &&
                                  plan.offsets[k] < plan.offsets[other] + rounded(other);
            if (lifetimes[other].last >= lifetimes[k].first || !overlaps) continue;
            if (plan.reuses[k] < 0 || lifetimes[size_t(plan.reuses[k])].last < lifetimes[other].last)
                plan.reuses[k] = int32_t(other);
        }
    return plan;
}

}  // namespace tenon
