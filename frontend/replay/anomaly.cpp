#include "frontend/replay/anomaly.h"

#include <optional>
#include <string>

#include <fmt/format.h>

#include "frontend/compile/graph_cache.h"
#include "frontend/record/tracer.h"
#include "ir/row.h"
#include "runtime/diagnostic.h"

namespace tenon {

namespace {

// "nan at [1, 0]"; nothing where all elements are finite.
std::optional<std::string> first_not_finite(Tracer& tracer, const TensorRef& x) {
    if (!is_float(x->dtype())) return std::nullopt;
    Dispatcher& d = tracer.dispatcher();
    const Dispatcher::GradMode mode(d, false);
    const auto holds = [&](Op op, int64_t element) {
        const Tensor answer = d.elements(*d.apply(op, {x}), "detect_anomaly").contiguous();
        const auto* flags = answer.data<bool>();
        for (int64_t k = element < 0 ? 0 : element; k < (element < 0 ? answer.numel() : element + 1); ++k) {
            if (flags[k] == (element >= 0)) return k;
        }
        return int64_t{-1};
    };
    const int64_t at = holds(op<"isfinite">(), -1);  // the first that is not
    if (at < 0) return std::nullopt;
    const bool is_nan = holds(op<"isnan">(), at) >= 0;
    std::string place;
    int64_t rest = at;
    for (size_t k = x->rank(); k-- > 0; rest /= x->shape()[k])
        place = fmt::format("{}{}{}", rest % x->shape()[k], place.empty() ? "" : ", ", place);
    return fmt::format("{}{}", is_nan ? "nan" : "infinite", place.empty() ? "" : fmt::format(" at [{}]", place));
}

}  // namespace

void check_finite(Tracer& tracer, const TapeEntry& entry, std::span<const TensorRef> produced, Span backward) {
    for (size_t k = 0; k < produced.size(); ++k) {
        const auto found = produced[k] ? first_not_finite(tracer, produced[k]) : std::nullopt;
        if (!found) continue;
        const size_t count = operand_count(entry);
        Diagnostic diagnostic{
            "gradient",
            fmt::format("the gradient of {}{} is {}", name_of(entry),
                        count > 1 ? fmt::format(" by its operand {}", operand_of(entry, k) + 1) : "", *found),
            entry.span ? entry.span : backward,
            {},
            "what came to it was finite: its formula divides by zero, or leaves the range, at these values"};
        if (entry.span && backward) {
            diagnostic.labels.push_back(
                {entry.span, fmt::format("{} of {}", describe_type(*produced[k]), name_of(entry))});
            diagnostic.labels.push_back({backward, "in this backward"});
        }
        throw Error(std::move(diagnostic));
    }
}

void check_finite(Tracer& tracer, const TensorRef& cotangent, Span backward) {
    const auto found = first_not_finite(tracer, cotangent);
    if (!found) return;
    throw Error(Diagnostic{"gradient",
                           fmt::format("the gradient that backward begins with is {}", *found),
                           backward,
                           {},
                           "look at what `grad:` is"});
}

}  // namespace tenon
