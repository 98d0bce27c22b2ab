// Conversions between element types, and the 16-bit floats as bits: exact, or correctly rounded to nearest even.
//
// Float to integer truncates, saturates, and makes a NaN 0. Integer to integer wraps. To bool: anything but 0, NaN
// included. f64 becomes f16 or bf16 by way of f32, as runtime/dtype.h and PyTorch have it.
#pragma once
#include "ir/scalar/algebra.h"

namespace tenon::scalar {

// `To` is an algebra element; bool is done by `truth` (a mask) and, from bool, as uint8_t.
template <class To>
struct Cast {
    template <class V>
    static typename V::template With<To> of(V x) {
        using From = Element<V>;
        if constexpr (std::is_same_v<From, To>) {
            return x;
        } else if constexpr (std::is_floating_point_v<From> && std::is_integral_v<To>) {
            return saturate(x);
        } else {
            return convert<To>(x);
        }
    }

private:
    // Bounds are compared, and set, in the integer's width or wider: through a type both sides know.
    template <class V>
    static typename V::template With<To> saturate(V x) {
        using From = Element<V>;
        // Narrow targets go through a wide integer: clamped in floating point, where their bounds are exact.
        using Wide = std::conditional_t<sizeof(To) == 8, int64_t, int32_t>;
        constexpr bool exact = sizeof(To) < sizeof(From) || sizeof(To) < 4;
        constexpr uint64_t top = (uint64_t(1) << (8 * sizeof(To) - std::is_signed_v<To>)) - 1;
        constexpr From lowest = std::is_signed_v<To> ? -From(top) - (exact ? 1 : 0) : From(0);
        V zero = like(x, 0);
        Mask<V> ordered = x == x;
        V number = select(ordered, x, zero);
        if constexpr (exact) {
            V raised = select(number < like(x, lowest), like(x, lowest), number);
            V inside = select(raised > like(x, From(top)), like(x, From(top)), raised);
            return convert<To>(convert<Wide>(inside));
        } else {
            // From(top) rounds up to 2^31 or 2^63, which does not fit; the largest float below it does.
            constexpr From limit = From(top);
            constexpr From largest = sizeof(From) == 4 ? limit * From(1 - 0x1p-24) : limit * From(1 - 0x1p-53);
            V raised = select(number < like(x, -limit), like(x, -limit), number);
            Mask<V> over = raised >= like(x, limit);
            V inside = select(over, like(x, largest), raised);
            auto converted = convert<To>(inside);
            if constexpr (sizeof(To) == sizeof(From)) {
                return select(over, like(converted, To(top)), converted);
            } else {
                // f32 to i64: the mask has lanes of another width, so what is missing to the top is added.
                constexpr int64_t missing = int64_t(top) - int64_t(largest);
                V flag = select(over, like(x, 1), zero);
                auto flags = convert<To>(flag);
                auto gap = flags * like(converted, missing);
                return converted + gap;
            }
        }
    }
};

// ---- 16-bit floats, held as integers ----

// f32 to the bits of bf16 in the low half of an int32: half a unit of the last place kept, and the odd bit, are added.
struct BFloat16FromFloat {
    template <class V>
    static Bits<V> of(V x) {
        Bits<V> x_bits = bits(x);
        Bits<V> odd = shift_right(x_bits, 16);
        odd = odd & like(odd, 1);
        Bits<V> raised = x_bits + like(x_bits, 0x7fff);
        raised = raised + odd;
        Bits<V> quiet = x_bits | like(x_bits, 0x400000);
        Mask<V> unordered = is_nan(x);
        Bits<V> chosen = select(unordered, quiet, raised);
        Bits<V> high = shift_right(chosen, 16);
        return high & like(high, 0xffff);
    }
};

struct FloatFromBFloat16 {
    template <class V>
    static auto of(V half_bits) {
        return float_bits(shift_left(half_bits, 16));
    }
};

// f32 to the bits of f16 in the low half of an int32.
struct HalfFromFloat {
    template <class V>
    static Bits<V> of(V x) {
        Bits<V> x_bits = bits(x);
        Bits<V> sign = shift_right(x_bits, 16);
        sign = sign & like(sign, 0x8000);
        V magnitude = abs(x);
        Bits<V> magnitude_bits = bits(magnitude);
        // Normal: rounded in place, then the exponent's bias changes by 112.
        Bits<V> odd = shift_right(magnitude_bits, 13);
        odd = odd & like(odd, 1);
        Bits<V> rounded = magnitude_bits + like(odd, 0xfff - (112 << 23));
        rounded = rounded + odd;
        Bits<V> normal = shift_right(rounded, 13);
        // Denormal: adding 1/2 leaves a multiple of 2^−24 in the low bits.
        V half = like(x, 0.5f);
        V placed = magnitude + half;
        Bits<V> placed_bits = bits(placed);
        Bits<V> denormal = placed_bits - bits(half);
        Bits<V> result = select(magnitude < like(x, 0x1p-14f), denormal, normal);
        result = select(magnitude >= like(x, 65520.0f), like(result, 0x7c00), result);
        Mask<V> unordered = is_nan(x);
        result = select(unordered, like(result, 0x7e00), result);
        return result | sign;
    }
};

struct FloatFromHalf {
    template <class V>
    static auto of(V half_bits) {
        V magnitude = half_bits & like(half_bits, 0x7fff);
        V moved = shift_left(magnitude, 13);
        V sign = half_bits & like(half_bits, 0x8000);
        sign = shift_left(sign, 16);
        // Multiplying by 2^112 sets the exponent right and makes denormals normal; ∞ and NaN get all exponent bits.
        auto scaled = float_bits(moved) * like_as<float>(half_bits, 0x1p112f);
        V scaled_bits = bits(scaled);
        V special = scaled_bits | like(scaled_bits, 0x7f800000);
        V result = select(magnitude >= like(magnitude, 0x7c00), special, scaled_bits);
        return float_bits(result | sign);
    }
};

}  // namespace tenon::scalar
