#include "frontend/tool/golden_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>

#include "runtime/diagnostic.h"

namespace tenon {

namespace {

std::vector<std::string_view> split_lines(std::string_view text) {
    std::vector<std::string_view> lines;
    while (!text.empty()) {
        size_t end = text.find('\n');
        std::string_view line = text.substr(0, end);
        if (line.ends_with('\r')) line.remove_suffix(1);
        lines.push_back(line);
        if (end == std::string_view::npos) break;
        text.remove_prefix(end + 1);
    }
    return lines;
}

// The number that the whole text is.
template <class T>
std::optional<T> number_of(const std::string& text) {
    T value{};
    const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (code != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return value;
}

bool is_expectation(std::string_view line) { return trimmed(line).starts_with("#>"); }

// "#> text" is `text`.
std::string_view content_after(std::string_view line, std::string_view mark) {
    line.remove_prefix(line.find('#') + mark.size());
    if (line.starts_with(' ')) line.remove_prefix(1);
    return line;
}

std::vector<std::string> words_of(std::string_view text) {
    std::vector<std::string> words;
    while (!(text = trimmed(text)).empty()) {
        size_t end = text.find_first_of(" \t");
        words.emplace_back(text.substr(0, end));
        text = end == std::string_view::npos ? std::string_view{} : text.substr(end);
    }
    return words;
}

// The number at the beginning of `text`: its length, or 0.
size_t number_length(std::string_view text, double& value) {
    size_t sign = text.starts_with('-') || text.starts_with('+') ? 1 : 0;
    std::string_view digits = text.substr(sign);
    if (digits.empty() || !(std::isdigit(static_cast<unsigned char>(digits[0])) || digits[0] == '.')) return 0;
    auto [end, code] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (code != std::errc{}) return 0;
    if (text.starts_with('-')) value = -value;
    return sign + static_cast<size_t>(end - digits.data());
}

}  // namespace

std::string_view trimmed(std::string_view text) {
    size_t begin = text.find_first_not_of(" \t\n");
    if (begin == std::string_view::npos) return {};
    return text.substr(begin, text.find_last_not_of(" \t\n") + 1 - begin);
}

bool GoldenFile::runs_on(std::string_view engine) const {
    const auto names = [&](std::string_view name) {
        return std::find(engines.begin(), engines.end(), name) != engines.end();
    };
    return engines.empty() || names(engine) || (engine == "auto" && names("interp") && names("jit"));
}

GoldenFile GoldenFile::parse(std::string_view text) {
    GoldenFile golden;
    uint32_t number = 0, code_line = 0;
    for (std::string_view line : split_lines(text)) {
        ++number;
        std::string_view content = trimmed(line);
        if (content.starts_with("#>!")) {
            std::string& error = golden.expected_error ? *golden.expected_error : golden.expected_error.emplace();
            error += std::string(content_after(line, "#>!")) + "\n";
        } else if (content.starts_with("#>")) {
            golden.expected[code_line].emplace_back(content_after(line, "#>"));
        } else if (content.starts_with("#!") && !(number == 1 && content.starts_with("#!/"))) {
            std::string_view setting = trimmed(content.substr(2));
            size_t colon = setting.find(':');
            std::string_view name = trimmed(setting.substr(0, colon));
            std::vector<std::string> values =
                words_of(colon == std::string_view::npos ? "" : setting.substr(colon + 1));
            auto refuse = [&](std::string_view why) {
                throw_error("value", fmt::format("line {}: `#! {}` {}", number, setting, why),
                            "there are `#! engines: interp jit`, `#! tolerance: 1e-4`, `#! exit: 1`, `#! args: a b`");
            };
            if (name == "engines" && !values.empty()) {
                for (const std::string& engine : values) {
                    if (engine != "eager" && engine != "interp" && engine != "jit" && engine != "auto")
                        refuse("names an engine that is not there");
                }
                golden.engines = values;
            } else if (name == "tolerance" && values.size() == 1) {
                golden.tolerance = number_of<double>(values[0]);
                if (!golden.tolerance || !(*golden.tolerance > 0)) refuse("is no positive number");
            } else if (name == "exit" && values.size() == 1) {
                const std::optional<int> code = number_of<int>(values[0]);
                if (!code || *code < 0 || *code > 255) refuse("is no exit code");
                golden.exit_code = *code;
            } else if (name == "args") {
                golden.args = values;
            } else {
                refuse("is not understood");
            }
        } else {
            code_line = number;
        }
    }
    return golden;
}

bool lines_agree(std::string_view expected, std::string_view found, std::optional<double> tolerance) {
    while (expected.ends_with(' ')) expected.remove_suffix(1);
    while (found.ends_with(' ')) found.remove_suffix(1);
    if (expected == found) return true;
    if (!tolerance) return false;
    bool in_word = false;  // the 1 of `x1` is no number
    while (!expected.empty() && !found.empty()) {
        double a = 0, b = 0;
        size_t a_length = in_word ? 0 : number_length(expected, a), b_length = in_word ? 0 : number_length(found, b);
        if (a_length && b_length) {
            if (!(std::fabs(a - b) <= *tolerance * (1 + std::fabs(a)))) return false;
            expected.remove_prefix(a_length);
            found.remove_prefix(b_length);
            continue;
        }
        // Columns of numbers shift when a digit comes or goes.
        if (expected[0] == ' ' && found[0] == ' ') {
            while (expected.starts_with(' ')) expected.remove_prefix(1);
            while (found.starts_with(' ')) found.remove_prefix(1);
            in_word = false;
            continue;
        }
        if (expected[0] != found[0]) return false;
        in_word = std::isalnum(static_cast<unsigned char>(expected[0])) || expected[0] == '_';
        expected.remove_prefix(1);
        found.remove_prefix(1);
    }
    return expected.empty() && found.empty();
}

namespace {

void compare_block(std::string_view where, const std::vector<std::string>& expected, std::string_view found_text,
                   std::optional<double> tolerance, std::string& out) {
    std::vector<std::string_view> found = split_lines(found_text);
    bool agrees = expected.size() == found.size();
    for (size_t i = 0; agrees && i < expected.size(); ++i) agrees = lines_agree(expected[i], found[i], tolerance);
    if (agrees) return;
    out += fmt::format("  {}\n", where);
    for (size_t i = 0; i < std::max(expected.size(), found.size()); ++i) {
        bool same = i < expected.size() && i < found.size() && lines_agree(expected[i], found[i], tolerance);
        if (same) {
            out += fmt::format("      {}\n", found[i]);
            continue;
        }
        if (i < expected.size()) out += fmt::format("    - {}\n", expected[i]);
        if (i < found.size()) out += fmt::format("    + {}\n", found[i]);
    }
}

}  // namespace

std::string compare(const GoldenFile& golden, const GoldenOutput& output) {
    std::string out;
    std::map<uint32_t, std::pair<std::vector<std::string>, std::string>> blocks;
    for (const auto& [line, lines] : golden.expected) blocks[line].first = lines;
    for (const auto& [line, text] : output.printed) blocks[line].second = text;
    for (const auto& [line, block] : blocks) {
        compare_block(fmt::format("line {} printed otherwise (- expected, + found):", line), block.first, block.second,
                      golden.tolerance, out);
    }
    std::vector<std::string> error;
    if (golden.expected_error) {
        for (std::string_view line : split_lines(*golden.expected_error)) error.emplace_back(line);
    }
    if (golden.expected_error || !output.error.empty()) {
        compare_block("the error is another one (- expected, + found):", error, output.error, golden.tolerance, out);
    }
    return out;
}

std::string bless(std::string_view text, const GoldenOutput& output) {
    std::string out;
    uint32_t number = 0;
    auto emit = [&](std::string_view indent, std::string_view mark, std::string_view lines) {
        for (std::string_view line : split_lines(lines)) {
            while (line.ends_with(' ')) line.remove_suffix(1);
            out += fmt::format("{}{}{}{}\n", indent, mark, line.empty() ? "" : " ", line);
        }
    };
    for (std::string_view line : split_lines(text)) {
        ++number;
        if (is_expectation(line)) continue;
        out += std::string(line) + "\n";
        std::string_view indent = line.substr(0, std::min(line.find_first_not_of(" \t"), line.size()));
        if (auto printed = output.printed.find(number); printed != output.printed.end())
            emit(indent, "#>", printed->second);
    }
    emit("", "#>!", output.error);  // last: no line that it names moves
    return out;
}

}  // namespace tenon
