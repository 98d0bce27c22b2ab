// A vector of trivially copyable elements that keeps its first N inline: shapes, strides, operand lists.
#pragma once

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <iterator>
#include <ranges>
#include <span>
#include <type_traits>
#include <utility>

namespace tenon {

template <class T, size_t N> class SmallVector {
    static_assert(std::is_trivially_copyable_v<T> && std::is_nothrow_default_constructible_v<T>);

public:
    using value_type = T;
    using size_type = size_t;
    using iterator = T*;
    using const_iterator = const T*;

    SmallVector() = default;
    explicit SmallVector(size_t count, T value = T{}) { resize(count, value); }
    SmallVector(std::initializer_list<T> values) { assign(values.begin(), values.size()); }
    template <class Iterator>
        requires(!std::is_integral_v<Iterator>)
    SmallVector(Iterator first, Iterator last) {
        for (; first != last; ++first) push_back(*first);
    }
    template <std::ranges::contiguous_range R>
        requires(!std::is_same_v<std::remove_cvref_t<R>, SmallVector> &&
                 std::is_same_v<std::remove_cv_t<std::ranges::range_value_t<R>>, T>)
    SmallVector(const R& values) {
        assign(std::ranges::data(values), std::ranges::size(values));
    }
    SmallVector(const SmallVector& other) { copy_from(other); }
    SmallVector(SmallVector&& other) noexcept { steal_from(other); }
    ~SmallVector() { free_heap(); }

    SmallVector& operator=(const SmallVector& other) {
        if (this != &other) assign(other.data(), other.size());
        return *this;
    }
    SmallVector& operator=(SmallVector&& other) noexcept {
        if (this != &other) {
            free_heap();
            steal_from(other);
        }
        return *this;
    }

    size_t size() const { return size_; }
    bool empty() const { return size_ == 0; }
    size_t capacity() const { return capacity_; }
    T* data() { return is_inline() ? inline_ : heap_; }
    const T* data() const { return is_inline() ? inline_ : heap_; }
    T* begin() { return data(); }
    T* end() { return data() + size_; }
    const T* begin() const { return data(); }
    const T* end() const { return data() + size_; }
    auto rbegin() const { return std::make_reverse_iterator(end()); }
    auto rend() const { return std::make_reverse_iterator(begin()); }

    T& operator[](size_t i) {
        assert(i < size_);
        return data()[i];
    }
    const T& operator[](size_t i) const {
        assert(i < size_);
        return data()[i];
    }
    T& front() { return (*this)[0]; }
    const T& front() const { return (*this)[0]; }
    T& back() { return (*this)[size_ - 1]; }
    const T& back() const { return (*this)[size_ - 1]; }

    void push_back(T value) {
        if (size_ == capacity_) grow(size_ + 1);
        data()[size_++] = value;
    }
    void pop_back() {
        assert(size_ > 0);
        --size_;
    }
    void clear() { size_ = 0; }
    void reserve(size_t count) {
        if (count > capacity_) grow(count);
    }
    void resize(size_t count, T value = T{}) {
        reserve(count);
        if (count > size_) std::fill(data() + size_, data() + count, value);
        size_ = static_cast<uint32_t>(count);
    }
    void assign(const T* values, size_t count) {
        if (count > capacity_) {  // values may point into this vector only when count fits
            size_ = 0;
            grow(count);
        }
        if (count) std::memmove(data(), values, count * sizeof(T));
        size_ = static_cast<uint32_t>(count);
    }
    void append(std::span<const T> values) {
        for (const T& value : values) push_back(value);
    }
    T* insert(const T* position, T value) {
        size_t at = position - data();
        push_back(value);
        std::rotate(begin() + at, end() - 1, end());
        return data() + at;
    }
    T* erase(const T* position) {
        size_t at = position - data();
        std::copy(begin() + at + 1, end(), begin() + at);
        --size_;
        return data() + at;
    }

    friend bool operator==(const SmallVector& a, const SmallVector& b) {
        return std::equal(a.begin(), a.end(), b.begin(), b.end());
    }
    friend auto operator<=>(const SmallVector& a, const SmallVector& b) {
        return std::lexicographical_compare_three_way(a.begin(), a.end(), b.begin(), b.end());
    }

private:
    bool is_inline() const { return capacity_ == N; }

    void grow(size_t count) {
        size_t larger = std::max(count, size_t{2} * capacity_);
        T* memory = new T[larger];
        if (size_) std::memcpy(memory, data(), size_ * sizeof(T));
        free_heap();
        heap_ = memory;
        capacity_ = static_cast<uint32_t>(larger);
    }
    void free_heap() {
        if (!is_inline()) delete[] heap_;
    }
    void copy_from(const SmallVector& other) {
        if (other.is_inline()) {  // the whole array: a few vector moves, no loop over size
            std::memcpy(inline_, other.inline_, sizeof(inline_));
            size_ = other.size_;
        } else {
            assign(other.heap_, other.size_);
        }
    }
    void steal_from(SmallVector& other) {
        if (other.is_inline()) {
            std::memcpy(inline_, other.inline_, sizeof(inline_));
        } else {
            heap_ = other.heap_;
        }
        capacity_ = std::exchange(other.capacity_, uint32_t{N});
        size_ = std::exchange(other.size_, 0);
    }

    union {
        T inline_[N] = {};
        T* heap_;
    };
    uint32_t size_ = 0;
    uint32_t capacity_ = N;  // N exactly when the elements are inline: the heap always holds more
};

/// Sizes, strides, axes: up to six without touching the heap.
using Dims = SmallVector<int64_t, 6>;

}  // namespace tenon
