// The vector algebra as a record: values are the numbers of steps, operators write down another.
#pragma once
#include <array>
#include <bit>
#include <utility>

#include "ir/scalar/program.h"

namespace tenon::scalar {

class Recorder {
public:
    /// The number of an equal step that stands there already, or of a new one.
    uint16_t step(const Step&);
    Program finish(int arity, uint16_t result) &&;

private:
    std::vector<Step> steps_;
};

// clang-format off
template <class T> inline constexpr Lane lane_for = Lane::f64;
template <> inline constexpr Lane lane_for<float> = Lane::f32;
template <> inline constexpr Lane lane_for<int64_t> = Lane::i64;
template <> inline constexpr Lane lane_for<int32_t> = Lane::i32;
template <> inline constexpr Lane lane_for<int16_t> = Lane::i16;
template <> inline constexpr Lane lane_for<int8_t> = Lane::i8;
template <> inline constexpr Lane lane_for<uint64_t> = Lane::u64;
template <> inline constexpr Lane lane_for<uint32_t> = Lane::u32;
template <> inline constexpr Lane lane_for<uint16_t> = Lane::u16;
template <> inline constexpr Lane lane_for<uint8_t> = Lane::u8;
// clang-format on

struct RecordedMask {
    Recorder* recorder;
    uint16_t at;

    friend RecordedMask operator&(RecordedMask a, RecordedMask b) { return a.made(Code::bit_and, b.at); }
    friend RecordedMask operator|(RecordedMask a, RecordedMask b) { return a.made(Code::bit_or, b.at); }
    friend RecordedMask operator^(RecordedMask a, RecordedMask b) { return a.made(Code::bit_xor, b.at); }
    friend RecordedMask operator!(RecordedMask a) { return a.made(Code::bit_not); }

private:
    RecordedMask made(Code code, uint16_t b = 0) const {
        return {recorder, recorder->step({.code = code, .lane = Lane::mask, .a = at, .b = b})};
    }
};

template <class T>
struct Recorded {
    using Element = T;
    template <class U> using With = Recorded<U>;
    using Mask = RecordedMask;
    static constexpr Lane lane = lane_for<T>;

    Recorder* recorder;
    uint16_t at;

    // clang-format off
    friend Recorded operator+(Recorded a, Recorded b) { return a.made(Code::add, b); }
    friend Recorded operator-(Recorded a, Recorded b) { return a.made(Code::sub, b); }
    friend Recorded operator*(Recorded a, Recorded b) { return a.made(Code::mul, b); }
    friend Recorded operator/(Recorded a, Recorded b) { return a.made(Code::div, b); }
    friend Recorded operator-(Recorded a) { return a.made(Code::neg); }
    friend Recorded operator&(Recorded a, Recorded b) { return a.made(Code::bit_and, b); }
    friend Recorded operator|(Recorded a, Recorded b) { return a.made(Code::bit_or, b); }
    friend Recorded operator^(Recorded a, Recorded b) { return a.made(Code::bit_xor, b); }
    friend Recorded operator~(Recorded a) { return a.made(Code::bit_not); }
    friend Mask operator<(Recorded a, Recorded b) { return a.compared(Code::less, b); }
    friend Mask operator<=(Recorded a, Recorded b) { return a.compared(Code::less_equal, b); }
    friend Mask operator>(Recorded a, Recorded b) { return a.compared(Code::greater, b); }
    friend Mask operator>=(Recorded a, Recorded b) { return a.compared(Code::greater_equal, b); }
    friend Mask operator==(Recorded a, Recorded b) { return a.compared(Code::equal, b); }
    friend Mask operator!=(Recorded a, Recorded b) { return a.compared(Code::not_equal, b); }

    friend Recorded like(Recorded x, T c) { return {x.recorder, constant(*x.recorder, c)}; }
    friend Recorded select(Mask m, Recorded a, Recorded b) { return a.step({.code = Code::select, .lane = lane, .a = m.at, .b = a.at, .c = b.at}); }
    friend Recorded fma(Recorded a, Recorded b, Recorded c) { return a.step({.code = Code::fma, .lane = lane, .a = a.at, .b = b.at, .c = c.at}); }
    friend Recorded sqrt(Recorded a) { return a.made(Code::sqrt); }
    friend Recorded abs(Recorded a) { return a.made(Code::abs); }
    friend Recorded floor(Recorded a) { return a.made(Code::floor); }
    friend Recorded ceil(Recorded a) { return a.made(Code::ceil); }
    friend Recorded trunc(Recorded a) { return a.made(Code::trunc); }
    friend Recorded round_even(Recorded a) { return a.made(Code::round_even); }
    friend Recorded quotient(Recorded a, Recorded b) { return a.made(Code::quotient, b); }
    friend Recorded shift_left(Recorded a, Recorded n) { return a.made(Code::shift_left, n); }
    friend Recorded shift_right(Recorded a, Recorded n) { return a.made(Code::shift_right, n); }
    friend Recorded shift_left(Recorded a, int n) { return shift_left(a, like(a, T(n))); }
    friend Recorded shift_right(Recorded a, int n) { return shift_right(a, like(a, T(n))); }
    friend auto bits(Recorded a) { return a.template as<typename IntegerOf<T>::Type>(Code::bits); }
    friend auto float_bits(Recorded a) { return a.template as<std::conditional_t<sizeof(T) == 4, float, double>>(Code::float_bits); }
    // clang-format on

    template <class U>
    Recorded<U> as(Code code) const {
        return {recorder, recorder->step({.code = code, .lane = lane_for<U>, .a = at})};
    }
    static uint16_t constant(Recorder& recorder, T c) {
        uint64_t bits = 0;
        __builtin_memcpy(&bits, &c, sizeof c);
        return recorder.step({.code = Code::constant, .lane = lane, .bits = bits});
    }
    Recorded step(const Step& s) const { return {recorder, recorder->step(s)}; }

private:
    Recorded made(Code code) const { return step({.code = code, .lane = lane, .a = at}); }
    Recorded made(Code code, Recorded b) const { return step({.code = code, .lane = lane, .a = at, .b = b.at}); }
    Mask compared(Code code, Recorded b) const {
        return {recorder, recorder->step({.code = code, .lane = Lane::mask, .a = at, .b = b.at})};
    }
};

template <class T>
Recorded<T> scaled(Recorded<T> m, Recorded<T> n, Bits<Recorded<T>> biased) {
    return m.step({.code = Code::scaled, .lane = lane_for<T>, .a = m.at, .b = n.at, .c = biased.at});
}

template <class U, class T>
Recorded<U> convert(Recorded<T> x) {
    if constexpr (std::is_same_v<U, T>) return x;
    else return x.template as<U>(Code::convert);
}
template <class U, class T>
Recorded<U> like_as(Recorded<T> x, std::type_identity_t<U> c) {
    return {x.recorder, Recorded<U>::constant(*x.recorder, c)};
}

template <class F, class T, class... X>
Recorded<T> rarely(RecordedMask m, Recorded<T> usual, X... x) {
    const uint16_t operands[2] = {x.at...};
    return usual.step({.code = Code::rarely,
                       .lane = lane_for<T>,
                       .a = m.at,
                       .b = usual.at,
                       .c = operands[0],
                       .d = operands[1],
                       .callee = &F::is});
}
template <class F, class T, class... X>
Recorded<T> apart(Recorded<T> first, X... x) {
    const uint16_t operands[2] = {x.at...};
    return first.step(
        {.code = Code::apart, .lane = lane_for<T>, .a = first.at, .b = operands[0], .callee = &F::is});
}

// ---- the programs of a family ----

/// One function's recorders by dtype; null where it is not defined.
struct Definition {
    const Function* function;
    std::array<Program (*)(), dtype_count> of{}, fault{}, of_numbers{};
    std::array<std::optional<uint64_t>, dtype_count> identity{};  // bits
};
struct Definitions {
    const Definition* first;
    int count;
};

template <class F, class T>
Program record() {
    Recorder recorder;
    const auto parameter = [&](uint16_t k) {
        return Recorded<T>{&recorder, recorder.step({.code = Code::parameter, .lane = lane_for<T>, .bits = k})};
    };
    uint16_t result = 0;
    if constexpr (F::is.is_drawn) {
        const auto a = parameter(0), b = parameter(1), c = parameter(2);
        result = F::of(a, b, c).at;
    } else if constexpr (F::is.arity == 3) {
        const RecordedMask m{&recorder, recorder.step({.code = Code::parameter, .lane = Lane::mask})};
        const auto a = parameter(1), b = parameter(2);
        result = F::of(m, a, b).at;
    } else if constexpr (F::is.arity == 2) {
        const auto a = parameter(0), b = parameter(1);
        result = F::of(a, b).at;
    } else {
        result = F::of(parameter(0)).at;
    }
    return std::move(recorder).finish(F::is.arity, result);
}

// The same of fault(): a definition under another name.
template <class F>
struct FaultOf {
    static constexpr Function is = F::is;
    template <class V> static Mask<V> of(V a, V b) { return F::fault(a, b); }
};

template <class F>
struct OfNumbers {
    static constexpr Function is = F::is;
    template <class V> static V of(V a, V b) { return F::of_numbers(a, b); }
};

template <class T>
constexpr uint64_t bits_of(T value) {
    using Unsigned = std::conditional_t<
        sizeof(T) == 8, uint64_t, std::conditional_t<sizeof(T) == 4, uint32_t, std::conditional_t<sizeof(T) == 2, uint16_t, uint8_t>>>;
    return std::bit_cast<Unsigned>(value);
}

template <class F>
constexpr Definition define() {
    Definition made{&F::is};
    const auto add = [&]<class T>(DType dtype) {
        if constexpr (is_in<T>(F::is.domain)) {
            made.of[size_t(dtype)] = &record<F, T>;
            if constexpr (CanFault<F, Recorded<T>>) made.fault[size_t(dtype)] = &record<FaultOf<F>, T>;
            if constexpr (NaNsWin<F, Recorded<T>>) made.of_numbers[size_t(dtype)] = &record<OfNumbers<F>, T>;
            if constexpr (Folds<F, T>) made.identity[size_t(dtype)] = bits_of(F::template identity<T>);
        }
    };
    add.template operator()<double>(DType::f64);
    for (DType narrow : {DType::f32, DType::f16, DType::bf16}) add.template operator()<float>(narrow);
    add.template operator()<int64_t>(DType::i64);
    add.template operator()<int32_t>(DType::i32);
    add.template operator()<int16_t>(DType::i16);
    add.template operator()<int8_t>(DType::i8);
    add.template operator()<uint8_t>(DType::u8);
    if constexpr (F::is.domain == all || F::is.domain == integral) {
        made.of[size_t(DType::boolean)] = &record<typename BoolDefinition<F>::Type, uint8_t>;
        if constexpr (Folds<F, uint8_t>) made.identity[size_t(DType::boolean)] = F::template identity<uint8_t> != 0;
    }
    return made;
}

template <class... F>
constexpr auto define(Functions<F...>) {
    return std::array<Definition, sizeof...(F)>{define<F>()...};
}

// The table of a family, which is defined in a file of its own.
#define TENON_PROGRAMS(family)                                      \
    static constexpr auto family##_definitions = define(family);    \
    extern const Definitions family##_programs;                     \
    const Definitions family##_programs = {family##_definitions.data(), int(family##_definitions.size())};

}  // namespace tenon::scalar
