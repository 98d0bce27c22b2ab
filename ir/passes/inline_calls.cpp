// inline: `call` nodes become their bodies. Needs nothing; afterwards no call is left. What lies in a checkpoint gets
// the recompute mark, and what it gives (but to derivatives alone) is marked to be kept; metadata stays, the call's name joins the
// origins' paths.
#include <algorithm>

#include "ir/build/copier.h"
#include "ir/passes/passes.h"

namespace tenon {

namespace {

class Inliner {
public:
    explicit Inliner(const Graph& g) : graph_(g), builder_(*g.context), copy_(g, builder_) {}
    GraphRef run() {
        copy_.copy_params();
        body(graph_.main(), {});
        return copy_.finish();
    }

private:
    struct Site {  // the calls around a node
        NameId path;
        bool checkpoint = false;
    };
    void body(const Region& region, Site site) {
        for (NodeId id : graph_.body(region)) {
            if (graph_[id].op == op<"call">()) call(id, site);
            else if (!get_of_call(id)) {
                const NodeId made = copy_.copy(id);
                if (site.checkpoint) builder_.set_flags(made, uint8_t(builder_.node(made).flags | recompute_flag));
                if (site.path) add_path(made, site.path);
            }
        }
    }
    void call(NodeId id, Site site) {
        Context& context = *graph_.context;
        const Region& region = graph_.region_of(id);
        const Attributes attributes = graph_.attributes(id);
        if (attributes.has("name")) {
            const std::string_view name = attributes.text("name");
            site.path = site.path ? context.name(std::string(context.text(site.path)) + "." + std::string(name))
                                  : context.name(name);
        }
        const bool outermost = attributes.has("kind") && attributes.text("kind") == "checkpoint" && !site.checkpoint;
        site.checkpoint |= outermost;
        for (size_t k = 0; k < graph_.params(region).size(); ++k)
            copy_.map(graph_.params(region)[k], copy_(graph_.operand(id, k)));
        body(region, site);
        std::vector<NodeId> results;
        Dims recomputed;
        if (attributes.has("recomputed")) recomputed = attributes.integers("recomputed");
        for (NodeId r : graph_.results(region)) {
            const auto at = int64_t(results.size());
            results.push_back(copy_(r));
            if (outermost && std::find(recomputed.begin(), recomputed.end(), at) == recomputed.end())
                keep(results.back());
        }
        if (results.size() == 1) copy_.map(id, results[0]);
        else results_.emplace(id, std::move(results));
    }
    // What others read of a checkpoint is there anyway, unless the policy insists on another word.
    void keep(NodeId result) {
        const uint8_t flags = builder_.node(result).flags;
        if ((flags & recompute_flag) && !(flags & must_flag)) builder_.set_flags(result, flags | save_flag);
    }
    bool get_of_call(NodeId id) {
        if (graph_[id].op != op<"get">()) return false;
        const auto call = results_.find(graph_.operand(id, 0));
        if (call == results_.end()) return false;
        copy_.map(id, call->second[size_t(graph_.attributes(id).integer("index"))]);
        return true;
    }
    void add_path(NodeId id, NameId path) {
        Origin origin = (*graph_.context)[builder_.stamp_of(id).origin];
        origin.path = path;
        builder_.set_origin(id, graph_.context->origin(origin));
    }

    const Graph& graph_;
    Builder builder_;
    Copier copy_;
    std::unordered_map<NodeId, std::vector<NodeId>> results_;  // of calls with several
};

}  // namespace

GraphRef inline_calls(const Graph& g) { return verified(PassId::inline_calls, Inliner(g).run()); }

}  // namespace tenon
