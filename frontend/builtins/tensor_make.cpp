// Tensors out of nothing: constants, ranges, random numbers.
#include <cmath>
#include <cstring>

#include <fmt/format.h>

#include "frontend/methods/tables.h"
#include "frontend/builtins/tensor.h"
#include "frontend/ops/tensor_data.h"
#include "frontend/record/capture_trace.h"
#include "frontend/values/generator.h"
#include "runtime/diagnostic.h"

namespace tenon {

namespace {

using ops::Term;

// The options every factory takes, at the end of its parameters: dtype?, device?, requires_grad?
Value finish(TensorCall& c, const TensorRef& made, size_t device) {
    c.check_device(device);
    if (c.flag(device + 1, "requires_grad")) c.tracer.require_gradient(*made, true);
    return made;
}
#define FACTORY "dtype?, device?, requires_grad?"

template <int value>
Value constant(Evaluator& e, Arguments& a) {  // *sizes; FACTORY
    TensorCall c(e, a);
    return finish(c, ops::full(c.d, Term::literal(int64_t{value}), c.dtype_or(1, DType::f32), c.sizes(0)), 2);
}
template <int value>
Value constant_like(Evaluator& e, Arguments& a) {  // x; FACTORY
    TensorCall c(e, a);
    const TensorRef x = c.tensor(0);
    return finish(c, ops::full(c.d, Term::literal(int64_t{value}), c.dtype_or(1, x->dtype()), c.d.sizes(*x)), 2);
}
Value full(Evaluator& e, Arguments& a) {  // sizes, value; FACTORY
    TensorCall c(e, a);
    const Term value = c.term(1);
    return finish(c, ops::full(c.d, value, c.dtype_or(2, value.dtype()), c.sizes(0)), 3);
}
Value full_like(Evaluator& e, Arguments& a) {  // x, value; FACTORY
    TensorCall c(e, a);
    const TensorRef x = c.tensor(0);
    return finish(c, ops::full(c.d, c.term(1), c.dtype_or(2, x->dtype()), c.d.sizes(*x)), 3);
}

Value tensor(Evaluator& e, Arguments& a) {  // data; FACTORY
    TensorCall c(e, a);
    return finish(c, ops::make_tensor(c.d, c[0], c.dtype(1)), 2);
}

// start + k · step for k = 0, 1, … below stop. Floats are computed in f64 and rounded once.
Value arange(Evaluator& e, Arguments& a) {  // start, stop?, step?; FACTORY
    TensorCall c(e, a);
    const bool one = !c.has(1);
    auto is_int = [&](size_t k) { return !c.has(k) || host_kind(c[k]) == Kind::integer; };
    if (is_int(0) && is_int(1) && is_int(2)) {
        const bool moves = !one && ops::is_host_int(c[0]);  // then how far the other bound is away counts
        const Size start = one     ? Size(0)
                           : moves ? Size(c.integer(0, "a bound"))
                                   : ops::size_of(c.d, c[0], "a bound"),
                   stop = moves ? Size(c.integer(1, "a bound")) : ops::size_of(c.d, c[one ? 0 : 1], "a bound");
        const int64_t step = c.has(2) ? c.integer(2, "the step") : 1;
        if (step == 0) throw_error("value", "the step of arange cannot be 0");
        int64_t distance;
        if (__builtin_sub_overflow(stop.value, start.value, &distance) || distance == INT64_MIN)
            throw_error("overflow",
                        fmt::format("the numbers from {} to {} are too many for 64 bits", start.value, stop.value));
        Size count = step == 1 && stop.value >= start.value ? ops::subtract(c.d, stop, start) : Size(0);
        if (step != 1) count = ops::host_size(c.d, RangeObject(start.value, stop.value, step).size());
        else if (moves) count = ops::host_size(c.d, count.value);
        const DType dtype = c.dtype_or(3, DType::i64);
        TensorRef made = ops::iota(c.d, count, DType::i64);
        if (step != 1) made = ops::elementwise(c.d, op<"mul">(), {made, Term(Scalar(step), a.is_literal(2))});
        if (start.value != 0)
            made = ops::elementwise(c.d, op<"add">(), {made, Term(Scalar(start.value), a.is_literal(0))});
        return finish(c, ops::cast(c.d, made, dtype), 4);
    }
    auto number = [&](size_t k) {
        const Value value = c.border.settle(c[k], a.span_of(k));
        if (!value.is_number())
            throw_error("type", fmt::format("arange takes numbers, found {}", with_article(value.kind())));
        return value.as_number();
    };
    const double start = one ? 0 : number(0), stop = number(one ? 0 : 1), step = c.has(2) ? number(2) : 1;
    if (step == 0 || !std::isfinite((stop - start) / step))
        throw_error("value", "arange needs finite bounds and a step that is not 0");
    const double steps = std::max(0.0, std::ceil((stop - start) / step));
    if (steps >= 0x1p63) throw_error("memory", fmt::format("the {} numbers of arange do not fit in memory", steps));
    const auto count = static_cast<int64_t>(steps);
    TensorRef made = ops::iota(c.d, Size(count), DType::f64);
    made = ops::elementwise(c.d, op<"mul">(), {made, Term::literal(step)});
    made = ops::elementwise(c.d, op<"add">(), {made, Term::literal(start)});
    return finish(c, ops::cast(c.d, made, c.dtype_or(3, DType::f32)), 4);
}
Value linspace(Evaluator& e, Arguments& a) {  // start, stop, count; FACTORY
    TensorCall c(e, a);
    const double start = a.number(0, "start"), stop = a.number(1, "stop");
    const int64_t count = c.integer(2, "how many");
    if (count < 0) throw_error("value", fmt::format("linspace makes 0 or more numbers, not {}", count));
    // From both ends towards the middle, so that the last one is `stop` itself.
    const TensorRef k = ops::iota(c.d, Size(count), DType::f64);
    const double step = count > 1 ? (stop - start) / static_cast<double>(count - 1) : 0;
    const TensorRef up = ops::elementwise(
        c.d, op<"add">(), {ops::elementwise(c.d, op<"mul">(), {k, Term::literal(step)}), Term::literal(start)});
    const TensorRef left =
        ops::elementwise(c.d, op<"sub">(), {ops::scalar(c.d, Scalar(static_cast<double>(count - 1)), DType::f64), k});
    const TensorRef down = ops::elementwise(
        c.d, op<"sub">(),
        {ops::scalar(c.d, Scalar(stop), DType::f64), ops::elementwise(c.d, op<"mul">(), {left, Term::literal(step)})});
    const TensorRef first_half =
        ops::elementwise(c.d, op<"less">(), {k, Term::literal(static_cast<double>(count == 1 ? 1 : count / 2))});
    return finish(c, ops::cast(c.d, ops::where(c.d, first_half, up, down), c.dtype_or(3, DType::f32)), 4);
}
Value eye(Evaluator& e, Arguments& a) {  // n, m?; FACTORY
    TensorCall c(e, a);
    const Size n = ops::size_of(c.d, c[0], "a size"), m = c.has(1) ? ops::size_of(c.d, c[1], "a size") : n;
    const TensorRef rows = ops::unsqueeze(c.d, ops::iota(c.d, n, DType::i64), 1),
                    columns = ops::iota(c.d, m, DType::i64);
    return finish(c, ops::cast(c.d, ops::elementwise(c.d, op<"equal">(), {rows, columns}), c.dtype_or(2, DType::f32)),
                  3);
}

// ---- random -------------------------------------------------------------------------------------------------------
TensorRef random(TensorCall& c, Op kind, DType dtype, const Sizes& sizes) {
    for (const Size& size : sizes) {
        if (size.value < 0) throw_error("shape", fmt::format("a size cannot be negative, but one is {}", size.value));
    }
    // Under vmap for all examples: each has numbers of its own.
    Dims drawn = values_of(sizes);
    if (c.tracer.capturing()) drawn.push_back(c.tracer.capture().trace().examples());
    const int64_t count = checked_numel(drawn);
    Generator& generator = c.tracer.changing_generator();
    const Dispatcher::Names& n = c.d.names();
    const AttrId attr = c.d.attr({{n.sizes, c.d.list(std::span<const Size>(sizes))},
                                  {n.dtype, AttrValue(dtype)}});
    return c.d.apply(
        kind, {Arg::host(Scalar(generator.key()), DType::i64), Arg::host(Scalar(generator.draw(count)), DType::i64)},
        attr);
}
TensorRef random_float(TensorCall& c, bool normal, DType dtype, const Sizes& sizes) {
    if (!is_float(dtype))
        throw_error("dtype", fmt::format("random floats cannot be {}", name_of(dtype)), "randint makes random ints");
    return random(c, normal ? op<"random_normal">() : op<"random">(), dtype, sizes);
}
template <bool normal>
Value random_of(Evaluator& e, Arguments& a) {  // *sizes; FACTORY
    TensorCall c(e, a);
    return finish(c, random_float(c, normal, c.dtype_or(1, DType::f32), c.sizes(0)), 2);
}
template <bool normal>
Value random_like(Evaluator& e, Arguments& a) {  // x; FACTORY
    TensorCall c(e, a);
    const TensorRef x = c.tensor(0);
    return finish(c, random_float(c, normal, c.dtype_or(1, x->dtype()), c.d.sizes(*x)), 2);
}
Value randint(Evaluator& e, Arguments& a) {  // low, high, sizes?, or high, sizes; dtype?
    TensorCall c(e, a);
    const bool from_zero = c.has(1) && items_of(c[1]) && !c.has(2);
    const int64_t low = from_zero ? 0 : c.integer(0, "the lower bound"),
                  high = from_zero ? c.integer(0, "the upper bound") : c.integer(1, "the upper bound");
    if (high <= low)
        throw_error("value",
                    fmt::format("randint needs a lower bound below the upper one, but they are {} and {}", low, high));
    const TensorRef bits = random(c, op<"random">(), DType::i64, c.sizes(from_zero ? 1 : 2));
    const TensorRef within = ops::elementwise(c.d, op<"remainder">(), {bits, Term::literal(high - low)});
    const TensorRef made = low == 0 ? within : ops::elementwise(c.d, op<"add">(), {within, Term::literal(low)});
    return ops::cast(c.d, made, c.dtype_or(3, DType::i64));
}
Value randperm(Evaluator& e, Arguments& a) {
    TensorCall c(e, a);
    const TensorRef keys = random(c, op<"random">(), DType::i64, {ops::size_of(c.d, c[0], "how many")});
    return c.d.apply(op<"argsort">(), {keys},
                     c.d.attr({{c.d.names().axis, AttrValue(int64_t{0})}, {c.d.names().descending, AttrValue(false)}}));
}
Value bernoulli(Evaluator& e, Arguments& a) {  // probabilities
    TensorCall c(e, a);
    const TensorRef p = c.tensor(0);
    const TensorRef u = random_float(c, false, DType::f32, c.d.sizes(*p));
    return ops::cast(c.d, ops::elementwise(c.d, op<"less">(), {u, p}), p->dtype());
}
// The largest number of a float dtype below a bound.
double largest_below(double bound, DType dtype) {
    return visit_dtype(dtype, [&]<class T>() -> double {
        const T near = convert<T>(bound);
        if (static_cast<double>(near) < bound) return static_cast<double>(near);
        if constexpr (std::is_floating_point_v<T>) {
            return std::nextafter(near, -std::numeric_limits<T>::infinity());
        } else if constexpr (requires { near.bits; }) {  // f16, bf16: a sign and a magnitude
            const bool zero = (near.bits & 0x7fff) == 0, negative = near.bits >> 15;
            return T::from_bits(static_cast<uint16_t>(zero ? 0x8001 : near.bits + (negative ? 1 : -1)));
        } else {
            return bound;
        }
    });
}
template <bool normal>
Value fill_random(Evaluator& e, Arguments& a) {  // uniform_(x, low?, high?), normal_(x, mean?, std?)
    TensorCall c(e, a);
    const TensorRef x = c.tensor(0);
    const double first = a.number_or(1, 0, "a number"), second = a.number_or(2, 1, "a number");
    if (!normal && !(first <= second))
        throw_error(
            "value",
            fmt::format("uniform_ needs a lower bound up to the upper one, but they are {} and {}", first, second),
            "write the smaller one first");
    TensorRef made = random_float(c, normal, x->dtype(), c.d.sizes(*x));
    made = ops::elementwise(c.d, op<"mul">(),
                            {made, Term(Scalar(normal ? second : second - first), a.is_literal(1) && a.is_literal(2))});
    made = ops::elementwise(c.d, op<"add">(), {made, Term(Scalar(first), a.is_literal(1))});
    if (!normal && first < second) {  // rounding may have reached the upper bound
        const Term last(Scalar(largest_below(second, x->dtype())), a.is_literal(2));
        made = ops::elementwise(c.d, op<"minimum">(), {made, last});
    }
    ops::assign(c.d, x, made);
    return c[0];
}
Value seed(Evaluator& e, Arguments& a) {
    TensorCall c(e, a);
    c.tracer.changing_generator().seed(c.integer(0, "a seed"));
    return {};
}

Value memory(Evaluator& e, Arguments& a) {
    TensorCall c(e, a);
    c.check_device(0);
    const MemoryStatistics s = c.tracer.allocator().statistics();
    return make_ref<RecordObject>("memory", std::vector<RecordObject::Field>{{"current", Value(s.current)},
                                                                             {"peak", Value(s.peak)},
                                                                             {"reserved", Value(s.reserved)},
                                                                             {"allocations", Value(s.allocations)},
                                                                             {"reused", Value(s.reused)}});
}

const Builtin tensor_make_table[] = {
    {"zeros", "*sizes; " FACTORY, any_kind, constant<0>, takes_sizes,
     "a tensor of these sizes, all 0; f32 by default, as of all that follow"},
    {"ones", "*sizes; " FACTORY, any_kind, constant<1>, takes_sizes, "a tensor of these sizes, all 1"},
    {"empty", "*sizes; " FACTORY, any_kind, constant<0>, takes_sizes, "the same as zeros: nothing is ever left unset"},
    {"zeros_like", "x; " FACTORY, tensors, constant_like<0>, 0, "zeros of x's shape and dtype"},
    {"ones_like", "x; " FACTORY, tensors, constant_like<1>, 0, "ones of x's shape and dtype"},
    {"empty_like", "x; " FACTORY, tensors, constant_like<0>, 0, "zeros of x's shape and dtype"},
    {"full", "sizes, value; " FACTORY, any_kind, full, takes_sizes,
     "a tensor of these sizes, all of the value, whose kind gives the dtype"},
    {"full_like", "x, value; " FACTORY, tensors, full_like, takes_symbolic, "of x's shape and dtype, all of the value"},
    {"tensor", "data; " FACTORY, any_kind, tensor, takes_symbolic,
     "a new tensor of a number, of nested lists of numbers, or of another tensor"},
    {"arange", "start, stop?, step?; " FACTORY, any_kind, arange, takes_sizes,
     "the numbers from start (0) up to, not including, stop: i64 of ints, else f32"},
    {"linspace", "start, stop, count; " FACTORY, any_kind, linspace, 0,
     "count numbers from start to stop, both included"},
    {"eye", "n, m?; " FACTORY, any_kind, eye, takes_sizes, "the identity matrix, n rows and m (n) columns"},
    {"rand", "*sizes; " FACTORY, any_kind, random_of<false>, reads_number | takes_sizes,
     "random numbers, uniform from 0 up to, not including, 1"},
    {"randn", "*sizes; " FACTORY, any_kind, random_of<true>, reads_number | takes_sizes,
     "random numbers, normal with mean 0 and variance 1"},
    {"rand_like", "x; " FACTORY, tensors, random_like<false>, reads_number, "rand of x's shape and dtype"},
    {"randn_like", "x; " FACTORY, tensors, random_like<true>, reads_number, "randn of x's shape and dtype"},
    {"randint", "low, high?, sizes?; dtype?", any_kind, randint, reads_number,
     "random ints from low up to, not including, high: randint(high, sizes), randint(low, high, sizes)"},
    {"randperm", "n", any_kind, randperm, reads_number, "the ints below n in a random order"},
    {"bernoulli", "x", tensors, bernoulli, reads_number, "1 with the probability that x has there, else 0"},
    {"uniform_", "x, low?, high?", tensors, fill_random<false>, reads_number,
     "fills x with random numbers from low (0) up to, not including, high (1)"},
    {"normal_", "x, mean?, std?", tensors, fill_random<true>, reads_number,
     "fills x with random numbers of this mean (0) and standard deviation (1)"},
    {"seed", "key", any_kind, seed, 0, "begins the random numbers anew; the same seed, the same numbers"},
    {"memory", "device?", any_kind, memory, breaks_graph,
     "how many bytes tensors hold: current, peak, reserved, and counts of allocations"},
};

}  // namespace

std::span<const Builtin> tensor_make_builtins() { return tensor_make_table; }

}  // namespace tenon
