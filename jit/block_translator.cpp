#include "jit/block_translator.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <limits>
#include <map>
#include <optional>
#include <unordered_map>
#include <unordered_set>

#include "ir/row.h"

namespace tenon {

namespace {

using Code = Instruction::Code;

// What a node became.
struct Value {
    int level = -1;       // of the loop nest whose turns it may differ in; −1: constant
    bool vector = false;  // differs from lane to lane of the vector loop around it
    bool is_index = false;
    int32_t at = -1;           // value register; of an index, only where it is not affine in the vector variable
    int32_t base = -1;         // index registers: base + coefficient · (vector variable)
    int32_t coefficient = -1;  // none where it is the same in all lanes
    bool is_affine() const { return is_index && at < 0; }
};

uint64_t element_bits(const AttrValue& value, DType dtype) {
    uint64_t bits = 0;
    visit_dtype(dtype, [&]<class T>() {
        const T element = std::visit(
            [](const auto& x) -> T {
                using X = std::decay_t<decltype(x)>;
                if constexpr (std::is_same_v<X, bool> || std::is_same_v<X, int64_t> || std::is_same_v<X, double>)
                    return convert<T>(x);
                else return T{};
            },
            value.value);
        std::memcpy(&bits, &element, sizeof element);
    });
    return bits;
}

class StageTranslator {
public:
    StageTranslator(const KernelSource& source, const KernelInfo& info, std::deque<FoldPlan>& plans)
        : graph_(*source.graph), source_(source), info_(info), plans_(plans), kernel_(graph_.region_of(source.kernel)) {
        for (uint32_t k = 0; NodeId p : graph_.params(kernel_)) buffers_[p.index] = int32_t(k++);
        for (const InPlace& pair : source.in_place)
            paired_[int32_t(pair.operand)] = int32_t(info.operands + pair.result);
    }

    BlockProgram translate(const KernelStage& stage) {
        loops_.emplace_back();
        for (uint32_t slot = 0; NodeId id : info_.scalars) {  // what other stages computed
            const bool mine = std::find(stage.nodes.begin(), stage.nodes.end(), id) != stage.nodes.end();
            shared_[id.index] = new_register(BlockProgram::Register::shared, slot++ * 8);
            if (!mine) define_shared(id);
        }
        if (!stage.loop) {
            note_uses(kernel_, stage.nodes);
            body(stage.nodes);
        } else top_loop(stage.nodes[0]);
        program_.entry = std::move(loops_[0].preamble);
        if (stage.loop) append(program_.entry, loops_[0].body);
        else program_.body = std::move(loops_[0].body);
        program_.frame_bytes = frame_;
        return std::move(program_);
    }

private:
    struct Loop {
        bool vector = false;
        int32_t variable = -1;  // index register of the vector variable, inherited by what is inside
        std::vector<Instruction> preamble, body;
        std::unordered_set<int32_t> stored;             // buffers
        std::multimap<uint32_t, uint32_t> free_blocks;  // by element size
    };

    struct Uses {
        uint32_t count = 0, last = 0;  // last: position in the region that defines the value
        NodeId store;                  // the use, where it is the value of a store in the same region
    };
    struct Borrowed {
        int32_t buffer;
        uint32_t last_use;
    };
    // What is known within one region, put back when it is left.
    struct Scope {
        std::unordered_map<uint32_t, Uses> uses;
        std::unordered_set<uint32_t> local;
        std::unordered_map<int32_t, uint32_t> first_store, last_load, store_count;
        std::unordered_set<int32_t> stored_here;
        std::vector<Borrowed> borrowed;
        std::vector<int32_t> temporaries;
        uint32_t position = 0;
    };

    static void append(std::vector<Instruction>& to, const std::vector<Instruction>& from) {
        to.insert(to.end(), from.begin(), from.end());
    }

    // ---- registers
    int32_t new_register(BlockProgram::Register::Kind kind, uint32_t offset) {
        program_.registers.push_back({kind, offset});
        return int32_t(program_.registers.size() - 1);
    }
    uint32_t new_frame(uint32_t bytes) {
        const uint32_t aligned = bytes > 8 ? (frame_ + 63) / 64 * 64 : frame_;
        frame_ = aligned + bytes;
        return aligned;
    }
    int32_t new_scalar() { return new_register(BlockProgram::Register::frame, new_frame(8)); }
    int32_t new_block(uint32_t size, bool shared = true) {
        auto& free = loops_.back().free_blocks;
        if (shared)
            for (auto it = free.lower_bound(size); it != free.upper_bound(size); ++it) {
                const uint32_t offset = it->second;
                free.erase(it);
                const int32_t at = new_register(BlockProgram::Register::frame, offset);
                blocks_[at] = {size, offset};
                return at;
            }
        const uint32_t offset = new_frame(uint32_t(BlockProgram::block_size) * size);
        const int32_t at = new_register(BlockProgram::Register::frame, offset);
        if (shared) blocks_[at] = {size, offset};
        return at;
    }
    int32_t constant(uint64_t bits) {
        const auto [it, fresh] = constants_.try_emplace(bits, 0);
        if (fresh) {
            program_.constants.push_back(bits);
            it->second = new_register(BlockProgram::Register::constant, uint32_t(program_.constants.size() - 1) * 8);
        }
        return it->second;
    }
    int32_t new_index(int64_t initial = 0) {
        program_.indices.push_back(initial);
        return int32_t(program_.indices.size() - 1);
    }
    int32_t index_constant(int64_t value) {
        const auto [it, fresh] = index_constants_.try_emplace(value, 0);
        if (fresh) {
            it->second = new_index(value);
            known_[it->second] = value;
        }
        return it->second;
    }
    bool is_known(int32_t index, int64_t value) const {
        const auto it = known_.find(index);
        return it != known_.end() && it->second == value;
    }

    // ---- emission
    int depth() const { return int(loops_.size()) - 1; }
    // Emits for a value that depends on `level`: before the loop at hand where it does not differ in its turns.
    // Returns the level of the result.
    int emit(int level, const Instruction& instruction) {
        if (level < depth()) {
            loops_.back().preamble.push_back(instruction);
            return depth() - 1;
        }
        loops_.back().body.push_back(instruction);
        return depth();
    }
    static uint32_t size_of_type(const Type& t) { return t.kind == Type::Kind::index ? 8 : uint32_t(size_of(t.dtype)); }

    // ---- indices
    Value index_value(int level, int32_t base, int32_t coefficient = -1) {
        Value v;
        v.level = level;
        v.is_index = true;
        v.base = base;
        v.coefficient = coefficient;
        v.vector = coefficient >= 0;
        return v;
    }
    static int64_t apply(Code code, int64_t a, int64_t b) {
        const auto floor_divide = [](int64_t x, int64_t y) { return x / y - (x % y != 0 && (x < 0) != (y < 0)); };
        switch (code) {
            case Code::index_add: return a + b;
            case Code::index_sub: return a - b;
            case Code::index_mul: return a * b;
            case Code::index_minimum: return std::min(a, b);
            case Code::index_maximum: return std::max(a, b);
            case Code::index_floor_divide: return floor_divide(a, b);
            default: return a - b * floor_divide(a, b);
        }
    }
    // An index register for `a code b`; folded where both are known, or one leaves the other as it is.
    int32_t combine(Code code, int level, int32_t a, int32_t b, int& result_level) {
        const auto x = known_.find(a), y = known_.find(b);
        if (x != known_.end() && y != known_.end()) {
            const bool divides = code == Code::index_floor_divide || code == Code::index_remainder;
            if (!divides || y->second != 0) return index_constant(apply(code, x->second, y->second));
        }
        if (code == Code::index_add && is_known(a, 0)) return b;
        if ((code == Code::index_add || code == Code::index_sub) && is_known(b, 0)) return a;
        if (code == Code::index_mul && is_known(a, 1)) return b;
        if ((code == Code::index_mul || code == Code::index_floor_divide) && is_known(b, 1)) return a;
        if (code == Code::index_mul && (is_known(a, 0) || is_known(b, 0))) return index_constant(0);
        Instruction i{.code = code, .out = new_index(), .a = a, .b = b};
        result_level = std::max(result_level, emit(level, i));
        return i.out;
    }
    Value index_operation(Code code, const Value& a, const Value& b) {
        const int level = std::max(a.level, b.level);
        Value v = index_value(level, -1);
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
            const int32_t zero = index_constant(0);
            v.coefficient =
                combine(code, uniform, a.vector ? a.coefficient : zero, b.vector ? b.coefficient : zero, made);
        } else if (code == Code::index_mul && !(a.vector && b.vector)) {
            const Value& factor = a.vector ? b : a;
            const Value& varying = a.vector ? a : b;
            v.base = combine(code, uniform, varying.base, factor.base, made);
            v.coefficient = combine(code, uniform, varying.coefficient, factor.base, made);
        } else return {};  // not affine
        v.vector = true;
        if (is_known(v.coefficient, 0)) {
            v.coefficient = -1;
            v.vector = false;
            v.level = std::max(made, uniform);
        }
        return v;
    }
    // The level of what an affine index is made of, its vector variable aside.
    int uniform_level(const Value& v) const { return v.vector ? part(v.base) : v.level; }

    Value translate_index(NodeId id) {
        const Op o = graph_[id].op;
        if (o == op<"position">()) {
            const Value a = as_value(graph_.operand(id, 0));
            if (a.vector) {
                Value v = a;
                v.is_index = true;
                v.base = v.coefficient = -1;
                pinned_.insert(a.at);
                return v;
            }
            Instruction i{.code = Code::index_from_value, .out = new_index(), .a = a.at};
            return index_value(emit(a.level, i), i.out);
        }
        if (const std::optional<Code> code = index_code(o)) {
            const Value a = index_use(graph_.operand(id, 0)), b = index_use(graph_.operand(id, 1));
            if (a.is_affine() && b.is_affine()) {
                const Value v = index_operation(*code, a, b);
                if (v.base >= 0) {
                    if (v.vector) part_level_[v.base] = std::max({part(v.base), uniform_level(a), uniform_level(b)});
                    return v;
                }
                if (a.vector && !b.vector && (*code == Code::index_floor_divide || *code == Code::index_remainder)) {
                    Instruction i{
                        .code = *code == Code::index_floor_divide ? Code::floor_divide_block : Code::remainder_block,
                        .size = 8};
                    i.a = a.base, i.b = loops_.back().variable, i.c = a.coefficient, i.d = b.base;
                    return block_of_positions(std::max(a.level, b.level), i);
                }
            }
        }
        // Anything else goes through the i64 routines.
        Value v = routine_value(id, row(o).name, DType::i64, DType::i64);
        if (v.vector) {
            v.is_index = true;
            return v;
        }
        Instruction i{.code = Code::index_from_value, .out = new_index(), .a = v.at};
        return index_value(emit(v.level, i), i.out);
    }
    int part(int32_t base) const { return part_level_.contains(base) ? part_level_.at(base) : -1; }
    static std::optional<Code> index_code(Op o) {
        if (o == op<"add">()) return Code::index_add;
        if (o == op<"sub">()) return Code::index_sub;
        if (o == op<"mul">()) return Code::index_mul;
        if (o == op<"floor_divide">()) return Code::index_floor_divide;
        if (o == op<"remainder">()) return Code::index_remainder;
        if (o == op<"minimum">()) return Code::index_minimum;
        if (o == op<"maximum">()) return Code::index_maximum;
        return std::nullopt;
    }
    Value block_of_positions(int level, Instruction i) {
        Value v;
        v.is_index = v.vector = true;
        const bool outside = level < depth();
        v.at = i.out = new_block(8, !outside);
        v.level = emit(level, i);
        return v;
    }
    // The value register of an operand, positions written out as i64 elements.
    Value as_value(NodeId id) {
        Value v = use(id);
        if (!v.is_affine()) return v;
        if (!v.vector) {
            Instruction i{.code = Code::value_from_index, .out = new_scalar(), .a = v.base};
            v.level = emit(v.level, i);
            v.at = i.out;
            return v;
        }
        Instruction i{
            .code = Code::iota_block, .size = 8, .a = v.base, .b = loops_.back().variable, .c = v.coefficient};
        const bool outside = v.level < depth();
        i.out = new_block(8, !outside);
        v.level = emit(v.level, i);
        v.at = i.out;
        scope_.temporaries.push_back(v.at);
        return v;
    }

    // ---- values
    Value use(NodeId id) {
        id = canonical(id);
        const Node& node = graph_[id];
        if (node.op == op<"constant">()) {
            const Type& t = graph_.type(id);
            const AttrValue& value = *graph_.attributes(id).find("value");
            Value v;
            v.at = constant(element_bits(value, t.dtype));
            return v;
        }
        const auto found = values_.find(id.index);
        if (found != values_.end()) return found->second;
        assert(is_static_index(graph_, id));  // of the kernel's own region: belongs to no stage
        Value v;
        if (node.op == op<"extent">()) v = extent(id);
        else {
            const Value a = static_operand(graph_.operand(id, 0)), b = static_operand(graph_.operand(id, 1));
            v = static_operation(id, a, b);
        }
        values_[id.index] = v;
        return v;
    }
    Value static_operand(NodeId id) {
        if (graph_[id].op == op<"constant">())
            return index_value(-1, index_constant(graph_.attributes(id).integer("value")));
        return use(id);
    }
    Value static_operation(NodeId id, const Value& a, const Value& b) {  // in front of everything
        const Code code = *index_code(graph_[id].op);
        const auto x = known_.find(a.base), y = known_.find(b.base);
        if (x != known_.end() && y != known_.end())
            return index_value(-1, index_constant(apply(code, x->second, y->second)));
        Instruction i{.code = code, .out = new_index(), .a = a.base, .b = b.base};
        loops_[0].preamble.push_back(i);
        return index_value(-1, i.out);
    }
    Value extent(NodeId id) {
        const SizeId size = graph_.attributes(id).size("value");
        if (const auto value = graph_.context->as_constant(size)) return index_value(-1, index_constant(*value));
        const uint32_t k =
            uint32_t(std::find(info_.extents.begin(), info_.extents.end(), size) - info_.extents.begin());
        const auto [it, fresh] = extents_.try_emplace(k, -1);
        if (fresh) {
            it->second = new_index();
            program_.extents.emplace_back(it->second, k);
        }
        return index_value(-1, it->second);
    }
    Value index_use(NodeId id) {  // an operand that is an index; an integer literal may stand for one
        return graph_[id].op == op<"constant">() ? static_operand(id) : use(id);
    }
    NodeId canonical(NodeId id) const {  // a cast to its own dtype is what it casts
        while (graph_[id].op == op<"cast">() && graph_.type(id).dtype == graph_.type(graph_.operand(id, 0)).dtype &&
               graph_.type(graph_.operand(id, 0)).kind == Type::Kind::scalar)
            id = graph_.operand(id, 0);
        return id;
    }
    void define_shared(NodeId id) {
        Value v;
        v.level = 0;
        v.at = shared_.at(id.index);
        if (graph_.type(id).kind == Type::Kind::index) {
            Instruction i{.code = Code::index_from_value, .out = new_index(), .a = v.at};
            loops_[0].preamble.push_back(i);
            v = index_value(0, i.out);
        }
        values_[id.index] = v;
    }

    Value routine_value(NodeId id, std::string_view name, DType in, DType out) {
        const auto operands = graph_.operands_of(id);
        const bool is_cast = name == "cast";
        const Routine* routine = is_cast ? find_cast(in, out) : find_routine(name, in);
        assert(routine && size_t(routine->arity) == operands.size());
        Instruction i{.code = Code::block, .size = uint8_t(size_of(out))};
        Value v;
        int32_t* const fields[] = {&i.a, &i.b, &i.c};
        for (size_t k = 0; k < operands.size(); ++k) {
            const Value operand = graph_[operands[k]].op == op<"constant">() ? use(operands[k]) : as_value(operands[k]);
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
        const bool outside = v.level < depth();
        if (v.vector && !outside && write_directly(id, i)) {
            v.at = i.out;
        } else if (v.vector) {
            release_operands(id);
            v.at = i.out = new_block(i.size, !outside);
        } else {
            const auto shared = shared_.find(id.index);
            v.at = i.out = shared != shared_.end() ? shared->second : new_scalar();
        }
        v.level = emit(v.level, i);
        return v;
    }
    // The only use of a value is to be stored next to its neighbours: it is written where it is to stand.
    bool write_directly(NodeId id, Instruction& i) {
        const auto uses = scope_.uses.find(id.index);
        if (uses == scope_.uses.end() || uses->second.count != 1 || !uses->second.store) return false;
        const NodeId store = uses->second.store;
        const int32_t buffer = buffers_.at(graph_.operand(store, 0).index);
        const NodeId position = graph_.operand(store, 1);
        if (!values_.contains(position.index) && !is_static_index(graph_, position)) return false;
        const Value p = use(position);
        if (!p.is_affine() || !p.vector || !is_known(p.coefficient, 1)) return false;
        if (scope_.store_count[buffer] != 1) return false;
        // Not while the memory is still to be read, as what it held before.
        const auto is_needed = [&](int32_t b) {
            const auto last = scope_.last_load.find(b);
            if (last != scope_.last_load.end() && last->second > scope_.position) return true;
            return std::any_of(scope_.borrowed.begin(), scope_.borrowed.end(), [&](const Borrowed& load) {
                return load.buffer == b && load.last_use > scope_.position;
            });
        };
        if (is_needed(buffer)) return false;
        for (const auto& [operand, result] : paired_)
            if (result == buffer && is_needed(operand)) return false;
        Instruction address{
            .code = Code::address, .size = i.size, .a = buffer, .b = p.base, .c = loops_.back().variable};
        address.out = i.out = new_register(BlockProgram::Register::free, 0);
        loops_.back().body.push_back(address);
        loops_.back().stored.insert(buffer);
        written_.insert(store.index);
        return true;
    }

    Value load(NodeId id) {
        const int32_t buffer = buffers_.at(graph_.operand(id, 0).index);
        const Value p = index_use(graph_.operand(id, 1));
        const uint8_t size = uint8_t(size_of(graph_.type(id).dtype));
        Instruction i{.code = Code::load_one, .size = size, .a = buffer, .b = p.base};
        Value v;
        v.vector = p.vector;
        v.level = p.level;
        if (scope_.stored_here.contains(buffer)) v.level = depth();  // its memory changes within the loop
        if (const auto pair = paired_.find(buffer); pair != paired_.end() && scope_.stored_here.contains(pair->second))
            v.level = depth();
        const bool outside = v.level < depth();
        if (!p.vector) {
            const auto shared = shared_.find(id.index);
            v.at = i.out = shared != shared_.end() ? shared->second : new_scalar();
        } else if (!p.is_affine()) {
            i.code = Code::load_indexed;
            i.b = p.at;
            v.at = i.out = new_block(size, !outside);
        } else {
            i.c = loops_.back().variable;
            i.d = p.coefficient;
            if (is_known(p.coefficient, 1)) {
                const bool borrowed = may_borrow(id, buffer);
                i.code = borrowed ? Code::load_here : Code::load_block;
                v.at = i.out = borrowed ? new_register(BlockProgram::Register::free, 0) : new_block(size, !outside);
            } else {
                i.code = Code::load_strided;
                v.at = i.out = new_block(size, !outside);
            }
        }
        v.level = emit(v.level, i);
        return v;
    }
    // May the value stay in the buffer until its last use? Not where that is written before.
    bool may_borrow(NodeId id, int32_t buffer) {
        const auto pair = paired_.find(buffer);
        const auto uses = scope_.uses.find(id.index);
        const uint32_t last = uses == scope_.uses.end() ? scope_.position : uses->second.last;
        const auto is_written = [&](int32_t b) {
            const auto store = scope_.first_store.find(b);
            return store != scope_.first_store.end() && store->second <= last;
        };
        if (is_written(buffer) || (pair != paired_.end() && is_written(pair->second))) return false;
        if (pair != paired_.end() || scope_.stored_here.contains(buffer)) scope_.borrowed.push_back({buffer, last});
        return true;
    }

    void store(NodeId id) {
        const int32_t buffer = buffers_.at(graph_.operand(id, 0).index);
        loops_.back().stored.insert(buffer);
        if (written_.contains(id.index)) return;
        const Value p = index_use(graph_.operand(id, 1));
        Value v = as_value(graph_.operand(id, 2));
        const uint8_t size = uint8_t(size_of(graph_.type(graph_.operand(id, 0)).dtype));
        Instruction i{.code = Code::store_one, .size = size, .out = v.at, .a = buffer, .b = p.base};
        const bool in_vector = loops_.back().variable >= 0 && (p.vector || v.vector);
        if (in_vector) {
            i.c = loops_.back().variable;
            if (!v.vector && !(p.is_affine() && is_known(p.coefficient, 1))) {
                Instruction fill{.code = Code::fill_block, .size = size, .out = new_block(size), .a = v.at};
                emit(depth(), fill);
                scope_.temporaries.push_back(fill.out);
                i.out = fill.out;
                v.vector = true;
            }
            if (!p.is_affine()) {
                i.code = Code::store_indexed;
                i.b = p.at;
            } else if (p.vector && is_known(p.coefficient, 1)) {
                i.code = Code::store_block;
                i.mask = !v.vector;
            } else {
                i.code = Code::store_strided;
                i.d = p.vector ? p.coefficient : index_constant(0);
            }
        }
        emit(depth(), i);
    }

    // ---- regions
    // Finds the uses of what `nodes` define; uses inside inner regions count at the node that owns them.
    void note_uses(const Region& region, std::span<const NodeId> nodes) {
        std::unordered_set<uint32_t> mine;
        for (NodeId p : graph_.params(region)) mine.insert(p.index);
        for (NodeId id : nodes) mine.insert(canonical(id).index), mine.insert(id.index);
        for (uint32_t k = 0; k < nodes.size(); ++k) note_uses_in(nodes[k], k, mine, true);
        for (NodeId id : graph_.results(region)) note_use(id, uint32_t(nodes.size()), mine, {});
    }
    void note_uses_in(NodeId id, uint32_t position, const std::unordered_set<uint32_t>& mine, bool direct) {
        if (graph_[id].op == op<"store">()) {
            const int32_t buffer = buffers_.at(graph_.operand(id, 0).index);
            const auto [it, fresh] = scope_.first_store.try_emplace(buffer, position);
            if (!fresh) it->second = std::min(it->second, position);
            ++scope_.store_count[buffer];
            scope_.stored_here.insert(buffer);
        }
        if (graph_[id].op == op<"load">()) scope_.last_load[buffers_.at(graph_.operand(id, 0).index)] = position;
        for (size_t k = 0; NodeId operand : graph_.operands_of(id)) {
            const bool stored = direct && graph_[id].op == op<"store">() && k == 2;
            note_use(operand, position, mine, stored ? id : NodeId());
            ++k;
        }
        for (unsigned r = 0; r < graph_[id].regions; ++r) {
            const Region& inner = graph_.region_of(id, r);
            for (NodeId n : graph_.body(inner)) note_uses_in(n, position, mine, false);
            for (NodeId n : graph_.results(inner)) note_use(n, position, mine, {});
        }
    }
    void note_use(NodeId id, uint32_t position, const std::unordered_set<uint32_t>& mine, NodeId store) {
        id = canonical(id);
        if (!mine.contains(id.index)) return;
        Uses& uses = scope_.uses[id.index];
        ++uses.count;
        uses.last = std::max(uses.last, position);
        uses.store = store;
    }
    // Blocks whose last use is the node at hand, and have its element size, may hold its result.
    void release_operands(NodeId id) {
        for (NodeId operand : graph_.operands_of(id)) release(canonical(operand), scope_.position);
        release_temporaries();
    }
    void release(NodeId id, uint32_t position) {
        const auto uses = scope_.uses.find(id.index);
        const auto value = values_.find(id.index);
        if (uses == scope_.uses.end() || value == values_.end() || uses->second.last > position) return;
        if (!scope_.local.contains(id.index)) return;
        release_block(value->second.at);
    }
    void release_block(int32_t at) {
        const auto block = blocks_.find(at);
        if (block == blocks_.end() || pinned_.contains(at)) return;
        loops_.back().free_blocks.emplace(block->second.first, block->second.second);
        blocks_.erase(block);
    }
    void release_temporaries() {
        for (int32_t at : scope_.temporaries) release_block(at);
        scope_.temporaries.clear();
    }

    void body(std::span<const NodeId> nodes) {
        for (uint32_t k = 0; k < nodes.size(); ++k) {
            scope_.position = k;
            node(nodes[k]);
            scope_.local.insert(nodes[k].index);
            for (NodeId operand : graph_.operands_of(nodes[k])) release(canonical(operand), k);
            release_temporaries();
        }
    }
    void node(NodeId id) {
        const Node& n = graph_[id];
        if (n.op == op<"extent">() || n.op == op<"constant">() || canonical(id) != id) return;
        if (n.op == op<"store">()) return store(id);
        if (n.op == op<"for">()) return inner_loop(id);
        Value v;
        if (n.op == op<"fold">()) v = fold(id);
        else if (n.op == op<"load">()) v = load(id);
        else if (n.op == op<"number">()) v = number(id);
        else if (graph_.type(id).kind == Type::Kind::index) v = translate_index(id);
        else {
            NodeId data = graph_.operand(id, n.op == op<"where">() ? 1 : 0);
            for (NodeId operand : graph_.operands_of(id).subspan(n.op == op<"where">() ? 1 : 0))
                if (graph_.type(operand).kind == Type::Kind::index) data = operand;
            const Type& t = graph_.type(data);
            v = routine_value(id, row(n.op).name, t.kind == Type::Kind::index ? DType::i64 : t.dtype,
                              graph_.type(id).dtype);
        }
        const auto shared = shared_.find(id.index);
        if (shared != shared_.end() && graph_.type(id).kind == Type::Kind::index)
            emit(depth(), Instruction{.code = Code::value_from_index, .out = shared->second, .a = v.base});
        values_[id.index] = v;
    }
    Value number(NodeId id) {
        Value v = index_use(graph_.operand(id, 0));
        if (!v.is_affine()) {
            pinned_.insert(v.at);
            v.is_index = false;
            return v;
        }
        Instruction i{.code = v.vector ? Code::iota_block : Code::value_from_index, .size = 8, .a = v.base};
        const bool outside = v.level < depth();
        if (v.vector) {
            i.b = loops_.back().variable;
            i.c = v.coefficient;
            i.out = new_block(8, !outside);
        } else {
            const auto shared = shared_.find(id.index);
            i.out = shared != shared_.end() ? shared->second : new_scalar();
        }
        Value made;
        made.vector = v.vector;
        made.level = emit(v.level, i);
        made.at = i.out;
        return made;
    }

    Scope enter(const Region& region, bool vector, int32_t variable) {
        Scope outer = std::exchange(scope_, Scope());
        Loop loop;
        loop.vector = vector;
        loop.variable = vector ? variable : loops_.back().variable;
        if (!vector && loops_.back().variable >= 0) loop.free_blocks = std::move(loops_.back().free_blocks);
        loops_.push_back(std::move(loop));
        note_uses(region, graph_.body(region));
        const NodeId p = graph_.params(region)[0];
        values_[p.index] =
            vector ? index_value(depth(), index_constant(0), index_constant(1)) : index_value(depth(), variable);
        return outer;
    }
    Loop leave(Scope& outer) {
        Loop loop = std::move(loops_.back());
        loops_.pop_back();
        if (!loop.vector && loops_.back().variable >= 0) loops_.back().free_blocks = std::move(loop.free_blocks);
        scope_ = std::move(outer);
        return loop;
    }
    void emit_loop(Instruction i, const Loop& loop) {
        i.preamble = uint32_t(loop.preamble.size());
        i.body = uint32_t(loop.body.size());
        auto& code = loops_.back().body;
        code.push_back(i);
        append(code, loop.preamble);
        append(code, loop.body);
        loops_.back().stored.insert(loop.stored.begin(), loop.stored.end());
    }
    void top_loop(NodeId id) {
        const Attributes attributes = graph_.attributes(id);
        const bool vector = attributes.text("kind") == "vector";
        const Value low = index_use(graph_.operand(id, 0));
        program_.loop = true;
        program_.vector = vector;
        program_.low = low.base;
        program_.step = attributes.integer_or("step", 1);
        program_.variable = new_index();
        const Region& region = graph_.region_of(id);
        Scope outer = enter(region, vector, program_.variable);
        body(graph_.body(region));
        Loop loop = leave(outer);
        append(loops_[0].body, loop.preamble);  // a stage is run only where it has an iteration
        program_.body = std::move(loop.body);
    }
    void inner_loop(NodeId id) {
        const Attributes attributes = graph_.attributes(id);
        const bool vector = attributes.text("kind") == "vector";
        const Value low = index_use(graph_.operand(id, 0)), high = index_use(graph_.operand(id, 1));
        assert(low.is_affine() && high.is_affine() && !low.vector && !high.vector);
        Instruction i{.code = vector ? Code::vector : Code::serial, .a = low.base, .b = high.base};
        i.c = index_constant(attributes.integer_or("step", 1));
        i.out = new_index();
        const Region& region = graph_.region_of(id);
        Scope outer = enter(region, vector, i.out);
        body(graph_.body(region));
        const Loop loop = leave(outer);
        emit_loop(i, loop);
    }
    Value fold(NodeId id) {
        const Attributes attributes = graph_.attributes(id);
        const bool lanes = attributes.text("order") == "lanes";
        const DType dtype = graph_.type(id).dtype;
        const Value low = index_use(graph_.operand(id, 0)), high = index_use(graph_.operand(id, 1));
        assert(low.is_affine() && high.is_affine() && !low.vector && !high.vector);
        const std::string_view name = attributes.text("op");
        plans_.push_back({find_fold(name, dtype), find_routine(name, dtype)});
        assert(plans_.back().fold && plans_.back().step);
        Instruction i{.code = lanes ? Code::fold_lanes : Code::fold_rows,
                      .size = uint8_t(size_of(dtype)),
                      .a = low.base,
                      .b = high.base};
        i.fold = &plans_.back();
        i.c = new_index();
        const Region& region = graph_.region_of(id);
        Scope outer = enter(region, lanes, i.c);
        body(graph_.body(region));
        Value element = as_value(graph_.results(region)[0]);
        const bool affine = is_affine_in(graph_.results(region)[0], graph_.params(region)[0]);
        const Loop loop = leave(outer);
        i.mask = !element.vector;
        i.d = element.at;
        i.direct = affine && element.vector && only_addresses(loop, element.at);
        Value v;
        v.level = depth();
        v.vector = !lanes && loops_.back().variable >= 0;
        i.scratch = fold_scratch();
        const auto shared = shared_.find(id.index);
        v.at = i.out = v.vector ? new_block(i.size) : shared != shared_.end() ? shared->second : new_scalar();
        emit_loop(i, loop);
        return v;
    }
    // A block of partial results a level, and one for a value that is the same in all lanes. Folds do not nest, so one
    // such place serves them all.
    uint32_t fold_scratch() {
        if (!fold_scratch_)
            fold_scratch_ = new_frame(uint32_t(BlockProgram::block_size) * 8 * (BlockProgram::fold_levels + 1));
        return *fold_scratch_;
    }
    static bool only_addresses(const Loop& loop, int32_t at) {
        for (const Instruction& i : loop.body) {
            const bool is_index = i.code >= Code::index_add && i.code <= Code::index_maximum;
            if (!is_index && !(i.code == Code::load_here && i.out == at)) return false;
        }
        return !loop.body.empty() && loop.body.back().code == Code::load_here;
    }
    // Is the value a load whose position moves by the same stride with every turn?
    bool is_affine_in(NodeId value, NodeId variable) const {
        value = canonical(value);
        return graph_[value].op == op<"load">() && index_degree(graph_.operand(value, 1), variable) <= 1;
    }
    int index_degree(NodeId id, NodeId variable) const {  // 2: not affine
        if (id == variable) return 1;
        const Node& n = graph_[id];
        if (n.operands.count == 0) return 0;
        if (n.op == op<"add">() || n.op == op<"sub">())
            return std::max(index_degree(graph_.operand(id, 0), variable),
                            index_degree(graph_.operand(id, 1), variable));
        int degree = 0;
        for (NodeId operand : graph_.operands_of(id)) degree += index_degree(operand, variable);
        if (n.op == op<"mul">()) return std::min(degree, 2);
        return degree == 0 ? 0 : 2;
    }

    const Graph& graph_;
    const KernelSource& source_;
    const KernelInfo& info_;
    std::deque<FoldPlan>& plans_;
    const Region& kernel_;
    BlockProgram program_;
    uint32_t frame_ = 0;
    std::optional<uint32_t> fold_scratch_;
    std::vector<Loop> loops_;
    std::unordered_map<uint32_t, int32_t> buffers_;
    std::unordered_map<int32_t, int32_t> paired_;  // operand buffer -> result buffer in its place
    std::unordered_map<uint32_t, Value> values_;
    std::unordered_map<uint32_t, int32_t> shared_;  // top-level scalar -> register
    std::unordered_map<uint64_t, int32_t> constants_;
    std::unordered_map<int64_t, int32_t> index_constants_;
    std::unordered_map<int32_t, int64_t> known_;  // values of constant index registers
    std::unordered_map<uint32_t, int32_t> extents_;
    std::unordered_map<int32_t, int> part_level_;                        // of affine vector indices by base register
    std::unordered_map<int32_t, std::pair<uint32_t, uint32_t>> blocks_;  // register -> element size, offset
    std::unordered_set<int32_t> pinned_;
    std::unordered_set<uint32_t> written_;  // stores that their value's op does
    Scope scope_;                           // of the region at hand
};

}  // namespace

std::vector<BlockProgram> translate_kernel(const KernelSource& source, const KernelInfo& info,
                                           std::deque<FoldPlan>& plans) {
    std::vector<BlockProgram> programs;
    for (const KernelStage& stage : info.stages)
        programs.push_back(StageTranslator(source, info, plans).translate(stage));
    return programs;
}

}  // namespace tenon
