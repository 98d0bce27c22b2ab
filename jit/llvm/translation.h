// The programs of ir/scalar/ as LLVM values of any number of lanes, with the bits of every engine. What a program calls
// (a helper function) is the interpreter's routine of that name: rare and large parts are no code of the kernel.
#pragma once
#include <span>
#include <string>

#include "ir/scalar/program.h"
#include "jit/llvm/lanes.h"
#include "runtime/cpu.h"

namespace tenon::llvm_engine {

/// The program's result for operands of the types of its parameters, all with the same lanes.
llvm::Value* translate(IRBuilder&, const scalar::Program&, std::span<llvm::Value* const> operands);

/// Calls the interpreter's routine of a function that `for_each_helper` names; the result has the operands' lanes.
llvm::Value* call_routine(IRBuilder&, const scalar::Function&, scalar::Lane, std::span<llvm::Value* const> operands);

/// The symbol of a helper function on f32, i64 and so on, which is a Routine::Function.
std::string helper_symbol(const scalar::Function&, scalar::Lane);
/// The symbol of the function for products of tiles (jit/contract/tile.h), of f32 and f64.
std::string product_symbol(DType);
/// The same of the function for scatters.
std::string scatter_symbol(DType);
/// Calls visit(symbol, address) for each of both, and for functions that are drawn.
void for_each_helper(InstructionSet, llvm::function_ref<void(const std::string&, void*)> visit);

}  // namespace tenon::llvm_engine
