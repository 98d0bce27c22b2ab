// Types of parameters and results: checked at each call, dimensions bound per call.
#include <fmt/format.h>

#include "frontend/evaluate/evaluator.h"
#include "frontend/evaluate/session.h"

namespace tenon {

namespace {

std::string expected_text(const ast::TypeNode& type, const SourceMap& sources) {
    return std::string(sources.text(type.span));
}

}  // namespace

void Evaluator::check_type(const ast::TypeNode& type, const Value& value, Frame& frame, std::string_view what,
                           Span span) {
    std::string why;
    if (matches(type, value, frame, why)) return;
    const ast::Function& function = frame.function;
    std::string name = display_name(function);
    std::string expected = expected_text(type, session_.sources());
    bool is_tensor_type = type.kind == ast::TypeKind::tensor;
    std::string kind = is_tensor_type && value.is_tensor()
                           ? (type.has_dtype && type.dtype != value.as<TensorObject>().dtype() ? "dtype" : "shape")
                           : "type";
    std::string message =
        what.empty()
            ? fmt::format("{} promises to return {}, but it returned {}", name, expected, semantics_.describe(value))
            : fmt::format("{} takes `{}: {}`, but it was given {}", name, what, expected, semantics_.describe(value));
    throw Error(Diagnostic{std::move(kind),
                           std::move(message),
                           span,
                           {{span, semantics_.describe(value)}, {type.span, "expected here"}},
                           std::move(why)});
}

bool Evaluator::matches(const ast::TypeNode& type, const Value& value, Frame& frame, std::string& why) {
    using enum ast::TypeKind;
    auto all_match = [&](const ast::TypeNode& element, const Values& items) {
        for (const Value& item : items) {
            if (!matches(element, item, frame, why)) {
                if (why.empty()) why = fmt::format("one of the items is {}", semantics_.describe(item));
                return false;
            }
        }
        return true;
    };
    switch (type.kind) {
        case any: return true;
        case none: return value.is_none();
        case boolean: return host_kind(value) == Kind::boolean;
        case integer: return host_kind(value) == Kind::integer;
        case floating:  // an int is a float where one is expected
            return host_kind(value) == Kind::integer || host_kind(value) == Kind::real;
        case string: return value.is<StringObject>();
        case list: {
            auto* items = value.try_as<ListObject>();
            return items && (type.arguments.empty() || all_match(*type.arguments[0], items->items));
        }
        case tuple: {
            auto* items = value.try_as<TupleObject>();
            if (!items) return false;
            if (type.arguments.empty()) return true;
            if (items->items.size() != type.arguments.size()) {
                why = fmt::format("it has {} items, not {}", items->items.size(), type.arguments.size());
                return false;
            }
            for (size_t i = 0; i < items->items.size(); ++i) {
                if (!matches(*type.arguments[i], items->items[i], frame, why)) return false;
            }
            return true;
        }
        case dict: {
            auto* entries = value.try_as<DictObject>();
            if (!entries) return false;
            if (type.arguments.size() < 2) return true;
            for (const auto& entry : entries->entries()) {
                if (!matches(*type.arguments[0], entry.key, frame, why) ||
                    !matches(*type.arguments[1], entry.value, frame, why))
                    return false;
            }
            return true;
        }
        case range: return value.is<RangeObject>();
        case function: return is_callable(value);
        case dtype: return value.is(Kind::dtype);
        case device: return value.is(Kind::device);
        case tensor: {
            auto* tensor = value.try_as<TensorObject>();
            if (!tensor) return false;
            if (type.has_dtype && tensor->dtype() != type.dtype) {
                why = fmt::format("x.to({}) converts it", tenon::name_of(type.dtype));
                return false;
            }
            return !type.has_shape || matches_shape(type, *tensor, frame, why);
        }
        case model: {
            auto* model = value.try_as<ModelObject>();
            if (!model) return false;
            if (!type.use) return true;
            Value wanted = load(type.use, type.name, frame, type.span);
            return wanted.is<ModelClassObject>() && model->model_class.get() == &wanted.as<ModelClassObject>();
        }
        case alternatives: {
            std::vector<Value*> unbound;
            collect_unbound_sizes(type, frame, unbound);
            for (const ast::TypeNode* alternative : type.arguments) {
                std::string ignored;
                if (matches(*alternative, value, frame, ignored)) return true;
                for (Value* size : unbound) *size = Value::unset();  // for the next one
            }
            return false;
        }
    }
    return true;
}

// The variable of a size that this call has not met yet; null for any other.
Value* Evaluator::unbound_size(const ast::NameUse& use, Frame& frame) const {
    const bool is_own = use.kind == ast::NameKind::local || use.kind == ast::NameKind::cell;
    Value* const size = is_own ? variable(use, frame) : nullptr;
    return size && size->is_unset() ? size : nullptr;
}

void Evaluator::collect_unbound_sizes(const ast::TypeNode& type, Frame& frame, std::vector<Value*>& sizes) const {
    for (const ast::Dimension& dimension : type.shape) {
        if (dimension.kind != ast::DimensionKind::variable) continue;
        if (Value* size = unbound_size(dimension.use, frame)) sizes.push_back(size);
    }
    for (const ast::TypeNode* part : type.arguments) collect_unbound_sizes(*part, frame, sizes);
}

bool Evaluator::matches_shape(const ast::TypeNode& type, const TensorObject& tensor, Frame& frame, std::string& why) {
    size_t rank = tensor.rank(), named = type.shape.size(), ellipsis = named;
    for (size_t i = 0; i < named; ++i) {
        if (type.shape[i].kind == ast::DimensionKind::ellipsis) ellipsis = i;
    }
    bool has_ellipsis = ellipsis < named;
    if (has_ellipsis ? rank + 1 < named : rank != named) {
        why = fmt::format("it has {} dimension{}, not {}{}", rank, rank == 1 ? "" : "s",
                          has_ellipsis ? "at least " : "", named - has_ellipsis);
        return false;
    }
    Value object(const_cast<TensorObject&>(tensor));
    for (size_t i = 0; i < named; ++i) {
        if (i == ellipsis) continue;
        const ast::Dimension& dimension = type.shape[i];
        size_t d = i < ellipsis ? i : i + rank - named;
        int64_t size = tensor.shape()[d];
        // A size may stay symbolic; a number that a graph is yet to compute is decided.
        auto size_in = [&](Value value) {
            const auto* number = value.try_as<SymbolicObject>();
            return number && !number->is_size() ? border_.settle(value, dimension.span) : value;
        };
        auto agree = [&](const Value& wanted, std::string_view wanted_text) {
            const int64_t expected = wanted.is_symbolic() ? wanted.as<SymbolicObject>().value : wanted.as_int();
            if (expected != size) {
                why = fmt::format(
                    "dimension {} is {}, not {}", d, size,
                    wanted_text.empty() ? std::to_string(expected) : fmt::format("{} = {}", wanted_text, expected));
                return false;
            }
            // Both were found equal: the graph depends on it, unless they are one and the same size.
            if (tracer_.capturing()) {
                Value actual = border_.size(tensor, d);
                bool same = actual.is_symbolic() && wanted.is_symbolic() &&
                            actual.as<SymbolicObject>().size == wanted.as<SymbolicObject>().size;
                if (!same && actual.is_symbolic()) border_.settle(actual, type.span);
                if (!same && wanted.is_symbolic()) border_.settle(wanted, type.span);
            }
            return true;
        };
        switch (dimension.kind) {
            case ast::DimensionKind::size:
                if (!agree(Value(dimension.size), "")) return false;
                break;
            case ast::DimensionKind::variable: {
                const ast::NameUse& use = dimension.use;
                if (unbound_size(use, frame)) {
                    store(use, border_.size(tensor, d), frame, dimension.span);
                } else {
                    const Value wanted = size_in(load(use, dimension.name, frame, dimension.span));
                    if (!wanted.is_int() && !wanted.is_symbolic()) {
                        why = fmt::format("the dimension `{}` is {}, not an int", name_of(dimension.name),
                                          semantics_.describe(wanted));
                        return false;
                    }
                    if (!agree(wanted, name_of(dimension.name))) return false;
                }
                break;
            }
            case ast::DimensionKind::expression: {
                const Value wanted = size_in(evaluate(*dimension.value, frame));
                if (!wanted.is_int() && !wanted.is_symbolic()) {
                    why = fmt::format("the dimension `{}` is {}, not an int", session_.sources().text(dimension.span),
                                      semantics_.describe(wanted));
                    return false;
                }
                if (!agree(wanted, session_.sources().text(dimension.span))) return false;
                break;
            }
            case ast::DimensionKind::ellipsis: break;
        }
    }
    return true;
}

}  // namespace tenon
