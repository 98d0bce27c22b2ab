// Elementwise ops on LLVM values of any number of lanes, by the name of their row: the definitions of ir/scalar/.
//
// How a scalar of each dtype is held in a register: f16 and bf16 as a float that is one of theirs, bool as an i1, the
// others as themselves.
#pragma once
#include <span>
#include <string_view>

#include "jit/llvm/lanes.h"
#include "runtime/dtype.h"

namespace tenon::llvm_engine {

/// The type of one lane in a register, and in memory (bool: i8; bf16: i16; f16: half).
llvm::Type* register_type(llvm::LLVMContext&, DType);
llvm::Type* memory_type(llvm::LLVMContext&, DType);
/// Between the two; `like` has the lanes.
llvm::Value* from_memory(IRBuilder&, DType, llvm::Value* stored);
llvm::Value* to_memory(IRBuilder&, DType, llvm::Value* held);

/// A constant held in a register: rounded to the dtype. `integer` counts where the dtype is not a float.
llvm::Constant* constant_of(llvm::LLVMContext&, DType, double real, int64_t integer);

/// The op named on operands of `dtype` (those after the condition for `where`), all with the same lanes. The result is
/// a mask for a predicate, otherwise of `dtype`. `fault`, where the op can fail, receives the mask of lanes where it
/// does. Null where the op has no scalar definition for the dtype.
llvm::Value* emit_scalar(IRBuilder&, std::string_view op, DType dtype, std::span<llvm::Value* const> operands,
                         llvm::Value** fault = nullptr);
llvm::Value* emit_cast(IRBuilder&, DType from, DType to, llvm::Value* x);

}  // namespace tenon::llvm_engine
