// Where a script's output goes: the standard output, or whoever compares it.
#pragma once

#include <string_view>

#include "runtime/diagnostic.h"
#include "runtime/span.h"

namespace tenon {

/// What was printed is lost: Error "io".
class OutputLost : public Error {
public:
    using Error::Error;
};

/// Writes to the process's standard output, at once and to the end: however the process ends after it, it is there. The
/// one way to it. Throws OutputLost where that fails, and Interrupted where Ctrl-C ends the wait for a reader.
void write_standard_output(std::string_view text);

class Output {
public:
    virtual ~Output() = default;
    /// `from` is the call that printed it.
    virtual void write(std::string_view text, Span from) = 0;
};

class StandardOutput final : public Output {
public:
    void write(std::string_view text, Span) override { write_standard_output(text); }
};

}  // namespace tenon
