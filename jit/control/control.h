// How the executor runs the regions of a node: which memory each run of a region reads and writes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "ir/graph.h"
#include "runtime/function_ref.h"

namespace tenon {

class Control {
public:
    virtual ~Control() = default;

    /// The regions as graphs whose results are those that a run of one writes.
    std::span<const GraphRef> regions() const { return regions_; }

    /// Bytes of the values of a region, by parameter and by result.
    struct Sizes {
        std::vector<size_t> parameters, results;
    };
    using Evaluate = FunctionRef<int64_t(SizeId)>;
    struct Call {
        std::span<const Sizes> sizes;  ///< by region
        Evaluate evaluate;
        /// The node's operands and results; one that nobody reads is null.
        std::span<std::byte* const> reads, writes;
        std::byte* scratch;
        FunctionRef<void(size_t region, std::span<std::byte* const> inputs, std::span<std::byte* const> outputs)> run;
    };
    virtual size_t scratch_bytes(std::span<const Sizes>) const = 0;
    virtual void run(const Call&) = 0;
    /// The first parameter of its regions that is the same in all runs of one.
    virtual size_t first_captured() const { return SIZE_MAX; }
    /// How often a region runs: at most once, or an estimate above 1 where values decide.
    virtual int64_t runs(Evaluate) const { return 1; }

protected:
    std::vector<GraphRef> regions_;
};

/// Of a node of a row with regions.
std::unique_ptr<Control> make_control(const Graph&, NodeId);

}  // namespace tenon
