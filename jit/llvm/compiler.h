// From LLVM IR to code that runs: passes, code generation, ORC. The one file with ORC's headers is compiler.cpp.
#pragma once
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "jit/llvm/emitter.h"

namespace tenon::llvm_engine {

/// Machine code in memory, until the last owner lets go.
class Code {
public:
    virtual ~Code() = default;
    /// In the order of the names given to `Compiler::load`.
    std::vector<StageFunction> functions;
};

class Compiler {
public:
    /// Throws Error "value" where the processor is below x86-64-v3.
    explicit Compiler(InstructionSet instructions);
    ~Compiler();

    const VectorFacts& facts() const { return facts_; }
    /// A module for this target, in a context of its own (which must outlive it).
    std::unique_ptr<llvm::Module> new_module(llvm::LLVMContext& context) const;
    void optimise(llvm::Module& module) const;
    std::string assembly(llvm::Module& module) const;
    /// The module's functions by name, ready to run.
    std::shared_ptr<Code> load(llvm::Module& module, std::span<const std::string> names) const;

private:
    class Implementation;
    VectorFacts facts_;
    std::unique_ptr<Implementation> implementation_;
};

}  // namespace tenon::llvm_engine
