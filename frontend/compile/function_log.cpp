#include "frontend/compile/function_log.h"

#include <utility>

#include <fmt/format.h>

namespace tenon {

void FunctionLog::begin_call(const void* function) {
    current_ = &graphs_[function];
    graph_number_ = 0;
}

const FunctionLog::Graph* FunctionLog::before() const {
    return current_ && graph_number_ < current_->size() ? &(*current_)[graph_number_] : nullptr;
}

static std::string difference(const FunctionLog::Graph& before, const FunctionLog::Graph& now) {
    if (before.shapes.size() != now.shapes.size())
        return fmt::format("it took {} tensors, now {}", before.shapes.size(), now.shapes.size());
    for (size_t k = 0; k < now.shapes.size(); ++k) {
        if (before.shapes[k] == now.shapes[k]) continue;
        const std::string name = now.inputs[k].empty() ? fmt::format("input {}", k) : now.inputs[k];
        return fmt::format("{} had the shape {}, now {}", name, shape_to_string(before.shapes[k]),
                           shape_to_string(now.shapes[k]));
    }
    return "its lines took another path, or another dtype or requires_grad";
}

std::optional<std::string> FunctionLog::note(const void* function, Graph now, const std::string& changed) {
    std::vector<Graph>& graphs = current_ ? *current_ : graphs_[function];
    std::optional<std::string> reason;
    if (graphs.size() <= graph_number_) graphs.resize(graph_number_ + 1);
    else reason = changed.empty() ? difference(graphs[graph_number_], now) : changed;
    graphs[graph_number_] = std::move(now);
    return reason;
}

void FunctionLog::clear() {
    graphs_.clear();
    current_ = nullptr;
}

}  // namespace tenon
