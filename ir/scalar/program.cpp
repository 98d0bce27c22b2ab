#include "ir/scalar/program.h"

#include <algorithm>
#include <cassert>

#include "ir/scalar/families.h"
#include "ir/scalar/number.h"
#include "ir/scalar/recorded.h"

namespace tenon::scalar {

// Each family's, in a file of its own under programs/.
#define TENON_FAMILY(family) extern const Definitions family##_programs;
TENON_FAMILIES(TENON_FAMILY)
#undef TENON_FAMILY

uint16_t Recorder::step(const Step& step) {
    const auto found = std::find(steps_.rbegin(), steps_.rend(), step);
    if (found != steps_.rend()) return uint16_t(steps_.rend() - found - 1);
    assert(steps_.size() < UINT16_MAX);
    steps_.push_back(step);
    return uint16_t(steps_.size() - 1);
}

Program Recorder::finish(int arity, uint16_t result) && { return {std::move(steps_), arity, result}; }

namespace {

std::span<const Definitions* const> families() {
#define TENON_FAMILY(family) &family##_programs,
    static constexpr const Definitions* all_families[] = {TENON_FAMILIES(TENON_FAMILY)};
#undef TENON_FAMILY
    return all_families;
}

const Definition* find_definition(std::string_view name) {
    for (const Definitions* family : families()) {
        const Definition *first = family->first, *end = first + family->count;
        const auto found = std::find_if(first, end, [&](const Definition& d) { return d.function->name == name; });
        if (found != end) return found;
    }
    return nullptr;
}

// ---- evaluation ----

template <class T>
T number_from(uint64_t bits) {
    T value;
    __builtin_memcpy(&value, &bits, sizeof value);
    return value;
}
template <class T>
uint64_t bits_from(T value) {
    uint64_t bits = 0;
    __builtin_memcpy(&bits, &value, sizeof value);
    return bits;
}

template <class Visit>
uint64_t visit_lane(Lane lane, Visit visit) {
    switch (lane) {
        case Lane::u64: return visit.template operator()<uint64_t>();
        case Lane::u32: return visit.template operator()<uint32_t>();
        case Lane::u16: return visit.template operator()<uint16_t>();
        default: return visit_arithmetic(lane, visit);
    }
}

DType dtype_of(Lane lane) {
    constexpr DType dtypes[] = {DType::f64, DType::f32, DType::i64, DType::i32, DType::i16, DType::i8};
    return holds_sign(lane) ? dtypes[int(lane)] : DType::u8;
}

class Evaluation {
public:
    explicit Evaluation(const Program& program) : program_(program), values_(program.steps.size()) {}

    uint64_t run(std::span<const uint64_t> operands) {
        for (size_t k = 0; k < program_.steps.size(); ++k) {
            const Step& s = program_.steps[k];
            values_[k] = s.code == Code::parameter ? operands[s.bits] : value(s);
        }
        return values_[program_.result];
    }

private:
    uint64_t value(const Step& s) const {
        const uint64_t a = values_[s.a], b = values_[s.b];
        switch (s.code) {
            case Code::constant: return s.bits;
            case Code::select: return a ? b : values_[s.c];
            case Code::bits:
            case Code::float_bits: return a;
            case Code::rarely: return a ? call(s, {values_[s.c], values_[s.d]}) : b;
            case Code::apart: return call(s, {a, b});
            case Code::scaled: {
                const uint64_t operands[] = {a, values_[s.c]};
                return evaluate(scaled_in_two_program(s.lane), operands);
            }
            case Code::convert:
                return visit_lane(program_.steps[s.a].lane, [&]<class From>() {
                    return visit_lane(s.lane, [&]<class To>() {
                        return bits_from(convert<To>(Number<From>{number_from<From>(a)}).value);
                    });
                });
            default: break;
        }
        if (s.lane == Lane::mask && program_.steps[s.a].lane == Lane::mask)
            return s.code == Code::bit_and ? a & b : s.code == Code::bit_or ? a | b : s.code == Code::bit_xor ? a ^ b : !a;
        return visit_lane(program_.steps[s.a].lane, [&]<class T>() {
            const Number<T> x{number_from<T>(a)}, y{number_from<T>(b)};
            if (s.lane == Lane::mask) return uint64_t(compare(s.code, x, y));
            return bits_from(arithmetic(s, x, y).value);
        });
    }
    uint64_t call(const Step& s, std::initializer_list<uint64_t> operands) const {
        const std::optional<Program> callee = program_of(s.callee->name, dtype_of(s.lane));
        return evaluate(*callee, {operands.begin(), operands.size()});
    }

    template <class T>
    static bool compare(Code code, Number<T> x, Number<T> y) {
        switch (code) {
            case Code::less: return x < y;
            case Code::less_equal: return x <= y;
            case Code::greater: return x > y;
            case Code::greater_equal: return x >= y;
            case Code::equal: return x == y;
            default: return x != y;
        }
    }
    template <class T>
    Number<T> arithmetic(const Step& s, Number<T> x, Number<T> y) const {
        switch (s.code) {
            case Code::add: return x + y;
            case Code::sub: return x - y;
            case Code::mul: return x * y;
            case Code::neg: return -x;
            default: break;
        }
        if constexpr (std::is_floating_point_v<T>) {
            switch (s.code) {
                case Code::div: return x / y;
                case Code::fma: return fma(x, y, Number<T>{number_from<T>(values_[s.c])});
                case Code::sqrt: return sqrt(x);
                case Code::abs: return abs(x);
                case Code::floor: return floor(x);
                case Code::ceil: return ceil(x);
                case Code::trunc: return trunc(x);
                default: return round_even(x);
            }
        } else {
            switch (s.code) {
                case Code::quotient: return quotient(x, y);
                case Code::bit_and: return x & y;
                case Code::bit_or: return x | y;
                case Code::bit_xor: return x ^ y;
                case Code::bit_not: return ~x;
                case Code::shift_left: return shift_left(x, y);
                default: return shift_right(x, y);
            }
        }
    }

    const Program& program_;
    std::vector<uint64_t> values_;
};

}  // namespace

const Function* find_function(std::string_view name) {
    const Definition* found = find_definition(name);
    return found ? found->function : nullptr;
}

std::vector<const Function*> all_functions() {
    std::vector<const Function*> out;
    for (const Definitions* family : families())
        for (int k = 0; k < family->count; ++k) out.push_back(family->first[k].function);
    return out;
}

std::optional<Program> program_of(std::string_view name, DType dtype) {
    const Definition* found = find_definition(name);
    if (!found || !found->of[size_t(dtype)]) return std::nullopt;
    return found->of[size_t(dtype)]();
}

std::optional<Program> fault_of(std::string_view name, DType dtype) {
    const Definition* found = find_definition(name);
    if (!found || !found->fault[size_t(dtype)]) return std::nullopt;
    return found->fault[size_t(dtype)]();
}
std::optional<Program> of_numbers(std::string_view name, DType dtype) {
    const Definition* found = find_definition(name);
    if (!found || !found->of_numbers[size_t(dtype)]) return std::nullopt;
    return found->of_numbers[size_t(dtype)]();
}

std::optional<uint64_t> identity_of(std::string_view name, DType dtype) {
    const Definition* found = find_definition(name);
    return found ? found->identity[size_t(dtype)] : std::nullopt;
}

uint64_t evaluate(const Program& program, std::span<const uint64_t> operands) {
    return Evaluation(program).run(operands);
}

}  // namespace tenon::scalar
