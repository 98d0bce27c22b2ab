#include "jit/blocks/block_indices.h"

#include <algorithm>

#include "ir/index_arithmetic.h"

namespace tenon {

using Code = Instruction::Code;

namespace {

// The codes stand in the order of IndexOp.
IndexOp index_op_of(Code code) { return IndexOp(int(code) - int(Code::index_add) + int(IndexOp::add)); }
static_assert(int(Code::index_maximum) - int(Code::index_add) == int(IndexOp::maximum) - int(IndexOp::add));

// Of known operands; nothing where it divides by 0, which is for the loops that never get there.
std::optional<int64_t> evaluate(Code code, std::optional<int64_t> a, std::optional<int64_t> b) {
    const IndexOp op = index_op_of(code);
    if (!a || !b || (*b == 0 && divides(op))) return std::nullopt;
    return apply(op, *a, *b);
}

}  // namespace

BlockValue BlockValue::index(int level, int32_t base, int32_t coefficient) {
    BlockValue v;
    v.level = level;
    v.is_index = true;
    v.base = base;
    v.coefficient = coefficient;
    v.vector = coefficient >= 0;
    return v;
}

std::optional<Code> BlockIndices::code_of(Op o) {
    const IndexOp made = row(o).index_op;
    if (made == IndexOp::none) return std::nullopt;
    return Code(int(Code::index_add) + int(made) - int(IndexOp::add));
}

// An index register for `a code b`; folded where both are known, or one leaves the other as it is.
int32_t BlockIndices::combine(Code code, int level, int32_t a, int32_t b, int& result_level) {
    const std::optional<int64_t> x = program_.known(a), y = program_.known(b);
    if (const auto value = evaluate(code, x, y)) return program_.index_constant(*value);
    if (code == Code::index_add && x == 0) return b;
    if ((code == Code::index_add || code == Code::index_sub) && y == 0) return a;
    if (code == Code::index_mul && x == 1) return b;
    if ((code == Code::index_mul || code == Code::index_floor_divide) && y == 1) return a;
    if (code == Code::index_mul && (x == 0 || y == 0)) return program_.index_constant(0);
    const Instruction i{.code = code, .out = program_.new_index(), .a = a, .b = b};
    result_level = std::max(result_level, program_.emit(level, i));
    return i.out;
}

std::optional<BlockValue> BlockIndices::apply(Code code, const BlockValue& a, const BlockValue& b) {
    const int level = std::max(a.level, b.level);
    BlockValue v = BlockValue::index(level, -1);
    // The parts of an affine index are the same in all lanes, so they change only with the loops around this one;
    // a row fold inside a vector loop is one of those.
    const int uniform = std::max(uniform_level(a), uniform_level(b));
    int made = -1;
    if (!a.vector && !b.vector) {
        v.base = combine(code, uniform, a.base, b.base, made);
        v.level = std::max(made, made < 0 ? level : -1);
        return v;
    }
    if (code == Code::index_add || code == Code::index_sub) {
        v.base = combine(code, uniform, a.base, b.base, made);
        const int32_t zero = program_.index_constant(0);
        v.coefficient = combine(code, uniform, a.vector ? a.coefficient : zero, b.vector ? b.coefficient : zero, made);
    } else if (code == Code::index_mul && !(a.vector && b.vector)) {
        const BlockValue& factor = a.vector ? b : a;
        const BlockValue& varying = a.vector ? a : b;
        v.base = combine(code, uniform, varying.base, factor.base, made);
        v.coefficient = combine(code, uniform, varying.coefficient, factor.base, made);
    } else return std::nullopt;
    v.vector = !program_.is_known(v.coefficient, 0);
    if (v.vector) part_level_[v.base] = std::max(part(v.base), uniform);
    else {
        v.coefficient = -1;
        v.level = std::max(made, uniform);
    }
    return v;
}

int BlockIndices::part(int32_t base) const {
    const auto found = part_level_.find(base);
    return found == part_level_.end() ? -1 : found->second;
}

BlockValue BlockIndices::apply_first(Code code, const BlockValue& a, const BlockValue& b) {
    if (const auto value = evaluate(code, program_.known(a.base), program_.known(b.base))) return constant(*value);
    const Instruction i{.code = code, .out = program_.new_index(), .a = a.base, .b = b.base};
    program_.emit_first(i);
    return BlockValue::index(-1, i.out);
}

BlockValue BlockIndices::block_of_positions(int level, Instruction i) {
    BlockValue v;
    v.is_index = v.vector = true;
    v.at = i.out = program_.new_block(8, level >= program_.depth());
    v.level = program_.emit(level, i);
    return v;
}

BlockValue BlockIndices::divide_lanes(Code code, const BlockValue& a, const BlockValue& b) {
    Instruction i{.code = code == Code::index_floor_divide ? Code::floor_divide_block : Code::remainder_block,
                  .size = 8};
    i.a = a.base, i.b = program_.vector_variable(), i.c = a.coefficient, i.d = b.base;
    return block_of_positions(std::max(a.level, b.level), i);
}

BlockValue BlockIndices::as_elements(const BlockValue& index, std::optional<int32_t> scalar) {
    Instruction i{.code = index.vector ? Code::iota_block : Code::value_from_index, .size = 8, .a = index.base};
    BlockValue v;
    if (index.vector) {
        i.b = program_.vector_variable();
        i.c = index.coefficient;
        v = block_of_positions(index.level, i);
    } else {
        v.at = i.out = scalar ? *scalar : program_.new_scalar();
        v.level = program_.emit(index.level, i);
    }
    v.is_index = false;
    return v;
}

BlockValue BlockIndices::from_elements(const BlockValue& value) {
    const Instruction i{.code = Code::index_from_value, .out = program_.new_index(), .a = value.at};
    return BlockValue::index(program_.emit(value.level, i), i.out);
}

}  // namespace tenon
