// `tenon run --profile`: which lines of a script the time of its graphs goes to.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "frontend/syntax/source_map.h"
#include "jit/machine.h"

namespace tenon {

/// A step's time goes to the line of its node, that of a kernel to the lines of the ops in it, by what each costs.
class Profile final : public RunObserver {
public:
    void step_done(const GraphRef& graph, NodeId node, int64_t nanoseconds) override;

    /// The lines that took longest first, at most so many.
    std::string text(const SourceMap& sources, size_t most) const;

private:
    using Share = std::pair<Span, double>;  // of the parts of a step; together 1
    struct Step {
        GraphRef graph;  // so that no other one takes its place in memory
        std::vector<Share> shares;
        double milliseconds = 0;
        int64_t runs = 0;
    };
    static std::vector<Share> shares_of(const Graph& graph, NodeId node);

    const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
    std::map<std::pair<const Graph*, NodeId>, Step> steps_;
};

}  // namespace tenon
