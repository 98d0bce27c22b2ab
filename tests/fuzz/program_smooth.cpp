#include "tests/fuzz/program_generator.h"

#include <algorithm>
#include <array>

namespace tenon::fuzz {

std::string ProgramGenerator::smooth_expression(const std::vector<std::string>& names, int depth) {
    if (depth == 0) return random_.pick(names);
    std::string a = smooth_expression(names, depth - 1);
    switch (random_.below(23)) {
        case 0: return fmt::format("sin({})", a);
        case 1: return fmt::format("tanh({})", a);
        case 2: return fmt::format("({} * {})", a, smooth_expression(names, depth - 1));
        case 3: return fmt::format("({} + {})", a, smooth_expression(names, depth - 1));
        case 4: return fmt::format("sigmoid({})", a);
        case 5: return fmt::format("(({0}) / (2 + sin({0})))", a);
        case 6: return fmt::format("softmax({}, 1)", a);
        case 7: return fmt::format("({} - {}.mean(dim: 0, keepdim: true))", a, a);
        case 8: return fmt::format("({0} @ ({0}.T @ {1}) * 0.1)", a, random_.pick(names));
        case 9: return fmt::format("log(1.5 + {0} * {0})", a);
        case 10: return fmt::format("cat([{0}[1:], {0}[:1]], 0)", a);
        case 11: return fmt::format("{}.flip(1)", a);
        case 12: return fmt::format("({}.cumsum({}) * 0.3)", a, random_.below(2));
        case 13: return fmt::format("checkpoint(fn(q) = tanh(q) * q, {})", a);
        case 14: return fmt::format("layer_norm({0}, [{0}.shape[1]])", a);
        case 15:
            return fmt::format(
                "conv1d({0}.unsqueeze(0), stack([{1} @ {1}.T, ({1} * 0.5) @ {0}.T], 2), padding: 1)[0, :, "
                ":{0}.shape[1]]",
                a, random_.pick(names));
        case 16: return fmt::format("avg_pool2d({}.unsqueeze(0).unsqueeze(0), 3, 1, 1)[0, 0]", a);
        case 17: return fmt::format("batch_norm(cat([{0}, sin({0}) + 1]), training: true)[:{0}.shape[0]]", a);
        case 18:
            return fmt::format("(einsum(\"ij,kj,kl->il\", {0}, {1}, {2}) * 0.1)", a, random_.pick(names),
                               random_.pick(names));
        case 19:
            return fmt::format("({0} * einsum(\"ii->i\", {0} @ {1}.T).unsqueeze(1) * 0.1)", a, random_.pick(names));
        case 20:
            return fmt::format("scaled_dot_product_attention({}, {}, {}, is_causal: {})", a, random_.pick(names),
                               random_.pick(names), random_.chance(0.5));
        case 21:
            return fmt::format(
                "attention({0}, {1}, {2}, score: fn(s, b, h, i, j) = tanh(s) + {3}[i, 0] * {1}[j, -1], "
                "mask: fn(b, h, i, j) = (i + j) % 3 < 2, causal: {4})",
                a, random_.pick(names), random_.pick(names), random_.pick(names), random_.chance(0.5));
        default: return fmt::format("sqrt(1 + {0} * {0})", a);
    }
}

void ProgramGenerator::smooth_program() {
    // Differences of f along every element, and of the gradient along one direction, of the fourth order (Abramowitz and
    // Stegun, 25.3.6): with f64 and a step of 1e-5, first derivatives agree to about 1e-9 also where f is strongly curved.
    program_.push_back(block("fn differences(f, x)",
                             {line("g = zeros_like(x).reshape([-1])"),
                              block("for i in range(x.numel())",
                                    {line("d = zeros([x.numel()], dtype: f64)"), line("d[i] = 1e-5"),
                                     line("e = d.reshape(x.shape)"),
                                     line("far = f(x + e * 2) - f(x - e * 2)"),
                                     line("g[i] = (8 * (f(x + e) - f(x - e)) - far) / 12e-5")}),
                              line("return g.reshape(x.shape)")}));
    program_.push_back(
        block("fn agree(what, a, b)", {line("worst = ((a - b).abs() / (1 + a.abs() + b.abs())).max().item()"),
                                       line("print(\"CHECK\", what, worst < 1e-6)")}));
    int functions = random_.between(1, 2);
    for (int k = 0; k < functions; ++k) {
        std::string f = fresh("go");
        Statements body;
        std::vector<std::string> names = {"x", "w"};
        int n = random_.between(2, 5);
        for (int j = 0; j < n; ++j) {
            std::string v = fresh("v");
            Statement s = line(fmt::format("{} = {}", v, smooth_expression(names, random_.between(1, 3))));
            if (random_.chance(0.2)) s = mark_block(checkpoint(), {s});
            body.push_back(s);
            if (random_.chance(0.3)) body.push_back(line(fmt::format("{0} = {0}.clone()", v)));
            if (random_.chance(0.3) && body.back().text.ends_with(".clone()")) {
                switch (random_.below(4)) {
                    case 0: body.push_back(line(v + ".mul_(0.5)")); break;
                    case 1: body.push_back(line(v + "[0] = x[1] * 2")); break;
                    case 2: body.push_back(line(v + ".T.add_(x.T)")); break;
                    default: body.push_back(line(v + "[:, 1:].sin_()"));
                }
            }
            if (random_.chance(0.15)) body.push_back(mark("graph_break"));
            names.push_back(v);
        }
        body.push_back(line(fmt::format("return ({} * w).sum()", names.back())));
        program_.push_back(block(fmt::format("fn {}(x, w)", f), body));
        int rows = random_.between(2, 4), columns = random_.between(2, 4);
        std::string x = fresh("x"), w = fresh("w");
        program_.push_back(line(fmt::format("{} = {} * 0.25", x, elements("f64", {rows, columns}))));
        program_.push_back(line(fmt::format("{} = {} * 0.25", w, elements("f64", {rows, columns}))));
        program_.push_back(line(fmt::format(
            "agree(\"first\", grad(fn(q) = {0}(q, {2}))({1}), differences(fn(q) = {0}(q, {2}), {1}))", f, x, w)));
        program_.push_back(line(fmt::format(
            "agree(\"second argument\", grad(fn(q) = {0}({1}, q))({2}), differences(fn(q) = {0}({1}, q), {2}))", f, x,
            w)));
        program_.push_back(
            line(fmt::format("once{0} = fn(q) = (grad(fn(z) = {1}(z, {2}))(q) * cos({2})).sum()", k, f, w)));
        program_.push_back(
            line(fmt::format("agree(\"second order\", grad(once{0})({1}), differences(once{0}, {1}))", k, x)));
        program_.push_back(line(fmt::format("({0}y, {0}dy) = jvp(fn(q) = {0}(q, {2}), ({1},), (cos({1}),))", f, x, w)));
        program_.push_back(line(
            fmt::format("agree(\"jvp\", {0}dy, (differences(fn(q) = {0}(q, {2}), {1}) * cos({1})).sum())", f, x, w)));
        std::string leaf = fresh("x");
        program_.push_back(line(fmt::format("{} = {}.clone().requires_grad_()", leaf, x)));
        program_.push_back(line(fmt::format("backward({}({}, {}))", f, leaf, w)));
        program_.push_back(
            line(fmt::format("agree(\"backward\", {}.grad, grad(fn(q) = {}(q, {}))({}))", leaf, f, w, x)));
    }
}

}  // namespace tenon::fuzz
