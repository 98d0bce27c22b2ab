#include "tests/fuzz/generator.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

#include "tests/fuzz/random.h"

namespace tenon::fuzz {

namespace {

/// A dimension is told by the expression that gives its size: "n", "3", "n * m". Equal texts are equal sizes.
using Shape = std::vector<std::string>;

struct Variable {
    std::string name;
    std::string dtype;
    Shape shape;
    bool is_leaf = false;  ///< requires a gradient, so that nothing is to be written into it

    bool is_float() const { return dtype[0] == 'f' || dtype[0] == 'b'; }
    bool is_bool() const { return dtype == "bool"; }
    size_t rank() const { return shape.size(); }
};

/// How often each kind of statement is chosen.
struct Weights {
    int value = 10, write = 2, view = 2, host = 2, branch = 1, loop = 1, decision = 1, mark = 1, print = 0, attempt = 1,
        derivative = 1, map = 1, random = 1, call = 1;
};

Weights weights_of(Profile profile) {
    switch (profile) {
        case Profile::general: break;
        case Profile::views: return {.value = 6, .write = 8, .view = 6, .host = 1, .derivative = 2};
        case Profile::history: return {.value = 7, .write = 3, .view = 2, .host = 1, .decision = 2, .mark = 2, .derivative = 6};
        case Profile::host: return {.value = 5, .host = 8, .branch = 3, .loop = 3, .call = 2};
        case Profile::breaks: return {.value = 6, .write = 3, .decision = 4, .mark = 4, .print = 2, .attempt = 4, .random = 3};
        case Profile::batches: return {.value = 6, .derivative = 2, .map = 7};
        case Profile::training: return {.value = 8, .derivative = 0, .call = 3};
        case Profile::smooth: break;
    }
    return {};
}

class Generator {
public:
    Generator(uint64_t seed, Profile profile)
        : random_(seed * profile_count + static_cast<uint64_t>(profile)), profile_(profile), weights_(weights_of(profile)) {}

    Statements program() {
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

private:
    using Scope = std::vector<Variable>;

    // ---- names and small pieces ----------------------------------------------------------------------------------

    std::string fresh(std::string_view stem) { return fmt::format("{}{}", stem, ++count_); }
    static std::string join(const Shape& shape) { return fmt::format("[{}]", fmt::join(shape, ", ")); }

    std::string literal() { return random_.pick<const char*>({"0.5", "2", "3.0", "-1", "0.25", "1.5", "0", "1", "-0.0", "1e-3"}); }

    const Variable* some(const Scope& scope, const auto& wanted) {
        std::vector<const Variable*> found;
        for (const Variable& v : scope)
            if (wanted(v)) found.push_back(&v);
        if (found.empty()) return nullptr;
        // What was made last is used most: programs are chains with side branches.
        if (random_.chance(0.5)) return found.back();
        return found[random_.below(found.size())];
    }
    const Variable* some_float(const Scope& scope, size_t least_rank = 0) {
        return some(scope, [&](const Variable& v) { return v.is_float() && v.rank() >= least_rank; });
    }
    static bool one(const std::string& size) { return size == "1"; }

    static Shape without(Shape shape, size_t dim) {
        shape.erase(shape.begin() + static_cast<ptrdiff_t>(dim));
        return shape;
    }
    static std::string promoted(const std::string& a, const std::string& b) {
        static constexpr std::array<std::string_view, 10> order = {"bool", "u8", "i8", "i16", "i32", "i64", "bf16", "f16", "f32", "f64"};
        auto place = [](const std::string& d) { return std::find(order.begin(), order.end(), d) - order.begin(); };
        if ((a == "bf16" && b == "f16") || (a == "f16" && b == "bf16")) return "f32";
        if ((a == "u8" && (b == "i8")) || (b == "u8" && a == "i8")) return "i16";
        return place(a) > place(b) ? a : b;
    }
    /// The shape of `a` with `b`; none where they do not broadcast for all sizes.
    static std::optional<Shape> broadcast(const Shape& a, const Shape& b) {
        Shape out(std::max(a.size(), b.size()));
        for (size_t k = 0; k < out.size(); ++k) {
            const std::string* x = k < a.size() ? &a[a.size() - 1 - k] : nullptr;
            const std::string* y = k < b.size() ? &b[b.size() - 1 - k] : nullptr;
            if (x && y && *x != *y && !one(*x) && !one(*y)) return {};
            out[out.size() - 1 - k] = !x ? *y : !y ? *x : one(*x) ? *y : *x;
        }
        return out;
    }

    // ---- values --------------------------------------------------------------------------------------------------

    struct Made {
        std::string text;
        std::string dtype;
        Shape shape;
    };

    Made unary(const Variable& a) {
        if (!a.is_float()) {
            if (a.is_bool()) return {random_.pick<const char*>({"~{}", "{}.to(i64)", "{}.to(f32)"}), a.dtype, a.shape};
            return {random_.pick<const char*>({"-{}", "{}.abs()", "{} // 3", "{} % 3", "{} * 2 + 1", "({} & 3)"}), a.dtype, a.shape};
        }
        return {random_.pick<const char*>({"sin({})", "cos({})", "tanh({})", "sigmoid({})", "relu({})", "{}.abs()", "{}.square()",
                                           "exp(-{}.abs())", "sqrt({}.abs() + 0.5)", "log({}.abs() + 0.5)", "-{}", "gelu({})",
                                           "silu({})", "erf({})", "{}.floor()", "{}.round()", "{}.sign()", "softplus({})", "1 / ({}.abs() + 1)",
                                           "{} ** 2", "{} ** 3", "clamp({}, -1, 1)", "{}.clone()", "expm1({})", "atan({})", "{}.detach()",
                                           "leaky_relu({})", "{} % 1.5", "{} // 0.75"}),
                a.dtype, a.shape};
    }

    std::optional<Made> binary(const Scope& scope, const Variable& a) {
        const Variable* b = some(scope, [&](const Variable& v) { return broadcast(a.shape, v.shape).has_value() && !v.is_bool(); });
        if (!b || a.is_bool()) return {};
        Shape shape = *broadcast(a.shape, b->shape);
        std::string dtype = promoted(a.dtype, b->dtype);
        if (a.dtype != b->dtype && (a.rank() == 0 || b->rank() == 0)) return {};
        if (random_.chance(0.1)) {
            std::string op = random_.pick<const char*>({"<", "<=", ">", "==", "!="});
            return Made{fmt::format("({} {} {})", a.name, op, b->name), "bool", shape};
        }
        if (!a.is_float() && !b->is_float())
            return Made{fmt::format("({} {} {})", a.name, random_.pick<const char*>({"+", "-", "*", "&", "|"}), b->name), dtype, shape};
        static const std::vector<const char*> forms = {"({} + {})", "({} - {})", "({} * {})", "({} * {})", "({} / {})",
                                                       "maximum({}, {})", "minimum({}, {})", "(tanh({}) * {})", "({} + {}.abs())",
                                                       "where({0} > {1}, {0}, {1})", "lerp({}, {}, 0.25)"};
        return Made{fmt::format(fmt::runtime(random_.pick(forms)), a.name, b->name), dtype, shape};
    }

    std::optional<Made> reduction(const Variable& a) {
        if (a.is_bool()) return Made{a.name + random_.pick<const char*>({".any()", ".all()", ".sum()"}), "i64", {}};
        std::string f = a.is_float() ? random_.pick<const char*>({"sum", "mean", "sum", "amax", "amin", "prod", "logsumexp", "norm", "std"})
                                     : random_.pick<const char*>({"sum", "amax", "amin", "prod"});
        std::string dtype = a.is_float() ? a.dtype : (f == "sum" || f == "prod") ? "i64" : a.dtype;
        if (f == "logsumexp" && a.rank() == 0) f = "sum";
        if ((a.rank() == 0 || random_.chance(0.3)) && f != "logsumexp") return Made{fmt::format("{}.{}()", a.name, f), dtype, {}};
        size_t dim = random_.below(a.rank());
        std::string named = random_.chance(0.5) ? std::to_string(dim) : std::to_string(static_cast<int>(dim) - static_cast<int>(a.rank()));
        if (random_.chance(0.4)) {
            Shape shape = a.shape;
            shape[dim] = "1";
            return Made{fmt::format("{}.{}(dim: {}, keepdim: true)", a.name, f, named), dtype, shape};
        }
        return Made{fmt::format("{}.{}(dim: {})", a.name, f, named), dtype, without(a.shape, dim)};
    }

    std::optional<Made> along(const Variable& a) {
        if (a.rank() == 0 || a.is_bool()) return {};
        size_t dim = random_.below(a.rank());
        if (!a.is_float()) return Made{fmt::format("{}.cumsum({})", a.name, dim), "i64", a.shape};
        switch (random_.below(6)) {
            case 0: return Made{fmt::format("softmax({}, {})", a.name, dim), a.dtype, a.shape};
            case 1: return Made{fmt::format("log_softmax({}, {})", a.name, dim), a.dtype, a.shape};
            case 2: return Made{fmt::format("{}.cumsum({})", a.name, dim), a.dtype, a.shape};
            case 3: return Made{fmt::format("{}.argmax(dim: {})", a.name, dim), "i64", without(a.shape, dim)};
            case 4: return Made{fmt::format("sort({}, {})[0]", a.name, dim), a.dtype, a.shape};
            default: return Made{fmt::format("layer_norm({0}, [{0}.shape[-1]])", a.name), a.dtype, a.shape};
        }
    }

    /// The same elements elsewhere: a view, where `in_memory` is asked for only such as share memory.
    std::optional<Made> movement(const Variable& a, bool in_memory) {
        const std::string& x = a.name;
        if (a.rank() == 0) {
            if (random_.chance(0.5)) return Made{x + ".unsqueeze(0)", a.dtype, {"1"}};
            return Made{x + ".reshape([1])", a.dtype, {"1"}};
        }
        size_t dim = random_.below(a.rank());
        Shape shape = a.shape;
        switch (random_.below(in_memory ? 9 : 13)) {
            case 0:
                if (a.rank() < 2) return Made{x + ".view([1, -1])", a.dtype, {"1", a.shape[0]}};
                std::swap(shape[0], shape[1]);
                return Made{x + ".transpose(0, 1)", a.dtype, shape};
            case 1:
                shape.insert(shape.begin() + static_cast<ptrdiff_t>(dim), "1");
                return Made{fmt::format("{}.unsqueeze({})", x, dim), a.dtype, shape};
            case 2: {
                std::string front;
                for (size_t k = 0; k < dim; ++k) front += ":, ";
                shape[dim] = fmt::format("{}.shape[{}] - 1", x, dim);
                return Made{fmt::format("{}[{}{}]", x, front, random_.chance(0.5) ? "1:" : ":-1"), a.dtype, shape};
            }
            case 3: {
                shape[dim] = fmt::format("({}.shape[{}] + 1) // 2", x, dim);
                std::string front;
                for (size_t k = 0; k < dim; ++k) front += ":, ";
                return Made{fmt::format("{}[{}::2]", x, front), a.dtype, shape};
            }
            case 4: return Made{fmt::format("{}[{}]", x, random_.pick({"0", "-1"})), a.dtype, without(a.shape, 0)};
            case 5: return Made{x + ".reshape([-1])", a.dtype, {fmt::format("{}.numel()", x)}};
            case 6: {
                if (a.rank() < 2) return Made{x + "[:]", a.dtype, shape};
                std::reverse(shape.begin(), shape.end());
                return Made{x + ".permute(" + reversed_dims(a.rank()) + ")", a.dtype, shape};
            }
            case 7:
                shape.insert(shape.begin(), "2");
                return Made{fmt::format("{}.unsqueeze(0).expand([2{}])", x, minus_ones(a.rank())), a.dtype, shape};
            case 8: return Made{fmt::format("{}.narrow({}, 0, 1)", x, dim), a.dtype, [&] { shape[dim] = "1"; return shape; }()};
            case 9: return Made{fmt::format("{}.flip({})", x, dim), a.dtype, shape};
            case 10:
                shape[dim] = fmt::format("{}.shape[{}] * 2", x, dim);
                return Made{fmt::format("cat([{0}, {0}], {1})", x, dim), a.dtype, shape};
            case 11:
                shape.insert(shape.begin(), "2");
                return Made{fmt::format("stack([{0}, {0}])", x), a.dtype, shape};
            default:
                shape[0] = "2";
                return Made{fmt::format("{}[[0, -1]]", x), a.dtype, shape};
        }
    }
    static std::string reversed_dims(size_t rank) {
        std::string out;
        for (size_t k = rank; k-- > 0;) out += std::to_string(k) + (k ? ", " : "");
        return out;
    }
    static std::string minus_ones(size_t rank) {
        std::string out;
        for (size_t k = 0; k < rank; ++k) out += ", -1";
        return out;
    }

    std::optional<Made> product(const Scope& scope, const Variable& a) {
        if (a.rank() < 1 || !a.is_float()) return {};
        const Variable* b = some(scope, [&](const Variable& v) {
            return v.dtype == a.dtype && v.rank() == 2 && a.rank() == 2 && v.shape[0] == a.shape[1];
        });
        if (b) return Made{fmt::format("{} @ {}", a.name, b->name), a.dtype, {a.shape[0], b->shape[1]}};
        if (a.rank() == 2) {
            if (random_.chance(0.5)) return Made{fmt::format("{0} @ {0}.T", a.name), a.dtype, {a.shape[0], a.shape[0]}};
            return Made{fmt::format("{0}.T @ {0}", a.name), a.dtype, {a.shape[1], a.shape[1]}};
        }
        if (a.rank() == 1) return Made{fmt::format("dot({0}, {0})", a.name), a.dtype, {}};
        return {};
    }

    std::optional<Made> cast(const Variable& a) {
        std::string to = a.is_float() && random_.chance(0.8) ? random_.pick<const char*>({"f32", "f64", "f32", "f16", "bf16"})
                                                             : random_.pick<const char*>({"i64", "i32", "f32", "bool", "u8"});
        return Made{fmt::format("{}.to({})", a.name, to), to, a.shape};
    }

    std::optional<Made> made(const Scope& scope) {
        const Variable* a = some(scope, [](const Variable&) { return true; });
        if (!a) return {};
        switch (random_.weighted({8, 8, 3, 3, 3, 2, 1, 2})) {
            case 0: {
                Made m = unary(*a);
                m.text = fmt::format(fmt::runtime(m.text), a->name);
                if (a->is_bool()) m.dtype = m.text.ends_with("(f32)") ? "f32" : m.text.ends_with("(i64)") ? "i64" : "bool";
                return m;
            }
            case 1: return binary(scope, *a);
            case 2: return reduction(*a);
            case 3: return along(*a);
            case 4: return movement(*a, false);
            case 5: return product(scope, *a);
            case 6: return cast(*a);
            default:
                if (a->is_bool()) return {};
                if (!a->is_float()) return Made{fmt::format("({} + {})", a->name, random_.pick<const char*>({"1", "2", "-3"})), a->dtype, a->shape};
                return Made{fmt::format("({} {} {})", a->name, random_.pick<const char*>({"*", "+", "-", "/"}), number(scope)), a->dtype, a->shape};
        }
    }

    /// A number of the host: a literal, a parameter, a size, a sum kept in a list.
    std::string number(const Scope& scope) {
        switch (random_.below(6)) {
            case 0: return in_function_ ? "k" : literal();
            case 1: {
                const Variable* a = some(scope, [](const Variable& v) { return v.rank() > 0; });
                return a ? fmt::format("(1 + {}.shape[0])", a->name) : literal();
            }
            case 2: return "seen[\"a\"]";
            default: return literal();
        }
    }

    void define(Statements& out, Scope& scope, const Made& m) {
        std::string name = fresh("v");
        out.push_back(line(fmt::format("{} = {}", name, m.text)));
        scope.push_back({name, m.dtype, m.shape, false});
    }

    // ---- statements ----------------------------------------------------------------------------------------------

    void value(Statements& out, Scope& scope) {
        for (int tries = 0; tries < 5; ++tries)
            if (auto m = made(scope)) return define(out, scope, *m);
    }

    void write(Statements& out, Scope& scope) {
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
                return out.push_back(line(fmt::format("{}.{}", target, random_.pick<const char*>({"sin_()", "neg_()", "abs_()", "relu_()", "sigmoid_()", "clamp_(-1, 1)", "square_()", "exp_()", "zero_()", "fill_(0.5)", "floor_()"}))));
            case 4:
                if (b) return out.push_back(line(fmt::format("{}.copy_({})", target, b->name)));
                return out.push_back(line(fmt::format("{}.fill_(2)", target)));
            case 5:
                if (a->rank() > 0) return out.push_back(line(fmt::format("{0}[{0} > 0] = {1}", a->name, a->is_float() ? literal() : "1")));
                [[fallthrough]];
            default: {
                Statements inner = {line(fmt::format("{}.mul_({})", target, a->is_float() ? "0.5" : "2"))};
                return out.push_back(block("no_grad", inner));
            }
        }
    }

    void view(Statements& out, Scope& scope) {
        const Variable* a = some(scope, [](const Variable& v) { return v.rank() > 0; });
        if (!a) return;
        bool is_leaf = a->is_leaf;
        if (auto m = movement(*a, true)) {
            define(out, scope, *m);
            scope.back().is_leaf = is_leaf;
        }
    }

    void host(Statements& out, Scope& scope) {
        const Variable* a = some_float(scope);
        switch (random_.below(9)) {
            case 0: return out.push_back(line(fmt::format("total[0] = total[0] + {}", random_.pick<const char*>({"1", "0.5", "k"}) == std::string("k") && !in_function_ ? "1" : "1")));
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
                    out.push_back(line(fmt::format("{} = [{}, {}.shape, {}]", name, number(scope), a->name, number(scope))));
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
                    out.push_back(line(fmt::format("{} = full([{}.shape[0]], {}).to({})", v, a->name, number(scope), a->dtype)));
                    scope.push_back({v, a->dtype, {a->shape[0]}, false});
                }
        }
    }

    /// Statements in a block that may not run: what they make is not seen outside.
    Statements inner(const Scope& scope, int depth, int least = 1, int most = 3) {
        Statements out;
        Scope copy = scope;
        int n = random_.between(least, most);
        for (int k = 0; k < n; ++k) statement(out, copy, depth + 1);
        return out;
    }

    void branch(Statements& out, Scope& scope, int depth) {
        const Variable* a = some(scope, [](const Variable& v) { return v.rank() > 0; });
        std::string condition = a && random_.chance(0.5) ? fmt::format("{}.shape[0] > {}", a->name, random_.between(0, 4))
                              : in_function_ && random_.chance(0.5) ? "k > 1" : "seen[\"a\"] % 2 == 0";
        Statements yes = inner(scope, depth);
        if (random_.chance(0.5)) return out.push_back(block("if " + condition, yes));
        out.push_back(block("if " + condition, yes, "else", inner(scope, depth)));
    }

    void loop(Statements& out, Scope& scope, int depth) {
        std::string i = fresh("j");
        const Variable* a = some(scope, [](const Variable& v) { return v.rank() > 0; });
        std::string range = a && random_.chance(0.2) ? fmt::format("range(min({}.shape[0], 3))", a->name) : fmt::format("range({})", random_.between(1, 3));
        Statements body = inner(scope, depth);
        if (const Variable* f = some(scope, [](const Variable& v) { return v.is_float() && !v.is_leaf; }); f && random_.chance(0.6))
            body.push_back(line(fmt::format("{0} = {0} * 0.5 + {1}", f->name, i)));
        out.push_back(block(fmt::format("for {} in {}", i, range), body));
    }

    void decision(Statements& out, Scope& scope, int depth) {
        const Variable* a = some_float(scope);
        if (!a) return;
        switch (random_.below(5)) {
            case 0: return out.push_back(block(fmt::format("if {}.sum() > 0.1", a->name), inner(scope, depth), "else", inner(scope, depth)));
            case 1: {
                std::string v = fresh("v");
                out.push_back(line(fmt::format("{} = {} * {}.mean().item()", v, a->name, a->name)));
                return scope.push_back({v, a->dtype, a->shape, false});
            }
            case 2: return out.push_back(line(fmt::format("total[0] = {}.sum().item()", a->name)));
            case 3: return out.push_back(line(fmt::format("seen[\"a\"] = int({}.abs().sum().clamp(0, 5).item())", a->name)));
            default: {
                if (a->rank() != 1) return;
                std::string v = fresh("v");
                out.push_back(line(fmt::format("{0} = {1}[{1} > 0]", v, a->name)));
                return scope.push_back({v, a->dtype, {fmt::format("{}.shape[0]", v)}, false});
            }
        }
    }

    void marked(Statements& out, Scope& scope, int depth) {
        switch (random_.below(5)) {
            case 0:
            case 1: return out.push_back(mark("graph_break"));
            case 2: {
                Scope copy = scope;
                Statements body;
                int n = random_.between(1, 4);
                for (int k = 0; k < n; ++k) plain_statement(body, scope, depth);
                return out.push_back(mark_block("checkpoint", body));
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

    void print(Statements& out, Scope& scope) {
        if (const Variable* a = some(scope, [](const Variable&) { return true; })) show(out, *a);
    }
    void show(Statements& out, const Variable& a) {
        out.push_back(line(fmt::format("print(\"{0}\", {0}.dtype, {0}.shape, {0}.tolist())", a.name)));
    }

    void attempt(Statements& out, Scope& scope, int depth) {
        Statements body = inner(scope, depth);
        if (random_.chance(0.6)) {
            const Variable* a = some(scope, [](const Variable& v) { return v.rank() > 0; });
            switch (random_.below(4)) {
                case 0: body.push_back(line("fail(\"on purpose\")")); break;
                case 1: if (a) body.push_back(line(fmt::format("assert ({0} == {0}).all(), \"nan\"", a->name))); break;
                case 2: if (a) body.push_back(line(fmt::format("assert ({} > 100).any(), \"small\"", a->name))); break;
                default: if (a) body.push_back(line(fmt::format("noted.append({}[[7]])", a->name)));
            }
            Statements after = inner(scope, depth, 0, 1);
            body.insert(body.end(), after.begin(), after.end());
        }
        out.push_back(block("try", body, "catch e", {line("noted.append(e.kind)")}));
    }

    /// A pure expression of `z`, of the same shape, for the functions that are differentiated and mapped.
    std::string pure(std::string z, int most = 3) {
        int n = random_.between(1, most);
        for (int k = 0; k < n; ++k) {
            static const std::vector<const char*> forms = {"sin({})", "({} * 0.5)", "({0} * {0})", "tanh({})", "({} + 1)", "exp(-{}.abs())",
                                                           "sigmoid({})", "({0} * {0}.sum())", "({0} / (1 + {0} * {0}))", "relu({})", "({0} * {0}.detach())",
                                                           "({} ** 3)", "checkpoint(fn(q) = sin(q) * q, {})"};
            z = fmt::format(fmt::runtime(random_.pick(forms)), z);
        }
        return z;
    }

    void derivative(Statements& out, Scope& scope, int depth) {
        const Variable* a = some(scope, [](const Variable& v) { return v.is_float() && (v.dtype == "f32" || v.dtype == "f64"); });
        if (!a) return;
        Variable x = *a;
        std::string v = fresh("v");
        const Variable* captured = some(scope, [&](const Variable& w) { return w.shape == x.shape && w.dtype == x.dtype; });
        std::string weight = captured && random_.chance(0.5) ? " * " + captured->name : "";
        std::string body = random_.chance(0.7)
                               ? fmt::format("fn(z) = ({}{}).sum()", pure("z"), weight)
                               : fmt::format("fn(z) {{ q = {}; graph_break; return (q{}).sum() }}", pure("z"), weight);
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
                out.push_back(line(fmt::format("({}, {}) = vjp(fn(z) = {}{}, {})", fresh("y"), pull, pure("z"), weight, x.name)));
                out.push_back(line(fmt::format("{} = {}({} * 0.5)", v, pull, x.name)));
                break;
            }
            case 5: out.push_back(line(fmt::format("({}, {}) = jvp(fn(z) = {}{}, ({},), ({} * 0.5,))", fresh("y"), v, pure("z"), weight, x.name, x.name))); break;
            case 6: {
                std::string leaf = fresh("w");
                out.push_back(line(fmt::format("{} = {}.detach().clone().requires_grad_()", leaf, x.name)));
                Scope copy = scope;
                copy.push_back({leaf, x.dtype, x.shape, true});
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
                out.push_back(line(fmt::format("{} = {}{}", y, pure(leaf), weight)));
                if (random_.chance(0.5)) out.push_back(mark("graph_break"));
                out.push_back(line(fmt::format("{} = grad({}.sum(), wrt: {}{})", v, y, leaf, random_.chance(0.3) ? ", create_graph: true" : "")));
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

    void map(Statements& out, Scope& scope) {
        const Variable* a = some(scope, [](const Variable& v) { return v.is_float() && v.rank() > 0; });
        if (!a) return;
        Variable x = *a;
        std::string v = fresh("v");
        const Variable* w = some(scope, [](const Variable& u) { return u.is_float() && u.rank() == 0; });
        std::string scaled = w && w->dtype == x.dtype ? fmt::format(" * {}", w->name) : "";
        switch (random_.below(5)) {
            case 0: out.push_back(line(fmt::format("{} = vmap(fn(z) = {}{})({})", v, pure("z"), scaled, x.name))); break;
            case 1: out.push_back(line(fmt::format("{} = vmap(grad(fn(z) = ({}{}).sum()))({})", v, pure("z"), scaled, x.name))); break;
            case 2:
                if (x.rank() < 2) return;
                out.push_back(line(fmt::format("{} = vmap(vmap(fn(z) = {}))({})", v, pure("z"), x.name)));
                break;
            case 3: out.push_back(line(fmt::format("{} = grad(fn(q) = vmap(fn(z) = {}{})(q).sum())({})", v, pure("z"), scaled, x.name))); break;
            default: out.push_back(line(fmt::format("{} = vmap(fn(z, u) = ({}) * u)({}, {})", v, pure("z"), x.name, x.name))); break;
        }
        scope.push_back({v, x.dtype, x.shape, false});
    }

    void random_numbers(Statements& out, Scope& scope) {
        const Variable* a = some_float(scope);
        if (!a) return;
        Made m{fmt::format("{}", a->name), a->dtype, a->shape};
        m.text = random_.chance(0.5) ? fmt::format("{} + rand_like({})", a->name, a->name) : fmt::format("dropout({}, 0.5, training: true)", a->name);
        define(out, scope, m);
    }

    void call(Statements& out, Scope& scope) {
        if (helpers_.empty()) return value(out, scope);
        const Variable* a = some(scope, [](const Variable& v) { return v.is_float() && !v.is_leaf; });
        if (!a) return;
        define(out, scope, {fmt::format("{}({})", random_.pick(helpers_), a->name), a->dtype, a->shape});
    }

    /// Statements that a checkpoint or `no_compile` may hold.
    void plain_statement(Statements& out, Scope& scope, int) {
        switch (random_.weighted({8, 2, 2, 1, 1})) {
            case 0: return value(out, scope);
            case 1: return write(out, scope);
            case 2: return view(out, scope);
            case 3: return random_numbers(out, scope);
            default: return call(out, scope);
        }
    }

    void statement(Statements& out, Scope& scope, int depth) {
        const Weights& w = weights_;
        int deep = depth < 2 ? 1 : 0;
        switch (random_.weighted({w.value, w.write, w.view, w.host, w.branch * deep, w.loop * deep, w.decision * deep, w.mark * deep,
                                  w.print, w.attempt * deep, w.derivative, w.map, w.random, w.call})) {
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

    // ---- functions and their calls -------------------------------------------------------------------------------

    /// A function of one float tensor of any shape, which gives one of the same shape.
    void helper() {
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

    struct Parameter {
        std::string name, dtype;
        Shape shape;
    };

    void function_with_calls() {
        std::string name = fresh("go");
        std::vector<Parameter> parameters;
        int count = random_.between(1, 3);
        std::string common = random_.pick<const char*>({"f32", "f32", "f32", "f64", "f16"});
        for (int k = 0; k < count; ++k) {
            Parameter p{fresh("a"), random_.chance(0.8) ? common : random_.pick<const char*>({"f32", "f64", "i64", "bf16", "bool"}), {}};
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

    std::string elements(const std::string& dtype, const std::vector<int>& sizes) {
        int64_t n = 1;
        for (int s : sizes) n *= s;
        auto [a, p] = random_.pick<std::pair<int, int>>({{37, 101}, {17, 53}, {7, 23}, {5, 11}});
        std::string shape = fmt::format("[{}]", fmt::join(sizes, ", "));
        if (dtype == "bool") return fmt::format("(arange({}) * {} % 3 == 0).reshape({})", n, a, shape);
        if (dtype[0] == 'i') return fmt::format("(arange({}) * {} % {} - {}).to({}).reshape({})", n, a, p, p / 3, dtype, shape);
        return fmt::format("((arange({}) * {} % {} - {}).to({}) / 16).reshape({})", n, a, p, p / 2, dtype, shape);
    }

    void calls(const std::string& name, const std::vector<Parameter>& parameters, size_t results) {
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
                    lines.push_back(line(fmt::format("{} = {}{}", x, elements(p.dtype, sizes), is_float && wants_gradient && random_.chance(0.7) ? ".requires_grad_()" : "")));
                    std::string argument = x;
                    if (is_float && random_.chance(0.5)) {
                        argument = fresh("x");
                        lines.push_back(line(fmt::format("{} = {}{}", argument, x, random_.pick<const char*>({" * 1", ".clone()", ".detach()", p.shape.empty() ? " - 1" : "[:]", " + 0.5"}))));
                    }
                    arguments.push_back(argument);
                }
                twice = parameters.size() > 1 && parameters[0].shape == parameters[1].shape && parameters[0].dtype == parameters[1].dtype && random_.chance(0.2);
                if (twice) arguments[1] = arguments[0];
            }
            for (const Statement& l : lines) program_.push_back(l);
            std::vector<std::string> given;
            for (size_t k = 0; k < parameters.size(); ++k) {
                scope.push_back({arguments[k], parameters[k].dtype, concrete(parameters[k].shape, n, m), true});
                given.push_back(arguments[k]);
            }
            std::string r = fresh("r");
            body.push_back(line(fmt::format("{} = {}({}, {})", r, name, fmt::join(given, ", "), random_.pick<const char*>({"1", "2", "0.5", "k_outer"}) == std::string("k_outer") ? "3" : random_.pick<const char*>({"1", "2", "0.5"}))));
            for (size_t k = 0; k < results; ++k)
                body.push_back(line(fmt::format("print(\"{0}[{1}]\", {0}[{1}].dtype, {0}[{1}].shape, {0}[{1}].requires_grad, {0}[{1}].tolist())", r, k)));
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
                    program_.push_back(block(fmt::format("if {}.grad is not none", x), {line(fmt::format("print(\"{0}.grad\", {0}.grad.tolist())", x))}));
        }
    }

    static std::vector<std::string> inputs_of(const Statements& lines) {
        std::vector<std::string> names;
        for (const Statement& s : lines)
            if (s.text.find("requires_grad_()") != std::string::npos) names.push_back(s.text.substr(0, s.text.find(' ')));
        return names;
    }
    static Shape concrete(Shape shape, int n, int m) {
        for (std::string& d : shape) d = d == "n" ? std::to_string(n) : d == "m" ? std::to_string(m) : d;
        return shape;
    }

    // ---- models that learn ---------------------------------------------------------------------------------------

    void training() {
        std::string model = fresh("M");
        Scope scope = {{"x", "f32", {"n", "4"}, false}, {"w", "f32", {"4", "4"}, true}, {"b", "f32", {"4"}, true}};
        Statements forward = {line("self.calls = self.calls + 1"), line("h = x @ w + b")};
        scope.push_back({"h", "f32", {"n", "4"}, false});
        in_function_ = false;
        int n = random_.between(1, 4);
        for (int k = 0; k < n; ++k) {
            std::string next = fresh("h");
            Statement s = line(fmt::format("{} = {}", next, pure(scope.back().name, 2)));
            if (random_.chance(0.3)) s = mark_block("checkpoint", {s});
            forward.push_back(s);
            scope.push_back({next, "f32", {"n", "4"}, false});
            if (random_.chance(0.15)) forward.push_back(mark("graph_break"));
            if (random_.chance(0.15)) forward.push_back(line(fmt::format("{0} = dropout({0}, 0.25, training: self.training)", next)));
        }
        forward.push_back(line(fmt::format("return {} * gain", scope.back().name)));
        program_.push_back(block("model " + model, {line("param w = randn([4, 4]) * 0.3"), line("param b = zeros([4])"), line("param gain = ones([])"),
                                                    line("calls = 0"), block("fn forward(x)", forward)}));
        std::string step = fresh("step");
        Statements body = {line("y = net(x)"), line("loss = ((y - t) * (y - t)).mean()")};
        if (random_.chance(0.3)) body.push_back(line("total[0] = total[0] + loss.item()"));
        body.push_back(line("backward(loss)"));
        if (random_.chance(0.2)) body.push_back(mark("graph_break"));
        if (random_.chance(0.3)) body.push_back(block("no_grad", {line("for p in net.parameters() { p.grad.mul_(0.5) }")}));
        bool by_hand = random_.chance(0.3);
        if (by_hand) {
            body.push_back(block("no_grad", {line("for p in net.parameters() { p.sub_(p.grad * rate); p.grad = none }")}));
        } else {
            body.push_back(line("opt.step()"));
        }
        body.push_back(line("return loss"));
        program_.push_back(block(fmt::format("fn {}(net, opt, x, t, rate)", step), body));
        std::string net = fresh("net"), opt = fresh("opt");
        program_.push_back(line(fmt::format("{} = {}()", net, model)));
        program_.push_back(line(fmt::format("{} = {}({}.parameters(), lr: 0.05)", opt, random_.pick<const char*>({"SGD", "Adam", "AdamW"}), net)));
        Statements turn;
        std::string i = fresh("j");
        turn.push_back(line(fmt::format("x = {}", elements("f32", {random_.pick({2, 3, 5}), 4}))));
        if (random_.chance(0.5)) turn.push_back(line(fmt::format("x = x[:1 + {} % 2]", i)));
        turn.push_back(line(fmt::format("print(\"loss\", {}({}, {}, x * 1, cos(x), 0.1 / (1 + {})).item())", step, net, opt, i)));
        program_.push_back(block(fmt::format("for {} in range({})", i, random_.between(3, 6)), turn));
        program_.push_back(line(fmt::format("print({0}.calls, {0}.w.tolist(), {0}.b.tolist(), {0}.gain.item())", net)));
    }

    // ---- gradients against differences ---------------------------------------------------------------------------

    std::string smooth_expression(const std::vector<std::string>& names, int depth) {
        if (depth == 0) return random_.pick(names);
        std::string a = smooth_expression(names, depth - 1);
        switch (random_.below(16)) {
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
            default: return fmt::format("sqrt(1 + {0} * {0})", a);
        }
    }

    void smooth_program() {
        // Differences of f along every element, and of the gradient along one direction: with f64 and a step of 1e-5, first
        // derivatives agree to about 1e-9.
        program_.push_back(block("fn differences(f, x)",
            {line("g = zeros_like(x).reshape([-1])"),
             block("for i in range(x.numel())",
                   {line("d = zeros([x.numel()], dtype: f64)"), line("d[i] = 1e-5"), line("e = d.reshape(x.shape)"),
                    line("g[i] = (f(x + e) - f(x - e)) / 2e-5")}),
             line("return g.reshape(x.shape)")}));
        program_.push_back(block("fn agree(what, a, b)",
            {line("worst = ((a - b).abs() / (1 + a.abs() + b.abs())).max().item()"),
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
                if (random_.chance(0.2)) s = mark_block("checkpoint", {s});
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
            program_.push_back(line(fmt::format("agree(\"first\", grad(fn(q) = {0}(q, {2}))({1}), differences(fn(q) = {0}(q, {2}), {1}))", f, x, w)));
            program_.push_back(line(fmt::format("agree(\"second argument\", grad(fn(q) = {0}({1}, q))({2}), differences(fn(q) = {0}({1}, q), {2}))", f, x, w)));
            program_.push_back(line(fmt::format("once{0} = fn(q) = (grad(fn(z) = {1}(z, {2}))(q) * cos({2})).sum()", k, f, w)));
            program_.push_back(line(fmt::format("agree(\"second order\", grad(once{0})({1}), differences(once{0}, {1}))", k, x)));
            program_.push_back(line(fmt::format("({0}y, {0}dy) = jvp(fn(q) = {0}(q, {2}), ({1},), (cos({1}),))", f, x, w)));
            program_.push_back(line(fmt::format("agree(\"jvp\", {0}dy, (differences(fn(q) = {0}(q, {2}), {1}) * cos({1})).sum())", f, x, w)));
            std::string leaf = fresh("x");
            program_.push_back(line(fmt::format("{} = {}.clone().requires_grad_()", leaf, x)));
            program_.push_back(line(fmt::format("backward({}({}, {}))", f, leaf, w)));
            program_.push_back(line(fmt::format("agree(\"backward\", {}.grad, grad(fn(q) = {}(q, {}))({}))", leaf, f, w, x)));
        }
    }

    Random random_;
    Profile profile_;
    Weights weights_;
    Statements program_;
    std::vector<std::string> helpers_;
    int count_ = 0;
    bool in_function_ = false;
};

}  // namespace

std::string_view name_of(Profile profile) {
    static constexpr std::array<std::string_view, profile_count> names = {"general", "views", "history", "host", "breaks", "batches", "training", "smooth"};
    return names[static_cast<size_t>(profile)];
}

Statements generate(uint64_t seed, Profile profile) { return Generator(seed, profile).program(); }

}  // namespace tenon::fuzz
