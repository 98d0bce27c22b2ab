// Local algebra as a table: what simplification may write in place of what. Rules are values: they can be printed and
// counted, and a test proves each exact one bit for bit on random tensors with the interpreter.
#pragma once
#include <span>
#include <string_view>

#include "ir/build/builder.h"

namespace tenon {

enum class Exactness : uint8_t {
    exact,        // the same bits for every input
    approximate,  // within rounding: only under --fast-math
};

struct Rule {
    std::string_view name;
    std::string_view pattern;      // "mul(x, 1)": ops, numbers, names of values; the same name twice: the same value
    std::string_view replacement;  // "x"; it must have the type of what it replaces, else the rule does not apply
    DTypes dtypes = DTypes::all;   // of the value replaced
    Exactness exactness = Exactness::exact;
};
std::span<const Rule> rules();

// The value that may stand for op(operands), by the first rule of the op that fits; none otherwise. May emit nodes,
// with the builder's stamp.
struct Replacement {
    NodeId value;
    const Rule* rule = nullptr;
};
Replacement apply_rules(Builder&, Op, TypeId, std::span<const NodeId> operands, bool approximate = false);

}  // namespace tenon
