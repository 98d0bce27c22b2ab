// Symbols of sizes replaced wherever sizes stand, in types and in attributes.
#pragma once
#include <unordered_map>
#include <vector>

#include "ir/context.h"
#include "ir/graph.h"
#include "ir/size_facts.h"

namespace tenon {

class Substitution {
public:
    /// Symbol k becomes symbols[k].
    /// With facts, sizes are written in the normal form that these give; the facts outlive this.
    Substitution(Context& context, std::vector<SizeId> symbols, const SizeFacts* facts = nullptr)
        : context_(context), symbols_(std::move(symbols)), facts_(facts) {}

    SizeId operator()(SizeId);
    TypeId operator()(TypeId);
    AttrId operator()(AttrId);

private:
    void replace(AttrValue&);

    Context& context_;
    std::vector<SizeId> symbols_;
    const SizeFacts* facts_;
    std::unordered_map<TypeId, TypeId> types_;  // what was asked before
    std::unordered_map<AttrId, AttrId> attrs_;
};

/// Marks the symbols that the node's type and attributes name.
void mark_symbols(const Graph&, NodeId, std::vector<bool>& marks);

}  // namespace tenon
