// Iterating, and all items at once.
#include <fmt/format.h>

#include "frontend/evaluate/evaluator.h"
#include "frontend/evaluate/host_iterators.h"
#include "frontend/evaluate/session.h"
#include "frontend/values/errors.h"
#include "frontend/values/format_spec.h"

namespace tenon {

namespace {

/// The rows of a tensor.
class TensorIterator final : public IteratorObject {
public:
    TensorIterator(Value tensor, int64_t size, Span span) : tensor_(std::move(tensor)), size_(size), span_(span) {}
    bool next(Evaluator& evaluator, Value& value) override {
        if (at_ >= size_) return false;
        value = evaluator.border().index(tensor_, Value(at_++), span_);
        return true;
    }

private:
    Value tensor_;
    int64_t size_, at_ = 0;
    Span span_;
};

}  // namespace

Ref<IteratorObject> Evaluator::iterate(const Value& value) {
    switch (value.kind()) {
        case Kind::list:
        case Kind::tuple: return make_ref<ItemIterator>(value);
        case Kind::range: return make_ref<RangeIterator>(value.ref<RangeObject>());
        case Kind::iterator: return value.ref<IteratorObject>();
        case Kind::tensor: return make_ref<TensorIterator>(value, border_.length(value, here_), here_);
        case Kind::dict: {
            Values keys;
            for (const auto& entry : value.as<DictObject>().entries()) keys.push_back(entry.key);
            return make_ref<ValuesIterator>(std::move(keys));
        }
        case Kind::string: {
            const std::string& text = text_of(value);
            Values characters;
            for (size_t at = 0; at < text.size();) {
                check_interrupt();
                size_t end = at + byte_of_character(std::string_view(text).substr(at), 1);
                characters.push_back(make_text(std::string_view(text).substr(at, end - at)));
                at = end;
            }
            return make_ref<ValuesIterator>(std::move(characters));
        }
        case Kind::model:
            check_stack(here_);  // what it iterates over may be the model itself
            if (has_method(value, "next")) return make_ref<ModelIterator>(value);
            if (has_method(value, "iterate")) return iterate(call_method(value, "iterate", {}));
            if (Value* layers = value.as<ModelObject>().find("layers")) return iterate(*layers);
            break;
        default: break;
    }
    throw_error("type", fmt::format("{} cannot be iterated over", semantics_.describe(value)),
                host_kind(value) == Kind::integer ? "write range(n)"
                : value.is<ModelObject>()         ? "a model is iterated over through its `fn next()`"
                                                  : "");
}

Values Evaluator::collect(const Value& value) {
    if (const Values* items = items_of(value)) return *items;
    Values out;
    constexpr int64_t most_items = int64_t{1} << 28;
    if (auto* range = value.try_as<RangeObject>(); range && range->size() > most_items) {
        throw_error("memory",
                    fmt::format("the {} ints of {} do not fit in memory", range->size(), semantics_.repr(value)));
    }
    auto source = iterate(value);
    Value item;
    while (source->next(*this, item)) {
        check_interrupt();
        out.push_back(std::move(item));
    }
    return out;
}

}  // namespace tenon
