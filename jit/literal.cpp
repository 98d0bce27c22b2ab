#include "jit/literal.h"

#include <limits>

#include <fmt/format.h>

#include "runtime/diagnostic.h"

namespace tenon {

Literal literal_of(const Graph& graph, NodeId constant) {
    const auto& value = graph.attributes(constant).find("value")->value;
    if (const auto* truth = std::get_if<bool>(&value)) return {double(*truth), *truth};
    if (const auto* integer = std::get_if<int64_t>(&value)) return {double(*integer), *integer};
    return {std::get<double>(value), 0};
}

Scalar scalar_of(const Graph& graph, NodeId constant) {
    const auto& value = graph.attributes(constant).find("value")->value;
    if (const auto* truth = std::get_if<bool>(&value)) return *truth;
    if (const auto* integer = std::get_if<int64_t>(&value)) return *integer;
    return std::get<double>(value);
}

Literal fold_identity(std::string_view op, DType dtype) {
    if (op == "add") return {-0.0, 0};
    if (op == "mul" || op == "logical_and") return {1, 1};
    if (op == "logical_or") return {0, 0};
    if (op != "maximum" && op != "minimum") throw_error("internal", fmt::format("no fold by {}", op));
    constexpr double infinity = std::numeric_limits<double>::infinity();
    const bool largest = op == "minimum";
    if (is_float(dtype)) return {largest ? infinity : -infinity, 0};
    if (dtype == DType::boolean) return {0, largest};
    const int64_t top = is_signed(dtype) ? int64_t((uint64_t(1) << (8 * size_of(dtype) - 1)) - 1) : 255;
    return {0, largest ? top : is_signed(dtype) ? -top - 1 : 0};
}

}  // namespace tenon
