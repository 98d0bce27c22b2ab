// What the built-ins of the tensor world share: reading their arguments.
#pragma once

#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "frontend/evaluate/evaluator.h"
#include "frontend/ops/tensor_ops.h"
#include "frontend/values/builtin.h"

namespace tenon {

inline constexpr KindSet tensors = kinds(Kind::tensor);
inline constexpr KindSet tensors_and_numbers =
    kinds(Kind::tensor, Kind::integer, Kind::real, Kind::boolean);

/// One call of a tensor built-in. Arguments are numbered as its parameters are.
class TensorCall {
public:
    TensorCall(Evaluator& evaluator_, Arguments& arguments_)
        : evaluator(evaluator_), arguments(arguments_), tracer(evaluator_.tracer()), border(evaluator_.border()),
          d(tracer.dispatcher()), operation(d, arguments.values) {
        d.set_span(arguments.span);
    }
    Evaluator& evaluator;
    Arguments& arguments;
    Tracer& tracer;
    Border& border;
    Dispatcher& d;
    Dispatcher::Operation operation;

    bool has(size_t k) const { return arguments.has(k) && !arguments[k].is_none(); }
    const Value& operator[](size_t k) const { return arguments[k]; }
    /// A tensor; a number becomes a 0-dim one.
    TensorRef tensor(size_t k) const;
    ops::Term term(size_t k) const;
    int64_t integer(size_t k, std::string_view what) const { return ops::int_of(d, arguments[k], what); }
    int64_t integer_or(size_t k, int64_t otherwise, std::string_view what) const {
        return has(k) ? integer(k, what) : otherwise;
    }
    bool flag(size_t k, std::string_view what) const {
        if (arguments[k].is_symbolic()) arguments[k] = border.settle(arguments[k], arguments.span_of(k));
        return arguments.flag_or(k, false, what);
    }
    std::optional<int64_t> dim(size_t k) const {
        return has(k) ? std::optional(integer(k, "a dimension")) : std::nullopt;
    }
    /// An int or a list of ints; all dimensions of x where it was not given.
    Dims dims(size_t k, const TensorRef& x) const;
    std::optional<DType> dtype(size_t k) const;
    DType dtype_or(size_t k, DType otherwise) const { return dtype(k).value_or(otherwise); }
    /// `zeros(3, 4)` or `zeros([3, 4])`: k is a `*sizes` parameter, or one that holds a list or an int.
    Sizes sizes(size_t k) const;
    Dims axes(size_t k) const;
    std::vector<TensorRef> tensor_list(size_t k) const;
    /// Throws for devices that are not there.
    void check_device(size_t k) const;
};

/// What calls its argument number `function` many times. At the top of a script the whole of it is one graph, as a call
/// of a captured function is.
Value captured(Evaluator& evaluator, Arguments& arguments, size_t function, std::string_view name,
               FunctionRef<Value(TensorCall&)> body);

/// x along one dimension. A 0-dim tensor is seen as one of a single element, along 0 or −1, and what comes of it is 0-dim
/// again.
struct Lifted {
    Lifted(TensorCall& call, const TensorRef& given, int64_t dim)
        : c(call), is_scalar(given->rank() == 0), x(is_scalar ? ops::unsqueeze(c.d, given, 0) : given),
          axis(is_scalar ? 0 : normalise_dim(dim, x->rank())) {
        if (is_scalar) ops::check_dim_of_scalar(dim);
    }
    TensorRef back(const TensorRef& result) const { return is_scalar ? ops::squeeze(c.d, result, 0) : result; }

    TensorCall& c;
    const bool is_scalar;
    const TensorRef x;
    const int64_t axis;
};
}  // namespace tenon
