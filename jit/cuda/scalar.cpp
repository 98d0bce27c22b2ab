#include "jit/cuda/scalar.h"

#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/format.h>

#include "ir/scalar/functions.h"
#include "jit/cuda/text.h"

namespace tenon::cuda_engine {

std::string literal(float x) {
    if (std::isnan(x)) return "__int_as_float(0x7fc00000)";
    if (std::isinf(x)) return fmt::format("__int_as_float({})", x < 0 ? "int(0xff800000u)" : "0x7f800000");
    return std::signbit(x) ? fmt::format("({:a}f)", x) : fmt::format("{:a}f", x);
}
std::string literal(double x) {
    if (std::isnan(x)) return "__longlong_as_double(0x7ff8000000000000ll)";
    if (std::isinf(x))
        return fmt::format("__longlong_as_double(i64({}))", x < 0 ? "0xfff0000000000000ull" : "0x7ff0000000000000ull");
    return std::signbit(x) ? fmt::format("({:a})", x) : fmt::format("{:a}", x);
}
std::string literal(const std::string& type, int64_t value) {
    if (type == "bool") return value ? "true" : "false";
    if (value == INT64_MIN) return fmt::format("{}(-9223372036854775807ll - 1)", type);
    if (type[0] == 'u') return fmt::format("{}({}ull)", type, uint64_t(value));
    return type == "i32" && value > INT32_MIN && value < 0 ? fmt::format("({})", value)
           : type == "i32" && value >= 0                   ? fmt::format("{}", value)
                                                           : fmt::format("{}({}ll)", type, value);
}

namespace {

using Emit = std::string (*)(Writer&);

template <class F, class V>
concept CanFault = std::is_integral_v<scalar::Element<V>> && requires(V v) { F::fault(v, v); };

// The value computed from parameters a, b, c.
template <class F, class T, int arity>
std::string emit(Writer& writer) {
    using V = Text<T>;
    const V a{"a", &writer}, b{"b", &writer}, c{"c", &writer};
    if constexpr (arity == 1) return F::of(a).name;
    else if constexpr (arity == 2) return F::of(a, b).name;
    else return F::of(TextMask{"a", &writer}, b, c).name;
}
template <class F, class T>
std::string emit_fault(Writer& writer) {
    return F::fault(Text<T>{"a", &writer}, Text<T>{"b", &writer}).name;
}

template <class... T> struct Elements {};
using Computed = Elements<double, float, int64_t, int32_t, int16_t, int8_t, uint8_t>;

size_t element_of(DType d) {
    constexpr uint8_t elements[dtype_count] = {0, 1, 1, 1, 2, 3, 4, 5, 6, 6};
    return elements[size_t(d)];
}

struct Definition {
    std::string_view name;
    int arity;
    scalar::Result result;
    std::array<Emit, 7> emit, fault;
};

template <class F, scalar::Domain domain, int arity, class T>
constexpr Emit entry() {
    if constexpr (scalar::is_in<T>(domain)) return &emit<F, T, arity>;
    else return nullptr;
}
template <class F, scalar::Domain domain, class T>
constexpr Emit fault_entry() {
    if constexpr (scalar::is_in<T>(domain) && CanFault<F, Text<T>>) return &emit_fault<F, T>;
    else return nullptr;
}
template <class F, scalar::Domain domain, int arity, class... T>
constexpr Definition define(std::string_view name, scalar::Result result, Elements<T...>) {
    return {name, arity, result, {entry<F, domain, arity, T>()...}, {fault_entry<F, domain, T>()...}};
}

const Definition definitions[] = {
#define TENON_DEFINITION(name, arity, Struct, domain, result) \
    define<scalar::Struct, scalar::Domain::domain, arity>(name, scalar::Result::result, Computed{}),
    TENON_SCALAR_FUNCTIONS(TENON_DEFINITION)
#undef TENON_DEFINITION
};

const Definition* find_definition(std::string_view name) {
    const auto found = std::find_if(std::begin(definitions), std::end(definitions),
                                    [&](const Definition& d) { return d.name == name; });
    return found == std::end(definitions) ? nullptr : found;
}

std::string rounded(DType dtype, const std::string& value) {
    return dtype == DType::f16 || dtype == DType::bf16 ? fmt::format("nearest_{}({})", name_of(dtype), value) : value;
}

std::string function(const std::string& result, const std::string& name, std::initializer_list<std::string> parameters,
                     auto body) {
    Writer writer;
    std::string list;
    for (char letter = 'a'; const std::string& type : parameters) {
        list += fmt::format("{}{} {}", list.empty() ? "" : ", ", type, letter++);
    }
    writer.open(fmt::format("__device__ inline {} {}({}) {{", result, name, list));
    body(writer);
    writer.close();
    return writer.text();
}

template <class From, class... To>
std::string cast_from(Writer& writer, size_t to, Elements<To...>) {
    std::string result;
    size_t k = 0;
    ((k++ == to ? void(result = scalar::Cast<To>::of(Text<From>{"a", &writer}).name) : void()), ...);
    return result;
}
template <class... From>
std::string cast_element(Writer& writer, size_t from, size_t to, Elements<From...> all) {
    std::string result;
    size_t k = 0;
    ((k++ == from ? void(result = cast_from<From>(writer, to, all)) : void()), ...);
    return result;
}

}  // namespace

std::string register_type(DType d) {
    switch (d) {
        case DType::f16:
        case DType::bf16: return "f32";
        case DType::boolean: return "bool";
        default: return std::string(name_of(d));
    }
}

std::string memory_type(DType d) {
    switch (d) {
        case DType::f16:
        case DType::bf16: return "u16";
        case DType::boolean: return "u8";
        default: return std::string(name_of(d));
    }
}

std::string constant_of(DType dtype, double real, int64_t integer) {
    switch (dtype) {
        case DType::f64: return literal(real);
        case DType::f32: return literal(float(real));
        case DType::f16: return literal(float(Half(float(real))));
        case DType::bf16: return literal(float(BFloat16(float(real))));
        default: return literal(register_type(dtype), integer);
    }
}

std::string scalar_function_name(std::string_view op, DType dtype) { return fmt::format("{}_{}", op, name_of(dtype)); }

std::string scalar_function(std::string_view op, DType dtype) {
    const Definition* d = find_definition(op);
    if (!d || !d->emit[element_of(dtype)]) return {};
    const bool truth = d->result == scalar::Result::boolean;
    // A bool takes part as a byte that is 0 or 1.
    const std::string held = dtype == DType::boolean ? "u8" : register_type(dtype);
    const auto body = [&](Writer& writer) {
        if (dtype == DType::boolean && op == "bitwise_not") return writer.line("return !a;");
        const std::string value = d->emit[element_of(dtype)](writer);
        writer.line(fmt::format("return {};", truth || dtype == DType::boolean ? value : rounded(dtype, value)));
    };
    const std::string name = scalar_function_name(op, dtype), result = truth ? "bool" : register_type(dtype);
    if (d->arity == 1) return function(result, name, {held}, body);
    if (d->arity == 2) return function(result, name, {held, held}, body);
    return function(result, name, {"bool", held, held}, body);
}

std::string fault_function(std::string_view op, DType dtype) {
    const Definition* d = find_definition(op);
    if (!d || dtype == DType::boolean || !d->fault[element_of(dtype)]) return {};
    const std::string held = register_type(dtype);
    return function("bool", scalar_function_name(op, dtype) + "_fault", {held, held}, [&](Writer& writer) {
        const std::string value = d->fault[element_of(dtype)](writer);
        writer.line(fmt::format("return {};", value));
    });
}

std::string cast_function_name(DType from, DType to) { return fmt::format("cast_{}_{}", name_of(from), name_of(to)); }

std::string cast_function(DType from, DType to) {
    const std::string held = from == DType::boolean ? "u8" : register_type(from);
    return function(register_type(to), cast_function_name(from, to), {held}, [&](Writer& writer) {
        if (to == DType::boolean) return writer.line("return a != 0;");
        const size_t source = element_of(from), target = element_of(to);
        const std::string value = source == target ? "a" : cast_element(writer, source, target, Computed{});
        writer.line(fmt::format("return {};", rounded(to, value)));
    });
}

}  // namespace tenon::cuda_engine
