#include "jit/llvm/memory.h"

#include <algorithm>
#include <cassert>

#include <llvm/IR/MDBuilder.h>

#include "jit/llvm/scalar.h"

namespace tenon::llvm_engine {

namespace {
constexpr int64_t longest_near_stride = 4;  // beyond it a gather reads fewer lines
}  // namespace

// ---- alias scopes -------------------------------------------------------------------------------------------------
AliasScopes::AliasScopes(llvm::LLVMContext& context, const KernelInfo& info, std::span<const InPlace> in_place)
    : operands_(info.operands) {
    llvm::MDBuilder builder(context);
    llvm::MDNode* domain = builder.createAnonymousAliasScopeDomain("kernel");
    std::vector<llvm::MDNode*> scopes = {builder.createAnonymousAliasScope(domain, "read")};
    for (size_t k = 0; k < info.results + info.scratch.size(); ++k)
        scopes.push_back(builder.createAnonymousAliasScope(domain, k < info.results ? "written" : "scratch"));
    for (size_t own = 0; own < scopes.size(); ++own) {
        std::vector<llvm::Metadata*> others;
        for (size_t other = 0; other < scopes.size(); ++other)
            if (other != own) others.push_back(scopes[other]);
        scopes_.push_back({llvm::MDNode::get(context, {scopes[own]}), llvm::MDNode::get(context, others)});
    }
    of_operand_.assign(info.operands, 0);
    for (const InPlace& pair : in_place) of_operand_[pair.operand] = pair.result + 1;
}

void AliasScopes::tag(llvm::Instruction* access, uint32_t buffer) const {
    const AliasScope& scope = scopes_[buffer < operands_ ? of_operand_[buffer] : buffer - operands_ + 1];
    access->setMetadata(llvm::LLVMContext::MD_alias_scope, scope.own);
    access->setMetadata(llvm::LLVMContext::MD_noalias, scope.others);
}

// ---- buffers ------------------------------------------------------------------------------------------------------
Memory::Memory(CodeBuilder& code, const KernelSource& source, const KernelInfo& info)
    : code_(code), graph_(*source.graph), info_(info), in_place_(source.in_place),
      scopes_(code.context(), info, source.in_place) {
    for (uint32_t k = 0; NodeId p : graph_.params(graph_.region_of(source.kernel))) buffers_.emplace(p.index, k++);
    for (const KernelScratch& s : info.scratch) buffers_.emplace(s.node.index, uint32_t(buffers_.size()));
    for (uint32_t k = 0; NodeId id : info.scalars) slots_.emplace(id.index, k++);
}

void Memory::forget() { pointers_.assign(info_.first_scratch() + info_.scratch.size(), nullptr); }

llvm::Value* Memory::pointer(uint32_t buffer) {
    if (!pointers_[buffer]) {
        IRBuilder& entry = code_.entry();
        llvm::Value* place =
            entry.CreateConstGEP1_64(entry.getPtrTy(), code_.argument(CodeBuilder::Argument::buffers), buffer);
        pointers_[buffer] = entry.CreateLoad(entry.getPtrTy(), place);
    }
    return pointers_[buffer];
}

llvm::Value* Memory::address(NodeId buffer, llvm::Value* position) {
    llvm::Type* type = memory_type(code_.context(), graph_.type(buffer).dtype);
    return code_.here().CreateGEP(type, pointer(buffers_.at(buffer.index)), position);
}

Memory::Access Memory::access(NodeId buffer, const Held& position) {
    Access a;
    a.buffer = buffers_.at(buffer.index);
    a.dtype = graph_.type(buffer).dtype;
    a.type = memory_type(code_.context(), a.dtype);
    a.align = llvm::Align(size_of(a.dtype));
    a.position = position;
    a.contiguous = position.stride && constant_in(position.stride) == 1;
    llvm::Value* offset = a.contiguous ? position.value : code_.expanded(position);
    a.address = code_.here().CreateGEP(a.type, pointer(a.buffer), offset);
    return a;
}

llvm::Value* Memory::load(const Access& a) {
    IRBuilder& here = code_.here();
    if (a.position.is_uniform())
        return from_memory(here, a.dtype, tagged(here.CreateAlignedLoad(a.type, a.address, a.align), a));
    auto* type = llvm::FixedVectorType::get(a.type, unsigned(code_.lanes()));
    llvm::Value* nothing = llvm::Constant::getNullValue(type);
    llvm::Value* mask = code_.mask();
    llvm::Instruction* loaded = nullptr;
    if (!a.contiguous && !mask && a.position.stride)
        if (const auto stride = constant_in(a.position.stride);
            stride && *stride >= 2 && *stride <= longest_near_stride)
            return from_memory(here, a.dtype, load_near(a, *stride));
    if (!a.contiguous) loaded = here.CreateMaskedGather(type, a.address, a.align, mask, nothing);
    else if (mask) loaded = here.CreateMaskedLoad(type, a.address, a.align, mask, nothing);
    else loaded = here.CreateAlignedLoad(type, a.address, a.align);
    return from_memory(here, a.dtype, tagged(loaded, a));
}

void Memory::prefetch(const Access& a, llvm::Value* distance) {
    constexpr int to_all_caches = 3;
    llvm::Value* first = code_.here().CreateGEP(a.type, a.address, distance);
    prefetch_bytes(first, code_.lanes() * int64_t(size_of(a.dtype)), to_all_caches);
}

void Memory::prefetch_bytes(llvm::Value* first, int64_t bytes, int caches) {
    IRBuilder& here = code_.here();
    constexpr int64_t line = 64;
    constexpr int to_read = 0, data = 1;
    for (int64_t at = 0; at < bytes; at += line) {
        llvm::Value* address = here.CreateConstGEP1_64(here.getInt8Ty(), first, uint64_t(at));
        here.CreateIntrinsic(llvm::Intrinsic::prefetch, {address->getType()},
                             {address, here.getInt32(to_read), here.getInt32(uint32_t(caches)), here.getInt32(data)});
    }
}

// Elements a short stride apart: all that lie between the first and the last, in vectors of which each gives its part.
// The last vector ends with the last element, so that nothing beyond it is read.
llvm::Value* Memory::load_near(const Access& a, int64_t stride) {
    IRBuilder& here = code_.here();
    const int64_t lanes = code_.lanes(), last = stride * (lanes - 1);
    auto* type = llvm::FixedVectorType::get(a.type, unsigned(lanes));
    llvm::Value* first = here.CreateGEP(a.type, pointer(a.buffer), a.position.value);
    llvm::Value* result = llvm::PoisonValue::get(type);
    for (int64_t k = 0; k < stride; ++k) {
        const int64_t from = std::min(k * lanes, last + 1 - lanes);
        llvm::Value* at = here.CreateConstInBoundsGEP1_64(a.type, first, uint64_t(from));
        llvm::Value* part = tagged(here.CreateAlignedLoad(type, at, a.align), a);
        std::vector<int> mask;
        for (int64_t lane = 0; lane < lanes; ++lane) {
            const int64_t within = lane * stride - from;
            const bool here_first = lane * stride >= k * lanes && within < lanes;
            mask.push_back(int(here_first ? lanes + within : lane));
        }
        result = here.CreateShuffleVector(result, part, mask);
    }
    return result;
}

std::vector<llvm::Value*> Memory::load_lines(const Access& a, int64_t count, llvm::Value* ahead) {
    IRBuilder& here = code_.here();
    constexpr int to_the_second = 2;  // the first may have fewer ways than there are lines a stride apart
    auto* type = llvm::FixedVectorType::get(a.type, unsigned(count));
    llvm::Value* line = here.CreateGEP(a.type, pointer(a.buffer), a.position.value);
    std::vector<llvm::Value*> lines;
    for (int64_t lane = 0; lane < code_.lanes(); ++lane) {
        if (ahead)
            prefetch_bytes(here.CreateGEP(a.type, line, ahead), count * int64_t(size_of(a.dtype)), to_the_second);
        lines.push_back(from_memory(here, a.dtype, tagged(here.CreateAlignedLoad(type, line, a.align), a)));
        line = here.CreateGEP(a.type, line, a.position.stride);
    }
    return lines;
}

bool Memory::is_in_place(NodeId buffer) const {
    const uint32_t number = buffers_.at(buffer.index);
    return std::any_of(in_place_.begin(), in_place_.end(), [&](const InPlace& pair) {
        return pair.operand == number || pair.result + info_.operands == number;
    });
}

void Memory::store(const Access& a, llvm::Value* held, bool past_caches) {
    IRBuilder& here = code_.here();
    llvm::Value* value = to_memory(here, a.dtype, held);
    if (a.position.is_uniform()) {
        // Iterations are independent, so there is but one, in the first lane.
        if (value->getType()->isVectorTy()) value = here.CreateExtractElement(value, uint64_t(0));
        tagged(here.CreateAlignedStore(value, a.address, a.align), a);
        return;
    }
    if (!value->getType()->isVectorTy()) value = code_.splat(value, code_.lanes());
    llvm::Value* mask = code_.mask();
    if (!a.contiguous) tagged(here.CreateMaskedScatter(value, a.address, a.align, mask), a);
    else if (mask) tagged(here.CreateMaskedStore(value, a.address, a.align, mask), a);
    else if (past_caches) {
        const auto bytes = uint64_t(code_.lanes()) * size_of(a.dtype);
        const auto together = uint64_t(std::min<int64_t>(int64_t(bytes), code_.facts().bytes));
        llvm::StoreInst* stored = tagged(here.CreateAlignedStore(value, a.address, llvm::Align(together)), a);
        llvm::Metadata* one = llvm::ConstantAsMetadata::get(here.getInt32(1));
        stored->setMetadata(llvm::LLVMContext::MD_nontemporal, llvm::MDNode::get(code_.context(), {one}));
        code_.fence_stores();
    } else tagged(here.CreateAlignedStore(value, a.address, a.align), a);
}

// ---- extents and slots --------------------------------------------------------------------------------------------
llvm::Value* Memory::extent(SizeId size) {
    IRBuilder& here = code_.here();
    if (const auto known = graph_.context->as_constant(size)) return here.getInt64(uint64_t(*known));
    const auto found = std::find(info_.extents.begin(), info_.extents.end(), size);
    assert(found != info_.extents.end());
    llvm::Value* place = here.CreateConstGEP1_64(here.getInt64Ty(), code_.argument(CodeBuilder::Argument::extents),
                                                 uint64_t(found - info_.extents.begin()));
    return here.CreateLoad(here.getInt64Ty(), place);
}

llvm::Value* Memory::slot(IRBuilder& builder, NodeId id) const {
    return builder.CreateConstGEP1_64(builder.getInt64Ty(), code_.argument(CodeBuilder::Argument::scalars),
                                      slots_.at(id.index));
}

void Memory::store_slot(NodeId id, llvm::Value* value) {
    IRBuilder& here = code_.here();
    if (value->getType()->isIntegerTy(1)) value = here.CreateZExt(value, here.getInt8Ty());
    here.CreateAlignedStore(value, slot(here, id), llvm::Align(8));
}

llvm::Value* Memory::load_slot(NodeId id, llvm::Type* type) {
    IRBuilder& entry = code_.entry();
    const bool truth = type->isIntegerTy(1);
    llvm::Value* value = entry.CreateAlignedLoad(truth ? entry.getInt8Ty() : type, slot(entry, id), llvm::Align(8));
    return truth ? entry.CreateTrunc(value, type) : value;
}

}  // namespace tenon::llvm_engine
