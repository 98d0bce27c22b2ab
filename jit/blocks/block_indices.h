// Indices as block programs hold them: base + coefficient · (variable of the vector loop around), each part in an index
// register; and arithmetic that keeps them so.
#pragma once

#include <optional>
#include <unordered_map>

#include "ir/graph.h"
#include "jit/blocks/program_builder.h"

namespace tenon {

/// What a node became.
struct BlockValue {
    int level = -1;       // of the loop nest whose turns it may differ in; −1: constant
    bool vector = false;  // differs from lane to lane of the vector loop around it
    bool is_index = false;
    int32_t at = -1;           // value register; of an index, only where it is not affine in the vector variable
    int32_t base = -1;         // index registers: base + coefficient · (vector variable)
    int32_t coefficient = -1;  // none where it is the same in all lanes
    bool is_affine() const { return is_index && at < 0; }

    static BlockValue index(int level, int32_t base, int32_t coefficient = -1);
};

class BlockIndices {
public:
    using Code = Instruction::Code;
    explicit BlockIndices(ProgramBuilder& program) : program_(program) {}

    /// The instruction of an index row, if there is one.
    static std::optional<Code> code_of(Op);

    BlockValue constant(int64_t value) { return BlockValue::index(-1, program_.index_constant(value)); }
    /// a code b, both affine; nothing where the result is not.
    std::optional<BlockValue> apply(Code code, const BlockValue& a, const BlockValue& b);
    /// The same in front of everything: operands that are the same in the whole stage.
    BlockValue apply_first(Code code, const BlockValue& a, const BlockValue& b);
    /// Quotients or remainders of an affine index that differs by lane, by one that does not: a block of positions.
    BlockValue divide_lanes(Code code, const BlockValue& a, const BlockValue& b);
    /// The positions written out as i64 elements, in `scalar` where they are the same in all lanes.
    BlockValue as_elements(const BlockValue& index, std::optional<int32_t> scalar = std::nullopt);
    /// The index that a value register holds.
    BlockValue from_elements(const BlockValue& value);

private:
    int32_t combine(Code code, int level, int32_t a, int32_t b, int& result_level);
    BlockValue block_of_positions(int level, Instruction i);
    int uniform_level(const BlockValue& v) const { return v.vector ? part(v.base) : v.level; }
    int part(int32_t base) const;

    ProgramBuilder& program_;
    std::unordered_map<int32_t, int> part_level_;  // of affine vector indices by base register: what they are made of,
                                                   // their vector variable aside
};

}  // namespace tenon
