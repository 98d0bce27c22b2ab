#include "jit/llvm/index_arithmetic.h"

#include "ir/index_arithmetic.h"

namespace tenon::llvm_engine {

namespace {

std::optional<Held> affine(IRBuilder& here, IndexOp op, const Held& a, const Held& b) {
    llvm::Value* zero = here.getInt64(0);
    const auto stride_of = [&](const Held& h) { return h.stride ? h.stride : zero; };
    const bool uniform = !a.stride && !b.stride;
    if (op == IndexOp::add)
        return Held{here.CreateAdd(a.value, b.value), uniform ? nullptr : here.CreateAdd(stride_of(a), stride_of(b))};
    if (op == IndexOp::sub)
        return Held{here.CreateSub(a.value, b.value), uniform ? nullptr : here.CreateSub(stride_of(a), stride_of(b))};
    if (op != IndexOp::mul || (a.stride && b.stride)) return std::nullopt;
    llvm::Value* product = here.CreateMul(a.value, b.value);
    if (uniform) return Held{product};
    return Held{product, a.stride ? here.CreateMul(a.stride, b.value) : here.CreateMul(a.value, b.stride)};
}

// ⌊a / b⌋ and its remainder.
llvm::Value* divide(IRBuilder& here, llvm::Value* a, llvm::Value* b, bool remainder) {
    llvm::Value *zero = llvm::Constant::getNullValue(b->getType()), *one = llvm::ConstantInt::get(b->getType(), 1);
    llvm::Value* divisor = here.CreateSelect(here.CreateICmpEQ(b, zero), one, b);
    llvm::Value* rest = here.CreateSRem(a, divisor);
    llvm::Value* apart = here.CreateICmpSLT(here.CreateXor(rest, divisor), zero);
    llvm::Value* move = here.CreateAnd(apart, here.CreateICmpNE(rest, zero));
    if (remainder) return here.CreateSelect(move, here.CreateAdd(rest, divisor), rest);
    llvm::Value* quotient = here.CreateSDiv(a, divisor);
    return here.CreateSelect(move, here.CreateSub(quotient, one), quotient);
}

}  // namespace

std::optional<Held> index_arithmetic(CodeBuilder& code, IndexOp op, const Held& a, const Held& b) {
    if (!a.is_vector() && !b.is_vector())
        if (const std::optional<Held> made = affine(code.here(), op, a, b)) return made;
    if (!divides(op)) return std::nullopt;
    llvm::Value* values[] = {code.expanded(a), code.expanded(b)};
    code.level(values);
    return Held{divide(code.here(), values[0], values[1], op == IndexOp::remainder)};
}

}  // namespace tenon::llvm_engine
