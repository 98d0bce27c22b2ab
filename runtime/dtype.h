// Element types: their names, their promotion, and the one definition of every conversion between them.
#pragma once

#include <bit>
#include <cassert>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>

namespace tenon {

enum class DType : uint8_t { f64, f32, f16, bf16, i64, i32, i16, i8, u8, boolean };
inline constexpr int dtype_count = 10;

constexpr bool is_float(DType d) { return d <= DType::bf16; }
/// Integers proper: bool is no number.
constexpr bool is_integer(DType d) { return d >= DType::i64 && d <= DType::u8; }
constexpr bool is_signed(DType d) { return d <= DType::i8; }

/// Bytes per element.
constexpr size_t size_of(DType d) {
    constexpr uint8_t sizes[dtype_count] = {8, 4, 2, 2, 8, 4, 2, 1, 1, 1};
    return sizes[static_cast<size_t>(d)];
}

/// As scripts spell it: "f32", "bool".
constexpr std::string_view name_of(DType d) {
    constexpr std::string_view names[dtype_count] = {"f64", "f32", "f16", "bf16", "i64",
                                                     "i32", "i16", "i8",  "u8",   "bool"};
    return names[static_cast<size_t>(d)];
}
std::optional<DType> dtype_from_name(std::string_view name);

/// The dtype of an op on two tensors of rank above zero (PyTorch's table): floats win over integers, integers over
/// bool; f16 with bf16 is f32; u8 with a signed integer is the signed type that holds both.
constexpr DType promote(DType a, DType b) {
    if (a == b || b == DType::boolean) return a;
    if (a == DType::boolean) return b;
    if (is_float(a) != is_float(b)) return is_float(a) ? a : b;
    if (is_float(a)) return size_of(a) == size_of(b) ? DType::f32 : (size_of(a) > size_of(b) ? a : b);
    if (a != DType::u8 && b != DType::u8) return size_of(a) > size_of(b) ? a : b;
    DType other = a == DType::u8 ? b : a;
    return other == DType::i8 ? DType::i16 : other;
}

/// The same for an operand that counts less: a 0-dim tensor beside one of higher rank, or a host number beside a
/// tensor (an int is i64, a float f32). It changes the dtype only where its category, bool < integer < float, is
/// higher.
constexpr DType promote_weak(DType strong, DType weak) {
    auto category = [](DType d) { return is_float(d) ? 2 : is_integer(d) ? 1 : 0; };
    return category(weak) > category(strong) ? promote(strong, weak) : strong;
}

/// IEEE binary16.
struct Half {
    uint16_t bits = 0;

    Half() = default;
    explicit constexpr Half(float value) : bits(round(value)) {}
    static constexpr Half from_bits(uint16_t bits) {
        Half h;
        h.bits = bits;
        return h;
    }
    constexpr operator float() const { return widen(bits); }

private:
    static constexpr uint16_t round(float value);
    static constexpr float widen(uint16_t bits);
};

/// The upper half of an IEEE binary32.
struct BFloat16 {
    uint16_t bits = 0;

    BFloat16() = default;
    explicit constexpr BFloat16(float value) : bits(round(value)) {}
    static constexpr BFloat16 from_bits(uint16_t bits) {
        BFloat16 b;
        b.bits = bits;
        return b;
    }
    constexpr operator float() const { return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16); }

private:
    // Nearest, ties to even: add half a unit of the last place kept, and the odd bit. NaN keeps its sign and payload.
    static constexpr uint16_t round(float value) {
        uint32_t x = std::bit_cast<uint32_t>(value);
        if ((x & 0x7fffffffu) > 0x7f800000u) return static_cast<uint16_t>((x >> 16) | 0x0040u);
        return static_cast<uint16_t>((x + 0x7fffu + ((x >> 16) & 1u)) >> 16);
    }
};

constexpr uint16_t Half::round(float value) {
#ifdef __F16C__
    if (!std::is_constant_evaluated()) {
        using Four [[gnu::vector_size(16)]] = float;  // as _cvtss_sh, whose header would cost each file a second
        constexpr int nearest = 0;
        return static_cast<uint16_t>(__builtin_ia32_vcvtps2ph(Four{value}, nearest)[0]);
    }
#endif
    uint32_t x = std::bit_cast<uint32_t>(value);
    uint32_t sign = (x >> 16) & 0x8000u;
    x &= 0x7fffffffu;
    if (x > 0x7f800000u) return static_cast<uint16_t>(sign | 0x7e00u | ((x >> 13) & 0x3ffu));
    if (x >= 0x477ff000u) return static_cast<uint16_t>(sign | 0x7c00u);  // from 65520 up: infinity
    if (x < 0x33000000u) return static_cast<uint16_t>(sign);             // below 2^-25: zero
    if (x < 0x38800000u) {                                               // below 2^-14: a denormal, in units of 2^-24
        uint32_t mantissa = (x & 0x7fffffu) | 0x800000u;
        uint32_t shift = 126u - (x >> 23);
        uint32_t kept = mantissa >> shift, rest = mantissa & ((1u << shift) - 1), half = 1u << (shift - 1);
        return static_cast<uint16_t>(sign | (kept + (rest > half || (rest == half && (kept & 1u)))));
    }
    x += 0xfffu + ((x >> 13) & 1u);
    return static_cast<uint16_t>(sign | ((x - 0x38000000u) >> 13));
}

constexpr float Half::widen(uint16_t bits) {
#ifdef __F16C__
    if (!std::is_constant_evaluated()) {
        using Eight [[gnu::vector_size(16)]] = short;
        return __builtin_ia32_vcvtph2ps(Eight{static_cast<short>(bits)})[0];
    }
#endif
    uint32_t sign = (bits & 0x8000u) << 16, exponent = (bits >> 10) & 0x1fu, mantissa = bits & 0x3ffu;
    if (exponent == 0) {  // ± mantissa · 2^-24, exact in f32
        float magnitude = static_cast<float>(mantissa) * 0x1p-24f;
        return std::bit_cast<float>(std::bit_cast<uint32_t>(magnitude) | sign);
    }
    if (exponent == 31) return std::bit_cast<float>(sign | 0x7f800000u | (mantissa ? 0x400000u | (mantissa << 13) : 0));
    return std::bit_cast<float>(sign | ((exponent + 112u) << 23) | (mantissa << 13));
}

namespace detail {
template <class T> struct DTypeOf;
template <> struct DTypeOf<double> {
    static constexpr DType value = DType::f64;
};
template <> struct DTypeOf<float> {
    static constexpr DType value = DType::f32;
};
template <> struct DTypeOf<Half> {
    static constexpr DType value = DType::f16;
};
template <> struct DTypeOf<BFloat16> {
    static constexpr DType value = DType::bf16;
};
template <> struct DTypeOf<int64_t> {
    static constexpr DType value = DType::i64;
};
template <> struct DTypeOf<int32_t> {
    static constexpr DType value = DType::i32;
};
template <> struct DTypeOf<int16_t> {
    static constexpr DType value = DType::i16;
};
template <> struct DTypeOf<int8_t> {
    static constexpr DType value = DType::i8;
};
template <> struct DTypeOf<uint8_t> {
    static constexpr DType value = DType::u8;
};
template <> struct DTypeOf<bool> {
    static constexpr DType value = DType::boolean;
};
}  // namespace detail

/// The DType of a C++ element type.
template <class T> inline constexpr DType dtype_of = detail::DTypeOf<T>::value;

/// Calls `visitor.operator()<T>()` with the C++ type of `d`: visit_dtype(d, []<class T>() { … }).
template <class Visitor> decltype(auto) visit_dtype(DType d, Visitor&& visitor) {
    switch (d) {
        case DType::f64: return visitor.template operator()<double>();
        case DType::f32: return visitor.template operator()<float>();
        case DType::f16: return visitor.template operator()<Half>();
        case DType::bf16: return visitor.template operator()<BFloat16>();
        case DType::i64: return visitor.template operator()<int64_t>();
        case DType::i32: return visitor.template operator()<int32_t>();
        case DType::i16: return visitor.template operator()<int16_t>();
        case DType::i8: return visitor.template operator()<int8_t>();
        case DType::u8: return visitor.template operator()<uint8_t>();
        case DType::boolean: break;
    }
    return visitor.template operator()<bool>();
}

/// The meaning of every cast, on all engines. To bool: is it not zero (NaN is true). Float to integer: towards zero,
/// saturating, NaN to 0. Integer to integer: modulo 2^bits. To f16 and bf16: rounded to f32 first (f64, i32, i64), then
/// once more, as in PyTorch. All roundings are to nearest, ties to even.
template <class To, class From> constexpr To convert(From value) {
    constexpr bool small_from = std::is_same_v<From, Half> || std::is_same_v<From, BFloat16>;
    constexpr bool small_to = std::is_same_v<To, Half> || std::is_same_v<To, BFloat16>;
    if constexpr (std::is_same_v<To, From>) {
        return value;
    } else if constexpr (small_from) {
        return convert<To>(static_cast<float>(value));
    } else if constexpr (std::is_same_v<To, bool>) {
        return value != From{0};
    } else if constexpr (small_to) {
        return To(static_cast<float>(value));
    } else if constexpr (std::is_floating_point_v<From> && std::is_integral_v<To>) {
        // 2^bits is a power of two, so exact in any float; the largest To may not be.
        constexpr From low = static_cast<From>(std::numeric_limits<To>::min());
        constexpr From beyond = static_cast<From>(std::numeric_limits<To>::max() / 2 + 1) * From{2};
        if (value != value) return To{0};
        if (value < low) return std::numeric_limits<To>::min();
        if (value >= beyond) return std::numeric_limits<To>::max();
        return static_cast<To>(value);
    } else {
        return static_cast<To>(value);
    }
}

}  // namespace tenon
