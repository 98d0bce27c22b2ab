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
    auto cache_size = [](int name, int64_t fallback) {
        long bytes = sysconf(name);
        return bytes > 0 ? static_cast<int64_t>(bytes) : fallback;
    };
    info.l1_bytes = cache_size(_SC_LEVEL1_DCACHE_SIZE, info.l1_bytes);
    info.l2_bytes = cache_size(_SC_LEVEL2_CACHE_SIZE, info.l2_bytes);
    info.l3_bytes = cache_size(_SC_LEVEL3_CACHE_SIZE, info.l3_bytes);
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
