#include "jit/llvm/folds.h"

#include <algorithm>
#include <bit>

#include "ir/fold_order.h"
#include "jit/literal.h"
#include "jit/llvm/scalar.h"
#include "jit/llvm/translation.h"

namespace tenon::llvm_engine {

namespace {

constexpr int64_t fold_lanes = fold_order::lanes, lane_chunk = fold_order::lanes_chunk,
                  row_chunk = fold_order::rows_chunk;

using Values = CodeBuilder::Values;
using Carried = CodeBuilder::Carried;

class FoldEmitter {
public:
    FoldEmitter(CodeBuilder& code, const Fold& fold) : code_(code), here_(code.here()), fold_(fold), start_(fold_identity(fold.op, fold.dtype)) {
        identity_ = constant_of(code.context(), fold.dtype, start_.real, start_.integer);
    }

    llvm::Value* emit(llvm::Value* low, llvm::Value* high) {
        const std::optional<int64_t> count = constant_in(here_.CreateSub(high, low));
        llvm::Value* result = fold_.by_lanes ? by_lanes(low, high, count) : by_rows(low, high, row_levels(count));
        if (begins_below_zero(start_, fold_.dtype) && (!count || *count <= 0)) {  // an empty sum is +0.0
            llvm::Value* zero = llvm::Constant::getNullValue(result->getType());
            result = here_.CreateSelect(here_.CreateICmpSLT(low, high), result, zero);
        }
        return result;
    }

    FoldedColumns emit_columns(const Columns& columns, const Rows& rows, llvm::function_ref<void(Held)> define) {
        const FoldedColumns out(code_, fold_.dtype, columns);
        const std::optional<int64_t> count = constant_in(here_.CreateSub(rows.high, rows.low));
        fold_columns(out, columns, rows, row_levels(count ? count : rows.most), define);
        if (begins_below_zero(start_, fold_.dtype) && (!count || *count <= 0))  // an empty sum is +0.0
            code_.when(here_.CreateICmpSGE(rows.low, rows.high), {}, [&] {
                each(columns, [&](Held i) {
                    llvm::Value* zero = llvm::Constant::getNullValue(identity_->getType());
                    out.store(code_, i, code_.splat(zero, code_.lanes()));
                });
                return Values();
            });
        return out;
    }

private:
    llvm::Value* combine(llvm::Value* a, llvm::Value* b) {
        llvm::Value* operands[] = {a, b};
        if (a->getType()->isVectorTy() && !b->getType()->isVectorTy())
            operands[1] =
                here_.CreateVectorSplat(llvm::cast<llvm::FixedVectorType>(a->getType())->getElementCount(), b);
        return emit_scalar(here_, fold_.op, fold_.dtype, operands);
    }

    // ---- rows

    // How often chunks of chunks are needed: 2^42 rows where the number is not known.
    static int row_levels(std::optional<int64_t> count) {
        int levels = 0;
        for (int64_t chunk = row_chunk; count ? chunk < *count : levels < 6; chunk *= row_chunk) ++levels;
        return levels;
    }

    // In order within chunks of 64 elements; 64 of these are again a chunk.
    llvm::Value* by_rows(llvm::Value* low, llvm::Value* high, int level) {
        int64_t step = 1;
        for (int k = 0; k < level; ++k) step *= row_chunk;
        llvm::Value* initial = code_.splat(identity_, code_.lanes());
        return code_.loop(low, high, step, {initial}, [&](llvm::Value* i, Carried carried) {
            llvm::Value* x = nullptr;
            if (level == 0) x = fold_.element({i});
            else {
                llvm::Value* end = here_.CreateAdd(i, here_.getInt64(uint64_t(step)));
                x = by_rows(i, here_.CreateBinaryIntrinsic(llvm::Intrinsic::smin, end, high), level - 1);
            }
            return Values{combine(carried[0], x)};
        })[0];
    }

    // ---- rows, of many columns together

    void each(const Columns& columns, llvm::function_ref<void(Held)> visit) {
        code_.in_vectors(columns.first, columns.end, columns.lanes, columns.masked, {}, [&](Held i, Carried) {
            visit(i);
            return Values();
        });
    }
    void fold_columns(const FoldedColumns& out, const Columns& columns, const Rows& rows, int level,
                      llvm::function_ref<void(Held)> define) {
        each(columns, [&](Held i) { out.store(code_, i, code_.splat(identity_, code_.lanes())); });
        if (level == 0) {
            const auto add_rows = [&](llvm::Value* from, llvm::Value* to, int64_t together) {
                code_.loop(from, to, together, [&](llvm::Value* row) {
                    each(columns, [&](Held i) {
                        define(i);
                        llvm::Value* x = out.load(code_, i);
                        for (int64_t r = 0; r < together; ++r)
                            x = combine(x, fold_.element({here_.CreateAdd(row, here_.getInt64(uint64_t(r)))}));
                        out.store(code_, i, x);
                    });
                });
            };
            if (rows.together == 1) return add_rows(rows.low, rows.high, 1);
            llvm::Value* count = here_.CreateBinaryIntrinsic(llvm::Intrinsic::smax,
                                                             here_.CreateSub(rows.high, rows.low), here_.getInt64(0));
            llvm::Value* whole =
                here_.CreateAdd(rows.low, here_.CreateAnd(count, here_.getInt64(uint64_t(-rows.together))));
            add_rows(rows.low, whole, rows.together);
            return add_rows(whole, rows.high, 1);
        }
        int64_t step = 1;
        for (int k = 0; k < level; ++k) step *= row_chunk;
        const FoldedColumns part(code_, fold_.dtype, columns);
        code_.loop(rows.low, rows.high, step, [&](llvm::Value* i) {
            llvm::Value* end = here_.CreateAdd(i, here_.getInt64(uint64_t(step)));
            Rows chunk = rows;
            chunk.low = i;
            chunk.high = here_.CreateBinaryIntrinsic(llvm::Intrinsic::smin, end, rows.high);
            fold_columns(part, columns, chunk, level - 1, define);
            each(columns, [&](Held c) { out.store(code_, c, combine(out.load(code_, c), part.load(code_, c))); });
        });
    }

    // ---- lanes

    // Element k of a chunk goes to lane k mod 32.
    llvm::Value* by_lanes(llvm::Value* low, llvm::Value* high, std::optional<int64_t> count) {
        if (count && *count <= lane_chunk) {
            const int64_t lanes =
                *count <= 0 ? 1 : std::min<int64_t>(fold_lanes, int64_t(std::bit_ceil(uint64_t(*count))));
            return chunk(low, high, lanes);
        }
        int levels = 1;
        for (int64_t reach = lane_chunk * lane_chunk; count ? reach < *count : levels < 3; reach *= lane_chunk)
            ++levels;
        auto* finished = code_.block("finished");
        Chunks whole = {high,
                        count ? nullptr : here_.CreateICmpSLE(here_.CreateSub(high, low), here_.getInt64(lane_chunk)),
                        finished,
                        {}};
        llvm::Value* result = chunks(whole, low, high, levels);
        whole.results.push_back({result, here_.GetInsertBlock()});
        here_.CreateBr(finished);
        here_.SetInsertPoint(finished);
        llvm::PHINode* either = here_.CreatePHI(result->getType(), unsigned(whole.results.size()));
        for (const auto& [value, from] : whole.results) either->addIncoming(value, from);
        return either;
    }

    struct Chunks {
        llvm::Value* high;
        llvm::Value* single;  // is there but one chunk? null: there are more
        llvm::BasicBlock* finished;
        std::vector<std::pair<llvm::Value*, llvm::BasicBlock*>> results;  // of the whole fold, by where they come from
    };

    // The results of chunks of 1,024^level elements from low to high, folded like elements.
    llvm::Value* chunks(Chunks& whole, llvm::Value* low, llvm::Value* high, int level) {
        int64_t step = 1;
        for (int k = 0; k < level; ++k) step *= lane_chunk;
        const bool truth = fold_.dtype == DType::boolean;
        llvm::Type* element = truth ? here_.getInt8Ty() : identity_->getType();
        auto* type = llvm::FixedVectorType::get(element, fold_lanes);
        llvm::AllocaInst* lanes = code_.entry().CreateAlloca(type);
        llvm::Value* first = llvm::ConstantVector::getSplat(llvm::ElementCount::getFixed(fold_lanes), identity_);
        here_.CreateStore(truth ? here_.CreateZExt(first, type) : first, lanes);
        code_.loop(low, high, step, [&](llvm::Value* i) {
            llvm::Value* end = here_.CreateBinaryIntrinsic(llvm::Intrinsic::smin,
                                                           here_.CreateAdd(i, here_.getInt64(uint64_t(step))), high);
            llvm::Value* x = level > 1 ? chunks(whole, i, end, level - 1) : chunk(i, end, fold_lanes);
            if (level == 1 && whole.single) {
                auto* more = code_.block("more");
                whole.results.push_back({x, here_.GetInsertBlock()});
                here_.CreateCondBr(whole.single, whole.finished, more);
                here_.SetInsertPoint(more);
            }
            llvm::Value* number = here_.CreateSDiv(here_.CreateSub(i, low), here_.getInt64(uint64_t(step)));
            llvm::Value* place =
                here_.CreateGEP(element, lanes, here_.CreateAnd(number, here_.getInt64(fold_lanes - 1)));
            llvm::Value* before = here_.CreateLoad(element, place);
            if (truth) before = here_.CreateTrunc(before, here_.getInt1Ty());
            llvm::Value* after = combine(before, x);
            here_.CreateStore(truth ? here_.CreateZExt(after, element) : after, place);
        });
        llvm::Value* all = here_.CreateLoad(type, lanes);
        if (truth) all = here_.CreateTrunc(all, llvm::FixedVectorType::get(here_.getInt1Ty(), fold_lanes));
        return halved(all, fold_lanes);
    }

    // Up to 1,024 elements, in `lanes` accumulators; lanes that no element reaches hold the identity.
    llvm::Value* chunk(llvm::Value* low, llvm::Value* high, int64_t lanes) {
        llvm::Value* initial = code_.splat(identity_, lanes);
        const auto step = [&](Held i, Carried carried) {
            llvm::Value* sum = combine(carried[0], fold_.element(i));
            return Values{code_.mask() ? here_.CreateSelect(code_.mask(), sum, carried[0]) : sum};
        };
        if (const auto numbers = scalar::of_numbers(fold_.op, fold_.dtype))
            return chunk_of_numbers(*numbers, low, high, lanes);
        // The rest a scalar at a time: lane after lane of the accumulators.
        const auto rest = [&](llvm::Value* from, Carried carried) {
            return code_.loop(from, high, 1, {carried[0]}, [&](llvm::Value* i, Carried now) {
                llvm::Value* lane = here_.CreateSub(i, from);
                llvm::Value* sum = combine(here_.CreateExtractElement(now[0], lane), fold_.element({i}));
                return Values{here_.CreateInsertElement(now[0], sum, lane)};
            });
        };
        return halved(code_.in_vectors(low, high, lanes, fold_.masked, {initial}, step, rest)[0], lanes);
    }
    // Where a NaN wins: beside the accumulators, which may lose one, stands what was seen of NaNs, so that from element to element
    // each waits for one instruction.
    llvm::Value* chunk_of_numbers(const scalar::Program& numbers, llvm::Value* low, llvm::Value* high, int64_t lanes) {
        llvm::Value *initial = code_.splat(identity_, lanes), *none = llvm::Constant::getNullValue(initial->getType());
        const auto take = [&](llvm::Value* sum, llvm::Value* seen, llvm::Value* x) {
            if (sum->getType()->isVectorTy() && !x->getType()->isVectorTy()) x = code_.splat(x, lanes);
            llvm::Value* const operands[] = {sum, x};
            return Values{translate(here_, numbers, operands), here_.CreateSelect(here_.CreateFCmpUNO(x, x), x, seen)};
        };
        const auto step = [&](Held i, Carried carried) {
            Values taken = take(carried[0], carried[1], fold_.element(i));
            if (llvm::Value* mask = code_.mask())
                for (size_t k = 0; k < 2; ++k) taken[k] = here_.CreateSelect(mask, taken[k], carried[k]);
            return taken;
        };
        const auto rest = [&](llvm::Value* from, Carried carried) {
            return code_.loop(from, high, 1, {carried[0], carried[1]}, [&](llvm::Value* i, Carried now) {
                llvm::Value* lane = here_.CreateSub(i, from);
                Values taken = take(here_.CreateExtractElement(now[0], lane), here_.CreateExtractElement(now[1], lane),
                                    fold_.element({i}));
                for (size_t k = 0; k < 2; ++k) taken[k] = here_.CreateInsertElement(now[k], taken[k], lane);
                return taken;
            });
        };
        const Values all = code_.in_vectors(low, high, lanes, fold_.masked, {initial, none}, step, rest);
        return halved(here_.CreateSelect(here_.CreateFCmpUNO(all[1], all[1]), all[1], all[0]), lanes);
    }

    // Lane i with lane i + w, for w = 16, 8, 4, 2, 1.
    llvm::Value* halved(llvm::Value* x, int64_t lanes) {
        if (lanes == 1) return x;
        for (int64_t half = lanes / 2; half >= 1; half /= 2) {
            std::vector<int> lower, upper;
            for (int64_t k = 0; k < half; ++k) {
                lower.push_back(int(k));
                upper.push_back(int(k + half));
            }
            x = combine(here_.CreateShuffleVector(x, lower), here_.CreateShuffleVector(x, upper));
        }
        return here_.CreateExtractElement(x, uint64_t(0));
    }

    CodeBuilder& code_;
    IRBuilder& here_;
    const Fold& fold_;
    const Literal start_;
    llvm::Constant* identity_;
};

}  // namespace

FoldedColumns::FoldedColumns(CodeBuilder& code, DType dtype, const Columns& columns)
    : first_(columns.first), truth_(dtype == DType::boolean) {
    type_ = truth_ ? code.here().getInt8Ty() : register_type(code.context(), dtype);
    llvm::AllocaInst* memory = code.entry().CreateAlloca(llvm::ArrayType::get(type_, uint64_t(columns.block)));
    memory->setAlignment(llvm::Align(64));
    memory_ = memory;
}

llvm::Value* FoldedColumns::place(CodeBuilder& code, const Held& column) const {
    return code.here().CreateGEP(type_, memory_, code.here().CreateSub(column.value, first_));
}

llvm::Value* FoldedColumns::load(CodeBuilder& code, const Held& column) const {
    llvm::Type* type = column.stride ? llvm::FixedVectorType::get(type_, unsigned(code.lanes())) : type_;
    llvm::Value* x =
        code.here().CreateAlignedLoad(type, place(code, column), llvm::Align(type_->getScalarSizeInBits() / 8));
    return truth_ ? code.here().CreateICmpNE(x, llvm::Constant::getNullValue(type)) : x;
}

void FoldedColumns::store(CodeBuilder& code, const Held& column, llvm::Value* x) const {
    if (column.stride && !x->getType()->isVectorTy()) x = code.splat(x, code.lanes());
    if (truth_) x = code.here().CreateZExt(x, with_lanes_of(type_, x->getType()));
    code.here().CreateAlignedStore(x, place(code, column), llvm::Align(type_->getScalarSizeInBits() / 8));
}

FoldedColumns emit_fold_of_columns(CodeBuilder& code, const Fold& fold, const Columns& columns, const Rows& rows,
                                   llvm::function_ref<void(Held column)> define) {
    return FoldEmitter(code, fold).emit_columns(columns, rows, define);
}

llvm::Value* emit_fold(CodeBuilder& code, const Fold& fold, llvm::Value* low, llvm::Value* high) {
    return FoldEmitter(code, fold).emit(low, high);
}

}  // namespace tenon::llvm_engine
