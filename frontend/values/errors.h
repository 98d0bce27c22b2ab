// Raising errors whose place is known.
#pragma once

#include <string>
#include <utility>

#include "runtime/diagnostic.h"

namespace tenon {

[[noreturn]] inline void throw_error_at(Span span, std::string kind, std::string message, std::string help = {}) {
    throw Error(Diagnostic{std::move(kind), std::move(message), span, {}, std::move(help)});
}

}  // namespace tenon
