// tenon_llvm.so: kernels to machine code by LLVM. One module a list of kernels, dropped once it is compiled.
#include <atomic>

#include <fmt/format.h>
#include <llvm/IR/LLVMContext.h>
#include <llvm/Support/raw_ostream.h>

#include "ir/text/text.h"
#include "jit/llvm/compiler.h"
#include "jit/llvm/create.h"

namespace tenon::llvm_engine {

namespace {

class LlvmKernel : public CompiledKernel {
public:
    LlvmKernel(std::shared_ptr<Code> code, size_t first)
        : code_(std::move(code)), stages_(code_->functions.data() + first) {}
    void run(size_t stage, const KernelCall& call, int64_t begin, int64_t end) const override {
        stages_[stage](call.buffers, call.extents, call.scalars, begin, end, call.faults);
    }

private:
    std::shared_ptr<Code> code_;
    const StageFunction* stages_;
};

// A symbol that is readable in a debugger and clashes with no other: "softmax_12".
std::string symbol_name(const KernelSource& source, uint64_t number) {
    const Attributes attributes = source.graph->attributes(source.kernel);
    std::string name(attributes.has("name") ? attributes.text("name") : source.graph->name_of(source.kernel));
    for (char& c : name)
        if (!isalnum(static_cast<unsigned char>(c))) c = '_';
    return fmt::format("{}_{}", name, number);
}

std::string commented(std::string_view text, std::string_view mark) {
    std::string out;
    for (size_t begin = 0; begin < text.size();) {
        const size_t end = std::min(text.find('\n', begin), text.size());
        out += fmt::format("{} {}\n", mark, text.substr(begin, end - begin));
        begin = end + 1;
    }
    return out;
}

class LlvmBackend : public Backend {
public:
    explicit LlvmBackend(InstructionSet instructions) : compiler_(instructions) {}

    std::vector<std::shared_ptr<CompiledKernel>> compile(std::span<const KernelSource> kernels) override {
        llvm::LLVMContext context;
        context.setDiscardValueNames(true);
        const auto module = compiler_.new_module(context);
        std::vector<std::string> names;
        std::vector<size_t> firsts;
        for (const KernelSource& source : kernels) {
            firsts.push_back(names.size());
            const std::string name = symbol_name(source, next_++);
            const size_t stages =
                emit_kernel(*module, source, analyse_kernel(*source.graph, source.kernel), name, compiler_.facts());
            for (size_t k = 0; k < stages; ++k) names.push_back(fmt::format("{}.{}", name, k));
        }
        compiler_.optimise(*module);
        const std::shared_ptr<Code> code = compiler_.load(*module, names);
        std::vector<std::shared_ptr<CompiledKernel>> compiled;
        for (size_t first : firsts) compiled.push_back(std::make_shared<LlvmKernel>(code, first));
        return compiled;
    }

    // Each kernel by itself: its loops as a comment, then what they became.
    std::string dump(std::span<const KernelSource> kernels, std::string_view form,
                     const std::function<std::string(Span)>& locate) override {
        std::string out;
        for (uint64_t number = 0; const KernelSource& source : kernels) {
            llvm::LLVMContext context;
            const auto module = compiler_.new_module(context);
            emit_kernel(*module, source, analyse_kernel(*source.graph, source.kernel), symbol_name(source, number++),
                        compiler_.facts());
            compiler_.optimise(*module);
            out += commented(print_nest(*source.graph, source.kernel, {.locate = locate}), form == "asm" ? "#" : ";");
            if (form == "asm") out += compiler_.assembly(*module);
            else {
                llvm::raw_string_ostream stream(out);
                module->print(stream, nullptr);
            }
            out += '\n';
        }
        return out;
    }

private:
    Compiler compiler_;
    std::atomic<uint64_t> next_{0};
};

}  // namespace

}  // namespace tenon::llvm_engine

extern "C" {
tenon::Backend* tenon_create_backend(tenon::InstructionSet instructions) {
    return new tenon::llvm_engine::LlvmBackend(instructions);
}
}
