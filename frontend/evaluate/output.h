// Where a script's output goes: the standard output, or whoever compares it.
#pragma once

#include <string_view>

#include "runtime/span.h"

namespace tenon {

class Output {
public:
    virtual ~Output() = default;
    /// `from` is the call that printed it.
    virtual void write(std::string_view text, Span from) = 0;
    virtual void flush() {}
    /// At the end of a script: flushes, and throws Error kind "io" where something could not be written, as write does.
    virtual void finish() { flush(); }
};

/// The process's standard output, buffered; each line at once on a terminal.
class StandardOutput final : public Output {
public:
    void write(std::string_view text, Span from) override;
    void flush() override;
    void finish() override;
};

}  // namespace tenon
