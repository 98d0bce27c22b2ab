// Statements: control flow, assignment, scope blocks.
#include <fmt/format.h>

#include "frontend/evaluate/evaluator.h"
#include "frontend/evaluate/host_operators.h"
#include "frontend/evaluate/modules.h"
#include "frontend/evaluate/session.h"
#include "frontend/values/errors.h"

namespace tenon {

Evaluator::Flow Evaluator::execute(const ast::Block& block, Frame& frame) {
    for (const ast::Statement* statement : block.statements) {
        Flow flow = execute(*statement, frame);
        if (flow != Flow::normal) return flow;
    }
    return Flow::normal;
}

Evaluator::Flow Evaluator::execute(const ast::Statement& statement, Frame& frame) {
    using enum ast::StatementKind;
    try {
        switch (statement.kind) {
            case expression: {
                const ast::Expr& value = *ast::as<ast::ExpressionStatement>(statement).value;
                if (value.kind == ast::ExprKind::scope_block)
                    return run_scope(ast::as<ast::ScopeBlock>(value), frame, nullptr);
                evaluate(value, frame);
                return Flow::normal;
            }
            case assign: {
                const auto& assignment = ast::as<ast::Assign>(statement);
                Value value = evaluate(*assignment.value, frame);
                for (const ast::Expr* target : assignment.targets)
                    this->assign(*target, value, assignment.value->is_literal, frame);
                return Flow::normal;
            }
            case update: execute_update(ast::as<ast::Update>(statement), frame); return Flow::normal;
            case break_loop: return Flow::break_loop;
            case continue_loop: return Flow::continue_loop;
            case return_value:
                if (const ast::Expr* value = ast::as<ast::Return>(statement).value)
                    frame.result = evaluate(*value, frame);
                return Flow::return_value;
            case assertion: execute_assert(ast::as<ast::Assert>(statement), frame); return Flow::normal;
            case graph_break: {
                Symbol reason = ast::as<ast::GraphBreak>(statement).reason;
                tracer_.graph_break(reason == Symbol::none ? "graph_break" : "graph_break: " + name_of(reason),
                                    statement.span);
                return Flow::normal;
            }
            case use: execute_use(ast::as<ast::Use>(statement), frame); return Flow::normal;
            case tensor_declaration:
                execute_tensor_declaration(ast::as<ast::TensorDeclaration>(statement), frame);
                return Flow::normal;
            case if_else: return execute_if(ast::as<ast::If>(statement), frame);
            case while_loop: return execute_while(ast::as<ast::While>(statement), frame);
            case for_loop: return execute_for(ast::as<ast::For>(statement), frame);
            case function_declaration: {
                const auto& declaration = ast::as<ast::FunctionDeclaration>(statement);
                if (declaration.function->kind == ast::FunctionKind::method || !declaration.bind_at_line)
                    return Flow::normal;
                Value function = make_closure(*declaration.function, frame);
                store(declaration.target, decorate(std::move(function), declaration.decorators, frame), frame,
                      statement.span);
                return Flow::normal;
            }
            case model_declaration: {
                const auto& declaration = ast::as<ast::ModelDeclaration>(statement);
                if (!declaration.bind_at_line) return Flow::normal;
                store(declaration.target,
                      decorate(make_class(*declaration.model, frame), declaration.decorators, frame), frame,
                      statement.span);
                return Flow::normal;
            }
            case custom_declaration:
                throw_error_at(statement.span, "unsupported",
                               "functions with a gradient of their own (`custom fn`) are not there yet",
                               "write the function with built-in operations, whose gradients are known");
            case test: execute_test(ast::as<ast::Test>(statement), frame); return Flow::normal;
            case try_catch: return execute_try(ast::as<ast::Try>(statement), frame);
            case error: assert(false && "a tree with errors was evaluated"); break;
        }
    } catch (const Escape& escape) { return escape.flow; } catch (Error& error) {
        if (!error.diagnostic.span) error.diagnostic.span = statement.span;
        throw;
    }
    return Flow::normal;
}

Evaluator::Flow Evaluator::execute_if(const ast::If& statement, Frame& frame) {
    for (const ast::Branch& branch : statement.branches) {
        if (truth(evaluate(*branch.condition, frame), branch.condition->span)) return execute(*branch.body, frame);
    }
    return statement.otherwise ? execute(*statement.otherwise, frame) : Flow::normal;
}

bool Evaluator::at_back_edge(Tracer::LoopMark& mark, Span span, Frame& frame) {
    check_interrupt();
    collector_.step();
    if (!tracer_.back_edge(mark, span)) return false;
    // The graph ended: these functions are interpreted from here on, and the calls in them captured.
    for (Frame* open = &frame; open; open = open->caller) {
        if (open->closure) tracer_.open_function(&open->function);
        if (std::exchange(open->starts_capture, false)) break;
    }
    return true;
}

Evaluator::Flow Evaluator::execute_while(const ast::While& statement, Frame& frame) {
    auto mark = tracer_.enter_loop();
    while (truth(evaluate(*statement.condition, frame), statement.condition->span)) {
        Flow flow = execute(*statement.body, frame);
        if (flow == Flow::break_loop) break;
        if (flow == Flow::return_value) return flow;
        at_back_edge(mark, statement.span, frame);
    }
    return Flow::normal;
}

Evaluator::Flow Evaluator::execute_for(const ast::For& statement, Frame& frame) {
    Value iterable = evaluate(*statement.iterable, frame);
    auto mark = tracer_.enter_loop();
    // True: the loop goes on.
    Flow flow = Flow::normal;
    auto turn = [&](const Value& item) {
        refresh(statement.fresh, frame);
        assign(*statement.target, item, false, frame);
        flow = execute(*statement.body, frame);
        if (flow == Flow::break_loop || flow == Flow::return_value) return false;
        at_back_edge(mark, statement.span, frame);
        return true;
    };
    if (auto* range = iterable.try_as<RangeObject>()) {
        for (int64_t i = 0, size = range->size(); i < size && turn(range->at(i)); ++i) {}
    } else if (const Values* items = items_of(iterable)) {
        for (size_t i = 0; i < items->size(); ++i) {
            Value item = (*items)[i];  // the body may change the list
            if (!turn(item)) break;
        }
    } else {
        Ref<IteratorObject> iterator;
        try {
            iterator = iterate(iterable);
        } catch (Error& error) {
            if (!error.diagnostic.span) error.diagnostic.span = statement.iterable->span;
            throw;
        }
        Value item;
        while (iterator->next(*this, item) && turn(item)) {}
    }
    return flow == Flow::return_value ? flow : Flow::normal;
}

Evaluator::Flow Evaluator::execute_try(const ast::Try& statement, Frame& frame) {
    if (tracer_.capturing()) tracer_.graph_break("try", statement.span);
    struct Inside {
        Frame& frame;
        explicit Inside(Frame& f) : frame(f) { ++frame.tries; }
        ~Inside() { --frame.tries; }
    };
    Diagnostic caught;
    try {
        const Inside inside(frame);
        Flow flow = execute(*statement.body, frame);
        if (tracer_.capturing()) tracer_.flush();  // what fails when it runs, fails inside the try
        return flow;
    } catch (Error& error) { caught = std::move(error.diagnostic); }
    try {
        tracer_.flush();  // what was captured before the error has happened
    } catch (Error& earlier) { caught = std::move(earlier.diagnostic); }
    unwound_.clear();
    int64_t line = caught.span ? session_.sources().line(caught.span) : 0;
    auto error =
        make_ref<RecordObject>("error", std::vector<RecordObject::Field>{{"message", Value::text(caught.message)},
                                                                         {"kind", Value::text(caught.kind)},
                                                                         {"line", line},
                                                                         {"help", Value::text(caught.help)}});
    error->text = caught.message;
    if (statement.error) store(statement.error->use, error, frame, statement.error->span);
    return execute(*statement.handler, frame);
}

void Evaluator::execute_use(const ast::Use& statement, Frame&) {
    for (const ast::UseItem& item : statement.items) {
        session_.modules().run_once(session_.modules()[item.module], item.span);
    }
}

void Evaluator::execute_test(const ast::Test& statement, Frame& frame) {
    if (!test_runner_) return;
    Value body = make_closure(*statement.body, frame);
    test_runner_(name_of(statement.name), statement.span, [&] {
        CallArguments none;
        call_evaluated(body, none, statement.span);
    });
}

void Evaluator::execute_assert(const ast::Assert& statement, Frame& frame) {
    const ast::Expr& condition = *statement.condition;
    auto message = [&] { return statement.message ? text(evaluate(*statement.message, frame)) : std::string(); };

    // A comparison of host values that fails shows both sides.
    std::vector<Label> labels;
    Value value;
    if (condition.kind == ast::ExprKind::comparison && ast::as<ast::Comparison>(condition).links.size() == 1) {
        const auto& comparison = ast::as<ast::Comparison>(condition);
        const ast::ComparisonLink& link = comparison.links[0];
        Value left = evaluate(*comparison.first, frame), right = evaluate(*link.operand, frame);
        value =
            compare(link.op, {left, comparison.first->is_literal}, {right, link.operand->is_literal}, condition.span);
        if (value.is_bool() && !value.as_bool()) {
            for (auto [expr, side] : {std::pair(comparison.first, &left), std::pair(link.operand, &right)}) {
                if (!expr->is_literal && !side->is_symbolic()) labels.push_back({expr->span, repr(*side)});
            }
        }
    } else {
        value = evaluate(condition, frame);
    }
    if (value.is_tensor()) {
        bool pure = !statement.message || statement.message->kind == ast::ExprKind::string;
        border_.assert_tensor(value, message, pure, statement.span);
        return;
    }
    if (truth(value, condition.span)) return;
    std::string said = message();
    if (said.empty()) said = fmt::format("the assertion `{}` failed", session_.sources().text(condition.span));
    throw Error(Diagnostic{"assertion", std::move(said), condition.span, std::move(labels), {}});
}

// ---- assignment ---------------------------------------------------------------------------------------------------

void Evaluator::assign(const ast::Expr& target, const Value& value, bool is_literal, Frame& frame) {
    switch (target.kind) {
        case ast::ExprKind::name: store(ast::as<ast::Name>(target).use, value, frame, target.span); return;
        case ast::ExprKind::attribute: {
            const auto& attribute = ast::as<ast::Attribute>(target);
            set_attribute(evaluate(*attribute.object, frame), attribute.name, value, target.span);
            return;
        }
        case ast::ExprKind::index: {
            const auto& index = ast::as<ast::Index>(target);
            Value object = evaluate(*index.object, frame);
            set_item(object, evaluate_key(index, object, frame), {value, is_literal}, target.span);
            return;
        }
        default: unpack(ast::as<ast::Sequence>(target).items, value, target.span, frame);
    }
}

void Evaluator::unpack(std::span<ast::Expr*> targets, const Value& value, Span span, Frame& frame) {
    Values collected;
    const Values* items = items_of(value);
    Value keep = value;  // the assignments may drop the last other reference
    if (!items) {
        try {
            collected = collect(value);
        } catch (Error& error) {
            if (error.diagnostic.kind != "type") throw;
            throw_error_at(span, "type",
                           fmt::format("{} names are assigned, but the value is {}", targets.size(), describe(value)));
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
    Operator op = operator_of(statement.op);

    // Tensors and lists change in place; true when that was done.
    auto in_place = [&](const Value& current, const Operand& operand) {
        if (current.is_tensor()) {
            border_.update(op, current, operand, statement.span);
            return true;
        }
        auto* list = current.try_as<ListObject>();
        if (!list || op != Operator::add) return false;
        extend(*list, collect(operand.value));
        return true;
    };

    switch (target.kind) {
        case ast::ExprKind::name: {
            const auto& name = ast::as<ast::Name>(target);
            Value current = load(name.use, name.name, frame, target.span);
            Value value = evaluate(*statement.value, frame);
            Operand operand{value, statement.value->is_literal};
            if (in_place(current, operand)) return;
            if (!statement.may_rebind) {
                bool is_field = name.use.kind == ast::NameKind::field;
                throw_error_at(
                    target.span, "name",
                    fmt::format("`{}` is {}; `{}=` would rebind it, since {} does not change in place",
                                name_of(name.name),
                                is_field ? "a field of the model" : "a name from outside this function",
                                ast::spelling(statement.op), describe(current)),
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
            // An item of a tensor may be a copy (a mask, a list of indices): it is written back.
            if (!object.is_tensor() && in_place(current, operand)) return;
            Value result = binary(op, {current}, operand, statement.span);
            set_item(object, key, {result}, target.span);
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
    store(use, std::move(held), frame, statement.span);
}

Value Evaluator::hold_tensors(const Value& initial, bool is_buffer, const ast::TypeNode* type, Span span) {
    auto part = [&](const Value& value) { return hold_tensors(value, is_buffer, nullptr, span); };
    if (const Values* items = items_of(initial)) {
        Values held;
        for (const Value& item : *items) held.push_back(part(item));
        return initial.is<ListObject>() ? make_list(std::move(held)) : make_tuple(std::move(held));
    }
    if (auto* dict = initial.try_as<DictObject>()) {
        auto held = make_ref<DictObject>();
        for (const auto& entry : dict->entries()) held->set(entry.key, part(entry.value));
        return held;
    }
    Value value = initial;
    if (type && type->has_dtype && (value.is_number() || value.is_bool())) {
        KeywordArgument dtype{"dtype", type->dtype};
        value = call(builtins_[*builtins_.find(symbols_.intern("tensor"))].value, std::span(&initial, 1),
                     std::span(&dtype, 1));
    }
    if (!value.is_tensor() && !value.is_number() && !value.is_bool()) {
        throw_error_at(
            span, "type",
            fmt::format("a {} holds tensors, but its value is {}", is_buffer ? "buffer" : "param", describe(value)),
            "give it a tensor, a number, or a list, tuple or dict of tensors");
    }
    Value made = border_.make_parameter(value, is_buffer, span);
    made.as<TensorObject>().role = is_buffer ? TensorRole::buffer : TensorRole::parameter;
    return made;
}

// ---- scope blocks -------------------------------------------------------------------------------------------------

Evaluator::Flow Evaluator::run_scope(const ast::ScopeBlock& block, Frame& frame, Value* worth) {
    CallArguments given = evaluate_arguments(nullptr, block.arguments, frame);
    std::vector<Tracer::ScopeArgument> arguments;
    for (Value& value : given.positional) arguments.push_back({{}, std::move(value)});
    for (auto& [name, value] : given.keywords) arguments.push_back({name_of(name), std::move(value)});
    Span head = block.name_span ? block.name_span : block.span;
    std::unique_ptr<Scope> scope = tracer_.enter_scope(name_of(block.name), arguments, head);

    auto statements = block.body->statements;
    for (size_t i = 0; i < statements.size(); ++i) {
        if (worth && i + 1 == statements.size() && statements[i]->kind == ast::StatementKind::expression) {
            *worth = evaluate(*ast::as<ast::ExpressionStatement>(*statements[i]).value, frame);
            break;
        }
        Flow flow = execute(*statements[i], frame);
        if (flow != Flow::normal) return flow;
    }
    return Flow::normal;
}

Value Evaluator::evaluate_scope_block(const ast::ScopeBlock& block, Frame& frame) {
    Value worth;
    Flow flow = run_scope(block, frame, &worth);
    if (flow != Flow::normal) throw Escape{flow};
    return worth;
}

}  // namespace tenon
