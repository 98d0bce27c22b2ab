#include "jit/interpreter/block_translator.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <utility>

#include "ir/loops.h"
#include "ir/row.h"
#include "jit/blocks/block_indices.h"
#include "jit/blocks/program_builder.h"
#include "jit/interpreter/region_uses.h"
#include "jit/interpreter/tile_plans.h"
#include "jit/literal.h"
#include "jit/slope.h"
#include "runtime/cpu.h"

namespace tenon {

namespace {

using Code = Instruction::Code;
using Loop = ProgramBuilder::Loop;

class StageTranslator {
public:
    StageTranslator(const KernelSource& source, const KernelInfo& info, InstructionSet instructions,
                    ProgramPlans& plans)
        : graph_(*source.graph), info_(info), instructions_(instructions), plans_(plans),
          kernel_(graph_.region_of(source.kernel)), indices_(program_) {
        for (NodeId p : graph_.params(kernel_)) buffers_.emplace(p.index, int32_t(buffers_.size()));
        for (const KernelScratch& s : info.scratch) buffers_.emplace(s.node.index, int32_t(buffers_.size()));
        for (const InPlace& pair : source.in_place)
            paired_[int32_t(pair.operand)] = int32_t(info.operands + pair.result);
    }

    BlockProgram translate(const KernelStage& stage) {
        for (uint32_t slot = 0; NodeId id : info_.scalars) {  // what other stages computed
            const bool mine = std::find(stage.nodes.begin(), stage.nodes.end(), id) != stage.nodes.end();
            shared_[id.index] = program_.new_slot(slot++);
            if (!mine) define_shared(id);
        }
        if (stage.loop) return top_loop(stage.nodes[0]);
        scope_.uses = find_uses(graph_, kernel_, stage.nodes, buffers_);
        body(stage.nodes);
        return std::move(program_).finish();
    }

private:
    struct Borrowed {
        int32_t buffer;
        uint32_t last_use;
    };
    // What is known within one region, put back when it is left.
    struct RegionScope {
        RegionUses uses;
        std::unordered_set<uint32_t> local;  // nodes translated so far
        std::vector<Borrowed> borrowed;
        std::vector<int32_t> temporaries;
        uint32_t position = 0;
    };

    NodeId canonical(NodeId id) const { return tenon::canonical(graph_, id); }
    const Type& type(NodeId id) const { return graph_.type(id); }
    std::optional<int32_t> shared(NodeId id) const {
        const auto found = shared_.find(id.index);
        return found == shared_.end() ? std::nullopt : std::optional(found->second);
    }
    int32_t scalar_for(NodeId id) {
        const std::optional<int32_t> slot = shared(id);
        return slot ? *slot : program_.new_scalar();
    }
    bool is_outside(int level) const { return level < program_.depth(); }

    // ---- regions
    void body(std::span<const NodeId> nodes) {
        for (uint32_t k = 0; k < nodes.size(); ++k) {
            scope_.position = k;
            node(nodes[k]);
            scope_.local.insert(nodes[k].index);
            release_operands(nodes[k]);
        }
    }
    // Blocks whose last use is the node at hand, and have its element size, may hold its result.
    void release_operands(NodeId id) {
        for (NodeId operand : graph_.operands_of(id)) release(canonical(operand));
        for (int32_t at : scope_.temporaries) program_.release(at);
        scope_.temporaries.clear();
    }
    void release(NodeId id) {
        const auto uses = scope_.uses.values.find(id.index);
        const auto value = values_.find(id.index);
        if (uses == scope_.uses.values.end() || value == values_.end() || uses->second.last > scope_.position) return;
        if (scope_.local.contains(id.index)) program_.release(value->second.at);
    }
    RegionScope enter(const Region& region, bool vector, int32_t variable) {
        RegionScope outer = std::exchange(scope_, RegionScope());
        program_.open_loop(vector, variable);
        scope_.uses = find_uses(graph_, region, graph_.body(region), buffers_);
        const int level = program_.depth();
        values_[graph_.params(region)[0].index] =
            vector ? BlockValue::index(level, program_.index_constant(0), program_.index_constant(1))
                   : BlockValue::index(level, variable);
        return outer;
    }
    Loop leave(RegionScope outer) {
        scope_ = std::move(outer);
        return program_.close_loop();
    }

    // ---- loops and folds
    BlockProgram top_loop(NodeId id) {
        const Attributes attributes = graph_.attributes(id);
        const BlockValue low = index_use(graph_.operand(id, 0));
        const int32_t variable = program_.new_index();
        const Region& region = graph_.region_of(id);
        const bool vector = attributes.text("kind") == "vector";
        if (!vector && attributes.integer_or("step", 1) == 1)
            around_ = {graph_.params(region)[0], variable, program_.stage_end(), -1, -1};
        RegionScope outer = enter(region, vector, variable);
        body(graph_.body(region));
        Loop loop = leave(std::move(outer));
        return std::move(program_).finish(std::move(loop), low.base, attributes.integer_or("step", 1), variable);
    }
    void inner_loop(NodeId id) {
        const Attributes attributes = graph_.attributes(id);
        const bool vector = attributes.text("kind") == "vector";
        const BlockValue low = index_use(graph_.operand(id, 0)), high = index_use(graph_.operand(id, 1));
        assert(low.is_affine() && high.is_affine() && !low.vector && !high.vector);
        Instruction i{.code = vector ? Code::vector : Code::serial, .a = low.base, .b = high.base};
        i.c = program_.index_constant(attributes.integer_or("step", 1));
        i.out = program_.new_index();
        const Region& region = graph_.region_of(id);
        const Around before = around_;
        if (vector) around_.low = low.base, around_.high = high.base;
        else if (attributes.integer_or("step", 1) != 1) around_ = {};
        else around_ = {graph_.params(region)[0], i.out, high.base, -1, -1};
        RegionScope outer = enter(region, vector, i.out);
        body(graph_.body(region));
        program_.append_loop(i, leave(std::move(outer)));
        around_ = before;
    }
    BlockValue fold(NodeId id) {
        const Attributes attributes = graph_.attributes(id);
        const bool lanes = attributes.text("order") == "lanes";
        const DType dtype = type(id).dtype;
        const BlockValue low = index_use(graph_.operand(id, 0)), high = index_use(graph_.operand(id, 1));
        assert(low.is_affine() && high.is_affine() && !low.vector && !high.vector);
        const std::string_view name = attributes.text("op");
        plans_.folds.push_back({find_fold(name, dtype, instructions_), find_routine(name, dtype, instructions_)});
        assert(plans_.folds.back().fold && plans_.folds.back().step);
        Instruction i{.code = lanes ? Code::fold_lanes : Code::fold_rows,
                      .size = uint8_t(size_of(dtype)),
                      .a = low.base,
                      .b = high.base};
        i.fold = &plans_.folds.back();
        i.c = program_.new_index();
        const Region& region = graph_.region_of(id);
        const NodeId folded = graph_.results(region)[0];
        const Around before = std::exchange(around_, {});
        RegionScope outer = enter(region, lanes, i.c);
        body(graph_.body(region));
        const BlockValue element = as_value(folded);
        const Loop loop = leave(std::move(outer));
        around_ = before;
        i.mask = !element.vector;
        i.d = element.at;
        i.direct =
            element.vector && is_affine_load(folded, graph_.params(region)[0]) && loop.only_addresses(element.at);
        BlockValue v;
        v.level = program_.depth();
        v.vector = !lanes && program_.in_vector();
        i.scratch = program_.fold_scratch();
        v.at = i.out = v.vector ? program_.new_block(i.size) : scalar_for(id);
        program_.append_loop(i, loop);
        return v;
    }
    void product(NodeId id) {
        assert(!program_.in_vector());
        plans_.products.push_back(product_plan(
            graph_, id, instructions_, [&](NodeId o) { return buffers_.at(o.index); },
            [&](NodeId o) { return index_use(o).base; }));
        Instruction i{.code = Code::product,
                      .size = uint8_t(size_of(type(graph_.operand(id, product_operand::c)).dtype))};
        i.product = &plans_.products.back();
        program_.emit_here(i);
    }
    void scatter(NodeId id) {
        assert(!program_.in_vector());
        plans_.scatters.push_back(scatter_plan(
            graph_, id, [&](NodeId o) { return buffers_.at(o.index); }, [&](NodeId o) { return index_use(o).base; }));
        Instruction i{.code = Code::scatter,
                      .size = uint8_t(size_of(type(graph_.operand(id, scatter_operand::to)).dtype))};
        i.scatter = &plans_.scatters.back();
        program_.emit_here(i);
    }
    // Is the value a load whose position moves by the same stride with every turn?
    bool is_affine_load(NodeId value, NodeId variable) const {
        value = canonical(value);
        return graph_[value].op == op<"load">() && slope_of(graph_, graph_.operand(value, 1), variable).is_affine();
    }

    // ---- nodes
    void node(NodeId id) {
        const Node& n = graph_[id];
        const bool nothing = n.op == op<"extent">() || n.op == op<"constant">() || n.op == op<"scratch">();
        if (nothing || canonical(id) != id) return;
        if (n.op == op<"store">()) return store(id);
        if (n.op == op<"for">()) return inner_loop(id);
        if (n.op == op<"product">()) return product(id);
        if (n.op == op<"scatter">()) return scatter(id);
        BlockValue v;
        if (n.op == op<"fold">()) v = fold(id);
        else if (n.op == op<"load">()) v = load(id);
        else if (n.op == op<"number">()) v = number(id);
        else if (type(id).kind == Type::Kind::index) v = index_node(id);
        else v = routine_value(id, data_type(id), type(id).dtype);
        const std::optional<int32_t> slot = shared(id);
        if (slot && type(id).kind == Type::Kind::index)
            program_.emit_here({.code = Code::value_from_index, .out = *slot, .a = v.base});
        values_[id.index] = v;
    }
    // Of the operands after the condition; one that is an index makes them i64.
    DType data_type(NodeId id) const {
        const auto data = graph_.operands_of(id).subspan(size_t(row(graph_[id].op).conditions));
        const bool counts =
            std::any_of(data.begin(), data.end(), [&](NodeId o) { return type(o).kind == Type::Kind::index; });
        return counts ? DType::i64 : type(data[0]).dtype;
    }
    BlockValue number(NodeId id) {
        BlockValue v = index_use(graph_.operand(id, 0));
        if (v.is_affine()) return indices_.as_elements(v, shared(id));
        program_.pin(v.at);
        v.is_index = false;
        return v;
    }
    BlockValue index_node(NodeId id) {
        const Op o = graph_[id].op;
        if (o == op<"position">()) {
            BlockValue v = as_value(graph_.operand(id, 0));
            if (!v.vector) return indices_.from_elements(v);
            program_.pin(v.at);
            v.is_index = true;
            return v;
        }
        if (const std::optional<Code> code = BlockIndices::code_of(o)) {
            const BlockValue a = index_use(graph_.operand(id, 0)), b = index_use(graph_.operand(id, 1));
            if (a.is_affine() && b.is_affine()) {
                if (const auto v = indices_.apply(*code, a, b)) return *v;
                if (a.vector && !b.vector && (*code == Code::index_floor_divide || *code == Code::index_remainder))
                    return indices_.divide_lanes(*code, a, b);
            }
        }
        BlockValue v = routine_value(id, DType::i64, DType::i64);  // anything else goes through the i64 routines
        if (!v.vector) return indices_.from_elements(v);
        v.is_index = true;
        return v;
    }

    // ---- values
    BlockValue use(NodeId id) {
        id = canonical(id);
        if (graph_[id].op == op<"constant">()) {
            BlockValue v;
            v.at = program_.constant(element_bits(graph_, id));
            return v;
        }
        const auto found = values_.find(id.index);
        if (found != values_.end()) return found->second;
        assert(is_static_index(graph_, id));  // of the kernel's own region: belongs to no stage
        return values_[id.index] = graph_[id].op == op<"extent">() ? extent(id) : static_index(id);
    }
    BlockValue static_index(NodeId id) {
        const BlockValue a = index_use(graph_.operand(id, 0)), b = index_use(graph_.operand(id, 1));
        return indices_.apply_first(*BlockIndices::code_of(graph_[id].op), a, b);
    }
    BlockValue extent(NodeId id) {
        const SizeId size = graph_.attributes(id).size("value");
        if (const auto value = graph_.context->as_constant(size)) return indices_.constant(*value);
        const auto found = std::find(info_.extents.begin(), info_.extents.end(), size);
        return BlockValue::index(-1, program_.extent(uint32_t(found - info_.extents.begin())));
    }
    BlockValue index_use(NodeId id) {  // an operand that is an index; an integer literal may stand for one
        return graph_[id].op == op<"constant">() ? indices_.constant(graph_.attributes(id).integer("value")) : use(id);
    }
    // The value register of an operand, positions written out as i64 elements.
    BlockValue as_value(NodeId id) {
        const BlockValue v = use(id);
        if (!v.is_affine()) return v;
        const BlockValue written = indices_.as_elements(v);
        if (v.vector) scope_.temporaries.push_back(written.at);
        return written;
    }
    void define_shared(NodeId id) {
        BlockValue v;
        v.level = 0;
        v.at = *shared(id);
        values_[id.index] = type(id).kind == Type::Kind::index ? indices_.from_elements(v) : v;
    }

    BlockValue routine_value(NodeId id, DType in, DType out) {
        const auto operands = graph_.operands_of(id);
        const Routine* routine = row(graph_[id].op).converts ? find_cast(in, out, instructions_)
                                                             : find_routine(row(graph_[id].op).name, in, instructions_);
        assert(routine && size_t(routine->arity) == operands.size());
        Instruction i{.code = Code::block, .size = uint8_t(size_of(out))};
        BlockValue v;
        int32_t* const fields[] = {&i.a, &i.b, &i.c};
        for (size_t k = 0; k < operands.size(); ++k) {
            const BlockValue operand = as_value(operands[k]);
            *fields[k] = operand.at;
            v.vector |= operand.vector;
            v.level = std::max(v.level, operand.level);
            if (!operand.vector) i.mask |= uint8_t(1u << k);
        }
        if (!v.vector) {
            i.code = Code::one;
            i.mask = 0;
        }
        i.routine = routine->variants[i.mask];
        const bool outside = is_outside(v.level);
        if (v.vector && !outside && write_directly(id, i)) {
            v.at = i.out;
        } else if (v.vector) {
            release_operands(id);
            v.at = i.out = program_.new_block(i.size, !outside);
        } else v.at = i.out = scalar_for(id);
        v.level = program_.emit(v.level, i);
        return v;
    }
    // The value is to be stored next to its neighbours: it is written where it is to stand, and read there.
    bool write_directly(NodeId id, Instruction& i) {
        const auto uses = scope_.uses.values.find(id.index);
        if (uses == scope_.uses.values.end() || !uses->second.store) return false;
        const NodeId store = uses->second.store;
        if (is_large(store)) return false;
        const int32_t buffer = buffers_.at(graph_.operand(store, 0).index);
        const NodeId position = graph_.operand(store, 1);
        if (!values_.contains(position.index) && !is_static_index(graph_, position)) return false;
        const BlockValue p = use(position);
        if (!p.is_affine() || !p.vector || !program_.is_known(p.coefficient, 1)) return false;
        if (scope_.uses.stores[buffer] != 1) return false;
        // Not while the memory is still to be read, as what it held before.
        const auto is_needed = [&](int32_t b) {
            const auto last = scope_.uses.last_load.find(b);
            if (last != scope_.uses.last_load.end() && last->second > scope_.position) return true;
            return std::any_of(scope_.borrowed.begin(), scope_.borrowed.end(), [&](const Borrowed& load) {
                return load.buffer == b && load.last_use > scope_.position;
            });
        };
        if (is_needed(buffer)) return false;
        for (const auto& [operand, result] : paired_)
            if (result == buffer && is_needed(operand)) return false;
        i.out = program_.new_address();
        program_.emit_here({.code = Code::address,
                            .size = i.size,
                            .out = i.out,
                            .a = buffer,
                            .b = p.base,
                            .c = program_.vector_variable()});
        written_.insert(store.index);
        return true;
    }

    // ---- memory
    // May it be of more than the last cache holds? Not into memory that was read just before.
    bool is_large(NodeId store) {
        if (graph_[store].operands.count < 4) return false;
        if (graph_.attributes(store).flag("after_folds") && !cpu_info().streams_between_reads) return false;
        const int32_t buffer = buffers_.at(graph_.operand(store, 0).index);
        const bool in_place =
            std::any_of(paired_.begin(), paired_.end(), [&](const auto& p) { return p.second == buffer; });
        const std::optional<int64_t> all = program_.known(index_use(graph_.operand(store, 3)).base);
        return !in_place &&
               !(all && *all * int64_t(size_of(type(graph_.operand(store, 0)).dtype)) <= cpu_info().l3_bytes);
    }
    BlockValue load(NodeId id) {
        const int32_t buffer = buffers_.at(graph_.operand(id, 0).index);
        const BlockValue p = index_use(graph_.operand(id, 1));
        const uint8_t size = uint8_t(size_of(type(id).dtype));
        Instruction i{.code = Code::load_one, .size = size, .a = buffer, .b = p.base};
        BlockValue v;
        v.vector = p.vector;
        const bool scratch = buffer >= int32_t(info_.first_scratch());
        v.level = scratch || changes(buffer) ? program_.depth() : p.level;
        const bool outside = is_outside(v.level);
        if (!p.vector) {
            v.at = i.out = scalar_for(id);
        } else if (!p.is_affine()) {
            i.code = Code::load_indexed;
            i.b = p.at;
            v.at = i.out = program_.new_block(size, !outside);
        } else {
            i.c = program_.vector_variable();
            i.d = p.coefficient;
            const bool contiguous = program_.is_known(p.coefficient, 1);
            const bool borrowed = contiguous && may_borrow(id, buffer);
            // Do the turns of the loop around the vector loop read neighbours?
            const bool lines = !contiguous && !outside && !changes(buffer) && around_.parameter && around_.high >= 0 &&
                               slope_of(graph_, graph_.operand(id, 1), around_.parameter).is(1);
            i.code = borrowed     ? Code::load_here
                     : contiguous ? Code::load_block
                     : lines      ? Code::load_lines
                                  : Code::load_strided;
            v.at = i.out = borrowed || lines ? program_.new_address() : program_.new_block(size, !outside);
            if (lines) {
                i.scratch = program_.new_lines(size);
                i.preamble = uint32_t(around_.variable), i.body = uint32_t(around_.end);
                i.vector = {around_.low, around_.high};
            }
        }
        v.level = program_.emit(v.level, i);
        return v;
    }
    // Is the memory written within the region, by itself or as a result that takes its place?
    bool changes(int32_t buffer) const {
        if (scope_.uses.is_stored(buffer)) return true;
        const auto pair = paired_.find(buffer);
        return pair != paired_.end() && scope_.uses.is_stored(pair->second);
    }
    // May the value stay in the buffer until its last use? Not where that is written before.
    bool may_borrow(NodeId id, int32_t buffer) {
        const auto pair = paired_.find(buffer);
        const auto uses = scope_.uses.values.find(id.index);
        const uint32_t last = uses == scope_.uses.values.end() ? scope_.position : uses->second.last;
        const auto is_written = [&](int32_t b) {
            const auto store = scope_.uses.first_store.find(b);
            return store != scope_.uses.first_store.end() && store->second <= last;
        };
        if (is_written(buffer) || (pair != paired_.end() && is_written(pair->second))) return false;
        if (pair != paired_.end() || scope_.uses.is_stored(buffer)) scope_.borrowed.push_back({buffer, last});
        return true;
    }

    void store(NodeId id) {
        if (written_.contains(id.index)) return;
        const int32_t buffer = buffers_.at(graph_.operand(id, 0).index);
        const BlockValue p = index_use(graph_.operand(id, 1));
        BlockValue v = as_value(graph_.operand(id, 2));
        const uint8_t size = uint8_t(size_of(type(graph_.operand(id, 0)).dtype));
        Instruction i{.code = Code::store_one, .size = size, .out = v.at, .a = buffer, .b = p.base};
        if (program_.in_vector() && (p.vector || v.vector)) {
            i.c = program_.vector_variable();
            const bool contiguous = p.is_affine() && program_.is_known(p.coefficient, 1);
            if (!v.vector && !contiguous) {
                i.out = program_.new_block(size);
                program_.emit_here({.code = Code::fill_block, .size = size, .out = i.out, .a = v.at});
                scope_.temporaries.push_back(i.out);
                v.vector = true;
            }
            if (!p.is_affine()) {
                i.code = Code::store_indexed;
                i.b = p.at;
            } else if (p.vector && contiguous) {
                i.code = Code::store_block;
                i.mask = !v.vector;
                if (v.vector && is_large(id)) {
                    i.code = Code::store_large;
                    i.d = index_use(graph_.operand(id, 3)).base;
                }
            } else {
                i.code = Code::store_strided;
                i.d = p.vector ? p.coefficient : program_.index_constant(0);
            }
        }
        program_.emit_here(i);
    }

    const Graph& graph_;
    const KernelInfo& info_;
    InstructionSet instructions_;
    ProgramPlans& plans_;
    const Region& kernel_;
    ProgramBuilder program_;
    BlockIndices indices_;
    BufferNumbers buffers_;
    std::unordered_map<int32_t, int32_t> paired_;      // operand buffer -> result buffer in its place
    std::unordered_map<uint32_t, int32_t> shared_;     // top-level scalar -> register
    std::unordered_map<uint32_t, BlockValue> values_;  // by node
    std::unordered_set<uint32_t> written_;             // stores that their value's op does
    RegionScope scope_;                                // of the region at hand
    struct Around {                                    // the loop in single steps that is nearest around a vector loop
        NodeId parameter;
        int32_t variable = -1, end = -1;  // index registers
        int32_t low = -1, high = -1;      // of the vector loop
    } around_;
};

}  // namespace

std::vector<BlockProgram> translate_kernel(const KernelSource& source, const KernelInfo& info,
                                           InstructionSet instructions, ProgramPlans& plans) {
    std::vector<BlockProgram> programs;
    for (const KernelStage& stage : info.stages)
        programs.push_back(StageTranslator(source, info, instructions, plans).translate(stage));
    return programs;
}

}  // namespace tenon
