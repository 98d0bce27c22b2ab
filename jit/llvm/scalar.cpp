#include "jit/llvm/scalar.h"

#include "jit/llvm/translation.h"

namespace tenon::llvm_engine {

namespace {

// ---- 16-bit floats ----

llvm::Value* bfloat_bits(IRBuilder& builder, llvm::Value* x) {
    return translate(builder, scalar::bfloat16_bits(), {&x, 1});
}

llvm::Value* from_bfloat_bits(IRBuilder& builder, llvm::Value* bits) {
    return translate(builder, scalar::float_of_bfloat16(), {&bits, 1});
}

llvm::Value* rounded(IRBuilder& builder, DType dtype, llvm::Value* x) {
    if (dtype == DType::f16) {
        llvm::Type* half = with_lanes_of(builder.getHalfTy(), x->getType());
        return builder.CreateFPExt(builder.CreateFPTrunc(x, half), x->getType());
    }
    if (dtype == DType::bf16) return from_bfloat_bits(builder, bfloat_bits(builder, x));
    return x;
}

llvm::Value* as_byte(IRBuilder& builder, llvm::Value* truth) {
    return builder.CreateZExt(truth, with_lanes_of(builder.getInt8Ty(), truth->getType()));
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
            return from_bfloat_bits(builder, wide);
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
    if (const scalar::Function* function = scalar::find_function(op); function && function->is_drawn)
        return call_routine(builder, *function, scalar::lane_of(dtype), operands);
    const std::optional<scalar::Program> program = scalar::program_of(op, dtype);
    if (!program || size_t(program->arity) != operands.size()) return nullptr;
    const bool is_bool = dtype == DType::boolean;
    llvm::Value* held[3] = {};
    for (size_t k = 0; k < operands.size(); ++k) {
        const bool condition = k == 0 && program->arity == 3;
        held[k] = is_bool && !condition ? as_byte(builder, operands[k]) : operands[k];
    }
    const std::span<llvm::Value* const> values(held, operands.size());
    if (fault)
        if (const auto faults = scalar::fault_of(op, dtype)) *fault = translate(builder, *faults, values);
    llvm::Value* result = translate(builder, *program, values);
    if (program->lane() == scalar::Lane::mask) return result;
    if (is_bool) return builder.CreateTrunc(result, with_lanes_of(builder.getInt1Ty(), result->getType()));
    return scalar::find_function(op)->is_exact ? result : rounded(builder, dtype, result);
}

llvm::Value* emit_cast(IRBuilder& builder, DType from, DType to, llvm::Value* x) {
    if (from == to) return x;
    if (from == DType::boolean) x = as_byte(builder, x);
    if (to != DType::boolean && scalar::lane_of(from) == scalar::lane_of(to)) return rounded(builder, to, x);
    llvm::Value* result = translate(builder, scalar::cast_program(from, to), {&x, 1});
    return to == DType::boolean ? result : rounded(builder, to, result);
}

}  // namespace tenon::llvm_engine
