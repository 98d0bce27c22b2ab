#include "tests/fuzz/program_generator.h"

#include <algorithm>
#include <array>

namespace tenon::fuzz {

std::string ProgramGenerator::pure(std::string z, int most) {
    int n = random_.between(1, most);
    for (int k = 0; k < n; ++k) {
        static const std::vector<const char*> forms = {
            "sin({})",
            "({} * 0.5)",
            "({0} * {0})",
            "tanh({})",
            "({} + 1)",
            "exp(-{}.abs())",
            "sigmoid({})",
            "({0} * {0}.sum())",
            "({0} / (1 + {0} * {0}))",
            "relu({})",
            "({0} * {0}.detach())",
            "({} ** 3)",
            "({0} * dot({0}.reshape([-1]), {0}.reshape([-1])))",
            "einsum(\"...,...->...\", {0}, {0})",
            "conv1d({0}.reshape([1, 1, -1]), ones([1, 1, 3], dtype: {0}.dtype), padding: 1).reshape({0}.shape)",
            "checkpoint(fn(q) = sin(q) * q, {})"};
        z = fmt::format(fmt::runtime(random_.pick(forms)), z);
    }
    return z;
}

std::string ProgramGenerator::own_gradient(Statements& out) {
    std::string f = fresh("own");
    out.push_back(line(
        fmt::format("custom fn {}(x) {{ forward(ctx) {{ ctx.save(x); return sin(x) * x }}; backward(ctx, g) {{ (x,) = "
                    "ctx.saved; return g * (cos(x) * x + sin(x)) }} }}",
                    f)));
    return f;
}

void ProgramGenerator::hooks(Statements& out, const std::string& leaf, bool is_added) {
    if (!random_.chance(0.3)) return;
    out.push_back(line(fmt::format("{}.register_hook(fn(g) = {})", leaf, pure("g", 1))));
    if (!is_added || random_.chance(0.5)) return;
    out.push_back(line(fmt::format("{}.register_post_accumulate_hook(fn(p) {{ p.grad.mul_(0.5) }})", leaf)));
    if (random_.chance(0.5))
        out.push_back(
            line(fmt::format("accumulate_node({}).register_prehook(fn(received) = (received[0] + 1,))", leaf)));
}

void ProgramGenerator::derivative(Statements& out, Scope& scope, int depth) {
    const Variable* a =
        some(scope, [](const Variable& v) { return v.is_float() && (v.dtype == "f32" || v.dtype == "f64"); });
    if (!a) return;
    Variable x = *a;
    std::string v = fresh("v");
    const Variable* captured = some(scope, [&](const Variable& w) { return w.shape == x.shape && w.dtype == x.dtype; });
    std::string weight = captured && random_.chance(0.5) ? " * " + captured->name : "";
    std::string inside = pure("z");
    if (random_.chance(0.15)) inside = fmt::format("{}({})", own_gradient(out), inside);
    std::string body = random_.chance(0.7)
                           ? fmt::format("fn(z) = ({}{}).sum()", inside, weight)
                           : fmt::format("fn(z) {{ q = {}; graph_break; return (q{}).sum() }}", inside, weight);
    switch (random_.below(10)) {
        case 0:
        case 1: out.push_back(line(fmt::format("{} = grad({})({})", v, body, x.name))); break;
        case 2: out.push_back(line(fmt::format("{} = grad(fn(w) = grad({})(w).sum())({})", v, body, x.name))); break;
        case 3: {
            std::string y = fresh("y");
            out.push_back(line(fmt::format("({}, {}) = value_and_grad({})({})", y, v, body, x.name)));
            break;
        }
        case 4: {
            std::string pull = fresh("p");
            out.push_back(
                line(fmt::format("({}, {}) = vjp(fn(z) = {}{}, {})", fresh("y"), pull, pure("z"), weight, x.name)));
            out.push_back(line(fmt::format("{} = {}({} * 0.5)", v, pull, x.name)));
            break;
        }
        case 5:
            out.push_back(line(fmt::format("({}, {}) = jvp(fn(z) = {}{}, ({},), ({} * 0.5,))", fresh("y"), v, pure("z"),
                                           weight, x.name, x.name)));
            break;
        case 6: {
            std::string leaf = fresh("w");
            out.push_back(line(fmt::format("{} = {}.detach().clone().requires_grad_()", leaf, x.name)));
            Scope copy = scope;
            copy.push_back({leaf, x.dtype, x.shape, true});
            hooks(out, leaf, true);
            Statements body_of = inner(copy, depth + 1, 0, 2);
            out.insert(out.end(), body_of.begin(), body_of.end());
            out.push_back(line(fmt::format("backward(({}{}).sum())", pure(leaf), weight)));
            out.push_back(line(fmt::format("{} = {}.grad.clone()", v, leaf)));
            break;
        }
        case 7: {
            std::string leaf = fresh("w");
            out.push_back(line(fmt::format("{} = {}.detach().clone().requires_grad_()", leaf, x.name)));
            std::string y = fresh("y");
            hooks(out, leaf, false);
            out.push_back(line(fmt::format("{} = {}{}", y, pure(leaf), weight)));
            if (random_.chance(0.2)) out.push_back(line(fmt::format("{}.register_hook(fn(g) = {})", y, pure("g", 1))));
            if (random_.chance(0.5)) out.push_back(mark("graph_break"));
            out.push_back(line(fmt::format("{} = grad({}.sum(), wrt: {}{})", v, y, leaf,
                                           random_.chance(0.3) ? ", create_graph: true" : "")));
            break;
        }
        case 8: {
            std::string y = fresh("y");
            out.push_back(line(fmt::format("{} = {} * 1", y, x.name)));
            out.push_back(line(fmt::format("{}.{}", y, random_.pick<const char*>({"mul_(2)", "sin_()", "add_(1)"}))));
            out.push_back(line(fmt::format("{} = grad({})({})", v, body, y)));
            break;
        }
        default: out.push_back(line(fmt::format("{} = checkpoint(fn(w) = grad({})(w), {})", v, body, x.name))); break;
    }
    scope.push_back({v, x.dtype, x.shape, false});
}

// A scan over x, its first derivative, or a map, of the type of x. Second derivatives of scans add in another order than
// those of their turns, so nobody is to differentiate what comes of it.
std::string ProgramGenerator::turns(const std::string& x, const std::string& scaled) {
    std::string step = fmt::format("{}{} * 0.5 + z", pure("h"), scaled);
    std::string turn;
    switch (random_.below(3)) {
        case 0: turn = fmt::format("fn(h, z) {{ h = {}; return (h, h) }}", step); break;
        case 1: turn = fmt::format("fn(h, z) = ({}, {} * h)", step, pure("z")); break;
        default: turn = fmt::format("fn(h, z) {{ u = {}; return (u + h * 0.5, u * u) }}", step); break;
    }
    const char* reverse = random_.chance(0.3) ? ", reverse: true" : "";
    switch (random_.below(5)) {
        case 0: return fmt::format("map(fn(z) = {}{}, {})", pure("z"), scaled, x);
        case 1: return fmt::format("scan({}, {}.sum(0), {}{})[1]", turn, x, x, reverse);
        case 2: return fmt::format("({0} + scan({1}, {0}.sum(0), {0}{2})[0])", x, turn, reverse);
        case 3:
            return fmt::format("grad(fn(q) {{ (a, b) = scan({}, q.sum(0), q{}); return a.sum() + (b * q).sum() }})({})",
                               turn, reverse, x);
        default: return fmt::format("grad(fn(q) = scan({}, {}.sum(0), q{})[1].sum())({})", turn, x, reverse, x);
    }
}

// A cond on x, its first derivative or its batch, or a while_loop, of the type of x; as above.
std::string ProgramGenerator::sides(const std::string& x, const std::string& scaled) {
    const std::string yes = fmt::format("{}{}", pure("q"), scaled),
                      no = random_.chance(0.3) ? "q" : fmt::format("{} * 0.5 + q", pure("q"));
    const auto cond = [&](const std::string& q) {
        return fmt::format("cond({0}.sum() > {1}, fn(q) = {2}, fn(q) = {3}, {0})", q,
                           random_.pick<const char*>({"0", "1", "-1"}), yes, no);
    };
    switch (random_.below(5)) {
        case 0: return cond(x);
        case 1: return fmt::format("grad(fn(x) = ({} * x).sum())({})", cond("x"), x);
        case 2: return fmt::format("vmap(fn(x) = {})({})", cond("x"), x);
        case 3: return fmt::format("vmap(grad(fn(x) = {}.sum()))({})", cond("x"), x);
        default:
            return fmt::format(
                "while_loop(fn(q) {{ s = abs(q).sum(); return (s > 2) & (s < 1000000) }}, fn(q) = q * 0.5, {}{})", x,
                random_.chance(0.5) ? ", max_turns: 2000" : "");
    }
}

void ProgramGenerator::map(Statements& out, Scope& scope) {
    const Variable* a = some(scope, [](const Variable& v) { return v.is_float() && v.rank() > 0; });
    if (!a) return;
    Variable x = *a;
    std::string v = fresh("v");
    const Variable* w = some(scope, [](const Variable& u) { return u.is_float() && u.rank() == 0; });
    std::string scaled = w && w->dtype == x.dtype ? fmt::format(" * {}", w->name) : "";
    if (random_.chance(0.4)) {
        const std::string made = random_.chance(0.5) ? turns(x.name, scaled) : sides(x.name, scaled);
        out.push_back(line(fmt::format("{} = {}.detach()", v, made)));
        scope.push_back({v, x.dtype, x.shape, false});
        return;
    }
    switch (random_.below(5)) {
        case 0: out.push_back(line(fmt::format("{} = vmap(fn(z) = {}{})({})", v, pure("z"), scaled, x.name))); break;
        case 1:
            out.push_back(line(fmt::format("{} = vmap(grad(fn(z) = ({}{}).sum()))({})", v, pure("z"), scaled, x.name)));
            break;
        case 2:
            if (x.rank() < 2) return;
            out.push_back(line(fmt::format("{} = vmap(vmap(fn(z) = {}))({})", v, pure("z"), x.name)));
            break;
        case 3:
            out.push_back(
                line(fmt::format("{} = grad(fn(q) = vmap(fn(z) = {}{})(q).sum())({})", v, pure("z"), scaled, x.name)));
            break;
        default:
            out.push_back(line(fmt::format("{} = vmap(fn(z, u) = ({}) * u)({}, {})", v, pure("z"), x.name, x.name)));
            break;
    }
    scope.push_back({v, x.dtype, x.shape, false});
}

}  // namespace tenon::fuzz
