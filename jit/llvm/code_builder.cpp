#include "jit/llvm/code_builder.h"

#include <algorithm>
#include <utility>

#include <llvm/IR/InlineAsm.h>
#include <llvm/IR/IntrinsicsX86.h>

namespace tenon::llvm_engine {

std::optional<int64_t> constant_in(llvm::Value* v) {
    const auto* c = llvm::dyn_cast<llvm::ConstantInt>(v);
    return c ? std::optional(c->getSExtValue()) : std::nullopt;
}

// ---- functions ----------------------------------------------------------------------------------------------------
void CodeBuilder::open(const std::string& name) {
    llvm::Type *pointer = builder_.getPtrTy(), *i64 = builder_.getInt64Ty();
    auto* type = llvm::FunctionType::get(builder_.getVoidTy(), {pointer, pointer, pointer, i64, i64, pointer}, false);
    function_ = llvm::Function::Create(type, llvm::Function::ExternalLinkage, name, module_);
    static constexpr const char* names[] = {"buffers", "extents", "scalars", "begin", "end", "faults"};
    for (unsigned k = 0; k < std::size(names); ++k) function_->getArg(k)->setName(names[k]);
    function_->addFnAttr(llvm::Attribute::NoUnwind);
    function_->addFnAttr("target-cpu", facts_.processor);
    function_->addFnAttr("target-features", facts_.attributes);
    function_->addFnAttr("prefer-vector-width", std::to_string(8 * facts_.bytes));
    function_->addFnAttr("min-legal-vector-width", std::to_string(8 * facts_.bytes));
    auto* entry = block("entry");
    auto* start = block("start");
    builder_.SetInsertPoint(entry);
    entry_.SetInsertPoint(builder_.CreateBr(start));
    builder_.SetInsertPoint(start);
    fault_ = nullptr;
    fence_ = false;
    set_lanes(1, nullptr);
}

void CodeBuilder::close() {
    if (fault_) {
        auto* report = block("report");
        auto* done = block("done");
        builder_.CreateCondBr(builder_.CreateLoad(builder_.getInt1Ty(), fault_), report, done);
        builder_.SetInsertPoint(report);
        builder_.CreateAtomicRMW(llvm::AtomicRMWInst::Or, argument(Argument::faults), builder_.getInt32(1),
                                 llvm::MaybeAlign(4), llvm::AtomicOrdering::Monotonic);
        builder_.CreateBr(done);
        builder_.SetInsertPoint(done);
    }
    if (fence_) builder_.CreateIntrinsic(builder_.getVoidTy(), llvm::Intrinsic::x86_sse_sfence, {});
    builder_.CreateRetVoid();
}

void CodeBuilder::record(llvm::Value* fault) {
    if (!fault_) {
        fault_ = entry_.CreateAlloca(builder_.getInt1Ty());
        entry_.CreateStore(builder_.getFalse(), fault_);
    }
    if (mask_ && fault->getType()->isVectorTy()) fault = builder_.CreateAnd(fault, mask_);
    llvm::Value* before = builder_.CreateLoad(builder_.getInt1Ty(), fault_);
    builder_.CreateStore(builder_.CreateOr(before, any_lane(builder_, fault)), fault_);
}

void CodeBuilder::at_entry(llvm::function_ref<void()> emit) {
    const llvm::IRBuilderBase::InsertPoint here = builder_.saveIP();
    builder_.SetInsertPoint(entry_.GetInsertBlock()->getTerminator());
    emit();
    builder_.restoreIP(here);
}

// ---- loops --------------------------------------------------------------------------------------------------------
CodeBuilder::Values CodeBuilder::loop(llvm::Value* low, llvm::Value* high, int64_t step, Values initial,
                                      llvm::function_ref<Values(llvm::Value*, Carried)> body) {
    auto* turn = block("loop");
    auto* done = block("done");
    llvm::BasicBlock* before = builder_.GetInsertBlock();
    builder_.CreateCondBr(builder_.CreateICmpSLT(low, high), turn, done);
    builder_.SetInsertPoint(turn);
    llvm::PHINode* i = builder_.CreatePHI(builder_.getInt64Ty(), 2);
    i->addIncoming(low, before);
    std::vector<llvm::PHINode*> phis;
    Values carried;
    for (llvm::Value* v : initial) {
        phis.push_back(builder_.CreatePHI(v->getType(), 2));
        phis.back()->addIncoming(v, before);
        carried.push_back(phis.back());
    }
    const Values next = body(i, carried);
    llvm::BasicBlock* end = builder_.GetInsertBlock();
    llvm::Value* following = builder_.CreateNSWAdd(i, builder_.getInt64(uint64_t(step)));
    i->addIncoming(following, end);
    builder_.CreateCondBr(builder_.CreateICmpSLT(following, high), turn, done);
    builder_.SetInsertPoint(done);
    Values results;
    for (size_t k = 0; k < initial.size(); ++k) {
        phis[k]->addIncoming(next[k], end);
        llvm::PHINode* result = builder_.CreatePHI(initial[k]->getType(), 2);
        result->addIncoming(initial[k], before);
        result->addIncoming(next[k], end);
        results.push_back(result);
    }
    return results;
}

void CodeBuilder::loop(llvm::Value* low, llvm::Value* high, int64_t step, llvm::function_ref<void(llvm::Value*)> body) {
    loop(low, high, step, {}, [&](llvm::Value* i, Carried) {
        body(i);
        return Values();
    });
}

CodeBuilder::Values CodeBuilder::when(llvm::Value* condition, Carried carried, llvm::function_ref<Values()> body) {
    auto* then = block("rest");
    auto* done = block("done");
    llvm::BasicBlock* before = builder_.GetInsertBlock();
    builder_.CreateCondBr(condition, then, done);
    builder_.SetInsertPoint(then);
    const Values next = body();
    llvm::BasicBlock* end = builder_.GetInsertBlock();
    builder_.CreateBr(done);
    builder_.SetInsertPoint(done);
    Values results;
    for (size_t k = 0; k < carried.size(); ++k) {
        llvm::PHINode* result = builder_.CreatePHI(carried[k]->getType(), 2);
        result->addIncoming(carried[k], before);
        result->addIncoming(next[k], end);
        results.push_back(result);
    }
    return results;
}

CodeBuilder::Values CodeBuilder::in_vectors(llvm::Value* low, llvm::Value* high, int64_t lanes, bool masked,
                                            Values carried, llvm::function_ref<Values(Held, Carried)> body,
                                            llvm::function_ref<Values(llvm::Value*, Carried)> scalar_rest) {
    llvm::Value* count = builder_.CreateSub(high, low);
    const std::optional<int64_t> known = constant_in(count);
    if (!known) count = builder_.CreateBinaryIntrinsic(llvm::Intrinsic::smax, count, builder_.getInt64(0));
    llvm::Value* whole = builder_.CreateAdd(low, builder_.CreateAnd(count, builder_.getInt64(uint64_t(-lanes))));
    llvm::Value* unit = builder_.getInt64(1);
    const LaneState saved = set_lanes(lanes, nullptr);
    if (!known || *known >= lanes) {
        carried = loop(low, whole, lanes, carried,
                       [&](llvm::Value* i, Carried now) { return body({i, lanes > 1 ? unit : nullptr}, now); });
    }
    if (lanes > 1 && (!known || *known % lanes)) {
        if (masked) {
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
            carried = loop(whole, builder_.CreateAdd(low, count), 1, carried,
                           [&](llvm::Value* i, Carried now) { return body({i, nullptr}, now); });
        }
    }
    set_lanes(saved.lanes, saved.mask);
    return carried;
}

// ---- lanes --------------------------------------------------------------------------------------------------------
CodeBuilder::LaneState CodeBuilder::set_lanes(int64_t lanes, llvm::Value* mask) {
    return {std::exchange(lanes_, lanes), std::exchange(mask_, mask)};
}

llvm::Value* CodeBuilder::splat(llvm::Value* x, int64_t lanes) {
    return lanes == 1 ? x : builder_.CreateVectorSplat(unsigned(lanes), x);
}

llvm::Value* CodeBuilder::lane_numbers(llvm::Type* type, int64_t lanes) const {
    std::vector<llvm::Constant*> numbers;
    for (int64_t k = 0; k < lanes; ++k) numbers.push_back(llvm::ConstantInt::get(type, uint64_t(k)));
    return llvm::ConstantVector::get(numbers);
}

llvm::Value* CodeBuilder::expanded(const Held& h) {
    if (!h.stride) return h.value;
    llvm::Value* offsets = builder_.CreateMul(lane_numbers(builder_.getInt64Ty(), lanes_), splat(h.stride, lanes_));
    return builder_.CreateAdd(splat(h.value, lanes_), offsets);
}

llvm::Value* CodeBuilder::opaque(llvm::Value* value) {
    auto* type = llvm::FunctionType::get(value->getType(), {value->getType()}, false);
    return builder_.CreateCall(type, llvm::InlineAsm::get(type, "", "=r,0", false), {value});
}

void CodeBuilder::level(std::span<llvm::Value*> values) {
    const auto is_vector = [](llvm::Value* v) { return v->getType()->isVectorTy(); };
    if (!std::any_of(values.begin(), values.end(), is_vector)) return;
    for (llvm::Value*& v : values)
        if (!is_vector(v)) v = splat(v, lanes_);
}

}  // namespace tenon::llvm_engine
