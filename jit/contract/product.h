// Products of matrices: the one engine for all of them. Blocks of the operands are packed as the micro-kernels read them (Goto and
// van de Geijn, "Anatomy of High-Performance Matrix Multiplication", 2008): a panel of b stays in the first cache while a block of
// a, which stays in the second, passes by. Chains go on from block to block of k, so that every element is the one chain over
// ascending k that the contract asks for, whatever the blocks, tiles, threads and instructions.
#pragma once

#include "jit/contract/panels.h"
#include "runtime/cpu.h"
#include "runtime/thread_pool.h"
#include "runtime/workspace.h"

namespace tenon::contract {

/// A block of a result.
struct Block {
    int64_t matrix, row, column, rows, columns;
};

/// Where the result goes, for all matrices of a batch. Asked by several threads at a time, for different elements.
template <class T>
class Target {
public:
    virtual ~Target() = default;
    /// Element (i, j) of the block is at from[i · row + j], and is final: it is rounded here, once.
    virtual void store(const Block& block, const T* from, int64_t row) const = 0;
    /// Where the elements of a matrix may be computed and stay; no data where they must be stored. Element (i, j) stands at
    /// data[i · line + j].
    struct Rows {
        T* data = nullptr;
        int64_t line = 0;
    };
    virtual Rows in_place(int64_t /*matrix*/) const { return {}; }
    /// What is added to each element of a matrix when its chain is done; no data where nothing is. It may be the result's memory.
    struct Added {
        const T* data = nullptr;  ///< element (i, j) at data[i · line + j]
        int64_t line = 0;
    };
    virtual Added added(int64_t /*matrix*/) const { return {}; }
};

/// c = a b for `count` matrices: lines of a are its m rows, lines of b its n columns, each of k elements.
template <class T>
struct Product {
    int64_t count, m, k, n;
    const PanelSource<T>& a;
    const PanelSource<T>& b;
    const Target<T>& c;
};

/// What a product is computed with. Only time depends on it.
struct Means {
    InstructionSet instructions;
    ThreadPool& pool;
    WorkspacePool& workspaces;
};

/// The width of panels of b that a product reads as somebody has packed them (PanelSource::packed).
template <class T>
int64_t panel_width(InstructionSet);
/// The same of a: rows of a panel.
template <class T>
int64_t panel_height(InstructionSet);

/// T: one of TENON_CONTRACT_TYPES.
template <class T>
void multiply(const Product<T>& product, const Means& means);

}  // namespace tenon::contract
