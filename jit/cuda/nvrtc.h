// NVRTC, NVIDIA's run-time compiler of CUDA C++: opened by dlopen, so a build needs neither toolkit nor GPU.
#pragma once
#include <memory>
#include <string>

namespace tenon {

class Nvrtc {
public:
    /// Null where no NVRTC is found; then `reason` says where it was looked for.
    static std::unique_ptr<Nvrtc> open(std::string& reason);
    ~Nvrtc();

    /// "13.0"
    std::string version() const;
    /// The source, which may include the .cuh files of this folder, as machine code for `architecture` ("sm_90").
    /// No contraction, IEEE division and square root, denormals kept. Throws Error "internal" with the compiler's log.
    std::string compile(const std::string& source, const std::string& name, const std::string& architecture) const;
    /// The same as PTX, NVIDIA's portable assembly, for a virtual architecture ("compute_80").
    std::string ptx(const std::string& source, const std::string& name, const std::string& architecture) const;

private:
    struct Library;
    enum class Form : uint8_t { machine_code, ptx };
    std::string build(const std::string& source, const std::string& name, const std::string& architecture,
                      Form form) const;
    explicit Nvrtc(std::unique_ptr<Library> library);
    std::unique_ptr<Library> library_;
};

}  // namespace tenon
