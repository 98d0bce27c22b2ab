#include "ir/build/freeze.h"

#include <set>
#include <unordered_map>
#include <unordered_set>

#include "ir/row.h"

namespace tenon {

namespace {

// Writes live nodes into a fresh graph in canonical order: a region's params, then its body, each node after the nodes
// of its regions; a literal or captured tensor just before its first use.
class Freezer {
public:
    Freezer(const Graph& from, const Liveness& live) : from_(from), live_(live), image_(from.nodes.size()) {
        to_ = std::make_shared<Graph>();
        to_->context = from.context;
        to_->name = from.name;
        to_->regions.push_back({});
    }
    void region(RegionId into, RegionId parent, std::span<const NodeId> params, std::span<const NodeId> body,
                std::span<const NodeId> results, MetaId yield_meta) {
        std::vector<NodeId> kept_params, kept_body;
        for (NodeId p : params) kept_params.push_back(node(p));
        for (NodeId id : body)
            if (live_[id]) kept_body.push_back(node(id));
        std::vector<NodeId> values;
        for (NodeId r : results) values.push_back(value(r));
        const NodeId yield = push({op<"yield">(), 0, 0, from_.context->none(), {}, {}, {}}, values, {}, yield_meta, {});
        Region& made = to_->regions[into.index];
        made.parent = parent;
        made.params = {uint32_t(to_->bodies.size()), uint32_t(kept_params.size())};
        to_->bodies.insert(to_->bodies.end(), kept_params.begin(), kept_params.end());
        made.body = {uint32_t(to_->bodies.size()), uint32_t(kept_body.size())};
        to_->bodies.insert(to_->bodies.end(), kept_body.begin(), kept_body.end());
        made.yield = yield;
    }
    std::shared_ptr<Graph> take() {
        for (const SizeSymbol& s : from_.symbols)
            to_->symbols.push_back({s.definer ? image_[s.definer.index] : NodeId::none(), s.dim, s.hint, s.name});
        std::set<std::pair<SizeId, SizeId>> known;
        for (const SizeEquality& e : from_.equalities)
            if (known.emplace(e.left, e.right).second) to_->equalities.push_back(e);
        give_names();
        return std::move(to_);
    }
    const std::vector<NodeId>& image() const { return image_; }

private:
    NodeId push(Node node, std::span<const NodeId> operands, OriginId origin, MetaId meta, NameId name) {
        const NodeId id(uint32_t(to_->nodes.size()));
        node.operands = {uint32_t(to_->operands.size()), uint32_t(operands.size())};
        to_->operands.insert(to_->operands.end(), operands.begin(), operands.end());
        to_->nodes.push_back(node);
        to_->origins.push_back(origin);
        to_->metas.push_back(meta);
        to_->names.push_back(name);
        return id;
    }
    NodeId value(NodeId id) { return image_[id.index] ? image_[id.index] : node(id); }
    NodeId node(NodeId id) {
        Node copy = from_[id];
        if (copy.op == op<"tensor">()) {  // captured tensors are numbered by first use
            copy.attr = from_.context->attr({{from_.context->name("index"), AttrValue(int64_t(to_->tensors.size()))}});
            to_->tensors.push_back(from_.tensors[size_t(from_.attributes(id).integer("index"))]);
        }
        std::vector<NodeId> operands;
        for (NodeId operand : from_.operands_of(id)) operands.push_back(value(operand));
        if (copy.regions > 0) {
            const RegionId first(uint32_t(to_->regions.size()));
            to_->regions.resize(to_->regions.size() + copy.regions);
            for (unsigned k = 0; k < copy.regions; ++k) {
                const Region& inner = from_.region_of(id, k);
                region(RegionId(first.index + k), RegionId(0), from_.params(inner), from_.body(inner),
                       from_.results(inner), from_.metas[inner.yield.index]);
            }
            copy.region = first;
        }
        return image_[id.index] =
                   push(copy, operands, from_.origins[id.index], from_.metas[id.index], from_.names[id.index]);
    }
    // sin, sin_1, …: the op's own name with a counter, in canonical order; names given before are kept.
    void give_names() {
        Context& context = *from_.context;
        std::unordered_set<NameId> taken;
        std::unordered_map<NameId, int> counters;
        const auto fresh = [&](NameId base) {
            NameId name = base;
            int& k = counters[base];
            while (!taken.insert(name).second)
                name = context.name(std::string(context.text(base)) + "_" + std::to_string(++k));
            return name;
        };
        std::vector<uint32_t> unnamed;
        for (uint32_t i = 0; i < to_->nodes.size(); ++i) {
            const Op o = to_->nodes[i].op;
            if (o == op<"constant">() || o == op<"tensor">() || o == op<"yield">()) continue;
            if (to_->names[i]) to_->names[i] = fresh(to_->names[i]);
            else unnamed.push_back(i);
        }
        const NameId input = context.name("arg");
        for (uint32_t i : unnamed) {
            const Op o = to_->nodes[i].op;
            to_->names[i] = fresh(o == op<"param">() ? input : context.name(row(o).name));
        }
        for (uint32_t i = 0; i < to_->nodes.size(); ++i)  // parents of nested regions
            for (unsigned k = 0; k < to_->nodes[i].regions; ++k) {
                Region& r = to_->regions[to_->nodes[i].region.index + k];
                for (uint32_t b = 0; b < r.body.count; ++b) {
                    const Node& inner = to_->nodes[to_->bodies[r.body.begin + b].index];
                    for (unsigned j = 0; j < inner.regions; ++j)
                        to_->regions[inner.region.index + j].parent = RegionId(to_->nodes[i].region.index + k);
                }
            }
    }

    const Graph& from_;
    const Liveness& live_;
    std::shared_ptr<Graph> to_;
    std::vector<NodeId> image_;
};

}  // namespace

GraphRef freeze(const Graph& from, std::span<const NodeId> params, std::span<const NodeId> body,
                std::span<const NodeId> results, const Liveness& live, std::vector<NodeId>* kept) {
    Freezer freezer(from, live);
    freezer.region(RegionId(0), RegionId::none(), params, body, results, MetaId::none());
    if (kept) *kept = freezer.image();
    return freezer.take();
}

}  // namespace tenon
