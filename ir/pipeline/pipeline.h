// Every pass by name and in order, and the one runner that times, dumps and stops early.
#pragma once
#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "ir/passes/passes.h"
#include "ir/text/text.h"

namespace tenon {

struct PassSetting {  // what a pass may know besides its graph
    Target target;
    Decisions& decisions;
};

struct Pass {
    std::string_view name;
    std::string_view doc;
    std::string_view stage;  // what its result is called in `tenon dump --stage`, empty where it has no name
    GraphRef (*run)(const Graph&, PassSetting&);  // null where it is asked for with more than this
    PassId id = {};
    Symbols symbols = Symbols::defined;  // of the graph that it makes
    // Why a node of that graph should not be there any more, empty where it may; null: all may.
    std::string_view (*leaves)(const Graph&, NodeId) = nullptr;
    std::string_view after;  // the pass that must have run on the graph it takes, with nothing of it undone
};

std::span<const Pass> every_pass();
std::span<const Pass> passes();                // those with `run`, in the order in which they run
const Pass* find_pass(std::string_view name);  // one of these, null when there is none

struct PassTime {
    std::string_view pass;
    double milliseconds = 0;
    size_t nodes = 0;  // of the result
};

struct PipelineOptions {
    Target target;
    bool verify = false;     // check each graph: structure, and that its text reads back equal
    std::string_view until;  // the stage to stop after; empty: all passes
    std::function<void(const Pass&, const GraphRef& after)> observe;
};

// Throws Error kind "internal", which names the maker ("the pass fuse"), for a graph whose structure is broken or whose
// text does not read back equal.
void check_graph(const Graph& graph, std::string_view maker);

// With `verify`, throws as check_graph does, naming the pass whose graph is broken, and Error kind "pass" where a pass
// comes before the one that it rests on.
GraphRef run_pipeline(GraphRef graph, std::span<const Pass> list, const PipelineOptions& options, Decisions& decisions,
                      std::vector<PassTime>* times = nullptr);
inline GraphRef run_pipeline(GraphRef graph, const PipelineOptions& options, Decisions& decisions,
                             std::vector<PassTime>* times = nullptr) {
    return run_pipeline(std::move(graph), passes(), options, decisions, times);
}

}  // namespace tenon
