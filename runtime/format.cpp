#include "runtime/format.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string_view>
#include <utility>
#include <vector>

namespace tenon {

namespace {

// The defaults of torch.set_printoptions.
constexpr int precision = 4;
constexpr int64_t summarised_above = 1000;
constexpr int64_t edge_items = 3;
constexpr size_t line_width = 80;

// Calls `visit(i)` for the indices that are shown of a dimension, and `skip()` where some are left out.
template <class Visit, class Skip> void for_shown(int64_t size, bool summarise, Visit visit, Skip skip) {
    bool all = !summarise || size <= 2 * edge_items;
    for (int64_t i = 0; i < (all ? size : edge_items); ++i) visit(i);
    if (all) return;
    skip();
    for (int64_t i = size - edge_items; i < size; ++i) visit(i);
}

// One format for all elements shown: what they need decides it.
class ElementFormat {
public:
    ElementFormat(const Tensor& tensor, bool summarise) {
        if (is_float(tensor.dtype)) {
            look_at_floats(tensor, summarise);
        } else {
            for_elements(tensor, summarise, [&](Scalar value) { width_ = std::max(width_, text(value).size()); });
        }
    }

    size_t width() const { return width_; }

    std::string padded(Scalar value) const { return fmt::format("{:>{}}", text(value), width_); }

private:
    template <class Visit> static void for_elements(const Tensor& tensor, bool summarise, Visit visit) {
        if (tensor.rank() == 0) return visit(tensor.read_scalar());
        for_shown(
            tensor.shape[0], summarise, [&](int64_t i) { for_elements(tensor.select(0, i), summarise, visit); }, [] {});
    }

    void look_at_floats(const Tensor& tensor, bool summarise) {
        std::vector<double> values;  // finite and not zero: the others fit anywhere
        for_elements(tensor, summarise, [&](Scalar value) {
            double x = std::get<double>(value);
            if (std::isfinite(x) && x != 0) values.push_back(x);
        });
        if (values.empty()) return;
        auto [smallest, largest] = std::minmax_element(values.begin(), values.end(),
                                                       [](double a, double b) { return std::abs(a) < std::abs(b); });
        double low = std::abs(*smallest), high = std::abs(*largest);
        integral_ = std::all_of(values.begin(), values.end(), [](double x) { return x == std::ceil(x); });
        scientific_ = high / low > 1000.0 || high > 1.0e8 || low < 1.0e-4;
        for (double x : values) width_ = std::max(width_, float_text(x).size());
    }

    std::string text(Scalar value) const {
        if (const bool* b = std::get_if<bool>(&value)) return *b ? "true" : "false";
        if (const int64_t* i = std::get_if<int64_t>(&value)) return fmt::format("{}", *i);
        return float_text(std::get<double>(value));
    }

    std::string float_text(double x) const {
        if (std::isnan(x)) return "nan";
        if (std::isinf(x)) return x < 0 ? "-inf" : "inf";
        if (scientific_) return fmt::format("{:.{}e}", x, precision);
        if (integral_) return fmt::format("{:.0f}.", x);
        return fmt::format("{:.{}f}", x, precision);
    }

    bool integral_ = true;
    bool scientific_ = false;
    size_t width_ = 1;
};

std::string format_vector(const Tensor& tensor, size_t indent, bool summarise, const ElementFormat& format) {
    std::vector<std::string> items;
    for_shown(
        tensor.shape[0], summarise, [&](int64_t i) { items.push_back(format.padded(tensor.read_scalar(i))); },
        [&] { items.emplace_back(" ..."); });
    size_t room = line_width > indent ? line_width - indent : 0;
    size_t per_line = std::max<size_t>(1, room / (format.width() + 2));
    std::string text = "[";
    for (size_t i = 0; i < items.size(); ++i) {
        if (i > 0) text += i % per_line == 0 ? ",\n" + std::string(indent + 1, ' ') : ", ";
        text += items[i];
    }
    return text + "]";
}

std::string format_nested(const Tensor& tensor, size_t indent, bool summarise, const ElementFormat& format) {
    if (tensor.rank() == 0) return format.padded(tensor.read_scalar());
    if (tensor.rank() == 1) return format_vector(tensor, indent, summarise, format);
    std::string separator = "," + std::string(tensor.rank() - 1, '\n') + std::string(indent + 1, ' ');
    std::string text = "[";
    auto add = [&](const std::string& item) {
        if (text.size() > 1) text += separator;
        text += item;
    };
    for_shown(
        tensor.shape[0], summarise,
        [&](int64_t i) { add(format_nested(tensor.select(0, i), indent + 1, summarise, format)); },
        [&] { add("..."); });
    return text + "]";
}

}  // namespace

std::string to_string(const Tensor& tensor, std::span<const std::string> suffixes) {
    static constexpr std::string_view prefix = "tensor(";
    std::string text(prefix);
    std::vector<std::string> all_suffixes;
    bool names_dtype = tensor.dtype != DType::f32;
    int64_t count = tensor.numel();
    if (count == 0) {
        text += "[]";
        if (tensor.rank() != 1) all_suffixes.push_back("size=" + shape_to_string(tensor.shape));
    } else {
        names_dtype &= tensor.dtype != DType::i64 && tensor.dtype != DType::boolean;
        bool summarise = count > summarised_above;
        text += format_nested(tensor, prefix.size(), summarise, ElementFormat(tensor, summarise));
    }
    if (tensor.device().kind != Device::cpu) all_suffixes.push_back("device=" + name_of(tensor.device()));
    if (names_dtype) all_suffixes.push_back(fmt::format("dtype={}", name_of(tensor.dtype)));
    all_suffixes.insert(all_suffixes.end(), suffixes.begin(), suffixes.end());

    size_t last_newline = text.rfind('\n');
    size_t column = last_newline == std::string::npos ? text.size() + 2 : text.size() - last_newline + 1;
    for (const std::string& suffix : all_suffixes) {
        if (column + suffix.size() + 2 > line_width) {
            text += ",\n" + std::string(prefix.size(), ' ') + suffix;
            column = prefix.size() + suffix.size();
        } else {
            text += ", " + suffix;
            column += suffix.size() + 2;
        }
    }
    return text + ")";
}

}  // namespace tenon
