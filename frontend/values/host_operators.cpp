#include "frontend/values/host_operators.h"

#include <fmt/format.h>

#include <cmath>

#include "frontend/values/errors.h"
#include "frontend/values/format_spec.h"
#include "frontend/values/positions.h"
#include "ir/scalar/division.h"
#include "ir/scalar/number.h"
#include "runtime/interrupt.h"

namespace tenon {

Operator operator_of(ast::BinaryOperator op) {
    using enum ast::BinaryOperator;
    switch (op) {
        case add: return Operator::add;
        case subtract: return Operator::sub;
        case multiply: return Operator::mul;
        case divide: return Operator::div;
        case floor_divide: return Operator::floor_div;
        case modulo: return Operator::remainder;
        case matmul: return Operator::matmul;
        case power: return Operator::pow;
        case bit_and: return Operator::bit_and;
        case bit_or: return Operator::bit_or;
        case bit_xor: return Operator::bit_xor;
        case shift_left: return Operator::shift_left;
        case shift_right: break;
    }
    return Operator::shift_right;
}

std::string_view spelling(Operator op) {
    constexpr std::string_view texts[] = {"+", "-",  "*",  "/",  "//", "%", "@",  "**", "|", "^",
                                          "&", "<<", ">>", "==", "!=", "<", "<=", ">",  ">="};
    return texts[static_cast<size_t>(op)];
}

namespace {

[[noreturn]] void overflow(Operator op, int64_t a, int64_t b, Span span) {
    throw_error_at(span, "overflow", fmt::format("{} {} {} does not fit in an int (64 bits)", a, spelling(op), b),
                   fmt::format("compute with floats: {}.0 {} {}", a, spelling(op), b));
}

[[noreturn]] void division_by_zero(Operator op, Span span) {
    throw_error_at(span, "value",
                   op == Operator::pow ? "0 to a negative power is a division by zero" : "division by zero");
}

Value int_power(int64_t base, int64_t exponent, Span span) {
    if (exponent < 0) {
        if (base == 0) division_by_zero(Operator::pow, span);
        return std::pow(static_cast<double>(base), static_cast<double>(exponent));
    }
    int64_t result = 1, factor = base;
    for (int64_t left = exponent;;) {
        if ((left & 1) && __builtin_mul_overflow(result, factor, &result))
            overflow(Operator::pow, base, exponent, span);
        left >>= 1;
        if (left == 0) return result;
        if (__builtin_mul_overflow(factor, factor, &factor)) overflow(Operator::pow, base, exponent, span);
    }
}

Value int_binary(Operator op, int64_t a, int64_t b, Span span) {
    int64_t result;
    switch (op) {
        case Operator::add:
            if (__builtin_add_overflow(a, b, &result)) overflow(op, a, b, span);
            return result;
        case Operator::sub:
            if (__builtin_sub_overflow(a, b, &result)) overflow(op, a, b, span);
            return result;
        case Operator::mul:
            if (__builtin_mul_overflow(a, b, &result)) overflow(op, a, b, span);
            return result;
        case Operator::div:
            if (b == 0) division_by_zero(op, span);
            return static_cast<double>(a) / static_cast<double>(b);
        case Operator::floor_div:
            if (b == 0) division_by_zero(op, span);
            if (b == -1) {  // the one quotient that overflows
                if (a == INT64_MIN) overflow(op, a, b, span);
                return -a;
            }
            return a / b - ((a % b != 0) && ((a < 0) != (b < 0)));
        case Operator::remainder:
            if (b == 0) division_by_zero(op, span);
            if (b == -1) return 0;
            result = a % b;
            return result != 0 && ((result < 0) != (b < 0)) ? result + b : result;
        case Operator::pow: return int_power(a, b, span);
        case Operator::bit_and: return a & b;
        case Operator::bit_or: return a | b;
        case Operator::bit_xor: return a ^ b;
        case Operator::shift_left:
        case Operator::shift_right:
            if (b < 0) throw_error_at(span, "value", fmt::format("a shift by {} bits", b), "shift the other way");
            if (op == Operator::shift_right) return a >> std::min<int64_t>(b, 63);
            if (a == 0) return 0;
            if (b > 63 || (a << b) >> b != a) overflow(op, a, b, span);
            return a << b;
        default: break;
    }
    return Value::unset();
}

Value real_binary(Operator op, double a, double b, Span span) {
    switch (op) {
        case Operator::add: return a + b;
        case Operator::sub: return a - b;
        case Operator::mul: return a * b;
        case Operator::div:
            if (b == 0) division_by_zero(op, span);
            return a / b;
        case Operator::floor_div:
            if (b == 0) division_by_zero(op, span);
            return scalar::FloorDivide::of(scalar::Number<double>{a}, scalar::Number<double>{b}).value;
        case Operator::remainder: {
            if (b == 0) division_by_zero(op, span);
            double result = std::fmod(a, b);
            return result != 0 && ((result < 0) != (b < 0)) ? result + b : result;
        }
        case Operator::pow:
            if (a == 0 && b < 0) division_by_zero(op, span);
            return std::pow(a, b);
        default: break;
    }
    return Value::unset();
}

// How many bytes a text or a list may take: larger ones are mistakes, and would take the machine with them.
constexpr uint64_t most_bytes = uint64_t{1} << 30;

void check_room(uint64_t items, uint64_t item_bytes, std::string_view what) {
    if (items <= most_bytes / item_bytes) return;
    throw_error("memory",
                fmt::format("a {} of {} {} does not fit in memory", what, items, item_bytes == 1 ? "bytes" : "items"));
}

int64_t repetitions(const Value& times, size_t size, size_t item_bytes, std::string_view what) {
    uint64_t count = static_cast<uint64_t>(std::max<int64_t>(times.as_int(), 0)), total = 0;
    if (__builtin_mul_overflow(count, uint64_t{size}, &total)) total = UINT64_MAX;
    check_room(total, item_bytes, what);
    return size == 0 ? 0 : static_cast<int64_t>(count);
}

Value repeat(const Value& sequence, const Value& times) {
    if (sequence.is<StringObject>()) {
        const std::string& text = text_of(sequence);
        const int64_t count = repetitions(times, text.size(), 1, "str");
        if (text.size() == 1) return make_ref<StringObject>(std::string(static_cast<size_t>(count), text[0]));
        std::string out;
        out.reserve(static_cast<size_t>(count) * text.size());
        for (int64_t i = count; i > 0; --i) {
            check_interrupt();
            out += text;
        }
        return make_ref<StringObject>(std::move(out));
    }
    const Values& items = *items_of(sequence);
    Values out;
    const int64_t count = repetitions(times, items.size(), sizeof(Value), name_of(sequence.kind()));
    out.reserve(static_cast<size_t>(count) * items.size());
    for (int64_t i = count; i > 0; --i) {
        check_interrupt();
        out.insert(out.end(), items.begin(), items.end());
    }
    return sequence.is<ListObject>() ? make_list(std::move(out)) : make_tuple(std::move(out));
}

// The operators of strs, lists, tuples, dicts and bools; unset where there is none.
Value other_binary(Operator op, const Value& a, const Value& b) {
    if (a.kind() == b.kind()) {
        if (op == Operator::add && a.is<StringObject>()) {
            check_room(text_of(a).size() + text_of(b).size(), 1, "str");
            return make_ref<StringObject>(text_of(a) + text_of(b));
        }
        if (op == Operator::add && items_of(a)) {
            check_room(items_of(a)->size() + items_of(b)->size(), sizeof(Value), name_of(a.kind()));
            Values items = *items_of(a);
            items.insert(items.end(), items_of(b)->begin(), items_of(b)->end());
            return a.is<ListObject>() ? make_list(std::move(items)) : make_tuple(std::move(items));
        }
        if (op == Operator::bit_or && a.is<DictObject>()) {
            auto merged = make_ref<DictObject>();
            for (const Value* dict : {&a, &b}) {
                for (const auto& entry : dict->as<DictObject>().entries()) merged->set(entry.key, entry.value);
            }
            return merged;
        }
        if (a.is_bool()) {
            if (op == Operator::bit_and) return a.as_bool() && b.as_bool();
            if (op == Operator::bit_or) return a.as_bool() || b.as_bool();
            if (op == Operator::bit_xor) return a.as_bool() != b.as_bool();
        }
    }
    if (op == Operator::mul) {
        auto is_sequence = [](const Value& v) { return v.is<StringObject>() || items_of(v) != nullptr; };
        if (is_sequence(a) && b.is_int()) return repeat(a, b);
        if (is_sequence(b) && a.is_int()) return repeat(b, a);
    }
    return Value::unset();
}

}  // namespace

Value host_arithmetic(Operator op, const Value& a, const Value& b, Span span) {
    if (a.is_int() && b.is_int()) return int_binary(op, a.as_int(), b.as_int(), span);
    if (a.is_number() && b.is_number()) return real_binary(op, a.as_number(), b.as_number(), span);
    return other_binary(op, a, b);
}

std::string help_for_operands(Operator op, const Value& a, const Value& b) {
    if (op == Operator::add && (a.is<StringObject>() || b.is<StringObject>())) return "write f\"{a}{b}\", or str(x)";
    if (a.is_bool() || b.is_bool()) return "bool is no number; int(x) makes it one";
    if (a.is_none() || b.is_none()) return "is a `return` missing?";
    if (op == Operator::matmul) return "`@` is the matrix product of tensors";
    return {};
}

bool fits_a_text(std::string_view a, std::string_view b) { return a.size() + b.size() <= most_bytes; }

Value string_item(const StringObject& object, const Value& key) {
    const std::string_view text = object.text();
    const auto size = static_cast<size_t>(object.characters());
    const bool by_bytes = object.bytes_are_characters();
    auto byte_of = [&](int64_t position) {
        return by_bytes ? static_cast<size_t>(position) : byte_of_character(text, position);
    };
    auto character = [&](int64_t position) {
        const size_t begin = byte_of(position);
        return text.substr(begin, by_bytes ? 1 : byte_of_character(text.substr(begin), 1));
    };
    if (key.is_int()) return make_text(character(static_cast<int64_t>(position_in(key.as_int(), size, "str"))));
    auto* slice = key.try_as<SliceObject>();
    if (!slice)
        throw_error("type", fmt::format("an index of a str is an int or a slice, found {}", with_article(key.kind())));
    const SliceBounds bounds = bounds_of(*slice, size);
    if (bounds.step == 1) {
        const size_t begin = byte_of(bounds.start);
        const std::string_view rest = text.substr(begin);
        return make_text(
            rest.substr(0, by_bytes ? static_cast<size_t>(bounds.count) : byte_of_character(rest, bounds.count)));
    }
    std::string out;
    for (int64_t i = 0; i < bounds.count; ++i) {
        check_interrupt();
        out += character(bounds.start + i * bounds.step);
    }
    return make_ref<StringObject>(std::move(out));
}

}  // namespace tenon
