// The vector algebra on LLVM values: Lanes<T> is a value of type T, or of <n x T>, whose operators emit instructions.
// The definitions of ir/scalar/, instantiated on it, become code of any number of lanes with the bits of every engine.
#pragma once
#include <concepts>
#include <cstdint>
#include <type_traits>

#include <llvm/IR/IRBuilder.h>

#include "ir/scalar/algebra.h"

namespace tenon::llvm_engine {

using IRBuilder = llvm::IRBuilder<>;

/// The scalar type that holds an element in a register.
template <class T>
llvm::Type* element_type(llvm::LLVMContext& context) {
    if constexpr (std::is_same_v<T, float>) return llvm::Type::getFloatTy(context);
    else if constexpr (std::is_same_v<T, double>) return llvm::Type::getDoubleTy(context);
    else return llvm::Type::getIntNTy(context, 8 * sizeof(T));
}

/// `type` with the lanes of `like`: itself, or a vector of as many.
llvm::Type* with_lanes_of(llvm::Type* type, llvm::Type* like);
/// Is any lane true?
llvm::Value* any_lane(IRBuilder& builder, llvm::Value* mask);
/// The lanes of `slow` where `mask` is set, otherwise those of `usual`; slow runs only where some lane needs it.
llvm::Value* select_rarely(IRBuilder& builder, llvm::Value* mask, llvm::Value* usual,
                           llvm::function_ref<llvm::Value*()> slow);

struct LaneMask {
    llvm::Value* value = nullptr;  // i1 or <n x i1>
    IRBuilder* builder = nullptr;

    friend LaneMask operator&(LaneMask a, LaneMask b) { return {a.builder->CreateAnd(a.value, b.value), a.builder}; }
    friend LaneMask operator|(LaneMask a, LaneMask b) { return {a.builder->CreateOr(a.value, b.value), a.builder}; }
    friend LaneMask operator^(LaneMask a, LaneMask b) { return {a.builder->CreateXor(a.value, b.value), a.builder}; }
    friend LaneMask operator!(LaneMask a) { return {a.builder->CreateNot(a.value), a.builder}; }
};

template <class T>
struct Lanes {
    using Element = T;
    template <class U> using With = Lanes<U>;
    using Mask = LaneMask;
    static constexpr bool is_float = std::is_floating_point_v<T>, is_signed = std::is_signed_v<T>;

    llvm::Value* value = nullptr;
    IRBuilder* builder = nullptr;

    friend Lanes operator+(Lanes a, Lanes b) {
        return a.made(is_float ? a.builder->CreateFAdd(a.value, b.value) : a.builder->CreateAdd(a.value, b.value));
    }
    friend Lanes operator-(Lanes a, Lanes b) {
        return a.made(is_float ? a.builder->CreateFSub(a.value, b.value) : a.builder->CreateSub(a.value, b.value));
    }
    friend Lanes operator*(Lanes a, Lanes b) {
        return a.made(is_float ? a.builder->CreateFMul(a.value, b.value) : a.builder->CreateMul(a.value, b.value));
    }
    friend Lanes operator/(Lanes a, Lanes b) { return a.made(a.builder->CreateFDiv(a.value, b.value)); }
    friend Lanes operator-(Lanes a) {
        return a.made(is_float ? a.builder->CreateFNeg(a.value) : a.builder->CreateNeg(a.value));
    }
    friend Lanes operator&(Lanes a, Lanes b) { return a.made(a.builder->CreateAnd(a.value, b.value)); }
    friend Lanes operator|(Lanes a, Lanes b) { return a.made(a.builder->CreateOr(a.value, b.value)); }
    friend Lanes operator^(Lanes a, Lanes b) { return a.made(a.builder->CreateXor(a.value, b.value)); }
    friend Lanes operator~(Lanes a) { return a.made(a.builder->CreateNot(a.value)); }

    using P = llvm::CmpInst::Predicate;
    friend Mask operator<(Lanes a, Lanes b) { return compare(a, b, P::FCMP_OLT, P::ICMP_SLT, P::ICMP_ULT); }
    friend Mask operator<=(Lanes a, Lanes b) { return compare(a, b, P::FCMP_OLE, P::ICMP_SLE, P::ICMP_ULE); }
    friend Mask operator>(Lanes a, Lanes b) { return compare(a, b, P::FCMP_OGT, P::ICMP_SGT, P::ICMP_UGT); }
    friend Mask operator>=(Lanes a, Lanes b) { return compare(a, b, P::FCMP_OGE, P::ICMP_SGE, P::ICMP_UGE); }
    friend Mask operator==(Lanes a, Lanes b) { return compare(a, b, P::FCMP_OEQ, P::ICMP_EQ, P::ICMP_EQ); }
    friend Mask operator!=(Lanes a, Lanes b) { return compare(a, b, P::FCMP_UNE, P::ICMP_NE, P::ICMP_NE); }

    friend Lanes like(Lanes x, T c) { return x.made(constant(x.value->getType(), c)); }
    friend Lanes select(Mask m, Lanes a, Lanes b) { return a.made(a.builder->CreateSelect(m.value, a.value, b.value)); }
    friend Lanes fma(Lanes a, Lanes b, Lanes c) {
        return a.made(
            a.builder->CreateIntrinsic(a.value->getType(), llvm::Intrinsic::fma, {a.value, b.value, c.value}));
    }
    friend Lanes sqrt(Lanes a) { return a.intrinsic(llvm::Intrinsic::sqrt); }
    friend Lanes abs(Lanes a) { return a.intrinsic(llvm::Intrinsic::fabs); }
    friend Lanes floor(Lanes a) { return a.intrinsic(llvm::Intrinsic::floor); }
    friend Lanes ceil(Lanes a) { return a.intrinsic(llvm::Intrinsic::ceil); }
    friend Lanes trunc(Lanes a) { return a.intrinsic(llvm::Intrinsic::trunc); }
    friend Lanes round_even(Lanes a) { return a.intrinsic(llvm::Intrinsic::roundeven); }
    friend Lanes quotient(Lanes a, Lanes b) {
        return a.made(is_signed ? a.builder->CreateSDiv(a.value, b.value) : a.builder->CreateUDiv(a.value, b.value));
    }
    friend Lanes shift_left(Lanes a, Lanes n) { return a.made(a.builder->CreateShl(a.value, n.value)); }
    friend Lanes shift_right(Lanes a, Lanes n) {
        return a.made(is_signed ? a.builder->CreateAShr(a.value, n.value) : a.builder->CreateLShr(a.value, n.value));
    }
    friend Lanes shift_left(Lanes a, int n) { return shift_left(a, like(a, T(n))); }
    friend Lanes shift_right(Lanes a, int n) { return shift_right(a, like(a, T(n))); }

    friend auto bits(Lanes a) { return a.template reinterpreted<typename scalar::IntegerOf<T>::Type>(); }
    friend auto float_bits(Lanes a) {
        return a.template reinterpreted<std::conditional_t<sizeof(T) == 4, float, double>>();
    }
    friend Lanes rarely(Mask m, Lanes usual, auto slow) {
        return usual.made(select_rarely(*usual.builder, m.value, usual.value, [&] { return slow().value; }));
    }

    template <class U>
    llvm::Type* type_of() const {
        return with_lanes_of(element_type<U>(builder->getContext()), value->getType());
    }
    template <class U>
    Lanes<U> converted() const {
        llvm::Type* to = type_of<U>();
        if constexpr (is_float && Lanes<U>::is_float) return {builder->CreateFPCast(value, to), builder};
        else if constexpr (is_float) {
            // What does not fit is any value, but one and the same wherever it is used.
            llvm::Value* out =
                Lanes<U>::is_signed ? builder->CreateFPToSI(value, to) : builder->CreateFPToUI(value, to);
            return {builder->CreateFreeze(out), builder};
        } else if constexpr (Lanes<U>::is_float)
            return {is_signed ? builder->CreateSIToFP(value, to) : builder->CreateUIToFP(value, to), builder};
        else return {builder->CreateIntCast(value, to, is_signed), builder};
    }
    static llvm::Constant* constant(llvm::Type* type, T c) {
        if constexpr (is_float) return llvm::ConstantFP::get(type, double(c));
        else return llvm::ConstantInt::get(type, uint64_t(int64_t(c)), is_signed);
    }

private:
    Lanes made(llvm::Value* v) const { return {v, builder}; }
    Lanes intrinsic(llvm::Intrinsic::ID id) const { return made(builder->CreateUnaryIntrinsic(id, value)); }
    static Mask compare(Lanes a, Lanes b, P ordered, P with_sign, P without_sign) {
        if constexpr (is_float) return {a.builder->CreateFCmp(ordered, a.value, b.value), a.builder};
        else return {a.builder->CreateICmp(is_signed ? with_sign : without_sign, a.value, b.value), a.builder};
    }
    template <class U>
    Lanes<U> reinterpreted() const {
        return {builder->CreateBitCast(value, type_of<U>()), builder};
    }
};

template <class U, class T>
Lanes<U> convert(Lanes<T> x) {
    return x.template converted<U>();
}

template <class U, class T>
Lanes<U> like_as(Lanes<T> x, std::type_identity_t<U> c) {
    return {Lanes<U>::constant(x.template type_of<U>(), c), x.builder};
}

}  // namespace tenon::llvm_engine
