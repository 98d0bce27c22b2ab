// A block program under construction: its registers, the frame that these lie in, the loops being written.
#pragma once

#include <map>
#include <optional>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "jit/blocks/block_program.h"

namespace tenon {

class ProgramBuilder {
public:
    using Code = Instruction::Code;

    // -- value registers
    int32_t new_scalar() { return new_register(BlockProgram::Register::frame, new_frame(8)); }
    /// A block of elements of `size` bytes. A shared one may lie where a block that was released did.
    int32_t new_block(uint32_t size, bool shared = true);
    int32_t new_address() { return new_register(BlockProgram::Register::free, 0); }
    int32_t new_slot(uint32_t number) { return new_register(BlockProgram::Register::shared, number * 8); }
    int32_t constant(uint64_t bits);
    void pin(int32_t at) { pinned_.insert(at); }  // it is never released
    void release(int32_t at);
    uint32_t fold_scratch();
    uint32_t new_lines(uint32_t size);  ///< of elements of so many bytes
    int32_t stage_end();                ///< the index register of where the stage's loop ends

    // -- index registers
    int32_t new_index(int64_t initial = 0);
    int32_t index_constant(int64_t value);
    int32_t extent(uint32_t number);
    std::optional<int64_t> known(int32_t index) const;
    bool is_known(int32_t index, int64_t value) const { return known(index) == value; }

    // -- instructions
    int depth() const { return int(loops_.size()) - 1; }
    /// Emits for a value that depends on `level`: before the loop at hand where it does not differ in its turns.
    /// Returns the level of the result.
    int emit(int level, const Instruction&);
    int emit_here(const Instruction& instruction) { return emit(depth(), instruction); }
    void emit_first(const Instruction& instruction) { loops_[0].preamble.push_back(instruction); }

    // -- loops
    struct Loop {
        bool vector = false;
        int32_t variable = -1;  // index register of the vector variable, inherited by what is inside
        std::vector<Instruction> preamble, body;
        std::multimap<uint32_t, uint32_t> free_blocks;  // by element size
        bool only_addresses(int32_t at) const;          // does the body but work out where in a buffer `at` is?
    };
    void open_loop(bool vector, int32_t variable);
    Loop close_loop();
    void append_loop(Instruction, const Loop&);
    int32_t vector_variable() const { return loops_.back().variable; }
    bool in_vector() const { return vector_variable() >= 0; }

    /// A program that runs once, or that is `loop`.
    BlockProgram finish() &&;
    BlockProgram finish(Loop loop, int32_t low, int64_t step, int32_t variable) &&;

private:
    int32_t new_register(BlockProgram::Register::Kind kind, uint32_t offset);
    uint32_t new_frame(uint32_t bytes);

    BlockProgram program_;
    std::vector<Loop> loops_{1};
    std::optional<uint32_t> fold_scratch_;
    std::unordered_map<uint64_t, int32_t> constants_;
    std::unordered_map<int64_t, int32_t> index_constants_;
    std::unordered_map<int32_t, int64_t> known_;  // values of constant index registers
    std::unordered_map<uint32_t, int32_t> extents_;
    struct Block {
        uint32_t size, offset;
    };
    std::unordered_map<int32_t, Block> blocks_;  // that may be released, by register
    std::unordered_set<int32_t> pinned_;
};

}  // namespace tenon
