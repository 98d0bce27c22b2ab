// How wide the vectors of a loop are: what a processor offers, what a loop's body needs.
#pragma once
#include <optional>
#include <string>

#include "ir/graph.h"
#include "runtime/cpu.h"

namespace tenon::llvm_engine {

struct VectorFacts {
    int bytes = 32;            ///< of a vector register
    bool masks_small = false;  ///< masked loads and stores of elements of 1 and 2 bytes are instructions (AVX-512)
    int64_t last_cache_bytes = 32 << 20;
    bool streams_between_reads = false;  ///< as CpuInfo says it
    std::string attributes;    ///< of the processor, put on every function: "+avx2,…"
    std::string processor;
};

/// What code for it is made for, as LLVM names it.
inline const char* processor_of(InstructionSet instructions) {
    return instructions == InstructionSet::avx512 ? "x86-64-v4" : "x86-64-v3";
}

/// The lanes of a vector loop over `region`, a power of two; `count`: an upper bound of its iterations, if known.
int64_t vector_lanes(const Graph& graph, const Region& region, const VectorFacts& facts, std::optional<int64_t> count);
/// As many as a register has of the widest elements.
int64_t register_lanes(const Graph& graph, const Region& region, const VectorFacts& facts);
/// An upper bound of a loop's turns from low to the smaller of low + constant and another.
std::optional<int64_t> most_turns(const Graph&, NodeId loop);
/// Can what is left of a vector be done under a mask?
bool can_mask(const Graph& graph, const Region& region, const VectorFacts& facts);

}  // namespace tenon::llvm_engine
