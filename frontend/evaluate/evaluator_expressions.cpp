// Expressions: operators, containers, f-strings, attributes and items.
#include <fmt/format.h>

#include "frontend/evaluate/evaluator.h"
#include "frontend/evaluate/host_operators.h"
#include "frontend/evaluate/session.h"
#include "frontend/resolve/resolver.h"
#include "frontend/values/errors.h"
#include "frontend/values/format_spec.h"

namespace tenon {

Value Evaluator::evaluate(const ast::Expr& expr, Frame& frame) {
    using enum ast::ExprKind;
    switch (expr.kind) {
        case none: return {};
        case ellipsis: return Value::ellipsis();
        case boolean: return ast::as<ast::BooleanLiteral>(expr).value;
        case integer: return ast::as<ast::IntegerLiteral>(expr).value;
        case floating: return ast::as<ast::FloatLiteral>(expr).value;
        case string: return Value::text(name_of(ast::as<ast::StringLiteral>(expr).text));
        case f_string: return evaluate_f_string(ast::as<ast::FString>(expr), frame);
        case name: {
            const auto& name = ast::as<ast::Name>(expr);
            if (name.use.kind == ast::NameKind::local && !frame.slots[name.use.index].is_unset())
                return frame.slots[name.use.index];
            return load(name.use, name.name, frame, expr.span);
        }
        case tuple:
        case list: return evaluate_sequence(ast::as<ast::Sequence>(expr), frame);
        case dict: return evaluate_dict(ast::as<ast::Dict>(expr), frame);
        case comprehension: return evaluate_comprehension(ast::as<ast::Comprehension>(expr), frame);
        case unary: return evaluate_unary(ast::as<ast::Unary>(expr), frame);
        case binary: return evaluate_binary(ast::as<ast::Binary>(expr), frame);
        case logical: {
            const auto& logical = ast::as<ast::Logical>(expr);
            bool left = truth(evaluate(*logical.left, frame), logical.left->span);
            if (left == (logical.op == ast::LogicalOperator::logical_or)) return left;
            return truth(evaluate(*logical.right, frame), logical.right->span);
        }
        case comparison: return evaluate_comparison(ast::as<ast::Comparison>(expr), frame);
        case conditional: {
            const auto& conditional = ast::as<ast::Conditional>(expr);
            bool yes = truth(evaluate(*conditional.condition, frame), conditional.condition->span);
            return evaluate(yes ? *conditional.yes : *conditional.no, frame);
        }
        case function: return make_closure(*ast::as<ast::Lambda>(expr).function, frame);
        case call: return evaluate_call(ast::as<ast::Call>(expr), frame);
        case method_call: return evaluate_method_call(ast::as<ast::MethodCall>(expr), frame);
        case attribute: {
            const auto& attribute = ast::as<ast::Attribute>(expr);
            return get_attribute(evaluate(*attribute.object, frame), attribute.name, expr.span);
        }
        case index: {
            const auto& index = ast::as<ast::Index>(expr);
            Value object = evaluate(*index.object, frame);
            return get_item(object, evaluate_key(index, object, frame), expr.span);
        }
        case scope_block: return evaluate_scope_block(ast::as<ast::ScopeBlock>(expr), frame);
        case slice:
        case spread:
        case error: break;
    }
    assert(false && "this expression has no value of its own");
    return {};
}

// ---- operators ----------------------------------------------------------------------------------------------------

Value Evaluator::evaluate_unary(const ast::Unary& expr, Frame& frame) {
    Value x = evaluate(*expr.operand, frame);
    if (x.is_symbolic() && expr.op != ast::UnaryOperator::logical_not &&
        !border_.defers(x, expr.op == ast::UnaryOperator::negate)) {
        x = border_.settle(x, expr.operand->span);
    }
    switch (expr.op) {
        case ast::UnaryOperator::logical_not: return !truth(x, expr.operand->span);
        case ast::UnaryOperator::negate:
            if (x.is_real()) return -x.as_real();
            if (x.is_int() && x.as_int() != INT64_MIN) return -x.as_int();
            break;
        case ast::UnaryOperator::invert:
            if (x.is_int()) return ~x.as_int();
            break;
    }
    if (x.is_tensor() || x.is_symbolic()) {
        return border_.unary(expr.op == ast::UnaryOperator::negate ? UnaryOperator::negate : UnaryOperator::invert, x,
                             expr.span);
    }
    if (x.is_int())
        throw_error_at(expr.span, "overflow", "the negative of the smallest int does not fit in an int (64 bits)");
    throw Error(
        Diagnostic{"type",
                   fmt::format("`{}` needs a number or a tensor, found {}", ast::spelling(expr.op), describe(x)),
                   expr.span,
                   {{expr.operand->span, describe(x)}},
                   x.is_bool() ? "`not x` negates a bool" : ""});
}

Value Evaluator::evaluate_binary(const ast::Binary& expr, Frame& frame) {
    Value a = evaluate(*expr.left, frame);
    Value b = evaluate(*expr.right, frame);
    using enum ast::BinaryOperator;
    if (a.is_real() && b.is_real()) {
        switch (expr.op) {
            case add: return a.as_real() + b.as_real();
            case subtract: return a.as_real() - b.as_real();
            case multiply: return a.as_real() * b.as_real();
            default: break;
        }
    } else if (a.is_int() && b.is_int()) {
        int64_t result;
        switch (expr.op) {
            case add:
                if (!__builtin_add_overflow(a.as_int(), b.as_int(), &result)) return result;
                break;
            case subtract:
                if (!__builtin_sub_overflow(a.as_int(), b.as_int(), &result)) return result;
                break;
            case multiply:
                if (!__builtin_mul_overflow(a.as_int(), b.as_int(), &result)) return result;
                break;
            default: break;
        }
    }
    try {
        return binary(operator_of(expr.op), {a, expr.left->is_literal}, {b, expr.right->is_literal}, expr.span);
    } catch (Error& error) {
        // One label for each operand, on every engine.
        Diagnostic& diagnostic = error.diagnostic;
        bool about_operands = diagnostic.kind == "type" || diagnostic.kind == "shape" || diagnostic.kind == "dtype";
        if (about_operands && (!diagnostic.span || diagnostic.span == expr.span)) {
            diagnostic.span = expr.span;
            diagnostic.labels = {{expr.left->span, describe(a)}, {expr.right->span, describe(b)}};
        }
        throw;
    }
}

Value Evaluator::binary(Operator op, Operand a, Operand b, Span span) {
    auto is_traced = [](const Value& v) { return v.is_tensor() || v.is_symbolic(); };
    // A sequence is repeated a host's number of times; everything else that meets a tensor is the tracer's.
    if (is_traced(a.value) || is_traced(b.value)) {
        bool repeats =
            op == Operator::mul && (a.value.is<StringObject>() || items_of(a.value)) && b.value.is_symbolic();
        if (!repeats) return border_.binary(op, a, b, span);
        Value times = border_.settle(b.value, span);
        return host_binary(*this, op, a.value, times, span);
    }
    return host_binary(*this, op, a.value, b.value, span);
}

Value Evaluator::evaluate_comparison(const ast::Comparison& expr, Frame& frame) {
    Value left = evaluate(*expr.first, frame);
    const ast::Expr* left_expr = expr.first;
    Value answer;
    for (size_t i = 0; i < expr.links.size(); ++i) {
        const ast::ComparisonLink& link = expr.links[i];
        Value right = evaluate(*link.operand, frame);
        Span span = expr.links.size() == 1 ? expr.span : cover(left_expr->span, link.operand->span);
        Value holds = compare(link.op, {left, left_expr->is_literal}, {right, link.operand->is_literal}, span);
        answer = i == 0 ? std::move(holds)
                 : answer.is_tensor() || holds.is_tensor()
                     ? border_.binary(Operator::bit_and, {answer}, {holds}, expr.span)
                     : std::move(holds);
        if (answer.is_bool() && !answer.as_bool()) return false;
        left = std::move(right);
        left_expr = link.operand;
    }
    return answer;
}

Value Evaluator::compare(ast::ComparisonOperator op, Operand a, Operand b, Span span) {
    using enum ast::ComparisonOperator;
    switch (op) {
        case is: return settled(a.value, span).same_as(settled(b.value, span));
        case is_not: return !settled(a.value, span).same_as(settled(b.value, span));
        case in: return contains(b.value, a.value, span);
        case not_in: return !contains(b.value, a.value, span);
        default: break;
    }
    if (a.value.is_int() && b.value.is_int()) {
        int64_t x = a.value.as_int(), y = b.value.as_int();
        switch (op) {
            case equal: return x == y;
            case not_equal: return x != y;
            case less: return x < y;
            case less_equal: return x <= y;
            case greater: return x > y;
            default: return x >= y;
        }
    }
    // Beside a tensor or a symbolic number only numbers compare elementwise: `x == none`, `n == "a"` are plain answers.
    auto is_traced = [](const Value& v) { return v.is_tensor() || v.is_symbolic(); };
    auto is_operand = [&](const Value& v) { return is_traced(v) || v.is_number() || v.is_bool(); };
    bool traced = is_traced(a.value) || is_traced(b.value);
    if (traced && is_operand(a.value) && is_operand(b.value)) {
        static constexpr Operator operators[] = {Operator::equal,      Operator::not_equal, Operator::less,
                                                 Operator::less_equal, Operator::greater,   Operator::greater_equal};
        return border_.binary(operators[static_cast<size_t>(op)], a, b, span);
    }
    try {
        switch (op) {
            case equal: return this->equal(a.value, b.value);
            case not_equal: return !this->equal(a.value, b.value);
            case less: return this->less(a.value, b.value);
            case greater: return this->less(b.value, a.value);
            // Not the negation of `>`: a comparison with nan is false.
            case less_equal: return this->less(a.value, b.value) || this->equal(a.value, b.value);
            default: return this->less(b.value, a.value) || this->equal(a.value, b.value);
        }
    } catch (Error& error) {
        if (!error.diagnostic.span) error.diagnostic.span = span;
        throw;
    }
}

bool Evaluator::contains(const Value& container, const Value& item, Span span) {
    if (const Values* items = items_of(container)) {
        return std::any_of(items->begin(), items->end(),
                           [&](const Value& v) { return same_item(v, item); });
    }
    if (auto* dict = container.try_as<DictObject>()) return dict->find(as_key(item, span)) != nullptr;
    if (auto* range = container.try_as<RangeObject>()) {
        const Value number = settled(item, span);
        if (!number.is_int()) return false;
        const int64_t n = number.as_int();
        const bool between =
            range->step > 0 ? n >= range->start && n < range->stop : n <= range->start && n > range->stop;
        return between && (n - range->start) % range->step == 0;
    }
    if (container.is<StringObject>() && item.is<StringObject>())
        return container.as_text().find(item.as_text()) != std::string::npos;
    if (container.is_tensor()) {
        Value same = border_.binary(Operator::equal, {container}, {item}, span);
        Value any = call(builtins_[*builtins_.find(symbols_.intern("any"))].value, {same});
        return truth(any, span);
    }
    throw_error_at(
        span, "type",
        fmt::format("`in` needs a list, a tuple, a dict, a range, a str or a tensor, found {}", describe(container)));
}

// ---- containers ---------------------------------------------------------------------------------------------------

Value Evaluator::evaluate_sequence(const ast::Sequence& expr, Frame& frame) {
    Values items;
    items.reserve(expr.items.size());
    for (const ast::Expr* item : expr.items) {
        if (item->kind == ast::ExprKind::spread) {
            for (Value& value : collect(evaluate(*ast::as<ast::Spread>(*item).value, frame)))
                items.push_back(std::move(value));
        } else {
            items.push_back(evaluate(*item, frame));
        }
    }
    return expr.kind == ast::ExprKind::list ? make_list(std::move(items)) : make_tuple(std::move(items));
}

Value Evaluator::evaluate_dict(const ast::Dict& expr, Frame& frame) {
    auto dict = make_ref<DictObject>();
    for (const ast::DictEntry& entry : expr.entries) {
        if (entry.key) {
            const Value key = as_key(evaluate(*entry.key, frame), entry.key->span);
            Value value = evaluate(*entry.value, frame);
            try {
                dict->set(key, std::move(value));
            } catch (Error& error) {
                error.diagnostic.span = entry.key->span;
                throw;
            }
            continue;
        }
        Value more = evaluate(*entry.value, frame);
        auto* from = more.try_as<DictObject>();
        if (!from)
            throw_error_at(entry.value->span, "type", fmt::format("`**` takes a dict, found {}", describe(more)));
        for (const auto& item : from->entries()) dict->set(item.key, item.value);
    }
    return dict;
}

Value Evaluator::evaluate_comprehension(const ast::Comprehension& expr, Frame& frame) {
    Value result = expr.result == ast::ComprehensionKind::dict ? Value(make_ref<DictObject>()) : make_list({});
    comprehend(expr, 0, result, frame);
    return result;
}

void Evaluator::comprehend(const ast::Comprehension& expr, size_t number, Value& result, Frame& frame) {
    if (number == expr.clauses.size()) {
        if (auto* dict = result.try_as<DictObject>()) {
            const Value key = as_key(evaluate(*expr.key, frame), expr.key->span);
            dict->set(key, evaluate(*expr.value, frame));
        } else {
            result.as<ListObject>().items.push_back(evaluate(*expr.value, frame));
        }
        return;
    }
    const ast::ComprehensionClause& clause = expr.clauses[number];
    Value iterable = evaluate(*clause.iterable, frame);
    Ref<IteratorObject> iterator;
    try {
        iterator = iterate(iterable);
    } catch (Error& error) {
        if (!error.diagnostic.span) error.diagnostic.span = clause.iterable->span;
        throw;
    }
    auto mark = tracer_.enter_loop();
    Value item;
    while (iterator->next(*this, item)) {
        refresh(clause.fresh, frame);
        assign(*clause.target, item, false, frame);
        bool taken = std::all_of(clause.conditions.begin(), clause.conditions.end(), [&](const ast::Expr* condition) {
            return truth(evaluate(*condition, frame), condition->span);
        });
        if (taken) comprehend(expr, number + 1, result, frame);
        at_back_edge(mark, expr.span, frame);
    }
}

// ---- f-strings ----------------------------------------------------------------------------------------------------

Value Evaluator::evaluate_f_string(const ast::FString& expr, Frame& frame) {
    std::string out;
    append_parts(expr.parts, out, frame);
    return make_ref<StringObject>(std::move(out));
}

void Evaluator::append_parts(std::span<ast::FStringPart> parts, std::string& out, Frame& frame) {
    for (const ast::FStringPart& part : parts) {
        if (!part.value) {
            out += name_of(part.text);
            continue;
        }
        Value value = evaluate(*part.value, frame);
        if (part.text != Symbol::none) out += name_of(part.text);
        Span saved = std::exchange(here_, part.value->span);
        if (part.spec.empty()) {
            // `{x=}` is for looking at values: strs show their quotes.
            out += part.text != Symbol::none ? repr(value) : text(value);
        } else {
            std::string spec;
            append_parts(part.spec, spec, frame);
            try {
                out += format(value, spec, part.value->span);
            } catch (Error& error) {
                if (!error.diagnostic.span) error.diagnostic.span = part.value->span;
                throw;
            }
        }
        here_ = saved;
    }
}

std::string Evaluator::format(const Value& given, std::string_view text_of_spec, Span span) {
    FormatSpec spec = parse_format_spec(text_of_spec);
    Value value = given;
    bool is_number_format = spec.type != 0 && spec.type != 's';
    if (value.is_symbolic() || (value.is_tensor() && (is_number_format || spec.precision >= 0 || spec.grouping) &&
                                value.as<TensorObject>().tensor.numel() == 1)) {
        value = border_.settle(value, span);
    }
    if (value.is_int()) return format_integer(value.as_int(), spec);
    if (value.is_real()) return format_real(value.as_real(), spec);
    if (is_number_format || spec.grouping) {
        throw_error("type", fmt::format("the format `{}` is for numbers, found {}", text_of_spec, describe(value)),
                    value.is_tensor() ? "it formats tensors of one element; print(x) shows all" : "");
    }
    return format_text(text(value), spec);
}

}  // namespace tenon
