// The passes in order, and the one runner that times, verifies, dumps and stops early.
#pragma once
#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "ir/passes/passes.h"

namespace tenon {

struct PassSetting {  // what a pass may know besides its graph
    Target target;
    Decisions& decisions;
};

struct Pass {
    std::string_view name;
    std::string_view doc;
    std::string_view stage;  // what its result is called in `tenon dump --stage`, empty where it has no name
    GraphRef (*run)(const Graph&, PassSetting&);
};

std::span<const Pass> passes();                // in the order in which they run
const Pass* find_pass(std::string_view name);  // null when there is none

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

// With `verify`, throws as check_graph does, naming the pass whose graph is broken.
GraphRef run_pipeline(GraphRef graph, std::span<const Pass> list, const PipelineOptions& options, Decisions& decisions,
                      std::vector<PassTime>* times = nullptr);
inline GraphRef run_pipeline(GraphRef graph, const PipelineOptions& options, Decisions& decisions,
                             std::vector<PassTime>* times = nullptr) {
    return run_pipeline(std::move(graph), passes(), options, decisions, times);
}

}  // namespace tenon
