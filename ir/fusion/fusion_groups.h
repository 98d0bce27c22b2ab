// Which values become one kernel. Values with memory start as kernels of their own; then kernels that go through the
// same elements join: a producer with its consumer where each element depends on the one in the same place, siblings
// that read the same memory, small ones that do the same to other tensors. A reduction takes in what goes through the
// elements it reduces (rows: also what uses its result along the row), and what follows element by element from its
// result. Rows and long sums of columns that read the same large tensors are joined at last: the sums' chunks are rows that
// are near when the rows have been gone through.
#pragma once
#include <string>
#include <vector>

#include "ir/marks.h"
#include "ir/fusion/item_graph.h"
#include "ir/fusion/materialise.h"
#include "ir/passes/passes.h"
#include "ir/row.h"

namespace tenon {

struct Group {
    // crossed: rows, and long reductions by columns of tensors that these read; kept and reduced are those of the rows
    enum class Kind : uint8_t { elements, rows, columns, alone, crossed } kind = Kind::elements;
    bool interpreted = false;     // `compile: false`: joins nothing
    std::vector<NodeId> members;  // values with memory, ascending; none: joined into another
    SizeId kept, reduced{1};      // how many elements it goes through: kept · reduced
    int cost = 0;
    std::vector<NodeId> below;  // of crossed: the members that are the columns', ascending
};

class FusionGroups {
public:
    // Decisions: what was not joined, and why. `kept`: as assign_memory takes it.
    FusionGroups(const Graph&, Decisions&, const std::vector<bool>& kept = {});

    const Group* group_of(NodeId id) const {  // null for what is no value with memory
        const int g = group_of_[id.index];
        return g < 0 ? nullptr : &groups_[size_t(g)];
    }
    struct Contents {  // what a kernel reads from outside, the nodes that it computes, those it gives: ascending
        std::vector<NodeId> inputs, nodes, outputs;
    };
    Contents contents(const Group&);
    SizeId numel(NodeId id) const { return facts_.product(graph_.type(id).sizes); }

    // The graph to be: groups, and nodes outside of them. A group is the item of any of its members.
    using Item = ItemGraph::Item;
    bool is_item(NodeId id) const { return group_of_[id.index] >= 0 || !is_fusable(graph_, id); }
    Item item_of(NodeId id) { return items_.find(id.index); }
    const std::vector<Item>& needs(Item item) { return items_.needs(item); }
    size_t steps() const { return steps_ + items_.steps(); }  // how many nodes and items were looked at

private:
    void found(NodeId);
    void find_dependences();
    void need(NodeId user, NodeId value);

    bool reduces(NodeId id) const { return row(graph_[id].op).lowering == Lowering::reduce; }
    bool scalars(const Group& g) const { return g.kind == Group::Kind::elements && g.kept == SizeId(1); }
    int64_t hint(SizeId size) const { return context_.evaluate(size, hints_); }
    bool is_long(const Group&) const;
    std::string name(const Group& g) const { return std::string(graph_.name_of(g.members.back())); }

    // Two groups, and what they would be as one.
    struct Pair {
        int a, b;
        Group joined;  // without members
    };
    bool is_inside(const Pair& p, NodeId id) const { return group_of_[id.index] == p.a || group_of_[id.index] == p.b; }
    template <class F>
    void each_member(const Pair&, F) const;
    std::string refuse_elements(Pair&) const;
    std::string refuse(Pair&);
    std::string refuse_reads(const Pair&);
    bool reaches(const Group&, NodeId reader, const Read&, bool source_waits) const;
    size_t buffers(const Pair&);
    bool is_needed_outside(const Pair&, NodeId member) const;
    bool delays_readers(const Pair&) const;
    bool undoes_checkpoint(const Pair&) const;

    bool try_join(int a, int b, bool report);
    int64_t traffic(const Group& from, const Group& to) const;
    void merge(Pair&&);
    void join_producers();
    void join_siblings();
    void join_crossings();
    bool may_cross(const Pair&);
    bool reads_across(const Pair&, NodeId reader, const Read&) const;
    bool is_read_below(const Group&, NodeId member) const;
    std::vector<std::vector<NodeId>> full_readers() const;
    void join_alike();
    std::vector<uint64_t> likeness(const Group&);

    const Graph& graph_;
    Context& context_;
    const SizeFacts facts_;
    Decisions& decisions_;
    const Memory memory_;
    std::vector<int64_t> hints_;
    std::vector<int> group_of_;  // of values with memory, −1 of others
    std::vector<Group> groups_;
    std::vector<std::vector<NodeId>> readers_;  // values with memory that read this one
    std::vector<uint32_t> others_before_;       // of a node: the items before it that are not computed again
    ItemGraph items_;                           // by node
    Marks met_, views_;
    size_t steps_ = 0;
};

}  // namespace tenon
