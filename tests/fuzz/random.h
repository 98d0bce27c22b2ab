// The random numbers of a generated program: the same on every machine for a seed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <vector>

namespace tenon::fuzz {

/// SplitMix64 (Steele, Lea, Flood, 2014).
class Random {
public:
    explicit Random(uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15u + 0x632be59bd9b4e019u) {}

    uint64_t next() {
        uint64_t z = state_ += 0x9e3779b97f4a7c15u;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        return z ^ (z >> 31);
    }
    /// In 0 … n − 1.
    size_t below(size_t n) { return next() % n; }
    /// In lowest … highest.
    int between(int lowest, int highest) {
        return lowest + static_cast<int>(below(static_cast<size_t>(highest - lowest + 1)));
    }
    bool chance(double probability) { return static_cast<double>(next() >> 11) * 0x1p-53 < probability; }

    template <class T> T pick(std::initializer_list<T> choices) { return choices.begin()[below(choices.size())]; }
    template <class T> const T& pick(const std::vector<T>& choices) { return choices[below(choices.size())]; }
    /// The place of one of the weights, as often as it is heavy.
    size_t weighted(const std::vector<int>& weights) {
        size_t total = 0;
        for (int w : weights) total += static_cast<size_t>(w);
        size_t at = below(total), k = 0;
        while (at >= static_cast<size_t>(weights[k])) at -= static_cast<size_t>(weights[k++]);
        return k;
    }

private:
    uint64_t state_;
};

}  // namespace tenon::fuzz
