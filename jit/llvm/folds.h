// Folds in the one order that every engine keeps: 32 lanes over chunks of 1,024 elements, or rows in chunks of 64;
// chunks of chunks are folded like elements.
#pragma once
#include <optional>
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

struct Columns {  ///< of a vector loop, from first to end: at most `block`
    llvm::Value *first, *end;
    int64_t lanes, block;
    bool masked;
};
struct Rows {  ///< that each column folds
    llvm::Value *low, *high;
    std::optional<int64_t> most;  ///< an upper bound of their number, where it is known
    int64_t together = 1;         ///< gone through at a time, a power of two
};
/// A value of each column of a block, in memory on the stack.
class FoldedColumns {
public:
    FoldedColumns(CodeBuilder& code, DType dtype, const Columns& columns);
    llvm::Value* load(CodeBuilder& code, const Held& column) const;
    void store(CodeBuilder& code, const Held& column, llvm::Value* value) const;

private:
    llvm::Value* place(CodeBuilder& code, const Held& column) const;
    llvm::Value *memory_, *first_;
    llvm::Type* type_;  // of an element there
    bool truth_;
};
/// The fold of each column, by rows. `define(column)` comes before fold.element(row), which is an element in that column.
FoldedColumns emit_fold_of_columns(CodeBuilder& code, const Fold& fold, const Columns& columns, const Rows& rows,
                                   llvm::function_ref<void(Held column)> define);

/// The fold of the elements from low to high. Throws Error "internal" for an op that does not fold.
llvm::Value* emit_fold(CodeBuilder& code, const Fold& fold, llvm::Value* low, llvm::Value* high);

}  // namespace tenon::llvm_engine
