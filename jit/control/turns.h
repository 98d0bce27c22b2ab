// How a scan goes from turn to turn: which memory each turn of its region reads and writes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "ir/graph.h"
#include "ir/regions.h"
#include "runtime/function_ref.h"

namespace tenon {

class Turns {
public:
    /// Of the scan `node`. A value that a turn both leaves and stacks is written once, into the stack.
    Turns(const Graph& graph, NodeId node);

    /// The region as a graph whose results are those that a turn writes.
    const GraphRef& region() const { return region_; }
    /// Its parameters from there on are the same in all turns.
    size_t first_captured() const { return form_.carried + form_.sliced; }

    /// Bytes of a value of the region, by parameter and by result of `region()`, and how many turns there are.
    struct Sizes {
        int64_t turns = 0;
        std::vector<size_t> parameters, results;
    };
    size_t scratch_bytes(const Sizes&) const;
    using Run = FunctionRef<void(std::span<std::byte* const> inputs, std::span<std::byte* const> outputs)>;
    /// `reads` and `writes` are the node's operands and results; one that nobody reads is null.
    void run(const Sizes&, std::span<std::byte* const> reads, std::span<std::byte* const> writes, std::byte* scratch,
             Run turn);

private:
    static constexpr size_t none = SIZE_MAX;
    const ScanForm form_;
    size_t stacks_;
    GraphRef region_;
    std::vector<size_t> stack_of_;         // by carry: the stack that gets its value
    std::vector<size_t> result_of_carry_;  // in region(); none where the stack has it
    std::vector<std::byte*> inputs_, outputs_;
};

}  // namespace tenon
