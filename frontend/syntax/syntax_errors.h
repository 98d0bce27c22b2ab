// The syntax errors of one text: one a line, so that a mistake is told once and not by everything that trips over it.
#pragma once

#include <string>
#include <vector>

#include "frontend/syntax/source_map.h"
#include "runtime/diagnostic.h"

namespace tenon {

class SyntaxErrors {
public:
    SyntaxErrors(const SourceMap& sources) : sources_(sources) {}

    void add(Span span, std::string message, std::string help = {}, std::vector<Label> labels = {});

    const std::vector<Diagnostic>& all() const { return diagnostics_; }
    bool empty() const { return diagnostics_.empty(); }
    /// In the order of the text.
    std::vector<Diagnostic> take();

private:
    static constexpr size_t most = 50;  // a text with more is not a script

    const SourceMap& sources_;
    std::vector<Diagnostic> diagnostics_;
    uint32_t last_line_ = 0;
};

}  // namespace tenon
