#include "jit/llvm_loader.h"

#include <dlfcn.h>
#include <unistd.h>

#include <climits>
#include <string>

#include <fmt/format.h>

#include "runtime/diagnostic.h"

namespace tenon {

namespace {

std::string module_path() {
    char path[PATH_MAX];
    const ssize_t length = readlink("/proc/self/exe", path, sizeof path);
    const std::string program(path, length > 0 ? size_t(length) : 0);
    return program.substr(0, program.rfind('/') + 1) + "tenon_llvm.so";
}

[[noreturn]] void fail(const std::string& why) {
    throw_error("internal", fmt::format("the compiler of machine code could not be loaded: {}", why),
                "run with `--engine interp`, or build with LLVM 19 installed");
}

}  // namespace

bool has_llvm_backend() { return access(module_path().c_str(), R_OK) == 0; }

std::unique_ptr<Backend> load_llvm_backend() {
    const std::string path = module_path();
    if (access(path.c_str(), R_OK) != 0) fail(fmt::format("there is no {}", path));
    // Never closed: code that it compiled may be running until the very end.
    void* const module = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!module) fail(dlerror());
    const auto create = reinterpret_cast<CreateBackend>(dlsym(module, "tenon_create_backend"));
    if (!create) fail(fmt::format("{} is not of this version", path));
    return std::unique_ptr<Backend>(create());
}

}  // namespace tenon
