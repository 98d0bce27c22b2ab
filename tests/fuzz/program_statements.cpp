#include "tests/fuzz/program_generator.h"

#include <algorithm>
#include <array>

namespace tenon::fuzz {

void ProgramGenerator::results(Statements& out, Scope& scope) {
    const Variable* a = some_float(scope, 1);
    if (!a) return;
    const size_t dim = random_.below(a->rank());
    Shape shape = a->shape;
    std::string call = fmt::format("sort({}, {}{})", a->name, dim, random_.chance(0.3) ? ", descending: true" : "");
    if (random_.chance(0.2)) {
        call = fmt::format("topk({}, 1, {})", a->name, dim);
        shape[dim] = "1";
    } else if (random_.chance(0.4)) {
        call = fmt::format("{}.{}({})", a->name, random_.pick({"max", "min"}), dim);
        shape = without(shape, dim);
    }
    const std::string dtype = a->dtype, values = fresh("v"), positions = fresh("v");
    out.push_back(line(fmt::format("({}, {}) = {}", values, positions, call)));
    scope.push_back({values, dtype, shape, false});
    scope.push_back({positions, "i64", shape, false});
}

void ProgramGenerator::value(Statements& out, Scope& scope) {
    if (random_.chance(0.05)) return results(out, scope);
    for (int tries = 0; tries < 5; ++tries)
        if (auto m = made(scope)) return define(out, scope, *m);
}

void ProgramGenerator::write(Statements& out, Scope& scope) {
    bool into_leaf = random_.chance(0.03);
    const Variable* a = some(scope, [&](const Variable& v) { return !v.is_bool() && (into_leaf || !v.is_leaf); });
    if (!a) return;
    std::string target = a->name;
    Shape shape = a->shape;
    if (a->rank() > 0 && random_.chance(0.4)) {
        if (auto m = movement(*a, true)) target = m->text, shape = m->shape;
    }
    const Variable* b = some(scope, [&](const Variable& v) {
        auto s = broadcast(shape, v.shape);
        return s && *s == shape && v.dtype == a->dtype;
    });
    std::string operand = b && random_.chance(0.7) ? b->name : a->is_float() ? literal() : "2";
    bool indexed = target != a->name && target.ends_with("]") && target.starts_with(a->name + "[");
    switch (random_.below(7)) {
        case 0:
            if (indexed) return out.push_back(line(fmt::format("{} = {}", target, operand)));
            return out.push_back(line(fmt::format("{}.add_({})", target, operand)));
        case 1:
            if (indexed || target == a->name)
                return out.push_back(line(fmt::format("{} {} {}", target, random_.pick({"+=", "*=", "-="}), operand)));
            return out.push_back(line(fmt::format("{}.sub_({})", target, operand)));
        case 2: return out.push_back(line(fmt::format("{}.mul_({})", target, operand)));
        case 3:
            if (!a->is_float()) return out.push_back(line(target + ".zero_()"));
            return out.push_back(line(fmt::format(
                "{}.{}", target,
                random_.pick<const char*>({"sin_()", "neg_()", "abs_()", "relu_()", "sigmoid_()", "clamp_(-1, 1)",
                                           "square_()", "exp_()", "zero_()", "fill_(0.5)", "floor_()"}))));
        case 4:
            if (b) return out.push_back(line(fmt::format("{}.copy_({})", target, b->name)));
            return out.push_back(line(fmt::format("{}.fill_(2)", target)));
        case 5:
            if (a->rank() > 0)
                return out.push_back(line(fmt::format("{0}[{0} > 0] = {1}", a->name, a->is_float() ? literal() : "1")));
            [[fallthrough]];
        default: {
            Statements inner = {line(fmt::format("{}.mul_({})", target, a->is_float() ? "0.5" : "2"))};
            return out.push_back(block("no_grad", inner));
        }
    }
}

void ProgramGenerator::view(Statements& out, Scope& scope) {
    const Variable* a = some(scope, [](const Variable& v) { return v.rank() > 0; });
    if (!a) return;
    bool is_leaf = a->is_leaf;
    if (auto m = movement(*a, true)) {
        define(out, scope, *m);
        scope.back().is_leaf = is_leaf;
    }
}

void ProgramGenerator::host(Statements& out, Scope& scope) {
    const Variable* a = some_float(scope);
    switch (random_.below(9)) {
        case 0: return out.push_back(line(in_function_ ? "total[0] = total[0] + k" : "total[0] = total[0] + 1"));
        case 1: return out.push_back(line("seen[\"a\"] = seen[\"a\"] + 1"));
        case 2:
            if (a) return out.push_back(line(fmt::format("noted.append({}.sum().detach())", a->name)));
            return;
        case 3:
            if (a && a->rank()) return out.push_back(line(fmt::format("seen[{}.shape[0]] = len(seen)", a->name)));
            return;
        case 4:
            if (a) {
                std::string name = fresh("h");
                out.push_back(
                    line(fmt::format("{} = [{}, {}.shape, {}]", name, number(scope), a->name, number(scope))));
                out.push_back(line(fmt::format("{}[0] = {}[0] * 2", name, name)));
                std::string v = fresh("v");
                out.push_back(line(fmt::format("{} = {} * {}[0]", v, a->name, name)));
                scope.push_back({v, a->dtype, a->shape, false});
            }
            return;
        case 5:
            if (a) {
                std::string v = fresh("v");
                out.push_back(line(fmt::format("{} = {} * float({})", v, a->name, number(scope))));
                scope.push_back({v, a->dtype, a->shape, false});
            }
            return;
        case 6: return out.push_back(line(fmt::format("total[0] = max(total[0], {}) % 7", number(scope))));
        case 7:
            if (a) {
                std::string v = fresh("v");
                std::string f = fresh("g");
                out.push_back(line(fmt::format("{} = fn(z) = z * {} + seen[\"a\"]", f, number(scope))));
                out.push_back(line(fmt::format("{} = {}({})", v, f, a->name)));
                scope.push_back({v, a->dtype, a->shape, false});
            }
            return;
        default:
            if (a && a->rank()) {
                std::string v = fresh("v");
                out.push_back(
                    line(fmt::format("{} = full([{}.shape[0]], {}).to({})", v, a->name, number(scope), a->dtype)));
                scope.push_back({v, a->dtype, {a->shape[0]}, false});
            }
    }
}

Statements ProgramGenerator::inner(const Scope& scope, int depth, int least, int most) {
    Statements out;
    Scope copy = scope;
    int n = random_.between(least, most);
    for (int k = 0; k < n; ++k) statement(out, copy, depth + 1);
    return out;
}

void ProgramGenerator::branch(Statements& out, Scope& scope, int depth) {
    const Variable* a = some(scope, [](const Variable& v) { return v.rank() > 0; });
    std::string condition = a && random_.chance(0.5) ? fmt::format("{}.shape[0] > {}", a->name, random_.between(0, 4))
                            : in_function_ && random_.chance(0.5) ? "k > 1"
                                                                  : "seen[\"a\"] % 2 == 0";
    Statements yes = inner(scope, depth);
    if (random_.chance(0.5)) return out.push_back(block("if " + condition, yes));
    out.push_back(block("if " + condition, yes, "else", inner(scope, depth)));
}

void ProgramGenerator::loop(Statements& out, Scope& scope, int depth) {
    std::string i = fresh("j");
    const Variable* a = some(scope, [](const Variable& v) { return v.rank() > 0; });
    std::string range = a && random_.chance(0.2) ? fmt::format("range(min({}.shape[0], 3))", a->name)
                                                 : fmt::format("range({})", random_.between(1, 3));
    Statements body = inner(scope, depth);
    if (const Variable* f = some(scope, [](const Variable& v) { return v.is_float() && !v.is_leaf; });
        f && random_.chance(0.6))
        body.push_back(line(fmt::format("{0} = {0} * 0.5 + {1}", f->name, i)));
    out.push_back(block(fmt::format("for {} in {}", i, range), body));
}

void ProgramGenerator::decision(Statements& out, Scope& scope, int depth) {
    const Variable* a = some_float(scope);
    if (!a) return;
    switch (random_.below(5)) {
        case 0:
            return out.push_back(
                block(fmt::format("if {}.sum() > 0.1", a->name), inner(scope, depth), "else", inner(scope, depth)));
        case 1: {
            std::string v = fresh("v");
            out.push_back(line(fmt::format("{} = {} * {}.mean().item()", v, a->name, a->name)));
            return scope.push_back({v, a->dtype, a->shape, false});
        }
        case 2: return out.push_back(line(fmt::format("total[0] = {}.sum().item()", a->name)));
        case 3:
            return out.push_back(line(fmt::format("seen[\"a\"] = int({}.abs().sum().clamp(0, 5).item())", a->name)));
        default: {
            if (a->rank() != 1) return;
            std::string v = fresh("v");
            out.push_back(line(fmt::format("{0} = {1}[{1} > 0]", v, a->name)));
            return scope.push_back({v, a->dtype, {fmt::format("{}.shape[0]", v)}, false});
        }
    }
}

// What is kept changes no bit, so any policy does.
std::string ProgramGenerator::checkpoint() {
    constexpr const char* policies[] = {"save_matmuls",
                                        "save_names([\"a\"])",
                                        "fn(op, name) = must_recompute",
                                        "fn(op, name) = must_save",
                                        "fn(op, name) = prefer_save",
                                        "fn(op, name) = must_recompute if len(op) > 3 else prefer_save"};
    if (random_.chance(0.5)) return "checkpoint";
    return fmt::format("checkpoint(policy: {})", policies[random_.below(std::size(policies))]);
}

void ProgramGenerator::marked(Statements& out, Scope& scope, int depth) {
    switch (random_.below(5)) {
        case 0:
        case 1: return out.push_back(mark("graph_break"));
        case 2: {
            Scope copy = scope;
            Statements body;
            int n = random_.between(1, 4);
            for (int k = 0; k < n; ++k) plain_statement(body, scope, depth);
            return out.push_back(mark_block(checkpoint(), body));
        }
        case 3: {
            Statements body;
            statement(body, scope, depth + 1);
            return out.push_back(mark_block(fmt::format("annotate {{stage: {}}}", random_.below(3)), body));
        }
        default: {
            Statements body;
            plain_statement(body, scope, depth);
            return out.push_back(mark_block("no_compile", body));
        }
    }
}

void ProgramGenerator::print(Statements& out, Scope& scope) {
    if (const Variable* a = some(scope, [](const Variable&) { return true; })) show(out, *a);
}

void ProgramGenerator::show(Statements& out, const Variable& a) {
    out.push_back(line(fmt::format("print(\"{0}\", {0}.dtype, {0}.shape, {0}.tolist())", a.name)));
}

void ProgramGenerator::attempt(Statements& out, Scope& scope, int depth) {
    Statements body = inner(scope, depth);
    if (random_.chance(0.6)) {
        const Variable* a = some(scope, [](const Variable& v) { return v.rank() > 0; });
        switch (random_.below(4)) {
            case 0: body.push_back(line("fail(\"on purpose\")")); break;
            case 1:
                if (a) body.push_back(line(fmt::format("assert ({0} == {0}).all(), \"nan\"", a->name)));
                break;
            case 2:
                if (a) body.push_back(line(fmt::format("assert ({} > 100).any(), \"small\"", a->name)));
                break;
            default:
                if (a) body.push_back(line(fmt::format("noted.append({}[[7]])", a->name)));
        }
        Statements after = inner(scope, depth, 0, 1);
        body.insert(body.end(), after.begin(), after.end());
    }
    out.push_back(block("try", body, "catch e", {line("noted.append(e.kind)")}));
}

void ProgramGenerator::random_numbers(Statements& out, Scope& scope) {
    const Variable* a = some_float(scope);
    if (!a) return;
    Made m{fmt::format("{}", a->name), a->dtype, a->shape};
    m.text = random_.chance(0.5) ? fmt::format("{} + rand_like({})", a->name, a->name)
                                 : fmt::format("dropout({}, 0.5, training: true)", a->name);
    define(out, scope, m);
}

void ProgramGenerator::call(Statements& out, Scope& scope) {
    if (helpers_.empty()) return value(out, scope);
    const Variable* a = some(scope, [](const Variable& v) { return v.is_float() && !v.is_leaf; });
    if (!a) return;
    define(out, scope, {fmt::format("{}({})", random_.pick(helpers_), a->name), a->dtype, a->shape});
}

void ProgramGenerator::plain_statement(Statements& out, Scope& scope, int) {
    switch (random_.weighted({8, 2, 2, 1, 1})) {
        case 0: return value(out, scope);
        case 1: return write(out, scope);
        case 2: return view(out, scope);
        case 3: return random_numbers(out, scope);
        default: return call(out, scope);
    }
}

void ProgramGenerator::statement(Statements& out, Scope& scope, int depth) {
    const Weights& w = weights_;
    int deep = depth < 2 ? 1 : 0;
    switch (random_.weighted({w.value, w.write, w.view, w.host, w.branch * deep, w.loop * deep, w.decision * deep,
                              w.mark * deep, w.print, w.attempt * deep, w.derivative, w.map, w.random, w.call})) {
        case 0: return value(out, scope);
        case 1: return write(out, scope);
        case 2: return view(out, scope);
        case 3: return host(out, scope);
        case 4: return branch(out, scope, depth);
        case 5: return loop(out, scope, depth);
        case 6: return decision(out, scope, depth);
        case 7: return marked(out, scope, depth);
        case 8: return print(out, scope);
        case 9: return attempt(out, scope, depth);
        case 10: return derivative(out, scope, depth);
        case 11: return map(out, scope);
        case 12: return random_numbers(out, scope);
        default: return call(out, scope);
    }
}

}  // namespace tenon::fuzz
