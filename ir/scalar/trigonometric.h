// Trigonometric functions and their inverses, for every finite argument.
#pragma once
#include "ir/scalar/exponential.h"

namespace tenon::scalar {

// ---- x = number · π/2 + rest, |rest| ≤ π/4; number modulo 4 ----

template <class V>
struct Quadrant {
    V rest;
    Bits<V> number;
};

template <class T> struct Circle;
template <> struct Circle<float> {
    static constexpr float two_over_pi = 0x1.45f306p-1f;
    static constexpr float near_end = 1e5f;  // where three parts of π/2 still reduce exactly enough
    static constexpr float half_pi[] = {0x1.921fb6p+0f, -0x1.777a5cp-25f, -0x1.ee59dap-50f};
    static constexpr float sine[] = {-0x1.555556p-3f, 0x1.111108p-7f, -0x1.a00f94p-13f, 0x1.6cd5e4p-19f};
    static constexpr float cosine[] = {0x1.55554ap-5f, -0x1.6c0c82p-10f, 0x1.99ff4p-16f};
    static constexpr float arcsine[] = {0x1.55554cp-3f, 0x1.333892p-4f, 0x1.6cabbp-5f,
                                        0x1.04ab3p-5f,  0x1.d7a502p-7f, 0x1.33d82ap-5f};
    static constexpr float arctangent[] = {-0x1.55554cp-2f, 0x1.9991dap-3f, -0x1.23b102p-3f, 0x1.b1584cp-4f,
                                           -0x1.eddc6ap-5f};
};
template <> struct Circle<double> {
    static constexpr double two_over_pi = 0x1.45f306dc9c883p-1;
    static constexpr double near_end = 0x1p26;
    static constexpr double half_pi[] = {0x1.921fb54442d18p+0, 0x1.1a62633145c07p-54, -0x1.f1976b7ed8fbcp-110};
    static constexpr double sine[] = {-0x1.5555555555555p-3, 0x1.111111111110cp-7,   -0x1.a01a01a018c41p-13,
                                      0x1.71de3a534054fp-19, -0x1.ae64528d5294dp-26, 0x1.6120827b27c3ap-33,
                                      -0x1.aa99d5666b9cap-41};
    static constexpr double cosine[] = {0x1.555555555554cp-5,   -0x1.6c16c16c15140p-10, 0x1.a01a019cab714p-16,
                                        -0x1.27e4f80531162p-22, 0x1.1ee9e88ea87b1p-29,  -0x1.8facd02e518afp-37};
    static constexpr double arcsine[] = {
        0x1.5555555555562p-3, 0x1.333333333075cp-4,  0x1.6db6db7095bdap-5, 0x1.f1c71b0ac3557p-6, 0x1.6e8bd458e604ap-6,
        0x1.1c4a8683616dfp-6, 0x1.ca14bd59742e1p-7,  0x1.75c65214f3a2dp-7, 0x1.6047eacaa84d1p-7, 0x1.ee25068e0cc9cp-9,
        0x1.62d3886d20a95p-6, -0x1.590c49229ce5ap-6, 0x1.0c37de51d10c0p-5};
    static constexpr double arctangent[] = {-0x1.5555555555554p-2, 0x1.999999999964ap-3,  -0x1.249249247557ap-3,
                                            0x1.c71c71b73b18bp-4,  -0x1.745d14b711436p-4, 0x1.3b136de853f65p-4,
                                            -0x1.110c6e5a81b63p-4, 0x1.e171a15e9ed38p-5,  -0x1.ab7af572407eap-5,
                                            0x1.70e25d406c64ap-5,  -0x1.121d248b9c659p-5, 0x1.f17856b12f37ep-7};
};

// Cody and Waite: x minus a small multiple of π/2 in three parts. The first step is exact, since both sides are
// multiples of the last bit of π/2's first part and the difference is below 1.
template <class V>
inline Quadrant<V> reduce_near(V x) {
    using T = Element<V>;
    using C = Circle<T>;
    V scaled = x * like(x, C::two_over_pi);
    auto n = split_integer(scaled);
    V negated = -n.whole;
    V rest = fma(negated, like(x, C::half_pi[0]), x);
    rest = fma(negated, like(x, C::half_pi[1]), rest);
    rest = fma(negated, like(x, C::half_pi[2]), rest);
    return {rest, n.biased - like(n.biased, Format<T>::bias)};
}

// Payne and Hanek: |x| = M · 2^e with a 53-bit integer M. The product of M with those 224 bits of 2/π that neither
// vanish modulo 4 nor are too small to matter, in limbs of 32 bits, is number + rest in units of π/2. For |x| between
// 2^(22 − 32·leading) and 2^(32·(2^steps − leading) + 22): `leading` limbs of zeros stand before the binary point.
template <class V, int leading, int steps>
struct FarReduction {
    using I = Bits<V>;
    static constexpr int64_t limb_mask = 0xffffffff;
    static constexpr int used = 7;  // limbs of 2/π in a product

    static Quadrant<V> of(V x) {
        I x_bits = bits(x);
        I magnitude = x_bits & like(x_bits, INT64_MAX);
        I biased = shift_right(magnitude, 52);
        I fraction = x_bits & like(x_bits, (int64_t(1) << 52) - 1);
        I mantissa = fraction | like(x_bits, int64_t(1) << 52);
        // e − 2 + 32·leading: its upper part is the first limb that matters, its lower part what is left to shift.
        I position = biased - like(biased, 1075 + 2 - 32 * leading);
        I shift = position & like(position, 31);
        I limbs[used];
        multiply(mantissa, position, limbs);

        // The binary point goes two bits below the top of the 128 bits kept.
        I top_high = shifted(limbs[6], limbs[5], shift);
        I top_low = shifted(limbs[5], limbs[4], shift);
        I next_high = shifted(limbs[4], limbs[3], shift);
        I next_low = shifted(limbs[3], limbs[2], shift);
        I top = join(top_high, top_low);
        I next = join(next_high, next_low);
        I fraction_high = shift_left(top, 2);
        I carried = logical_right(next, 62);
        fraction_high = fraction_high | carried;  // signed: a fraction above 1/2 counts from the next quadrant
        I fraction_low = shift_left(next, 2);
        I negative = shift_right(fraction_high, 63);  // 0 or −1
        I number = logical_right(top, 62);
        number = number - negative;

        I high = fraction_high ^ negative;
        I low = fraction_low ^ negative;
        V rest = to_angle(high, low);
        // The signs of the fraction and of x.
        I sign = negative ^ x_bits;
        sign = sign & like(sign, INT64_MIN);
        I rest_bits = bits(rest);
        rest_bits = rest_bits ^ sign;
        I x_sign = shift_right(x_bits, 63);
        number = number ^ x_sign;  // −n is ~n + 1
        V signed_rest = float_bits(rest_bits);
        return {signed_rest, number - x_sign};
    }

private:
    static I logical_right(I x, int n) { return convert<int64_t>(shift_right(convert<uint64_t>(x), n)); }

    static I join(I high, I low) {
        I raised = shift_left(high, 32);
        return raised | low;
    }
    static I shifted(I high, I low, I count) {
        I both = join(high, low);
        I moved = shift_left(both, count);
        return logical_right(moved, 32);
    }

    // The low `used` limbs of the mantissa times as many limbs of 2/π, least significant first.
    static void multiply(I mantissa, I position, I (&result)[used]) {
        I digits[used];
        select_limbs(position, digits);
        I mask = like(mantissa, limb_mask);
        I low = mantissa & mask;
        I high = logical_right(mantissa, 32);
        I zero = like(mantissa, 0);
        I carry = zero, low_before = zero, high_before = zero, high_second = zero;  // products of the limbs before
        for (int p = 0; p < used; ++p) {
            I low_product = low * digits[used - 1 - p];
            I high_product = high * digits[used - 1 - p];
            I sum = low_product & mask;
            I part = logical_right(low_before, 32);
            sum = sum + part;
            part = high_before & mask;
            sum = sum + part;
            part = logical_right(high_second, 32);
            sum = sum + part;
            sum = sum + carry;
            result[p] = sum & mask;
            carry = logical_right(sum, 32);
            low_before = low_product;
            high_second = high_before;
            high_before = high_product;
        }
    }

    // Seven limbs from number position / 32 on: the table shifted by 2^k limbs where bit k of that number is set.
    static void select_limbs(I position, I (&digits)[used]) {
        // 2/π after the binary point.
        static constexpr uint32_t two_over_pi[] = {
            0xa2f9836e, 0x4e441529, 0xfc2757d1, 0xf534ddc0, 0xdb629599, 0x3c439041, 0xfe5163ab, 0xdebbc561,
            0xb7246e3a, 0x424dd2e0, 0x06492eea, 0x09d1921c, 0xfe1deb1c, 0xb129a73e, 0xe88235f5, 0x2ebb4484,
            0xe99c7026, 0xb45f7e41, 0x3991d639, 0x835339f4, 0x9c845f8b, 0xbdf9283b, 0x1ff897ff, 0xde05980f,
            0xef2f118b, 0x5a0a6d1f, 0x6d367ecf, 0x27cb09b7, 0x4f463f66, 0x9e5fea2d, 0x7527bac7, 0xebe5f17b,
            0x3d0739f7, 0x8a5292ea, 0x6bfb5fb1, 0x1f8d5d08, 0x56033046, 0xfc7b6bab};
        constexpr int count = (1 << steps) + used - 1;
        static_assert(count - leading <= int(sizeof(two_over_pi) / sizeof(two_over_pi[0])));
        I window[count];
        for (int i = 0; i < count; ++i) window[i] = like(position, i < leading ? 0 : int64_t(two_over_pi[i - leading]));
        int left = count;
        for (int step = steps - 1; step >= 0; --step) {
            int moved = 1 << step;
            left -= moved;
            I bit = position & like(position, int64_t(32) << step);
            Mask<I> move = bit != like(position, 0);
            for (int i = 0; i < left; ++i) window[i] = select(move, window[i + moved], window[i]);
        }
        for (int i = 0; i < used; ++i) digits[i] = window[i];
    }

    // (high · 2^−64 + low · 2^−128) · π/2, high ≥ 0 and low unsigned, rounded once or nearly so.
    static V to_angle(I high, I low) {
        constexpr int64_t tail_mask = 0x7ff;
        I head_bits = high & like(high, ~tail_mask);
        I tail_bits = high & like(high, tail_mask);
        tail_bits = shift_left(tail_bits, 52);
        I rest_bits = logical_right(low, 12);
        tail_bits = tail_bits | rest_bits;
        V head = convert<double>(head_bits);
        head = head * like(head, 0x1p-64);
        V tail = convert<double>(tail_bits);
        tail = tail * like(tail, 0x1p-116);
        V turns = head + tail;
        V turns_back = turns - head;
        V turns_low = tail - turns_back;
        V half_pi = like(turns, Circle<double>::half_pi[0]);
        V angle = turns * half_pi;
        V error = fma(turns, half_pi, -angle);
        error = fma(turns, like(turns, Circle<double>::half_pi[1]), error);
        error = fma(turns_low, half_pi, error);
        return angle + error;
    }
};

template <class V>
inline Quadrant<V> reduce_far(V x) {
    if constexpr (is_double<V>) {
        return FarReduction<V, 1, 5>::of(x);  // 2^26 to 2^1024
    } else {
        using W = typename V::template With<double>;
        auto reduced = FarReduction<W, 2, 3>::of(convert<double>(x));  // 10^5 to 2^128
        V rest = convert<float>(reduced.rest);
        return {rest, convert<int32_t>(reduced.number)};
    }
}

// sin r = r + r³·P(r²), cos r = 1 − r²/2 + r⁴·P(r²)
template <class V>
struct SineCosine {
    V sine, cosine;
    static SineCosine of(V r) {
        using C = Circle<Element<V>>;
        V square = r * r;
        V s = polynomial(square, C::sine);
        V cube = square * r;
        V sine = fma(cube, s, r);
        V c = polynomial(square, C::cosine);
        V half = square * like(r, Element<V>(0.5));
        V one = like(r, 1);
        V head = one - half;
        V back = one - head;
        V lost = back - half;  // what rounding took from 1 − r²/2
        V fourth = square * square;
        V tail = fma(fourth, c, lost);
        return {sine, head + tail};
    }
};

// The sine of quadrant + shift quarter turns.
template <class V>
inline V sine_in(Quadrant<V> quadrant, int shift) {
    Bits<V> number = quadrant.number + like(quadrant.number, shift);
    auto both = SineCosine<V>::of(quadrant.rest);
    Bits<V> parity = number & like(number, 1);
    V value = select(parity == like(parity, 0), both.sine, both.cosine);
    Bits<V> flip = number & like(number, 2);
    flip = shift_left(flip, width_of<V> - 2);
    Bits<V> value_bits = bits(value);
    return float_bits(value_bits ^ flip);
}

template <class V>
inline V tangent_in(Quadrant<V> quadrant) {
    Bits<V> parity = quadrant.number & like(quadrant.number, 1);
    Mask<V> even = parity == like(parity, 0);
    auto both = SineCosine<V>::of(quadrant.rest);
    V negated = -both.cosine;
    V numerator = select(even, both.sine, negated);
    V denominator = select(even, both.cosine, both.sine);
    return numerator / denominator;
}

// Near where reduction is easy, Far where it is not; NaN at ±∞.
template <class Near, class Far, class V>
inline V with_reduction(V x) {
    V magnitude = abs(x);
    V usual = Near::of(reduce_near(x));
    Mask<V> far = magnitude > like(x, Circle<Element<V>>::near_end);
    V result = rarely<Far>(far, usual, x);
    return select(magnitude == infinity(x), nan(x), result);
}

struct SineIn {
    template <class V> static V of(Quadrant<V> quadrant) { return sine_in(quadrant, 0); }
};
struct CosineIn {
    template <class V> static V of(Quadrant<V> quadrant) { return sine_in(quadrant, 1); }
};
struct TangentIn {
    template <class V> static V of(Quadrant<V> quadrant) { return tangent_in(quadrant); }
};

struct FarSin {
    static constexpr Function is = unary("far_sin", floats).through_f64().helper();
    template <class V> static V of(V x) { return SineIn::of(reduce_far(x)); }
};
struct FarCos {
    static constexpr Function is = unary("far_cos", floats).through_f64().helper();
    template <class V> static V of(V x) { return CosineIn::of(reduce_far(x)); }
};
struct FarTan {
    static constexpr Function is = unary("far_tan", floats).through_f64().helper();
    template <class V> static V of(V x) { return TangentIn::of(reduce_far(x)); }
};

struct Sin {
    static constexpr Function is = unary("sin", floats).within(2, 2);
    template <class V>
    static V of(V x) {
        V result = with_reduction<SineIn, FarSin>(x);
        return select(x == like(x, 0), x, result);  // −0 stays
    }
};

struct Cos {
    static constexpr Function is = unary("cos", floats).within(2, 2);
    template <class V>
    static V of(V x) {
        return with_reduction<CosineIn, FarCos>(x);
    }
};

struct Tan {
    static constexpr Function is = unary("tan", floats).within(1, 3).through_f64();
    template <class V>
    static V of(V x) {
        if constexpr (is_single<V>) {
            return convert<float>(of(convert<double>(x)));
        } else {
            V result = with_reduction<TangentIn, FarTan>(x);
            return select(x == like(x, 0), x, result);
        }
    }
};

// ---- inverses ----

// For |x| ≤ 1/2 asin x = x + x³·P(x²); above, asin x = π/2 − 2·asin √((1 − x) / 2). `tail` is what to add to `root`,
// with the root's own rounding error.
template <class V>
struct ArcsineParts {
    V root, tail;
    Mask<V> large;

    static ArcsineParts of(V magnitude) {
        using T = Element<V>;
        V half = like(magnitude, T(0.5));
        V one = like(magnitude, 1);
        Mask<V> large = magnitude > half;
        V complement = one - magnitude;
        V folded = complement * half;
        V square = magnitude * magnitude;
        V z = select(large, folded, square);
        V folded_root = sqrt(folded);
        V root = select(large, folded_root, magnitude);
        V residue = fma(-root, root, z);
        V doubled = root + root;
        V divisor = select(doubled == like(doubled, 0), one, doubled);
        V lost = residue / divisor;
        V correction = select(large, lost, like(magnitude, 0));
        V p = polynomial(z, Circle<T>::arcsine);
        V cube = root * z;
        return {root, fma(cube, p, correction), large};
    }
};

struct Asin {
    static constexpr Function is = unary("asin", floats).within(2, 2);
    template <class V>
    static V of(V x) {
        using C = Circle<Element<V>>;
        V magnitude = abs(x);
        auto parts = ArcsineParts<V>::of(magnitude);
        V near = parts.root + parts.tail;
        V twice_root = parts.root + parts.root;
        V twice_tail = parts.tail + parts.tail;
        V low = like(x, C::half_pi[1]) - twice_tail;
        V high = like(x, C::half_pi[0]) - twice_root;
        V far = high + low;
        V result = select(parts.large, far, near);
        return copy_sign(result, x);
    }
};

struct Acos {
    static constexpr Function is = unary("acos", floats).within(2, 2);
    template <class V>
    static V of(V x) {
        using C = Circle<Element<V>>;
        V magnitude = abs(x);
        auto parts = ArcsineParts<V>::of(magnitude);
        Mask<V> negative = x < like(x, 0);
        V twice_root = parts.root + parts.root;
        V twice_tail = parts.tail + parts.tail;
        V right = twice_root + twice_tail;                                 // x > 1/2
        V left_low = like(x, C::half_pi[1] + C::half_pi[1]) - twice_tail;  // x < −1/2: π − …
        V left_high = like(x, C::half_pi[0] + C::half_pi[0]) - twice_root;
        V left = left_high + left_low;
        V root = copy_sign(parts.root, x);
        V tail = copy_sign(parts.tail, x);
        V middle_low = like(x, C::half_pi[1]) - tail;  // π/2 − asin x
        V remaining = middle_low - root;
        V middle = like(x, C::half_pi[0]) + remaining;
        V outer = select(negative, left, right);
        V result = select(parts.large, outer, middle);
        return result;
    }
};

// atan of a ≥ 0: about 0, 1 or ∞, where atan a = base + atan t.
template <class V>
inline V arctangent(V a) {
    using T = Element<V>;
    using C = Circle<T>;
    V zero = like(a, 0);
    V one = like(a, 1);
    Mask<V> middle = a > like(a, T(0.41421356237309503));  // tan π/8
    Mask<V> outer = a > like(a, T(2.414213562373095));     // tan 3π/8
    V below = a - one;
    V above = a + one;
    V numerator = select(middle, below, a);
    V denominator = select(middle, above, one);
    numerator = select(outer, -one, numerator);
    denominator = select(outer, a, denominator);
    V t = numerator / denominator;
    constexpr T quarter_high = C::half_pi[0] / 2, quarter_low = C::half_pi[1] / 2;
    V base = select(middle, like(a, quarter_high), zero);
    base = select(outer, like(a, C::half_pi[0]), base);
    V base_low = select(middle, like(a, quarter_low), zero);
    base_low = select(outer, like(a, C::half_pi[1]), base_low);
    V z = t * t;
    V p = polynomial(z, C::arctangent);
    V cube = z * t;
    V tail = fma(cube, p, base_low);
    V small = t + tail;
    return base + small;
}

struct Atan {
    static constexpr Function is = unary("atan", floats).within(2, 2);
    template <class V>
    static V of(V x) {
        V magnitude = abs(x);
        V result = arctangent(magnitude);
        return copy_sign(result, x);
    }
};

// The angle of the point (x, y), first argument y; signed zeros and infinities as IEEE's atan2.
struct Atan2 {
    static constexpr Function is = binary("atan2", floats).within(1, 3).through_f64().large();
    template <class V>
    static V of(V y, V x) {
        if constexpr (is_single<V>) {
            auto wide_y = convert<double>(y);
            auto wide_x = convert<double>(x);
            return convert<float>(of_doubles(wide_y, wide_x));
        } else {
            return of_doubles(y, x);
        }
    }

private:
    template <class V>
    static V of_doubles(V y, V x) {
        using C = Circle<double>;
        V zero = like(x, 0);
        V one = like(x, 1);
        V width = abs(x);
        V height = abs(y);
        Mask<V> steep = height > width;
        V small = select(steep, width, height);
        V large = select(steep, height, width);
        V ratio = small / large;
        ratio = select(small == large, one, ratio);  // ∞ / ∞
        ratio = select(large == zero, zero, ratio);
        V angle = arctangent(ratio);
        V complement_low = like(x, C::half_pi[1]) - angle;
        V complement = like(x, C::half_pi[0]) + complement_low;
        angle = select(steep, complement, angle);
        V supplement_low = like(x, C::half_pi[1] + C::half_pi[1]) - angle;
        V supplement = like(x, C::half_pi[0] + C::half_pi[0]) + supplement_low;
        Mask<V> leftward = sign_bit_set(x);
        angle = select(leftward, supplement, angle);
        V result = copy_sign(angle, y);
        result = select(x != x, x, result);
        return select(y != y, y, result);
    }
};

inline constexpr Functions<Sin, Cos, Tan, FarSin, FarCos, FarTan, Asin, Acos, Atan, Atan2> trigonometric;

}  // namespace tenon::scalar
