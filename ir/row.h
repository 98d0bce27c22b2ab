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
class IndexMap;  // ir/index_map.h: output index -> operand index of a movement op

enum class Level : uint8_t { tensor, loop, any };
enum class Effect : uint8_t {
    none,
    ordered,  // keeps its place among ordered nodes: assert, commit, host calls
};
enum class DTypes : uint16_t {  // admitted dtypes, a bit per DType
    floats = 0b1111,            // f64 f32 f16 bf16
    integers = 0b111110000,     // i64 i32 i16 i8 u8
    boolean = 0b1000000000,
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
    loops,      // its own loop nest, built by ir/passes/schedule
    library,    // a call of jit/library: one function for every engine
    structure,  // params, yields, calls, tuples, loops: handled where structure is
};

// What a scalar row is on positions, which engines compute beside the elements: ir/index_arithmetic.h.
enum class IndexOp : uint8_t { none, add, sub, mul, floor_divide, remainder, minimum, maximum };

struct Infer {  // what a result rule sees
    Context& context;
    std::string_view op;
    std::span<const TypeId> operands;
    AttrId attr;
    std::span<const TypeId> region_results;  // of op's regions, flattened; for structure rows
    // Asked when two sizes that are not the same id must be equal: true if they are, by an equality of the graph (a
    // capture compares its hints and makes one). Null: only equal ids are equal.
    const std::function<bool(SizeId, SizeId)>* same_size = nullptr;
    // Symbol values when captured, for messages and for decisions that were guarded; may be empty.
    std::span<const int64_t> hints;

    const Type& type(size_t k) const { return context[operands[k]]; }
    bool equal(SizeId a, SizeId b) const { return a == b || (same_size && (*same_size)(a, b)); }
    Attributes attributes() const { return {context, attr}; }
    std::string show(SizeId) const;  // with hints where they are known: "128"
    std::string show(TypeId) const;  // "f32[64, 10]"
    // Throws Error{kind, message, help}; one label an operand ("operand k is f32[64, 10]") is added by the builder.
    [[noreturn]] void fail(std::string_view kind, std::string message, std::string help = {}) const;
};

using ResultRule = TypeId (*)(Infer&);
using GradientRule = void (*)(Gradient&);
using IndexRule = void (*)(IndexMap&);
using BatchingRule = NodeId (*)(Batching&);

// Every column of an op. Tables name the columns they set, so a new one touches no row that does not need it.
struct Row {
    std::string_view name;
    std::string_view doc;  // one line for the op reference
    Level level = Level::tensor;
    Effect effect = Effect::none;
    int8_t min_operands = 0, max_operands = 0;  // max −1: any number
    DTypes dtypes = DTypes::all;                // of the operands that carry data
    ResultRule result = nullptr;
    Lowering lowering = Lowering::structure;
    IndexRule index = nullptr;   // movement rows
    std::string_view fold = {};  // reduce rows: the scalar op that folds ("add", "maximum", …)
    bool accumulates = false;    // reduce rows: f16 and bf16 are folded in f32 and rounded once
    IndexOp index_op = IndexOp::none;
    bool commutative = false;
    bool may_fail = false;  // at run time: a position out of range, an integer divided by zero
    double ulp = 0;         // scalar rows: bound of the error of f32; 0: correctly rounded
    int cost = 1;           // scalar rows: of one element, in additions (a division 4, exp 16)
    GradientRule gradient = nullptr;
    std::string_view no_gradient = {};  // why there is none, where `gradient` is null
    BatchingRule batching = nullptr;
    std::string_view no_batching = {};  // why there is none, where `batching` is null
    bool own_per_example = false;  // each example of a batch has a value of its own, whatever the operands (random)
};

std::span<const Row> all_rows();  // every family, in a fixed order
const Row& row(Op);
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
