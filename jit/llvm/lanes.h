// Values of any number of lanes: scalars, or vectors whose lanes are computed alike.
#pragma once
#include <llvm/IR/IRBuilder.h>

namespace tenon::llvm_engine {

using IRBuilder = llvm::IRBuilder<>;

/// `type` with the lanes of `like`: itself, or a vector of as many.
llvm::Type* with_lanes_of(llvm::Type* type, llvm::Type* like);
/// Is any lane true?
llvm::Value* any_lane(IRBuilder& builder, llvm::Value* mask);

}  // namespace tenon::llvm_engine
