#include "frontend/evaluate/semantics.h"

#include <algorithm>

#include <fmt/format.h>

#include "frontend/evaluate/session.h"
#include "frontend/values/errors.h"
#include "frontend/values/format_spec.h"
#include "frontend/values/host_operators.h"
#include "runtime/interrupt.h"

namespace tenon {

Value Semantics::binary(Operator op, const Value& a, const Value& b, Span span) {
    switch (op) {
        case Operator::equal: return equal(a, b);
        case Operator::not_equal: return !equal(a, b);
        case Operator::less: return less(a, b);
        case Operator::greater: return less(b, a);
        case Operator::less_equal: return less(a, b) || equal(a, b);
        case Operator::greater_equal: return less(b, a) || equal(a, b);
        default: break;
    }
    Value result = host_arithmetic(op, a, b, span);
    if (!result.is_unset()) return result;
    throw_error_at(span, "type", fmt::format("`{}` does not go with {} and {}", spelling(op), describe(a), describe(b)),
                   help_for_operands(op, a, b));
}

bool Semantics::truth(const Value& value) { return truth(value, evaluator_.here()); }

bool Semantics::truth(const Value& given, Span span) {
    if (given.is_bool()) return given.as_bool();
    if (given.is_tensor()) return evaluator_.border().truth(given, span);
    const Value value = evaluator_.settled(given, span);
    if (value.is_bool()) return value.as_bool();
    std::string help;
    if (value.is<StringObject>() || items_of(value) || value.is<DictObject>()) help = "write len(x) > 0";
    if (value.is_none() || value.is<ModelObject>()) help = "write x is not none";
    if (value.is_number()) help = "write x != 0";
    throw_error_at(span, "type", fmt::format("a condition is a bool, found {}", describe(value)), std::move(help));
}

bool Semantics::equal(const Value& a, const Value& b) {
    if (a.is_number() && b.is_number()) {
        if (a.is_int() && b.is_int()) return a.as_int() == b.as_int();
        return a.as_number() == b.as_number();
    }
    bool traced = a.is_tensor() || a.is_symbolic() || b.is_tensor() || b.is_symbolic();
    if (traced) {
        auto is_operand = [](const Value& v) {
            return v.is_tensor() || v.is_symbolic() || v.is_number() || v.is_bool();
        };
        if (!is_operand(a) || !is_operand(b)) return false;
        if (a.is_tensor() && b.is_tensor() && a.as<TensorObject>().shape() != b.as<TensorObject>().shape())
            return false;
        Value same = evaluator_.border().binary(Operator::equal, {a}, {b}, evaluator_.here());
        if (same.is_tensor() && same.as<TensorObject>().rank() > 0) {
            Session& session = evaluator_.session();
            const BuiltinTable& builtins = session.builtins();
            same = evaluator_.call(builtins[*builtins.find(session.symbols().intern("all"))].value, {same});
        }
        return truth(same);
    }
    // A list and a tuple are both what they hold: `x.shape == (3, 4)`.
    if (const Values *x = items_of(a), *y = items_of(b); x && y) {
        if (x == y) return true;
        if (x->size() != y->size()) return false;
        evaluator_.check_stack(evaluator_.here());
        for (size_t i = 0; i < x->size(); ++i) {
            check_interrupt();
            if (!same_item((*x)[i], (*y)[i])) return false;
        }
        return true;
    }
    if (a.kind() != b.kind()) return false;
    switch (a.kind()) {
        case Kind::string: return text_of(a) == text_of(b);
        case Kind::dict: {
            const auto &x = a.as<DictObject>(), &y = b.as<DictObject>();
            if (x.size() != y.size()) return false;
            evaluator_.check_stack(evaluator_.here());
            for (const auto& entry : x.entries()) {
                check_interrupt();
                const Value* other = y.find(entry.key);
                if (!other || !equal(entry.value, *other)) return false;
            }
            return true;
        }
        case Kind::range: {
            const auto &x = a.as<RangeObject>(), &y = b.as<RangeObject>();
            if (x.size() != y.size()) return false;
            return x.size() == 0 || (x.start == y.start && (x.size() == 1 || x.step == y.step));
        }
        case Kind::slice: {
            const auto &x = a.as<SliceObject>(), &y = b.as<SliceObject>();
            evaluator_.check_stack(evaluator_.here());
            return equal(x.start, y.start) && equal(x.stop, y.stop) && equal(x.step, y.step);
        }
        default: return identical(a, b);
    }
}

bool Semantics::same_item(const Value& a, const Value& b) {
    if (a.is_symbolic() || b.is_symbolic()) {  // decided: nan is the same as itself, though not equal
        if (a.is_tensor() || b.is_tensor()) return equal(a, b);
        const Value x = evaluator_.settled(a, evaluator_.here()), y = evaluator_.settled(b, evaluator_.here());
        return identical(x, y) || equal(x, y);
    }
    return identical(a, b) || equal(a, b);
}

bool Semantics::less(const Value& a, const Value& b) {
    if (a.is_number() && b.is_number()) {
        if (a.is_int() && b.is_int()) return a.as_int() < b.as_int();
        return a.as_number() < b.as_number();
    }
    if (a.is_tensor() || a.is_symbolic() || b.is_tensor() || b.is_symbolic()) {
        return truth(evaluator_.border().binary(Operator::less, {a}, {b}, evaluator_.here()));
    }
    if (a.is<StringObject>() && b.is<StringObject>()) return text_of(a) < text_of(b);
    if (const Values *x = items_of(a), *y = items_of(b); x && y) {
        evaluator_.check_stack(evaluator_.here());
        for (size_t i = 0; i < x->size() && i < y->size(); ++i) {
            check_interrupt();
            if (!equal((*x)[i], (*y)[i])) return less((*x)[i], (*y)[i]);
        }
        return x->size() < y->size();
    }
    throw_error("type", fmt::format("{} and {} have no order", describe(a), describe(b)),
                a.is_bool() || b.is_bool() ? "bool is no number; int(x) makes it one" : "");
}

// ---- text ---------------------------------------------------------------------------------------------------------

namespace {

std::string indented(const std::string& text) {
    std::string out;
    for (char c : text) {
        out += c;
        if (c == '\n') out += "    ";
    }
    return out;
}

bool is_short(const Value& value) {
    return value.is_number() || value.is_bool() || value.is_none() || value.is<StringObject>() || value.is(Kind::dtype);
}

}  // namespace

std::string Semantics::text(const Value& value) {
    if (value.is_int()) return std::to_string(value.as_int());
    return value.is<StringObject>() ? text_of(value) : repr(value);
}

std::string Semantics::repr(const Value& value) {
    bool holds_values =
        items_of(value) || value.is<DictObject>() || value.is<ModelObject>() || value.is<RecordObject>();
    if (!holds_values) return repr_of(value);
    evaluator_.check_stack(evaluator_.here());
    const Object* object = &value.object();
    if (std::find(shown_.begin(), shown_.end(), object) != shown_.end()) return "…";
    shown_.push_back(object);
    try {
        std::string text = repr_of(value);
        shown_.pop_back();
        return text;
    } catch (...) {
        shown_.pop_back();
        throw;
    }
}

std::string Semantics::repr_of(const Value& value) {
    auto joined = [&](const Values& items) {
        std::string out;
        for (const Value& item : items) {
            check_interrupt();
            if (!out.empty()) out += ", ";
            out += repr(item);
        }
        return out;
    };
    switch (value.kind()) {
        case Kind::unset: return "<no value>";
        case Kind::none: return "none";
        case Kind::boolean: return value.as_bool() ? "true" : "false";
        case Kind::integer: return std::to_string(value.as_int());
        case Kind::real: return real_to_string(value.as_real());
        case Kind::dtype: return std::string(tenon::name_of(value.as_dtype()));
        case Kind::device: return tenon::name_of(value.as_device());
        case Kind::ellipsis: return "...";
        case Kind::string: return quote(text_of(value));
        case Kind::list: return "[" + joined(value.as<ListObject>().items) + "]";
        case Kind::tuple: {
            const Values& items = value.as<TupleObject>().items;
            return "(" + joined(items) + (items.size() == 1 ? ",)" : ")");
        }
        case Kind::dict: {
            std::string out;
            for (const auto& entry : value.as<DictObject>().entries()) {
                check_interrupt();
                if (!out.empty()) out += ", ";
                out += repr(entry.key) + ": " + repr(entry.value);
            }
            return "{" + out + "}";
        }
        case Kind::range: {
            const auto& range = value.as<RangeObject>();
            return range.step == 1 ? fmt::format("range({}, {})", range.start, range.stop)
                                   : fmt::format("range({}, {}, {})", range.start, range.stop, range.step);
        }
        case Kind::slice: {
            const auto& slice = value.as<SliceObject>();
            evaluator_.check_stack(evaluator_.here());
            auto part = [&](const Value& v) { return v.is_none() ? std::string() : repr(v); };
            return part(slice.start) + ":" + part(slice.stop) + (slice.step.is_none() ? "" : ":" + repr(slice.step));
        }
        case Kind::tensor:
        case Kind::symbolic: return evaluator_.border().text(value, evaluator_.here());
        case Kind::function: {
            const ast::Function& function = value.as<FunctionObject>().function;
            return function.name == Symbol::none ? "<fn>" : fmt::format("<fn {}>", evaluator_.name_of(function.name));
        }
        case Kind::bound_method: return "<method>";
        case Kind::builtin: return fmt::format("<built-in {}>", value.as<BuiltinObject>().group.name);
        case Kind::model_class: return fmt::format("<model {}>", value.as<ModelClassObject>().name());
        case Kind::model: {
            // Linear(inputs: 64, outputs: 128), and its parts beneath.
            const auto& model = value.as<ModelObject>();
            size_t parameters = model.model_class->model.constructor->parameters.size();
            std::string out(model.model_class->name()), head, parts;
            auto part = [&](std::string_view name, const Value& value) {
                if (value.is<ModelObject>()) parts += fmt::format("\n    {} = {}", name, indented(repr(value)));
            };
            for (size_t i = 0; i < model.fields.size(); ++i) {
                const Value& field = model.fields[i];
                std::string_view name = model.field_name(i);
                if (i < parameters && is_short(field))
                    head += fmt::format("{}{}: {}", head.empty() ? "" : ", ", name, repr(field));
                part(name, field);
                if (const Values* items = items_of(field)) {
                    for (size_t k = 0; k < items->size(); ++k) part(fmt::format("{}[{}]", name, k), (*items)[k]);
                } else if (auto* dict = field.try_as<DictObject>()) {
                    for (const auto& entry : dict->entries())
                        part(fmt::format("{}[{}]", name, repr(entry.key)), entry.value);
                }
            }
            out += "(" + head + ")";
            return parts.empty() ? out : out + " {" + parts + "\n}";
        }
        case Kind::record: {
            const auto& record = value.as<RecordObject>();
            if (!record.text.empty()) return record.text;
            std::string out;
            for (const auto& [name, field] : record.fields) {
                if (!out.empty()) out += ", ";
                out += name + ": " + repr(field);
            }
            return record.name + "(" + out + ")";
        }
        case Kind::iterator: return "<iterator>";
        case Kind::cell: return "<variable>";
        default: break;
    }
    std::string text = value.object().to_text(evaluator_);
    return text.empty() ? fmt::format("<{}>", tenon::name_of(value.kind())) : text;
}

std::string Semantics::describe(const Value& value) const {
    switch (value.kind()) {
        case Kind::none: return "none";
        case Kind::tensor: return describe_type(value.as<TensorObject>());
        case Kind::model: return fmt::format("a model {}", value.as<ModelObject>().model_class->name());
        case Kind::model_class: return fmt::format("the model class {}", value.as<ModelClassObject>().name());
        case Kind::function: {
            Symbol name = value.as<FunctionObject>().function.name;
            return name == Symbol::none ? "a function" : fmt::format("the function {}", evaluator_.name_of(name));
        }
        case Kind::builtin: return fmt::format("the built-in {}", value.as<BuiltinObject>().group.name);
        case Kind::dtype: return fmt::format("the dtype {}", tenon::name_of(value.as_dtype()));
        case Kind::symbolic: return with_article(host_kind(value));
        case Kind::record: return fmt::format("a record {}", value.as<RecordObject>().name);
        case Kind::other: return "an object";
        default: return with_article(value.kind());
    }
}

}  // namespace tenon
