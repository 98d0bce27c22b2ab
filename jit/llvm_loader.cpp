#include "jit/llvm_loader.h"

#include <dlfcn.h>
#include <unistd.h>

#include <climits>
#include <string>

#include <fmt/format.h>

#include "jit/build_id.h"
#include "runtime/diagnostic.h"

namespace tenon {

namespace {

std::string module_path() {
    char path[PATH_MAX];
    const ssize_t length = readlink("/proc/self/exe", path, sizeof path);
    const std::string program(path, length > 0 ? size_t(length) : 0);
    return program.substr(0, program.rfind('/') + 1) + "tenon_llvm.so";
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
