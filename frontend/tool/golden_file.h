// Scripts with the output they are expected to have written in them; see docs/testing.md.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tenon {

/// The text without the blanks and ends of lines around it.
std::string_view trimmed(std::string_view text);

/// What the `#!` lines of a script ask for, and what its `#>` lines expect.
struct GoldenFile {
    /// Throws Error "value" for a `#!` line it does not know.
    static GoldenFile parse(std::string_view text);

    /// Whether the script is for this engine. `auto` goes from `interp` to `jit`: it runs what names both.
    bool runs_on(std::string_view engine) const;

    std::vector<std::string> engines;  ///< empty: all
    std::optional<double> tolerance;   ///< of numbers, absolute and relative; none: exact text
    int exit_code = 0;
    std::vector<std::string> args;

    /// Line number (from 1) of the code above → the lines expected from it.
    std::map<uint32_t, std::vector<std::string>> expected;
    std::optional<std::string> expected_error;  ///< the `#>!` lines, joined
};

/// The output a script really had: what each of its lines printed, and the error at the end.
struct GoldenOutput {
    std::map<uint32_t, std::string> printed;
    std::string error;
};

/// Whether two lines agree: exactly, or with a tolerance up to their numbers.
bool lines_agree(std::string_view expected, std::string_view found, std::optional<double> tolerance);

/// What differs, as text for people; empty where all agrees.
std::string compare(const GoldenFile& golden, const GoldenOutput& output);

/// The script with its `#>` lines replaced by what was printed, and its `#>!` lines by the error, at the end.
std::string bless(std::string_view text, const GoldenOutput& output);

}  // namespace tenon
