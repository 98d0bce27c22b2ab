// Fields and items: `x.name`, `x[key]`, and their assignment.
#include <fmt/format.h>

#include "frontend/evaluate/evaluator.h"
#include "frontend/evaluate/session.h"
#include "frontend/resolve/resolver.h"
#include "frontend/resolve/suggestions.h"
#include "frontend/values/errors.h"
#include "frontend/values/host_operators.h"
#include "frontend/values/positions.h"

namespace tenon {

// ---- attributes ---------------------------------------------------------------------------------------------------

Value Evaluator::get_attribute(const Value& object, Symbol name, Span span) {
    switch (object.kind()) {
        case Kind::model: {
            auto& model = object.as<ModelObject>();
            int slot = model.model_class->field_slot(name);
            if (slot >= 0 && !model.fields[static_cast<size_t>(slot)].is_unset())
                return model.fields[static_cast<size_t>(slot)];
            if (const Value* packed = model.find_packed(name_of(name))) return *packed;
            break;
        }
        case Kind::tensor:
            if (std::optional<Value> value = border_.attribute(object, name_of(name), span)) return std::move(*value);
            break;
        case Kind::dict:
            if (const Value* value = object.as<DictObject>().find(std::string_view(name_of(name)))) return *value;
            break;
        case Kind::record:
            if (const Value* value = object.as<RecordObject>().find(name_of(name))) return *value;
            break;
        case Kind::range: {
            auto& range = object.as<RangeObject>();
            const std::string& field = name_of(name);
            if (field == "start") return range.start;
            if (field == "stop") return range.stop;
            if (field == "step") return range.step;
            break;
        }
        case Kind::slice: {
            auto& slice = object.as<SliceObject>();
            const std::string& field = name_of(name);
            if (field == "start") return slice.start;
            if (field == "stop") return slice.stop;
            if (field == "step") return slice.step;
            break;
        }
        case Kind::device:
            if (name_of(name) == "index") return int64_t{object.as_device().index};
            if (name_of(name) == "kind") return make_text(object.as_device().kind == Device::cpu ? "cpu" : "cuda");
            break;
        case Kind::dtype:
            if (name_of(name) == "name") return make_text(tenon::name_of(object.as_dtype()));
            if (name_of(name) == "size") return size_of(object.as_dtype());
            break;
        case Kind::function:
            if (name_of(name) == "name") return make_text(name_of(object.as<FunctionObject>().function.name));
            break;
        case Kind::model_class:
            if (name_of(name) == "name") return make_text(object.as<ModelClassObject>().name());
            break;
        default: break;
    }
    if (object.is_object()) {
        Value value;
        Span saved = std::exchange(here_, span);
        bool found = object.object().get_attribute(*this, name_of(name), value);
        here_ = saved;
        if (found) return value;
    }
    no_attribute(object, name, span);
}

void Evaluator::no_attribute(const Value& object, Symbol name, Span span) {
    const std::string& wanted = name_of(name);
    std::vector<Symbol> candidates;
    auto add = [&](std::string_view text) { candidates.push_back(symbols_.intern(text)); };
    std::string help;
    if (auto* model = object.try_as<ModelObject>()) {
        const ModelClassObject& model_class = *model->model_class;
        int slot = model_class.field_slot(name);
        if (slot >= 0) {
            throw_error_at(span, "name",
                           fmt::format("the field `{}` of {} has no value yet", wanted, model_class.name()));
        }
        if (model_class.method_number(name) >= 0) {
            help = fmt::format("`{}` is a method: call it, or write fn(x) = net.{}(x)", wanted, wanted);
        }
        for (Symbol field : model_class.model.fields) candidates.push_back(field);
    } else if (auto* dict = object.try_as<DictObject>()) {
        for (const auto& entry : dict->entries()) {
            if (entry.key.is<StringObject>()) add(text_of(entry.key));
        }
        if (help.empty()) help = fmt::format("d.get(\"{}\", default) gives a default", wanted);
    } else if (auto* record = object.try_as<RecordObject>()) {
        for (const auto& [field, value] : record->fields) add(field);
    } else if (object.is_tensor()) {
        for (std::string_view field : {"shape", "dtype", "device", "rank", "grad", "requires_grad", "T"}) add(field);
    }
    if (object.is_tensor()) help = advice_for_foreign_name(wanted);
    if (auto near = nearest_name(name, candidates, symbols_); near && (help.empty() || !object.is_tensor()))
        help = fmt::format("did you mean `{}`?", name_of(*near));
    if (help.empty() || object.is<DictObject>()) {
        const BuiltinGroup* group = builtins_.find_method(name);
        if (group && group->pick(host_kind(object), true))
            help = fmt::format("it is a function: write `.{}()`", wanted);
    }
    throw_error_at(span, object.is<DictObject>() ? "key" : "name",
                   object.is<DictObject>() ? fmt::format("the dict has no key \"{}\"", wanted)
                                           : fmt::format("{} has no field `{}`", semantics_.describe(object), wanted),
                   std::move(help));
}

void Evaluator::set_attribute(const Value& object, Symbol name, const Value& value, Span span) {
    switch (object.kind()) {
        case Kind::model: {
            auto& model = object.as<ModelObject>();
            int found = model.model_class->field_slot(name);
            if (found < 0) break;
            auto slot = static_cast<size_t>(found);
            if (model.roles[slot] == TensorRole::plain) return writes_.set_field(model, slot, value);
            // A param or buffer stays one, of the same type.
            bool is_buffer = model.roles[slot] == TensorRole::buffer;
            const auto* old = model.fields[slot].try_as<TensorObject>();
            const auto* fresh = value.try_as<TensorObject>();
            if (old && fresh && (old->dtype() != fresh->dtype() || old->shape() != fresh->shape())) {
                std::string kind = old->dtype() != fresh->dtype() ? "dtype" : "shape";
                throw_error_at(
                    span, std::move(kind),
                    fmt::format("the {} `{}` is {}, but the new value is {}", is_buffer ? "buffer" : "param",
                                name_of(name), semantics_.describe(model.fields[slot]), semantics_.describe(value)),
                    "a param keeps its shape and dtype");
            }
            bool is_held = fresh && fresh->role != TensorRole::plain;
            return writes_.set_field(model, slot, is_held ? value : hold_tensors(value, is_buffer, nullptr, span));
        }
        case Kind::dict: return writes_.set_entry(object.as<DictObject>(), make_text(name_of(name)), value);
        case Kind::tensor:
            if (border_.set_attribute(object, name_of(name), value, span)) return;
            break;
        default:
            if (object.is_object() && object.object().set_attribute(*this, name_of(name), value)) return;
    }
    std::string help;
    if (auto* model = object.try_as<ModelObject>()) {
        std::vector<Symbol> fields(model->model_class->model.fields.begin(), model->model_class->model.fields.end());
        auto near = nearest_name(name, fields, symbols_);
        help = near ? fmt::format("did you mean `{}`?", name_of(*near)) : "the fields of a model are made in its body";
    }
    throw_error_at(span, "name",
                   fmt::format("{} has no field `{}` to assign to", semantics_.describe(object), name_of(name)),
                   std::move(help));
}

// ---- items --------------------------------------------------------------------------------------------------------

// An int that is no literal of the source may be another at the next call: a graph takes it as a symbol.
void Evaluator::mark_host_ints(Value& value, const ast::Expr& expr) const {
    if (expr.is_literal) return;
    if (value.is_int()) {
        value = make_ref<SymbolicObject>(value.as_int());
    } else if (expr.kind == ast::ExprKind::list && !ast::as<ast::Sequence>(expr).has_spread) {
        Values& items = value.as<ListObject>().items;  // just made, nobody else holds it
        for (size_t k = 0; k < items.size(); ++k) mark_host_ints(items[k], *ast::as<ast::Sequence>(expr).items[k]);
    }
}

Value Evaluator::evaluate_key(const ast::Index& expr, const Value& object, Frame& frame) {
    const bool marks = object.is_tensor() && tracer_.capturing();
    auto number = [&](const ast::Expr& item) {
        Value value = evaluate(item, frame);
        if (marks && value.is_int()) mark_host_ints(value, item);
        return value;
    };
    auto part = [&](const ast::Expr* item) -> Value {
        if (!item) return {};
        if (item->kind != ast::ExprKind::slice) return number(*item);
        const auto& slice = ast::as<ast::Slice>(*item);
        auto bound = [&](const ast::Expr* e) { return e ? number(*e) : Value(); };
        Value low = bound(slice.low), high = bound(slice.high);
        return make_ref<SliceObject>(std::move(low), std::move(high),
                                     slice.step ? evaluate(*slice.step, frame) : Value());
    };
    if (!expr.is_tuple) return part(expr.items[0]);
    Values parts;
    for (const ast::Expr* item : expr.items) {
        if (item->kind == ast::ExprKind::spread) {
            for (Value& value : collect(evaluate(*ast::as<ast::Spread>(*item).value, frame)))
                parts.push_back(std::move(value));
        } else {
            parts.push_back(part(item));
        }
    }
    return make_tuple(std::move(parts));
}

Value Evaluator::as_key(const Value& key, Span span, int depth) {
    constexpr int deepest = 1000;  // no key is nested more deeply: hash_key says so
    if (key.is_symbolic()) return border_.settle(key, span);
    if (auto* slice = key.try_as<SliceObject>()) {
        if (!slice->start.is_object() && !slice->stop.is_object() && !slice->step.is_object()) return key;
        // Its parts are numbers, or no parts of a slice.
        auto part = [&](const Value& value) {
            return value.is_tensor() || value.is_symbolic() ? border_.settle(value, span) : value;
        };
        return make_ref<SliceObject>(part(slice->start), part(slice->stop), part(slice->step));
    }
    if (auto* tuple = key.try_as<TupleObject>()) {
        if (depth > deepest) return key;
        for (size_t i = 0; i < tuple->items.size(); ++i) {
            Value item = as_key(tuple->items[i], span, depth + 1);
            if (identical(item, tuple->items[i])) continue;
            Values items = tuple->items;
            items[i] = std::move(item);
            for (++i; i < items.size(); ++i) items[i] = as_key(items[i], span, depth + 1);
            return make_tuple(std::move(items));
        }
    }
    return key;
}

// Sequences are indexed by numbers; a tensor stands for the one it holds.
Value Evaluator::as_index(const Value& key, Span span) {
    return key.is_tensor() ? border_.settle(key, span) : as_key(key, span);
}

Value Evaluator::get_item(const Value& object, const Value& given, Span span) {
    if (object.is_tensor()) return border_.index(object, given, span);
    try {
        if (auto* dict = object.try_as<DictObject>()) {
            const Value key = as_key(given, span);
            if (const Value* value = dict->find(key)) return *value;
            throw_error("key", fmt::format("the dict has no key {}", semantics_.repr(key)),
                        "d.get(key, default) gives a default");
        }
        const Value key = as_index(given, span);
        if (const Values* items = items_of(object)) {
            if (key.is_int()) return (*items)[position_in(key.as_int(), items->size(), tenon::name_of(object.kind()))];
            if (auto* slice = key.try_as<SliceObject>()) {
                SliceBounds bounds = bounds_of(*slice, items->size());
                Values taken;
                for (int64_t i = 0; i < bounds.count; ++i)
                    taken.push_back((*items)[static_cast<size_t>(bounds.start + i * bounds.step)]);
                return object.is<ListObject>() ? make_list(std::move(taken)) : make_tuple(std::move(taken));
            }
            throw_error("type", fmt::format("an index of a {} is an int or a slice, found {}",
                                            tenon::name_of(object.kind()), semantics_.describe(key)));
        }
        if (auto* text = object.try_as<StringObject>()) return string_item(*text, key);
        if (auto* range = object.try_as<RangeObject>()) {
            if (key.is_int())
                return range->at(
                    static_cast<int64_t>(position_in(key.as_int(), static_cast<size_t>(range->size()), "range")));
            if (auto* slice = key.try_as<SliceObject>()) {
                SliceBounds bounds = bounds_of(*slice, static_cast<size_t>(range->size()));
                int64_t start, step, length, stop;
                if (__builtin_mul_overflow(bounds.start, range->step, &start) ||
                    __builtin_add_overflow(start, range->start, &start) ||
                    __builtin_mul_overflow(range->step, bounds.step, &step) ||
                    __builtin_mul_overflow(bounds.count, step, &length) || __builtin_add_overflow(start, length, &stop))
                    throw_error("overflow", "the bounds of this part of a range do not fit in 64 bits");
                return make_ref<RangeObject>(start, stop, step);
            }
        }
        if (object.is<ModelObject>()) {
            // A container of layers: `net[0]`.
            if (has_method(object, "get_item")) return call_method(object, "get_item", std::span(&key, 1));
            check_stack(span);  // the layers may be the model itself
            if (Value* layers = object.as<ModelObject>().find("layers")) return get_item(*layers, key, span);
        }
        Value value;
        if (object.is_object() && object.object().get_item(*this, key, value)) return value;
    } catch (Error& error) {
        if (!error.diagnostic.span) error.diagnostic.span = span;
        throw;
    }
    throw_error_at(span, "type", fmt::format("{} has no items", semantics_.describe(object)));
}

void Evaluator::set_item(const Value& object, const Value& given, Operand value, Span span) {
    if (object.is_tensor()) return border_.set_index(object, given, value, span);
    try {
        if (auto* dict = object.try_as<DictObject>()) return writes_.set_entry(*dict, as_key(given, span), value.value);
        const Value key = as_index(given, span);
        if (auto* list = object.try_as<ListObject>()) {
            if (key.is_int())
                return writes_.set_item(*list, position_in(key.as_int(), list->items.size(), "list"), value.value);
            if (auto* slice = key.try_as<SliceObject>()) {
                Values fresh = collect(value.value);
                SliceBounds bounds = bounds_of(*slice, list->items.size());
                if (bounds.step != 1 && bounds.count != static_cast<int64_t>(fresh.size())) {
                    throw_error("value", fmt::format("{} items are replaced by {} values", bounds.count, fresh.size()),
                                "only a slice without a step changes the length");
                }
                writes_.will_change(*list);
                for (const Value& item : fresh) collector_.note(*list, item);
                if (bounds.step == 1) {
                    auto at = list->items.begin() + bounds.start;
                    Values dropped(at, at + bounds.count);
                    list->items.erase(at, at + bounds.count);
                    list->items.insert(list->items.begin() + bounds.start, fresh.begin(), fresh.end());
                } else {
                    for (int64_t i = 0; i < bounds.count; ++i) {
                        list->items[static_cast<size_t>(bounds.start + i * bounds.step)] =
                            fresh[static_cast<size_t>(i)];
                    }
                }
                return;
            }
            throw_error("type",
                        fmt::format("an index of a list is an int or a slice, found {}", semantics_.describe(key)));
        }
        if (object.is<ModelObject>()) {
            check_stack(span);
            if (Value* layers = object.as<ModelObject>().find("layers")) return set_item(*layers, key, value, span);
        }
        if (object.is_object() && object.object().set_item(*this, key, value.value)) return;
    } catch (Error& error) {
        if (!error.diagnostic.span) error.diagnostic.span = span;
        throw;
    }
    throw_error_at(span, "type", fmt::format("the items of {} cannot be assigned", semantics_.describe(object)),
                   object.is<TupleObject>() ? "a tuple never changes; use a list" : "");
}

}  // namespace tenon
