// From LLVM IR to code that runs: passes, code generation, ORC. The one file with ORC's headers is compiler.cpp.
#pragma once
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "jit/llvm/emitter.h"

namespace llvm {
class TargetMachine;
}

namespace tenon::llvm_engine {

/// Machine code in memory, until the last owner lets go.
class Code {
public:
    virtual ~Code() = default;
    /// In the order of the names given to `Compiler::load`.
    std::vector<StageFunction> functions;
};

/// Thread-safe; what it works with at a time is a `Target`.
class Compiler {
public:
    /// Throws Error "value" where the processor is below x86-64-v3.
    explicit Compiler(InstructionSet instructions);
    ~Compiler();

    const VectorFacts& facts() const { return facts_; }

    /// A code generator on loan, of one thread.
    class Target {
    public:
        explicit Target(Compiler& compiler);
        ~Target();
        Target(const Target&) = delete;
        Target& operator=(const Target&) = delete;
        /// In a context of its own, which must outlive it.
        std::unique_ptr<llvm::Module> new_module(llvm::LLVMContext& context) const;
        void optimise(llvm::Module& module) const;
        std::string assembly(llvm::Module& module) const;
        /// The module's functions by name, ready to run. They clash with no other module's.
        std::unique_ptr<Code> load(llvm::Module& module, std::span<const std::string> names) const;

    private:
        Compiler& compiler_;
        std::unique_ptr<llvm::TargetMachine> machine_;
    };

private:
    class Implementation;
    VectorFacts facts_;
    std::unique_ptr<Implementation> implementation_;
};

}  // namespace tenon::llvm_engine
