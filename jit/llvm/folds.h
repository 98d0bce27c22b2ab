// Folds in the one order that every engine keeps: 32 lanes over chunks of 1,024 elements, or rows in chunks of 64;
// chunks of chunks are folded like elements.
#pragma once
#include <string_view>

#include "jit/llvm/code_builder.h"
#include "runtime/dtype.h"

namespace tenon::llvm_engine {

struct Fold {
    std::string_view op;
    DType dtype;
    bool by_lanes;  ///< otherwise by rows: every lane at hand folds for itself
    bool masked;    ///< may elements be computed under a mask?
    llvm::function_ref<llvm::Value*(Held index)> element;
};

/// The fold of the elements from low to high. Throws Error "internal" for an op that does not fold.
llvm::Value* emit_fold(CodeBuilder& code, const Fold& fold, llvm::Value* low, llvm::Value* high);

}  // namespace tenon::llvm_engine
