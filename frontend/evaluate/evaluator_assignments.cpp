// Assignment: names, fields, items, `op=`, and what `param` and `buffer` hold.
#include <fmt/format.h>

#include "frontend/evaluate/evaluator.h"
#include "frontend/evaluate/session.h"
#include "frontend/values/errors.h"
#include "frontend/values/host_operators.h"
#include "frontend/values/quick_operators.h"
#include "frontend/values/structure.h"

namespace tenon {

void Evaluator::assign(const ast::Expr& target, const Value& value, bool is_literal, Frame& frame) {
    switch (target.kind) {
        case ast::ExprKind::name: store(ast::as<ast::Name>(target).use, value, frame, target.span); return;
        case ast::ExprKind::attribute: {
            const auto& attribute = ast::as<ast::Attribute>(target);
            if (set_quick_field(attribute, value, frame)) return;
            set_attribute(evaluate(*attribute.object, frame), attribute.name, value, target.span);
            return;
        }
        case ast::ExprKind::index: {
            const auto& index = ast::as<ast::Index>(target);
            if (set_quick_item(index, value, frame)) return;
            Value object = evaluate(*index.object, frame);
            set_item(object, evaluate_key(index, object, frame), {value, is_literal}, target.span);
            return;
        }
        default: unpack(ast::as<ast::Sequence>(target).items, value, target.span, frame);
    }
}

// `(a, b) = (x, y)` on local variables, without the tuple; false where there is more to it.
bool Evaluator::assign_side_by_side(const ast::Expr& target, const ast::Expr& value, Frame& frame) {
    constexpr size_t most = 4;
    if (value.kind != ast::ExprKind::tuple) return false;
    const auto& targets = ast::as<ast::Sequence>(target);
    const auto& values = ast::as<ast::Sequence>(value);
    if (targets.items.size() != values.items.size() || targets.items.size() > most || values.has_spread) return false;
    Value* locals[most];
    for (size_t k = 0; k < targets.items.size(); ++k) {
        if (!(locals[k] = quick_local(*targets.items[k], frame))) return false;
    }
    Value made[most];
    for (size_t k = 0; k < values.items.size(); ++k) made[k] = evaluate(*values.items[k], frame);
    for (size_t k = 0; k < values.items.size(); ++k) *locals[k] = std::move(made[k]);
    return true;
}

// `x += e` on a variable that held `current` when `operand` was evaluated, numbers or strs outside of a graph; false
// where there is more to it.
bool Evaluator::update_quickly(const ast::Update& statement, const Value& current, const Value& operand, Frame& frame) {
    if (tracer_.capturing() || !statement.may_rebind) return false;
    Value* held = variable(ast::as<ast::Name>(*statement.target).use, frame);
    if (!held) return false;
    if (auto* text = current.try_as<StringObject>()) {
        // Nobody but the variable and this function can see the text: it grows where it is.
        if (statement.op != ast::BinaryOperator::add || !operand.is<StringObject>() || identical(operand, current) ||
            !identical(*held, current) || text->use_count() != 2 || !fits_a_text(text->text(), text_of(operand)))
            return false;
        text->append(operand.as<StringObject>());
        return true;
    }
    const Quick result = quick_binary(statement.op, Quick::of(current), Quick::of(operand));
    if (!result) return false;
    *held = result.value();
    return true;
}

void Evaluator::unpack(std::span<ast::Expr*> targets, const Value& value, Span span, Frame& frame) {
    auto is_spread = [](const ast::Expr* target) { return target->kind == ast::ExprKind::spread; };
    if (auto* tuple = value.try_as<TupleObject>(); tuple && tuple->items.size() == targets.size() &&
                                                   std::none_of(targets.begin(), targets.end(), is_spread)) {
        const Ref<TupleObject> held(tuple);  // the assignments may drop the last other reference
        for (size_t i = 0; i < targets.size(); ++i) {
            if (Value* local = quick_local(*targets[i], frame)) *local = tuple->items[i];
            else assign(*targets[i], tuple->items[i], false, frame);
        }
        return;
    }
    Values collected;
    const Values* items = items_of(value);
    Value keep = value;  // the assignments may drop the last other reference
    if (!items) {
        try {
            collected = collect(value);
        } catch (Error& error) {
            if (error.diagnostic.kind != "type") throw;
            throw_error_at(
                span, "type",
                fmt::format("{} names are assigned, but the value is {}", targets.size(), semantics_.describe(value)));
        }
        items = &collected;
    } else if (value.is<ListObject>()) {
        collected = *items;  // `xs[0], xs[1] = xs` may change it meanwhile
        items = &collected;
    }
    size_t spread = targets.size();
    for (size_t i = 0; i < targets.size(); ++i) {
        if (targets[i]->kind == ast::ExprKind::spread) spread = i;
    }
    bool has_spread = spread < targets.size();
    if (has_spread ? items->size() + 1 < targets.size() : items->size() != targets.size()) {
        throw_error_at(span, "value",
                       fmt::format("{}{} name{} assigned, but there {} {} value{}", has_spread ? "at least " : "",
                                   targets.size() - has_spread, targets.size() - has_spread == 1 ? " is" : "s are",
                                   items->size() == 1 ? "is" : "are", items->size(), items->size() == 1 ? "" : "s"),
                       has_spread ? "" : "`*rest` takes any number of values");
    }
    size_t rest = has_spread ? items->size() - (targets.size() - 1) : 0;
    for (size_t i = 0, at = 0; i < targets.size(); ++i) {
        if (i == spread) {
            Values taken(items->begin() + static_cast<ptrdiff_t>(at),
                         items->begin() + static_cast<ptrdiff_t>(at + rest));
            assign(*ast::as<ast::Spread>(*targets[i]).value, make_list(std::move(taken)), false, frame);
            at += rest;
        } else {
            assign(*targets[i], (*items)[at++], false, frame);
        }
    }
}

void Evaluator::execute_update(const ast::Update& statement, Frame& frame) {
    const ast::Expr& target = *statement.target;
    const Operator op = operator_of(statement.op);

    // Tensors and lists change in place; true when that was done.
    auto in_place = [&](const Value& current, const Operand& operand) {
        if (current.is_tensor()) {
            border_.update(op, current, operand, statement.span);
            return true;
        }
        auto* list = current.try_as<ListObject>();
        if (!list || op != Operator::add) return false;
        writes_.extend(*list, collect(operand.value));
        return true;
    };

    switch (target.kind) {
        case ast::ExprKind::name: {
            const auto& name = ast::as<ast::Name>(target);
            Value current = load(name.use, name.name, frame, target.span);
            Value value = evaluate(*statement.value, frame);
            if (update_quickly(statement, current, value, frame)) return;
            Operand operand{value, statement.value->is_literal};
            if (in_place(current, operand)) return;
            if (!statement.may_rebind) {
                bool is_field = name.use.kind == ast::NameKind::field;
                throw_error_at(
                    target.span, "name",
                    fmt::format("`{}` is {}; `{}=` would rebind it, since {} does not change in place",
                                name_of(name.name),
                                is_field ? "a field of the model" : "a name from outside this function",
                                ast::spelling(statement.op), semantics_.describe(current)),
                    is_field ? fmt::format("write `self.{} {}= …`", name_of(name.name), ast::spelling(statement.op))
                             : "keep it in a list, a dict or a model, and change the content");
            }
            store(name.use, binary(op, {current}, operand, statement.span), frame, target.span);
            return;
        }
        case ast::ExprKind::attribute: {
            const auto& attribute = ast::as<ast::Attribute>(target);
            Value object = evaluate(*attribute.object, frame);
            Value current = get_attribute(object, attribute.name, target.span);
            Value value = evaluate(*statement.value, frame);
            Operand operand{value, statement.value->is_literal};
            if (in_place(current, operand)) return;
            set_attribute(object, attribute.name, binary(op, {current}, operand, statement.span), target.span);
            return;
        }
        default: {
            const auto& index = ast::as<ast::Index>(target);
            Value object = evaluate(*index.object, frame);
            Value key = evaluate_key(index, object, frame);
            Value current = get_item(object, key, target.span);
            Value value = evaluate(*statement.value, frame);
            Operand operand{value, statement.value->is_literal};
            if (!in_place(current, operand)) {
                set_item(object, key, {binary(op, {current}, operand, statement.span)}, target.span);
            } else if (object.is_tensor() && !current.as<TensorObject>().is_view_beside(object.as<TensorObject>())) {
                set_item(object, key, {current}, target.span);  // of a mask, of a list of positions: it was a copy
            }
        }
    }
}

void Evaluator::execute_tensor_declaration(const ast::TensorDeclaration& statement, Frame& frame) {
    const std::string& name = name_of(statement.target->name);
    if (!statement.value) {
        throw_error_at(statement.span, "value", fmt::format("`{}` needs an initial value", name),
                       fmt::format("write `{} = zeros(…)`", name));
    }
    Value initial = evaluate(*statement.value, frame);
    Value held = hold_tensors(initial, statement.is_buffer, statement.type, statement.value->span);
    if (statement.type) check_type(*statement.type, held, frame, name, statement.value->span);
    const ast::NameUse& use = statement.target->use;
    if (use.kind == ast::NameKind::field) {
        frame.model().roles[use.index] = statement.is_buffer ? TensorRole::buffer : TensorRole::parameter;
    }
    if (statement.is_pack) frame.model().check_pack(held);
    store(use, std::move(held), frame, statement.span);
}

Value Evaluator::hold_tensors(const Value& initial, bool is_buffer, const ast::TypeNode* type, Span span) {
    if (is_branch(initial))
        return map_leaves(initial, [&](const Value& leaf) { return hold_tensors(leaf, is_buffer, nullptr, span); });
    Value value = initial;
    if (type && type->has_dtype && (value.is_number() || value.is_bool())) {
        KeywordArgument dtype{"dtype", type->dtype};
        value = call(builtins_[*builtins_.find(symbols_.intern("tensor"))].value, std::span(&initial, 1),
                     std::span(&dtype, 1));
    }
    if (!value.is_tensor() && !value.is_number() && !value.is_bool()) {
        throw_error_at(span, "type",
                       fmt::format("a {} holds tensors, but its value is {}", is_buffer ? "buffer" : "param",
                                   semantics_.describe(value)),
                       "give it a tensor, a number, or a list, tuple or dict of tensors");
    }
    Value made = border_.make_parameter(value, is_buffer, span);
    made.as<TensorObject>().role = is_buffer ? TensorRole::buffer : TensorRole::parameter;
    return made;
}

}  // namespace tenon
