#include "jit/llvm/scalar.h"

#include <algorithm>
#include <array>

#include <llvm/IR/MDBuilder.h>

#include "ir/scalar/functions.h"

namespace tenon::llvm_engine {

llvm::Type* with_lanes_of(llvm::Type* type, llvm::Type* like) {
    if (const auto* vector = llvm::dyn_cast<llvm::FixedVectorType>(like))
        return llvm::FixedVectorType::get(type, vector->getNumElements());
    return type;
}

llvm::Value* any_lane(IRBuilder& builder, llvm::Value* mask) {
    return mask->getType()->isVectorTy() ? builder.CreateOrReduce(mask) : mask;
}

llvm::Value* select_rarely(IRBuilder& builder, llvm::Value* mask, llvm::Value* usual,
                           llvm::function_ref<llvm::Value*()> slow) {
    llvm::BasicBlock* before = builder.GetInsertBlock();
    llvm::Function* function = before->getParent();
    auto* rare = llvm::BasicBlock::Create(builder.getContext(), "rare", function);
    auto* join = llvm::BasicBlock::Create(builder.getContext(), "join", function);
    llvm::Value* needed = any_lane(builder, mask);
    builder.CreateCondBr(needed, rare, join, llvm::MDBuilder(builder.getContext()).createBranchWeights(1, 1000));
    before = builder.GetInsertBlock();
    builder.SetInsertPoint(rare);
    llvm::Value* computed = slow();
    llvm::Value* chosen = builder.CreateSelect(mask, computed, usual);
    llvm::BasicBlock* after = builder.GetInsertBlock();
    builder.CreateBr(join);
    builder.SetInsertPoint(join);
    llvm::PHINode* result = builder.CreatePHI(usual->getType(), 2);
    result->addIncoming(usual, before);
    result->addIncoming(chosen, after);
    return result;
}

namespace {

using Emit = llvm::Value* (*)(IRBuilder&, llvm::Value* const* operands, llvm::Value** fault);

template <class F, class V>
concept CanFault = std::is_integral_v<scalar::Element<V>> && requires(V v) { F::fault(v, v); };

template <class F, class T, int arity>
llvm::Value* emit(IRBuilder& builder, llvm::Value* const* operands, llvm::Value** fault) {
    using V = Lanes<T>;
    if constexpr (arity == 1) return F::of(V{operands[0], &builder}).value;
    else if constexpr (arity == 2) {
        const V a{operands[0], &builder}, b{operands[1], &builder};
        if constexpr (CanFault<F, V>) {
            if (fault) *fault = F::fault(a, b).value;
        }
        return F::of(a, b).value;
    } else return F::of(LaneMask{operands[0], &builder}, V{operands[1], &builder}, V{operands[2], &builder}).value;
}

// ---- the table: functions by name, elements in this order ----

template <class... T> struct Elements {};
using Computed = Elements<double, float, int64_t, int32_t, int16_t, int8_t, uint8_t>;

int element_of(DType d) {
    switch (d) {
        case DType::f64: return 0;
        case DType::f32:
        case DType::f16:
        case DType::bf16: return 1;
        case DType::i64: return 2;
        case DType::i32: return 3;
        case DType::i16: return 4;
        case DType::i8: return 5;
        case DType::u8:
        case DType::boolean: return 6;
    }
    return 0;
}

struct Definition {
    std::string_view name;
    int arity;
    scalar::Result result;
    std::array<Emit, 7> emit;
};

template <class F, scalar::Domain domain, int arity, class T>
constexpr Emit entry() {
    if constexpr (scalar::is_in<T>(domain)) return &emit<F, T, arity>;
    else return nullptr;
}
template <class F, scalar::Domain domain, int arity, class... T>
constexpr std::array<Emit, 7> entries(Elements<T...>) {
    return {entry<F, domain, arity, T>()...};
}

const Definition definitions[] = {
#define TENON_DEFINITION(name, arity, Struct, domain, result) \
    {name, arity, scalar::Result::result, entries<scalar::Struct, scalar::Domain::domain, arity>(Computed{})},
    TENON_SCALAR_FUNCTIONS(TENON_DEFINITION)
#undef TENON_DEFINITION
};

const Definition* find_definition(std::string_view name) {
    const auto found = std::find_if(std::begin(definitions), std::end(definitions),
                                    [&](const Definition& d) { return d.name == name; });
    return found == std::end(definitions) ? nullptr : found;
}

// Ops whose result is an operand, its negation or a small integer: nothing to round.
bool is_exact(std::string_view op) {
    static constexpr std::string_view names[] = {"abs",  "ceil",  "floor", "maximum", "minimum", "neg",
                                                 "relu", "round", "sign",  "trunc",   "where"};
    return std::binary_search(std::begin(names), std::end(names), op);
}

// ---- 16-bit floats ----

llvm::Value* bfloat_bits(IRBuilder& builder, llvm::Value* x) {
    return scalar::BFloat16FromFloat::of(Lanes<float>{x, &builder}).value;
}

llvm::Value* rounded(IRBuilder& builder, DType dtype, llvm::Value* x) {
    if (dtype == DType::f16) {
        llvm::Type* half = with_lanes_of(builder.getHalfTy(), x->getType());
        return builder.CreateFPExt(builder.CreateFPTrunc(x, half), x->getType());
    }
    if (dtype == DType::bf16)
        return scalar::FloatFromBFloat16::of(Lanes<int32_t>{bfloat_bits(builder, x), &builder}).value;
    return x;
}

llvm::Value* as_byte(IRBuilder& builder, llvm::Value* truth) {
    return builder.CreateZExt(truth, with_lanes_of(builder.getInt8Ty(), truth->getType()));
}

template <class From, class... To>
llvm::Value* cast_from(IRBuilder& builder, int to, llvm::Value* x, Elements<To...>) {
    const Lanes<From> source{x, &builder};
    llvm::Value* result = nullptr;
    int k = 0;
    ((k++ == to ? void(result = scalar::Cast<To>::of(source).value) : void()), ...);
    return result;
}
template <class... From>
llvm::Value* cast_element(IRBuilder& builder, int from, int to, llvm::Value* x, Elements<From...> all) {
    llvm::Value* result = nullptr;
    int k = 0;
    ((k++ == from ? void(result = cast_from<From>(builder, to, x, all)) : void()), ...);
    return result;
}
template <class... From>
llvm::Value* truth_of(IRBuilder& builder, int from, llvm::Value* x, Elements<From...>) {
    llvm::Value* result = nullptr;
    int k = 0;
    ((k++ == from ? void(result = scalar::truth(Lanes<From>{x, &builder}).value) : void()), ...);
    return result;
}

}  // namespace

llvm::Type* register_type(llvm::LLVMContext& context, DType dtype) {
    switch (dtype) {
        case DType::f64: return llvm::Type::getDoubleTy(context);
        case DType::f32:
        case DType::f16:
        case DType::bf16: return llvm::Type::getFloatTy(context);
        case DType::boolean: return llvm::Type::getInt1Ty(context);
        default: return llvm::Type::getIntNTy(context, unsigned(8 * size_of(dtype)));
    }
}

llvm::Type* memory_type(llvm::LLVMContext& context, DType dtype) {
    switch (dtype) {
        case DType::f16: return llvm::Type::getHalfTy(context);
        case DType::bf16: return llvm::Type::getInt16Ty(context);
        case DType::boolean: return llvm::Type::getInt8Ty(context);
        default: return register_type(context, dtype);
    }
}

llvm::Value* from_memory(IRBuilder& builder, DType dtype, llvm::Value* stored) {
    llvm::Type* like = stored->getType();
    switch (dtype) {
        case DType::f16: return builder.CreateFPExt(stored, with_lanes_of(builder.getFloatTy(), like));
        case DType::bf16: {
            llvm::Value* wide = builder.CreateZExt(stored, with_lanes_of(builder.getInt32Ty(), like));
            return scalar::FloatFromBFloat16::of(Lanes<int32_t>{wide, &builder}).value;
        }
        case DType::boolean: return builder.CreateICmpNE(stored, llvm::Constant::getNullValue(like));
        default: return stored;
    }
}

llvm::Value* to_memory(IRBuilder& builder, DType dtype, llvm::Value* held) {
    llvm::Type* like = held->getType();
    switch (dtype) {
        case DType::f16: return builder.CreateFPTrunc(held, with_lanes_of(builder.getHalfTy(), like));
        case DType::bf16: {  // already rounded: the upper half is all of it
            llvm::Value* whole = builder.CreateBitCast(held, with_lanes_of(builder.getInt32Ty(), like));
            return builder.CreateTrunc(builder.CreateLShr(whole, 16), with_lanes_of(builder.getInt16Ty(), like));
        }
        case DType::boolean: return as_byte(builder, held);
        default: return held;
    }
}

llvm::Constant* constant_of(llvm::LLVMContext& context, DType dtype, double real, int64_t integer) {
    llvm::Type* type = register_type(context, dtype);
    switch (dtype) {
        case DType::f64: return llvm::ConstantFP::get(type, real);
        case DType::f32: return llvm::ConstantFP::get(type, double(float(real)));
        case DType::f16: return llvm::ConstantFP::get(type, double(float(Half(float(real)))));
        case DType::bf16: return llvm::ConstantFP::get(type, double(float(BFloat16(float(real)))));
        case DType::boolean: return llvm::ConstantInt::getBool(context, integer != 0);
        default: return llvm::ConstantInt::get(type, uint64_t(integer), is_signed(dtype));
    }
}

llvm::Value* emit_scalar(IRBuilder& builder, std::string_view op, DType dtype, std::span<llvm::Value* const> operands,
                         llvm::Value** fault) {
    const bool is_bool = dtype == DType::boolean;
    if (is_bool && (op == "bitwise_not" || op == "logical_not")) return builder.CreateNot(operands[0]);
    const Definition* definition = find_definition(op);
    if (!definition || size_t(definition->arity) != operands.size()) return nullptr;
    const Emit emit = definition->emit[size_t(element_of(dtype))];
    if (!emit) return nullptr;
    llvm::Value* held[3] = {};
    for (size_t k = 0; k < operands.size(); ++k) {
        const bool condition = k == 0 && definition->arity == 3;
        held[k] = is_bool && !condition ? as_byte(builder, operands[k]) : operands[k];
    }
    llvm::Value* result = emit(builder, held, fault);
    if (definition->result == scalar::Result::boolean) return result;
    if (is_bool) return builder.CreateTrunc(result, with_lanes_of(builder.getInt1Ty(), result->getType()));
    return is_exact(op) ? result : rounded(builder, dtype, result);
}

llvm::Value* emit_cast(IRBuilder& builder, DType from, DType to, llvm::Value* x) {
    if (from == to) return x;
    if (from == DType::boolean) x = as_byte(builder, x);
    if (to == DType::boolean) return truth_of(builder, element_of(from), x, Computed{});
    const int source = element_of(from), target = element_of(to);
    llvm::Value* result = source == target ? x : cast_element(builder, source, target, x, Computed{});
    return rounded(builder, to, result);
}

}  // namespace tenon::llvm_engine
