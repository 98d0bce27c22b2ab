#include "tests/fuzz/program_generator.h"

#include <algorithm>
#include <array>

namespace tenon::fuzz {

Statements ProgramGenerator::program() {
    program_.push_back(line("use std.nn, std.optim"));
    program_.push_back(line(fmt::format("seed({})", random_.below(1000))));
    program_.push_back(line("total = [0.0]"));
    program_.push_back(line("seen = {\"a\": 1}"));
    program_.push_back(line("noted = []"));
    if (profile_ == Profile::smooth) {
        smooth_program();
    } else {
        int helpers = random_.between(0, 2);
        for (int k = 0; k < helpers; ++k) helper();
        if (profile_ == Profile::training || random_.chance(0.1)) training();
        int functions = profile_ == Profile::training ? random_.between(0, 1) : random_.between(1, 2);
        for (int k = 0; k < functions; ++k) function_with_calls();
        program_.push_back(line("print(\"at the end\", total, seen, len(noted))"));
        program_.push_back(line("print(rand([2]).tolist())"));
    }
    return std::move(program_);
}

void ProgramGenerator::helper() {
    std::string name = fresh("h");
    Scope scope = {{"x", "f32", {}, false}};
    Statements body;
    switch (random_.below(4)) {
        case 0: body.push_back(line("x.mul_(0.5)")); break;
        case 1: body.push_back(line("seen[\"a\"] = seen[\"a\"] + 1")); break;
        case 2: body.push_back(line("x = x * seen[\"a\"]")); break;
        default: break;
    }
    if (random_.chance(0.3)) body.push_back(mark("graph_break"));
    body.push_back(line("return " + pure("x")));
    program_.push_back(block(fmt::format("fn {}(x)", name), body));
    helpers_.push_back(name);
}

void ProgramGenerator::function_with_calls() {
    std::string name = fresh("go");
    std::vector<Parameter> parameters;
    int count = random_.between(1, 3);
    std::string common = random_.pick<const char*>({"f32", "f32", "f32", "f64", "f16"});
    for (int k = 0; k < count; ++k) {
        Parameter p{fresh("a"),
                    random_.chance(0.8) ? common : random_.pick<const char*>({"f32", "f64", "i64", "bf16", "bool"}),
                    {}};
        size_t rank = random_.weighted({1, 4, 6, 2});
        for (size_t d = 0; d < rank; ++d) p.shape.push_back(random_.pick<const char*>({"n", "n", "m", "m", "3", "1"}));
        parameters.push_back(p);
    }
    Scope scope;
    for (const Parameter& p : parameters) scope.push_back({p.name, p.dtype, p.shape, false});
    Statements body;
    in_function_ = true;
    int n = random_.between(3, 9);
    for (int k = 0; k < n; ++k) statement(body, scope, 0);
    std::vector<std::string> results;
    for (int k = 0; k < 3; ++k)
        if (const Variable* v = some(scope, [](const Variable&) { return true; })) results.push_back(v->name);
    body.push_back(line(fmt::format("return [{}]", fmt::join(results, ", "))));
    in_function_ = false;
    std::vector<std::string> names;
    for (const Parameter& p : parameters) names.push_back(p.name);
    if (random_.chance(0.1)) program_.push_back(line("@compile"));
    program_.push_back(block(fmt::format("fn {}({}, k)", name, fmt::join(names, ", ")), body));
    calls(name, parameters, results.size());
}

std::string ProgramGenerator::elements(const std::string& dtype, const std::vector<int>& sizes) {
    int64_t n = 1;
    for (int s : sizes) n *= s;
    auto [a, p] = random_.pick<std::pair<int, int>>({{37, 101}, {17, 53}, {7, 23}, {5, 11}});
    std::string shape = fmt::format("[{}]", fmt::join(sizes, ", "));
    if (dtype == "bool") return fmt::format("(arange({}) * {} % 3 == 0).reshape({})", n, a, shape);
    if (dtype[0] == 'i')
        return fmt::format("(arange({}) * {} % {} - {}).to({}).reshape({})", n, a, p, p / 3, dtype, shape);
    return fmt::format("((arange({}) * {} % {} - {}).to({}) / 16).reshape({})", n, a, p, p / 2, dtype, shape);
}

void ProgramGenerator::calls(const std::string& name, const std::vector<Parameter>& parameters, size_t results) {
    int count = random_.between(2, 4);
    int n = 2, m = 3;
    bool twice = false;
    std::vector<std::string> arguments;
    for (int c = 0; c < count; ++c) {
        if (c == 0 || random_.chance(0.6)) n = random_.pick({0, 1, 2, 3, 4, 5, 8, 33});
        if (c == 0 || random_.chance(0.4)) m = random_.pick({1, 2, 3, 4, 7});
        bool again = c > 0 && random_.chance(0.3);
        bool wants_gradient = random_.chance(profile_ == Profile::history || profile_ == Profile::views ? 0.7 : 0.4);
        Statements lines, body;
        Scope scope;
        if (!again) {
            arguments.clear();
            for (const Parameter& p : parameters) {
                std::vector<int> sizes;
                for (const std::string& d : p.shape) sizes.push_back(d == "n" ? n : d == "m" ? m : std::stoi(d));
                std::string x = fresh("x");
                bool is_float = p.dtype[0] == 'f' || p.dtype[0] == 'b';
                is_float = is_float && p.dtype != "bool";
                lines.push_back(
                    line(fmt::format("{} = {}{}", x, elements(p.dtype, sizes),
                                     is_float && wants_gradient && random_.chance(0.7) ? ".requires_grad_()" : "")));
                std::string argument = x;
                if (is_float && random_.chance(0.5)) {
                    argument = fresh("x");
                    lines.push_back(
                        line(fmt::format("{} = {}{}", argument, x,
                                         random_.pick<const char*>({" * 1", ".clone()", ".detach()",
                                                                    p.shape.empty() ? " - 1" : "[:]", " + 0.5"}))));
                }
                arguments.push_back(argument);
            }
            twice = parameters.size() > 1 && parameters[0].shape == parameters[1].shape &&
                    parameters[0].dtype == parameters[1].dtype && random_.chance(0.2);
            if (twice) arguments[1] = arguments[0];
        }
        for (const Statement& l : lines) program_.push_back(l);
        std::vector<std::string> given;
        for (size_t k = 0; k < parameters.size(); ++k) {
            scope.push_back({arguments[k], parameters[k].dtype, concrete(parameters[k].shape, n, m), true});
            given.push_back(arguments[k]);
        }
        std::string r = fresh("r");
        body.push_back(line(fmt::format("{} = {}({}, {})", r, name, fmt::join(given, ", "),
                                        random_.pick<const char*>({"1", "2", "3", "0.5"}))));
        for (size_t k = 0; k < results; ++k)
            body.push_back(line(fmt::format(
                "print(\"{0}[{1}]\", {0}[{1}].dtype, {0}[{1}].shape, {0}[{1}].requires_grad, {0}[{1}].tolist())", r,
                k)));
        for (const std::string& x : given) body.push_back(line(fmt::format("print(\"{0}\", {0}.tolist())", x)));
        if (random_.chance(0.4)) {
            Scope top = scope;
            int more = random_.between(1, 3);
            for (int k = 0; k < more; ++k) plain_statement(body, top, 2);
            if (top.size() > scope.size()) show(body, top.back());
            for (const std::string& x : given) body.push_back(line(fmt::format("print(\"{0}\", {0}.tolist())", x)));
        }
        if (wants_gradient && results > 0) {
            std::string which = fmt::format("{}[{}]", r, random_.below(results));
            body.push_back(block(fmt::format("if {}.requires_grad", which),
                                 {line(fmt::format("backward(({0} * {0}).sum())", which))}));
        }
        program_.push_back(block("try", body, "catch e", {line("print(\"fails\", e.kind, e.message)")}));
        if (wants_gradient)
            for (const std::string& x : inputs_of(lines))
                program_.push_back(block(fmt::format("if {}.grad is not none", x),
                                         {line(fmt::format("print(\"{0}.grad\", {0}.grad.tolist())", x))}));
    }
}

std::vector<std::string> ProgramGenerator::inputs_of(const Statements& lines) {
    std::vector<std::string> names;
    for (const Statement& s : lines)
        if (s.text.find("requires_grad_()") != std::string::npos) names.push_back(s.text.substr(0, s.text.find(' ')));
    return names;
}

Shape ProgramGenerator::concrete(Shape shape, int n, int m) {
    for (std::string& d : shape) d = d == "n" ? std::to_string(n) : d == "m" ? std::to_string(m) : d;
    return shape;
}

}  // namespace tenon::fuzz
