// Output that nobody sees: what a script prints itself is in the way of what a command prints about it.
#pragma once

#include "frontend/values/output.h"

namespace tenon {

class SilentOutput final : public Output {
public:
    void write(std::string_view, Span) override {}
};

}  // namespace tenon
