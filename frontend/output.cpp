#include "frontend/output.h"

#include <cstdio>

namespace tenon {

void StandardOutput::write(std::string_view text, Span) { std::fwrite(text.data(), 1, text.size(), stdout); }
void StandardOutput::flush() { std::fflush(stdout); }

}  // namespace tenon
