// The iterators behind `for`, enumerate and zip.
#pragma once

#include <utility>
#include <vector>

#include "frontend/evaluate/evaluator.h"
#include "frontend/values/value.h"

namespace tenon {

/// The items of a list or tuple; what is appended on the way is seen.
class ItemIterator final : public IteratorObject {
public:
    explicit ItemIterator(Value sequence) : sequence_(std::move(sequence)) {}
    ~ItemIterator() override { dismantle(); }
    void visit_children(FunctionRef<void(const Value&)> visit) const override { visit(sequence_); }
    void take_children(Values& into) override { into.push_back(std::exchange(sequence_, {})); }
    bool next(Evaluator&, Value& value) override {
        const Values& items = *items_of(sequence_);
        if (at_ >= items.size()) return false;
        value = items[at_++];
        return true;
    }

private:
    Value sequence_;
    size_t at_ = 0;
};

/// Values made beforehand: the keys of a dict, the characters of a str.
class ValuesIterator final : public IteratorObject {
public:
    explicit ValuesIterator(Values values) : values_(std::move(values)) {}
    ~ValuesIterator() override {
        if (can_nest(values_)) dismantle();
    }
    void visit_children(FunctionRef<void(const Value&)> visit) const override {
        for (const Value& value : values_) visit(value);
    }
    void take_children(Values& into) override {
        for (Value& value : values_) into.push_back(std::exchange(value, {}));
    }
    bool next(Evaluator&, Value& value) override {
        if (at_ >= values_.size()) return false;
        value = std::move(values_[at_++]);
        return true;
    }

private:
    Values values_;
    size_t at_ = 0;
};

class RangeIterator final : public IteratorObject {
public:
    explicit RangeIterator(Ref<RangeObject> range) : range_(std::move(range)), size_(range_->size()) {}
    bool next(Evaluator&, Value& value) override {
        if (at_ >= size_) return false;
        value = range_->at(at_++);
        return true;
    }

private:
    Ref<RangeObject> range_;
    int64_t size_, at_ = 0;
};

/// The items of the tuple that `value` holds, where nobody else can see it and it is of this size: the next turn of a loop
/// writes into the tuple of the one before. Otherwise null.
inline Values* spent_tuple(const Value& value, size_t size) {
    auto* tuple = value.try_as<TupleObject>();
    return tuple && tuple->use_count() == 1 && tuple->items.size() == size ? &tuple->items : nullptr;
}

class EnumerateIterator final : public IteratorObject {
public:
    EnumerateIterator(Ref<IteratorObject> source, int64_t first) : source_(std::move(source)), first_(first) {
        stand_on(*source_);
    }
    ~EnumerateIterator() override { dismantle(); }
    void visit_children(FunctionRef<void(const Value&)> visit) const override {
        if (source_) visit(Value(*source_));
    }
    void take_children(Values& into) override {
        if (source_) into.push_back(std::move(source_));
    }
    bool next(Evaluator& evaluator, Value& value) override {
        if (Values* spent = spent_tuple(value, 2)) {
            if (!source_->next(evaluator, (*spent)[1])) return false;
            (*spent)[0] = number();
            return true;
        }
        Value item;
        if (!source_->next(evaluator, item)) return false;
        Values pair;
        pair.reserve(2);
        pair.emplace_back(number());
        pair.push_back(std::move(item));
        value = make_tuple(std::move(pair));
        return true;
    }

private:
    int64_t number() {
        int64_t number;
        if (__builtin_add_overflow(first_, count_++, &number))
            throw_error("overflow", "the next number of enumerate does not fit in an int (64 bits)");
        return number;
    }

    Ref<IteratorObject> source_;
    int64_t first_, count_ = 0;
};

class ZipIterator final : public IteratorObject {
public:
    explicit ZipIterator(std::vector<Ref<IteratorObject>> sources) : sources_(std::move(sources)) {
        for (const auto& source : sources_) stand_on(*source);
    }
    ~ZipIterator() override { dismantle(); }
    void visit_children(FunctionRef<void(const Value&)> visit) const override {
        for (const auto& source : sources_) visit(Value(*source));
    }
    void take_children(Values& into) override {
        for (auto& source : sources_) into.push_back(std::move(source));
        sources_.clear();
    }
    bool next(Evaluator& evaluator, Value& value) override {
        if (sources_.empty()) return false;
        if (Values* spent = spent_tuple(value, sources_.size())) {
            for (size_t i = 0; i < sources_.size(); ++i) {
                if (!sources_[i]->next(evaluator, (*spent)[i])) return false;
            }
            return true;
        }
        Values items(sources_.size());
        for (size_t i = 0; i < sources_.size(); ++i) {
            if (!sources_[i]->next(evaluator, items[i])) return false;
        }
        value = make_tuple(std::move(items));
        return true;
    }

private:
    std::vector<Ref<IteratorObject>> sources_;
};

/// A model with `fn next()`: what it returns, until none.
class ModelIterator final : public IteratorObject {
public:
    explicit ModelIterator(Value model) : model_(std::move(model)) {}
    ~ModelIterator() override { dismantle(); }
    void visit_children(FunctionRef<void(const Value&)> visit) const override { visit(model_); }
    void take_children(Values& into) override { into.push_back(std::exchange(model_, {})); }
    bool next(Evaluator& evaluator, Value& value) override {
        Value item = evaluator.call_method(model_, "next", {});
        if (item.is_none()) return false;
        value = std::move(item);
        return true;
    }

private:
    Value model_;
};

/// Calls `turn` with each value of what is at `span`, until it returns false. Ranges, lists and tuples need no iterator;
/// what is appended on the way is seen.
template <class Turn> void for_each_value(Evaluator& evaluator, const Value& iterable, Span span, Turn turn) {
    if (auto* range = iterable.try_as<RangeObject>()) {
        for (int64_t i = 0, size = range->size(); i < size && turn(range->at(i)); ++i) {}
        return;
    }
    if (const Values* items = items_of(iterable)) {
        for (size_t i = 0; i < items->size(); ++i) {
            if (!turn(Value((*items)[i]))) return;  // a copy: the turn may change the list
        }
        return;
    }
    Ref<IteratorObject> iterator;
    try {
        iterator = evaluator.iterate(iterable);
    } catch (Error& error) {
        if (!error.diagnostic.span) error.diagnostic.span = span;
        throw;
    }
    Value item;
    while (iterator->next(evaluator, item) && turn(item)) {}
}

}  // namespace tenon
