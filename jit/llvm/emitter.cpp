#include "jit/llvm/emitter.h"

#include <algorithm>
#include <unordered_map>

#include <fmt/format.h>

#include "ir/loops.h"
#include "ir/row.h"
#include "jit/literal.h"
#include "jit/llvm/code_builder.h"
#include "jit/llvm/folds.h"
#include "jit/llvm/index_arithmetic.h"
#include "jit/llvm/memory.h"
#include "jit/llvm/next_row.h"
#include "jit/llvm/next_tile.h"
#include "jit/llvm/parts.h"
#include "jit/llvm/scalar.h"
#include "jit/llvm/squares.h"
#include "jit/llvm/translation.h"
#include "jit/slope.h"
#include "runtime/diagnostic.h"

namespace tenon::llvm_engine {

namespace {

[[noreturn]] void refuse(std::string message) { throw_error("internal", std::move(message)); }

constexpr int cheap_to_repeat = 8;    // additions for each few rows of a column that is folded
constexpr int64_t page_bytes = 4096;  // of a row of columns that are folded together
constexpr int64_t cache_line = 64;
constexpr size_t few_nodes = 24;      // of a region that is emitted several times, once for each of as many turns

class StageEmitter {
public:
    StageEmitter(llvm::Module& module, const KernelSource& source, const KernelInfo& info, const VectorFacts& facts)
        : graph_(*source.graph), facts_(facts), code_(module, facts), here_(code_.here()),
          memory_(code_, source, info) {}

    void stage(const KernelStage& stage, const std::string& name) {
        code_.open(name);
        memory_.forget();
        held_.clear();
        if (stage.loop) loop_stage(stage);
        else
            for (NodeId id : stage.nodes) {
                node(id);
                if (memory_.has_slot(id)) memory_.store_slot(id, held_[id.index].value);
            }
        code_.close();
    }

private:
    using Carried = CodeBuilder::Carried;

    // ---- loops ----

    void loop_stage(const KernelStage& stage) {
        const NodeId id = stage.nodes[0];
        llvm::Value* low = index(stage.low).value;
        llvm::Value* step = here_.getInt64(uint64_t(stage.step));
        const auto bound = [&](CodeBuilder::Argument turn) {
            return here_.CreateAdd(low, here_.CreateMul(code_.argument(turn), step));
        };
        llvm::Value* first = bound(CodeBuilder::Argument::begin);
        llvm::Value* last = bound(CodeBuilder::Argument::end);
        const std::optional<int64_t> begin = constant_in(low), end = constant_in(index(stage.high).value);
        for_loop(id, first, last, begin && end ? std::optional(*end - *begin) : std::nullopt);
    }

    // `most`: an upper bound of the iterations, where the difference of the bounds does not tell.
    void for_loop(NodeId id, llvm::Value* low, llvm::Value* high, std::optional<int64_t> most = std::nullopt) {
        const Attributes attributes = graph_.attributes(id);
        const Region& region = graph_.region_of(id);
        if (code_.lanes() != 1) refuse("a loop inside a vector loop");
        if (attributes.text("kind") == "vector") return vector_loop(region, low, high, most);
        if (const std::optional<Squares> squares = find_squares(graph_, id))
            if (loop_of_squares(id, *squares, low, high)) return;
        const NextRow outer = std::exchange(next_row_, next_row(graph_, region));
        const int64_t step = attributes.integer_or("step", 1);
        code_.loop(low, high, step, [&](llvm::Value* i) {
            if (step > 1) tiles_.push_back({graph_.params(region)[0], i, low, high, step});
            run(region, {i, nullptr});
            if (step > 1) tiles_.pop_back();
        });
        next_row_ = outer;
    }

    // Whole vectors, then what is left of them.
    void vector_loop(const Region& region, llvm::Value* low, llvm::Value* high, std::optional<int64_t> most) {
        if (!most) most = constant_in(here_.CreateSub(high, low));
        const int64_t lanes = vector_lanes(graph_, region, facts_, most);
        if (folds_columns(region, lanes, most)) return loop_over_columns(region, low, high);
        const auto body = [&](Held i, Carried) {
            run(region, i);
            return CodeBuilder::Values();
        };
        const auto loop = [&] { code_.in_vectors(low, high, lanes, can_mask(graph_, region, facts_), {}, body); };
        past_caches(
            stores_past_caches(region, lanes),
            [&](std::span<const NodeId> stores) {
                held_[graph_.params(region)[0].index] = {low, nullptr};
                return addresses(region, stores);
            },
            loop);
    }

    // ---- stores past the caches ----

    // Of a vector loop: stores of so much that it would drive all else out of the caches, side by side.
    std::vector<NodeId> stores_past_caches(const Region& region, int64_t lanes) {
        std::vector<NodeId> found;
        const NodeId lane = graph_.params(region)[0];
        for (NodeId id : graph_.body(region)) {
            if (graph_[id].op != op<"store">() || graph_[id].operands.count < 4) continue;
            if (graph_.attributes(id).flag("after_folds") && !facts_.streams_between_reads) continue;
            const NodeId buffer = graph_.operand(id, 0), position = graph_.operand(id, 1);
            const int64_t bytes = int64_t(size_of(graph_.type(buffer).dtype));
            const std::optional<int64_t> all = constant_in(index(graph_.operand(id, 3)).value);
            if ((all && *all * bytes <= facts_.last_cache_bytes) || memory_.is_in_place(buffer)) continue;
            if (lanes * bytes % facts_.bytes || !slope_of(graph_, position, lane).is(1)) continue;
            if (is_arithmetic(graph_, region, position)) found.push_back(id);
        }
        return found;
    }
    // `emit` in two versions, one of them with these stores past the caches: it runs where they write so much, and
    // where the addresses are those of whole vectors.
    void past_caches(const std::vector<NodeId>& stores,
                     llvm::function_ref<llvm::Value*(std::span<const NodeId>)> first_addresses,
                     llvm::function_ref<void()> emit) {
        if (stores.empty()) return emit();
        llvm::Value* odd = here_.CreateAnd(first_addresses(stores), here_.getInt64(uint64_t(facts_.bytes - 1)));
        llvm::Value* use = here_.CreateICmpEQ(odd, here_.getInt64(0));
        for (NodeId id : stores) {
            const int64_t bytes = int64_t(size_of(graph_.type(graph_.operand(id, 0)).dtype));
            llvm::Value* limit = here_.getInt64(uint64_t(facts_.last_cache_bytes / bytes));
            use = here_.CreateAnd(use, here_.CreateICmpSGT(index(graph_.operand(id, 3)).value, limit));
        }
        const auto version = [&](llvm::Value* condition, std::vector<NodeId> past) {
            past_caches_ = std::move(past);
            code_.when(condition, {}, [&] {
                emit();
                return CodeBuilder::Values();
            });
            past_caches_.clear();
        };
        version(use, stores);
        version(here_.CreateNot(use), {});
    }
    // All bits that are set in the addresses that they write to.
    llvm::Value* addresses(const Region& region, std::span<const NodeId> stores) {
        llvm::Value* bits = here_.getInt64(0);
        for (NodeId id : stores) {
            arithmetic(region, graph_.operand(id, 1));
            bits = here_.CreateOr(bits, here_.CreatePtrToInt(access(id).address, here_.getInt64Ty()));
        }
        return bits;
    }
    void arithmetic(const Region& region, NodeId position) {
        for (NodeId id : parts(graph_, region, {position})) node(id);
    }

    // ---- squares ----

    // As many turns at once as a vector has lanes. False: nothing was emitted.
    bool loop_of_squares(NodeId loop, const Squares& squares, llvm::Value* low, llvm::Value* high) {
        const Region &around = graph_.region_of(loop), &region = graph_.region_of(squares.vector);
        const int64_t lanes = vector_lanes(graph_, region, facts_, std::nullopt);
        const std::optional<int64_t> turns = constant_in(here_.CreateSub(high, low));
        if ((turns && *turns < lanes) || graph_.body(region).size() > few_nodes) return false;
        for (NodeId id : squares.loads) {
            const unsigned bits = register_type(code_.context(), graph_.type(id).dtype)->getScalarSizeInBits();
            if (!can_transpose(lanes, bits) || !is_arithmetic(graph_, region, graph_.operand(id, 1))) return false;
        }
        const NodeId lane = graph_.params(region)[0];
        const auto set_line = [&](llvm::Value* line) {
            held_[graph_.params(around)[0].index] = {line, nullptr};
            for (NodeId id : graph_.body(around))
                if (id != squares.vector) node(id);
        };
        std::vector<NodeId> stores = stores_past_caches(region, lanes);
        std::erase_if(stores, [&](NodeId id) {
            return !slope_of(graph_, graph_.operand(id, 1), graph_.params(around)[0]).is_affine();
        });
        std::optional<NextTile> next;
        if (!stores.empty()) next = NextTile::of(here_, graph_, tiles_, loop, squares.vector);
        // Lines from `first` on to `past`, of all lanes.
        const auto lines = [&](llvm::Value* first, llvm::Value* past) {
            set_line(first);
            llvm::Value* from = index(graph_.operand(squares.vector, 0)).value;
            if (next) from = code_.opaque(from);
            llvm::Value* to = index(graph_.operand(squares.vector, 1)).value;
            const auto body = [&](Held i, Carried) {
                if (code_.lanes() == lanes && !code_.mask()) {
                    code_.loop(first, past, lanes, [&](llvm::Value* line) {
                        set_line(line);
                        square(region, squares, i, next,
                               [&](int64_t r) { set_line(here_.CreateAdd(line, here_.getInt64(uint64_t(r)))); });
                    });
                    return CodeBuilder::Values();
                }
                code_.loop(first, past, 1, [&](llvm::Value* line) {  // what is left of the vector loop
                    set_line(line);
                    run(region, i);
                });
                return CodeBuilder::Values();
            };
            past_caches(
                stores,
                [&](std::span<const NodeId> streamed) {
                    llvm::Value* bits = here_.getInt64(0);
                    for (uint64_t k = 0; k < 2; ++k) {  // all lines lie as far apart as these
                        set_line(here_.CreateAdd(first, here_.getInt64(k)));
                        held_[lane.index] = {from, nullptr};
                        bits = here_.CreateOr(bits, addresses(region, streamed));
                    }
                    return bits;
                },
                [&] { code_.in_vectors(from, to, lanes, can_mask(graph_, region, facts_), {}, body); });
        };
        llvm::Value* count =
            here_.CreateBinaryIntrinsic(llvm::Intrinsic::smax, here_.CreateSub(high, low), here_.getInt64(0));
        llvm::Value* whole = here_.CreateAdd(low, here_.CreateAnd(count, here_.getInt64(uint64_t(-lanes))));
        // In a tile squares follow each other along the lines that they read: what lies in one page is read together. But
        // what writes past the caches writes a line of theirs at once.
        const bool whole_lines = lanes * int64_t(size_of(graph_.type(squares.loads[0]).dtype)) >= cache_line;
        if (next && whole_lines) lines(code_.opaque(low), whole);
        else
            code_.loop(low, whole, lanes, [&](llvm::Value* first) {
                lines(first, here_.CreateAdd(first, here_.getInt64(uint64_t(lanes))));
            });
        code_.loop(whole, high, 1, [&](llvm::Value* i) { run(around, {i, nullptr}); });
        return true;
    }
    // `set_line(r)`: to line r of the square, whose line 0 is at hand.
    void square(const Region& region, const Squares& squares, Held i, const std::optional<NextTile>& next,
                llvm::function_ref<void(int64_t r)> set_line) {
        const auto fixed = [&](NodeId id) { return index(id).value; };
        held_[graph_.params(region)[0].index] = i;
        std::unordered_map<uint32_t, std::vector<llvm::Value*>> loaded;
        for (NodeId id : squares.loads) {
            const NodeId position = graph_.operand(id, 1);
            arithmetic(region, position);
            llvm::Value* ahead = next ? next->distance(here_, graph_, position, fixed) : nullptr;
            loaded.emplace(id.index, transposed(here_, memory_.load_lines(access(id), code_.lanes(), ahead)));
        }
        for (int64_t r = 0; r < code_.lanes(); ++r) {
            set_line(r);
            held_[graph_.params(region)[0].index] = i;
            for (NodeId id : graph_.body(region)) {
                if (const auto found = loaded.find(id.index); found == loaded.end()) node(id);
                else held_[id.index] = {found->second[size_t(r)]};
            }
        }
    }

    // ---- folds of columns ----

    // Many columns that are folded by rows: the rows are gone through one after the other along all columns of a block,
    // a few at a time, not each vector of columns from the first row to the last, a line of each row at a time.
    bool folds_columns(const Region& region, int64_t lanes, std::optional<int64_t> most) const {
        if (most && *most <= lanes) return false;
        bool found = false, stored = false;
        for (NodeId id : graph_.body(region)) {
            stored |= graph_[id].op == op<"store">();
            if (graph_[id].op != op<"fold">()) continue;
            found = true;
            if (stored || repeated_cost(graph_, region, id) > cheap_to_repeat) return false;
        }
        return found;
    }
    void loop_over_columns(const Region& region, llvm::Value* low, llvm::Value* high) {
        const int64_t lanes = register_lanes(graph_, region, facts_), block = lanes * (page_bytes / facts_.bytes);
        const bool masked = can_mask(graph_, region, facts_);
        code_.loop(low, high, block, [&](llvm::Value* first) {
            llvm::Value* past = here_.CreateAdd(first, here_.getInt64(uint64_t(block)));
            const Columns columns = {first, here_.CreateBinaryIntrinsic(llvm::Intrinsic::smin, past, high), lanes,
                                     block, masked};
            std::unordered_map<uint32_t, FoldedColumns> folded;
            const auto define = [&](std::span<const NodeId> nodes, Held column) {
                held_[graph_.params(region)[0].index] = column;
                for (NodeId id : nodes) {
                    const auto found = folded.find(id.index);
                    if (found == folded.end()) node(id);
                    else held_[id.index] = {found->second.load(code_, column)};
                }
            };
            for (NodeId id : graph_.body(region))
                if (graph_[id].op == op<"fold">()) folded.emplace(id.index, fold_columns(region, id, columns, define));
            code_.in_vectors(columns.first, columns.end, lanes, masked, {}, [&](Held i, Carried) {
                define(graph_.body(region), i);
                return CodeBuilder::Values();
            });
        });
    }
    FoldedColumns fold_columns(const Region& region, NodeId id, const Columns& columns,
                               llvm::function_ref<void(std::span<const NodeId>, Held)> define) {
        const Attributes attributes = graph_.attributes(id);
        const Region& inner = graph_.region_of(id);
        const std::vector<NodeId> needed = needed_by_fold(graph_, region, id);
        const auto element = [&](Held i) {
            run(inner, i);
            return scalar(graph_.results(inner)[0]);
        };
        const Fold fold = {attributes.text("op"), graph_.type(id).dtype, false, columns.masked, element};
        define(parts(graph_, region, {graph_.operand(id, 0), graph_.operand(id, 1)}), {columns.first, nullptr});
        const Rows rows = {index(graph_.operand(id, 0)).value, index(graph_.operand(id, 1)).value,
                           most_turns(graph_, id), graph_.body(inner).size() <= few_nodes ? 4 : 1};
        return emit_fold_of_columns(code_, fold, columns, rows, [&](Held column) { define(needed, column); });
    }
    llvm::Value* fold(NodeId id) {
        const Attributes attributes = graph_.attributes(id);
        const Region& region = graph_.region_of(id);
        const auto element = [&](Held i) {
            run(region, i);
            return scalar(graph_.results(region)[0]);
        };
        const Fold fold = {attributes.text("op"), graph_.type(id).dtype, attributes.text("order") == "lanes",
                           can_mask(graph_, region, facts_), element};
        if (fold.by_lanes && code_.lanes() != 1) refuse("a fold over lanes inside a vector loop");
        llvm::Value *low = index(graph_.operand(id, 0)).value, *high = index(graph_.operand(id, 1)).value;
        return emit_fold(code_, fold, low, high);
    }

    // ---- nodes ----

    void run(const Region& region, Held index) {
        held_[graph_.params(region)[0].index] = index;
        for (NodeId id : graph_.body(region)) node(id);
    }

    void node(NodeId id) {
        if (is_static_index(graph_, id)) return;  // computed at the function's entry by who needs it
        const Op o = graph_[id].op;
        Held& result = held_[id.index];
        if (o == op<"load">()) result = {load(id)};
        else if (o == op<"store">()) store(id);
        else if (o == op<"scratch">()) return;  // who calls brings it
        else if (o == op<"product">()) product(id);
        else if (o == op<"scatter">()) scatter(id);
        else if (o == op<"for">()) for_loop(id, index(graph_.operand(id, 0)).value, index(graph_.operand(id, 1)).value);
        else if (o == op<"fold">()) result = {fold(id)};
        else if (o == op<"position">()) result = {scalar(graph_.operand(id, 0))};
        else if (o == op<"number">()) result = {code_.expanded(index(graph_.operand(id, 0)))};
        else if (graph_.type(id).kind == Type::Kind::index) result = index_op(id);
        else result = {compute(id)};
        if (result.value && !code_.context().shouldDiscardValueNames() && graph_.names[id.index] &&
            !llvm::isa<llvm::Constant>(result.value) && !result.value->hasName())
            result.value->setName(llvm::StringRef(graph_.name_of(id)));
    }

    llvm::Value* load(NodeId id) {
        const Memory::Access from = access(id);
        const std::vector<NodeId>& ask = next_row_.loads;
        if (from.contiguous && !code_.mask() && std::find(ask.begin(), ask.end(), id) != ask.end())
            memory_.prefetch(from, distance(here_, graph_, graph_.operand(id, 1), next_row_.row,
                                            [&](NodeId fixed) { return index(fixed).value; }));
        return memory_.load(from);
    }
    Memory::Access access(NodeId id) { return memory_.access(graph_.operand(id, 0), index(graph_.operand(id, 1))); }
    void store(NodeId id) {
        const Memory::Access to = access(id);
        const bool whole = to.contiguous && !code_.mask();
        const bool past = whole && std::find(past_caches_.begin(), past_caches_.end(), id) != past_caches_.end();
        memory_.store(to, scalar(graph_.operand(id, 2)), past);
    }

    // A function that all engines call.
    void call(const std::string& symbol, llvm::ArrayRef<llvm::Value*> arguments) {
        if (code_.lanes() != 1) refuse("a product or a scatter inside a vector loop");
        std::vector<llvm::Type*> types;
        for (llvm::Value* argument : arguments) types.push_back(argument->getType());
        llvm::FunctionType* type = llvm::FunctionType::get(here_.getVoidTy(), types, false);
        llvm::FunctionCallee function = here_.GetInsertBlock()->getModule()->getOrInsertFunction(symbol, type);
        llvm::cast<llvm::Function>(function.getCallee())->setDoesNotThrow();
        here_.CreateCall(function, arguments);
    }
    llvm::Value* place(NodeId id, size_t k) { return index(graph_.operand(id, k)).value; }
    void product(NodeId id) {
        using namespace product_operand;
        const auto tile = [&](size_t k) { return memory_.address(graph_.operand(id, k), place(id, k + 1)); };
        call(product_symbol(graph_.type(graph_.operand(id, c)).dtype),
             {tile(a), place(id, a_row), place(id, a_column), tile(b), place(id, b_row), tile(c), place(id, c_row),
              place(id, m), place(id, n), place(id, k),
              here_.getInt64(graph_.attributes(id).flag("accumulate") ? 1 : 0)});
    }
    void scatter(NodeId id) {
        using namespace scatter_operand;
        const auto memory = [&](size_t k, llvm::Value* from) { return memory_.address(graph_.operand(id, k), from); };
        call(scatter_symbol(graph_.type(graph_.operand(id, to)).dtype),
             {memory(to, here_.getInt64(0)), memory(places, place(id, at)), memory(terms, place(id, at)),
              place(id, scatter_operand::line), place(id, m), place(id, n)});
    }

    // ---- values ----

    llvm::Constant* literal(NodeId id) {
        const Literal value = literal_of(graph_, id);
        return constant_of(code_.context(), graph_.type(id).dtype, value.real, value.integer);
    }

    llvm::Value* scalar(NodeId id) {
        if (graph_[id].op == op<"constant">()) return literal(id);
        if (graph_.type(id).kind == Type::Kind::index) return code_.expanded(index(id));
        Held& held = held_[id.index];
        if (held.value) return held.value;
        if (memory_.has_slot(id))
            held.value = memory_.load_slot(id, register_type(code_.context(), graph_.type(id).dtype));
        else if (graph_.type(id).kind == Type::Kind::tensor)  // made of literals alone, it belongs to no stage
            code_.at_entry([&] { held.value = compute(id); });
        else refuse(fmt::format("{} is used before it is computed", row(graph_[id].op).name));
        return held.value;
    }

    llvm::Value* compute(NodeId id) {
        if (!row(graph_[id].op).converts) return elementwise(id);
        const NodeId from = graph_.operand(id, 0);
        return emit_cast(here_, graph_.type(from).dtype, graph_.type(id).dtype, scalar(from));
    }

    llvm::Value* elementwise(NodeId id) {
        const auto operands = graph_.operands_of(id);
        const Type& data = graph_.type(operands[size_t(row(graph_[id].op).conditions)]);
        const DType dtype = data.kind == Type::Kind::index ? DType::i64 : data.dtype;
        llvm::Value* fault = nullptr;
        llvm::Value* result = scalar_op(id, dtype, &fault);
        if (!result) refuse(fmt::format("no scalar definition of {} on {}", row(graph_[id].op).name, name_of(dtype)));
        if (fault) code_.record(fault);
        return result;
    }
    llvm::Value* scalar_op(NodeId id, DType dtype, llvm::Value** fault) {
        const auto operands = graph_.operands_of(id);
        llvm::Value* values[3] = {};
        for (size_t k = 0; k < operands.size(); ++k) values[k] = scalar(operands[k]);
        code_.level({values, operands.size()});
        return emit_scalar(here_, row(graph_[id].op).name, dtype, {values, operands.size()}, fault);
    }

    // ---- indices ----

    Held index(NodeId id) {
        if (graph_[id].op == op<"constant">()) return {literal(id)};
        Held& held = held_[id.index];
        if (held.value) return held;
        if (is_static_index(graph_, id)) {
            code_.at_entry([&] {
                const bool is_extent = graph_[id].op == op<"extent">();
                held = is_extent ? Held{memory_.extent(graph_.attributes(id).size("value"))} : index_op(id);
            });
        } else {
            if (!memory_.has_slot(id)) refuse(fmt::format("{} is used before it is computed", row(graph_[id].op).name));
            held.value = memory_.load_slot(id, here_.getInt64Ty());
        }
        return held;
    }

    Held index_op(NodeId id) {
        const auto operands = graph_.operands_of(id);
        if (operands.size() == 2) {
            const Held a = index(operands[0]), b = index(operands[1]);
            if (const std::optional<Held> made = index_arithmetic(code_, row(graph_[id].op).index_op, a, b))
                return *made;
        }
        llvm::Value* result = scalar_op(id, DType::i64, nullptr);
        if (!result) refuse(fmt::format("{} on positions", row(graph_[id].op).name));
        return {result};
    }

    const Graph& graph_;
    const VectorFacts& facts_;
    CodeBuilder code_;
    IRBuilder& here_;
    Memory memory_;
    std::unordered_map<uint32_t, Held> held_;  // by node, in the function at hand
    std::vector<NodeId> past_caches_;          // stores of the loop at hand that go there
    NextRow next_row_{};                       // of the serial loop at hand
    std::vector<TileLoop> tiles_;              // serial loops in steps around the place at hand, outermost first
};

}  // namespace

void emit_stages(llvm::Module& module, const KernelSource& source, const KernelInfo& info,
                 std::span<const uint32_t> stages, const std::string& name, const VectorFacts& facts) {
    StageEmitter emitter(module, source, info, facts);
    for (uint32_t k : stages) emitter.stage(info.stages[k], fmt::format("{}.{}", name, k));
}

}  // namespace tenon::llvm_engine
