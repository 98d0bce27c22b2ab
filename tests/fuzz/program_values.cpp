#include "tests/fuzz/program_generator.h"

#include <algorithm>
#include <array>

namespace tenon::fuzz {

const Variable* ProgramGenerator::some_float(const Scope& scope, size_t least_rank) {
    return some(scope, [&](const Variable& v) { return v.is_float() && v.rank() >= least_rank; });
}

Shape ProgramGenerator::without(Shape shape, size_t dim) {
    shape.erase(shape.begin() + static_cast<ptrdiff_t>(dim));
    return shape;
}

std::string ProgramGenerator::promoted(const std::string& a, const std::string& b) {
    static constexpr std::array<std::string_view, 10> order = {"bool", "u8",   "i8",  "i16", "i32",
                                                               "i64",  "bf16", "f16", "f32", "f64"};
    auto place = [](const std::string& d) { return std::find(order.begin(), order.end(), d) - order.begin(); };
    if ((a == "bf16" && b == "f16") || (a == "f16" && b == "bf16")) return "f32";
    if ((a == "u8" && (b == "i8")) || (b == "u8" && a == "i8")) return "i16";
    return place(a) > place(b) ? a : b;
}

std::optional<Shape> ProgramGenerator::broadcast(const Shape& a, const Shape& b) {
    Shape out(std::max(a.size(), b.size()));
    for (size_t k = 0; k < out.size(); ++k) {
        const std::string* x = k < a.size() ? &a[a.size() - 1 - k] : nullptr;
        const std::string* y = k < b.size() ? &b[b.size() - 1 - k] : nullptr;
        if (x && y && *x != *y && *x != "1" && *y != "1") return {};
        out[out.size() - 1 - k] = !x ? *y : !y ? *x : *x == "1" ? *y : *x;
    }
    return out;
}

ProgramGenerator::Made ProgramGenerator::unary(const Variable& a) {
    if (!a.is_float()) {
        if (a.is_bool()) return {random_.pick<const char*>({"~{}", "{}.to(i64)", "{}.to(f32)"}), a.dtype, a.shape};
        return {random_.pick<const char*>({"-{}", "{}.abs()", "{} // 3", "{} % 3", "{} * 2 + 1", "({} & 3)"}), a.dtype,
                a.shape};
    }
    return {random_.pick<const char*>({"sin({})",
                                       "cos({})",
                                       "tanh({})",
                                       "sigmoid({})",
                                       "relu({})",
                                       "{}.abs()",
                                       "{}.square()",
                                       "exp(-{}.abs())",
                                       "sqrt({}.abs() + 0.5)",
                                       "log({}.abs() + 0.5)",
                                       "-{}",
                                       "gelu({})",
                                       "silu({})",
                                       "erf({})",
                                       "{}.floor()",
                                       "{}.round()",
                                       "{}.sign()",
                                       "softplus({})",
                                       "1 / ({}.abs() + 1)",
                                       "{} ** 2",
                                       "{} ** 3",
                                       "clamp({}, -1, 1)",
                                       "{}.clone()",
                                       "expm1({})",
                                       "atan({})",
                                       "{}.detach()",
                                       "leaky_relu({})",
                                       "{} % 1.5",
                                       "{} // 0.75"}),
            a.dtype, a.shape};
}

std::optional<ProgramGenerator::Made> ProgramGenerator::binary(const Scope& scope, const Variable& a) {
    const Variable* b =
        some(scope, [&](const Variable& v) { return broadcast(a.shape, v.shape).has_value() && !v.is_bool(); });
    if (!b || a.is_bool()) return {};
    Shape shape = *broadcast(a.shape, b->shape);
    std::string dtype = promoted(a.dtype, b->dtype);
    if (a.dtype != b->dtype && (a.rank() == 0 || b->rank() == 0)) return {};
    if (random_.chance(0.1)) {
        std::string op = random_.pick<const char*>({"<", "<=", ">", "==", "!="});
        return Made{fmt::format("({} {} {})", a.name, op, b->name), "bool", shape};
    }
    if (!a.is_float() && !b->is_float())
        return Made{fmt::format("({} {} {})", a.name, random_.pick<const char*>({"+", "-", "*", "&", "|"}), b->name),
                    dtype, shape};
    static const std::vector<const char*> forms = {
        "({} + {})",         "({} - {})",       "({} * {})",       "({} * {})",       "({} / {})",
        "maximum({}, {})",   "minimum({}, {})", "(tanh({}) * {})", "({} + {}.abs())", "where({0} > {1}, {0}, {1})",
        "lerp({}, {}, 0.25)"};
    return Made{fmt::format(fmt::runtime(random_.pick(forms)), a.name, b->name), dtype, shape};
}

std::optional<ProgramGenerator::Made> ProgramGenerator::reduction(const Variable& a) {
    if (a.is_bool()) return Made{a.name + random_.pick<const char*>({".any()", ".all()", ".sum()"}), "i64", {}};
    std::string f =
        a.is_float()
            ? random_.pick<const char*>({"sum", "mean", "sum", "amax", "amin", "prod", "logsumexp", "norm", "std"})
            : random_.pick<const char*>({"sum", "amax", "amin", "prod"});
    std::string dtype = a.is_float() ? a.dtype : (f == "sum" || f == "prod") ? "i64" : a.dtype;
    if (f == "logsumexp" && a.rank() == 0) f = "sum";
    if ((a.rank() == 0 || random_.chance(0.3)) && f != "logsumexp")
        return Made{fmt::format("{}.{}()", a.name, f), dtype, {}};
    size_t dim = random_.below(a.rank());
    std::string named =
        random_.chance(0.5) ? std::to_string(dim) : std::to_string(static_cast<int>(dim) - static_cast<int>(a.rank()));
    if (random_.chance(0.4)) {
        Shape shape = a.shape;
        shape[dim] = "1";
        return Made{fmt::format("{}.{}(dim: {}, keepdim: true)", a.name, f, named), dtype, shape};
    }
    return Made{fmt::format("{}.{}(dim: {})", a.name, f, named), dtype, without(a.shape, dim)};
}

std::optional<ProgramGenerator::Made> ProgramGenerator::along(const Variable& a) {
    if (a.rank() == 0 || a.is_bool()) return {};
    size_t dim = random_.below(a.rank());
    if (!a.is_float()) return Made{fmt::format("{}.cumsum({})", a.name, dim), "i64", a.shape};
    switch (random_.below(a.rank() > 1 ? 7 : 6)) {
        case 6:
            return Made{fmt::format("scaled_dot_product_attention({0}, {0}, {0}, is_causal: {1})", a.name,
                                    random_.chance(0.5)),
                        a.dtype, a.shape};
        case 0: return Made{fmt::format("softmax({}, {})", a.name, dim), a.dtype, a.shape};
        case 1: return Made{fmt::format("log_softmax({}, {})", a.name, dim), a.dtype, a.shape};
        case 2: return Made{fmt::format("{}.cumsum({})", a.name, dim), a.dtype, a.shape};
        case 3: return Made{fmt::format("{}.argmax(dim: {})", a.name, dim), "i64", without(a.shape, dim)};
        case 4: return Made{fmt::format("sort({}, {})[0]", a.name, dim), a.dtype, a.shape};
        default: return Made{fmt::format("layer_norm({0}, [{0}.shape[-1]])", a.name), a.dtype, a.shape};
    }
}

std::optional<ProgramGenerator::Made> ProgramGenerator::movement(const Variable& a, bool in_memory) {
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
        case 8:
            return Made{fmt::format("{}.narrow({}, 0, 1)", x, dim), a.dtype, [&] {
                            shape[dim] = "1";
                            return shape;
                        }()};
        case 9: return Made{fmt::format("{}.flip({})", x, dim), a.dtype, shape};
        case 10:
            shape[dim] = fmt::format("{}.shape[{}] * 2", x, dim);
            return Made{fmt::format("cat([{0}, {0}], {1})", x, dim), a.dtype, shape};
        case 11: shape.insert(shape.begin(), "2"); return Made{fmt::format("stack([{0}, {0}])", x), a.dtype, shape};
        default: shape[0] = "2"; return Made{fmt::format("{}[[0, -1]]", x), a.dtype, shape};
    }
}

std::string ProgramGenerator::reversed_dims(size_t rank) {
    std::string out;
    for (size_t k = rank; k-- > 0;) out += std::to_string(k) + (k ? ", " : "");
    return out;
}

std::string ProgramGenerator::minus_ones(size_t rank) {
    std::string out;
    for (size_t k = 0; k < rank; ++k) out += ", -1";
    return out;
}

std::optional<ProgramGenerator::Made> ProgramGenerator::product(const Scope& scope, const Variable& a) {
    if (a.rank() < 1 || !a.is_float()) return {};
    const Variable* b = some(scope, [&](const Variable& v) {
        return v.dtype == a.dtype && v.rank() == 2 && a.rank() == 2 && v.shape[0] == a.shape[1];
    });
    if (b && random_.chance(0.3))
        return Made{fmt::format("einsum(\"ij,jk->ki\", {}, {})", a.name, b->name), a.dtype, {b->shape[1], a.shape[0]}};
    if (b) return Made{fmt::format("{} @ {}", a.name, b->name), a.dtype, {a.shape[0], b->shape[1]}};
    if (random_.chance(0.4)) {
        const Shape& s = a.shape;
        Shape lead = s;
        lead.pop_back();
        if (a.rank() == 2) {
            static const std::vector<const char*> squares = {"einsum(\"ij,kj->ki\", {0}, {0})",
                                                             "tensordot({0}, {0}, ([1], [1]))", "inner({0}, {0})",
                                                             "einsum(\"ij,kj,kl,il->ik\", {0}, {0}, {0}, {0})"};
            switch (random_.below(4)) {
                case 0: return Made{fmt::format("einsum(\"ij,ij->j\", {0}, {0})", a.name), a.dtype, {s[1]}};
                case 1: return Made{fmt::format("({0} @ {0}.T).diagonal()", a.name), a.dtype, {s[0]}};
                default: return Made{fmt::format(fmt::runtime(random_.pick(squares)), a.name), a.dtype, {s[0], s[0]}};
            }
        }
        if (a.rank() == 3 && random_.chance(0.6)) {
            if (random_.chance(0.5))
                return Made{fmt::format("einsum(\"bij,bkj->bik\", {0}, {0})", a.name), a.dtype, {s[0], s[1], s[1]}};
            return Made{fmt::format("einsum(\"ibj,kbj->kib\", {0}, {0})", a.name), a.dtype, {s[0], s[0], s[1]}};
        }
        return Made{fmt::format("vecdot({0}, {0})", a.name), a.dtype, lead};
    }
    if (a.rank() == 2) {
        if (random_.chance(0.5)) return Made{fmt::format("{0} @ {0}.T", a.name), a.dtype, {a.shape[0], a.shape[0]}};
        return Made{fmt::format("{0}.T @ {0}", a.name), a.dtype, {a.shape[1], a.shape[1]}};
    }
    if (a.rank() == 1) return Made{fmt::format("dot({0}, {0})", a.name), a.dtype, {}};
    return {};
}

std::optional<ProgramGenerator::Made> ProgramGenerator::image(const Variable& a) {
    if (!a.is_float() || a.rank() == 0 || a.rank() > 3) return {};
    const std::string one = ".unsqueeze(0)", line = a.rank() == 1 ? "1d" : "2d";
    const std::string x = a.name + (a.rank() == 3 ? ".unsqueeze(1)" : one + one);
    const std::string back = a.rank() == 3 ? ".squeeze(1)" : ".squeeze(0).squeeze(0)";
    const int taps = a.rank() == 1 ? 3 : 9;
    const auto kernel = [&](int outputs) {
        return fmt::format("linspace(-1, 1, {}).to({}).reshape([{}, 1{}])", outputs * taps, a.dtype, outputs,
                           a.rank() == 1 ? ", 3" : ", 3, 3");
    };
    std::string text;
    switch (random_.below(7)) {
        case 0: text = fmt::format("conv{}({}, {}, padding: 1)", line, x, kernel(1)); break;
        case 1: text = fmt::format("conv{}({}, {}, padding: 1).sum(1, keepdim: true)", line, x, kernel(2)); break;
        case 2: text = fmt::format("conv_transpose{}({}, {}, padding: 1)", line, x, kernel(1)); break;
        case 3: text = fmt::format("avg_pool{}({}, 3, 1, 1)", line, x); break;
        case 4: text = fmt::format("max_pool{}({}, 3, 1, 1)", line, x); break;
        case 5: text = fmt::format("conv{}({}, {}, padding: 2, dilation: 2)", line, x, kernel(1)); break;
        default:
            text = fmt::format("batch_norm(cat([{0}, {0} * 2 + 1, -{0}], 0), training: true)", x);
            return Made{text + fmt::format("[:{}.shape[0]]", x) + back, a.dtype, a.shape};
    }
    return Made{text + back, a.dtype, a.shape};
}

std::optional<ProgramGenerator::Made> ProgramGenerator::cast(const Variable& a) {
    std::string to = a.is_float() && random_.chance(0.8)
                         ? random_.pick<const char*>({"f32", "f64", "f32", "f16", "bf16"})
                         : random_.pick<const char*>({"i64", "i32", "f32", "bool", "u8"});
    return Made{fmt::format("{}.to({})", a.name, to), to, a.shape};
}

std::optional<ProgramGenerator::Made> ProgramGenerator::made(const Scope& scope) {
    const Variable* a = some(scope, [](const Variable&) { return true; });
    if (!a) return {};
    switch (random_.weighted({8, 8, 3, 3, 3, 2, 1, 2, 2})) {
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
        case 7: return image(*a);
        default:
            if (a->is_bool()) return {};
            if (!a->is_float())
                return Made{fmt::format("({} + {})", a->name, random_.pick<const char*>({"1", "2", "-3"})), a->dtype,
                            a->shape};
            return Made{
                fmt::format("({} {} {})", a->name, random_.pick<const char*>({"*", "+", "-", "/"}), number(scope)),
                a->dtype, a->shape};
    }
}

std::string ProgramGenerator::number(const Scope& scope) {
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

void ProgramGenerator::define(Statements& out, Scope& scope, const Made& m) {
    std::string name = fresh("v");
    out.push_back(line(fmt::format("{} = {}", name, m.text)));
    scope.push_back({name, m.dtype, m.shape, false});
}

std::string ProgramGenerator::literal() {
    return random_.pick<const char*>({"0.5", "2", "3.0", "-1", "0.25", "1.5", "0", "1", "-0.0", "1e-3"});
}

}  // namespace tenon::fuzz
