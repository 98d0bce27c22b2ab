#include "jit/llvm/emitter.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <limits>
#include <unordered_map>

#include <fmt/format.h>
#include <llvm/IR/MDBuilder.h>

#include "ir/row.h"
#include "jit/llvm/scalar.h"
#include "runtime/diagnostic.h"

namespace tenon::llvm_engine {

namespace {

constexpr int64_t fold_lanes = 32, lane_chunk = 1024, row_chunk = 64;

[[noreturn]] void refuse(std::string message) { throw_error("internal", std::move(message)); }

// What a node is at the place of emission. A scalar has the lanes of its LLVM type. An index is `value` in every lane
// (no stride), value + lane · stride, or a vector of its own.
struct Held {
    llvm::Value* value = nullptr;
    llvm::Value* stride = nullptr;
    bool is_vector() const { return value->getType()->isVectorTy(); }
    bool is_uniform() const { return !stride && !is_vector(); }
};

// Memory that may overlap shares a scope; nothing else does.
class AliasScopes {
public:
    AliasScopes(llvm::LLVMContext& context, const KernelInfo& info, std::span<const InPlace> in_place)
        : operands_(info.operands) {
        llvm::MDBuilder builder(context);
        llvm::MDNode* domain = builder.createAnonymousAliasScopeDomain("kernel");
        std::vector<llvm::MDNode*> scopes = {builder.createAnonymousAliasScope(domain, "read")};
        for (uint32_t k = 0; k < info.results; ++k)
            scopes.push_back(builder.createAnonymousAliasScope(domain, "written"));
        for (size_t own = 0; own < scopes.size(); ++own) {
            std::vector<llvm::Metadata*> others;
            for (size_t other = 0; other < scopes.size(); ++other)
                if (other != own) others.push_back(scopes[other]);
            scopes_.push_back({llvm::MDNode::get(context, {scopes[own]}), llvm::MDNode::get(context, others)});
        }
        of_operand_.assign(info.operands, 0);
        for (const InPlace& pair : in_place) of_operand_[pair.operand] = pair.result + 1;
    }
    void tag(llvm::Instruction* access, uint32_t buffer) const {
        const Scope& scope = scopes_[buffer < operands_ ? of_operand_[buffer] : buffer - operands_ + 1];
        access->setMetadata(llvm::LLVMContext::MD_alias_scope, scope.own);
        access->setMetadata(llvm::LLVMContext::MD_noalias, scope.others);
    }

private:
    struct Scope {
        llvm::MDNode *own, *others;
    };
    uint32_t operands_;
    std::vector<Scope> scopes_;
    std::vector<uint32_t> of_operand_;
};

class StageEmitter {
public:
    StageEmitter(llvm::Module& module, const KernelSource& source, const KernelInfo& info, const VectorFacts& facts)
        : module_(module), context_(module.getContext()), graph_(*source.graph), kernel_(source.kernel), info_(info),
          facts_(facts), scopes_(context_, info, source.in_place), builder_(context_), entry_(context_),
          held_(graph_.nodes.size()) {
        for (uint32_t k = 0; NodeId p : graph_.params(graph_.region_of(kernel_))) buffers_.emplace(p.index, k++);
        for (uint32_t k = 0; NodeId id : info.scalars) slots_.emplace(id.index, k++);
    }

    void stage(const KernelStage& stage, const std::string& name) {
        open(name);
        if (stage.loop) loop_stage(stage);
        else
            for (NodeId id : stage.nodes) {
                node(id);
                if (const auto slot = slots_.find(id.index); slot != slots_.end())
                    store_slot(slot->second, held_[id.index].value);
            }
        close();
    }

private:
    using Body =
        llvm::function_ref<std::vector<llvm::Value*>(llvm::Value* index, std::span<llvm::Value* const> carried)>;

    // ---- functions ----

    void open(const std::string& name) {
        llvm::Type *pointer = builder_.getPtrTy(), *i64 = builder_.getInt64Ty();
        auto* type =
            llvm::FunctionType::get(builder_.getVoidTy(), {pointer, pointer, pointer, i64, i64, pointer}, false);
        function_ = llvm::Function::Create(type, llvm::Function::ExternalLinkage, name, module_);
        static constexpr const char* names[] = {"buffers", "extents", "scalars", "begin", "end", "faults"};
        for (unsigned k = 0; k < 6; ++k) function_->getArg(k)->setName(names[k]);
        function_->addFnAttr(llvm::Attribute::NoUnwind);
        function_->addFnAttr("target-cpu", facts_.processor);
        function_->addFnAttr("target-features", facts_.attributes);
        function_->addFnAttr("prefer-vector-width", std::to_string(8 * facts_.bytes));
        function_->addFnAttr("min-legal-vector-width", std::to_string(8 * facts_.bytes));
        auto* entry = llvm::BasicBlock::Create(context_, "entry", function_);
        auto* start = llvm::BasicBlock::Create(context_, "start", function_);
        builder_.SetInsertPoint(entry);
        entry_.SetInsertPoint(builder_.CreateBr(start));
        builder_.SetInsertPoint(start);
        std::fill(held_.begin(), held_.end(), Held());
        pointers_.assign(info_.operands + info_.results, nullptr);
        fault_ = nullptr;
        lanes_ = 1;
        mask_ = nullptr;
    }

    void close() {
        if (fault_) {
            auto* report = block("report");
            auto* done = block("done");
            builder_.CreateCondBr(builder_.CreateLoad(builder_.getInt1Ty(), fault_), report, done);
            builder_.SetInsertPoint(report);
            builder_.CreateAtomicRMW(llvm::AtomicRMWInst::Or, function_->getArg(5), builder_.getInt32(1),
                                     llvm::MaybeAlign(4), llvm::AtomicOrdering::Monotonic);
            builder_.CreateBr(done);
            builder_.SetInsertPoint(done);
        }
        builder_.CreateRetVoid();
    }

    void loop_stage(const KernelStage& stage) {
        const NodeId id = stage.nodes[0];
        llvm::Value* low = index(stage.low).value;
        llvm::Value* step = builder_.getInt64(uint64_t(stage.step));
        llvm::Value* first = builder_.CreateAdd(low, builder_.CreateMul(function_->getArg(3), step));
        llvm::Value* last = builder_.CreateAdd(low, builder_.CreateMul(function_->getArg(4), step));
        const std::optional<int64_t> begin = constant(low), end = constant(index(stage.high).value);
        for_loop(id, first, last, begin && end ? std::optional(*end - *begin) : std::nullopt);
    }

    llvm::BasicBlock* block(const char* name) { return llvm::BasicBlock::Create(context_, name, function_); }

    // ---- loops ----

    // body(i, carried) for i = low, low + step, … below high; the carried values after the last turn.
    std::vector<llvm::Value*> loop(llvm::Value* low, llvm::Value* high, int64_t step, std::vector<llvm::Value*> initial,
                                   Body body) {
        auto* turn = block("loop");
        auto* done = block("done");
        llvm::BasicBlock* before = builder_.GetInsertBlock();
        builder_.CreateCondBr(builder_.CreateICmpSLT(low, high), turn, done);
        builder_.SetInsertPoint(turn);
        llvm::PHINode* i = builder_.CreatePHI(builder_.getInt64Ty(), 2);
        i->addIncoming(low, before);
        std::vector<llvm::PHINode*> phis;
        std::vector<llvm::Value*> carried;
        for (llvm::Value* v : initial) {
            phis.push_back(builder_.CreatePHI(v->getType(), 2));
            phis.back()->addIncoming(v, before);
            carried.push_back(phis.back());
        }
        const std::vector<llvm::Value*> next = body(i, carried);
        llvm::BasicBlock* end = builder_.GetInsertBlock();
        llvm::Value* following = builder_.CreateNSWAdd(i, builder_.getInt64(uint64_t(step)));
        i->addIncoming(following, end);
        builder_.CreateCondBr(builder_.CreateICmpSLT(following, high), turn, done);
        builder_.SetInsertPoint(done);
        std::vector<llvm::Value*> results;
        for (size_t k = 0; k < initial.size(); ++k) {
            phis[k]->addIncoming(next[k], end);
            llvm::PHINode* result = builder_.CreatePHI(initial[k]->getType(), 2);
            result->addIncoming(initial[k], before);
            result->addIncoming(next[k], end);
            results.push_back(result);
        }
        return results;
    }
    void loop(llvm::Value* low, llvm::Value* high, int64_t step, llvm::function_ref<void(llvm::Value*)> body) {
        loop(low, high, step, {}, [&](llvm::Value* i, std::span<llvm::Value* const>) {
            body(i);
            return std::vector<llvm::Value*>();
        });
    }

    // What `body` makes of the carried values, where the condition holds.
    std::vector<llvm::Value*> when(llvm::Value* condition, std::span<llvm::Value* const> carried,
                                   llvm::function_ref<std::vector<llvm::Value*>()> body) {
        auto* then = block("rest");
        auto* done = block("done");
        llvm::BasicBlock* before = builder_.GetInsertBlock();
        builder_.CreateCondBr(condition, then, done);
        builder_.SetInsertPoint(then);
        const std::vector<llvm::Value*> next = body();
        llvm::BasicBlock* end = builder_.GetInsertBlock();
        builder_.CreateBr(done);
        builder_.SetInsertPoint(done);
        std::vector<llvm::Value*> results;
        for (size_t k = 0; k < carried.size(); ++k) {
            llvm::PHINode* result = builder_.CreatePHI(carried[k]->getType(), 2);
            result->addIncoming(carried[k], before);
            result->addIncoming(next[k], end);
            results.push_back(result);
        }
        return results;
    }

    // `most`: an upper bound of the iterations, where the difference of the bounds does not tell.
    void for_loop(NodeId id, llvm::Value* low, llvm::Value* high, std::optional<int64_t> most = std::nullopt) {
        const Attributes attributes = graph_.attributes(id);
        const Region& region = graph_.region_of(id);
        if (lanes_ != 1) refuse("a loop inside a vector loop");
        if (attributes.text("kind") == "vector") return vector_loop(region, low, high, most);
        loop(low, high, attributes.integer_or("step", 1), [&](llvm::Value* i) { run(region, {i, nullptr}); });
    }

    // Whole vectors, then what is left of them.
    void vector_loop(const Region& region, llvm::Value* low, llvm::Value* high, std::optional<int64_t> most) {
        const int64_t lanes = vector_lanes(region, most ? most : constant(builder_.CreateSub(high, low)));
        in_vectors(region, low, high, lanes, {}, [&](Held i, std::span<llvm::Value* const>) {
            run(region, i);
            return std::vector<llvm::Value*>();
        });
    }

    // body(i, carried) on whole vectors from low up, then on the rest: one masked vector, or a scalar a turn.
    // `scalar_rest` (only where the region cannot be masked) is called for that with the first position left.
    using VectorBody = llvm::function_ref<std::vector<llvm::Value*>(Held index, std::span<llvm::Value* const> carried)>;
    using ScalarRest =
        llvm::function_ref<std::vector<llvm::Value*>(llvm::Value* from, std::span<llvm::Value* const> carried)>;
    std::vector<llvm::Value*> in_vectors(const Region& region, llvm::Value* low, llvm::Value* high, int64_t lanes,
                                         std::vector<llvm::Value*> carried, VectorBody body,
                                         ScalarRest scalar_rest = nullptr) {
        llvm::Value* count = builder_.CreateSub(high, low);
        const std::optional<int64_t> known = constant(count);
        if (!known) count = builder_.CreateBinaryIntrinsic(llvm::Intrinsic::smax, count, builder_.getInt64(0));
        llvm::Value* whole = builder_.CreateAdd(low, builder_.CreateAnd(count, builder_.getInt64(uint64_t(-lanes))));
        llvm::Value* unit = builder_.getInt64(1);
        const LaneState saved = set_lanes(lanes, nullptr);
        if (!known || *known >= lanes) {
            carried = loop(low, whole, lanes, carried, [&](llvm::Value* i, std::span<llvm::Value* const> now) {
                return body({i, lanes > 1 ? unit : nullptr}, now);
            });
        }
        if (lanes > 1 && (!known || *known % lanes)) {
            if (can_mask(region)) {
                llvm::Value* end = builder_.CreateAdd(low, count);
                carried = when(builder_.CreateICmpSLT(whole, end), carried, [&] {
                    llvm::Value* left = builder_.CreateTrunc(builder_.CreateSub(end, whole), builder_.getInt32Ty());
                    mask_ = builder_.CreateICmpULT(lane_numbers(builder_.getInt32Ty(), lanes), splat(left, lanes));
                    return body({whole, unit}, carried);
                });
            } else if (scalar_rest) {
                set_lanes(1, nullptr);
                carried = scalar_rest(whole, carried);
            } else {
                set_lanes(1, nullptr);
                carried =
                    loop(whole, builder_.CreateAdd(low, count), 1, carried,
                         [&](llvm::Value* i, std::span<llvm::Value* const> now) { return body({i, nullptr}, now); });
            }
        }
        set_lanes(saved.lanes, saved.mask);
        return carried;
    }

    struct LaneState {
        int64_t lanes;
        llvm::Value* mask;
    };
    LaneState set_lanes(int64_t lanes, llvm::Value* mask) {
        const LaneState before = {lanes_, mask_};
        lanes_ = lanes;
        mask_ = mask;
        return before;
    }

    // ---- how many lanes ----

    struct Contents {
        size_t widest = 1;           // bytes of an element in a register
        size_t smallest_access = 8;  // bytes of an element in memory
        size_t scalar_ops = 0;
        bool folds_rows = false;
    };
    void look(const Region& region, Contents& found) const {
        for (NodeId id : graph_.body(region)) {
            const Node& n = graph_[id];
            const Type& type = graph_.type(id);
            if (n.op == op<"store">() || n.op == op<"load">())
                found.smallest_access =
                    std::min(found.smallest_access, size_of(graph_.type(graph_.operand(id, 0)).dtype));
            if (type.kind == Type::Kind::scalar || type.kind == Type::Kind::tensor) {
                const size_t bytes = type.dtype == DType::f16 || type.dtype == DType::bf16 ? 4 : size_of(type.dtype);
                found.widest = std::max(found.widest, bytes);
                found.scalar_ops += n.op != op<"load">();
            }
            found.folds_rows |= n.op == op<"fold">();
            for (unsigned k = 0; k < n.regions; ++k) look(graph_.region_of(id, k), found);
        }
    }

    int64_t vector_lanes(const Region& region, std::optional<int64_t> count) const {
        Contents found;
        look(region, found);
        int64_t lanes = facts_.bytes / int64_t(std::max<size_t>(found.widest, 2));
        // Four accumulators a row: additions wait for each other, loads of one row lie side by side.
        if (found.folds_rows && found.scalar_ops <= 6) lanes *= 4;
        while (count && lanes > 1 && lanes / 2 >= *count) lanes /= 2;
        return lanes;
    }
    bool can_mask(const Region& region) const {
        Contents found;
        look(region, found);
        return facts_.masks_small || found.smallest_access >= 4;
    }

    // ---- nodes ----

    void run(const Region& region, Held index) {
        held_[graph_.params(region)[0].index] = index;
        for (NodeId id : graph_.body(region)) node(id);
    }
    llvm::Value* yielded(const Region& region, Held index) {
        run(region, index);
        return scalar(graph_.results(region)[0]);
    }

    void node(NodeId id) {
        if (is_static_index(graph_, id)) return;  // computed at the function's entry by who needs it
        const Op o = graph_[id].op;
        Held& result = held_[id.index];
        if (o == op<"load">()) result = {load(id)};
        else if (o == op<"store">()) store(id);
        else if (o == op<"for">()) for_loop(id, index(graph_.operand(id, 0)).value, index(graph_.operand(id, 1)).value);
        else if (o == op<"fold">()) result = {fold(id)};
        else if (o == op<"position">()) result = {scalar(graph_.operand(id, 0))};
        else if (o == op<"number">()) result = {expanded(index(graph_.operand(id, 0)))};
        else if (graph_.type(id).kind == Type::Kind::index) result = index_op(id);
        else result = {compute(id)};
        if (result.value && !context_.shouldDiscardValueNames() && graph_.names[id.index] &&
            !llvm::isa<llvm::Constant>(result.value) && !result.value->hasName())
            result.value->setName(llvm::StringRef(graph_.name_of(id)));
    }

    llvm::Constant* literal(NodeId id) const {
        const auto& value = graph_.attributes(id).find("value")->value;
        double real = 0;
        int64_t integer = 0;
        if (const auto* b = std::get_if<bool>(&value)) real = double(integer = *b);
        else if (const auto* i = std::get_if<int64_t>(&value)) real = double(integer = *i);
        else real = std::get<double>(value);
        return constant_of(context_, graph_.type(id).dtype, real, integer);
    }

    llvm::Value* scalar(NodeId id) {
        if (graph_[id].op == op<"constant">()) return literal(id);
        if (graph_.type(id).kind == Type::Kind::index) return expanded(index(id));
        Held& held = held_[id.index];
        if (held.value) return held.value;
        if (slots_.contains(id.index)) held.value = load_slot(id, register_type(context_, graph_.type(id).dtype));
        else if (graph_.type(id).kind == Type::Kind::tensor) {  // made of literals alone, it belongs to no stage
            const llvm::IRBuilderBase::InsertPoint here = builder_.saveIP();
            builder_.SetInsertPoint(entry_.GetInsertBlock()->getTerminator());
            held.value = compute(id);
            builder_.restoreIP(here);
        } else refuse(fmt::format("{} is used before it is computed", row(graph_[id].op).name));
        return held.value;
    }

    llvm::Value* compute(NodeId id) {
        if (graph_[id].op != op<"cast">()) return elementwise(id);
        const NodeId from = graph_.operand(id, 0);
        return emit_cast(builder_, graph_.type(from).dtype, graph_.type(id).dtype, scalar(from));
    }

    llvm::Value* elementwise(NodeId id) {
        const auto operands = graph_.operands_of(id);
        llvm::Value* values[3] = {};
        for (size_t k = 0; k < operands.size(); ++k) values[k] = scalar(operands[k]);
        level({values, operands.size()});
        const Type& data = graph_.type(operands[operands.size() == 3 ? 1 : 0]);
        const DType dtype = data.kind == Type::Kind::index ? DType::i64 : data.dtype;
        llvm::Value* fault = nullptr;
        llvm::Value* result = emit_scalar(builder_, row(graph_[id].op).name, dtype, {values, operands.size()}, &fault);
        if (!result) refuse(fmt::format("no scalar definition of {} on {}", row(graph_[id].op).name, name_of(dtype)));
        if (fault) record(fault);
        return result;
    }

    void record(llvm::Value* fault) {
        if (!fault_) {
            fault_ = entry_.CreateAlloca(builder_.getInt1Ty());
            entry_.CreateStore(builder_.getFalse(), fault_);
        }
        if (mask_ && fault->getType()->isVectorTy()) fault = builder_.CreateAnd(fault, mask_);
        llvm::Value* before = builder_.CreateLoad(builder_.getInt1Ty(), fault_);
        builder_.CreateStore(builder_.CreateOr(before, any_lane(builder_, fault)), fault_);
    }

    // ---- lanes ----

    llvm::Value* splat(llvm::Value* x, int64_t lanes) {
        return lanes == 1 ? x : builder_.CreateVectorSplat(unsigned(lanes), x);
    }
    llvm::Value* lane_numbers(llvm::Type* type, int64_t lanes) const {
        std::vector<llvm::Constant*> numbers;
        for (int64_t k = 0; k < lanes; ++k) numbers.push_back(llvm::ConstantInt::get(type, uint64_t(k)));
        return llvm::ConstantVector::get(numbers);
    }
    // Values that differ by lane beside ones that do not: all get the lanes.
    void level(std::span<llvm::Value*> values) {
        const bool vector =
            std::any_of(values.begin(), values.end(), [](llvm::Value* v) { return v->getType()->isVectorTy(); });
        for (llvm::Value*& v : values)
            if (vector && !v->getType()->isVectorTy()) v = splat(v, lanes_);
    }
    static std::optional<int64_t> constant(llvm::Value* v) {
        const auto* c = llvm::dyn_cast<llvm::ConstantInt>(v);
        return c ? std::optional(c->getSExtValue()) : std::nullopt;
    }

    // ---- indices ----

    Held index(NodeId id) {
        if (graph_[id].op == op<"constant">()) return {literal(id)};
        Held& held = held_[id.index];
        if (held.value) return held;
        if (is_static_index(graph_, id)) {
            const llvm::IRBuilderBase::InsertPoint here = builder_.saveIP();
            builder_.SetInsertPoint(entry_.GetInsertBlock()->getTerminator());
            held = graph_[id].op == op<"extent">() ? Held{extent(id)} : index_op(id);
            builder_.restoreIP(here);
        } else held.value = load_slot(id, builder_.getInt64Ty());
        return held;
    }

    llvm::Value* extent(NodeId id) {
        const SizeId size = graph_.attributes(id).size("value");
        if (const auto known = graph_.context->as_constant(size)) return builder_.getInt64(uint64_t(*known));
        const auto found = std::find(info_.extents.begin(), info_.extents.end(), size);
        assert(found != info_.extents.end());
        llvm::Value* place = builder_.CreateConstGEP1_64(builder_.getInt64Ty(), function_->getArg(1),
                                                         uint64_t(found - info_.extents.begin()));
        return builder_.CreateLoad(builder_.getInt64Ty(), place);
    }

    llvm::Value* expanded(Held h) {
        if (!h.stride) return h.value;
        llvm::Value* offsets = builder_.CreateMul(lane_numbers(builder_.getInt64Ty(), lanes_), splat(h.stride, lanes_));
        return builder_.CreateAdd(splat(h.value, lanes_), offsets);
    }

    Held index_op(NodeId id) {
        const std::string_view name = row(graph_[id].op).name;
        const auto operands = graph_.operands_of(id);
        if (operands.size() == 2) {
            const Held a = index(operands[0]), b = index(operands[1]);
            if (!a.is_vector() && !b.is_vector()) {
                llvm::Value* zero = builder_.getInt64(0);
                const auto stride_of = [&](Held h) { return h.stride ? h.stride : zero; };
                const bool uniform = !a.stride && !b.stride;
                if (name == "add")
                    return {builder_.CreateAdd(a.value, b.value),
                            uniform ? nullptr : builder_.CreateAdd(stride_of(a), stride_of(b))};
                if (name == "sub")
                    return {builder_.CreateSub(a.value, b.value),
                            uniform ? nullptr : builder_.CreateSub(stride_of(a), stride_of(b))};
                if (name == "mul" && (!a.stride || !b.stride)) {
                    llvm::Value* product = builder_.CreateMul(a.value, b.value);
                    if (uniform) return {product};
                    return {product,
                            a.stride ? builder_.CreateMul(a.stride, b.value) : builder_.CreateMul(a.value, b.stride)};
                }
            }
            if (name == "floor_divide" || name == "remainder") {
                llvm::Value* values[] = {expanded(a), expanded(b)};
                level(values);
                return {divide(values[0], values[1], name == "remainder")};
            }
        }
        llvm::Value* values[3] = {};
        for (size_t k = 0; k < operands.size(); ++k) values[k] = scalar(operands[k]);
        level({values, operands.size()});
        llvm::Value* result = emit_scalar(builder_, name, DType::i64, {values, operands.size()});
        if (!result) refuse(fmt::format("{} on positions", name));
        return {result};
    }

    // ⌊a / b⌋ and its remainder. An extent may be 0 where nothing is computed with the quotient: division never traps.
    llvm::Value* divide(llvm::Value* a, llvm::Value* b, bool remainder) {
        llvm::Value *zero = llvm::Constant::getNullValue(b->getType()), *one = llvm::ConstantInt::get(b->getType(), 1);
        llvm::Value* divisor = builder_.CreateSelect(builder_.CreateICmpEQ(b, zero), one, b);
        llvm::Value* rest = builder_.CreateSRem(a, divisor);
        llvm::Value* apart = builder_.CreateICmpSLT(builder_.CreateXor(rest, divisor), zero);
        llvm::Value* move = builder_.CreateAnd(apart, builder_.CreateICmpNE(rest, zero));
        if (remainder) return builder_.CreateSelect(move, builder_.CreateAdd(rest, divisor), rest);
        llvm::Value* quotient = builder_.CreateSDiv(a, divisor);
        return builder_.CreateSelect(move, builder_.CreateSub(quotient, one), quotient);
    }

    // ---- memory ----

    llvm::Value* pointer(uint32_t buffer) {
        if (!pointers_[buffer]) {
            llvm::Value* place = entry_.CreateConstGEP1_64(builder_.getPtrTy(), function_->getArg(0), buffer);
            pointers_[buffer] = entry_.CreateLoad(builder_.getPtrTy(), place);
        }
        return pointers_[buffer];
    }

    struct Access {
        uint32_t buffer;
        DType dtype;
        llvm::Type* type;  // of one element in memory
        llvm::Align align;
        Held position;
        bool contiguous;       // lane k is element position + k
        llvm::Value* address;  // of each lane, or of the first
    };
    Access access(NodeId id) {
        const NodeId buffer = graph_.operand(id, 0);
        Access a;
        a.buffer = buffers_.at(buffer.index);
        a.dtype = graph_.type(buffer).dtype;
        a.type = memory_type(context_, a.dtype);
        a.align = llvm::Align(size_of(a.dtype));
        a.position = index(graph_.operand(id, 1));
        a.contiguous = a.position.stride && constant(a.position.stride) == 1;
        llvm::Value* offset = a.contiguous ? a.position.value : expanded(a.position);
        a.address = builder_.CreateGEP(a.type, pointer(a.buffer), offset);
        return a;
    }
    template <class I>
    I* tagged(I* instruction, const Access& a) {
        scopes_.tag(instruction, a.buffer);
        return instruction;
    }

    llvm::Value* load(NodeId id) {
        const Access a = access(id);
        if (a.position.is_uniform())
            return from_memory(builder_, a.dtype, tagged(builder_.CreateAlignedLoad(a.type, a.address, a.align), a));
        auto* type = llvm::FixedVectorType::get(a.type, unsigned(lanes_));
        llvm::Value* nothing = llvm::Constant::getNullValue(type);
        llvm::Instruction* loaded = nullptr;
        if (!a.contiguous) loaded = builder_.CreateMaskedGather(type, a.address, a.align, mask_, nothing);
        else if (mask_) loaded = builder_.CreateMaskedLoad(type, a.address, a.align, mask_, nothing);
        else loaded = builder_.CreateAlignedLoad(type, a.address, a.align);
        return from_memory(builder_, a.dtype, tagged(loaded, a));
    }

    void store(NodeId id) {
        const Access a = access(id);
        llvm::Value* value = to_memory(builder_, a.dtype, scalar(graph_.operand(id, 2)));
        if (a.position.is_uniform()) {
            // Iterations are independent, so there is but one, in the first lane.
            if (value->getType()->isVectorTy()) value = builder_.CreateExtractElement(value, uint64_t(0));
            tagged(builder_.CreateAlignedStore(value, a.address, a.align), a);
            return;
        }
        if (!value->getType()->isVectorTy()) value = splat(value, lanes_);
        if (!a.contiguous) tagged(builder_.CreateMaskedScatter(value, a.address, a.align, mask_), a);
        else if (mask_) tagged(builder_.CreateMaskedStore(value, a.address, a.align, mask_), a);
        else tagged(builder_.CreateAlignedStore(value, a.address, a.align), a);
    }

    // Scalars that stages share: 8 bytes each.
    llvm::Value* slot(IRBuilder& builder, uint32_t number) {
        return builder.CreateConstGEP1_64(builder.getInt64Ty(), function_->getArg(2), number);
    }
    void store_slot(uint32_t number, llvm::Value* value) {
        if (value->getType()->isIntegerTy(1)) value = builder_.CreateZExt(value, builder_.getInt8Ty());
        builder_.CreateAlignedStore(value, slot(builder_, number), llvm::Align(8));
    }
    llvm::Value* load_slot(NodeId id, llvm::Type* type) {
        const auto found = slots_.find(id.index);
        if (found == slots_.end()) refuse(fmt::format("{} is used before it is computed", row(graph_[id].op).name));
        const bool truth = type->isIntegerTy(1);
        llvm::Value* value =
            entry_.CreateAlignedLoad(truth ? entry_.getInt8Ty() : type, slot(entry_, found->second), llvm::Align(8));
        return truth ? entry_.CreateTrunc(value, type) : value;
    }

    // ---- folds ----

    struct Fold {
        const Region& region;
        std::string_view op;
        DType dtype;
        llvm::Constant* identity;
    };

    llvm::Constant* identity(std::string_view name, DType dtype) const {
        const bool real = is_float(dtype);
        const double infinity = std::numeric_limits<double>::infinity();
        if (name == "add") return constant_of(context_, dtype, -0.0, 0);
        if (name == "mul") return constant_of(context_, dtype, 1, 1);
        if (name == "logical_and") return constant_of(context_, dtype, 1, 1);
        if (name == "logical_or") return constant_of(context_, dtype, 0, 0);
        if (name != "maximum" && name != "minimum") refuse(fmt::format("no fold by {}", name));
        const bool largest = name == "minimum";
        if (real) return constant_of(context_, dtype, largest ? infinity : -infinity, 0);
        if (dtype == DType::boolean) return constant_of(context_, dtype, 0, largest);
        const unsigned bits = unsigned(8 * size_of(dtype));
        const int64_t top = is_signed(dtype) ? int64_t((uint64_t(1) << (bits - 1)) - 1) : 255;
        return constant_of(context_, dtype, 0, largest ? top : is_signed(dtype) ? -top - 1 : 0);
    }

    llvm::Value* combine(const Fold& f, llvm::Value* a, llvm::Value* b) {
        llvm::Value* operands[] = {a, b};
        if (a->getType()->isVectorTy() && !b->getType()->isVectorTy())
            operands[1] =
                builder_.CreateVectorSplat(llvm::cast<llvm::FixedVectorType>(a->getType())->getElementCount(), b);
        return emit_scalar(builder_, f.op, f.dtype, operands);
    }

    llvm::Value* fold(NodeId id) {
        const Attributes attributes = graph_.attributes(id);
        const DType dtype = graph_.type(id).dtype;
        const Fold f = {graph_.region_of(id), attributes.text("op"), dtype, identity(attributes.text("op"), dtype)};
        llvm::Value *low = index(graph_.operand(id, 0)).value, *high = index(graph_.operand(id, 1)).value;
        const bool by_lanes = attributes.text("order") == "lanes";
        if (by_lanes && lanes_ != 1) refuse("a fold over lanes inside a vector loop");
        const std::optional<int64_t> count = constant(builder_.CreateSub(high, low));
        llvm::Value* result =
            by_lanes ? fold_by_lanes(f, low, high, count) : fold_by_rows(f, low, high, row_levels(count));
        if (f.op == "add" && is_float(dtype) && (!count || *count <= 0)) {  // an empty sum is +0.0
            llvm::Value* zero = llvm::Constant::getNullValue(result->getType());
            result = builder_.CreateSelect(builder_.CreateICmpSLT(low, high), result, zero);
        }
        return result;
    }

    // How often chunks of chunks are needed: 2^42 rows where the number is not known.
    static int row_levels(std::optional<int64_t> count) {
        int levels = 0;
        for (int64_t chunk = row_chunk; count ? chunk < *count : levels < 6; chunk *= row_chunk) ++levels;
        return levels;
    }

    // In order within chunks of 64 elements; 64 of these are again a chunk.
    llvm::Value* fold_by_rows(const Fold& f, llvm::Value* low, llvm::Value* high, int level) {
        int64_t step = 1;
        for (int k = 0; k < level; ++k) step *= row_chunk;
        llvm::Value* initial = splat(f.identity, lanes_);
        return loop(low, high, step, {initial}, [&](llvm::Value* i, std::span<llvm::Value* const> carried) {
            llvm::Value* x = nullptr;
            if (level == 0) x = yielded(f.region, {i});
            else {
                llvm::Value* end = builder_.CreateAdd(i, builder_.getInt64(uint64_t(step)));
                x = fold_by_rows(f, i, builder_.CreateBinaryIntrinsic(llvm::Intrinsic::smin, end, high), level - 1);
            }
            return std::vector{combine(f, carried[0], x)};
        })[0];
    }

    // Element k of a chunk goes to lane k mod 32.
    llvm::Value* fold_by_lanes(const Fold& f, llvm::Value* low, llvm::Value* high, std::optional<int64_t> count) {
        if (count && *count <= lane_chunk) {
            const int64_t lanes =
                *count <= 0 ? 1 : std::min<int64_t>(fold_lanes, int64_t(std::bit_ceil(uint64_t(*count))));
            return fold_chunk(f, low, high, lanes);
        }
        int levels = 1;
        for (int64_t reach = lane_chunk * lane_chunk; count ? reach < *count : levels < 3; reach *= lane_chunk)
            ++levels;
        auto* finished = block("finished");
        Chunks chunks = {
            f,
            high,
            count ? nullptr : builder_.CreateICmpSLE(builder_.CreateSub(high, low), builder_.getInt64(lane_chunk)),
            finished,
            {}};
        llvm::Value* result = fold_chunks(chunks, low, high, levels);
        chunks.results.push_back({result, builder_.GetInsertBlock()});
        builder_.CreateBr(finished);
        builder_.SetInsertPoint(finished);
        llvm::PHINode* either = builder_.CreatePHI(result->getType(), unsigned(chunks.results.size()));
        for (const auto& [value, from] : chunks.results) either->addIncoming(value, from);
        return either;
    }

    struct Chunks {
        const Fold& fold;
        llvm::Value* high;
        llvm::Value* single;  // is there but one chunk? null: there are more
        llvm::BasicBlock* finished;
        std::vector<std::pair<llvm::Value*, llvm::BasicBlock*>> results;  // of the whole fold, by where they come from
    };

    // The results of chunks of 1,024^level elements from low to high, folded like elements.
    llvm::Value* fold_chunks(Chunks& chunks, llvm::Value* low, llvm::Value* high, int level) {
        const Fold& f = chunks.fold;
        int64_t step = 1;
        for (int k = 0; k < level; ++k) step *= lane_chunk;
        const bool truth = f.dtype == DType::boolean;
        llvm::Type* element = truth ? builder_.getInt8Ty() : f.identity->getType();
        auto* type = llvm::FixedVectorType::get(element, fold_lanes);
        llvm::AllocaInst* lanes = entry_.CreateAlloca(type);
        llvm::Value* first = llvm::ConstantVector::getSplat(llvm::ElementCount::getFixed(fold_lanes), f.identity);
        builder_.CreateStore(truth ? builder_.CreateZExt(first, type) : first, lanes);
        loop(low, high, step, [&](llvm::Value* i) {
            llvm::Value* end = builder_.CreateBinaryIntrinsic(
                llvm::Intrinsic::smin, builder_.CreateAdd(i, builder_.getInt64(uint64_t(step))), high);
            llvm::Value* x = level > 1 ? fold_chunks(chunks, i, end, level - 1) : fold_chunk(f, i, end, fold_lanes);
            if (level == 1 && chunks.single) {
                auto* more = block("more");
                chunks.results.push_back({x, builder_.GetInsertBlock()});
                builder_.CreateCondBr(chunks.single, chunks.finished, more);
                builder_.SetInsertPoint(more);
            }
            llvm::Value* number = builder_.CreateSDiv(builder_.CreateSub(i, low), builder_.getInt64(uint64_t(step)));
            llvm::Value* place =
                builder_.CreateGEP(element, lanes, builder_.CreateAnd(number, builder_.getInt64(fold_lanes - 1)));
            llvm::Value* before = builder_.CreateLoad(element, place);
            if (truth) before = builder_.CreateTrunc(before, builder_.getInt1Ty());
            llvm::Value* after = combine(f, before, x);
            builder_.CreateStore(truth ? builder_.CreateZExt(after, element) : after, place);
        });
        llvm::Value* all = builder_.CreateLoad(type, lanes);
        if (truth) all = builder_.CreateTrunc(all, llvm::FixedVectorType::get(builder_.getInt1Ty(), fold_lanes));
        return halved(f, all, fold_lanes);
    }

    // Up to 1,024 elements, in `lanes` accumulators; lanes that no element reaches hold the identity.
    llvm::Value* fold_chunk(const Fold& f, llvm::Value* low, llvm::Value* high, int64_t lanes) {
        llvm::Value* initial = splat(f.identity, lanes);
        const auto step = [&](Held i, std::span<llvm::Value* const> carried) {
            llvm::Value* sum = combine(f, carried[0], yielded(f.region, i));
            return std::vector{mask_ ? builder_.CreateSelect(mask_, sum, carried[0]) : sum};
        };
        // The rest a scalar at a time: lane after lane of the accumulators.
        const auto rest = [&](llvm::Value* from, std::span<llvm::Value* const> carried) {
            return loop(from, high, 1, {carried[0]}, [&](llvm::Value* i, std::span<llvm::Value* const> now) {
                llvm::Value* lane = builder_.CreateSub(i, from);
                llvm::Value* sum = combine(f, builder_.CreateExtractElement(now[0], lane), yielded(f.region, {i}));
                return std::vector{builder_.CreateInsertElement(now[0], sum, lane)};
            });
        };
        return halved(f, in_vectors(f.region, low, high, lanes, {initial}, step, rest)[0], lanes);
    }

    // Lane i with lane i + w, for w = 16, 8, 4, 2, 1.
    llvm::Value* halved(const Fold& f, llvm::Value* x, int64_t lanes) {
        if (lanes == 1) return x;
        for (int64_t half = lanes / 2; half >= 1; half /= 2) {
            std::vector<int> lower, upper;
            for (int64_t k = 0; k < half; ++k) {
                lower.push_back(int(k));
                upper.push_back(int(k + half));
            }
            x = combine(f, builder_.CreateShuffleVector(x, lower), builder_.CreateShuffleVector(x, upper));
        }
        return builder_.CreateExtractElement(x, uint64_t(0));
    }

    llvm::Module& module_;
    llvm::LLVMContext& context_;
    const Graph& graph_;
    NodeId kernel_;
    const KernelInfo& info_;
    const VectorFacts& facts_;
    AliasScopes scopes_;
    IRBuilder builder_, entry_;  // where code goes; the end of the function's entry block
    llvm::Function* function_ = nullptr;
    std::unordered_map<uint32_t, uint32_t> buffers_, slots_;
    std::vector<Held> held_;              // by node, in the function at hand
    std::vector<llvm::Value*> pointers_;  // by buffer, loaded in the entry block
    llvm::Value* fault_ = nullptr;        // i1 on the stack, made when needed
    int64_t lanes_ = 1;                   // of the loop at hand
    llvm::Value* mask_ = nullptr;         // its lanes at work, null for all
};

}  // namespace

size_t emit_kernel(llvm::Module& module, const KernelSource& source, const KernelInfo& info, const std::string& name,
                   const VectorFacts& facts) {
    StageEmitter emitter(module, source, info, facts);
    for (size_t k = 0; k < info.stages.size(); ++k) emitter.stage(info.stages[k], fmt::format("{}.{}", name, k));
    return info.stages.size();
}

}  // namespace tenon::llvm_engine
