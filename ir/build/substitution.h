// Symbols of sizes replaced wherever sizes stand, in types and in attributes.
#pragma once
#include <unordered_map>
#include <vector>

#include "ir/context.h"
#include "ir/graph.h"

namespace tenon {

class Substitution {
public:
    /// Symbol k becomes symbols[k].
    Substitution(Context& context, std::vector<SizeId> symbols) : context_(context), symbols_(std::move(symbols)) {}

    SizeId operator()(SizeId size) const { return context_.substitute(size, symbols_); }
    TypeId operator()(TypeId);
    AttrId operator()(AttrId);

private:
    void replace(AttrValue&);

    Context& context_;
    std::vector<SizeId> symbols_;
    std::unordered_map<TypeId, TypeId> types_;  // what was asked before
    std::unordered_map<AttrId, AttrId> attrs_;
};

/// Marks the symbols that the node's type and attributes name, and those of the nodes in its regions.
void mark_symbols(const Graph&, NodeId, std::vector<bool>& marks);

}  // namespace tenon
