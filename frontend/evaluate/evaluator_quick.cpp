// Arithmetic of host numbers in registers: expressions of variables, literals, operators and items of lists that are
// numbers. Evaluating one changes nothing, so that whatever turns out to be more is evaluated again in full, where the
// errors are, and from then on at once: the node is marked.
#include "frontend/evaluate/evaluator.h"
#include "frontend/evaluate/quick_operators.h"

namespace tenon {

// Most operands are local variables and literals, which need no call.
inline Quick Evaluator::quick_operand(const ast::Expr& expr, Frame& frame) {
    if (expr.kind == ast::ExprKind::name) {
        const ast::NameUse& use = ast::as<ast::Name>(expr).use;
        if (use.kind == ast::NameKind::local) return Quick::of(frame.slots[use.index]);
    } else if (expr.kind == ast::ExprKind::integer) {
        return Quick::of(ast::as<ast::IntegerLiteral>(expr).value);
    }
    return quick(expr, frame);
}

Quick Evaluator::quick(const ast::Expr& expr, Frame& frame) {
    using enum ast::ExprKind;
    if (!expr.in_registers) return {};
    Quick result;
    switch (expr.kind) {
        case boolean: return Quick::of(ast::as<ast::BooleanLiteral>(expr).value);
        case integer: return Quick::of(ast::as<ast::IntegerLiteral>(expr).value);
        case floating: return Quick::of(ast::as<ast::FloatLiteral>(expr).value);
        case name: {  // never marked: what a variable holds changes
            const ast::NameUse& use = ast::as<ast::Name>(expr).use;
            if (use.kind == ast::NameKind::local) return Quick::of(frame.slots[use.index]);
            if (use.kind == ast::NameKind::field) return Quick::of(frame.model().fields[use.index]);
            const Value* held = variable(use, frame);
            return held ? Quick::of(*held) : Quick();
        }
        case binary: {
            const auto& binary = ast::as<ast::Binary>(expr);
            if (const Quick a = quick_operand(*binary.left, frame)) {
                if (const Quick b = quick_operand(*binary.right, frame)) result = quick_binary(binary.op, a, b);
            }
            break;
        }
        case comparison: {
            const auto& comparison = ast::as<ast::Comparison>(expr);
            if (comparison.links.size() != 1) break;
            const ast::ComparisonLink& link = comparison.links[0];
            if (const Quick a = quick_operand(*comparison.first, frame)) {
                if (const Quick b = quick_operand(*link.operand, frame)) result = quick_comparison(link.op, a, b);
            }
            break;
        }
        case logical: {
            const auto& logical = ast::as<ast::Logical>(expr);
            const Quick left = quick(*logical.left, frame);
            if (!left.is(Kind::boolean)) break;
            if (bool(left.word) == (logical.op == ast::LogicalOperator::logical_or)) return left;
            const Quick right = quick(*logical.right, frame);
            if (right.is(Kind::boolean)) result = right;
            break;
        }
        case unary: {
            const auto& unary = ast::as<ast::Unary>(expr);
            const Quick x = quick(*unary.operand, frame);
            if (unary.op == ast::UnaryOperator::logical_not) {
                if (x.is(Kind::boolean)) result = Quick::of(x.word == 0);
            } else if (unary.op == ast::UnaryOperator::negate) {
                if (x.is(Kind::integer) && x.as_int() != INT64_MIN) result = Quick::of(-x.as_int());
                else if (x.is(Kind::real)) result = Quick::of(-x.as_number());
            }
            break;
        }
        case conditional: {
            const auto& conditional = ast::as<ast::Conditional>(expr);
            const Quick chosen = quick(*conditional.condition, frame);
            if (chosen.is(Kind::boolean)) result = quick(chosen.word ? *conditional.yes : *conditional.no, frame);
            break;
        }
        case index: {
            const auto& index = ast::as<ast::Index>(expr);
            if (index.is_tuple || index.object->kind != name) break;
            const Value* object = variable(ast::as<ast::Name>(*index.object).use, frame);
            Values* items = object ? items_of(*object) : nullptr;
            if (const Value* item = items ? quick_item(*items, quick_operand(*index.items[0], frame)) : nullptr)
                result = Quick::of(*item);
            break;
        }
        default: break;
    }
    if (!result) expr.in_registers = false;
    return result;
}

// `xs[i] = e` on a list, outside of a graph; false where there is more to it.
bool Evaluator::set_quickly(const ast::Index& target, const ast::Expr& value, Frame& frame) {
    if (target.is_tuple || target.object->kind != ast::ExprKind::name || tracer_.capturing()) return false;
    const Value* object = variable(ast::as<ast::Name>(*target.object).use, frame);
    auto* list = object ? object->try_as<ListObject>() : nullptr;
    if (!list) return false;
    const Quick number = quick(value, frame);
    if (!number) return false;
    Value* item = quick_item(list->items, quick_operand(*target.items[0], frame));
    if (!item || item->is_object()) return false;  // an object that goes may run code
    *item = number.value();
    return true;
}

}  // namespace tenon
