#include "jit/llvm/compiler.h"

#include <atomic>
#include <exception>
#include <mutex>
#include <new>

#include <fmt/format.h>
#include <llvm/ExecutionEngine/Orc/LLJIT.h>
#include <llvm/IR/LegacyPassManager.h>
#include <llvm/IR/PassManager.h>
#include <llvm/IR/Verifier.h>
#include <llvm/MC/TargetRegistry.h>
#include <llvm/Passes/PassBuilder.h>
#include <llvm/Support/ErrorHandling.h>
#include <llvm/Support/SmallVectorMemoryBuffer.h>
#include <llvm/Support/TargetSelect.h>
#include <llvm/Target/TargetMachine.h>
#include <llvm/TargetParser/Host.h>
#include <llvm/Transforms/InstCombine/InstCombine.h>
#include <llvm/Transforms/Scalar/DCE.h>
#include <llvm/Transforms/Scalar/EarlyCSE.h>
#include <llvm/Transforms/Scalar/LICM.h>
#include <llvm/Transforms/Scalar/LoopPassManager.h>
#include <llvm/Transforms/Scalar/SROA.h>
#include <llvm/Transforms/Scalar/SimplifyCFG.h>

#include "jit/llvm/translation.h"
#include "runtime/cpu.h"
#include "runtime/diagnostic.h"

namespace tenon::llvm_engine {

namespace {

template <class T>
T take(llvm::Expected<T> value) {
    if (!value) throw_error("internal", fmt::format("LLVM: {}", llvm::toString(value.takeError())));
    return std::move(*value);
}
void take(llvm::Error error) {
    if (error) throw_error("internal", fmt::format("LLVM: {}", llvm::toString(std::move(error))));
}

VectorFacts facts_for(InstructionSet instructions) {
    if (cpu_info().cpu_class() == "x86-64")
        throw_error("value", "machine code needs a processor with AVX2, FMA and F16C", "run with `--engine interp`");
    const bool wide = instructions == InstructionSet::avx512;
    VectorFacts facts;
    facts.bytes = wide ? 64 : 32;
    facts.masks_small = wide;
    facts.last_cache_bytes = cpu_info().l3_bytes;
    facts.streams_between_reads = cpu_info().streams_between_reads;
    facts.processor = processor_of(instructions);
    return facts;
}

}  // namespace

class Compiler::Implementation {
public:
    Implementation(VectorFacts& facts, InstructionSet instructions) {
        static std::once_flag once;
        std::call_once(once, [] {
            // LLVM ends the process where memory ends or where it cannot go on; here that ends the compilation.
            llvm::install_bad_alloc_error_handler([](void*, const char*, bool) { throw std::bad_alloc(); });
            llvm::install_fatal_error_handler(
                [](void*, const char* reason, bool) { throw_error("internal", fmt::format("LLVM: {}", reason)); });
            llvm::InitializeNativeTarget();
            llvm::InitializeNativeTargetAsmPrinter();
        });
        builder.setCPU(facts.processor);
        builder.setCodeGenOptLevel(llvm::CodeGenOptLevel::Aggressive);
        builder.setRelocationModel(llvm::Reloc::PIC_);
        builder.setCodeModel(llvm::CodeModel::Small);
        builder.getOptions().AllowFPOpFusion = llvm::FPOpFusion::Strict;
        give_target(take(builder.createTargetMachine()));
        facts.attributes = idle_.back()->getTargetFeatureString().str();
        jit = take(llvm::orc::LLJITBuilder().setJITTargetMachineBuilder(builder).create());
        llvm::orc::SymbolMap helpers;
        for_each_helper(instructions, [&](const std::string& symbol, void* address) {
            helpers[jit->mangleAndIntern(symbol)] = {llvm::orc::ExecutorAddr::fromPtr(address),
                                                     llvm::JITSymbolFlags::Exported | llvm::JITSymbolFlags::Callable};
        });
        take(jit->getMainJITDylib().define(llvm::orc::absoluteSymbols(std::move(helpers))));
    }

    std::unique_ptr<llvm::TargetMachine> take_target() {
        {
            const std::lock_guard lock(mutex_);
            if (!idle_.empty()) {
                auto target = std::move(idle_.back());
                idle_.pop_back();
                return target;
            }
        }
        return take(builder.createTargetMachine());
    }
    void give_target(std::unique_ptr<llvm::TargetMachine> target) {
        const std::lock_guard lock(mutex_);
        idle_.push_back(std::move(target));
    }
    llvm::orc::JITDylib& new_library() {
        llvm::orc::JITDylib& library =
            jit->getExecutionSession().createBareJITDylib(fmt::format("kernel {}", libraries_.fetch_add(1)));
        library.addToLinkOrder(jit->getMainJITDylib());
        if (const llvm::orc::JITDylibSP process = jit->getProcessSymbolsJITDylib()) library.addToLinkOrder(*process);
        return library;
    }

    llvm::orc::JITTargetMachineBuilder builder{llvm::Triple(llvm::sys::getProcessTriple())};
    std::shared_ptr<llvm::orc::LLJIT> jit;

private:
    std::mutex mutex_;
    std::vector<std::unique_ptr<llvm::TargetMachine>> idle_;
    std::atomic<uint64_t> libraries_{0};
};

namespace {

class LoadedCode : public Code {
public:
    LoadedCode(std::shared_ptr<llvm::orc::LLJIT> jit, llvm::orc::JITDylib& library)
        : jit_(std::move(jit)), library_(library) {}
    ~LoadedCode() override { llvm::consumeError(jit_->getExecutionSession().removeJITDylib(library_)); }

private:
    std::shared_ptr<llvm::orc::LLJIT> jit_;
    llvm::orc::JITDylib& library_;
};

llvm::SmallVector<char, 0> generate(llvm::TargetMachine& target, llvm::Module& module, llvm::CodeGenFileType type) {
    llvm::SmallVector<char, 0> out;
    llvm::raw_svector_ostream stream(out);
    llvm::legacy::PassManager passes;
    if (target.addPassesToEmitFile(passes, stream, nullptr, type))
        throw_error("internal", "LLVM cannot generate code for this machine");
    passes.run(module);
    return out;
}

}  // namespace

Compiler::Compiler(InstructionSet instructions)
    : facts_(facts_for(instructions)), implementation_(std::make_unique<Implementation>(facts_, instructions)) {}

Compiler::~Compiler() = default;

Compiler::Target::Target(Compiler& compiler) : compiler_(compiler), machine_(compiler.implementation_->take_target()) {}

// After an end of memory nobody knows what state it is in.
Compiler::Target::~Target() {
    if (std::uncaught_exceptions() > 0) static_cast<void>(machine_.release());
    else compiler_.implementation_->give_target(std::move(machine_));
}

std::unique_ptr<llvm::Module> Compiler::Target::new_module(llvm::LLVMContext& context) const {
    auto module = std::make_unique<llvm::Module>("kernels", context);
    module->setDataLayout(machine_->createDataLayout());
    module->setTargetTriple(machine_->getTargetTriple().str());
    return module;
}

// Loops come as vectors already, so what is left is cleaning up: no vectoriser, no unrolling, nothing that
// reassociates.
void Compiler::Target::optimise(llvm::Module& module) const {
    assert(!llvm::verifyModule(module, &llvm::errs()));
    llvm::LoopAnalysisManager loops;
    llvm::FunctionAnalysisManager functions;
    llvm::CGSCCAnalysisManager graphs;
    llvm::ModuleAnalysisManager modules;
    llvm::PassBuilder builder(machine_.get());
    builder.registerModuleAnalyses(modules);
    builder.registerCGSCCAnalyses(graphs);
    builder.registerFunctionAnalyses(functions);
    builder.registerLoopAnalyses(loops);
    builder.crossRegisterProxies(loops, functions, graphs, modules);

    llvm::FunctionPassManager passes;
    passes.addPass(llvm::SROAPass(llvm::SROAOptions::PreserveCFG));
    passes.addPass(llvm::EarlyCSEPass(true));
    passes.addPass(llvm::InstCombinePass());
    passes.addPass(llvm::SimplifyCFGPass());
    passes.addPass(llvm::createFunctionToLoopPassAdaptor(llvm::LICMPass(llvm::LICMOptions()), true));
    passes.addPass(llvm::EarlyCSEPass(true));
    passes.addPass(llvm::DCEPass());
    for (llvm::Function& function : module)
        if (!function.isDeclaration()) passes.run(function, functions);
}

std::string Compiler::Target::assembly(llvm::Module& module) const {
    const auto text = generate(*machine_, module, llvm::CodeGenFileType::AssemblyFile);
    return {text.begin(), text.end()};
}

std::unique_ptr<Code> Compiler::Target::load(llvm::Module& module, std::span<const std::string> names) const {
    Implementation& compiler = *compiler_.implementation_;
    llvm::orc::LLJIT& jit = *compiler.jit;
    auto object = generate(*machine_, module, llvm::CodeGenFileType::ObjectFile);
    llvm::orc::JITDylib& library = compiler.new_library();
    auto code = std::make_unique<LoadedCode>(compiler.jit, library);
    take(jit.addObjectFile(library,
                           std::make_unique<llvm::SmallVectorMemoryBuffer>(std::move(object), "kernel", false)));
    llvm::orc::SymbolLookupSet wanted;
    std::vector<llvm::orc::SymbolStringPtr> symbols;
    for (const std::string& name : names) {
        symbols.push_back(jit.mangleAndIntern(name));
        wanted.add(symbols.back());
    }
    const auto found = take(jit.getExecutionSession().lookup(
        {{&library, llvm::orc::JITDylibLookupFlags::MatchAllSymbols}}, std::move(wanted)));
    for (const auto& symbol : symbols) code->functions.push_back(found.at(symbol).getAddress().toPtr<StageFunction>());
    return code;
}

}  // namespace tenon::llvm_engine
