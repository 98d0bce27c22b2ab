// What the parser makes of a text, and what the resolver makes of its names.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/frontend/syntax_support.h"

namespace tenon::syntax_tests {

using namespace ast;

namespace {

/// The tree without places, one line a node.
std::string shape(const std::string& text) {
    Looked script(text);
    EXPECT_EQ(script.errors(), "");
    std::string tree = script.tree(), result;
    for (size_t i = tree.find('\n') + 1; i < tree.size(); i = tree.find('\n', i) + 1) {
        result += tree.substr(i + 12, tree.find('\n', i) - i - 11);
    }
    return result;
}

/// An expression with its operators as calls: `-x ** 2` is `-(**(x, 2))`.
std::string operators(const Expr& expr, const SymbolTable& symbols) {
    auto of = [&](const Expr* child) { return operators(*child, symbols); };
    switch (expr.kind) {
        case ExprKind::name: return symbols.text(as<Name>(expr).name);
        case ExprKind::integer: return std::to_string(as<IntegerLiteral>(expr).value);
        case ExprKind::unary:
            return std::string(spelling(as<Unary>(expr).op)) + "(" + of(as<Unary>(expr).operand) + ")";
        case ExprKind::binary:
            return std::string(spelling(as<Binary>(expr).op)) + "(" + of(as<Binary>(expr).left) + ", " +
                   of(as<Binary>(expr).right) + ")";
        case ExprKind::logical:
            return std::string(spelling(as<Logical>(expr).op)) + "(" + of(as<Logical>(expr).left) + ", " +
                   of(as<Logical>(expr).right) + ")";
        case ExprKind::comparison: {
            std::string chain = "(" + of(as<Comparison>(expr).first);
            for (const ComparisonLink& link : as<Comparison>(expr).links)
                chain += std::string(" ") + spelling(link.op) + " " + of(link.operand);
            return chain + ")";
        }
        case ExprKind::conditional:
            return "if(" + of(as<Conditional>(expr).condition) + ", " + of(as<Conditional>(expr).yes) + ", " +
                   of(as<Conditional>(expr).no) + ")";
        default: return "?";
    }
}

std::string operators(const std::string& text) {
    Looked script("x = " + text + "\n");
    EXPECT_EQ(script.parsed.diagnostics.size(), 0u) << text;
    return operators(*as<Assign>(*script.parsed.script->main->body->statements[0]).value, script.symbols);
}

bool is_incomplete(const std::string& text) { return Looked(text).parsed.incomplete; }

}  // namespace

TEST(SyntaxTree, OperatorsBindAsTheTableSays) {
    EXPECT_EQ(operators("-a ** 2"), "-(**(a, 2))");
    EXPECT_EQ(operators("2 ** -1"), "**(2, -(1))");
    EXPECT_EQ(operators("a ** b ** c"), "**(a, **(b, c))");
    EXPECT_EQ(operators("a - b - c"), "-(-(a, b), c)");
    EXPECT_EQ(operators("a + b * c @ d"), "+(a, @(*(b, c), d))");
    EXPECT_EQ(operators("a | b ^ c & d << e"), "|(a, ^(b, &(c, <<(d, e))))");
    EXPECT_EQ(operators("not a == b"), "not((a == b))");
    EXPECT_EQ(operators("a or b and not c"), "or(a, and(b, not(c)))");
    EXPECT_EQ(operators("a < b <= c"), "(a < b <= c)");
    EXPECT_EQ(operators("(a < b) < c"), "((a < b) < c)");
    EXPECT_EQ(operators("a is not b"), "(a is not b)");
    EXPECT_EQ(operators("a not in b"), "(a not in b)");
    EXPECT_EQ(operators("a if b else c if d else e"), "if(b, a, if(d, c, e))");
    EXPECT_EQ(operators("a or b if c else d"), "if(c, or(a, b), d)");
    EXPECT_EQ(operators("~a + -b"), "+(~(a), -(b))");
}

TEST(SyntaxTree, LinesEndWhereTheyShould) {
    auto statements = [](const std::string& text) {
        Looked script(text);
        EXPECT_EQ(script.parsed.diagnostics.size(), 0u) << text << script.errors();
        return script.parsed.script->main->body->statements.size();
    };
    EXPECT_EQ(statements("x = 1 +\n  2\n"), 1u);
    EXPECT_EQ(statements("x = y\n  .f()\n  .g()\n"), 1u);
    EXPECT_EQ(statements("x = f(1,\n2)\ny = 3"), 2u);
    EXPECT_EQ(statements("if a { b() }\nelse { c() }\n"), 1u);
    EXPECT_EQ(statements("if a { b() }\n\n# why\nelse if d { c() }\n"), 1u);
    EXPECT_EQ(statements("try { f() }\ncatch e { g() }\n"), 1u);
    EXPECT_EQ(statements("x = 1; y = 2;\n;z = 3\n"), 3u);
    EXPECT_EQ(statements("x = 1\r\ny = 2\r\n"), 2u);
    EXPECT_EQ(statements("x = 1 \\\n  + 2\n"), 1u);
    EXPECT_EQ(statements("\xef\xbb\xbfx = 1\n"), 1u);
    EXPECT_EQ(statements("else_ = 1\nx = elsewhere\n"), 2u);
    EXPECT_EQ(statements("@compile\nfn f(x) = x\n@compile fn g(x) = x\n"), 2u);
    EXPECT_EQ(statements(""), 0u);
    EXPECT_EQ(statements("# only\n\n"), 0u);
}

TEST(SyntaxTree, BracesAreToldApart) {
    EXPECT_EQ(shape("x = 1\ny = {x: x} if x == 1 else {}\nif x == 1 { y = {} } else { y = {1: 2} }\n"),
              shape("x = 1\ny = {x: x} if x == 1 else {}\nif (x == 1) {\n y = {}\n}\nelse {\n y = {1: 2}\n}\n"));
    EXPECT_NE(shape("for x in {1: 2} { print(x) }\n").find("in: dict"), std::string::npos);
    EXPECT_NE(shape("x = checkpoint { 1 }\n").find("scope checkpoint"), std::string::npos);
    EXPECT_NE(shape("while (no_grad { len([]) }) == 0 { print(1) }\n").find("scope no_grad"), std::string::npos);
    EXPECT_NE(shape("annotate {a: 1, **{\"b\": 2}} { print(1) }\n").find("**: dict"), std::string::npos);
}

TEST(SyntaxTree, WordsAreNamesWhereTheyCanBe) {
    EXPECT_EQ(Looked("model = 1\nparam = model\nfor test in range(param) { use = test }\nx = model.if.for\n").errors(),
              "");
}

TEST(SyntaxTree, Literals) {
    Looked script(
        "x = [1_000, 0xff, 0b101, 1.5e3, .5, \"a\\n\\x41\\u{1F600}\\u00e9\", 'it''s', true, none, "
        "-9223372036854775807]\n");
    ASSERT_TRUE(script.parsed.diagnostics.size() == 1u);  // strings are not joined
    Looked good(
        "x = [1_000, 0xff, 0b101, 1.5e3, .5, \"a\\n\\x41\\u{1F600}\\u00e9\", \"\"\"a \"b\"\nc\"\"\", -2 ** 3]\n");
    EXPECT_EQ(good.errors(), "");
    auto& list = as<Sequence>(*as<Assign>(*good.parsed.script->main->body->statements[0]).value);
    EXPECT_EQ(as<IntegerLiteral>(*list.items[0]).value, 1000);
    EXPECT_EQ(as<IntegerLiteral>(*list.items[1]).value, 255);
    EXPECT_EQ(as<IntegerLiteral>(*list.items[2]).value, 5);
    EXPECT_EQ(as<FloatLiteral>(*list.items[3]).value, 1500.0);
    EXPECT_EQ(as<FloatLiteral>(*list.items[4]).value, 0.5);
    EXPECT_EQ(good.symbols.text(as<StringLiteral>(*list.items[5]).text), "a\nA\xF0\x9F\x98\x80\xC3\xA9");
    EXPECT_EQ(good.symbols.text(as<StringLiteral>(*list.items[6]).text), "a \"b\"\nc");
    EXPECT_TRUE(list.items[7]->is_literal);
    EXPECT_FALSE(list.is_literal);
}

TEST(SyntaxTree, FStrings) {
    std::string tree = shape("w = 3\nx = f\"a{w}{{b}} {w=} {w = :>{w}.2f}{f'{w:d}'}{\"q\"}\"\n");
    EXPECT_NE(tree.find("text \"{b} \""), std::string::npos) << tree;
    EXPECT_NE(tree.find("echo: w="), std::string::npos) << tree;
    EXPECT_NE(tree.find("echo: w = "), std::string::npos) << tree;
    EXPECT_NE(tree.find("format: text \".2f\""), std::string::npos) << tree;
    EXPECT_NE(tree.find("format: text \"d\""), std::string::npos) << tree;
}

TEST(SyntaxTree, IncompleteInputAsksForMore) {
    for (const char* text :
         {"f(", "x = [1,\n", "fn f(x) {", "if a {\n  b()\n", "x =", "x = 1 +", "\"\"\"abc", "x = {", "@compile"}) {
        EXPECT_TRUE(is_incomplete(text)) << text;
    }
    for (const char* text : {"f)", "x = 1", "x = \"abc", "1 1", "if a { b() }", "}"})
        EXPECT_FALSE(is_incomplete(text)) << text;
}

TEST(SyntaxTree, JsonIsJson) {
    Looked script("fn f(x: f32[n, 2 * n]) = relu(x)[0, ..., 1:2]\n");
    auto json = nlohmann::json::parse(print_tree_json(*script.parsed.script, script.symbols, script.sources));
    EXPECT_EQ(json["parts"][0]["kind"], "function");
    EXPECT_EQ(json["parts"][0]["line"], 1);
}

TEST(Names, VariablesAreSlotsAndSharedOnesCells) {
    EXPECT_EQ(shape("fn f(x) {\n    y = x\n    g = fn() = y\n    return g\n}\n"),
              "function f slots: 3 [global 0]\n"
              "  parameter x [local 0]\n"
              "  assign\n"
              "    target: name y [cell 1]\n"
              "    value: name x [local 0]\n"
              "  assign\n"
              "    target: name g [local 2]\n"
              "    value: lambda slots: 0 captures: y (cell 1)\n"
              "      value: name y [captured 0]\n"
              "  return\n"
              "    name g [local 2]\n");
}

TEST(Names, ATurnOfALoopHasItsOwnVariableIfAClosureSharesIt) {
    EXPECT_NE(shape("fn f() { for i in range(3) { g = fn() = i } }\n").find("for fresh: cell 0"), std::string::npos);
    EXPECT_EQ(shape("fn f() { for i in range(3) { print(i) }; g = fn() = i; return g }\n").find("fresh"),
              std::string::npos);
    EXPECT_NE(shape("for i in range(3) { g = fn() = fn() = i }\n").find("captures: i (global 0)"), std::string::npos);
    EXPECT_NE(shape("x = [fn() = i for i in range(3)]\n").find("for fresh: cell 0"), std::string::npos);
}

TEST(Names, FunctionsAreVisibleBeforeTheirLine) {
    EXPECT_EQ(Looked("print(f(1))\nfn f(x) = g(x)\nfn g(x) = x\n").errors(), "");
    EXPECT_EQ(Looked("fn outer() { print(f(1)); fn f(x) = x }\n").errors(), "");
}

TEST(Names, MethodsSeeFieldsAndMethodsByBareName) {
    std::string tree = shape(
        "model M(n: int) {\n"
        "    w = zeros(n)\n"
        "    for i in range(n) { w += i }\n"
        "    fn helper(x) = x + w\n"
        "    fn forward(x: f32[n]) { w = helper(x); self.n += 1; f = fn() = n; return w }\n"
        "}\n");
    EXPECT_NE(tree.find("name helper [method 0]"), std::string::npos) << tree;
    EXPECT_NE(tree.find("name i [local"), std::string::npos) << tree;
    EXPECT_NE(tree.find("target: name w [local"), std::string::npos) << tree;
    EXPECT_NE(tree.find("size: name n [field 0]"), std::string::npos) << tree;
    EXPECT_NE(tree.find("name self [self]"), std::string::npos) << tree;
}

TEST(Names, AScriptsOwnNamesWin) {
    std::string tree =
        shape("use std.nn\nfn relu(x) = x\nprint(relu(1), sin(2), imported(3))\nrelu(1).sin().imported().other()\n");
    EXPECT_NE(tree.find("name relu [global 0]"), std::string::npos) << tree;
    EXPECT_NE(tree.find("name imported [imported 0]"), std::string::npos) << tree;
    EXPECT_NE(tree.find("method call imported [imported 0]"), std::string::npos) << tree;
    EXPECT_NE(tree.find("method call sin [builtin 4]"), std::string::npos) << tree;
    EXPECT_NE(tree.find("method call other\n"), std::string::npos) << tree;
    EXPECT_NE(shape("mean = 3\nx = mean.mean()\n").find("method call mean\n"), std::string::npos);
}

TEST(Names, OuterNamesAreNeverRebound) {
    EXPECT_NE(shape("w = 1\nfn f() { w += 1 }\n").find("update += in place: only"), std::string::npos);
    EXPECT_EQ(shape("w = 1\nno_grad { w += 1 }\n").find("in place"), std::string::npos);
}

TEST(Names, WhatACheckpointAssignsAndOthersReadIsItsOutput) {
    EXPECT_NE(shape("fn f(x) { checkpoint { a = x; b = a }; return b }\n")
                  .find("scope checkpoint [builtin 7] outputs: local 2"),
              std::string::npos);
}

TEST(Names, SizesOfASignatureAreIntsOfTheBody) {
    EXPECT_EQ(Looked("fn f(x: f32[b, t, 16], y: f32[b] | none = none) -> f32[2 * b] { return x[b] if t > b else y }\n")
                  .errors(),
              "");
}

TEST(Names, ALaterInputSeesEarlierOnes) {
    Looked session("x = 1\nfn f(a) = a\n");
    EXPECT_EQ(session.errors(), "");
    session.parsed =
        parse(session.sources.add("<input>", "print(f(x), y)\n"), session.sources, session.symbols, session.arena);
    session.look_up_names();
    ASSERT_EQ(session.diagnostics.size(), 1u);
    EXPECT_EQ(session.diagnostics[0].message, "there is no name `y`");
}

TEST(GoodScripts, Parse) {
    for (const auto& path : scripts(folder("good"))) {
        Looked script(read(path), path.filename().string());
        EXPECT_EQ(script.parsed.diagnostics.size(), 0u) << script.errors();
    }
}

}  // namespace tenon::syntax_tests
