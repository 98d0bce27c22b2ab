#include "jit/blocks/program_builder.h"

namespace tenon {

namespace {

void append(std::vector<Instruction>& to, const std::vector<Instruction>& from) {
    to.insert(to.end(), from.begin(), from.end());
}

}  // namespace

// ---- registers ----------------------------------------------------------------------------------------------------
int32_t ProgramBuilder::new_register(BlockProgram::Register::Kind kind, uint32_t offset) {
    program_.registers.push_back({kind, offset});
    return int32_t(program_.registers.size() - 1);
}

uint32_t ProgramBuilder::new_frame(uint32_t bytes) {
    uint32_t& end = program_.frame_bytes;
    const uint32_t aligned = bytes > 8 ? (end + 63) / 64 * 64 : end;
    end = aligned + bytes;
    return aligned;
}

int32_t ProgramBuilder::new_block(uint32_t size, bool shared) {
    auto& free = loops_.back().free_blocks;
    const auto found = free.lower_bound(size);
    uint32_t offset = 0;
    if (shared && found != free.end() && found->first == size) {
        offset = found->second;
        free.erase(found);
    } else offset = new_frame(uint32_t(BlockProgram::block_size) * size);
    const int32_t at = new_register(BlockProgram::Register::frame, offset);
    if (shared) blocks_[at] = {size, offset};
    return at;
}

void ProgramBuilder::release(int32_t at) {
    const auto block = blocks_.find(at);
    if (block == blocks_.end() || pinned_.contains(at)) return;
    loops_.back().free_blocks.emplace(block->second.size, block->second.offset);
    blocks_.erase(block);
}

int32_t ProgramBuilder::constant(uint64_t bits) {
    const auto [it, fresh] = constants_.try_emplace(bits, 0);
    if (fresh) {
        program_.constants.push_back(bits);
        it->second = new_register(BlockProgram::Register::constant, uint32_t(program_.constants.size() - 1) * 8);
    }
    return it->second;
}

uint32_t ProgramBuilder::new_lines(uint32_t size) {
    program_.lines.push_back(new_frame(64 + uint32_t(LoadedLines::elements) * size));
    return program_.lines.back();
}

int32_t ProgramBuilder::stage_end() {
    if (program_.end < 0) program_.end = new_index();
    return program_.end;
}

// A block of partial results a level, and one for a value that is the same in all lanes. Folds do not nest, so one such
// place serves them all.
uint32_t ProgramBuilder::fold_scratch() {
    if (!fold_scratch_)
        fold_scratch_ = new_frame(uint32_t(BlockProgram::block_size) * 8 * (BlockProgram::fold_levels + 1));
    return *fold_scratch_;
}

int32_t ProgramBuilder::new_index(int64_t initial) {
    program_.indices.push_back(initial);
    return int32_t(program_.indices.size() - 1);
}

int32_t ProgramBuilder::index_constant(int64_t value) {
    const auto [it, fresh] = index_constants_.try_emplace(value, 0);
    if (fresh) {
        it->second = new_index(value);
        known_[it->second] = value;
    }
    return it->second;
}

int32_t ProgramBuilder::extent(uint32_t number) {
    const auto [it, fresh] = extents_.try_emplace(number, 0);
    if (fresh) {
        it->second = new_index();
        program_.extents.emplace_back(it->second, number);
    }
    return it->second;
}

std::optional<int64_t> ProgramBuilder::known(int32_t index) const {
    const auto it = known_.find(index);
    return it != known_.end() ? std::optional(it->second) : std::nullopt;
}

// ---- instructions -------------------------------------------------------------------------------------------------
int ProgramBuilder::emit(int level, const Instruction& instruction) {
    if (level < depth()) {
        loops_.back().preamble.push_back(instruction);
        return depth() - 1;
    }
    loops_.back().body.push_back(instruction);
    return depth();
}

void ProgramBuilder::open_loop(bool vector, int32_t variable) {
    Loop loop;
    loop.vector = vector;
    loop.variable = vector ? variable : vector_variable();
    if (!vector && in_vector()) loop.free_blocks = std::move(loops_.back().free_blocks);
    loops_.push_back(std::move(loop));
}

ProgramBuilder::Loop ProgramBuilder::close_loop() {
    Loop loop = std::move(loops_.back());
    loops_.pop_back();
    if (!loop.vector && in_vector()) loops_.back().free_blocks = std::move(loop.free_blocks);
    return loop;
}

bool ProgramBuilder::Loop::only_addresses(int32_t at) const {
    for (const Instruction& i : body) {
        const bool is_index = i.code >= Code::index_add && i.code <= Code::index_maximum;
        if (!is_index && !(i.code == Code::load_here && i.out == at)) return false;
    }
    return !body.empty() && body.back().code == Code::load_here;
}

void ProgramBuilder::append_loop(Instruction i, const Loop& loop) {
    i.preamble = uint32_t(loop.preamble.size());
    i.body = uint32_t(loop.body.size());
    auto& code = loops_.back().body;
    code.push_back(i);
    append(code, loop.preamble);
    append(code, loop.body);
}

BlockProgram ProgramBuilder::finish() && {
    program_.entry = std::move(loops_[0].preamble);
    program_.body = std::move(loops_[0].body);
    return std::move(program_);
}

BlockProgram ProgramBuilder::finish(Loop loop, int32_t low, int64_t step, int32_t variable) && {
    program_.loop = true;
    program_.vector = loop.vector;
    program_.low = low;
    program_.step = step;
    program_.variable = variable;
    program_.entry = std::move(loops_[0].preamble);
    append(program_.entry, loops_[0].body);
    append(program_.entry, loop.preamble);  // a stage is run only where it has an iteration
    program_.body = std::move(loop.body);
    return std::move(program_);
}

}  // namespace tenon
