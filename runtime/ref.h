// Intrusive reference counts: the one place where objects shared between owners are made and destroyed.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

namespace tenon {

/// Base of what Ref<T> owns, wherever the owners are: the count is atomic, since the last of them may be any thread.
class RefCounted {
public:
    RefCounted() = default;
    RefCounted(const RefCounted&) = delete;
    RefCounted& operator=(const RefCounted&) = delete;

    uint32_t use_count() const { return count_.load(std::memory_order_relaxed); }
    bool is_held_once() const { return count_.load(std::memory_order_acquire) == 1; }

protected:
    virtual ~RefCounted() = default;

private:
    template <class T> friend class Ref;

    void retain() const { count_.fetch_add(1, std::memory_order_relaxed); }
    void release() const {
        if (count_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
    }

    mutable std::atomic<uint32_t> count_{0};
};

/// The same for what never leaves its thread. Whoever walks a script counts at every step, and an atomic addition costs
/// as much as twenty plain ones.
class ThreadBound {
public:
    ThreadBound() = default;
    ThreadBound(const ThreadBound&) = delete;
    ThreadBound& operator=(const ThreadBound&) = delete;

    uint32_t use_count() const { return count_; }
    bool is_held_once() const { return count_ == 1; }

protected:
    virtual ~ThreadBound() = default;
    template <class T> friend class Ref;

    void retain() const { ++count_; }
    void release() const {
        if (--count_ == 0) delete this;
    }

private:
    mutable uint32_t count_ = 0;
};

template <class T> class Ref {
public:
    constexpr Ref() = default;
    constexpr Ref(std::nullptr_t) {}
    explicit Ref(T* object) : object_(object) {
        if (object_) object_->retain();
    }
    Ref(const Ref& other) : Ref(other.object_) {}
    Ref(Ref&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
    template <class U>
        requires std::is_convertible_v<U*, T*>
    Ref(const Ref<U>& other) : Ref(static_cast<T*>(other.get())) {}
    template <class U>
        requires std::is_convertible_v<U*, T*>
    Ref(Ref<U>&& other) noexcept : object_(other.detach()) {}
    ~Ref() {
        if (object_) object_->release();
    }

    Ref& operator=(Ref other) noexcept {
        std::swap(object_, other.object_);
        return *this;
    }
    void reset() { *this = Ref(); }

    T* get() const { return object_; }
    T* operator->() const { return object_; }
    T& operator*() const { return *object_; }
    explicit operator bool() const { return object_ != nullptr; }
    /// True when this is the only owner.
    bool unique() const { return object_ && object_->is_held_once(); }

    /// Gives up the pointer with its count.
    T* detach() { return std::exchange(object_, nullptr); }

    friend bool operator==(const Ref& a, const Ref& b) { return a.object_ == b.object_; }
    friend bool operator==(const Ref& a, std::nullptr_t) { return a.object_ == nullptr; }

private:
    T* object_ = nullptr;
};

template <class T, class... Arguments> Ref<T> make_ref(Arguments&&... arguments) {
    return Ref<T>(new T(std::forward<Arguments>(arguments)...));
}

}  // namespace tenon
