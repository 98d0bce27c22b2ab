#include "ir/fusion/item_order.h"

#include <algorithm>
#include <cassert>
#include <functional>
#include <queue>

#include "ir/checked_positions.h"
#include "ir/fusion/materialise.h"
#include "ir/row.h"
#include "runtime/integer.h"

namespace tenon {

namespace {

// Of items that read many values it is not asked again and again how much memory they free.
constexpr size_t many_reads = 64;
constexpr int64_t small = 4096;  // bytes, for which nobody should wait

class ItemOrder {
public:
    ItemOrder(const Graph& g, std::vector<OrderedItem> items)
        : graph_(g), items_(std::move(items)), values_(g.nodes.size()) {
        for (const SizeSymbol& s : g.symbols) hints_.push_back(s.hint);
    }

    std::vector<uint32_t> run() {
        for (OrderedItem& item : items_)
            for (std::vector<NodeId>* list : {&item.reads, &item.makes}) {
                for (NodeId& id : *list) id = through_names(graph_, id);
                std::sort(list->begin(), list->end());
                list->erase(std::unique(list->begin(), list->end()), list->end());
            }
        find_turns();
        const std::vector<uint32_t> plain = in_order([](uint32_t) { return false; });
        writes_come_last(plain);
        place_.resize(items_.size());
        for (uint32_t k = 0; k < plain.size(); ++k) place_[plain[k]] = k;
        find_lifetimes();
        return in_order([&](uint32_t item) { return goes_first(item); });
    }

private:
    struct Value {
        int64_t bytes = 0;     // of memory that is used for it alone, while it is needed
        uint32_t readers = 0;  // that have not run
        uint64_t sum = 0;      // of their places in the list: the last one's, once there is one
    };

    // What an item needs has its turn no later than the item: else all that is ready meanwhile, such as what checkpoints
    // compute again much later, would come before it. (A kernel may hold a gradient and the update that it is for.)
    void find_turns() {
        for (const OrderedItem& item : items_) turn_.push_back(item.first);
        const std::vector<uint32_t> order = in_order([](uint32_t) { return false; });
        for (size_t k = order.size(); k-- > 0;)
            for (uint32_t needed : items_[order[k]].needs) turn_[needed] = std::min(turn_[needed], turn_[order[k]]);
    }

    // As soon as all that it needs is there, `first` ones before the others, and of these by place.
    std::vector<uint32_t> in_order(const std::function<bool(uint32_t)>& first) {
        std::vector<uint32_t> waiting(items_.size()), order;
        std::vector<std::vector<uint32_t>> users(items_.size());
        const auto later = [&](uint32_t a, uint32_t b) {
            if (!place_.empty()) return place_[a] > place_[b];
            return std::pair(turn_[a], items_[a].first) > std::pair(turn_[b], items_[b].first);
        };
        using Queue = std::priority_queue<uint32_t, std::vector<uint32_t>, decltype(later)>;
        Queue ready(later), ready_first(later);
        std::vector<bool> is_ready(items_.size()), is_done(items_.size());
        const auto add = [&](uint32_t item) {
            is_ready[item] = true;
            (first(item) ? ready_first : ready).push(item);
        };
        for (uint32_t item = 0; item < items_.size(); ++item) {
            waiting[item] = uint32_t(items_[item].needs.size());
            for (uint32_t needed : items_[item].needs) users[needed].push_back(item);
        }
        for (uint32_t item = 0; item < items_.size(); ++item)
            if (waiting[item] == 0) add(item);
        while (!ready.empty() || !ready_first.empty()) {
            Queue& queue = ready_first.empty() ? ready : ready_first;
            const uint32_t item = queue.top();
            queue.pop();
            if (is_done[item]) continue;  // it stood in both
            is_done[item] = true;
            order.push_back(item);
            for (NodeId id : items_[item].reads) {
                Value& value = values_[id.index];
                if (place_.empty() || value.readers == 0) continue;
                --value.readers;
                value.sum -= item;
                if (value.readers != 1) continue;
                const auto last = uint32_t(value.sum);
                if (is_ready[last] && !is_done[last] && items_[last].reads.size() <= many_reads && first(last))
                    ready_first.push(last);
            }
            for (uint32_t user : users[item])
                if (--waiting[user] == 0) add(user);
        }
        assert(order.size() == items_.size());
        return order;
    }

    // A new value of an input is made where the old one lies: after all that read that, and after what may fail, for then
    // the inputs are as they were.
    void writes_come_last(const std::vector<uint32_t>& plain) {
        std::vector<NodeId> input_of(graph_.nodes.size());  // a value: whose new one it is
        for (NodeId id : graph_.body())
            if (row(graph_[id].op).effect == Effect::commits)
                input_of[through_names(graph_, graph_.operand(id, 1)).index] = graph_.operand(id, 0);
        std::vector<std::vector<uint32_t>> readers(graph_.nodes.size());
        CheckedPositions checked(graph_);
        constexpr uint32_t none = ~0u;
        uint32_t fails = none;  // the last item that may
        for (uint32_t item : plain) {
            OrderedItem& it = items_[item];
            bool writes = false, may_fail = false;
            for (NodeId made : it.makes) {
                const bool commits = row(graph_[made].op).effect == Effect::commits;
                const NodeId input = commits ? graph_.operand(made, 0) : input_of[made.index];
                if (!input) continue;
                writes = true;
                it.needs.insert(it.needs.end(), readers[input.index].begin(), readers[input.index].end());
            }
            for (NodeId id : it.nodes)
                may_fail |=
                    row(graph_[id].op).effect == Effect::asserts || graph_[id].regions > 0 || checked.may_fail(id);
            if ((writes || may_fail) && fails != none) it.needs.push_back(fails);
            if (may_fail) fails = item;
            std::sort(it.needs.begin(), it.needs.end());
            it.needs.erase(std::unique(it.needs.begin(), it.needs.end()), it.needs.end());
            for (NodeId id : it.reads)
                if (graph_[id].op == op<"param">()) readers[id.index].push_back(item);
        }
    }

    int64_t bytes(TypeId type) const {
        const Type& t = (*graph_.context)[type];
        int64_t sum = 0;
        for (TypeId element : t.elements) sum = add_saturated(sum, bytes(element));
        if (!t.is_tensor()) return sum;
        sum = int64_t(size_of(t.dtype));
        for (SizeId size : t.sizes) sum = multiply_saturated(sum, graph_.context->evaluate(size, hints_));
        return sum;
    }
    void find_lifetimes() {
        for (uint32_t k = 0; k < items_.size(); ++k) {
            for (NodeId id : items_[k].makes) values_[id.index].bytes = bytes(graph_[id].type);
            for (NodeId id : items_[k].reads) {
                ++values_[id.index].readers;
                values_[id.index].sum += k;
            }
        }
        // Inputs and results have memory all the time, and so has what is written into an input.
        for (NodeId id : graph_.results()) values_[through_names(graph_, id).index].bytes = 0;
        for (NodeId id : graph_.body())
            if (row(graph_[id].op).effect == Effect::commits)
                values_[through_names(graph_, graph_.operand(id, 1)).index].bytes = 0;
    }
    bool goes_first(uint32_t item) const {
        int64_t change = 0, made = 0;
        for (NodeId id : items_[item].makes) {
            change = add_saturated(change, values_[id.index].bytes);
            made = add_saturated(made, bytes(graph_[id].type));
        }
        if (made <= small) return true;
        for (NodeId id : items_[item].reads)
            if (values_[id.index].readers == 1) change -= values_[id.index].bytes;
        return change < 0;
    }

    const Graph& graph_;
    std::vector<OrderedItem> items_;
    std::vector<int64_t> hints_;
    std::vector<NodeId> turn_;     // of an item: the first node that it is there for
    std::vector<uint32_t> place_;  // of an item in the order without regard to memory
    std::vector<Value> values_;    // by node
};

}  // namespace

std::vector<uint32_t> order_items(const Graph& graph, std::vector<OrderedItem> items) {
    return ItemOrder(graph, std::move(items)).run();
}

}  // namespace tenon
