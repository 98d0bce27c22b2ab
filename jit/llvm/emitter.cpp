#include "jit/llvm/emitter.h"

#include <algorithm>
#include <unordered_map>

#include <fmt/format.h>

#include "ir/row.h"
#include "jit/literal.h"
#include "jit/llvm/code_builder.h"
#include "jit/llvm/folds.h"
#include "jit/llvm/index_arithmetic.h"
#include "jit/llvm/memory.h"
#include "jit/llvm/scalar.h"
#include "runtime/diagnostic.h"

namespace tenon::llvm_engine {

namespace {

[[noreturn]] void refuse(std::string message) { throw_error("internal", std::move(message)); }

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
        code_.loop(low, high, attributes.integer_or("step", 1), [&](llvm::Value* i) { run(region, {i, nullptr}); });
    }

    // Whole vectors, then what is left of them.
    void vector_loop(const Region& region, llvm::Value* low, llvm::Value* high, std::optional<int64_t> most) {
        if (!most) most = constant_in(here_.CreateSub(high, low));
        const int64_t lanes = vector_lanes(graph_, region, facts_, most);
        code_.in_vectors(low, high, lanes, can_mask(graph_, region, facts_), {}, [&](Held i, Carried) {
            run(region, i);
            return CodeBuilder::Values();
        });
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
        if (o == op<"load">()) result = {memory_.load(access(id))};
        else if (o == op<"store">()) store(id);
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

    Memory::Access access(NodeId id) { return memory_.access(graph_.operand(id, 0), index(graph_.operand(id, 1))); }
    void store(NodeId id) {
        const Memory::Access to = access(id);
        memory_.store(to, scalar(graph_.operand(id, 2)));
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
};

}  // namespace

size_t emit_kernel(llvm::Module& module, const KernelSource& source, const KernelInfo& info, const std::string& name,
                   const VectorFacts& facts) {
    StageEmitter emitter(module, source, info, facts);
    for (size_t k = 0; k < info.stages.size(); ++k) emitter.stage(info.stages[k], fmt::format("{}.{}", name, k));
    return info.stages.size();
}

}  // namespace tenon::llvm_engine
