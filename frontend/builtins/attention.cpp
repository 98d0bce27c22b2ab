#include "frontend/builtins/attention.h"

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "frontend/builtins/tensor.h"
#include "frontend/record/capture_trace.h"
#include "frontend/regions/pair_functions.h"
#include "frontend/values/function.h"
#include "frontend/values/generator.h"
#include "ir/regions.h"
#include "runtime/diagnostic.h"

namespace tenon {

namespace {

// The dimensions before the last two, which the operands broadcast to: of each the size that is not 1.
Sizes leading_sizes(Dispatcher& d, std::span<const TensorRef> operands) {
    size_t rank = 2;
    for (const TensorRef& x : operands) rank = std::max(rank, x->rank());
    Sizes leading(rank - 2, Size(1));
    for (const TensorRef& x : operands) {
        for (size_t k = 0; k + 2 < x->rank(); ++k) {
            Size& size = leading[rank - x->rank() + k];
            if (size.value == 1) size = d.size(*x, k);
        }
    }
    return leading;
}

class AttentionCall {
public:
    explicit AttentionCall(TensorCall& c)
        : c_(c), d_(c.d), causal_(c.flag(4, "causal")), dropout_(c.has(6) ? c.arguments.number(6, "dropout") : 0) {
        if (!(dropout_ >= 0 && dropout_ < 1))
            throw Error(Diagnostic{"value",
                                   fmt::format("dropout of attention is a probability below 1, not {}", dropout_),
                                   c.arguments.span_of(6),
                                   {},
                                   "with `dropout: 0.1` a tenth of the weights are 0"});
        has_mask_function_ = is_function(3);
        has_score_ = is_function(5);
        if (c.has(5) && !has_score_)
            throw Error(Diagnostic{"type",
                                   fmt::format("score is a function, but this is {}", with_article(c[5].kind())),
                                   c.arguments.span_of(5),
                                   {},
                                   "score: fn(s, b, h, i, j) = s"});
        for (size_t k = 0; k < 3; ++k) operands_.push_back(c.tensor(k));
        if (c.has(3) && !has_mask_function_) mask_ = c.tensor(3);
    }

    Value run() {
        if (c_.has(7)) operands_[0] = ops::elementwise(d_, op<"mul">(), {operands_[0], c_.term(7)});
        const std::vector<TensorRef> both =
            has_score_ || has_mask_function_ || dropout_ > 0 ? with_functions() : plain();
        if (!c_.flag(8, "lse")) return both[0];
        return make_tuple({both[0], both[1]});
    }

private:
    bool is_function(size_t k) const { return c_.has(k) && !c_[k].is_tensor() && c_.evaluator.is_callable(c_[k]); }
    std::vector<TensorRef> all() const {
        std::vector<TensorRef> all = operands_;
        if (mask_) all.push_back(mask_);
        return all;
    }
    // q, k and v with the leading dimensions that they have in common.
    std::vector<TensorRef> broadcast(const Sizes& leading) const {
        std::vector<TensorRef> made = operands_;
        for (TensorRef& x : made) {
            if (x->rank() < 2) continue;  // which the row tells
            Sizes sizes = leading;
            for (size_t last = 2; last > 0; --last) sizes.push_back(d_.size(*x, x->rank() - last));
            x = ops::broadcast_to(d_, x, sizes);
        }
        return made;
    }
    std::vector<TensorRef> plain() const {
        std::vector<TensorRef> given = broadcast(leading_sizes(d_, all()));
        if (mask_) given.push_back(mask_);
        const std::vector<Arg> args(given.begin(), given.end());
        return d_.apply_all(op<"attention">(), args, d_.attr({{d_.context().name("causal"), AttrValue(causal_)}}));
    }

    // ---- with functions
    std::vector<TensorRef> with_functions() {
        for (const TensorRef& x : operands_)
            if (x->rank() < 2 || x->dtype() != operands_[0]->dtype() ||
                (x->dtype() != DType::f32 && x->dtype() != DType::f64))
                return plain();  // whose row tells what does not fit
        if (mask_ && mask_->dtype() != DType::boolean && mask_->dtype() != operands_[0]->dtype()) return plain();
        if (mask_) check_mask();
        for (int attempt = 0; attempt < 3; ++attempt) {
            const uint64_t before = serial();
            const PairRegions regions = trace();
            if (serial() != before) continue;
            std::vector<TensorRef> everything = all();
            everything.insert(everything.end(), regions.captured.begin(), regions.captured.end());
            admit(everything);
            if (serial() != before) continue;
            return append(regions);
        }
        throw_error("graph", "the graph ended while the functions of attention were traced",
                    "compute what they read before the call");
    }
    // As the row `attention` does it: here the mask's elements are read one by one.
    void check_mask() const {
        Dims scores = values_of(leading_sizes(d_, all()));
        if (mask_->rank() > 4 || (scores.size() > 2 && mask_->rank() > 3))
            throw_error(
                "shape",
                "a mask of attention beside functions or dropout has the dimensions [batch, heads, t, s] at most",
                "with a function `mask(b, h, i, j)` it may read what it likes");
        for (size_t k : {0, 1}) scores.push_back(operands_[k]->shape()[operands_[k]->rank() - 2]);
        for (size_t k = 1; k <= mask_->rank(); ++k) {
            const int64_t size = mask_->shape()[mask_->rank() - k];
            if (size == 1 || (k <= scores.size() && size == scores[scores.size() - k])) continue;
            throw_error("shape", fmt::format("attention takes a mask that broadcasts to the scores {}, but it is {}",
                                             shape_to_string(scores), describe_type(*mask_)));
        }
    }
    uint64_t serial() const { return c_.tracer.capturing() ? c_.tracer.capture().serial() : 0; }
    void admit(const std::vector<TensorRef>& tensors) {
        if (!c_.tracer.capturing()) return;
        std::vector<TensorObject*> pointers;
        for (const TensorRef& x : tensors) pointers.push_back(x.get());
        c_.tracer.capture().admit(pointers);
    }
    PairRegions trace() {
        const DType dtype = operands_[0]->dtype();
        const auto call = [&](size_t k, std::span<const TensorRef> numbers, DType result) {
            const Span span = d_.span();
            const Values arguments(numbers.begin(), numbers.end());
            const Value returned = c_.evaluator.call(c_[k], arguments);
            d_.set_span(span);
            return as_tensor(returned, result, k == 5 ? "score" : "mask");
        };
        const auto score = [&](std::span<const TensorRef> numbers) {
            const TensorRef s = has_score_ ? call(5, numbers, dtype) : numbers[0];
            return mask_ && mask_->dtype() != DType::boolean
                       ? ops::elementwise(d_, op<"add">(), {s, element_of_mask(numbers.subspan(1))})
                       : s;
        };
        const auto mask = [&](std::span<const TensorRef> numbers) {
            return has_mask_function_ ? call(3, numbers, DType::boolean) : element_of_mask(numbers);
        };
        const PairFunction score_function(score), mask_function(mask);
        const bool adds = mask_ && mask_->dtype() != DType::boolean, hides = mask_ && !adds;
        return trace_pair_functions(c_.tracer, dtype, has_score_ || adds ? &score_function : nullptr,
                                    has_mask_function_ || hides ? &mask_function : nullptr, written(5), written(3));
    }
    Span written(size_t k) const {
        const auto* function = c_.has(k) ? c_[k].try_as<FunctionObject>() : nullptr;
        return function ? function->function.span : c_.arguments.span_of(k);
    }
    // A number of the host is one for all pairs.
    TensorRef as_tensor(const Value& value, DType dtype, std::string_view what) const {
        if (value.is_tensor()) return value.ref<TensorObject>();
        const ops::Term term = ops::term_of(d_, value, false, fmt::format("what the {} function gives", what));
        return ops::full(d_, ops::fitting(d_, term, dtype), dtype, {});
    }
    // Where the mask has a dimension of one element it is the same along it.
    TensorRef element_of_mask(std::span<const TensorRef> numbers) const {
        TensorRef x = mask_;
        for (size_t k = 4 - x->rank(); k < 4; ++k) {
            const bool one = x->shape()[0] == 1;
            x = one ? ops::select(d_, x, 0, Size(0))
                    : d_.apply(op<"take">(), {x, numbers[k]}, d_.attr({{d_.names().axis, AttrValue(int64_t{0})}}));
        }
        return x;
    }
    // The row takes [batch, heads, …, …]: the leading dimensions but the last are one there.
    std::vector<TensorRef> append(const PairRegions& regions) {
        const Sizes leading = leading_sizes(d_, all());
        std::vector<TensorRef> given = broadcast(leading);
        if (leading.size() != 2)
            for (TensorRef& x : given) {
                Sizes sizes = in_two(leading);
                for (size_t last = 2; last > 0; --last) sizes.push_back(d_.size(*x, x->rank() - last));
                x = ops::reshape(d_, x, sizes);
            }
        const FlexForm form(causal_, dropout_);
        if (dropout_ > 0) draw(given);
        given.insert(given.end(), regions.captured.begin(), regions.captured.end());
        std::vector<TensorRef> both = d_.apply_all(op<"flex_attention">(), given, form.attr(d_.context()),
                                                   std::vector{regions.score, regions.mask});
        if (leading.size() == 2) return both;
        for (TensorRef& x : both) {
            Sizes sizes = leading;
            for (size_t k = 2; k < x->rank(); ++k) sizes.push_back(d_.size(*x, k));
            x = ops::reshape(d_, x, sizes);
        }
        return both;
    }
    Sizes in_two(const Sizes& leading) const {
        if (leading.empty()) return {Size(1), Size(1)};
        if (leading.size() == 1) return {Size(1), leading[0]};
        Size batch = leading[0];
        for (size_t k = 1; k + 1 < leading.size(); ++k)
            batch = {batch.value * leading[k].value, d_.context().mul(batch.id, leading[k].id),
                     std::max(batch.serial, leading[k].serial)};
        return {batch, leading.back()};
    }
    void draw(std::vector<TensorRef>& given) {
        int64_t count = given[1]->shape()[2];
        for (size_t k = 0; k < 3; ++k) count *= given[0]->shape()[k];
        if (c_.tracer.capturing()) count *= c_.tracer.capture().trace().examples();
        Generator& generator = c_.tracer.changing_generator();
        for (int64_t number : {generator.key(), generator.draw(count)})
            given.push_back(ops::scalar(d_, Scalar(number), DType::i64, false));
    }

    TensorCall& c_;
    Dispatcher& d_;
    const bool causal_;
    const double dropout_;
    bool has_score_ = false, has_mask_function_ = false;
    std::vector<TensorRef> operands_;
    TensorRef mask_;
};

}  // namespace

Value attention(Evaluator& e, Arguments& a) {
    TensorCall c(e, a);
    return AttentionCall(c).run();
}

}  // namespace tenon
