// Inputs made wrong: bytes and words of one text changed, moved, doubled, left out, or taken from another.
#pragma once

#include <string>
#include <string_view>

#include "tests/fuzz/random.h"

namespace tenon::fuzz {

/// One to a handful of changes of single bytes and runs of them. `other` lends some.
std::string mutate_bytes(std::string data, std::string_view other, Random& random);

/// The same of words, numbers, signs and lines, so that more of the result is still valid.
std::string mutate_words(std::string_view text, std::string_view other, Random& random);

}  // namespace tenon::fuzz
