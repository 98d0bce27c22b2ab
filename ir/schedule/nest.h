// One loop nest of a kernel: what it stores, and the loops that takes.
#pragma once
#include <optional>
#include <vector>

#include "ir/passes/passes.h"
#include "ir/schedule/expressions.h"

namespace tenon {

struct NestStore {
    enum class Kind : uint8_t {
        kept,     // the value's element at the kept position
        full,     // the value's element at (kept position, reduced position)
        part,     // operand `part` of the cat node `value`, at its place in the result
        update,   // the update node's value, through its view
        partial,  // one chunk of the reduction `value`: the last kept dimension (lanes) or the first (rows) counts
                  // chunks
    } kind = Kind::kept;
    NodeId value;
    size_t part = 0;
    uint32_t buffer = 0;  // of the kernel's region
};

struct Nest {
    std::vector<SizeId> kept;  // the dimensions of its outer loops
    SizeId reduced{1};         // the extent of its folds and inner loops
    NameId order;              // of its folds: "lanes" or "rows"; none without folds
    int64_t chunk = 0;         // of a partial reduction: positions a chunk
    int64_t folded = 0;        // above 0: its folds are over chunks of so many, folded by earlier nests
    std::vector<NestStore> stores;
};

enum class LoopKind : uint8_t { serial, parallel, vector };

struct NestLoop {                 // outermost first; the k-th is at depth k + 1
    size_t first = 0, count = 0;  // dimensions of Nest::kept that it runs over as one
    SizeId extent;
    LoopKind kind = LoopKind::serial;
    int64_t block = 0;  // above 0: the nest's outermost loop is parallel, over blocks of this loop's positions
    int64_t tile = 0;   // above 0: right outside the last two loops is one over blocks of so many of its positions
};

struct StoreExpression {
    NestStore store;
    ExpressionId value = 0, position = 0;
    std::optional<SizeId> all;  // how many elements go to the buffer, where that is much and none of them is loaded
    bool after_folds = false;
};

struct NestExpressions {
    std::vector<uint32_t> variables;  // of the loops
    int inner_depth = 0;              // of what lies in folds and inner loops
    uint32_t reduction = 0;           // the variable of inner loops, and of folds that are not of partial results
    ExpressionId full_position = 0;   // (kept position, reduced position), row-major
    ExpressionId reduced_position = 0;
    std::vector<StoreExpression> stores;
};

class NestBuilder {
public:
    NestBuilder(const Graph& graph, const Target& target) : graph_(graph), context_(*graph.context), target_(target) {}

    // The loops, chosen from a trial run with one variable a dimension.
    std::vector<NestLoop> plan(const Nest&, Expressions& trial) const;
    NestExpressions build(const Nest&, const std::vector<NestLoop>&, Expressions&) const;

    int64_t hint(SizeId) const;       // its value with the symbols as captured
    int64_t work(const Nest&) const;  // elements gone through, by hint
    bool worth_threads(const Nest&, const Expressions& trial) const;
    int64_t near_bytes() const { return target_.near_bytes; }

private:
    struct Place {  // where a nest stands
        PositionList kept;
        Position linear;  // of `kept`
        Position reduced;
    };
    StoreExpression store(const Nest&, const NestStore&, const Place&, Expressions&) const;
    void choose_kinds(const Nest&, std::vector<NestLoop>&, const Expressions& trial) const;
    void choose_tiles(const Nest&, std::vector<NestLoop>&, const Expressions& trial) const;

    const Graph& graph_;
    Context& context_;
    const Target& target_;
};

}  // namespace tenon
