// Methods of str.
#include <algorithm>
#include <cctype>

#include "frontend/methods/tables.h"
#include "frontend/evaluate/evaluator.h"
#include "frontend/values/builtin.h"
#include "frontend/values/format_spec.h"

namespace tenon {

namespace {

constexpr std::string_view blanks = " \t\n\r\v\f";
constexpr size_t npos = std::string_view::npos;

std::string_view strip(std::string_view text, std::string_view set, bool left, bool right) {
    while (left && !text.empty()) {
        const size_t first = byte_of_character(text, 1);
        if (set.find(text.substr(0, first)) == npos) break;
        text.remove_prefix(first);
    }
    while (right && !text.empty()) {
        size_t last = text.size() - 1;
        while (last > 0 && (text[last] & 0xC0) == 0x80) --last;
        if (set.find(text.substr(last)) == npos) break;
        text = text.substr(0, last);
    }
    return text;
}

template <bool left, bool right> Value strip_method(Evaluator&, Arguments& a) {
    return make_text(
        strip(a.text(0, "a str"), a.has(1) ? std::string_view(a.text(1, "characters")) : blanks, left, right));
}

template <int (*convert)(int)> Value map_ascii(Evaluator&, Arguments& a) {
    std::string text = a.text(0, "a str");
    for (char& c : text) {
        if (static_cast<unsigned char>(c) < 0x80) c = static_cast<char>(convert(static_cast<unsigned char>(c)));
    }
    return make_text(text);
}

template <int (*test)(int)> Value all_ascii(Evaluator&, Arguments& a) {
    const std::string& text = a.text(0, "a str");
    return !text.empty() &&
           std::all_of(text.begin(), text.end(), [](char c) { return test(static_cast<unsigned char>(c)); });
}

Value capitalize(Evaluator&, Arguments& a) {
    std::string text = a.text(0, "a str");
    for (size_t i = 0; i < text.size(); ++i) {
        unsigned char c = static_cast<unsigned char>(text[i]);
        if (c < 0x80) text[i] = static_cast<char>(i == 0 ? std::toupper(c) : std::tolower(c));
    }
    return make_text(text);
}

Value split(Evaluator&, Arguments& a) {
    std::string_view text = a.text(0, "a str");
    int64_t limit = a.integer_or(2, -1, "the number of splits");
    Values parts;
    auto full = [&] { return limit >= 0 && static_cast<int64_t>(parts.size()) >= limit; };
    if (!a.has(1) || a[1].is_none()) {
        text = strip(text, blanks, true, false);
        while (!text.empty()) {
            check_interrupt();
            size_t end = full() ? npos : text.find_first_of(blanks);
            parts.push_back(make_text(full() ? strip(text, blanks, false, true) : text.substr(0, end)));
            text = end == npos ? std::string_view{} : strip(text.substr(end), blanks, true, false);
        }
        return make_list(std::move(parts));
    }
    std::string_view separator = a.text(1, "a separator");
    if (separator.empty()) throw_error("value", "the separator of split is empty", "list(text) gives the characters");
    for (;;) {
        check_interrupt();
        size_t end = full() ? npos : text.find(separator);
        parts.push_back(make_text(text.substr(0, end)));
        if (end == npos) return make_list(std::move(parts));
        text.remove_prefix(end + separator.size());
    }
}

Value split_lines(Evaluator&, Arguments& a) {
    std::string_view text = a.text(0, "a str");
    Values lines;
    while (!text.empty()) {
        check_interrupt();
        size_t end = text.find('\n');
        std::string_view line = text.substr(0, end);
        if (line.ends_with('\r')) line.remove_suffix(1);
        lines.push_back(make_text(line));
        if (end == npos) break;
        text.remove_prefix(end + 1);
    }
    return make_list(std::move(lines));
}

Value join(Evaluator& evaluator, Arguments& a) {
    std::string out;
    bool first = true;
    for (const Value& part : evaluator.collect(a[1])) {
        check_interrupt();
        if (!part.is(Kind::string)) {
            throw_error("type", "join takes strs, but one of the items is " + evaluator.semantics().describe(part),
                        "write join([str(x) for x in xs])");
        }
        if (!std::exchange(first, false)) out += a.text(0, "a str");
        out += text_of(part);
    }
    return make_text(out);
}

Value replace(Evaluator&, Arguments& a) {
    std::string_view text = a.text(0, "a str"), old = a.text(1, "the old text"), fresh = a.text(2, "the new text");
    int64_t limit = a.integer_or(3, INT64_MAX, "a count");
    if (old.empty()) throw_error("value", "the text to be replaced is empty");
    std::string out;
    for (; limit > 0; --limit) {
        check_interrupt();
        size_t at = text.find(old);
        if (at == npos) break;
        out.append(text.substr(0, at)).append(fresh);
        text.remove_prefix(at + old.size());
    }
    return make_text(out.append(text));
}

// A str, or a tuple of strs of which one must do.
template <class Test> bool any_text(const Evaluator& evaluator, const Value& what, Test test) {
    if (const Values* items = items_of(what)) {
        evaluator.check_stack(evaluator.here());  // a list may hold itself
        return std::any_of(items->begin(), items->end(), [&](const Value& v) { return any_text(evaluator, v, test); });
    }
    if (!what.is(Kind::string)) throw_error("type", "expected a str, found a " + std::string(name_of(what.kind())));
    return test(text_of(what));
}

Value starts_with(Evaluator& evaluator, Arguments& a) {
    return any_text(evaluator, a[1], [&](std::string_view part) { return a.text(0, "a str").starts_with(part); });
}
Value ends_with(Evaluator& evaluator, Arguments& a) {
    return any_text(evaluator, a[1], [&](std::string_view part) { return a.text(0, "a str").ends_with(part); });
}

Value find(Evaluator&, Arguments& a) {
    const std::string& text = a.text(0, "a str");
    size_t at = text.find(a.text(1, "the text to find"));
    if (at == npos) return int64_t{-1};
    return a[0].as<StringObject>().bytes_are_characters() ? static_cast<int64_t>(at)
                                                          : count_characters(std::string_view(text).substr(0, at));
}

Value count_text(Evaluator&, Arguments& a) {
    std::string_view text = a.text(0, "a str"), part = a.text(1, "the text to count");
    if (part.empty()) return count_characters(text) + 1;
    int64_t found = 0;
    for (size_t at = 0; (at = text.find(part, at)) != npos; at += part.size()) {
        check_interrupt();
        ++found;
    }
    return found;
}

template <char align> Value justify(Evaluator&, Arguments& a) {
    FormatSpec spec;
    spec.align = align;
    spec.width = static_cast<int>(std::clamp<int64_t>(a.integer(1, "a width"), 0, 100'000));
    if (a.has(2)) spec.fill = a.text(2, "a character to fill with");
    return make_text(format_text(a.text(0, "a str"), spec));
}

Value zero_fill(Evaluator&, Arguments& a) {
    const std::string& text = a.text(0, "a str");
    int64_t missing = std::min<int64_t>(a.integer(1, "a width"), 100'000) - count_characters(text);
    size_t sign = !text.empty() && (text[0] == '-' || text[0] == '+') ? 1 : 0;
    return make_text(text.substr(0, sign) + std::string(static_cast<size_t>(std::max<int64_t>(missing, 0)), '0') +
                     text.substr(sign));
}

Value remove_prefix(Evaluator&, Arguments& a) {
    std::string_view text = a.text(0, "a str"), part = a.text(1, "a prefix");
    return make_text(text.starts_with(part) ? text.substr(part.size()) : text);
}
Value remove_suffix(Evaluator&, Arguments& a) {
    std::string_view text = a.text(0, "a str"), part = a.text(1, "a suffix");
    return make_text(text.ends_with(part) ? text.substr(0, text.size() - part.size()) : text);
}

Value partition(Evaluator&, Arguments& a) {
    std::string_view text = a.text(0, "a str"), separator = a.text(1, "a separator");
    size_t at = text.find(separator);
    if (at == npos) return make_tuple({make_text(text), make_text(""), make_text("")});
    return make_tuple(
        {make_text(text.substr(0, at)), make_text(separator), make_text(text.substr(at + separator.size()))});
}

constexpr KindSet strs = kinds(Kind::string);

constexpr Builtin string_table[] = {
    {"upper", "text", strs, map_ascii<std::toupper>, method_only, "ASCII letters in upper case"},
    {"lower", "text", strs, map_ascii<std::tolower>, method_only, "ASCII letters in lower case"},
    {"capitalize", "text", strs, capitalize, method_only, "the first letter in upper case, the others in lower case"},
    {"strip", "text, characters?", strs, strip_method<true, true>, method_only, "without blanks at both ends"},
    {"lstrip", "text, characters?", strs, strip_method<true, false>, method_only, "without blanks at the beginning"},
    {"rstrip", "text, characters?", strs, strip_method<false, true>, method_only, "without blanks at the end"},
    {"split", "text, separator?, limit?", strs, split, method_only, "the parts between separators (blanks by default)"},
    {"splitlines", "text", strs, split_lines, method_only, "the lines"},
    {"join", "separator, parts", strs, join, method_only, "the parts with the separator between them"},
    {"replace", "text, old, new, count?", strs, replace, method_only, "with each `old` replaced by `new`"},
    {"startswith", "text, prefix", strs, starts_with, method_only, "whether it begins so (or with one of a tuple)"},
    {"endswith", "text, suffix", strs, ends_with, method_only, "whether it ends so (or with one of a tuple)"},
    {"find", "text, part", strs, find, method_only, "where the part first begins, -1 where it is not"},
    {"count", "text, part", strs, count_text, method_only, "how often the part is there"},
    {"ljust", "text, width, fill?", strs, justify<'<'>, method_only, "filled up at the end"},
    {"rjust", "text, width, fill?", strs, justify<'>'>, method_only, "filled up at the beginning"},
    {"center", "text, width, fill?", strs, justify<'^'>, method_only, "filled up at both ends"},
    {"zfill", "text, width", strs, zero_fill, method_only, "filled up with zeros behind the sign"},
    {"isdigit", "text", strs, all_ascii<std::isdigit>, method_only, "whether all are digits"},
    {"isalpha", "text", strs, all_ascii<std::isalpha>, method_only, "whether all are ASCII letters"},
    {"isspace", "text", strs, all_ascii<std::isspace>, method_only, "whether all are blanks"},
    {"removeprefix", "text, prefix", strs, remove_prefix, method_only, "without the prefix, if it has it"},
    {"removesuffix", "text, suffix", strs, remove_suffix, method_only, "without the suffix, if it has it"},
    {"partition", "text, separator", strs, partition, method_only, "(before, separator, after) at its first place"},
};

}  // namespace

std::span<const Builtin> string_builtins() { return string_table; }

}  // namespace tenon
