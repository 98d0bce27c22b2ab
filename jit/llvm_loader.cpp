#include "jit/llvm_loader.h"

#include <dlfcn.h>
#include <unistd.h>

#include <climits>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "jit/build_id.h"
#include "runtime/diagnostic.h"

namespace tenon {

namespace {

constexpr std::string_view module_name = "tenon_llvm.so";

std::string beside_the_program() {
    char path[PATH_MAX];
    const ssize_t length = readlink("/proc/self/exe", path, sizeof path);
    const std::string program(path, length > 0 ? size_t(length) : 0);
    return program.substr(0, program.rfind('/') + 1).append(module_name);
}

// Where the loader looks for libraries of this program: what embeds Tenon says there where that is installed.
std::vector<std::string> search_folders() {
    void* const program = dlopen(nullptr, RTLD_LAZY);
    Dl_serinfo needed{};
    if (!program || dlinfo(program, RTLD_DI_SERINFOSIZE, &needed) != 0) return {};
    const auto memory = std::make_unique<std::max_align_t[]>(needed.dls_size / sizeof(std::max_align_t) + 1);
    auto& list = *reinterpret_cast<Dl_serinfo*>(memory.get());
    list.dls_size = needed.dls_size;
    list.dls_cnt = needed.dls_cnt;
    if (dlinfo(program, RTLD_DI_SERINFO, &list) != 0) return {};
    std::vector<std::string> folders;
    for (unsigned k = 0; k < list.dls_cnt; ++k) {
        const std::string_view folder = list.dls_serpath[k].dls_name;
        if (folder.starts_with('/')) folders.emplace_back(folder);  // never one that depends on the current folder
    }
    return folders;
}

std::string module_path() {
    const std::string beside = beside_the_program();
    if (access(beside.c_str(), R_OK) == 0) return beside;
    for (const std::string& folder : search_folders()) {
        const std::string path = fmt::format("{}/{}", folder, module_name);
        if (access(path.c_str(), R_OK) == 0) return path;
    }
    return beside;
}

[[noreturn]] void fail(const std::string& why,
                       std::string help = "run with `--engine interp`, or build with LLVM 19 installed") {
    throw_error("io", fmt::format("the compiler of machine code could not be loaded: {}", why), std::move(help));
}

// Before anything of the module is called: another build lays things out in another way.
void check_build(void* module, const std::string& path) {
    const auto id = static_cast<const char*>(dlsym(module, module_build_id_symbol));
    if (id && id == build_id()) return;
    fail(fmt::format("{} is of another build ({}) than this program ({})", path, id ? id : "without a number",
                     build_id()),
         "put the tenon_llvm.so that was built with this program beside it, or run with `--engine interp`");
}

}  // namespace

bool has_llvm_backend() { return access(module_path().c_str(), R_OK) == 0; }

std::unique_ptr<Backend> load_llvm_backend(InstructionSet instructions) {
    const std::string path = module_path();
    if (access(path.c_str(), R_OK) != 0) fail(fmt::format("there is no {}", path));
    // Never closed: code that it compiled may be running until the very end.
    void* const module = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!module) fail(dlerror());
    check_build(module, path);
    const auto create = reinterpret_cast<CreateBackend>(dlsym(module, "tenon_create_backend"));
    if (!create) fail(fmt::format("{} exports no backend", path));
    return std::unique_ptr<Backend>(create(instructions));
}

}  // namespace tenon
