// The program's entry. Compiled for any x86-64, so that it can say what is missing on a machine that is too old.
#include <cstdio>

#include "frontend/tool/command_line.h"

int main(int count, char** arguments) {
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) {
        std::fputs("tenon: this processor has no AVX2 or no FMA, which every kernel here is made of\n", stderr);
        return 2;
    }
    return tenon::run_command_line(count, arguments);
}
