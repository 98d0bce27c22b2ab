#include "jit/llvm/translation.h"

#include <array>
#include <numeric>
#include <vector>

#include <llvm/Analysis/VectorUtils.h>
#include <llvm/IR/IntrinsicsX86.h>
#include <llvm/IR/MDBuilder.h>
#include <llvm/IR/Module.h>

#include "jit/contract/tile.h"
#include "jit/llvm/vector_facts.h"
#include "jit/routines/routines.h"

namespace tenon::llvm_engine {

using scalar::Code;
using scalar::Lane;
using scalar::Program;
using scalar::Step;

llvm::Type* with_lanes_of(llvm::Type* type, llvm::Type* like) {
    if (const auto* vector = llvm::dyn_cast<llvm::FixedVectorType>(like))
        return llvm::FixedVectorType::get(type, vector->getNumElements());
    return type;
}

llvm::Value* any_lane(IRBuilder& builder, llvm::Value* mask) {
    return mask->getType()->isVectorTy() ? builder.CreateOrReduce(mask) : mask;
}

namespace {

// One for each type in a function, at its entry.
llvm::Value* scratch(IRBuilder& here, llvm::Type* type) {
    llvm::BasicBlock& entry = here.GetInsertBlock()->getParent()->getEntryBlock();
    for (llvm::Instruction& i : entry)
        if (auto* found = llvm::dyn_cast<llvm::AllocaInst>(&i); found && found->getAllocatedType() == type)
            return found;
    return IRBuilder(&entry, entry.begin()).CreateAlloca(type);
}

class Translation {
public:
    Translation(IRBuilder& builder, const Program& program, std::span<llvm::Value* const> operands)
        : here_(builder), program_(program), operands_(operands), values_(program.steps.size()) {}

    llvm::Value* run() {
        for (size_t k = 0; k < values_.size(); ++k) values_[k] = value(program_.steps[k]);
        return values_[program_.result];
    }

private:
    using P = llvm::CmpInst::Predicate;

    llvm::Type* type(Lane lane) {
        llvm::Type* element = lane == Lane::f64    ? here_.getDoubleTy()
                              : lane == Lane::f32  ? here_.getFloatTy()
                              : lane == Lane::mask ? here_.getInt1Ty()
                                                   : here_.getIntNTy(unsigned(8 * bytes_of(lane)));
        return with_lanes_of(element, operands_[0]->getType());
    }
    Lane lane_of(uint16_t at) const { return program_.steps[at].lane; }

    llvm::Value* value(const Step& s) {
        llvm::Value *a = values_[s.a], *b = values_[s.b], *c = values_[s.c];
        const bool real = holds_float(s.lane);
        switch (s.code) {
            case Code::parameter: return operands_[s.bits];
            case Code::constant: return constant(s);
            case Code::add: return real ? here_.CreateFAdd(a, b) : here_.CreateAdd(a, b);
            case Code::sub: return real ? here_.CreateFSub(a, b) : here_.CreateSub(a, b);
            case Code::mul: return real ? here_.CreateFMul(a, b) : here_.CreateMul(a, b);
            case Code::div: return here_.CreateFDiv(a, b);
            case Code::neg: return real ? here_.CreateFNeg(a) : here_.CreateNeg(a);
            case Code::quotient: return holds_sign(s.lane) ? here_.CreateSDiv(a, b) : here_.CreateUDiv(a, b);
            case Code::bit_and: return here_.CreateAnd(a, b);
            case Code::bit_or: return here_.CreateOr(a, b);
            case Code::bit_xor: return here_.CreateXor(a, b);
            case Code::bit_not: return here_.CreateNot(a);
            case Code::shift_left: return here_.CreateShl(a, b);
            case Code::shift_right: return holds_sign(s.lane) ? here_.CreateAShr(a, b) : here_.CreateLShr(a, b);
            case Code::less: return compare(s, P::FCMP_OLT, P::ICMP_SLT, P::ICMP_ULT);
            case Code::less_equal: return compare(s, P::FCMP_OLE, P::ICMP_SLE, P::ICMP_ULE);
            case Code::greater: return compare(s, P::FCMP_OGT, P::ICMP_SGT, P::ICMP_UGT);
            case Code::greater_equal: return compare(s, P::FCMP_OGE, P::ICMP_SGE, P::ICMP_UGE);
            case Code::equal: return compare(s, P::FCMP_OEQ, P::ICMP_EQ, P::ICMP_EQ);
            case Code::not_equal: return compare(s, P::FCMP_UNE, P::ICMP_NE, P::ICMP_NE);
            case Code::select: return here_.CreateSelect(a, opaque(b), opaque(c));
            case Code::fma: return here_.CreateIntrinsic(a->getType(), llvm::Intrinsic::fma, {a, b, c});
            case Code::sqrt: return here_.CreateUnaryIntrinsic(llvm::Intrinsic::sqrt, a);
            case Code::abs: return here_.CreateUnaryIntrinsic(llvm::Intrinsic::fabs, a);
            case Code::floor: return here_.CreateUnaryIntrinsic(llvm::Intrinsic::floor, a);
            case Code::ceil: return here_.CreateUnaryIntrinsic(llvm::Intrinsic::ceil, a);
            case Code::trunc: return here_.CreateUnaryIntrinsic(llvm::Intrinsic::trunc, a);
            case Code::round_even: return here_.CreateUnaryIntrinsic(llvm::Intrinsic::roundeven, a);
            case Code::bits:
            case Code::float_bits: return here_.CreateBitCast(a, type(s.lane));
            case Code::convert: return convert(a, lane_of(s.a), s.lane);
            case Code::rarely: return rarely(s);
            case Code::apart: return call(s, {a, b});
            case Code::scaled: return scaled(a, b, c, s.lane);
        }
        return nullptr;
    }

    llvm::Constant* constant(const Step& s) {
        llvm::Type* to = type(s.lane);
        const llvm::APInt bits(unsigned(8 * bytes_of(s.lane)), s.bits);
        if (!holds_float(s.lane)) return llvm::ConstantInt::get(to, bits);
        const auto& format = s.lane == Lane::f64 ? llvm::APFloat::IEEEdouble() : llvm::APFloat::IEEEsingle();
        return llvm::ConstantFP::get(to, llvm::APFloat(format, bits));
    }

    llvm::Value* compare(const Step& s, P ordered, P with_sign, P without_sign) {
        const Lane lane = lane_of(s.a);
        llvm::Value *a = values_[s.a], *b = values_[s.b];
        if (holds_float(lane)) return here_.CreateFCmp(ordered, a, b);
        return here_.CreateICmp(holds_sign(lane) ? with_sign : without_sign, a, b);
    }

    llvm::Value* convert(llvm::Value* x, Lane from, Lane to) {
        if (holds_float(from) && holds_float(to)) return here_.CreateFPCast(x, type(to));
        if (holds_float(from))  // what does not fit is any value, but one and the same wherever it is used
            return here_.CreateFreeze(holds_sign(to) ? here_.CreateFPToSI(x, type(to)) : here_.CreateFPToUI(x, type(to)));
        if (holds_float(to))
            return holds_sign(from) ? here_.CreateSIToFP(x, type(to)) : here_.CreateUIToFP(x, type(to));
        return here_.CreateIntCast(x, type(to), holds_sign(from));
    }

    // m · 2ⁿ: whole registers of AVX-512 have an instruction, and so do the vectors of several that folds go by.
    llvm::Value* scaled(llvm::Value* m, llvm::Value* n, llvm::Value* biased, Lane lane) {
        const auto* vector = llvm::dyn_cast<llvm::FixedVectorType>(m->getType());
        const bool wide = here_.GetInsertBlock()->getParent()->getFnAttribute("target-cpu").getValueAsString() ==
                          processor_of(InstructionSet::avx512);
        const int lanes = int(64 / bytes_of(lane)), count = vector ? int(vector->getNumElements()) : 0;
        if (!wide || count == 0 || count % lanes != 0) {
            llvm::Value* const operands[] = {m, biased};
            return translate(here_, scalar::scaled_in_two_program(lane), operands);
        }
        if (count == lanes) return scaled_register(m, n, lane);
        std::vector<llvm::Value*> registers;
        for (int first = 0; first < count; first += lanes) {
            std::vector<int> mask(static_cast<size_t>(lanes));
            std::iota(mask.begin(), mask.end(), first);
            registers.push_back(
                scaled_register(here_.CreateShuffleVector(m, mask), here_.CreateShuffleVector(n, mask), lane));
        }
        return llvm::concatenateVectors(here_, registers);
    }
    llvm::Value* scaled_register(llvm::Value* m, llvm::Value* n, Lane lane) {
        const bool single = lane == Lane::f32;
        llvm::Value* all = llvm::Constant::getAllOnesValue(here_.getIntNTy(single ? 16 : 8));
        constexpr int current_rounding = 4;
        return here_.CreateIntrinsic(
            m->getType(),
            single ? llvm::Intrinsic::x86_avx512_mask_scalef_ps_512 : llvm::Intrinsic::x86_avx512_mask_scalef_pd_512,
            {m, n, m, all, here_.getInt32(current_rounding)});
    }

    // InstCombine (LLVM 19) takes `a < b ? b : a` for a minimum, and where it finds a float's cast among a and b it turns the
    // comparison around: of zeros of two signs that chooses the other one. So it sees no cast.
    llvm::Value* opaque(llvm::Value* x) {
        const bool is_float = x->getType()->isFPOrFPVectorTy();
        return is_float && llvm::isa<llvm::CastInst>(x) ? here_.CreateArithmeticFence(x, x->getType()) : x;
    }

    // The callee's lanes where the mask is set; it is called where some lane needs it.
    llvm::Value* rarely(const Step& s) {
        llvm::Value *mask = values_[s.a], *usual = values_[s.b];
        llvm::Function* function = here_.GetInsertBlock()->getParent();
        auto* rare = llvm::BasicBlock::Create(here_.getContext(), "rare", function);
        auto* join = llvm::BasicBlock::Create(here_.getContext(), "join", function);
        llvm::Value* needed = any_lane(here_, mask);
        llvm::BasicBlock* before = here_.GetInsertBlock();
        here_.CreateCondBr(needed, rare, join, llvm::MDBuilder(here_.getContext()).createBranchWeights(1, 1000));
        here_.SetInsertPoint(rare);
        llvm::Value* chosen = here_.CreateSelect(mask, call(s, {values_[s.c], values_[s.d]}), usual);
        here_.CreateBr(join);
        here_.SetInsertPoint(join);
        llvm::PHINode* result = here_.CreatePHI(usual->getType(), 2);
        result->addIncoming(usual, before);
        result->addIncoming(chosen, rare);
        return result;
    }

    llvm::Value* call(const Step& s, std::array<llvm::Value*, 2> operands) {
        return call_routine(here_, *s.callee, s.lane, std::span(operands).first(size_t(s.callee->arity)));
    }

    IRBuilder& here_;
    const Program& program_;
    std::span<llvm::Value* const> operands_;
    std::vector<llvm::Value*> values_;
};

struct HelperElement {
    Lane lane;
    DType dtype;
    const char* name;
};
constexpr HelperElement helper_elements[] = {
    {Lane::f64, DType::f64, "f64"}, {Lane::f32, DType::f32, "f32"}, {Lane::i64, DType::i64, "i64"},
    {Lane::i32, DType::i32, "i32"}, {Lane::i16, DType::i16, "i16"}, {Lane::i8, DType::i8, "i8"},
    {Lane::u8, DType::u8, "u8"}};

// Of a function that is drawn: operands 0 and 1 are the same for all elements.
constexpr unsigned drawn_of_one_stream = 0b011;
constexpr const char* stream_suffix = ".stream";

std::string symbol_of(const scalar::Function& helper, const HelperElement& element) {
    return "tenon." + std::string(helper.name) + "." + element.name;
}

}  // namespace

llvm::Value* translate(IRBuilder& builder, const Program& program, std::span<llvm::Value* const> operands) {
    return Translation(builder, program, operands).run();
}

// The routine reads and writes memory: its operands go there, the result comes in the place of the last.
llvm::Value* call_routine(IRBuilder& here, const scalar::Function& callee, Lane lane,
                          std::span<llvm::Value* const> operands) {
    llvm::Type *lanes = operands[0]->getType(), *pointer = here.getPtrTy();
    llvm::Value* memory = scratch(here, llvm::ArrayType::get(lanes, operands.size()));
    // The variant for a key and an offset that are the same in all lanes; of others there is one for all.
    unsigned single = 0;
    if (callee.is_drawn && lanes->isVectorTy() && llvm::getSplatValue(operands[0]) && llvm::getSplatValue(operands[1]))
        single = drawn_of_one_stream;
    std::array<llvm::Value*, 3> places;
    places.fill(llvm::Constant::getNullValue(pointer));
    for (size_t k = 0; k < operands.size(); ++k) {
        places[k] = here.CreateConstInBoundsGEP1_64(lanes, memory, k);
        here.CreateStore(single >> k & 1 ? llvm::getSplatValue(operands[k]) : operands[k], places[k]);
    }
    const auto* vector = llvm::dyn_cast<llvm::FixedVectorType>(lanes);
    auto* signature =
        llvm::FunctionType::get(here.getInt32Ty(), {pointer, pointer, pointer, pointer, here.getInt64Ty()}, false);
    llvm::FunctionCallee routine = here.GetInsertBlock()->getModule()->getOrInsertFunction(
        helper_symbol(callee, lane) + (single ? stream_suffix : ""), signature);
    auto* function = llvm::cast<llvm::Function>(routine.getCallee());
    function->setDoesNotThrow();
    function->addFnAttr(llvm::Attribute::NonLazyBind);
    function->setOnlyAccessesArgMemory();
    llvm::Value* result = places[operands.size() - 1];
    here.CreateCall(routine,
                    {result, places[0], places[1], places[2], here.getInt64(vector ? vector->getNumElements() : 1)});
    return here.CreateLoad(lanes, result);
}

std::string helper_symbol(const scalar::Function& helper, Lane lane) {
    for (const HelperElement& element : helper_elements)
        if (element.lane == lane) return symbol_of(helper, element);
    return {};
}

std::string product_symbol(DType dtype) { return "tenon.product." + std::string(name_of(dtype)); }
std::string scatter_symbol(DType dtype) { return "tenon.scatter." + std::string(name_of(dtype)); }

void for_each_helper(InstructionSet instructions, llvm::function_ref<void(const std::string&, void*)> visit) {
    for (const scalar::Function* function : scalar::all_functions()) {
        if (!function->is_helper && !function->is_drawn) continue;
        for (const HelperElement& element : helper_elements)
            if (const Routine* routine = find_routine(function->name, element.dtype, instructions)) {
                visit(symbol_of(*function, element), reinterpret_cast<void*>(routine->variants[0]));
                if (function->is_drawn)
                    visit(symbol_of(*function, element) + stream_suffix,
                          reinterpret_cast<void*>(routine->variants[drawn_of_one_stream]));
            }
    }
    for (DType dtype : {DType::f32, DType::f64}) {
        visit(product_symbol(dtype), reinterpret_cast<void*>(contract::find_tile_function(dtype, instructions)));
        visit(scatter_symbol(dtype), reinterpret_cast<void*>(contract::find_scatter_function(dtype)));
    }
}

}  // namespace tenon::llvm_engine
