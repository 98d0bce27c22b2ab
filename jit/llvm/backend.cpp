// tenon_llvm.so: kernels to machine code by LLVM.
#include <alloca.h>

#include <algorithm>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <llvm/IR/LLVMContext.h>
#include <llvm/Support/raw_ostream.h>

#include "ir/text/text.h"
#include "jit/kernel_form.h"
#include "jit/llvm/compiler.h"
#include "jit/llvm/create.h"

namespace tenon::llvm_engine {

namespace {

// Which code a stage runs: of the stages that are alike the first one's, with memory and sizes of its own in their
// places.
struct StageCode {
    using Places = std::vector<std::pair<uint32_t, uint32_t>>;  // where the code looks, and a number in the kernel
    uint32_t function = 0;                                      // among those that are emitted
    Places buffers, extents;                                    // none where the code is its own
    size_t most_buffers = 0, most_extents = 0;                  // beyond the last place
};

struct KernelCode {
    std::vector<uint32_t> emitted;  // stages
    std::vector<StageCode> stages;
};

// What a call on the stack may hold. (A kernel of more buffers has a function for each stage.)
constexpr size_t most_places = 4096;

KernelCode share_code(const KernelSource& source, const KernelInfo& info) {
    KernelCode code;
    std::map<StableHash, std::pair<uint32_t, StageForm>> known;  // a function, and its stage
    for (uint32_t k = 0; k < info.stages.size(); ++k) {
        StageCode stage{uint32_t(code.emitted.size()), {}, {}};
        if (std::optional<StageForm> form = stage_form(source, info, info.stages[k])) {
            const auto [first, fresh] = known.try_emplace(form->hash, stage.function, *form);
            if (!fresh && info.first_scratch() + info.scratch.size() <= most_places &&
                info.extents.size() <= most_places) {
                const auto& [function, theirs] = first->second;
                stage.function = function;
                for (size_t b = 0; b < form->buffers.size(); ++b) {
                    stage.buffers.emplace_back(theirs.buffers[b], form->buffers[b]);
                    stage.most_buffers = std::max<size_t>(stage.most_buffers, theirs.buffers[b] + 1);
                }
                for (size_t e = 0; e < form->extents.size(); ++e) {
                    stage.extents.emplace_back(theirs.extents[e], form->extents[e]);
                    stage.most_extents = std::max<size_t>(stage.most_extents, theirs.extents[e] + 1);
                }
            }
        }
        if (stage.function == code.emitted.size()) code.emitted.push_back(k);
        code.stages.push_back(std::move(stage));
    }
    return code;
}

class LlvmKernel : public CompiledKernel {
public:
    LlvmKernel(std::unique_ptr<Code> code, std::vector<StageCode> stages)
        : code_(std::move(code)), stages_(std::move(stages)) {}
    void run(size_t stage, const KernelCall& call, int64_t begin, int64_t end) const override {
        const StageCode& mine = stages_[stage];
        const StageFunction function = code_->functions[mine.function];
        if (mine.most_buffers == 0) return function(call.buffers, call.extents, call.scalars, begin, end, call.faults);
        void** const buffers = static_cast<void**>(alloca(mine.most_buffers * sizeof(void*)));
        int64_t* const extents = static_cast<int64_t*>(alloca(mine.most_extents * sizeof(int64_t)));
        for (const auto& [place, number] : mine.buffers) buffers[place] = call.buffers[number];
        for (const auto& [place, number] : mine.extents) extents[place] = call.extents[number];
        function(buffers, extents, call.scalars, begin, end, call.faults);
    }

private:
    std::unique_ptr<Code> code_;
    std::vector<StageCode> stages_;
};

// Letters that a symbol may have.
std::string symbol_name(const KernelSource& source) {
    const Attributes attributes = source.graph->attributes(source.kernel);
    std::string name(attributes.has("name") ? attributes.text("name") : source.graph->name_of(source.kernel));
    for (char& c : name)
        if (!isalnum(static_cast<unsigned char>(c))) c = '_';
    return name;
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

    // A module each, so that an object depends on its kernel alone.
    std::vector<std::shared_ptr<CompiledKernel>> compile(std::span<const KernelSource> kernels) override {
        std::vector<std::shared_ptr<CompiledKernel>> compiled;
        for (const KernelSource& source : kernels) compiled.push_back(compile(source));
        return compiled;
    }

    // Each kernel by itself: its loops as a comment, then what they became.
    std::string dump(std::span<const KernelSource> kernels, std::string_view form,
                     const std::function<std::string(Span)>& locate) override {
        std::string out;
        for (const KernelSource& source : kernels) {
            llvm::LLVMContext context;
            const Compiler::Target target(compiler_);
            const auto module = target.new_module(context);
            emit(*module, source, symbol_name(source));
            target.optimise(*module);
            out += commented(print_nest(*source.graph, source.kernel, {.locate = locate}), form == "asm" ? "#" : ";");
            if (form == "asm") out += target.assembly(*module);
            else {
                llvm::raw_string_ostream stream(out);
                module->print(stream, nullptr);
            }
            out += '\n';
        }
        return out;
    }

private:
    std::shared_ptr<CompiledKernel> compile(const KernelSource& source) {
        llvm::LLVMContext context;
        context.setDiscardValueNames(true);
        const Compiler::Target target(compiler_);
        const auto module = target.new_module(context);
        const std::string name = symbol_name(source);
        KernelCode code = emit(*module, source, name);
        std::vector<std::string> names;
        for (uint32_t k : code.emitted) names.push_back(fmt::format("{}.{}", name, k));
        target.optimise(*module);
        return std::make_shared<LlvmKernel>(target.load(*module, names), std::move(code.stages));
    }
    KernelCode emit(llvm::Module& module, const KernelSource& source, const std::string& name) const {
        const KernelInfo info = analyse_kernel(*source.graph, source.kernel);
        KernelCode code = share_code(source, info);
        emit_stages(module, source, info, code.emitted, name, compiler_.facts());
        return code;
    }

    Compiler compiler_;
};

}  // namespace

}  // namespace tenon::llvm_engine

extern "C" {
tenon::Backend* tenon_create_backend(tenon::InstructionSet instructions) {
    return new tenon::llvm_engine::LlvmBackend(instructions);
}
}
