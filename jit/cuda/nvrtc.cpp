#include "jit/cuda/nvrtc.h"

#include <dlfcn.h>

#include <array>
#include <vector>

#include <fmt/format.h>

#include "jit/cuda/embedded.h"
#include "runtime/diagnostic.h"

namespace tenon {

// The functions of nvrtc.h that are needed; a result of 0 is success.
struct Nvrtc::Library {
    using Program = struct OpaqueProgram*;
    void* handle = nullptr;
    int (*version)(int* major, int* minor) = nullptr;
    int (*create)(Program*, const char* source, const char* name, int headers, const char* const* texts,
                  const char* const* names) = nullptr;
    int (*compile)(Program, int count, const char* const* options) = nullptr;
    int (*log_size)(Program, size_t*) = nullptr;
    int (*log)(Program, char*) = nullptr;
    int (*code_size)(Program, size_t*) = nullptr;
    int (*code)(Program, char*) = nullptr;
    int (*ptx_size)(Program, size_t*) = nullptr;
    int (*ptx)(Program, char*) = nullptr;
    int (*destroy)(Program*) = nullptr;

    bool load(const char* path) {
        // Never unloaded: the C++ library inside it does not give its memory back.
        handle = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
        return handle && find(version, "nvrtcVersion") && find(create, "nvrtcCreateProgram") &&
               find(compile, "nvrtcCompileProgram") && find(log_size, "nvrtcGetProgramLogSize") &&
               find(log, "nvrtcGetProgramLog") && find(code_size, "nvrtcGetCUBINSize") && find(code, "nvrtcGetCUBIN") &&
               find(ptx_size, "nvrtcGetPTXSize") && find(ptx, "nvrtcGetPTX") && find(destroy, "nvrtcDestroyProgram");
    }
    template <class F>
    bool find(F& function, const char* name) {
        function = reinterpret_cast<F>(dlsym(handle, name));
        return function != nullptr;
    }
    ~Library() {
        if (handle) dlclose(handle);
    }
};

Nvrtc::Nvrtc(std::unique_ptr<Library> library) : library_(std::move(library)) {}
Nvrtc::~Nvrtc() = default;

std::unique_ptr<Nvrtc> Nvrtc::open(std::string& reason) {
    static constexpr std::array paths = {"libnvrtc.so.13", "libnvrtc.so.12", "/usr/local/cuda/lib64/libnvrtc.so",
                                         "/usr/local/cuda/lib/libnvrtc.so"};
    for (const char* path : paths) {
        auto library = std::make_unique<Library>();
        if (library->load(path)) return std::unique_ptr<Nvrtc>(new Nvrtc(std::move(library)));
    }
    reason = fmt::format(
        "NVRTC was found neither as {} nor as {} nor in /usr/local/cuda; it is part of the CUDA "
        "toolkit (package cuda-nvrtc-13-0 of NVIDIA's repository, or nvidia-cuda-nvrtc of PyPI with its "
        "folder in LD_LIBRARY_PATH)",
        paths[0], paths[1]);
    return nullptr;
}

std::string Nvrtc::version() const {
    int major = 0, minor = 0;
    library_->version(&major, &minor);
    return fmt::format("{}.{}", major, minor);
}

std::string Nvrtc::compile(const std::string& source, const std::string& name, const std::string& architecture) const {
    return build(source, name, architecture, Form::machine_code);
}

std::string Nvrtc::ptx(const std::string& source, const std::string& name, const std::string& architecture) const {
    std::string text = build(source, name, architecture, Form::ptx);
    while (text.ends_with('\0')) text.pop_back();
    return text;
}

std::string Nvrtc::build(const std::string& source, const std::string& name, const std::string& architecture,
                         Form form) const {
    std::vector<std::string> names;
    std::vector<const char*> name_pointers, texts;
    for (const EmbeddedFile& file : cuda_files()) names.push_back(fmt::format("{}.cuh", file.name));
    for (size_t k = 0; k < names.size(); ++k) {
        name_pointers.push_back(names[k].c_str());
        texts.push_back(cuda_files()[k].text.data());  // literals, so they end in a zero
    }
    const std::string target = "--gpu-architecture=" + architecture;
    const std::array options = {target.c_str(),
                                "--std=c++17",
                                "--fmad=false",
                                "--prec-div=true",
                                "--prec-sqrt=true",
                                "--ftz=false",
                                "--device-as-default-execution-space"};

    Library::Program program = nullptr;
    if (library_->create(&program, source.c_str(), (name + ".cu").c_str(), int(texts.size()), texts.data(),
                         name_pointers.data()))
        throw_error("internal", "NVRTC could not begin a program");
    std::string out;
    const bool compiled = library_->compile(program, int(options.size()), options.data()) == 0;
    size_t size = 0;
    if (compiled) {
        (form == Form::ptx ? library_->ptx_size : library_->code_size)(program, &size);
        out.resize(size);
        (form == Form::ptx ? library_->ptx : library_->code)(program, out.data());
    } else {
        library_->log_size(program, &size);
        out.resize(size);
        library_->log(program, out.data());
    }
    library_->destroy(&program);
    if (!compiled) throw_error("internal", fmt::format("NVRTC refused the kernel {}:\n{}", name, out.c_str()));
    return out;
}

}  // namespace tenon
