#include "frontend/builtins/tensor.h"

#include <fmt/format.h>

#include "frontend/ops/tensor_data.h"
#include "runtime/diagnostic.h"

namespace tenon {

TensorRef TensorCall::tensor(size_t k) const {
    const Value& value = arguments[k];
    if (value.is_tensor()) return value.ref<TensorObject>();
    const ops::Term number = term(k);
    return number.tensor ? ops::cast(d, number.tensor, number.dtype()) : ops::full(d, number, number.dtype(), {});
}

ops::Term TensorCall::term(size_t k) const {
    try {
        return ops::term_of(d, arguments[k], arguments.is_literal(k), "this argument");
    } catch (Error& error) {
        if (!error.diagnostic.span) error.diagnostic.span = arguments.span_of(k);
        throw;
    }
}

// What `read` makes of one int, or of each in lists.
template <class Row, class Read>
static void append_ints(const Evaluator& evaluator, const Value& value, Row& row, Read read) {
    const Values* items = items_of(value);
    if (!items) return row.push_back(read(value));
    evaluator.check_stack(evaluator.here());  // a list may hold itself
    for (const Value& item : *items) append_ints(evaluator, item, row, read);
}

Dims TensorCall::dims(size_t k, const TensorRef& x) const {
    if (!has(k)) return ops::all_axes(x);
    Dims named = axes(k);
    if (x->rank() > 0) return named;
    for (int64_t dim : named) ops::check_dim_of_scalar(dim);
    return {};
}

Dims TensorCall::axes(size_t k) const {
    Dims dims;
    append_ints(evaluator, arguments[k], dims, [&](const Value& dim) { return ops::int_of(d, dim, "a dimension"); });
    return dims;
}

std::optional<DType> TensorCall::dtype(size_t k) const {
    if (!has(k)) return std::nullopt;
    if (arguments[k].is(Kind::dtype)) return arguments[k].as_dtype();
    throw Error(Diagnostic{"type",
                           fmt::format("a dtype is expected here, but this is {}", with_article(arguments[k].kind())),
                           arguments.span_of(k),
                           {},
                           "for example `dtype: f64`"});
}

Sizes TensorCall::sizes(size_t k) const {
    Sizes sizes;
    if (!arguments.has(k)) return sizes;
    append_ints(evaluator, arguments[k], sizes, [&](const Value& size) { return ops::size_of(d, size, "a size"); });
    return sizes;
}

std::vector<TensorRef> TensorCall::tensor_list(size_t k) const {
    const Values* items = items_of(arguments[k]);
    std::vector<TensorRef> list;
    if (!items) {
        throw Error(Diagnostic{
            "type",
            fmt::format("a list of tensors is expected here, but this is {}", with_article(arguments[k].kind())),
            arguments.span_of(k),
            {},
            {}});
    }
    for (const Value& item : *items) {
        if (item.is_tensor()) list.push_back(item.ref<TensorObject>());
        else list.push_back(ops::make_tensor(d, item, std::nullopt));
    }
    return list;
}

void TensorCall::check_device(size_t k) const {
    if (!has(k)) return;
    if (arguments[k].is(Kind::device) && arguments[k].as_device() == Device{}) return;
    throw Error(
        Diagnostic{"value", "tensors live on the cpu only, so far", arguments.span_of(k), {}, "leave `device:` out"});
}

Value captured(Evaluator& e, Arguments& a, size_t function, std::string_view name,
               FunctionRef<Value(TensorCall&)> body) {
    auto run = [&] {
        TensorCall c(e, a);
        return body(c);
    };
    const auto* declared = a[function].try_as<FunctionObject>();
    if (!declared || !e.tracer().wants_capture(&declared->function)) return run();
    const CallSite site{e.here(), name, declared->function.name_span, &declared->function};
    return e.border().captured_call(site, run);
}

}  // namespace tenon
