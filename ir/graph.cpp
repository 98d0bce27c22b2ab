#include "ir/graph.h"

#include "ir/row.h"

namespace tenon {

std::string_view policy_word(uint8_t flags) {
    if (!(flags & recompute_flag)) return {};
    const bool must = flags & must_flag;
    if (flags & save_flag) return must ? "must_save" : "prefer_save";
    return must ? "must_recompute" : "recompute";
}

uint8_t flags_of_policy(std::string_view word) {
    if (word == "recompute" || word == "prefer_recompute") return recompute_flag;
    if (word == "must_recompute") return recompute_flag | must_flag;
    if (word == "prefer_save") return recompute_flag | save_flag;
    return word == "must_save" ? recompute_flag | save_flag | must_flag : 0;
}

std::vector<std::string> Graph::symbol_names() const {
    std::vector<std::string> out;
    out.reserve(symbols.size());
    for (size_t k = 0; k < symbols.size(); ++k)
        out.push_back(symbols[k].name ? std::string(context->text(symbols[k].name)) : "s" + std::to_string(k));
    return out;
}

NodeId Graph::element(NodeId get) const {
    if (nodes[get.index].op != op<"get">() || nodes[operand(get, 0).index].op != op<"tuple">()) return {};
    return operand(operand(get, 0), size_t(attributes(get).integer("index")));
}

std::vector<std::vector<NodeId>> Graph::users() const {
    std::vector<std::vector<NodeId>> out(nodes.size());
    for (uint32_t i = 0; i < nodes.size(); ++i)
        for (NodeId operand : operands_of(NodeId(i)))
            if (out[operand.index].empty() || out[operand.index].back() != NodeId(i))
                out[operand.index].push_back(NodeId(i));
    return out;
}

namespace {
// Compares region by region, pairing nodes as they are met: ids need not be the same, structure must.
class Comparison {
public:
    Comparison(const Graph& a, const Graph& b) : a_(a), b_(b), pair_(a.nodes.size()) {}

    bool regions(RegionId x, RegionId y) {
        const Region &r = a_.region(x), &s = b_.region(y);
        return all(a_.params(r), b_.params(s)) && all(a_.body(r), b_.body(s)) && values(a_.results(r), b_.results(s));
    }

private:
    bool all(std::span<const NodeId> x, std::span<const NodeId> y) {
        if (x.size() != y.size()) return false;
        for (size_t k = 0; k < x.size(); ++k)
            if (!node(x[k], y[k])) return false;
        return true;
    }
    bool values(std::span<const NodeId> x, std::span<const NodeId> y) {
        if (x.size() != y.size()) return false;
        static const Op literal = require_op("constant"), captured = require_op("tensor");
        for (size_t k = 0; k < x.size(); ++k) {
            const Op o = a_[x[k]].op;
            if (!pair_[x[k].index] && (o == literal || o == captured)) {  // outside the body: met at their uses
                if (!node(x[k], y[k])) return false;
            } else if (pair_[x[k].index] != y[k]) return false;
        }
        return true;
    }
    bool node(NodeId x, NodeId y) {
        const Node &m = a_[x], &n = b_[y];
        if (m.op != n.op || m.type != n.type || m.attr != n.attr || m.flags != n.flags || m.regions != n.regions ||
            a_.metas[x.index] != b_.metas[y.index] || !values(a_.operands_of(x), b_.operands_of(y)))
            return false;
        pair_[x.index] = y;
        for (unsigned k = 0; k < m.regions; ++k)
            if (!regions(RegionId(m.region.index + k), RegionId(n.region.index + k))) return false;
        return true;
    }

    const Graph &a_, &b_;
    std::vector<NodeId> pair_;
};
}  // namespace

bool equal(const Graph& a, const Graph& b) {
    if (a.context != b.context || a.symbols.size() != b.symbols.size() || a.equalities != b.equalities ||
        a.tensors.size() != b.tensors.size())
        return false;
    for (size_t k = 0; k < a.tensors.size(); ++k) {
        const Tensor &s = a.tensors[k], &t = b.tensors[k];
        if (s.storage != t.storage || s.offset != t.offset || s.dtype != t.dtype || s.shape != t.shape ||
            s.strides != t.strides)
            return false;
    }
    return Comparison(a, b).regions(RegionId(0), RegionId(0));
}

}  // namespace tenon
