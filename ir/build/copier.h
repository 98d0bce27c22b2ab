// Copies nodes of a graph into a builder, operands remapped: the loop at the heart of every pass.
#pragma once
#include <vector>

#include "ir/build/builder.h"
#include "ir/build/substitution.h"

namespace tenon {

class Copier {
public:
    /// With a substitution, types and attributes are written with it.
    Copier(const Graph& from, Builder& to, Substitution* substitution = nullptr);

    NodeId operator()(NodeId);  // the image of a node, asserts that there is one
    bool has(NodeId id) const { return bool(image_[id.index]); }
    void map(NodeId from, NodeId to) { image_[from.index] = to; }
    Stamp stamp_of(NodeId) const;

    NodeId copy(NodeId);  // same op, type, attr, stamp, name; regions copied deep; operands must be mapped
    NodeId copy_parameter(NodeId);
    RegionId copy_region(const Region&);  // opened and closed, for the node that is emitted next
    void copy_params();  // the main region's, and the graph's symbols and equalities
    void copy_body();    // every node of the main body, in order
    GraphRef finish();   // the builder's graph, with the images of the graph's results and with its name

    /// What an update of a graph without calls shows of the image `base`: `view`, or movement emitted anew where that
    /// leads to another base, or is none. A link of the way may be kept, or saved, where the base is computed again.
    NodeId view_from(NodeId base, NodeId update, NodeId view);

private:
    NodeId copy_leaf(NodeId);  // a literal, a captured tensor

    const Graph& from_;
    Builder& to_;
    Substitution* substitution_;
    std::vector<NodeId> image_;
};

}  // namespace tenon
