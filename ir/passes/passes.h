// The passes, which ir/pipeline/pipeline.cpp lists. A pass is a free function in its own file: it reads a frozen graph and
// builds another, which it gives through `verified`. Only the pipeline runner times and dumps.
#pragma once
#include <span>
#include <string>
#include <vector>

#include "ir/graph.h"

namespace tenon {

enum class PassId : uint8_t {
    specialise,
    batch,
    joint,
    recompute,
    split,
    expand,
    rematerialise,
    drop_cotangents,
    renumber_symbols,
    inline_calls,
    simplify,
    prepare_fusion,
    fuse,
    schedule,
};
// What a pass has made. Where assertions are compiled, it is checked in time that grows as the graph does: structure,
// types, levels, and what the pass promises to leave (Pass::leaves). Throws Error "internal", which names the pass.
GraphRef verified(PassId, GraphRef);

enum class DecisionKind : uint8_t {
    simplified,  // a rule's replacement stands for it
    folded,      // literals made a literal
    moved,       // movement that was none, or became one with other movement
    kept,        // has memory of its own though it need not
    fused,
    not_fused,
    interpreted,  // no engine compiles it
    split,        // a long reduction, among threads
    parallel,
    one_thread,
    tiled,       // loops over two dimensions at a time
    saved,       // for backward
    recomputed,  // in backward
    in_place,
    copied,
    reused,    // memory, by a later value
    together,  // kernels of one form are one dispatch
};
std::string_view name_of(DecisionKind);  // "not fused"
struct Decision {  // why something was done or refused; explain prints these, no reason is ever empty
    DecisionKind what = DecisionKind::simplified;
    std::string subject;  // node or kernel name
    std::string reason;
    OriginId origin;
    int64_t bytes = 0;  // of a refusal: the memory traffic that it costs, at the sizes seen
};
using Decisions = std::vector<Decision>;

struct Target {             // facts that scheduling turns into loop kinds
    int vector_bytes = 32;  // of the widest vector register
    int threads = 1;
    int64_t cache_bytes = 1 << 20;  // per core
    int64_t near_bytes = 32 << 10;  // of the first cache
    int64_t cache_ways = 8;         // of both
    int64_t line_bytes = 64;
    int64_t page_bytes = 4096;
    int64_t pages = 1024;  // whose addresses a core remembers
    bool cuda = false;
};

// Call nodes with regions become their bodies; paths are kept in origins.
GraphRef inline_calls(const Graph&);

// Forward and backward in one graph. Results: the graph's own, then one cotangent per value in `wrt`: a parameter, or,
// counted on from the parameters, a result (a leaf that the graph itself has made).
// Parameters: the graph's own, one cotangent `grad…` per result in `results` (positions), then one running sum per wrt
// if `running`.
struct Joint {
    GraphRef graph;
    size_t inputs = 0;            // parameters of the forward graph
    size_t outputs = 0;           // results of the forward graph
    std::vector<size_t> results;  // which results have a cotangent parameter
    std::vector<size_t> wrt;      // which parameters and own results have a cotangent result, in order
    std::vector<bool> reached;    // per wrt: whether a path leads there
    NodeId backward;              // the first node of the body that is not the forward graph's, if there is one
    NodeId wrt_node(size_t k) const {
        return wrt[k] < inputs ? graph->params()[wrt[k]] : graph->results()[wrt[k] - inputs];
    }
};
Joint make_joint(const Graph&, std::span<const size_t> results, std::span<const size_t> wrt, bool running);
// The same with running sums for some: `running` has a mark per wrt. `inside_region`: of a region
// (ReverseRequest::inside_region).
Joint make_joint(const Graph&, std::span<const size_t> results, std::span<const size_t> wrt,
                 const std::vector<bool>& running, bool inside_region = false);

// What derivatives read of a checkpoint's inside is computed again, anew for each run of derivatives, and at `backward`.
// Comes after all differentiation, which thus does not see checkpoints.
GraphRef recompute(const GraphRef&, NodeId backward = {});
/// Composite rows become what stands for them; the graph itself where there are none.
GraphRef expand(const GraphRef&);
inline GraphRef recompute(const Joint& joint) { return recompute(joint.graph, joint.backward); }

// Forward and backward apart. Forward results: its own, then the saved values.
// Backward parameters: saved values (forward inputs among them), then cotangents, then running sums; results: one per
// reached wrt. What is saved is the same with running sums and without; of checkpoints it is what `recompute` leaves.
struct Split {
    GraphRef forward, backward;
    struct Saved {
        bool is_input = false;  // parameter `index` of the joint graph, otherwise result `index` of forward
        size_t index = 0;
    };
    std::vector<Saved> saved;
    size_t results = 0;     // of forward that are its own
    size_t cotangents = 0;  // parameters of backward between the saved values and the running sums
};
Split split_joint(const Joint&);
// Elementwise and movement values of saved ones are computed again in backward where that is cheaper than saving them.
Split rematerialise(const Split&, Decisions&);

GraphRef simplify(const Graph&, Decisions* = nullptr);  // rules, value numbering, dead code, folding of literals
// Symbols become constants where they are not to be kept, and where the equalities say so one written by others.
GraphRef specialise(const Graph&, std::span<const int64_t> symbol_values, const std::vector<bool>& keep_symbolic);

// Symbols numbered as the parameters name them; those that no parameter shows are gone, for nothing uses them.
GraphRef renumber_symbols(const GraphRef&);

// Groups nodes into `fusion` nodes with tensor-level regions: one kernel each.
GraphRef fuse(const Graph&, Decisions&);
// Fusions become `kernel` nodes with loop nests (docs at ir/loops.h).
GraphRef schedule(const Graph&, const Target&, Decisions&);

}  // namespace tenon
