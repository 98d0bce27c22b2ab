#include "runtime/cpu.h"

#include <cpuid.h>
#include <sched.h>
#include <unistd.h>
#include <xmmintrin.h>

#include <array>
#include <cstring>

namespace tenon {

namespace {

std::string brand() {
    std::array<unsigned, 12> words{};
    for (unsigned leaf = 0; leaf < 3; ++leaf) {
        unsigned* w = &words[leaf * 4];
        if (!__get_cpuid(0x80000002u + leaf, w, w + 1, w + 2, w + 3)) return "unknown x86-64";
    }
    std::array<char, sizeof(words) + 1> text{};
    std::memcpy(text.data(), words.data(), sizeof(words));
    std::string name = text.data();
    size_t first = name.find_first_not_of(' '), last = name.find_last_not_of(' ');
    return first == std::string::npos ? "unknown x86-64" : name.substr(first, last - first + 1);
}

int available_cores() {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof(set), &set) == 0) return CPU_COUNT(&set);
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? static_cast<int>(online) : 1;
}

// What one cache holds, as the processor says it for the core that asks. The C library's answer for AMD is that of all caches of
// the third level together, of which a core has one.
void ask_caches(CpuInfo& info) {
    for (unsigned leaf : {4u, 0x8000001du})  // Intel's and AMD's, alike
        for (unsigned k = 0, a = 0, b = 0, c = 0, d = 0; __get_cpuid_count(leaf, k, &a, &b, &c, &d); ++k) {
            constexpr unsigned none = 0, instructions = 2;
            const unsigned type = a & 31, level = a >> 5 & 7;
            if (type == none) break;
            if (type == instructions) continue;
            const int64_t ways = (b >> 22) + 1, partitions = (b >> 12 & 0x3ff) + 1, line = (b & 0xfff) + 1;
            const int64_t bytes = ways * partitions * line * (int64_t(c) + 1);
            if (level == 1) info.l1_bytes = bytes;
            if (level == 2) info.l2_bytes = bytes;
            if (level == 3) info.l3_bytes = bytes;
        }
}

CpuInfo ask_cpu() {
    __builtin_cpu_init();
    CpuInfo info;
    info.name = brand();
    info.has_avx2 = __builtin_cpu_supports("avx2");
    info.has_fma = __builtin_cpu_supports("fma");
    info.has_f16c = __builtin_cpu_supports("f16c");
    info.has_avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512vl");
    info.has_avx512_bf16 = __builtin_cpu_supports("avx512bf16");
    info.has_avx512_fp16 = __builtin_cpu_supports("avx512fp16");
    ask_caches(info);
    info.streams_between_reads = __builtin_cpu_is("amd");
    info.cores = available_cores();
    return info;
}

}  // namespace

const CpuInfo& cpu_info() {
    static const CpuInfo info = ask_cpu();
    return info;
}

InstructionSet best_instruction_set() { return cpu_info().has_avx512 ? InstructionSet::avx512 : InstructionSet::avx2; }

void set_float_environment() {
    constexpr unsigned all_masked_nearest = 0x1f80;  // exceptions masked, round to nearest, no FTZ, no DAZ
    _mm_setcsr(all_masked_nearest);
}

}  // namespace tenon
