#include "jit/block_interpreter.h"

#include <immintrin.h>

#include <algorithm>
#include <cstring>

#include "jit/interpreter/block_translator.h"
#include "jit/routines/lines.h"
#include "runtime/cpu.h"
#include "runtime/integer.h"
#include "runtime/interrupt.h"

namespace tenon {

namespace {

using Code = Instruction::Code;

struct Frame {
    void* const* buffers;
    std::byte* memory;  // scalars and blocks
    int64_t* index;
    void** at;
    uint32_t faults = 0;
    bool fence = false;  // there are stores past the caches
    const int64_t last_cache_bytes = cpu_info().l3_bytes;
};

// A position and its quotient by a divisor, moved on without dividing again.
struct Divided {
    int64_t quotient, remainder;
};
template <class Write>
void divide_positions(int64_t start, int64_t stride, int64_t divisor, int64_t n, Write write) {
    Divided x{floor_divide(start, divisor), 0};
    x.remainder = start - x.quotient * divisor;
    const Divided step{floor_divide(stride, divisor), stride - floor_divide(stride, divisor) * divisor};
    for (int64_t k = 0; k < n; ++k) {
        write(k, x);
        x.quotient += step.quotient;
        x.remainder += step.remainder;
        if (x.remainder >= divisor) ++x.quotient, x.remainder -= divisor;
    }
}

void copy_one(void* to, const void* from, unsigned size) {
    switch (size) {
        case 1: std::memcpy(to, from, 1); break;
        case 2: std::memcpy(to, from, 2); break;
        case 4: std::memcpy(to, from, 4); break;
        default: std::memcpy(to, from, 8);
    }
}

void run(const Instruction* begin, const Instruction* end, Frame& f, int64_t n);

// Lane 0 of the turn at hand is at `from`.
void* lines_at(const Instruction& i, const Frame& f, const std::byte* from, int64_t n) {
    static_assert(sizeof(LoadedLines) <= 64);
    auto& loaded = *reinterpret_cast<LoadedLines*>(f.memory + i.scratch);
    std::byte* const elements = f.memory + i.scratch + 64;
    const int64_t turn = f.index[i.preamble], lane = f.index[i.c], line = turn - loaded.first;
    const bool there = line >= 0 && line < loaded.lines && loaded.lane == lane && loaded.lanes == n &&
                       loaded.from + line * i.size == from;
    if (there) return elements + line * n * i.size;
    // With several blocks to a turn the next one is elsewhere.
    const bool alone = f.index[i.vector.high] - f.index[i.vector.low] <= BlockProgram::block_size;
    const int64_t lines = !alone ? 1 : std::min({f.index[i.body] - turn, LoadedLines::most, LoadedLines::elements / n});
    loaded = {from, turn, lane, n, lines};
    load_lines(elements, from, f.index[i.d], i.size, lines, n);
    return elements;
}

// acc[level] takes one more value; 64 of them make one value of the next level.
class RowFold {
public:
    RowFold(const Instruction& i, Frame& f, int64_t n) : i_(i), f_(f), n_(n), bytes_(size_t(n) * i.size) {}
    void add(const void* value, bool single) {
        if (single) {
            fill(level(BlockProgram::fold_levels), value, i_.size, n_);
            value = level(BlockProgram::fold_levels);
        }
        add_at(0, value);
    }
    void finish(void* out) {
        int top = BlockProgram::fold_levels - 1;
        while (top > 0 && counts_[top] == 0) --top;
        for (int k = 0; k < top; ++k)
            if (counts_[k]) combine(k + 1, level(k));
        std::memcpy(out, level(top), bytes_);
    }

private:
    std::byte* level(int k) { return f_.memory + i_.scratch + size_t(k) * BlockProgram::block_size * i_.size; }
    void combine(int k, const void* value) {
        if (counts_[k]++ == 0) std::memcpy(level(k), value, bytes_);
        else f_.faults |= (*i_.fold->step)(level(k), level(k), value, n_);
    }
    void add_at(int k, const void* value) {
        combine(k, value);
        if (counts_[k] == fold_order::rows_chunk && k + 1 < BlockProgram::fold_levels) {
            counts_[k] = 0;
            add_at(k + 1, level(k));
        }
    }

    const Instruction& i_;
    Frame& f_;
    const int64_t n_;
    const size_t bytes_;
    int64_t counts_[BlockProgram::fold_levels] = {};
};

void run_rows(const Instruction& i, Frame& f, int64_t n) {
    const int64_t low = f.index[i.a], high = f.index[i.b];
    void* const out = f.at[i.out];
    const Fold& fold = *i.fold->fold;
    if (low >= high) {
        fold.rows(out, nullptr, 0, 0, n);
        return;
    }
    const Instruction* const preamble = &i + 1;
    const Instruction* const body = preamble + i.preamble;
    const Instruction* const end = body + i.body;
    run(preamble, body, f, n);
    if (i.direct) {
        f.index[i.c] = low;
        run(body, end, f, n);
        const std::byte* const first = static_cast<std::byte*>(f.at[i.d]);
        int64_t stride = 0;
        if (high - low > 1) {
            f.index[i.c] = low + 1;
            run(body, end, f, n);
            stride = (static_cast<std::byte*>(f.at[i.d]) - first) / i.size;
        }
        fold.rows(out, first, high - low, stride, n);
        return;
    }
    RowFold rows(i, f, n);
    for (int64_t r = low; r < high; ++r) {
        check_interrupt();
        f.index[i.c] = r;
        run(body, end, f, n);
        rows.add(f.at[i.d], i.mask);
    }
    rows.finish(out);
}

void run_lanes(const Instruction& i, Frame& f) {
    constexpr int64_t chunk = BlockProgram::block_size;
    const int64_t low = f.index[i.a], high = f.index[i.b];
    void* const out = f.at[i.out];
    const Fold& fold = *i.fold->fold;
    if (low >= high) {
        fold.lanes(out, nullptr, 0);
        return;
    }
    const Instruction* const preamble = &i + 1;
    const Instruction* const body = preamble + i.preamble;
    const Instruction* const end = body + i.body;
    run(preamble, body, f, 1);
    if (i.direct) {
        f.index[i.c] = low;
        run(body, end, f, 1);
        fold.lanes(out, f.at[i.d], high - low);
        return;
    }
    const auto level = [&](int k) { return f.memory + i.scratch + size_t(k) * chunk * i.size; };
    const auto element = [&](int64_t at) -> const void* {
        check_interrupt();
        const int64_t n = std::min(chunk, high - at);
        f.index[i.c] = at;
        run(body, end, f, n);
        if (!i.mask) return f.at[i.d];
        fill(level(BlockProgram::fold_levels), f.at[i.d], i.size, n);
        return level(BlockProgram::fold_levels);
    };
    if (high - low <= chunk) {
        fold.lanes(out, element(low), high - low);
        return;
    }
    int64_t counts[BlockProgram::fold_levels] = {};
    for (int64_t at = low; at < high; at += chunk) {
        fold.lanes(level(0) + counts[0] * i.size, element(at), std::min(chunk, high - at));
        ++counts[0];
        for (int k = 0; counts[k] == chunk && k + 1 < BlockProgram::fold_levels;
             ++k) {  // a full chunk of chunk results
            fold.lanes(level(k + 1) + counts[k + 1] * i.size, level(k), chunk);
            ++counts[k + 1];
            counts[k] = 0;
        }
    }
    int top = BlockProgram::fold_levels - 1;
    while (top > 0 && counts[top] == 0) --top;
    for (int k = 0; k < top; ++k) {
        if (counts[k] == 0) continue;
        fold.lanes(level(k + 1) + counts[k + 1] * i.size, level(k), counts[k]);
        ++counts[k + 1];
    }
    fold.lanes(out, level(top), counts[top]);
}

void run_vector(const Instruction& i, Frame& f) {
    const int64_t low = f.index[i.a], high = f.index[i.b];
    if (low >= high) return;
    const Instruction* const preamble = &i + 1;
    const Instruction* const body = preamble + i.preamble;
    run(preamble, body, f, 1);
    for (int64_t at = low; at < high; at += BlockProgram::block_size) {
        check_interrupt();
        f.index[i.out] = at;
        run(body, body + i.body, f, std::min(BlockProgram::block_size, high - at));
    }
}

void run_serial(const Instruction& i, Frame& f, int64_t n) {
    const int64_t low = f.index[i.a], high = f.index[i.b], step = f.index[i.c];
    if (low >= high) return;
    const Instruction* const preamble = &i + 1;
    const Instruction* const body = preamble + i.preamble;
    run(preamble, body, f, n);
    for (int64_t at = low; at < high; at += step) {
        check_interrupt();
        f.index[i.out] = at;
        run(body, body + i.body, f, n);
    }
}

void run(const Instruction* begin, const Instruction* end, Frame& f, int64_t n) {
    int64_t* const index = f.index;
    void** const at = f.at;
    const auto buffer = [&](int32_t k, int64_t position, unsigned size) {
        return static_cast<std::byte*>(f.buffers[k]) + position * int64_t(size);
    };
    for (const Instruction* next = begin; next != end;) {
        const Instruction& i = *next++;
        switch (i.code) {
            case Code::block: f.faults |= i.routine(at[i.out], at[i.a], at[i.b], at[i.c], n); break;
            case Code::one: f.faults |= i.routine(at[i.out], at[i.a], at[i.b], at[i.c], 1); break;
            case Code::copy_block: std::memcpy(at[i.out], at[i.a], size_t(n) * i.size); break;
            case Code::fill_block: fill(at[i.out], at[i.a], i.size, n); break;
            case Code::index_add: index[i.out] = index[i.a] + index[i.b]; break;
            case Code::index_sub: index[i.out] = index[i.a] - index[i.b]; break;
            case Code::index_mul: index[i.out] = index[i.a] * index[i.b]; break;
            case Code::index_floor_divide: index[i.out] = floor_divide(index[i.a], index[i.b]); break;
            case Code::index_remainder:
                index[i.out] = index[i.a] - index[i.b] * floor_divide(index[i.a], index[i.b]);
                break;
            case Code::index_minimum: index[i.out] = std::min(index[i.a], index[i.b]); break;
            case Code::index_maximum: index[i.out] = std::max(index[i.a], index[i.b]); break;
            case Code::index_from_value: std::memcpy(&index[i.out], at[i.a], 8); break;
            case Code::value_from_index: std::memcpy(at[i.out], &index[i.a], 8); break;
            case Code::iota_block:
                iota(static_cast<int64_t*>(at[i.out]), index[i.a] + index[i.b] * index[i.c], index[i.c], n);
                break;
            case Code::floor_divide_block: {
                int64_t* const out = static_cast<int64_t*>(at[i.out]);
                divide_positions(index[i.a] + index[i.b] * index[i.c], index[i.c], index[i.d], n,
                                 [out](int64_t k, const Divided& x) { out[k] = x.quotient; });
                break;
            }
            case Code::remainder_block: {
                int64_t* const out = static_cast<int64_t*>(at[i.out]);
                divide_positions(index[i.a] + index[i.b] * index[i.c], index[i.c], index[i.d], n,
                                 [out](int64_t k, const Divided& x) { out[k] = x.remainder; });
                break;
            }
            case Code::load_here:
            case Code::address: at[i.out] = buffer(i.a, index[i.b] + index[i.c], i.size); break;
            case Code::load_block:
                std::memcpy(at[i.out], buffer(i.a, index[i.b] + index[i.c], i.size), size_t(n) * i.size);
                break;
            case Code::load_strided:
                load_strided(at[i.out], buffer(i.a, index[i.b] + index[i.c] * index[i.d], i.size), index[i.d], i.size,
                             n);
                break;
            case Code::load_lines:
                at[i.out] = lines_at(i, f, buffer(i.a, index[i.b] + index[i.c] * index[i.d], i.size), n);
                break;
            case Code::load_indexed:
                load_indexed(at[i.out], f.buffers[i.a], static_cast<int64_t*>(at[i.b]), i.size, n);
                break;
            case Code::load_one: copy_one(at[i.out], buffer(i.a, index[i.b], i.size), i.size); break;
            case Code::store_block: {
                void* const to = buffer(i.a, index[i.b] + index[i.c], i.size);
                if (i.mask) fill(to, at[i.out], i.size, n);
                else std::memmove(to, at[i.out], size_t(n) * i.size);
                break;
            }
            case Code::store_large: {
                void* const to = buffer(i.a, index[i.b] + index[i.c], i.size);
                if (index[i.d] * int64_t(i.size) <= f.last_cache_bytes) {
                    std::memmove(to, at[i.out], size_t(n) * i.size);
                    break;
                }
                copy_past_caches(to, at[i.out], size_t(n) * i.size);
                f.fence = true;
                break;
            }
            case Code::store_strided:
                store_strided(buffer(i.a, index[i.b] + index[i.c] * index[i.d], i.size), index[i.d], at[i.out], i.size,
                              n);
                break;
            case Code::store_indexed:
                store_indexed(f.buffers[i.a], static_cast<int64_t*>(at[i.b]), at[i.out], i.size, n);
                break;
            case Code::store_one: copy_one(buffer(i.a, index[i.b], i.size), at[i.out], i.size); break;
            case Code::product: {
                const ProductPlan& p = *i.product;
                const auto tile = [&](const ProductPlan::Tile& t) { return buffer(t.buffer, index[t.at], i.size); };
                p.function(tile(p.a), index[p.a.row], index[p.a_column], tile(p.b), index[p.b.row], tile(p.c),
                           index[p.c.row], index[p.m], index[p.n], index[p.k], p.accumulate);
                break;
            }
            case Code::scatter: {
                const ScatterPlan& s = *i.scatter;
                s.function(buffer(s.to, 0, i.size), reinterpret_cast<const int64_t*>(buffer(s.places, index[s.at], 8)),
                           buffer(s.terms, index[s.at], i.size), index[s.row], index[s.m], index[s.n]);
                break;
            }
            case Code::serial:
                run_serial(i, f, n);
                next += i.preamble + i.body;
                break;
            case Code::vector:
                run_vector(i, f);
                next += i.preamble + i.body;
                break;
            case Code::fold_lanes:
                run_lanes(i, f);
                next += i.preamble + i.body;
                break;
            case Code::fold_rows:
                run_rows(i, f, n);
                next += i.preamble + i.body;
                break;
        }
    }
}

class InterpretedKernel final : public CompiledKernel {
public:
    InterpretedKernel(const KernelSource& source, const KernelInfo& info, InstructionSet instructions,
                      WorkspacePool& workspaces)
        : workspaces_(workspaces), programs_(translate_kernel(source, info, instructions, plans_)) {}

    bool sees_interrupts() const override { return true; }
    void run(size_t stage, const KernelCall& call, int64_t begin, int64_t end) const override {
        const BlockProgram& program = programs_[stage];
        const size_t index_bytes = (program.indices.size() * 8 + 63) / 64 * 64;
        const size_t register_bytes = (program.registers.size() * sizeof(void*) + 63) / 64 * 64;
        Workspace workspace(workspaces_);
        std::byte* const memory = workspace.reserve(index_bytes + register_bytes + program.frame_bytes);
        Frame f{call.buffers, memory + index_bytes + register_bytes, reinterpret_cast<int64_t*>(memory),
                reinterpret_cast<void**>(memory + index_bytes)};
        std::copy(program.indices.begin(), program.indices.end(), f.index);
        for (const auto& [index, extent] : program.extents) f.index[index] = call.extents[extent];
        for (uint32_t offset : program.lines) new (f.memory + offset) LoadedLines;
        for (size_t k = 0; k < program.registers.size(); ++k) f.at[k] = address(program, program.registers[k], f, call);
        execute(program, f, begin, end);
        if (f.fence) _mm_sfence();
        if (f.faults) __atomic_fetch_or(call.faults, f.faults, __ATOMIC_RELAXED);
    }

private:
    static void* address(const BlockProgram& program, BlockProgram::Register r, const Frame& f,
                         const KernelCall& call) {
        using Register = BlockProgram::Register;
        switch (r.kind) {
            case Register::frame: return f.memory + r.offset;
            case Register::constant: return const_cast<uint64_t*>(&program.constants[r.offset / 8]);
            case Register::shared: return call.scalars + r.offset / 8;
            case Register::free: break;
        }
        return nullptr;
    }
    static void execute(const BlockProgram& program, Frame& f, int64_t begin, int64_t end) {
        const auto run_all = [&](const std::vector<Instruction>& code, int64_t n) {
            tenon::run(code.data(), code.data() + code.size(), f, n);
        };
        run_all(program.entry, 1);
        if (!program.loop) return run_all(program.body, 1);
        const int64_t low = f.index[program.low];
        if (program.end >= 0) f.index[program.end] = low + end * program.step;
        if (program.vector) {
            for (int64_t at = begin; at < end; at += BlockProgram::block_size) {
                check_interrupt();
                f.index[program.variable] = low + at;
                run_all(program.body, std::min(BlockProgram::block_size, end - at));
            }
            return;
        }
        for (int64_t at = begin; at < end; ++at) {
            check_interrupt();
            f.index[program.variable] = low + at * program.step;
            run_all(program.body, 1);
        }
    }

    WorkspacePool& workspaces_;
    ProgramPlans plans_;
    std::vector<BlockProgram> programs_;
};

}  // namespace

std::shared_ptr<CompiledKernel> interpret_kernel(const KernelSource& source, const KernelInfo& info,
                                                 InstructionSet instructions, WorkspacePool& workspaces) {
    return std::make_shared<InterpretedKernel>(source, info, instructions, workspaces);
}

}  // namespace tenon
