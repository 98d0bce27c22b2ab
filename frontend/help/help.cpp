#include "frontend/help/help.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "frontend/help/topics.h"
#include "frontend/resolve/suggestions.h"
#include "frontend/syntax/lexer.h"
#include "runtime/diagnostic.h"

namespace tenon {

namespace {

constexpr size_t width = 100;

// Lines of at most `width` characters, each behind `indent`.
std::string wrapped(std::string_view text, std::string_view indent) {
    std::string out(indent);
    size_t column = indent.size();
    bool at_begin = true;
    while (!text.empty()) {
        const size_t end = text.find_first_of(" \n");
        const std::string_view word = text.substr(0, end);
        const auto letters =
            static_cast<size_t>(std::ranges::count_if(word, [](char c) { return (c & 0xC0) != 0x80; }));
        if (!at_begin && column + 1 + letters > width) {
            out += fmt::format("\n{}", indent);
            column = indent.size();
            at_begin = true;
        }
        if (!at_begin) out += ' ', ++column;
        out += word;
        column += letters;
        at_begin = false;
        if (end == std::string_view::npos) break;
        if (text[end] == '\n') {
            out += fmt::format("\n{}", indent);
            column = indent.size();
            at_begin = true;
        }
        text.remove_prefix(end + 1);
    }
    return out + "\n";
}

std::string text_of(const Topic& topic) {
    return fmt::format("{}    ({})\n{}", topic.signature, topic.tag, wrapped(topic.about, "    "));
}

bool belongs_to(const Topic& topic, std::string_view owner) {
    return std::ranges::find(topic.owners, owner) != topic.owners.end();
}

std::string one_line(std::string text) {
    std::ranges::replace(text, '\n', ' ');
    return text;
}

}  // namespace

Topics all_topics(const BuiltinTable& builtins) {
    Topics topics;
    add_language_topics(topics);
    add_builtin_topics(topics, builtins);
    add_library_topics(topics);
    add_compiler_topics(topics);
    return topics;
}

Help::Help(const BuiltinTable& builtins) : topics_(all_topics(builtins)) {}

std::string Help::about(std::string_view name) const {
    std::string text;
    const auto show = [&](const Topic& topic) {
        text += fmt::format("{}{}", text.empty() ? "" : "\n", text_of(topic));
    };
    for (const Topic& topic : topics_)
        if (topic.name == name) show(topic);
    if (const size_t dot = name.rfind('.'); text.empty() && dot != std::string_view::npos) {
        for (const Topic& topic : topics_)
            if (topic.name == name.substr(dot + 1) && belongs_to(topic, name.substr(0, dot))) show(topic);
    }
    std::vector<std::string_view> members;
    for (const Topic& topic : topics_)
        if (belongs_to(topic, name)) members.push_back(topic.name);
    std::ranges::sort(members);
    members.erase(std::ranges::unique(members).begin(), members.end());
    if (!members.empty())
        text += fmt::format("{}{} has:\n{}", text.empty() ? "" : "\n", name,
                            wrapped(fmt::format("{}", fmt::join(members, " ")), "    "));
    return text;
}

std::string Help::suggestion(std::string_view name) const {
    if (std::string advice = advice_for_foreign_name(name); !advice.empty()) return advice;
    if (const std::string_view what = planned_name(name); !what.empty())
        return fmt::format("it is not there yet: {}", what);
    const size_t dot = name.rfind('.');
    const std::string_view wanted = dot == std::string_view::npos ? name : name.substr(dot + 1);
    std::string_view nearest;
    // Letters are compared without their case, which tells between equals: `softmax` from `Softmax`.
    const auto is_lower = [](std::string_view text) {
        return !text.empty() && std::islower(static_cast<unsigned char>(text[0]));
    };
    std::tuple least(wanted.size() <= 2 ? 0 : wanted.size() <= 5 ? 1 : 2, true, std::string_view("~"));
    for (const Topic& topic : topics_) {
        const std::tuple distance(edit_distance(wanted, topic.name), is_lower(wanted) != is_lower(topic.name),
                                  std::string_view(topic.name));
        if (distance >= least) continue;
        least = distance;
        nearest = topic.name;
    }
    return nearest.empty() ? std::string() : fmt::format("did you mean `{}`?", nearest);
}

void Help::check() const {
    const auto fail = [](std::string what) {
        throw Error(
            Diagnostic{"internal", std::move(what), {}, {}, "docs/extending.md tells where such a text belongs"});
    };
    for (const Topic& topic : topics_)
        if (topic.about.empty()) fail(fmt::format("no text tells what `{}` is ({})", topic.signature, topic.tag));
    for (std::string_view word : language_words()) {
        if (std::ranges::none_of(topics_, [&](const Topic& topic) { return topic.name == word; }))
            fail(fmt::format("no text tells what the word `{}` means", word));
    }
}

std::string Help::reference() const {
    check();
    std::string text =
        "# Reference\n\n"
        "Written by `tenon help --markdown` from what the program itself knows; `tenon help NAME` tells the same of "
        "one "
        "name. Do not edit it: change the text at its source\n"
        "and run `./dev build reference`. What the parts mean together is told in "
        "[language.md](language.md).\n\n"
        "In a signature of a built-in, `x?` may be left out, `*xs` takes any number of values, and what stands behind "
        "`;` is "
        "given by keyword: `x.sum(0, keepdim: true)`.\n"
        "`x.f(a)` is `f(x, a)`, so what is called a function here can be called as a method too; a method cannot be "
        "called "
        "as a function.\n";
    std::string_view section, part;
    bool in_list = false;
    for (const Topic& topic : topics_) {
        if (topic.section.empty()) continue;
        if (topic.section != section) {
            text += fmt::format("\n## {}\n", section = topic.section);
            part = {};
            in_list = false;
        }
        if (topic.part != part) {
            text += fmt::format("\n### {}\n", part = topic.part);
            in_list = false;
        }
        if (topic.tag == "module") {
            text += fmt::format("\n{}\n", topic.about);
            continue;
        }
        if (!std::exchange(in_list, true)) text += "\n";
        text += fmt::format("- `{}`: {}\n", topic.signature, one_line(topic.about));
    }
    return text;
}

}  // namespace tenon
