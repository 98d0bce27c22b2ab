// One wrong input, given to what reads it.
#pragma once

#include <string>

#include "tests/fuzz/inputs/corpus.h"

namespace tenon::fuzz {

struct Answer {
    std::string wrong;   ///< what must not be: a message that speaks of a bug, a value that did not come back
    bool taken = false;  ///< it was no error
};

/// Reads it, and does with what was read what a script would: a script is run, a graph goes through the passes and is
/// called, tensors are written and read again. May end the process, which is a finding too. Files are made in the current
/// folder.
Answer try_input(Input input, const std::string& data);

}  // namespace tenon::fuzz
