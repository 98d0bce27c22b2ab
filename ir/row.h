// An op is one row: everything the compiler knows about it stands together in one table, one file per family under
// ir/ops/. Parser, printer, verifier, autodiff, engines and the op reference read the row; nothing switches on an op.
#pragma once
#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "ir/context.h"
#include "ir/graph.h"
#include "runtime/diagnostic.h"

namespace tenon {

class Builder;
class Batching;  // ir/differentiate/batching.h: what a batching rule sees
class Gradient;  // ir/differentiate/gradient.h: what a gradient formula sees
class LoopWriter;  // ir/build/loop_writer.h: what a row writes its loops with
class IndexMap;  // ir/index_map.h: output index -> operand index of a movement op

enum class Level : uint8_t { tensor, loop, any };
enum class Effect : uint8_t {  // all but none keep their place among each other
    none,
    ordered,
    asserts,  // the run ends where operand 0 is false
    commits,  // operand 1 becomes what the memory of operand 0, an input, holds
};
constexpr bool is_ordered(Effect effect) { return effect != Effect::none; }
enum class DTypes : uint16_t {  // admitted dtypes, a bit per DType
    floats = 0b1111,            // f64 f32 f16 bf16
    wide_floats = 0b11,         // f64 f32
    integers = 0b111110000,     // i64 i32 i16 i8 u8
    boolean = 0b1000000000,
    counts = 0b10000,  // i64
    numeric = floats | integers,
    integral = integers | boolean,
    all = 0b1111111111,
};
constexpr bool admits(DTypes set, DType d) { return uint16_t(set) >> unsigned(d) & 1; }
std::string_view describe(DTypes);  // "a float", "an integer or bool", …

// How an op is computed.
enum class Lowering : uint8_t {
    scalar,     // elementwise: the scalar function of ir/scalar/ with the row's name
    movement,   // an index map: no arithmetic, fused into the loads of whoever reads it
    reduce,     // a fold over axes, in the contract's order, by the scalar op `fold_op`
    loops,      // its own loop nest, built by ir/schedule
    tiles,      // loops that the row writes itself, over blocks of its operands
    library,    // a call of jit/library: one function for every engine
    regions,    // its regions are run by the executor, each a list of steps of its own
    composite,  // other rows stand for it once derivatives are made: `expansion`
    structure,  // params, yields, calls, tuples, loops: handled where structure is
};

// How the executor runs the regions of a row, and what is done in their place op by op (ir/regions.h, ir/build/take_apart.h).
enum class ControlFlow : uint8_t {
    none,
    turns,   // the one region, as often as the attributes say
    branch,  // the first where operand 0 is true, else the second
    loop,    // the second, as long as the first gives true
};

// What a row does with memory beside reading its operands and making its result.
enum class MemoryUse : uint8_t {
    plain,
    names,  // a movement whose result is its operand's memory as it lies: another name for it
    adds,   // the result begins as +0.0; to the elements that a slice of it shows the operand is added: an update, once
            // it is prepared
    gathers,   // the operands lie one after the other in the result: a loop nest each, in a kernel of their own
    replaces,  // the result begins as `replaced_base`; the elements of it that `replaced_view` shows, by movement from
               // it, become `replaced_value`: in a kernel of its own
};
constexpr size_t replaced_base = 0, replaced_view = 1, replaced_value = 2;  // operands of a row that replaces
constexpr bool needs_own_kernel(MemoryUse memory) { return memory >= MemoryUse::adds; }

// What an element of the result is, of rows that make elements out of no others.
enum class Source : uint8_t {
    none,
    operand,   // the one element of its operand
    position,  // its place along the last dimension
    size,      // the attribute `value`
    drawn,     // random, by its place in row-major order: dear, while the others cost nothing
};
constexpr bool is_at_hand(Source source) { return source != Source::none && source != Source::drawn; }

// What a scalar row is on positions, which engines compute beside the elements: ir/index_arithmetic.h.
enum class IndexOp : uint8_t { none, add, sub, mul, floor_divide, remainder, minimum, maximum };

struct Infer {  // what a result rule sees
    Context& context;
    std::string_view op;
    Op row;
    std::span<const TypeId> operands;
    AttrId attr;
    std::span<const TypeId> region_results;  // of op's regions, flattened; for structure rows
    // Asked when two sizes that are not the same id must be equal: true if they are, by an equality of the graph (a
    // capture compares its hints and makes one). Null: only equal ids are equal.
    const std::function<bool(SizeId, SizeId)>* same_size = nullptr;
    // Symbol values when captured, for messages and for decisions that were guarded; may be empty.
    std::span<const int64_t> hints;
    std::span<const size_t> region_sizes = {};  // how many of `region_results` are which region's; of rows with regions

    const Type& type(size_t k) const { return context[operands[k]]; }
    bool equal(SizeId a, SizeId b) const { return a == b || (same_size && (*same_size)(a, b)); }
    Attributes attributes() const { return {context, attr}; }
    std::string show(SizeId) const;  // with hints where they are known: "128"
    std::string show(TypeId) const;  // "f32[64, 10]"
    // Throws Error{kind, message, help}; one label an operand ("operand k is f32[64, 10]") is added by the builder.
    [[noreturn]] void fail(std::string_view kind, std::string message, std::string help = {}) const;
};

using ResultRule = TypeId (*)(Infer&);
using ParametersRule = std::vector<TypeId> (*)(Infer&, unsigned region);
using TilesRule = void (*)(LoopWriter&);
using GradientRule = void (*)(Gradient&);
using ExpansionRule = NodeId (*)(Builder&, std::span<const NodeId> operands, const Attributes&);
using IndexRule = void (*)(IndexMap&);
using BatchingRule = NodeId (*)(Batching&);
// By result: does a gradient lead from it to one of these operands?
using ReachRule = std::vector<bool> (*)(std::span<const GraphRef> regions, const Attributes&,
                                        std::span<const size_t> operands);

struct Movement {  // a movement node, as rules on it alone see it
    Context& context;
    const Type& operand;
    const Type& result;
    AttrId attr;
    Attributes attributes() const { return {context, attr}; }
};
using StillRule = bool (*)(const Movement&);
using ComposeRule = AttrId (*)(Context&, AttrId inner, AttrId outer);
using ViewRule = Tensor (*)(const Tensor&, const Attributes&);

// Every column of an op. Tables name the columns they set, so a new one touches no row that does not need it.
struct Row {
    std::string_view name;
    std::string_view doc;  // one line for the op reference
    Level level = Level::tensor;
    Effect effect = Effect::none;
    int8_t min_operands = 0, max_operands = 0;  // max −1: any number
    DTypes dtypes = DTypes::all;                // of the operands that carry data
    ResultRule result = nullptr;
    int8_t regions = 0;  // isolated: a region sees its parameters only, of the types that `parameters` gives
    ParametersRule parameters = nullptr;
    ControlFlow control = ControlFlow::none;  // rows with regions
    ReachRule reach = nullptr;                // rows with regions
    Lowering lowering = Lowering::structure;
    TilesRule tiles = nullptr;     // rows lowered so: writes the nests of its kernel
    ExpansionRule expansion = nullptr;  // composite rows: emits what stands for it
    IndexRule index = nullptr;     // movement rows
    StillRule is_still = nullptr;  // movement rows: does every element stay where it is? Null: only where types say so
    ComposeRule compose =
        nullptr;              // movement rows: the attributes of one node for one after another; null: there is none
    ViewRule view = nullptr;  // movement rows: the same on strides, with constant sizes; null: not as strides
    bool repeats = false;     // movement rows: an element of the operand may stand in several places
    MemoryUse memory = MemoryUse::plain;
    Source source = Source::none;
    std::string_view fold = {};  // reduce rows: the scalar op that folds ("add", "maximum", …)
    bool accumulates = false;    // reduce rows: f16 and bf16 are folded in f32 and rounded once
    IndexOp index_op = IndexOp::none;
    bool commutative = false;
    int8_t conditions = 0;          // scalar rows: operands before those that carry data
    bool converts = false;          // scalar rows: from the operand's dtype to the attribute's
    bool takes_transposed = false;  // operands may be given with their last two dimensions swapped, where flags say so
    int8_t in_place_operand =
        -1;  // library rows: the operand that may lie in the result's memory, where their types are one
    bool divides_exactly =
        false;  // scalar rows of floats: by a power of two it is `mul` by its reciprocal, bit for bit
    bool absent_is_nothing = false;  // scalar rows: of a sum that lacks an operand the other is left
    bool has_absent_parts = false;   // of cotangents side by side some may be absent: −0.0, which adds nothing
    bool may_fail = false;           // at run time: a position out of range, an integer divided by zero
    double ulp = 0;                  // scalar rows: bound of the error of f32; 0: correctly rounded
    int cost = 1;                    // scalar rows: of one element, in additions (a division 4, exp 16)
    GradientRule gradient = nullptr;
    std::string_view no_gradient = {};  // why there is none, where `gradient` is null
    bool stops_gradient = false;        // its operand gets none, and that is no error
    int8_t history_of = -1;             // the operand whose history it has as its own: to gradients they are one value
    BatchingRule batching = nullptr;
    std::string_view no_batching = {};  // why there is none, where `batching` is null
    bool own_per_example = false;  // each example of a batch has a value of its own, whatever the operands (random)
};

std::span<const Row> all_rows();  // every family, in a fixed order
inline const Row& row(Op op) {
    static const Row* const rows = all_rows().data();
    return rows[op.row];
}
Op find_op(std::string_view name);  // an invalid Op when there is none

// `op<"mul">()`: the row of that name; a misspelt name is a bug caught at its first use.
template <size_t N>
struct FixedString {
    char text[N];
    constexpr FixedString(const char (&source)[N]) {
        for (size_t i = 0; i < N; ++i) text[i] = source[i];
    }
};
Op require_op(std::string_view name);
template <FixedString name>
Op op() {
    static const Op found = require_op(std::string_view(name.text));
    return found;
}

}  // namespace tenon
