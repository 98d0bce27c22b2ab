// What the graphs of each captured function were: for telling a recompile from a first compile, and what inputs are called.
// A function is known by its address; its graphs by their places within a call of it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "runtime/tensor.h"

namespace tenon {

class FunctionLog {
public:
    struct Graph {
        std::vector<std::string> inputs;  ///< tensors; empty where nothing names one
        std::vector<Dims> shapes;         ///< beside them
    };

    /// An outermost call begins, a graph of it has run, it is over.
    void begin_call(const void* function);
    void next_graph() { ++graph_number_; }
    void end_call() { current_ = nullptr; }

    /// Whether the graph at hand is at a place of its function where there was none before.
    bool is_first() const { return current_ && current_->size() <= graph_number_; }
    /// What was at that place before; null where nothing was, or no call is under way.
    const Graph* before() const;
    /// The graph at hand was compiled. Gives the reason where there was another at its place: `changed`, or how they
    /// differ. `function`: what a graph outside of calls counts as.
    std::optional<std::string> note(const void* function, Graph now, const std::string& changed);
    void clear();

private:
    std::unordered_map<const void*, std::vector<Graph>> graphs_;
    std::vector<Graph>* current_ = nullptr;  // of the function under capture
    uint32_t graph_number_ = 0;              // within the outermost call
};

}  // namespace tenon
