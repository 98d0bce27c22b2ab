// A kernel's memory as the code of one function reaches it: buffers, extents, the scalars that stages share.
#pragma once
#include <unordered_map>
#include <vector>

#include "jit/backend.h"
#include "jit/kernel.h"
#include "jit/llvm/code_builder.h"
#include "runtime/dtype.h"

namespace tenon::llvm_engine {

/// Memory that may overlap shares an alias scope; nothing else does.
class AliasScopes {
public:
    AliasScopes(llvm::LLVMContext& context, const KernelInfo& info, std::span<const InPlace> in_place);
    void tag(llvm::Instruction* access, uint32_t buffer) const;

private:
    struct AliasScope {
        llvm::MDNode *own, *others;
    };
    uint32_t operands_;
    std::vector<AliasScope> scopes_;
    std::vector<uint32_t> of_operand_;
};

class Memory {
public:
    Memory(CodeBuilder& code, const KernelSource& source, const KernelInfo& info);
    void forget();  // before each function: what was loaded at the entry of another one

    /// Elements of a buffer at a position, one a lane.
    struct Access {
        uint32_t buffer;
        DType dtype;
        llvm::Type* type;  // of one element in memory
        llvm::Align align;
        Held position;
        bool contiguous;       // lane k is element position + k
        llvm::Value* address;  // of each lane, or of the first
    };
    Access access(NodeId buffer, const Held& position);
    llvm::Value* load(const Access&);
    /// Asks for what lies so many elements on.
    void prefetch(const Access&, llvm::Value* distance);
    /// Of lane k the `count` neighbours from its element on, as vector k: instead of a load of elements a stride apart.
    /// `ahead`: how many elements on lies what is asked for meanwhile; null: nothing is.
    std::vector<llvm::Value*> load_lines(const Access&, int64_t count, llvm::Value* ahead);
    /// `past_caches`: whole vectors, which lie at multiples of their size.
    void store(const Access&, llvm::Value* held, bool past_caches = false);
    /// Where the element at a position that is the same in all lanes stands.
    llvm::Value* address(NodeId buffer, llvm::Value* position);
    bool is_in_place(NodeId buffer) const;  // is it an operand's memory too?

    llvm::Value* extent(SizeId);  // at the place at hand

    /// Scalars that stages share, 8 bytes each.
    bool has_slot(NodeId id) const { return slots_.contains(id.index); }
    llvm::Value* load_slot(NodeId id, llvm::Type* type);  // at the entry
    void store_slot(NodeId id, llvm::Value* value);

private:
    llvm::Value* pointer(uint32_t buffer);
    llvm::Value* load_near(const Access&, int64_t stride);
    void prefetch_bytes(llvm::Value* first, int64_t bytes, int caches);
    llvm::Value* slot(IRBuilder& builder, NodeId id) const;
    template <class I>
    I* tagged(I* instruction, const Access& a) const {
        scopes_.tag(instruction, a.buffer);
        return instruction;
    }

    CodeBuilder& code_;
    const Graph& graph_;
    const KernelInfo& info_;
    const std::vector<InPlace>& in_place_;
    AliasScopes scopes_;
    std::unordered_map<uint32_t, uint32_t> buffers_, slots_;  // by node
    std::vector<llvm::Value*> pointers_;                      // by buffer, loaded at the entry
};

}  // namespace tenon::llvm_engine
