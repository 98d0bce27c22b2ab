// What this machine's processor can do. Results are stable per class, and caches of compiled code are keyed by it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tenon {

struct CpuInfo {
    std::string name;  ///< brand, e.g. "AMD EPYC 7B13"
    bool has_avx2 = false, has_fma = false, has_f16c = false;
    bool has_avx512 = false;  ///< F, BW, CD, DQ and VL: x86-64-v4
    bool has_avx512_bf16 = false, has_avx512_fp16 = false;
    int64_t l1_bytes = 32 << 10, l2_bytes = 512 << 10, l3_bytes = 8 << 20;
    /// Whether stores past the caches pay between reads. On AMD's processors a softmax's rows gain a quarter by them; Intel's
    /// read less for a plain store where memory is busy, and lose a tenth.
    bool streams_between_reads = false;
    int cores = 1;  ///< that this process may use

    /// "x86-64-v4" with AVX-512, "x86-64-v3" with AVX2 and FMA, otherwise "x86-64".
    std::string_view cpu_class() const {
        return has_avx512 ? "x86-64-v4" : has_avx2 && has_fma ? "x86-64-v3" : "x86-64";
    }
};

/// Asked once, on first use.
const CpuInfo& cpu_info();

/// What code is made and chosen for. Both give the same bits.
enum class InstructionSet : uint8_t { avx2, avx512 };

/// The better one that this machine has; AVX2 is what the program itself needs.
InstructionSet best_instruction_set();

/// Sets the calling thread's floating-point mode to the one the numeric contract needs: round to nearest, denormals
/// kept.
void set_float_environment();

}  // namespace tenon
