// Expressions: operators, containers, f-strings, attributes and items.
#include <fmt/format.h>

#include "frontend/evaluate/evaluator.h"
#include "frontend/evaluate/host_iterators.h"
#include "frontend/evaluate/session.h"
#include "frontend/resolve/resolver.h"
#include "frontend/values/errors.h"
#include "frontend/values/format_spec.h"
#include "frontend/values/host_operators.h"
#include "frontend/values/quick_operators.h"

namespace tenon {

Value Evaluator::evaluate(const ast::Expr& given, Frame& frame) {
    using enum ast::ExprKind;
    const ast::Expr* chosen = &given;
    while (chosen->kind == conditional) {
        const auto& conditional = ast::as<ast::Conditional>(*chosen);
        const Quick known = quick(*conditional.condition, frame);
        const bool holds = known.is(Kind::boolean) ? known.word : condition(*conditional.condition, frame);
        chosen = holds ? conditional.yes : conditional.no;
    }
    const ast::Expr& expr = *chosen;
    switch (expr.kind) {
        case none: return {};
        case ellipsis: return Value::ellipsis();
        case boolean: return ast::as<ast::BooleanLiteral>(expr).value;
        case integer: return ast::as<ast::IntegerLiteral>(expr).value;
        case floating: return ast::as<ast::FloatLiteral>(expr).value;
        case string: return literal(ast::as<ast::StringLiteral>(expr).text);
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
        case binary:
            if (const Quick number = quick(expr, frame)) return number.value();
            return evaluate_binary(ast::as<ast::Binary>(expr), frame);
        case logical: return condition(expr, frame);
        case comparison:
            if (const Quick number = quick(expr, frame)) return number.value();
            return evaluate_comparison(ast::as<ast::Comparison>(expr), frame);
        case function: return make_closure(*ast::as<ast::Lambda>(expr).function, frame);
        case call: return evaluate_call(ast::as<ast::Call>(expr), frame);
        case method_call: return evaluate_method_call(ast::as<ast::MethodCall>(expr), frame);
        case attribute: {
            const auto& attribute = ast::as<ast::Attribute>(expr);
            if (const Value* held = look_up(expr, frame)) return *held;
            return get_attribute(evaluate(*attribute.object, frame), attribute.name, expr.span);
        }
        case index: return evaluate_index(ast::as<ast::Index>(expr), frame);
        case scope_block: return evaluate_scope_block(ast::as<ast::ScopeBlock>(expr), frame);
        case conditional:
        case slice:
        case spread:
        case error: break;
    }
    assert(false && "this expression has no value of its own");
    return {};
}

// ---- without copies -----------------------------------------------------------------------------------------------

bool Evaluator::is_inert(const ast::Expr& expr) {
    return expr.kind == ast::ExprKind::name || expr.kind == ast::ExprKind::integer ||
           expr.kind == ast::ExprKind::floating || expr.kind == ast::ExprKind::string;
}

Value* Evaluator::variable(const ast::NameUse& use, Frame& frame) const {
    if (use.kind == ast::NameKind::local) return &frame.slots[use.index];
    if (use.kind == ast::NameKind::cell || use.kind == ast::NameKind::captured || use.kind == ast::NameKind::global)
        return &cell_of(use, frame).value;
    return nullptr;
}

const Value& Evaluator::borrow(const ast::Expr& expr, Frame& frame, Value& keep) {
    if (const Value* held = look_up(expr, frame)) return *held;
    keep = evaluate(expr, frame);
    return keep;
}

template <class Work>
[[gnu::always_inline]] inline Value Evaluator::with_operands(const ast::Expr& left, const ast::Expr& right,
                                                             Frame& frame, Work work) {
    auto value_of = [&](const ast::Expr& expr) {  // what lies nowhere yet is a call most often
        if (expr.kind == ast::ExprKind::call) return evaluate_call(ast::as<ast::Call>(expr), frame);
        if (expr.kind == ast::ExprKind::method_call) return evaluate_method_call(ast::as<ast::MethodCall>(expr), frame);
        return evaluate(expr, frame);
    };
    Value kept_left, kept_right;
    const Value* a = look_up(left, frame);
    const Value* b = a ? look_up(right, frame) : nullptr;
    if (!b) {
        if (!a || !is_inert(right)) a = &(kept_left = value_of(left));
        b = look_up(right, frame);
        if (!b) b = &(kept_right = value_of(right));
    }
    return work(*a, *b);
}

Value& Evaluator::literal(Symbol text) {
    const uint32_t number = index_of(text);
    if (number >= literals_.size()) literals_.resize(symbols_.size(), Value::unset());
    Value& known = literals_[number];
    if (known.is_unset()) known = make_text(name_of(text));
    return known;
}

bool Evaluator::condition(const ast::Expr& expr, Frame& frame) {
    if (const Quick known = quick(expr, frame); known.is(Kind::boolean)) return known.word;
    if (expr.kind == ast::ExprKind::comparison) {
        const auto& comparison = ast::as<ast::Comparison>(expr);
        if (comparison.links.size() == 1) {
            // The operands are gone where the truth is asked for: a graph that ends here need not keep them.
            const Value holds = evaluate_link(comparison, frame);
            return holds.is_bool() ? holds.as_bool() : semantics_.truth(holds, expr.span);
        }
    } else if (expr.kind == ast::ExprKind::logical) {
        const auto& logical = ast::as<ast::Logical>(expr);
        const bool left = condition(*logical.left, frame);
        if (left == (logical.op == ast::LogicalOperator::logical_or)) return left;
        return condition(*logical.right, frame);
    }
    Value keep;
    return semantics_.truth(borrow(expr, frame, keep), expr.span);
}

// The strs of one ASCII character are made once.
Value* Evaluator::character_at(const StringObject& text, Quick position) {
    if (!position.is(Kind::integer) || !text.bytes_are_characters()) return nullptr;
    const int64_t size = text.characters();
    const int64_t at = position.as_int() < 0 ? position.as_int() + size : position.as_int();
    if (at < 0 || at >= size) return nullptr;
    const char c = text.text()[static_cast<size_t>(at)];
    if (static_cast<unsigned char>(c) >= characters_.size()) return nullptr;
    Value& known = characters_[static_cast<size_t>(c)];
    if (!known.is_object()) known = make_text(std::string_view(&c, 1));
    return &known;
}

Value Evaluator::evaluate_index(const ast::Index& expr, Frame& frame) {
    if (const Value* item = look_up(expr, frame)) return *item;
    const Value object = evaluate(*expr.object, frame);
    return get_item(object, evaluate_key(expr, object, frame), expr.span);
}

// ---- operators ----------------------------------------------------------------------------------------------------

Value Evaluator::evaluate_unary(const ast::Unary& expr, Frame& frame) {
    if (expr.op == ast::UnaryOperator::logical_not) return !condition(*expr.operand, frame);
    Value x = evaluate(*expr.operand, frame);
    if (x.is_symbolic() && !border_.defers(x, expr.op == ast::UnaryOperator::negate)) {
        x = border_.settle(x, expr.operand->span);
    }
    switch (expr.op) {
        case ast::UnaryOperator::logical_not: break;
        case ast::UnaryOperator::negate:
            if (x.is(Kind::real)) return -x.as_real();
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
    throw Error(Diagnostic{
        "type",
        fmt::format("`{}` needs a number or a tensor, found {}", ast::spelling(expr.op), semantics_.describe(x)),
        expr.span,
        {{expr.operand->span, semantics_.describe(x)}},
        x.is_bool() ? "`not x` negates a bool" : ""});
}

Value Evaluator::evaluate_binary(const ast::Binary& expr, Frame& frame) {
    return with_operands(*expr.left, *expr.right, frame, [&](const Value& a, const Value& b) {
        const Quick result = quick_binary(expr.op, Quick::of(a), Quick::of(b));
        return result ? result.value() : binary_of(expr, a, b);
    });
}

// The operands are held: a graph that ends here may take variables back to what they were.
Value Evaluator::binary_of(const ast::Binary& expr, Value a, Value b) {
    try {
        return binary(operator_of(expr.op), {a, expr.left->is_literal}, {b, expr.right->is_literal}, expr.span);
    } catch (Error& error) {
        // One label for each operand, on every engine.
        Diagnostic& diagnostic = error.diagnostic;
        bool about_operands = diagnostic.kind == "type" || diagnostic.kind == "shape" || diagnostic.kind == "dtype";
        if (about_operands && (!diagnostic.span || diagnostic.span == expr.span)) {
            diagnostic.span = expr.span;
            diagnostic.labels = {{expr.left->span, semantics_.describe(a)}, {expr.right->span, semantics_.describe(b)}};
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
        return semantics_.binary(op, a.value, times, span);
    }
    return semantics_.binary(op, a.value, b.value, span);
}

Value Evaluator::evaluate_link(const ast::Comparison& expr, Frame& frame) {
    const ast::ComparisonLink& link = expr.links[0];
    return with_operands(*expr.first, *link.operand, frame, [&](const Value& a, const Value& b) {
        const Quick holds = quick_comparison(link.op, Quick::of(a), Quick::of(b));
        return holds ? holds.value() : compare_of(expr, a, b);
    });
}

Value Evaluator::evaluate_comparison(const ast::Comparison& expr, Frame& frame) {
    if (expr.links.size() == 1) return evaluate_link(expr, frame);
    Value left = evaluate(*expr.first, frame);
    const ast::Expr* left_expr = expr.first;
    Value answer;
    for (size_t i = 0; i < expr.links.size(); ++i) {
        const ast::ComparisonLink& link = expr.links[i];
        Value right = evaluate(*link.operand, frame);
        const Span span = cover(left_expr->span, link.operand->span);
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

Value Evaluator::compare_of(const ast::Comparison& expr, Value a, Value b) {
    const ast::ComparisonLink& link = expr.links[0];
    return compare(link.op, {a, expr.first->is_literal}, {b, link.operand->is_literal}, expr.span);
}

Value Evaluator::compare(ast::ComparisonOperator op, Operand a, Operand b, Span span) {
    using enum ast::ComparisonOperator;
    switch (op) {
        case is: return identical(settled(a.value, span), settled(b.value, span));
        case is_not: return !identical(settled(a.value, span), settled(b.value, span));
        case in: return contains(b.value, a.value, span);
        case not_in: return !contains(b.value, a.value, span);
        default: break;
    }
    if (const Quick holds = quick_comparison(op, Quick::of(a.value), Quick::of(b.value))) return holds.value();
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
            case equal: return semantics_.equal(a.value, b.value);
            case not_equal: return !semantics_.equal(a.value, b.value);
            case less: return semantics_.less(a.value, b.value);
            case greater: return semantics_.less(b.value, a.value);
            // Not the negation of `>`: a comparison with nan is false.
            case less_equal: return semantics_.less(a.value, b.value) || semantics_.equal(a.value, b.value);
            default: return semantics_.less(b.value, a.value) || semantics_.equal(a.value, b.value);
        }
    } catch (Error& error) {
        if (!error.diagnostic.span) error.diagnostic.span = span;
        throw;
    }
}

bool Evaluator::contains(const Value& container, const Value& item, Span span) {
    if (const Values* items = items_of(container)) {
        return std::any_of(items->begin(), items->end(), [&](const Value& v) { return semantics_.same_item(v, item); });
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
        return text_of(container).find(text_of(item)) != std::string::npos;
    if (container.is_tensor()) {
        Value same = border_.binary(Operator::equal, {container}, {item}, span);
        Value any = call(builtins_[*builtins_.find(symbols_.intern("any"))].value, {same});
        return semantics_.truth(any, span);
    }
    throw_error_at(span, "type",
                   fmt::format("`in` needs a list, a tuple, a dict, a range, a str or a tensor, found {}",
                               semantics_.describe(container)));
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
            throw_error_at(entry.value->span, "type",
                           fmt::format("`**` takes a dict, found {}", semantics_.describe(more)));
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
    const Value iterable = evaluate(*clause.iterable, frame);
    auto mark = tracer_.enter_loop();
    Value* const local = quick_local(*clause.target, frame);
    for_each_value(*this, iterable, clause.iterable->span, [&](const Value& item) {
        if (!clause.fresh.empty()) refresh(clause.fresh, frame);
        if (local) *local = item;
        else assign(*clause.target, item, false, frame);
        bool taken = true;
        for (size_t k = 0; k < clause.conditions.size() && taken; ++k) taken = condition(*clause.conditions[k], frame);
        if (taken) comprehend(expr, number + 1, result, frame);
        at_back_edge(mark, expr.span, frame);
        return true;
    });
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
        std::string spec;
        append_parts(part.spec, spec, frame);
        Span saved = std::exchange(here_, part.value->span);
        if (part.spec.empty()) {
            // `{x=}` is for looking at values: strs show their quotes.
            if (part.text != Symbol::none) out += semantics_.repr(value);
            else if (value.is<StringObject>()) out += text_of(value);
            else out += semantics_.text(value);
        } else {
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
    if (value.is(Kind::real)) return format_real(value.as_real(), spec);
    if (is_number_format || spec.grouping) {
        throw_error("type",
                    fmt::format("the format `{}` is for numbers, found {}", text_of_spec, semantics_.describe(value)),
                    value.is_tensor() ? "it formats tensors of one element; print(x) shows all" : "");
    }
    return format_text(semantics_.text(value), spec);
}

}  // namespace tenon
