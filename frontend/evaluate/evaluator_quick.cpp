// What changes nothing, so that whatever turns out to be more is evaluated again in full, where the errors are: values
// that lie somewhere, looked up where they are; and arithmetic of host numbers in registers, whose nodes are marked
// where it is no such, and from then on evaluated in full at once.
#include "frontend/evaluate/evaluator.h"
#include "frontend/evaluate/variables.h"
#include "frontend/values/quick_operators.h"

namespace tenon {

// Most operands are local variables and literals, which need no call.
[[gnu::always_inline]] inline Quick Evaluator::quick_operand(const ast::Expr& expr, Frame& frame) {
    if (expr.kind == ast::ExprKind::name) {
        const ast::NameUse& use = ast::as<ast::Name>(expr).use;
        if (use.kind == ast::NameKind::local) return Quick::of(frame.slots[use.index]);
        if (use.kind == ast::NameKind::field) return Quick::of(frame.model().fields[use.index]);
    } else if (expr.kind == ast::ExprKind::integer) {
        return Quick::of(ast::as<ast::IntegerLiteral>(expr).value);
    } else if (expr.kind == ast::ExprKind::boolean) {
        return Quick::of(ast::as<ast::BooleanLiteral>(expr).value);
    }
    return quick(expr, frame);
}

// ---- values where they are ------------------------------------------------------------------------------------------

// The item of a list, tuple, dict or str that is there, for the keys that scripts use most.
inline Value* Evaluator::look_up_item(const Value& object, const ast::Expr& key, Frame& frame) {
    switch (object.kind()) {
        case Kind::list: return item_at(object.as<ListObject>().items, quick_operand(key, frame));
        case Kind::tuple: return item_at(object.as<TupleObject>().items, quick_operand(key, frame));
        case Kind::dict: return look_up_entry(object.as<DictObject>(), key, frame);
        case Kind::string: return character_at(object.as<StringObject>(), quick_operand(key, frame));
        default: return nullptr;
    }
}

inline Value* Evaluator::look_up_entry(DictObject& dict, const ast::Expr& key, Frame& frame) {
    if (const Value* held = look_up(key, frame)) return dict.find_simple(*held);
    const Quick number = quick_operand(key, frame);
    return number.is(Kind::integer) ? dict.find_simple(number.value()) : nullptr;
}

[[gnu::always_inline]] inline Value* Evaluator::look_up_index(const ast::Index& expr, Frame& frame) {
    const Value* object = expr.is_tuple ? nullptr : look_up(*expr.object, frame);
    return object ? look_up_item(*object, *expr.items[0], frame) : nullptr;
}

Value* Evaluator::look_up_node(const ast::Expr& expr, Frame& frame) {
    switch (expr.kind) {
        case ast::ExprKind::name: return look_up_variable(ast::as<ast::Name>(expr).use, frame);
        case ast::ExprKind::string: return &literal(ast::as<ast::StringLiteral>(expr).text);
        case ast::ExprKind::attribute: {
            const auto& attribute = ast::as<ast::Attribute>(expr);
            const Value* object = look_up(*attribute.object, frame);
            auto* model = object ? object->try_as<ModelObject>() : nullptr;
            return model ? model->find(model->model_class->member(attribute.name, attribute.member).field) : nullptr;
        }
        case ast::ExprKind::index: return look_up_index(ast::as<ast::Index>(expr), frame);
        default: return nullptr;
    }
}

// ---- numbers in registers -------------------------------------------------------------------------------------------

// `x in d` by a simple key, `a in b` of strs.
Quick Evaluator::quick_membership(const ast::Expr& item, const ast::ComparisonLink& link, Frame& frame) {
    const Value* container = look_up(*link.operand, frame);
    if (!container) return {};
    const Value* wanted = look_up(item, frame);
    Value number;
    if (!wanted) number = quick(item, frame).value(), wanted = &number;
    const bool should = link.op == ast::ComparisonOperator::in;
    if (auto* dict = container->try_as<DictObject>(); dict && DictObject::is_simple(*wanted))
        return Quick::of((dict->find_simple(*wanted) != nullptr) == should);
    if (container->is<StringObject>() && wanted->is<StringObject>())
        return Quick::of((text_of(*container).find(text_of(*wanted)) != std::string::npos) == should);
    return {};
}

Quick Evaluator::quick_node(const ast::Expr& expr, Frame& frame) {
    using enum ast::ExprKind;
    Quick result;
    switch (expr.kind) {
        case boolean: return Quick::of(ast::as<ast::BooleanLiteral>(expr).value);
        case integer: return Quick::of(ast::as<ast::IntegerLiteral>(expr).value);
        case floating: return Quick::of(ast::as<ast::FloatLiteral>(expr).value);
        case name: {  // never marked: what a variable holds changes
            const ast::NameUse& use = ast::as<ast::Name>(expr).use;
            const Value* held = look_up_variable(use, frame);
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
            if (link.op == ast::ComparisonOperator::in || link.op == ast::ComparisonOperator::not_in)
                result = quick_membership(*comparison.first, link, frame);
            else if (const Quick a = quick_operand(*comparison.first, frame)) {
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
        case attribute:
            if (const Value* held = look_up(expr, frame)) result = Quick::of(*held);
            break;
        case index:
            if (const Value* held = look_up_index(ast::as<ast::Index>(expr), frame)) result = Quick::of(*held);
            break;
        default: break;
    }
    if (!result) expr.in_registers = false;
    return result;
}

// ---- writes ---------------------------------------------------------------------------------------------------------
// False where there is more to it.

// `xs[i] = e` of a number on a list, outside of a graph.
inline bool Evaluator::set_quickly(const ast::Index& target, const ast::Expr& value, Frame& frame) {
    if (target.is_tuple || tracer_.capturing()) return false;
    const Value* object = look_up(*target.object, frame);
    auto* list = object ? object->try_as<ListObject>() : nullptr;
    if (!list) return false;
    const Quick number = quick_operand(value, frame);
    if (!number) return false;
    Value* item = item_at(list->items, quick_operand(*target.items[0], frame));
    if (!item || item->is_object()) return false;  // an object that goes may run code
    *item = number.value();
    return true;
}

// `xs[i] = e`, `d[k] = e` outside of a graph, by what is looked up.
bool Evaluator::set_quick_item(const ast::Index& target, const Value& value, Frame& frame) {
    if (target.is_tuple || tracer_.capturing()) return false;
    const Value* object = look_up(*target.object, frame);
    if (!object || !object->is_object()) return false;
    const Ref<Object> held(&object->object());  // what is replaced may be the last to hold it
    const ast::Expr& key = *target.items[0];
    if (auto* list = object->try_as<ListObject>()) {
        const Value* item = item_at(list->items, quick_operand(key, frame));
        if (item) writes_.set_item(*list, static_cast<size_t>(item - list->items.data()), value);
        return item != nullptr;
    }
    auto* dict = object->try_as<DictObject>();
    if (!dict) return false;
    const Value* name = look_up(key, frame);
    const Value wanted = name ? *name : quick(key, frame).value();
    if (DictObject::is_simple(wanted)) writes_.set_entry(*dict, wanted, value);
    return DictObject::is_simple(wanted);
}

// `x += e` of numbers on a local variable.
[[gnu::always_inline]] inline bool Evaluator::update_quick_local(const ast::Update& statement, Frame& frame) {
    Value* const local = statement.may_rebind ? quick_local(*statement.target, frame) : nullptr;
    const Quick held = local ? Quick::of(*local) : Quick();
    const Quick result = held ? quick_binary(statement.op, held, quick_operand(*statement.value, frame)) : held;
    if (result) *local = result.value();
    return bool(result);
}

// `xs[i] += e`, `d[k] += e` of numbers, outside of a graph.
bool Evaluator::update_quick_item(const ast::Update& statement, const ast::Index& target, Frame& frame) {
    if (target.is_tuple || tracer_.capturing()) return false;
    const Value* object = look_up(*target.object, frame);
    if (!object || !(object->is<ListObject>() || object->is<DictObject>())) return false;
    Value* item = look_up_item(*object, *target.items[0], frame);
    const Quick held = item ? Quick::of(*item) : Quick();
    const Quick result = held ? quick_binary(statement.op, held, quick(*statement.value, frame)) : held;
    if (result) *item = result.value();
    return bool(result);
}

// The model of `model.field`, and the number of the field: of one that is no param or buffer. Null where there is none.
inline ModelObject* Evaluator::look_up_field(const ast::Attribute& target, size_t& slot, Frame& frame) {
    const Value* object = look_up(*target.object, frame);
    auto* model = object ? object->try_as<ModelObject>() : nullptr;
    const int field = model ? model->model_class->member(target.name, target.member).field : -1;
    if (field < 0) return nullptr;
    slot = static_cast<size_t>(field);
    return model->roles[slot] == TensorRole::plain ? model : nullptr;
}

// `model.field = e`.
bool Evaluator::set_quick_field(const ast::Attribute& target, const Value& value, Frame& frame) {
    size_t slot = 0;
    const Ref<ModelObject> model(look_up_field(target, slot, frame));
    if (model) writes_.set_field(*model, slot, value);
    return bool(model);
}

// `model.field += e` of numbers.
inline bool Evaluator::update_quick_field(const ast::Update& statement, const ast::Attribute& target, Frame& frame) {
    size_t slot = 0;
    ModelObject* model = look_up_field(target, slot, frame);
    if (!model) return false;
    const Quick held = Quick::of(model->fields[slot]);
    const Quick result = held ? quick_binary(statement.op, held, quick(*statement.value, frame)) : held;
    if (result) writes_.set_field(*model, slot, result.value());
    return bool(result);
}

bool Evaluator::assign_in_registers(const ast::Assign& statement, Frame& frame) {
    if (statement.targets.size() != 1) return false;
    const ast::Expr& target = *statement.targets[0];
    if (target.kind == ast::ExprKind::index)
        return set_quickly(ast::as<ast::Index>(target), *statement.value, frame);
    Value* const local = quick_local(target, frame);
    if (!local && target.kind != ast::ExprKind::attribute) return false;
    const Quick number = quick(*statement.value, frame);
    if (!number) return false;
    if (!local) return set_quick_field(ast::as<ast::Attribute>(target), number.value(), frame);
    *local = number.value();
    return true;
}

bool Evaluator::update_in_registers(const ast::Update& statement, Frame& frame) {
    switch (statement.target->kind) {
        case ast::ExprKind::name: return update_quick_local(statement, frame);
        case ast::ExprKind::attribute:
            return update_quick_field(statement, ast::as<ast::Attribute>(*statement.target), frame);
        default: return update_quick_item(statement, ast::as<ast::Index>(*statement.target), frame);
    }
}

}  // namespace tenon
