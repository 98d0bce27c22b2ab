// The code of one function under construction: its place, the loops and conditions around that, the lanes at work.
#pragma once
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <llvm/IR/Module.h>

#include "jit/llvm/lanes.h"
#include "jit/llvm/vector_facts.h"

namespace tenon::llvm_engine {

/// What a node is at the place of emission. A scalar has the lanes of its LLVM type. An index is `value` in every lane
/// (no stride), value + lane · stride, or a vector of its own.
struct Held {
    llvm::Value* value = nullptr;
    llvm::Value* stride = nullptr;
    bool is_vector() const { return value->getType()->isVectorTy(); }
    bool is_uniform() const { return !stride && !is_vector(); }
};

class CodeBuilder {
public:
    using Values = std::vector<llvm::Value*>;
    using Carried = std::span<llvm::Value* const>;

    CodeBuilder(llvm::Module& module, const VectorFacts& facts)
        : module_(module), context_(module.getContext()), facts_(facts), builder_(context_), entry_(context_) {}

    // -- functions of the type StageFunction
    enum class Argument : uint8_t { buffers, extents, scalars, begin, end, faults };
    void open(const std::string& name);
    void close();
    llvm::Value* argument(Argument which) const { return function_->getArg(unsigned(which)); }
    /// The function has stores past the caches: what it wrote is to be seen by all when it returns.
    void fence_stores() { fence_ = true; }
    const VectorFacts& facts() const { return facts_; }
    /// Notes that an iteration failed where `fault` is set, lanes at work only.
    void record(llvm::Value* fault);

    // -- places
    llvm::LLVMContext& context() { return context_; }
    IRBuilder& here() { return builder_; }
    IRBuilder& entry() { return entry_; }  ///< the end of the function's entry block: before all else
    /// `emit` with the entry for the place at hand.
    void at_entry(llvm::function_ref<void()> emit);
    llvm::BasicBlock* block(const char* name) { return llvm::BasicBlock::Create(context_, name, function_); }

    // -- loops
    /// body(i, carried) for i = low, low + step, … below high; the carried values after the last turn.
    Values loop(llvm::Value* low, llvm::Value* high, int64_t step, Values initial,
                llvm::function_ref<Values(llvm::Value* i, Carried)> body);
    void loop(llvm::Value* low, llvm::Value* high, int64_t step, llvm::function_ref<void(llvm::Value*)> body);
    /// What `body` makes of the carried values, where the condition holds.
    Values when(llvm::Value* condition, Carried carried, llvm::function_ref<Values()> body);
    /// body(i, carried) on whole vectors from low up, then on the rest: one masked vector if it may be `masked`, else a
    /// scalar a turn. `scalar_rest`, where given, does the latter from the first position left.
    Values in_vectors(llvm::Value* low, llvm::Value* high, int64_t lanes, bool masked, Values carried,
                      llvm::function_ref<Values(Held i, Carried)> body,
                      llvm::function_ref<Values(llvm::Value* from, Carried)> scalar_rest = nullptr);

    /// The same value, of which the optimiser does not know what it is made of.
    llvm::Value* opaque(llvm::Value* value);

    // -- lanes
    int64_t lanes() const { return lanes_; }     ///< of the loop at hand
    llvm::Value* mask() const { return mask_; }  ///< its lanes at work, null for all
    llvm::Value* splat(llvm::Value* x, int64_t lanes);
    llvm::Value* expanded(const Held& h);        ///< as one value, a vector where lanes differ
    void level(std::span<llvm::Value*> values);  ///< where some are vectors, all become such

private:
    struct LaneState {
        int64_t lanes;
        llvm::Value* mask;
    };
    LaneState set_lanes(int64_t lanes, llvm::Value* mask);
    llvm::Value* lane_numbers(llvm::Type* type, int64_t lanes) const;

    llvm::Module& module_;
    llvm::LLVMContext& context_;
    const VectorFacts& facts_;
    IRBuilder builder_, entry_;
    llvm::Function* function_ = nullptr;
    llvm::Value* fault_ = nullptr;  // i1 on the stack, made when needed
    bool fence_ = false;
    int64_t lanes_ = 1;
    llvm::Value* mask_ = nullptr;
};

std::optional<int64_t> constant_in(llvm::Value* v);  ///< the integer that it is, if it is a constant

}  // namespace tenon::llvm_engine
