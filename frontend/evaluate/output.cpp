#include "frontend/evaluate/output.h"

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "runtime/diagnostic.h"

namespace tenon {

namespace {

[[noreturn]] void fail(int reason) {
    throw_error("io", std::string("cannot write to the standard output: ") + std::strerror(reason),
                "what was printed is incomplete");
}

}  // namespace

void StandardOutput::write(std::string_view text, Span) {
    if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size()) fail(errno);
}
void StandardOutput::flush() { std::fflush(stdout); }
void StandardOutput::finish() {
    if (std::fflush(stdout) != 0) fail(errno);
}

}  // namespace tenon
