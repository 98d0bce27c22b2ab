// Logarithms and powers. Polynomials are minimax fits; Horner's rule with one fma a step.
#pragma once
#include "ir/scalar/exponential.h"

namespace tenon::scalar {

// ---- log x = n·ln 2 + log m, m in [√½, √2) ----

template <class V>
struct Mantissa {
    V exponent;  // n, as a float
    V value;     // m
};

// Of a positive finite x, denormals included.
template <class V>
inline Mantissa<V> split_exponent(V x) {
    using T = Element<V>;
    using F = Format<T>;
    using U = std::make_unsigned_t<Element<Bits<V>>>;
    constexpr T up = is_single<V> ? T(0x1p23) : T(0x1p52);
    Mask<V> denormal = x < like(x, F::smallest_normal);
    V enlarged = x * like(x, up);
    V normal = select(denormal, enlarged, x);
    V correction = select(denormal, like(x, T(F::bias + F::fraction_bits)), like(x, T(F::bias)));
    Bits<V> normal_bits = bits(normal);
    Bits<V> one_bits = bits(like(x, 1));
    Bits<V> root_bits = bits(like(x, T(0x1.6a09e667f3bcdp-1)));  // √½
    Bits<V> one_over_root = one_bits - root_bits;
    Bits<V> shifted = normal_bits + one_over_root;
    Bits<V> biased = convert<Element<Bits<V>>>(shift_right(convert<U>(shifted), F::fraction_bits));
    // n + bias becomes a float as the low bits of 2^23 (2^52).
    V whole = like(x, F::integer_from);
    Bits<V> whole_bits = bits(whole);
    V placed = float_bits(whole_bits | biased);
    V exponent = placed - whole;
    exponent = exponent - correction;
    Bits<V> fraction = shifted & like(shifted, (Element<Bits<V>>(1) << F::fraction_bits) - 1);
    V m = float_bits(fraction + root_bits);
    return {exponent, m};
}

// The ends of a logarithm: NaN below 0, −∞ at 0, +∞ at +∞. `zero` is where the argument vanishes.
template <class V>
inline V finish_logarithm(V x, V result, Element<V> zero) {
    V pole = like(x, zero);
    V ends = select(x == infinity(x), x, result);
    ends = select(x == pole, -infinity(x), ends);
    ends = select(x < pole, nan(x), ends);
    return select(x != x, x, ends);
}

template <class T> struct Logarithm;
template <> struct Logarithm<float> {
    // (log(1 + f) − f + f²/2) / f³
    static constexpr float direct[] = {0x1.555546p-2f,  -0x1.ffffecp-3f, 0x1.99a57ep-3f,
                                       -0x1.556382p-3f, 0x1.232e38p-3f,  -0x1.fb26f2p-4f,
                                       0x1.e67db6p-4f,  -0x1.e3acfp-4f,  0x1.1bc544p-4f};
    static constexpr float ln2_high = 0x1.62e4p-1f, ln2_low = 0x1.7f7d1cp-20f;  // n·ln2_high is exact
};
template <> struct Logarithm<double> {
    // (log((1 + s) / (1 − s)) − 2s) / s³ in s²
    static constexpr double odd[] = {0x1.5555555555555p-1, 0x1.9999999999e1ep-2, 0x1.2492492428ce3p-2,
                                     0x1.c71c725be32c4p-3, 0x1.745cdd4cbabf3p-3, 0x1.3b20d386da85ep-3,
                                     0x1.0f593fab992c7p-3, 0x1.0f835fa230351p-3};
    static constexpr double ln2_high = 0x1.62e42feep-1, ln2_low = 0x1.a39ef35793c76p-33;
    // log((1 + s) / (1 − s)) / s in s², to 2^−52: what f32 needs of an f64
    static constexpr double brief[] = {0x1.0000000000001p+1, 0x1.5555555552becp-1, 0x1.999999a480b71p-2,
                                       0x1.24924089b4225p-2, 0x1.c722e6d5c49b7p-3, 0x1.731fd7099cd75p-3,
                                       0x1.58fdad8eed523p-3};
    // The same of log2, and of 2^r.
    static constexpr double brief2[] = {0x1.71547652b82ffp+1, 0x1.ec709dc39c83fp-1, 0x1.2776c516d71d1p-1,
                                        0x1.a617563d9cec9p-2, 0x1.484fbc4582c9ap-2, 0x1.0bb5ab780147cp-2,
                                        0x1.f1b779dc5e71ap-3};
    static constexpr double brief_exp2[] = {0x1.62e42fefa37ccp-1,  0x1.ebfbdff81bbe4p-3,  0x1.c6b08d70c9606p-5,
                                            0x1.3b2ab72450f50p-7,  0x1.5d87fd927687bp-10, 0x1.43089773edecbp-13,
                                            0x1.ffce311a339fdp-17, 0x1.63e72e8691f2fp-20, 0x1.b3de65100e18ep-24};
};

// n·ln 2 + log(1 + f) + c for f in [√½ − 1, √2 − 1] and a small correction c.
template <class V>
inline V assemble_logarithm(V n, V f, V c) {
    using T = Element<V>;
    using C = Logarithm<T>;
    V half = like(f, T(0.5));
    V square = f * f;
    V half_square = half * square;
    V low = fma(n, like(n, C::ln2_low), c);
    V tail;
    if constexpr (is_single<V>) {
        V p = polynomial(f, C::direct);
        V cube = square * f;
        tail = fma(cube, p, low);
    } else {
        // log(1 + f) = f − f²/2 + s·(f²/2 + R), s = f / (2 + f), R = s²·P(s²)
        V two = like(f, 2);
        V s = f / (two + f);
        V z = s * s;
        V p = polynomial(z, C::odd);
        V r = fma(z, p, half_square);
        tail = fma(s, r, low);
    }
    V near = tail - half_square;
    V small = f + near;
    return fma(n, like(n, C::ln2_high), small);
}

struct Log {
    static constexpr Function is = unary("log", floats).within(1, 1);
    template <class V>
    static V of(V x) {
        auto parts = split_exponent(x);
        V f = parts.value - like(x, 1);
        V result = assemble_logarithm(parts.exponent, f, like(x, 0));
        return finish_logarithm(x, result, 0);
    }
};

// log(1 + x): u = 1 + x rounds, by what the first-order correction (x − (u − 1)) / u makes good; near 0, f is x itself.
struct Log1p {
    static constexpr Function is = unary("log1p", floats).within(1, 2).through_f64();
    template <class V>
    static V of(V x) {
        if constexpr (is_single<V>) {
            return through_double(x);
        } else {
            V zero = like(x, 0);
            V one = like(x, 1);
            V u = one + x;
            auto parts = split_exponent(u);
            Mask<V> near = parts.exponent == zero;
            V back = u - one;
            V lost_small = x - back;
            V whole = u - x;
            V lost_large = one - whole;
            V lost = select(x < one, lost_small, lost_large);
            V relative = lost / u;
            V correction = select(near, zero, relative);
            V reduced = parts.value - one;
            V f = select(near, x, reduced);
            V result = assemble_logarithm(parts.exponent, f, correction);
            result = select(x == zero, x, result);  // −0 stays
            return finish_logarithm(x, result, -1);
        }
    }

private:
    // In f64, 1 + x is exact wherever its exponent is not 0.
    template <class V>
    static V through_double(V x) {
        using C = Logarithm<double>;
        auto wide = convert<double>(x);
        auto one = like(wide, 1);
        auto zero = like(wide, 0);
        auto u = one + wide;
        auto parts = split_exponent(u);
        auto reduced = parts.value - one;
        auto f = select(parts.exponent == zero, wide, reduced);
        auto s = f / (f + like(wide, 2));
        auto z = s * s;
        auto p = polynomial(z, C::brief);
        auto product = s * p;
        auto sum = fma(parts.exponent, like(wide, 0x1.62e42fefa39efp-1), product);
        V result = convert<float>(sum);
        result = select(x == like(x, 0), x, result);
        return finish_logarithm(x, result, -1);
    }
};

// log2 of a positive finite f64 as an unevaluated sum, to about 2^−64 relatively.
template <class V>
struct ExtendedLog2 {
    V high, low;

    // log2((1 + s) / (1 − s)) = s·(a + s²·(b + s²·P(s²))), a = 2 / ln 2, b = 2 / (3 ln 2); s, s², and what is left of
    // P's product are double-double.
    static ExtendedLog2 of(V x) {
        static constexpr double rest[] = {0x1.2776c50ef9bfbp-1, 0x1.a61762a7af01dp-2, 0x1.484b13d68fab8p-2,
                                          0x1.0c9a85475715bp-2, 0x1.c68ee369bc19dp-3, 0x1.8a0a8a44ce524p-3,
                                          0x1.58ed4ab4f3f1dp-3, 0x1.626a0c3d1c40ap-3};
        V a_high = like(x, 0x1.71547652b82fep+1);
        V a_low = like(x, 0x1.777d0ffda0d24p-55);
        V b_high = like(x, 0x1.ec709dc3a03fdp-1);
        V b_low = like(x, 0x1.d27f05548af0cp-55);
        V one = like(x, 1);
        auto parts = split_exponent(x);
        V m = parts.value;

        V f = m - one;  // exact
        V g_high = m + one;
        V g_back = g_high - one;
        V g_low = m - g_back;  // exact
        V s_high = f / g_high;
        V s_rest = fma(-s_high, g_high, f);
        s_rest = fma(-s_high, g_low, s_rest);
        V s_low = s_rest / g_high;

        V z_high = s_high * s_high;
        V z_low = fma(s_high, s_high, -z_high);
        V twice = s_high + s_high;
        z_low = fma(twice, s_low, z_low);

        V p = polynomial(z_high, rest);
        V u = z_high * p;
        V c_high = b_high + u;
        V c_back = b_high - c_high;
        V c_low = c_back + u;
        c_low = c_low + b_low;

        V d_high = z_high * c_high;
        V d_low = fma(z_high, c_high, -d_high);
        d_low = fma(z_high, c_low, d_low);
        d_low = fma(z_low, c_high, d_low);

        V t_high = a_high + d_high;
        V t_back = a_high - t_high;
        V t_low = t_back + d_high;
        V t_small = d_low + a_low;
        t_low = t_low + t_small;

        V l_high = s_high * t_high;
        V l_low = fma(s_high, t_high, -l_high);
        l_low = fma(s_high, t_low, l_low);
        l_low = fma(s_low, t_high, l_low);

        V n = parts.exponent;  // 0, or larger than l_high
        V sum = n + l_high;
        V sum_back = n - sum;
        V left = sum_back + l_high;
        V low = left + l_low;
        V high = sum + low;  // normalised, for the multiplication to come
        V high_back = sum - high;
        return {high, high_back + low};
    }
};

// log2 of a positive finite f32, held in f64, to about 2^−51 relatively.
template <class V>
inline V brief_log2(V x) {
    using C = Logarithm<double>;
    V one = like(x, 1);
    auto parts = split_exponent(x);
    V f = parts.value - one;
    V g = parts.value + one;
    V s = f / g;
    V z = s * s;
    V p = polynomial(z, C::brief2);
    return fma(s, p, parts.exponent);
}

struct Log2 {
    static constexpr Function is = unary("log2", floats).within(1, 1).through_f64();
    template <class V>
    static V of(V x) {
        if constexpr (is_single<V>) {
            auto wide = brief_log2(convert<double>(x));
            V result = convert<float>(wide);
            return finish_logarithm(x, result, 0);
        } else {
            auto result = ExtendedLog2<V>::of(x);
            return finish_logarithm(x, result.high, 0);
        }
    }
};

// x^y of integers.
struct IntegerPower {
    static constexpr Function is = binary("integer_power", integers).large().helper();

    // By repeated squaring, wrapping. 1 / x^|y| for negative y is 1 or −1 where |x| is 1, else 0.
    template <class V>
    static V of(V x, V y) {
        V zero = like(x, 0);
        V one = like(x, 1);
        V power = one;
        V square = x;
        for (int bit = 0; bit < width_of<V>; ++bit) {
            V digit = y & like(y, Element<V>(std::make_unsigned_t<Element<V>>(1) << bit));
            V product = power * square;
            power = select(digit != zero, product, power);
            square = square * square;
        }
        if constexpr (is_unsigned<V>) {
            return power;
        } else {
            V parity = y & one;
            Mask<V> odd = parity != zero;
            Mask<V> minus_one = x == like(x, -1);
            V sign = select(odd, x, one);
            V inverse = select(minus_one, sign, zero);
            inverse = select(x == one, one, inverse);
            return select(y < zero, inverse, power);
        }
    }
};

// ---- x^y = 2^(y · log2 |x|), with IEEE's pow for its special cases ----

struct Pow {
    static constexpr Function is = binary("pow", numbers).within(1, 1).through_f64().large();
    template <class V>
    static V of(V x, V y) {
        if constexpr (!is_float<V>) {
            return apart<IntegerPower>(x, y);
        } else {
            V zero = like(x, 0);
            V one = like(x, 1);
            V base = abs(x);
            V magnitude = [&] {
                if constexpr (is_single<V>) {
                    return through_double(base, y);
                } else {
                    return extended(base, y);
                }
            }();
            // Odd integers keep the sign of x; a negative finite x has no other real power.
            V whole = trunc(y);
            V half = y * like(y, Element<V>(0.5));
            V half_whole = trunc(half);
            Mask<V> is_whole = whole == y;
            Mask<V> is_odd = half_whole != half;
            is_odd = is_odd & is_whole;
            V negated = -magnitude;
            Mask<V> flip = sign_bit_set(x);
            flip = flip & is_odd;
            V result = select(flip, negated, magnitude);
            Mask<V> imaginary = x < zero;
            Mask<V> finite = base < infinity(x);
            imaginary = imaginary & finite;
            imaginary = imaginary & !is_whole;
            result = select(imaginary, nan(x), result);
            // (−1)^±∞ is 1; so is 1^y and x^0 even beside a NaN.
            Mask<V> unit = base == one;
            Mask<V> endless = abs(y) == infinity(y);
            unit = unit & endless;
            Mask<V> base_one = x == one;
            unit = unit | base_one;
            Mask<V> no_power = y == zero;
            unit = unit | no_power;
            return select(unit, one, result);
        }
    }

private:
    // log2 of 0 and ∞, which the splitting does not know.
    template <class V>
    static V with_ends(V base, V logarithm) {
        V result = select(base == like(base, 0), -infinity(base), logarithm);
        result = select(base == infinity(base), base, result);
        return select(base != base, base, result);
    }

    template <class V>
    static V through_double(V base, V y) {
        auto wide = convert<double>(base);
        auto logarithm = brief_log2(wide);
        logarithm = with_ends(wide, logarithm);
        auto exponent = convert<double>(y) * logarithm;
        auto inside = clamp(exponent, -160.0, 130.0);
        auto n = split_integer(inside);
        auto r = inside - n.whole;
        auto p = polynomial(r, Logarithm<double>::brief_exp2);
        auto mantissa = fma(p, r, like(wide, 1));
        auto factor = float_bits(shift_left(n.biased, Format<double>::fraction_bits));
        return convert<float>(mantissa * factor);  // rounds once, denormals too
    }

    template <class V>
    static V extended(V base, V y) {
        auto logarithm = ExtendedLog2<V>::of(base);
        V high = with_ends(base, logarithm.high);
        V exponent = y * high;
        V inside = clamp(exponent, Exponential<double>::lowest2, Exponential<double>::highest2);
        V low = fma(y, high, -exponent);
        low = fma(y, logarithm.low, low);
        low = select(exponent == inside, low, like(low, 0));
        auto n = split_integer(inside);
        V r_high = inside - n.whole;
        V r = r_high + low;
        V p = polynomial(r, Exponential<double>::binary);
        V mantissa = fma(p, r, like(r, 1));
        return scale(mantissa, n);
    }
};

inline constexpr Functions<Log, Log2, Log1p, Pow, IntegerPower> logarithm;

}  // namespace tenon::scalar
