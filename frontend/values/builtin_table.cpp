#include "frontend/values/builtin_table.h"

#include <cassert>
#include <limits>

#include "frontend/values/function.h"

namespace tenon {

namespace {

std::string_view dtype_doc(DType dtype) {
    switch (dtype) {
        case DType::f64: return "the dtype of 64-bit floats: 53 bits of precision";
        case DType::f32: return "the dtype of 32-bit floats: 24 bits of precision, what tensors are made of by default";
        case DType::f16: return "the dtype of 16-bit floats: 11 bits of precision, up to 65504";
        case DType::bf16: return "the dtype of 16-bit floats with f32's range: 8 bits of precision";
        case DType::i64: return "the dtype of 64-bit ints";
        case DType::i32: return "the dtype of 32-bit ints";
        case DType::i16: return "the dtype of 16-bit ints";
        case DType::i8: return "the dtype of 8-bit ints";
        case DType::u8: return "the dtype of 8-bit ints from 0 to 255";
        case DType::boolean: return "the dtype of true and false";
    }
    return {};
}

}  // namespace

BuiltinTable::BuiltinTable(SymbolTable& symbols, std::span<const std::string> args) : symbols_(symbols) {
    for (const BuiltinSection& section : builtin_sections()) add_rows(section);
    // `bool` is a dtype where it is a value, and the conversion where it is called.
    for (int d = 0; d < dtype_count; ++d) {
        const auto dtype = static_cast<DType>(d);
        add_constant(name_of(dtype), dtype, dtype_doc(dtype));
    }
    add_constant("cpu", Device{}, "the device that tensors live on");
    add_constant("cuda", Device{Device::cuda, 0}, "the first GPU, as a device; nothing runs there yet");
    add_constant("must_save", make_text("must_save"), "a checkpoint's policy: the value is kept for backward");
    add_constant("prefer_save", make_text("prefer_save"),
                 "a checkpoint's policy: the value is kept, unless to compute it again costs less");
    add_constant(
        "prefer_recompute", make_text("prefer_recompute"),
        "a checkpoint's policy: the value is computed again, unless it is there anyway; what is done without one");
    add_constant("must_recompute", make_text("must_recompute"),
                 "a checkpoint's policy: the value is computed again in backward, even where others keep it");
    add_constant("pi", 3.14159265358979323846, "π, the circumference of a circle by its diameter, as a float");
    add_constant("inf", std::numeric_limits<double>::infinity(), "∞, as a float");
    add_constant("nan", std::numeric_limits<double>::quiet_NaN(), "what is no number, as a float; equal to nothing");
    Values list;
    for (const std::string& arg : args) list.push_back(make_text(arg));
    add_constant("args", make_list(std::move(list)), "what follows the script on the command line: a list of strs");
}

BuiltinGroup& BuiltinTable::group(std::string_view name) {
    Symbol symbol = symbols_.intern(name);
    if (numbers_.size() <= index_of(symbol)) numbers_.resize(index_of(symbol) + 64, 0);
    uint32_t& number = numbers_[index_of(symbol)];
    if (number == 0) {
        groups_.push_back({.name = symbols_.text(symbol), .symbol = symbol});
        number = static_cast<uint32_t>(groups_.size());
    }
    return groups_[number - 1];
}

void BuiltinTable::add_rows(const BuiltinSection& section) {
    for (const Builtin& row : section.rows) {
        BuiltinGroup& group = this->group(row.name);
        if (group.rows.empty()) {
            group.value = make_ref<BuiltinObject>(group);
            group.is_method_only = true;
        }
        group.rows.push_back({&row, parse(row.parameters), section.title});
        group.is_scope |= (row.traits & scope_block) != 0;
        group.is_method_only &= (row.traits & method_only) != 0;
    }
}

void BuiltinTable::add_constant(std::string_view name, Value value, std::string_view doc) {
    BuiltinGroup& group = this->group(name);
    group.value = std::move(value);
    group.constant_doc = doc;
    group.is_method_only = false;
}

Signature BuiltinTable::parse(std::string_view text) {
    Signature signature;
    bool keyword_only = false;
    while (!text.empty()) {
        size_t end = text.find_first_of(",;");
        std::string_view word = text.substr(0, end);
        while (word.starts_with(' ')) word.remove_prefix(1);
        while (word.ends_with(' ')) word.remove_suffix(1);
        if (!word.empty()) {
            int number = static_cast<int>(signature.parameters.size());
            bool required = true;
            if (word.starts_with("**")) {
                word.remove_prefix(2);
                signature.keywords = number;
                required = false;
            } else if (word.starts_with('*')) {
                word.remove_prefix(1);
                signature.rest = number;
                required = false;
            } else {
                if (word.ends_with('?')) {
                    word.remove_suffix(1);
                    required = false;
                }
                if (!keyword_only && signature.rest < 0) ++signature.positional;
            }
            signature.parameters.push_back({symbols_.intern(word), required});
            if (required) signature.least = signature.parameters.size();
        }
        if (end == std::string_view::npos) break;
        keyword_only |= text[end] == ';';
        text.remove_prefix(end + 1);
    }
    if (signature.rest >= 0 || signature.keywords >= 0) signature.least = SIZE_MAX;
    assert(signature.parameters.size() <= 32);
    return signature;
}

std::optional<uint32_t> BuiltinTable::find(Symbol name) const {
    if (index_of(name) >= numbers_.size() || numbers_[index_of(name)] == 0) return {};
    uint32_t number = numbers_[index_of(name)] - 1;
    if (groups_[number].is_method_only) return {};
    return number;
}

}  // namespace tenon
