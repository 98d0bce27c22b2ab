#include "jit/cuda/scalar.h"

#include <bit>
#include <cmath>

#include <fmt/format.h>

#include "ir/scalar/program.h"
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

using scalar::Code;
using scalar::Lane;
using scalar::Program;
using scalar::Step;

constexpr std::string_view lane_names[] = {"f64", "f32", "i64", "i32", "i16", "i8", "u64", "u32", "u16", "u8", "bool"};

// A program as lines of code, on parameters a, b, c where nothing else is said.
class Translation {
public:
    Translation(Writer& writer, const Program& program, std::vector<std::string> operands = {"a", "b", "c"})
        : writer_(writer), program_(program), operands_(std::move(operands)) {}

    std::string run() {
        for (const Step& s : program_.steps) names_.push_back(name(s));
        return names_[program_.result];
    }

private:
    Lane lane_of(uint16_t at) const { return program_.steps[at].lane; }
    bool is_single(const Step& s) const { return lane_of(s.a) == Lane::f32 || lane_of(s.a) == Lane::i32; }

    std::string name(const Step& s) {
        const std::string type(lane_names[int(s.lane)]);
        if (s.code == Code::parameter) return operands_[s.bits];
        if (s.code == Code::constant) return constant(s, type);
        if (s.code == Code::rarely) return rarely(s, type);
        if (s.code == Code::scaled)
            return Translation(writer_, scalar::scaled_in_two_program(s.lane), {names_[s.a], names_[s.c]}).run();
        return writer_.define(type, expression(s, type));
    }

    std::string constant(const Step& s, const std::string& type) {
        if (s.lane == Lane::f64) return literal(std::bit_cast<double>(s.bits));
        if (s.lane == Lane::f32) return literal(std::bit_cast<float>(uint32_t(s.bits)));
        const int unused = 64 - 8 * bytes_of(s.lane);
        const auto value = int64_t(s.bits << unused);
        return literal(type, holds_sign(s.lane) ? value >> unused : int64_t(uint64_t(value) >> unused));
    }

    std::string rarely(const Step& s, const std::string& type) {
        const std::string result = writer_.fresh();
        writer_.line(fmt::format("{} {} = {};", type, result, names_[s.b]));
        writer_.line(fmt::format("if ({}) {} = {};", names_[s.a], result, call(s, s.c, s.d)));
        return result;
    }
    std::string call(const Step& s, uint16_t first, uint16_t second) const {
        const std::string helper = fmt::format("{}_{}", s.callee->name, lane_names[int(s.lane)]);
        if (s.callee->arity == 1) return fmt::format("{}({})", helper, names_[first]);
        return fmt::format("{}({}, {})", helper, names_[first], names_[second]);
    }

    // Integers wrap: computed without a sign, at full width, and cut.
    std::string expression(const Step& s, const std::string& type) const {
        const std::string &a = names_[s.a], &b = names_[s.b], &c = s.c ? names_[s.c] : a;
        const bool real = holds_float(s.lane), single = is_single(s), mask = lane_of(s.a) == Lane::mask;
        const auto infix = [&](const char* sign) { return fmt::format("{} {} {}", a, sign, b); };
        const auto wrapping = [&](const char* sign) {
            return real ? infix(sign) : fmt::format("{}(u64({}) {} u64({}))", type, a, sign, b);
        };
        const auto cut = [&](const char* sign) {
            return mask ? infix(sign) : fmt::format("{}({} {} {})", type, a, sign, b);
        };
        const auto call_of = [&](const char* one, const char* other) {
            return fmt::format("{}({})", single ? one : other, a);
        };
        switch (s.code) {
            case Code::add: return wrapping("+");
            case Code::sub: return wrapping("-");
            case Code::mul: return wrapping("*");
            case Code::div: return infix("/");
            case Code::neg: return real ? "-" + a : fmt::format("{}(u64(0) - u64({}))", type, a);
            case Code::quotient: return cut("/");
            case Code::bit_and: return cut("&");
            case Code::bit_or: return cut("|");
            case Code::bit_xor: return cut("^");
            case Code::bit_not: return mask ? "!" + a : fmt::format("{}(~{})", type, a);
            case Code::shift_left: return fmt::format("{}(u64({}) << {})", type, a, b);
            case Code::shift_right: return cut(">>");
            case Code::less: return infix("<");
            case Code::less_equal: return infix("<=");
            case Code::greater: return infix(">");
            case Code::greater_equal: return infix(">=");
            case Code::equal: return infix("==");
            case Code::not_equal: return infix("!=");
            case Code::select: return fmt::format("{} ? {} : {}", a, b, c);
            case Code::fma: return fmt::format("{}({}, {}, {})", single ? "__fmaf_rn" : "__fma_rn", a, b, c);
            case Code::sqrt: return call_of("__fsqrt_rn", "__dsqrt_rn");
            case Code::abs: return call_of("fabsf", "fabs");
            case Code::floor: return call_of("floorf", "floor");
            case Code::ceil: return call_of("ceilf", "ceil");
            case Code::trunc: return call_of("truncf", "trunc");
            case Code::round_even: return call_of("rintf", "rint");
            case Code::bits: return call_of("__float_as_int", "__double_as_longlong");
            case Code::float_bits: return call_of("__int_as_float", "__longlong_as_double");
            case Code::convert: return fmt::format("{}({})", type, a);
            case Code::apart: return call(s, s.a, s.b);
            default: return {};
        }
    }

    Writer& writer_;
    const Program& program_;
    const std::vector<std::string> operands_;
    std::vector<std::string> names_;
};

std::string translate(Writer& writer, const Program& program) { return Translation(writer, program).run(); }

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
    const std::optional<Program> program = scalar::program_of(op, dtype);
    if (!program) return {};
    const bool truth = program->lane() == Lane::mask;
    // A bool takes part as a byte that is 0 or 1.
    const std::string held = dtype == DType::boolean ? "u8" : register_type(dtype);
    const auto body = [&](Writer& writer) {
        const std::string value = translate(writer, *program);
        writer.line(fmt::format("return {};", truth || dtype == DType::boolean ? value : rounded(dtype, value)));
    };
    const std::string name = scalar_function_name(op, dtype), result = truth ? "bool" : register_type(dtype);
    if (program->arity == 1) return function(result, name, {held}, body);
    if (program->arity == 2) return function(result, name, {held, held}, body);
    return function(result, name, {scalar::find_function(op)->is_choice ? "bool" : held, held, held}, body);
}

std::vector<std::pair<std::string_view, DType>> helpers_of(std::string_view op, DType dtype) {
    std::vector<std::pair<std::string_view, DType>> out;
    if (const std::optional<Program> program = scalar::program_of(op, dtype))
        for (const Step& s : program->steps)
            if (s.callee) out.emplace_back(s.callee->name, *dtype_from_name(lane_names[int(s.lane)]));
    return out;
}

std::string fault_function(std::string_view op, DType dtype) {
    const std::optional<Program> program = scalar::fault_of(op, dtype);
    if (!program) return {};
    const std::string held = register_type(dtype);
    return function("bool", scalar_function_name(op, dtype) + "_fault", {held, held}, [&](Writer& writer) {
        const std::string value = translate(writer, *program);
        writer.line(fmt::format("return {};", value));
    });
}

std::string cast_function_name(DType from, DType to) { return fmt::format("cast_{}_{}", name_of(from), name_of(to)); }

std::string cast_function(DType from, DType to) {
    const std::string held = from == DType::boolean ? "u8" : register_type(from);
    return function(register_type(to), cast_function_name(from, to), {held}, [&](Writer& writer) {
        const std::string value = translate(writer, scalar::cast_program(from, to));
        writer.line(fmt::format("return {};", rounded(to, value)));
    });
}

}  // namespace tenon::cuda_engine
