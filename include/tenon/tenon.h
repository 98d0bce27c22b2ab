// Tenon inside a C++ program: scripts that run, tensors that come and go without a copy, ops of the program's own.
//
// Everything here belongs to one Session and to the thread that made it; values and scopes go before their session does.
// What a script or an op does wrong is thrown as Error, with the text that `tenon run` would have shown. docs/embedding.md
// shows how it all goes together.
//
// Over 40 members: a tensor is a value, and has the members of one beside its own.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace tenon::embed {

namespace detail {
struct State;
struct Access;
class Scopes;
}  // namespace detail

/// What a script or an op did wrong. what() is the whole text, with the lines of the script and the calls that led there.
class Error : public std::runtime_error {
public:
    Error(std::string kind, std::string message, std::string text, std::shared_ptr<const void> diagnostic = {})
        : std::runtime_error(std::move(text)), kind_(std::move(kind)), message_(std::move(message)),
          diagnostic_(std::move(diagnostic)) {}
    /// What a script sees as `e.kind`: "shape", "type", "name", "syntax", "io", "interrupted", ….
    const std::string& kind() const { return kind_; }
    /// One sentence, without its place.
    const std::string& message() const { return message_; }

private:
    friend struct detail::Access;
    std::string kind_, message_;
    std::shared_ptr<const void> diagnostic_;
};

enum class DType : uint8_t { f64, f32, f16, bf16, i64, i32, i16, i8, u8, boolean };
enum class Kind : uint8_t { none, boolean, integer, real, string, list, tuple, dict, tensor, function, other };

template <class T> inline constexpr bool is_element = false;
#define TENON_ELEMENT(type, name)                              \
    template <> inline constexpr bool is_element<type> = true; \
    constexpr DType dtype_of(std::type_identity<type>) { return DType::name; }
TENON_ELEMENT(double, f64)
TENON_ELEMENT(float, f32)
TENON_ELEMENT(int64_t, i64)
TENON_ELEMENT(int32_t, i32)
TENON_ELEMENT(int16_t, i16)
TENON_ELEMENT(int8_t, i8)
TENON_ELEMENT(uint8_t, u8)
TENON_ELEMENT(bool, boolean)
#undef TENON_ELEMENT

class Tensor;

/// A value of a script. Copies share what it refers to.
class Value {
public:
    Value();  ///< none
    template <std::same_as<bool> T> Value(T flag) : Value() { set_bool(flag); }
    template <std::integral T>
        requires(!std::same_as<T, bool>)
    Value(T number) : Value() {
        set_int(static_cast<int64_t>(number));
    }
    template <std::floating_point T> Value(T number) : Value() { set_real(static_cast<double>(number)); }
    Value(std::string_view text);
    Value(const std::string& text) : Value(std::string_view(text)) {}
    Value(const char* text) : Value(std::string_view(text)) {}
    Value(DType dtype);
    static Value list(std::vector<Value> items);
    static Value tuple(std::vector<Value> items);
    static Value dict(const std::vector<std::pair<std::string, Value>>& entries);
    Value(const Value& other);
    Value(Value&& other) noexcept;
    Value& operator=(const Value& other);
    Value& operator=(Value&& other) noexcept;
    ~Value();

    Kind kind() const;
    bool is_none() const { return kind() == Kind::none; }
    bool is_tensor() const { return kind() == Kind::tensor; }
    explicit operator bool() const { return !is_none(); }

    // Each throws Error "type" for a value of another kind. A number that a graph is yet to compute is waited for.
    bool as_bool() const;
    int64_t as_int() const;
    double as_float() const;  ///< of an int, too
    std::string as_string() const;
    std::vector<Value> items() const;  ///< of a list or a tuple
    /// Calls a function, a model, whatever can be called.
    Value call(std::vector<Value> arguments = {}, const std::vector<std::pair<std::string, Value>>& named = {}) const;
    /// A dict's entry of this name, or a field of a model or a record: `session.call("stats").field("captures")`.
    Value field(std::string_view name) const;

protected:
    friend struct detail::Access;
    void set_bool(bool flag);
    void set_int(int64_t number);
    void set_real(double number);

    alignas(8) std::byte held_[16];
    detail::State* state_ = nullptr;  // null for what needs no session
    bool is_literal_ = false;
};

using Values = std::vector<Value>;
using Named = std::vector<std::pair<std::string, Value>>;

/// A number that is part of what an op is: a constant of graphs, which fold it. Every other number is an input of them, so
/// that one graph does for all.
Value literal(double number);
Value literal(int64_t number);
inline Value literal(int number) { return literal(int64_t{number}); }

/// A tensor, or none.
class Tensor : public Value {
public:
    Tensor() = default;
    /// Throws Error "type" for anything but a tensor and none.
    Tensor(Value value);

    DType dtype() const;
    std::vector<int64_t> shape() const;
    std::vector<int64_t> strides() const;  ///< in elements
    int64_t numel() const;
    bool is_contiguous() const;
    /// A dimension as the script sees it: inside a graph a symbol, so that what is made with it holds for every size.
    Value size(int64_t dimension) const;
    Values sizes() const;

    /// The elements where they lie, for as long as a handle on the tensor lives. A graph that is yet to compute them ends
    /// first. T is the tensor's own type.
    template <class T> const T* data() const {
        static_assert(is_element<T>);
        return static_cast<const T*>(memory(dtype_of(std::type_identity<T>{})));
    }
    /// The same to be written: gradients that need the old elements know of it. Throws where differentiation forbids it.
    template <class T> T* mutable_data() {
        static_assert(is_element<T>);
        return static_cast<T*>(writable_memory(dtype_of(std::type_identity<T>{})));
    }
    const void* raw_data() const;
    /// Row-major elements; the tensor must be contiguous.
    template <class T> std::span<const T> elements() const {
        require_contiguous();
        return {data<T>(), static_cast<size_t>(numel())};
    }
    double item() const;  ///< of a tensor of one element

    bool requires_grad() const;
    Tensor& require_grad(bool wanted = true);  ///< it becomes a leaf
    Tensor grad() const;                       ///< of a leaf; none before a backward
    Tensor detach() const;

private:
    const void* memory(DType dtype) const;
    void* writable_memory(DType dtype);
    void require_contiguous() const;
};

/// What ops are written over. Each is what the script's operation of that name is; inside a graph it is a part of it.
namespace ops {
/// Any function of the language or its library: apply("softmax", {x}, {{"dim", -1}}).
Value apply(std::string_view name, Values arguments, const Named& named = {});

Tensor matmul(const Value& a, const Value& b);
Tensor pow(const Value& a, const Value& b);
Tensor maximum(const Value& a, const Value& b);
Tensor minimum(const Value& a, const Value& b);
Tensor where(const Value& condition, const Value& a, const Value& b);
Tensor exp(const Value& x);
Tensor log(const Value& x);
Tensor sin(const Value& x);
Tensor cos(const Value& x);
Tensor tanh(const Value& x);
Tensor sqrt(const Value& x);
Tensor abs(const Value& x);
Tensor sum(const Value& x);
Tensor sum(const Value& x, int64_t dimension, bool keepdim = false);
Tensor reshape(const Tensor& x, Values sizes);  ///< one may be -1
Tensor expand(const Tensor& x, Values sizes);   ///< -1 keeps a size
Tensor transpose(const Tensor& x, int64_t first, int64_t second);
Tensor cast(const Tensor& x, DType dtype);
Tensor clone(const Tensor& x);
Tensor zeros_like(const Tensor& x);

// In place.
void assign(const Tensor& x, const Value& value);
void add(const Tensor& x, const Value& value);
void sub(const Tensor& x, const Value& value);
void mul(const Tensor& x, const Value& value);
}  // namespace ops

Value operator+(const Value& a, const Value& b);
Value operator-(const Value& a, const Value& b);
Value operator*(const Value& a, const Value& b);
Value operator/(const Value& a, const Value& b);
Value operator-(const Value& x);

/// What an op's forward hands to its backward.
class Context {
public:
    /// Tensors for backward: arguments, results, or what was computed on the way.
    void save(const std::vector<Tensor>& tensors);
    std::vector<Tensor> saved() const;
    /// Anything else. Its name and kind are part of what a captured backward is; numbers are inputs of its graphs.
    void set(std::string_view name, const Value& value);
    Value get(std::string_view name) const;
    bool needs_grad(size_t argument) const;
    /// Whether backward gets zeros for results that have no cotangent (at first), or none.
    void fill_zeros(bool fills);
    void mark_non_differentiable(const std::vector<Tensor>& results);

private:
    friend struct detail::Access;
    explicit Context(Value held) : held_(std::move(held)) {}
    Value held_;
};

/// An op of the program's own; scripts get it by `native_op("name")`.
struct Op {
    std::string name;                     ///< ends in `_` where it changes an argument, and only there
    std::vector<std::string> parameters;  ///< for messages; how many arguments it takes
    /// What it gives: a tensor, or a tuple with several; none where it only changes its argument, which is then given.
    std::function<Value(Context&, std::span<const Value>)> forward;
    /// One gradient a parameter, none where there is none. May be missing: a traceable op has the gradient of what it is
    /// written over then, any other has none.
    std::function<std::vector<Tensor>(Context&, std::span<const Tensor>)> backward = {};
    /// It is written over tenon::embed::ops alone, and becomes part of every graph that it is called in. Otherwise graphs
    /// end before it, and it runs between them, over memory.
    bool traceable = true;
    std::vector<size_t> mutates = {};  ///< which arguments it changes in place
};

/// A block that is open as long as this lives: what `no_grad { … }` is in a script. Blocks close in order.
class Scope {
public:
    Scope(Scope&& other) noexcept;
    Scope& operator=(Scope&&) = delete;
    ~Scope();  ///< closes those that were opened inside of it and are still open, first
    /// Throws Error "value" where one that was opened inside of it is still open.
    void close();

private:
    friend class Session;
    Scope(std::shared_ptr<detail::Scopes> scopes, uint64_t number) : scopes_(std::move(scopes)), number_(number) {}
    std::shared_ptr<detail::Scopes> scopes_;
    uint64_t number_ = 0;
};

enum class Engine : uint8_t { eager, interp, jit, automatic };

struct Options {
    Engine engine = Engine::automatic;
    int threads = 0;                 ///< 0: one a core
    bool compiled_backward = false;  ///< backward is captured and compiled everywhere
    std::vector<std::string> args;   ///< what scripts see as `args`
    /// What scripts print; the standard output where empty.
    std::function<void(std::string_view)> output = {};
};

/// Owns everything. Two may live side by side.
class Session {
public:
    explicit Session(Options options = {});
    Session(Session&&) noexcept;
    Session& operator=(Session&&) noexcept;
    ~Session();

    // ---- scripts. All that is run shares its variables, as at the prompt.
    /// What its last line is worth, where that is an expression. `name` is what messages call the text.
    Value run(std::string_view text, std::string_view name = "<text>");
    Value run_file(const std::string& path);
    /// Calls a function of the script (or of the language) by its name.
    Value call(std::string_view function, Values arguments = {}, const Named& named = {});
    /// A variable of the script. Throws Error "name" where there is none.
    Value get(std::string_view name);
    bool has(std::string_view name) const;
    /// What `print` shows of a value.
    std::string text(const Value& value);

    // ---- tensors
    /// Memory of the program, seen as a tensor: no copy. `strides` in elements, row-major where empty. `release` is called
    /// when the last that refers to it is gone: a script may keep it, and write into it.
    Tensor tensor(void* data, DType dtype, std::vector<int64_t> shape, std::vector<int64_t> strides = {},
                  std::function<void()> release = {});
    /// The same of a vector, which moves in.
    template <class T>
        requires(is_element<T> && !std::same_as<T, bool>)
    Tensor tensor(std::vector<T> elements, std::vector<int64_t> shape) {
        auto owner = std::make_shared<std::vector<T>>(std::move(elements));
        check_count(owner->size(), shape);
        return tensor(owner->data(), dtype_of(std::type_identity<T>{}), std::move(shape), {}, [owner] {});
    }
    Tensor empty(DType dtype, std::vector<int64_t> shape);
    Tensor zeros(DType dtype, std::vector<int64_t> shape);
    Tensor full(double value, DType dtype, std::vector<int64_t> shape);

    // ---- ops of the program's own
    /// Throws Error "value" where the op is not whole, or there is one of this name.
    void register_op(Op op);
    /// A registered op as a value, as `native_op(name)` gives it.
    Value op(std::string_view name);

    // ---- scopes
    Scope no_grad();
    Scope compiled_backward(bool dynamic = false);
    Scope no_compiled_backward();

    /// Gradients of a scalar's leaves, into their grad().
    void backward(const Tensor& loss);
    /// Caches, counters and generators as at the start; what variables hold stays.
    void reset();

private:
    void check_count(size_t elements, const std::vector<int64_t>& shape);
    std::unique_ptr<detail::State> state_;
};

}  // namespace tenon::embed
