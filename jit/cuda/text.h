// The vector algebra on CUDA C++ text: Text<T> names a value, its operators write a line that computes another. The
// definitions of ir/scalar/, instantiated on it, become the bodies of device functions.
#pragma once
#include <concepts>
#include <cstdint>
#include <string>
#include <type_traits>

#include "ir/scalar/algebra.h"

namespace tenon::cuda_engine {

/// Lines of code, with fresh names.
class Writer {
public:
    void line(const std::string& text) { text_ += std::string(size_t(depth_) * 4, ' ') + text + "\n"; }
    void open(const std::string& text) {
        line(text);
        ++depth_;
    }
    void close(const std::string& text = "}") {
        --depth_;
        line(text);
    }
    /// `const float t3 = expression;`; returns "t3".
    std::string define(const std::string& type, const std::string& expression) {
        const std::string name = fresh();
        line("const " + type + " " + name + " = " + expression + ";");
        return name;
    }
    std::string fresh() { return "t" + std::to_string(next_++); }
    const std::string& text() const { return text_; }

private:
    std::string text_;
    int depth_ = 0;
    int next_ = 0;
};

/// As kernels.cuh names it: "f32", "i64", "u8".
template <class T>
std::string type_name() {
    return (std::is_floating_point_v<T> ? "f" : std::is_signed_v<T> ? "i" : "u") + std::to_string(8 * sizeof(T));
}
std::string literal(float);
std::string literal(double);
/// Of a type by its name ("i32").
std::string literal(const std::string& type, int64_t value);

struct TextMask {
    std::string name;
    Writer* writer = nullptr;

    friend TextMask operator&(TextMask a, TextMask b) { return a.made(a.name + " & " + b.name); }
    friend TextMask operator|(TextMask a, TextMask b) { return a.made(a.name + " | " + b.name); }
    friend TextMask operator^(TextMask a, TextMask b) { return a.made(a.name + " ^ " + b.name); }
    friend TextMask operator!(TextMask a) { return a.made("!" + a.name); }

private:
    TextMask made(const std::string& expression) const { return {writer->define("bool", expression), writer}; }
};

template <class T>
struct Text {
    using Element = T;
    template <class U> using With = Text<U>;
    using Mask = TextMask;
    static constexpr bool is_float = std::is_floating_point_v<T>, is_signed = std::is_signed_v<T>;

    std::string name;
    Writer* writer = nullptr;

    friend Text operator+(Text a, Text b) { return a.wrapping(a, "+", b); }
    friend Text operator-(Text a, Text b) { return a.wrapping(a, "-", b); }
    friend Text operator*(Text a, Text b) { return a.wrapping(a, "*", b); }
    friend Text operator/(Text a, Text b) { return a.made(a.name + " / " + b.name); }
    friend Text operator-(Text a) { return is_float ? a.made("-" + a.name) : like(a, 0) - a; }
    friend Text operator&(Text a, Text b) { return a.cast(a.name + " & " + b.name); }
    friend Text operator|(Text a, Text b) { return a.cast(a.name + " | " + b.name); }
    friend Text operator^(Text a, Text b) { return a.cast(a.name + " ^ " + b.name); }
    friend Text operator~(Text a) { return a.cast("~" + a.name); }

    friend Mask operator<(Text a, Text b) { return a.compare("<", b); }
    friend Mask operator<=(Text a, Text b) { return a.compare("<=", b); }
    friend Mask operator>(Text a, Text b) { return a.compare(">", b); }
    friend Mask operator>=(Text a, Text b) { return a.compare(">=", b); }
    friend Mask operator==(Text a, Text b) { return a.compare("==", b); }
    friend Mask operator!=(Text a, Text b) { return a.compare("!=", b); }

    friend Text like(Text x, T c) { return {constant(c), x.writer}; }
    friend Text select(Mask m, Text a, Text b) { return a.made(m.name + " ? " + a.name + " : " + b.name); }
    friend Text fma(Text a, Text b, Text c) {
        return a.made((sizeof(T) == 4 ? "__fmaf_rn(" : "__fma_rn(") + a.name + ", " + b.name + ", " + c.name + ")");
    }
    friend Text sqrt(Text a) { return a.made((sizeof(T) == 4 ? "__fsqrt_rn(" : "__dsqrt_rn(") + a.name + ")"); }
    friend Text abs(Text a) { return a.call("fabs"); }
    friend Text floor(Text a) { return a.call("floor"); }
    friend Text ceil(Text a) { return a.call("ceil"); }
    friend Text trunc(Text a) { return a.call("trunc"); }
    friend Text round_even(Text a) { return a.call("rint"); }
    friend Text quotient(Text a, Text b) { return a.cast(a.name + " / " + b.name); }
    friend Text shift_left(Text a, Text n) { return a.cast("u64(" + a.name + ") << " + n.name); }
    friend Text shift_right(Text a, Text n) { return a.cast(a.name + " >> " + n.name); }
    friend Text shift_left(Text a, int n) { return shift_left(a, like(a, T(n))); }
    friend Text shift_right(Text a, int n) { return shift_right(a, like(a, T(n))); }

    friend auto bits(Text a) {
        using I = typename scalar::IntegerOf<T>::Type;
        return Text<I>{a.writer->define(type_name<I>(),
                                        (sizeof(T) == 4 ? "__float_as_int(" : "__double_as_longlong(") + a.name + ")"),
                       a.writer};
    }
    friend auto float_bits(Text a) {
        using F = std::conditional_t<sizeof(T) == 4, float, double>;
        const char* call = sizeof(T) == 4 ? "__int_as_float(" : "__longlong_as_double(";
        return Text<F>{a.writer->define(type_name<F>(), call + a.name + ")"), a.writer};
    }
    friend Text rarely(Mask m, Text usual, auto slow) {
        Writer& w = *usual.writer;
        const std::string result = w.fresh();
        w.line(type_name<T>() + " " + result + " = " + usual.name + ";");
        w.open("if (" + m.name + ") {");
        w.line(result + " = " + slow().name + ";");
        w.close();
        return {result, usual.writer};
    }

    template <class U>
    Text<U> converted() const {
        return {writer->define(type_name<U>(), type_name<U>() + "(" + name + ")"), writer};
    }
    static std::string constant(T c) {
        if constexpr (is_float) return literal(c);
        else return literal(type_name<T>(), int64_t(c));
    }

private:
    Text made(const std::string& expression) const { return {writer->define(type_name<T>(), expression), writer}; }
    Text cast(const std::string& expression) const { return made(type_name<T>() + "(" + expression + ")"); }
    // `floor`, or `floorf`.
    Text call(const std::string& function) const { return made(function + (sizeof(T) == 4 ? "f(" : "(") + name + ")"); }
    Mask compare(const char* sign, const Text& b) const {
        return {writer->define("bool", name + " " + sign + " " + b.name), writer};
    }
    // Integers wrap: computed without a sign, at full width.
    static Text wrapping(const Text& a, const std::string& sign, const Text& b) {
        if constexpr (is_float) return a.made(a.name + " " + sign + " " + b.name);
        else return a.cast("u64(" + a.name + ") " + sign + " u64(" + b.name + ")");
    }
};

template <class U, class T>
Text<U> convert(Text<T> x) {
    return x.template converted<U>();
}
template <class U, class T>
Text<U> like_as(Text<T> x, std::type_identity_t<U> c) {
    return {Text<U>::constant(c), x.writer};
}

}  // namespace tenon::cuda_engine
