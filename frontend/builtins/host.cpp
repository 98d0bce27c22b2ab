// Built-ins that need no tensor: numbers, sequences, text, files, the world outside.
#include <fmt/format.h>
#include <unistd.h>

#include <cctype>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <limits>

#include "frontend/methods/clone.h"
#include "frontend/methods/containers.h"
#include "frontend/builtins/scan.h"
#include "frontend/methods/tables.h"
#include "frontend/evaluate/evaluator.h"
#include "frontend/evaluate/host_iterators.h"
#include "frontend/evaluate/session.h"
#include "frontend/record/tracer.h"
#include "frontend/values/builtin.h"
#include "frontend/values/errors.h"
#include "frontend/values/format_spec.h"
#include "frontend/values/models.h"
#include "runtime/diagnostic.h"
#include "runtime/file.h"

namespace tenon {

namespace {

constexpr KindSet numbers = kinds(Kind::integer, Kind::real);
constexpr KindSet host = any_kind & ~kinds(Kind::tensor, Kind::graph, Kind::node);
constexpr KindSet iterables =
    kinds(Kind::list, Kind::tuple, Kind::dict, Kind::range, Kind::string, Kind::iterator, Kind::model);

[[noreturn]] void expected(Evaluator& evaluator, std::string_view what, const Value& found, std::string help = {}) {
    throw_error("type", fmt::format("expected {}, found {}", what, evaluator.semantics().describe(found)),
                std::move(help));
}

// ---- output and input ---------------------------------------------------------------------------------------------

Value print(Evaluator& evaluator, Arguments& a) {
    std::string line;
    const std::string separator = a.has(1) ? a.text(1, "sep") : " ";
    bool first = true;
    for (const Value& value : a[0].as<TupleObject>().items) {
        if (!std::exchange(first, false)) line += separator;
        line += evaluator.semantics().text(value);
    }
    line += a.has(2) ? a.text(2, "end") : "\n";
    evaluator.session().output().write(line, a.span);
    return {};
}

// A line that the next one replaces; only people want to see it.
Value show_status(Evaluator&, Arguments& a) {
    if (!isatty(STDERR_FILENO)) return {};
    fmt::print(stderr, "\r\x1b[K{}", a.text(0, "the text"));
    std::fflush(stderr);
    return {};
}

Value input(Evaluator& evaluator, Arguments& a) {
    if (a.has(0)) evaluator.session().output().write(a.text(0, "a prompt"), a.span);
    std::string line;
    if (!std::getline(std::cin, line)) {
        std::cin.clear();
        check_interrupt();  // it ends a wait for input, too
        throw_error("io", "input ended");
    }
    return make_text(line);
}

// ---- sequences ----------------------------------------------------------------------------------------------------

Value len(Evaluator& evaluator, Arguments& a) {
    const Value& x = a[0];
    switch (x.kind()) {
        case Kind::string: return x.as<StringObject>().characters();
        case Kind::list: return x.as<ListObject>().items.size();
        case Kind::tuple: return x.as<TupleObject>().items.size();
        case Kind::dict: return x.as<DictObject>().size();
        case Kind::range: return x.as<RangeObject>().size();
        case Kind::tensor: return evaluator.border().length(x, a.span);
        case Kind::model:
            if (evaluator.has_method(x, "length")) return evaluator.call_method(x, "length", {});
            [[fallthrough]];
        default: expected(evaluator, "a list, a tuple, a dict, a str, a range or a tensor", x);
    }
}

Value range(Evaluator& evaluator, Arguments& a) {
    auto part = [&](size_t k) {
        return a[k].is_tensor() ? evaluator.border().settle_int(a[k], a.span_of(k))
                                : a.integer(k, "a bound of a range");
    };
    int64_t first = part(0), step = a.has(2) ? part(2) : 1;
    if (step == 0) throw_error("value", "the step of a range is 0");
    const int64_t start = a.has(1) ? first : 0, stop = a.has(1) ? part(1) : first;
    int64_t distance;
    if (__builtin_sub_overflow(stop, start, &distance) || distance == INT64_MIN)
        throw_error("overflow", fmt::format("the numbers from {} to {} are too many for 64 bits", start, stop));
    return make_ref<RangeObject>(start, stop, step);
}

Value enumerate(Evaluator& evaluator, Arguments& a) {
    return make_ref<EnumerateIterator>(evaluator.iterate(a[0]), a.integer_or(1, 0, "the first number"));
}

Value zip(Evaluator& evaluator, Arguments& a) {
    std::vector<Ref<IteratorObject>> sources;
    for (const Value& value : a[0].as<TupleObject>().items) sources.push_back(evaluator.iterate(value));
    return make_ref<ZipIterator>(std::move(sources));
}

Value map(Evaluator& evaluator, Arguments& a) {
    if (maps_tensors(a[1])) return map_tensors(evaluator, a);
    Values out;
    for (Value& value : evaluator.collect(a[1])) out.push_back(evaluator.call(a[0], {value}));
    return make_list(std::move(out));
}

Value filter(Evaluator& evaluator, Arguments& a) {
    Values out;
    for (Value& value : evaluator.collect(a[1])) {
        if (evaluator.semantics().truth(a[0].is_none() ? value : evaluator.call(a[0], {value}))) out.push_back(value);
    }
    return make_list(std::move(out));
}

Value sorted(Evaluator& evaluator, Arguments& a) {
    Values values = evaluator.collect(a[0]);
    sort_values(evaluator, values, a[1], a.flag_or(2, false, "reverse"));
    return make_list(std::move(values));
}

Value reversed(Evaluator& evaluator, Arguments& a) {
    Values values = evaluator.collect(a[0]);
    std::reverse(values.begin(), values.end());
    return make_list(std::move(values));
}

template <bool largest> Value extreme(Evaluator& evaluator, Arguments& a) {
    const Values& given = a[0].as<TupleObject>().items;
    constexpr std::string_view name = largest ? "max" : "min";
    if (given.empty()) throw_error("arity", fmt::format("{} needs a sequence or several values", name));
    Values values = given.size() == 1 ? evaluator.collect(given[0]) : given;
    if (values.empty()) {
        if (a.has(2)) return a[2];
        throw_error("value", fmt::format("{} of an empty sequence", name),
                    fmt::format("write {}(xs, default: 0)", name));
    }
    auto key_of = [&](const Value& value) { return a.has(1) ? evaluator.call(a[1], {value}) : value; };
    Value best = values[0], best_key = key_of(best);
    for (size_t i = 1; i < values.size(); ++i) {
        check_interrupt();
        Value key = key_of(values[i]);
        if (largest ? evaluator.semantics().less(best_key, key) : evaluator.semantics().less(key, best_key)) {
            best = values[i];
            best_key = std::move(key);
        }
    }
    return best;
}

Value sum(Evaluator& evaluator, Arguments& a) {
    Value total = a.has(1) ? a[1] : Value(0);
    auto source = evaluator.iterate(a[0]);
    Value item;
    // Starting with the first item keeps `0 + x` out of graphs; of a tensor alone it makes a tensor of its own.
    const bool from_zero = !a.has(1);
    for (size_t count = 0; source->next(evaluator, item); ++count) {
        check_interrupt();
        const auto* tensor = item.try_as<TensorObject>();
        const bool is_number = item.is_symbolic() || (tensor && tensor->dtype() != DType::boolean);
        const bool starts = from_zero && count == 0 && is_number;
        total = starts ? item : evaluator.binary(Operator::add, total, item);
    }
    return from_zero && total.is_tensor() && identical(total, item) ? evaluator.binary(Operator::add, 0, total) : total;
}

template <bool wanted> Value any_or_all(Evaluator& evaluator, Arguments& a) {
    auto source = evaluator.iterate(a[0]);
    Value item;
    while (source->next(evaluator, item)) {
        check_interrupt();
        if (evaluator.semantics().truth(item) == wanted) return wanted;
    }
    return !wanted;
}

Value list(Evaluator& evaluator, Arguments& a) { return make_list(a.has(0) ? evaluator.collect(a[0]) : Values{}); }
Value tuple(Evaluator& evaluator, Arguments& a) { return make_tuple(a.has(0) ? evaluator.collect(a[0]) : Values{}); }

Value dict(Evaluator& evaluator, Arguments& a) {
    auto out = make_ref<DictObject>();
    if (a.has(0)) {
        if (auto* from = a[0].try_as<DictObject>()) {
            for (const auto& entry : from->entries()) out->set(entry.key, entry.value);
        } else {
            for (const Value& pair : evaluator.collect(a[0])) {
                check_interrupt();
                const Values* items = items_of(pair);
                if (!items || items->size() != 2) expected(evaluator, "a (key, value) pair", pair);
                out->set(evaluator.as_key((*items)[0], a.span), (*items)[1]);
            }
        }
    }
    for (const auto& entry : a[1].as<DictObject>().entries()) out->set(entry.key, entry.value);
    return out;
}

// ---- conversions --------------------------------------------------------------------------------------------------

int64_t int_of_real(double value) {
    if (std::isnan(value)) throw_error("value", "nan is no int");
    if (!(value >= -0x1p63 && value < 0x1p63)) {
        throw_error("overflow", fmt::format("{} does not fit in an int (64 bits)", real_to_string(value)));
    }
    return static_cast<int64_t>(value);
}

// What begins with `+` is read without it, unless another sign follows.
std::string_view without_plus(std::string_view text) {
    return text.starts_with('+') && !text.starts_with("+-") ? text.substr(1) : text;
}

// Each `_` stands between two digits.
bool groups_digits(std::string_view text) {
    auto is_digit_at = [&](size_t k) {
        return k < text.size() && std::isalnum(static_cast<unsigned char>(text[k])) != 0;
    };
    for (size_t k = 0; k < text.size(); ++k) {
        if (text[k] == '_' && !(is_digit_at(k - 1) && is_digit_at(k + 1))) return false;
    }
    return true;
}

std::string_view trimmed(std::string_view text) {
    size_t begin = text.find_first_not_of(" \t\n\r");
    return begin == std::string_view::npos ? std::string_view{}
                                           : text.substr(begin, text.find_last_not_of(" \t\n\r") + 1 - begin);
}

// The number a conversion is about: that of a tensor of one element, symbolic where a graph is yet to compute it. As
// such it stays in the graph where it is converted without a decision.
Value number_in(Evaluator& evaluator, Arguments& a, DType to) {
    Value x = a[0].is_tensor() ? evaluator.border().item(a[0].as<TensorObject>(), a.span_of(0)) : a[0];
    if (!x.is_symbolic() || host_kind(x) == host_kind_of(to)) return x;
    if (std::optional<Value> converted = evaluator.border().convert_pending(x, to, a.span_of(0))) return *converted;
    return evaluator.settled(x, a.span_of(0));
}

Value int_of(Evaluator& evaluator, Arguments& a) {
    const Value x = number_in(evaluator, a, DType::i64);
    if (x.is_unset()) return 0;
    if (x.is_symbolic() || x.is_int()) return x;
    if (x.is_bool()) return int64_t{x.as_bool()};
    if (x.is(Kind::real)) return int_of_real(x.as_real());
    if (!x.is(Kind::string)) expected(evaluator, "a number or a str", x);
    if (a.has(1)) a[1] = evaluator.settled(a[1], a.span_of(1));
    const int64_t base = a.integer_or(1, 10, "a base");
    if (base < 2 || base > 36) throw_error("value", fmt::format("a base is 2 to 36, not {}", base));
    const std::string_view written = without_plus(trimmed(text_of(x)));
    std::string digits(written);
    if (groups_digits(written)) std::erase(digits, '_');
    int64_t value = 0;
    auto [end, code] = std::from_chars(digits.data(), digits.data() + digits.size(), value, static_cast<int>(base));
    if (code == std::errc::result_out_of_range)
        throw_error("overflow", fmt::format("{} does not fit in an int (64 bits)", text_of(x)));
    if (code != std::errc{} || end != digits.data() + digits.size()) {
        throw_error("value", fmt::format("{} is no int", quote(text_of(x))), "float(text) reads floats");
    }
    return value;
}

Value float_of(Evaluator& evaluator, Arguments& a) {
    const Value x = number_in(evaluator, a, DType::f64);
    if (x.is_unset()) return 0.0;
    if (x.is_symbolic()) return x;
    if (x.is_number()) return x.as_number();
    if (x.is_bool()) return x.as_bool() ? 1.0 : 0.0;
    if (!x.is(Kind::string)) expected(evaluator, "a number or a str", x);
    const std::string_view text = without_plus(trimmed(text_of(x)));
    double value = 0;
    auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (code == std::errc::invalid_argument || end != text.data() + text.size()) {
        throw_error("value", fmt::format("{} is no float", quote(text_of(x))));
    }
    if (code == std::errc::result_out_of_range) return std::strtod(std::string(text).c_str(), nullptr);  // inf, or 0
    return value;
}

Value bool_of(Evaluator& evaluator, Arguments& a) {
    const Value x = a[0].is_tensor() ? evaluator.border().settle(a[0], a.span_of(0)) : a[0];
    if (x.is_bool()) return x;
    if (x.is_number()) return x.as_number() != 0;
    expected(evaluator, "a bool or a number", x, "write len(xs) > 0, or x is not none");
}

Value str(Evaluator& evaluator, Arguments& a) { return make_text(a.has(0) ? evaluator.semantics().text(a[0]) : ""); }
Value repr(Evaluator& evaluator, Arguments& a) { return make_text(evaluator.semantics().repr(a[0])); }

Value type(Evaluator&, Arguments& a) {
    if (auto* model = a[0].try_as<ModelObject>()) return model->model_class;
    return make_text(name_of(host_kind(a[0])));
}

bool is_instance(const Evaluator& evaluator, const Value& value, const Value& type) {
    if (const Values* any_of = items_of(type)) {
        evaluator.check_stack(evaluator.here());  // a list may hold itself
        return std::any_of(any_of->begin(), any_of->end(),
                           [&](const Value& t) { return is_instance(evaluator, value, t); });
    }
    if (auto* wanted = type.try_as<ModelClassObject>()) {
        auto* model = value.try_as<ModelObject>();
        return model && model->model_class.get() == wanted;
    }
    if (auto* wanted = type.try_as<BuiltinObject>()) return wanted->group.name == name_of(host_kind(value));
    if (type.is(Kind::dtype) && type.as_dtype() == DType::boolean) return host_kind(value) == Kind::boolean;
    if (type.is(Kind::string)) return text_of(type) == name_of(host_kind(value));
    if (type.is_none()) return value.is_none();
    throw_error("type",
                "the second argument of isinstance is a model class, a type such as int or list, or a tuple of these");
}

Value isinstance(Evaluator& evaluator, Arguments& a) { return is_instance(evaluator, a[0], a[1]); }
Value callable(Evaluator& evaluator, Arguments& a) { return evaluator.is_callable(a[0]); }
Value hasattr(Evaluator& evaluator, Arguments& a) { return evaluator.has_method(a[0], a.text(1, "a name")); }

// ---- arithmetic ---------------------------------------------------------------------------------------------------

Value abs(Evaluator&, Arguments& a) {
    if (a[0].is(Kind::real)) return std::fabs(a[0].as_real());
    if (a[0].as_int() == INT64_MIN) throw_error("overflow", "abs of the smallest int does not fit in an int (64 bits)");
    return a[0].as_int() < 0 ? -a[0].as_int() : a[0].as_int();
}

Value round(Evaluator&, Arguments& a) {
    if (a[0].is_int()) return a[0];
    double x = a[0].as_real();
    if (!a.has(1) || a[1].is_none()) return int_of_real(std::nearbyint(x));
    int64_t digits = a.integer(1, "a number of digits");
    if (!std::isfinite(x) || digits > 300) return x;
    if (digits < -std::numeric_limits<double>::max_exponent10) return std::copysign(0.0, x);
    if (digits < 0) {
        const double scale = std::pow(10.0, static_cast<double>(-digits)), rounded = std::nearbyint(x / scale) * scale;
        if (!std::isfinite(rounded)) throw_error("overflow", "the rounded value does not fit in a float");
        return rounded;
    }
    // Decimal text rounds the exact value correctly, which scaling by a power of ten does not.
    return std::strtod(fmt::format("{:.{}f}", x, digits).c_str(), nullptr);
}

template <double (*function)(double)> Value real_function(Evaluator&, Arguments& a) {
    return function(a[0].as_number());
}
template <double (*function)(double)> Value rounding_function(Evaluator&, Arguments& a) {
    return a[0].is_int() ? a[0] : Value(int_of_real(function(a[0].as_real())));
}
template <double (*function)(double, double)> Value real_function2(Evaluator&, Arguments& a) {
    return function(a[0].as_number(), a.number(1, "a number"));
}
double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
double rsqrt(double x) { return 1 / std::sqrt(x); }
double relu(double x) { return x > 0 || std::isnan(x) ? x : 0; }
double square(double x) { return x * x; }

Value pow(Evaluator& evaluator, Arguments& a) { return evaluator.binary(Operator::pow, a[0], a[1]); }
Value isnan(Evaluator&, Arguments& a) { return static_cast<bool>(std::isnan(a[0].as_number())); }
Value isinf(Evaluator&, Arguments& a) { return static_cast<bool>(std::isinf(a[0].as_number())); }
Value isfinite(Evaluator&, Arguments& a) { return static_cast<bool>(std::isfinite(a[0].as_number())); }

Value clamp(Evaluator& evaluator, Arguments& a) {
    Value x = a[0];
    if (a.has(1) && !a[1].is_none() && evaluator.semantics().less(x, a[1])) x = a[1];
    if (a.has(2) && !a[2].is_none() && evaluator.semantics().less(a[2], x)) x = a[2];
    return x;
}

// ---- the world outside --------------------------------------------------------------------------------------------

Value now(Evaluator&, Arguments&) {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

Value env(Evaluator&, Arguments& a) {
    const std::string& name = a.text(0, "the name of a variable");
    if (name.find('\0') == std::string::npos) {
        if (const char* value = std::getenv(name.c_str())) return make_text(value);
    }
    return a.has(1) ? a[1] : Value();
}

Value read_text(Evaluator&, Arguments& a) { return make_ref<StringObject>(tenon::read_text(a.text(0, "a path"))); }

Value write_text(Evaluator&, Arguments& a) {
    write_file(a.text(0, "a path"), [&](FileWriter& writer) { writer.write(a.text(1, "the text")); });
    return {};
}

Value exists(Evaluator&, Arguments& a) {
    const std::string& path = a.text(0, "a path");
    std::error_code code;
    return path.find('\0') == std::string::npos && std::filesystem::exists(path, code);
}

Value fail(Evaluator& evaluator, Arguments& a) { throw_error_at(a.span, "user", evaluator.semantics().text(a[0])); }

Value clone_host(Evaluator& evaluator, Arguments& a) { return clone(evaluator, a[0]); }

constexpr Builtin host_table[] = {
    {"print", "*values; sep?, end?", any_kind, print, breaks_graph,
     "writes the values, separated by blanks, and a newline"},
    {"show_status", "text", any_kind, show_status, breaks_graph,
     "shows a line on a terminal that the next one replaces; \"\" takes it away"},
    {"input", "prompt?", any_kind, input, breaks_graph | reads_number, "one line of the standard input"},

    {"len", "x", any_kind, len, 0, "how many items, characters, or rows of a tensor"},
    {"range", "start, stop?, step?", any_kind, range, 0, "the ints from start (0) up to, not including, stop"},
    {"enumerate", "values, start?", any_kind, enumerate, 0, "pairs (position, value)"},
    {"zip", "*sequences", any_kind, zip, 0, "tuples of the values at equal positions, as long as the shortest"},
    {"map", "function, values", host, map, 0, "the list of f(x) for each value; over tensors, the stack of these"},
    {"filter", "function, values", host, filter, 0, "the list of the values for which f(x) is true"},
    {"sorted", "values; key?, reverse?", any_kind, sorted, 0, "a sorted list; equal items keep their order"},
    {"reversed", "values", any_kind, reversed, 0, "the list of the values from the last to the first"},
    {"min", "*values; key?, default?", host, extreme<false>, takes_symbolic, "the smallest item, or argument"},
    {"max", "*values; key?, default?", host, extreme<true>, takes_symbolic, "the largest item, or argument"},
    {"sum", "values, start?", iterables, sum, takes_symbolic, "the sum of the items"},
    {"any", "values", iterables, any_or_all<true>, 0, "whether one of the items is true"},
    {"all", "values", iterables, any_or_all<false>, 0, "whether all items are true"},
    {"list", "values?", any_kind, list, takes_symbolic, "a list of the values"},
    {"tuple", "values?", any_kind, tuple, takes_symbolic, "a tuple of the values"},
    {"dict", "entries?; **more", any_kind, dict, takes_symbolic, "a dict of entries, pairs or keyword arguments"},

    {"int", "x?, base?", any_kind, int_of, takes_symbolic, "as an int: floats are cut towards zero, strs are read"},
    {"float", "x?", any_kind, float_of, takes_symbolic, "as a float"},
    {"bool", "x", any_kind, bool_of, 0, "as a bool: whether a number is not zero"},
    {"str", "x?", any_kind, str, 0, "as a str: what print shows"},
    {"repr", "x", any_kind, repr, 0, "as a str, strs quoted"},
    {"type", "x", any_kind, type, takes_symbolic, "the name of its type, or the class of a model"},
    {"isinstance", "x, type", any_kind, isinstance, takes_symbolic,
     "whether x is of a type or model class, or one of a tuple"},
    {"callable", "x", any_kind, callable, 0, "whether x can be called"},
    {"hasattr", "x, name", any_kind, hasattr, 0, "whether x has a field or method of that name"},

    {"abs", "x", numbers, abs, 0, "absolute value"},
    {"round", "x, digits?", numbers, round, 0, "nearest int, ties to even; with digits a float"},
    {"floor", "x", numbers, rounding_function<std::floor>, 0, "the next int below"},
    {"ceil", "x", numbers, rounding_function<std::ceil>, 0, "the next int above"},
    {"trunc", "x", numbers, rounding_function<std::trunc>, 0, "the next int towards zero"},
    {"pow", "x, y", host, pow, takes_symbolic, "x ** y"},
    {"sqrt", "x", numbers, real_function<std::sqrt>, 0, "square root"},
    {"rsqrt", "x", numbers, real_function<rsqrt>, 0, "1 / sqrt(x)"},
    {"square", "x", numbers, real_function<square>, 0, "x * x"},
    {"exp", "x", numbers, real_function<std::exp>, 0, "e ** x"},
    {"exp2", "x", numbers, real_function<std::exp2>, 0, "2 ** x"},
    {"expm1", "x", numbers, real_function<std::expm1>, 0, "exp(x) - 1"},
    {"log", "x", numbers, real_function<std::log>, 0, "natural logarithm"},
    {"log2", "x", numbers, real_function<std::log2>, 0, "logarithm to base 2"},
    {"log10", "x", numbers, real_function<std::log10>, 0, "logarithm to base 10"},
    {"log1p", "x", numbers, real_function<std::log1p>, 0, "log(1 + x)"},
    {"sin", "x", numbers, real_function<std::sin>, 0, "sine"},
    {"cos", "x", numbers, real_function<std::cos>, 0, "cosine"},
    {"tan", "x", numbers, real_function<std::tan>, 0, "tangent"},
    {"asin", "x", numbers, real_function<std::asin>, 0, "inverse sine"},
    {"acos", "x", numbers, real_function<std::acos>, 0, "inverse cosine"},
    {"atan", "x", numbers, real_function<std::atan>, 0, "inverse tangent"},
    {"atan2", "y, x", numbers, real_function2<std::atan2>, 0, "angle of the point (x, y)"},
    {"sinh", "x", numbers, real_function<std::sinh>, 0, "hyperbolic sine"},
    {"cosh", "x", numbers, real_function<std::cosh>, 0, "hyperbolic cosine"},
    {"tanh", "x", numbers, real_function<std::tanh>, 0, "hyperbolic tangent"},
    {"erf", "x", numbers, real_function<std::erf>, 0, "error function"},
    {"sigmoid", "x", numbers, real_function<sigmoid>, 0, "1 / (1 + exp(-x))"},
    {"relu", "x", numbers, real_function<relu>, 0, "max(x, 0)"},
    {"isnan", "x", numbers, isnan, 0, "whether x is not a number"},
    {"isinf", "x", numbers, isinf, 0, "whether x is infinite"},
    {"isfinite", "x", numbers, isfinite, 0, "whether x is neither infinite nor nan"},
    {"clamp", "x, min?, max?", numbers, clamp, 0, "x, at least min and at most max"},

    {"op", "function", any_kind, nullptr, scope_block,
     "as `@op fn`: an operation made of others, one call of the graph"},

    {"now", "", any_kind, now, breaks_graph | reads_number, "a monotonic clock, in seconds"},
    {"env", "name, default?", any_kind, env, breaks_graph | reads_number, "a variable of the environment, or default"},
    {"read_text", "path", any_kind, read_text, breaks_graph, "the content of a text file"},
    {"write_text", "path, text", any_kind, write_text, breaks_graph, "writes a text file"},
    {"exists", "path", any_kind, exists, breaks_graph, "whether there is such a file"},
    {"fail", "message", any_kind, fail, 0, "raises an error of kind \"user\""},
    {"clone", "x", host, clone_host, 0, "a copy of a container or model and all it holds"},
};

}  // namespace

std::span<const Builtin> host_builtins() { return host_table; }

}  // namespace tenon
