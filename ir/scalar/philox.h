// Random bits: Philox4x32-10, a counter-based generator: J. K. Salmon et al., "Parallel random numbers: as easy as 1, 2,
// 3", SC 2011. Four words of 32 bits depend on a key and a counter alone, so any element of a random tensor can be made
// anywhere, in any order. The counter's low half is the element's group, its high half the stream's offset.
//
// A function here is `drawn`: `group` gives what the elements of a group are, `together` many, which lie one after the other;
// `of` is the one at a position, and routines make whole groups where positions are in order.
#pragma once
#include "ir/scalar/function.h"

namespace tenon::scalar {

namespace philox_steps {

template <class V> struct Words {
    V word[4];
};

// Of unsigned lanes of 64 bits the low half counts, in operands and results.
template <class U>
inline Words<U> words(U key, U offset, U counter) {
    U c0 = counter;
    U c1 = shift_right(counter, 32);
    U c2 = offset;
    U c3 = shift_right(offset, 32);
    U key0 = key;
    U key1 = shift_right(key, 32);
    for (int round = 0; round < 10; ++round) {
        U product0 = half_product(c0, 0xD2511F53);
        U product1 = half_product(c2, 0xCD9E8D57);
        U high1 = shift_right(product1, 32);
        U mixed1 = high1 ^ c1;
        c0 = mixed1 ^ key0;
        c1 = product1;
        U high0 = shift_right(product0, 32);
        U mixed0 = high0 ^ c3;
        c2 = mixed0 ^ key1;
        c3 = product0;
        key0 = key0 + like(key0, 0x9E3779B9);  // the golden ratio
        key1 = key1 + like(key1, 0xBB67AE85);  // √3 − 1
    }
    return {{c0, c1, c2, c3}};
}

template <class V> using Unsigned = typename V::template With<uint64_t>;

template <class V>
inline Words<Unsigned<V>> words_of(V key, V offset, V counter) {
    Unsigned<V> wide_key = convert<uint64_t>(key);
    Unsigned<V> wide_offset = convert<uint64_t>(offset);
    Unsigned<V> wide_counter = convert<uint64_t>(counter);
    return words(wide_key, wide_offset, wide_counter);
}

// Is this bit of the position set?
template <class V>
inline Mask<V> has_bit(V position, int64_t bit) {
    V of_position = position & like(position, bit);
    return of_position != like(position, 0);
}

}  // namespace philox_steps

template <class V, int n> struct Group {
    V element[n];
};

// Word number `position` of a stream: 32 bits.
struct RandomWord {
    static constexpr Function is = drawn("random_word");
    static constexpr int together = 4;
    template <class V>
    static Group<V, together> group(V key, V offset, V counter) {
        auto made = philox_steps::words_of(key, offset, counter);
        Group<V, together> out;
        for (int k = 0; k < together; ++k) {
            auto low = made.word[k] & like(made.word[k], 0xffffffff);
            out.element[k] = convert<int64_t>(low);
        }
        return out;
    }
    template <class V>
    static V of(V key, V offset, V position) {
        V counter = shift_right(position, 2);
        auto made = group(key, offset, counter);
        Mask<V> odd = philox_steps::has_bit(position, 1);
        Mask<V> late = philox_steps::has_bit(position, 2);
        V first = select(odd, made.element[1], made.element[0]);
        V second = select(odd, made.element[3], made.element[2]);
        return select(late, second, first);
    }
};

// Pair of words number `position` of a stream, the first word high, without its last bit: 63 bits.
struct RandomBits {
    static constexpr Function is = drawn("random_bits");
    static constexpr int together = 2;
    template <class V>
    static Group<V, together> group(V key, V offset, V counter) {
        auto made = philox_steps::words_of(key, offset, counter);
        Group<V, together> out;
        for (int k = 0; k < together; ++k) {
            auto high = shift_left(made.word[2 * k], 32);
            auto low = made.word[2 * k + 1] & like(made.word[2 * k + 1], 0xffffffff);
            auto both = high | low;
            auto positive = shift_right(both, 1);
            out.element[k] = convert<int64_t>(positive);
        }
        return out;
    }
    template <class V>
    static V of(V key, V offset, V position) {
        V counter = shift_right(position, 1);
        auto made = group(key, offset, counter);
        Mask<V> odd = philox_steps::has_bit(position, 1);
        return select(odd, made.element[1], made.element[0]);
    }
};
inline constexpr Functions<RandomWord, RandomBits> philox;

}  // namespace tenon::scalar
