// Whatever the text, the parser says something about it and comes back.
#include <gtest/gtest.h>

#include <random>

#include "tests/frontend/syntax_support.h"

namespace tenon::syntax_tests {

namespace {

std::string repeated(int count, const std::string& text) {
    std::string result;
    for (int i = 0; i < count; i++) result += text;
    return result;
}

void expect_too_deep(const std::string& text) {
    Looked script(text);
    ASSERT_FALSE(script.diagnostics.empty());
    EXPECT_EQ(script.diagnostics[0].message, "this is nested too deeply: more than 200 levels");
}

}  // namespace

TEST(SyntaxRobustness, DeepTextsAreErrorsAndNotCrashes) {
    constexpr int many = 30'000;
    expect_too_deep("x = 1" + repeated(many, " + 1") + "\n");
    expect_too_deep("x = " + repeated(many, "-") + "1\n");
    expect_too_deep("x = " + repeated(many, "not ") + "1\n");
    expect_too_deep("x = 1" + repeated(many, " < 1") + "\n");
    expect_too_deep("x = " + repeated(many, "[") + repeated(many, "]") + "\n");
    expect_too_deep("x = " + repeated(many, "f(") + repeated(many, ")") + "\n");
    expect_too_deep("x = y" + repeated(many, ".f()") + "\n");
    expect_too_deep("x = " + repeated(many, "1 if c else ") + "1\n");
    expect_too_deep("x = " + repeated(many, "fn() = ") + "1\n");
    expect_too_deep(repeated(many, "if a { ") + repeated(many, "} "));
    expect_too_deep(repeated(many, "no_grad { ") + repeated(many, "} "));
    expect_too_deep("fn f(x: " + repeated(many, "list[") + "int" + repeated(many, "]") + ") = x\n");
    expect_too_deep("fn f(x: int" + repeated(many, " | int") + ") = x\n");
    EXPECT_TRUE(Looked("x = " + repeated(many, "(") + "1" + repeated(many, ")") + "\n").diagnostics.empty());
    EXPECT_FALSE(Looked("if a { } " + repeated(many, "else if a { } ") + "\n").diagnostics.empty());
    EXPECT_FALSE(Looked(repeated(many, "{")).diagnostics.empty());
    EXPECT_FALSE(Looked(repeated(many, "}")).diagnostics.empty());
    EXPECT_FALSE(Looked(repeated(1000, "f\"{")).diagnostics.empty());
}

TEST(SyntaxRobustness, LongTextsAreFine) {
    EXPECT_TRUE(Looked(repeated(20'000, "x = 1\n")).diagnostics.empty());
    EXPECT_TRUE(Looked("x = [" + repeated(50'000, "1, ") + "]\n").diagnostics.empty());
    EXPECT_TRUE(Looked("x = \"" + repeated(100'000, "é") + "\"\n").diagnostics.empty());
    EXPECT_TRUE(Looked("if true { } " + repeated(900, "else if true { } ") + "\n").diagnostics.empty());
    EXPECT_TRUE(Looked(repeated(50'000, "# nothing\n\n") + "x = 1\n").diagnostics.empty());
}

TEST(SyntaxRobustness, MutatedScriptsNeverCrash) {
    std::vector<std::string> texts;
    for (const auto& path : scripts(folder("good"))) texts.push_back(read(path));
    for (const auto& path : scripts(folder("errors"))) {
        if (std::filesystem::file_size(path) < 2000) texts.push_back(read(path));
    }
    std::mt19937 random(20);
    static constexpr std::string_view pieces[] = {"{",      "}",
                                                  "(",      ")",
                                                  "[",      "]",
                                                  "\"",     "'",
                                                  "f\"",    "\"\"\"",
                                                  "\n",     ";",
                                                  ":",      ",",
                                                  "=",      "if ",
                                                  "else ",  "for ",
                                                  "in ",    "fn ",
                                                  "model ", "annotate ",
                                                  "@",      "#",
                                                  "\\",     ".",
                                                  "*",      "**",
                                                  "not ",   "is ",
                                                  "\t",     "\r\n",
                                                  "\xff",   std::string_view("\0", 1),
                                                  "é",      "return ",
                                                  "custom "};
    auto pick = [&](size_t count) { return std::uniform_int_distribution<size_t>(0, count - 1)(random); };
    for (int round = 0; round < 4000; round++) {
        std::string text = texts[pick(texts.size())];
        if (text.size() > 1500) text = text.substr(pick(text.size() - 1500), 1500);
        int changes = 1 + static_cast<int>(pick(6));
        for (int i = 0; i < changes && !text.empty(); i++) {
            size_t at = pick(text.size());
            switch (pick(4)) {
                case 0: text.erase(at, 1 + pick(8)); break;
                case 1: text.insert(at, pieces[pick(std::size(pieces))]); break;
                case 2: text[at] = static_cast<char>(pick(256)); break;
                default: text.insert(at, text.substr(pick(text.size()), 1 + pick(40))); break;
            }
        }
        Looked script(text);
        EXPECT_EQ(script.errors().empty(), script.diagnostics.empty());
    }
}

TEST(SyntaxRobustness, EveryPrefixOfAScriptParsesOrFails) {
    std::string text = read(scripts(folder("good")).front());
    for (size_t length = 0; length <= text.size(); length++) Looked(text.substr(0, length)).errors();
}

}  // namespace tenon::syntax_tests
