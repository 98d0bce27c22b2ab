#include "frontend/syntax/syntax_errors.h"

#include <algorithm>

namespace tenon {

void SyntaxErrors::add(Span span, std::string message, std::string help, std::vector<Label> labels) {
    uint32_t line = sources_.line(span);
    if (line == last_line_ || diagnostics_.size() == most) return;
    last_line_ = line;
    diagnostics_.push_back({"syntax", std::move(message), span, std::move(labels), std::move(help)});
}

std::vector<Diagnostic> SyntaxErrors::take() {
    std::stable_sort(diagnostics_.begin(), diagnostics_.end(),
                     [](const Diagnostic& a, const Diagnostic& b) { return a.span.begin < b.span.begin; });
    return std::move(diagnostics_);
}

}  // namespace tenon
