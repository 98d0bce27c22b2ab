// Statements: control flow and scope blocks.
#include <fmt/format.h>

#include "frontend/evaluate/evaluator.h"
#include "frontend/evaluate/host_iterators.h"
#include "frontend/evaluate/modules.h"
#include "frontend/evaluate/session.h"
#include "frontend/values/errors.h"
#include "frontend/values/host_operators.h"
#include "frontend/values/quick_operators.h"
#include "frontend/values/structure.h"

namespace tenon {

// Numbers that go to their places; false where there is more to it. No error comes of them, so nobody has to say where.
[[gnu::always_inline]] inline bool Evaluator::execute_in_registers(const ast::Statement& statement, Frame& frame) {
    if (statement.kind == ast::StatementKind::update)
        return update_in_registers(ast::as<ast::Update>(statement), frame);
    return statement.kind == ast::StatementKind::assign && assign_in_registers(ast::as<ast::Assign>(statement), frame);
}

Evaluator::Flow Evaluator::execute(const ast::Block& block, Frame& frame) {
    for (const ast::Statement* statement : block.statements) {
        if (execute_in_registers(*statement, frame)) continue;
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
                if (value.kind == ast::ExprKind::method_call)
                    evaluate_method_call(ast::as<ast::MethodCall>(value), frame);
                else evaluate(value, frame);
                return Flow::normal;
            }
            case assign: {
                const auto& assignment = ast::as<ast::Assign>(statement);
                if (assignment.targets.size() == 1) {
                    const ast::Expr& target = *assignment.targets[0];
                    if (Value* const local = quick_local(target, frame)) {
                        *local = evaluate(*assignment.value, frame);
                        return Flow::normal;
                    }
                    if (target.kind == ast::ExprKind::tuple && assign_side_by_side(target, *assignment.value, frame))
                        return Flow::normal;
                }
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
                else frame.result = {};
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
            case custom_declaration: {
                const auto& declaration = ast::as<ast::CustomDeclaration>(statement);
                store(declaration.target, decorate(make_custom(declaration, frame), declaration.decorators, frame),
                      frame, statement.span);
                return Flow::normal;
            }
            case test: execute_test(ast::as<ast::Test>(statement), frame); return Flow::normal;
            case try_catch: return execute_try(ast::as<ast::Try>(statement), frame);
            case error: assert(false && "a tree with errors was evaluated"); break;
        }
    } catch (const Escape& escape) { return escape.flow; } catch (Error& error) {
        if (!error.diagnostic.span) error.diagnostic.span = statement.span;
        throw;
    } catch (Interrupted& interrupted) {
        if (!interrupted.span) interrupted.span = statement.span;
        throw;
    } catch (const std::bad_alloc&) {
        if (!here_) here_ = statement.span;  // whoever reports it asks there
        throw;
    }
    return Flow::normal;
}

Evaluator::Flow Evaluator::execute_if(const ast::If& statement, Frame& frame, size_t first) {
    for (size_t k = first; k < statement.branches.size(); ++k) {
        const ast::Branch& branch = statement.branches[k];
        const bool may_be_node = tracer_.capturing() && branch.condition->kind != ast::ExprKind::logical;
        if (!may_be_node) {
            if (condition(*branch.condition, frame)) return execute(*branch.body, frame);
            continue;
        }
        std::string why;
        bool taken = false;
        if (const Quick known = quick(*branch.condition, frame); known.is(Kind::boolean)) taken = known.word;
        else {
            Value holds = evaluate(*branch.condition, frame);
            if (border_.is_pending_condition(holds))
                if (const std::optional<Flow> flow = this->branch(statement, k, holds, frame, why)) return *flow;
            taken = holds.is_tensor() ? border_.truth(std::move(holds), branch.condition->span, why)
                                      : semantics_.truth(holds, branch.condition->span);
        }
        if (taken) return execute(*branch.body, frame);
    }
    return statement.otherwise ? execute(*statement.otherwise, frame) : Flow::normal;
}

// The graph ended: these functions are interpreted from here on, and the calls in them captured.
void Evaluator::open_functions(Frame& frame) {
    for (Frame* open = &frame; open; open = open->caller) {
        if (const void* checkpoint = std::exchange(open->captured_checkpoint, nullptr))
            return tracer_.functions().open(checkpoint);
        if (open->closure) tracer_.functions().open(&open->function);
        if (std::exchange(open->starts_capture, false)) break;
    }
}

Evaluator::Flow Evaluator::execute_while(const ast::While& statement, Frame& frame) {
    auto mark = tracer_.enter_loop();
    while (condition(*statement.condition, frame)) {
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
    Value* const local = quick_local(*statement.target, frame);
    // True: the loop goes on.
    Flow flow = Flow::normal;
    auto turn = [&](Value item) __attribute__((always_inline)) {
        if (!statement.fresh.empty()) refresh(statement.fresh, frame);
        if (local) *local = std::move(item);
        else assign(*statement.target, item, false, frame);
        flow = execute(*statement.body, frame);
        if (flow == Flow::break_loop || flow == Flow::return_value) return false;
        at_back_edge(mark, statement.span, frame);
        return true;
    };
    for_each_value(*this, iterable, statement.iterable->span, turn);
    return flow == Flow::return_value ? flow : Flow::normal;
}

Evaluator::Flow Evaluator::execute_try(const ast::Try& statement, Frame& frame) {
    if (tracer_.capturing()) tracer_.graph_break("try", statement.span);
    struct Inside {
        Frame& frame;
        explicit Inside(Frame& f) : frame(f) { ++frame.tries; }
        ~Inside() { --frame.tries; }
    };
    const Span outside = here_;
    Diagnostic caught;
    try {
        const Inside inside(frame);
        Flow flow = execute(*statement.body, frame);
        if (tracer_.capturing()) tracer_.flush();  // what fails when it runs, fails inside the try
        return flow;
    } catch (Error& error) { caught = std::move(error.diagnostic); } catch (const std::bad_alloc&) {
        reserve_.reset();  // what fills the memory is still held by variables
        caught = {"memory", "there is not enough memory", here_, {}, {}};
    }
    here_ = outside;    // what failed is not under way any more
    frame.result = {};  // of a `return` that the end of the graph took back
    try {
        tracer_.flush();  // what was captured before the error has happened
    } catch (Error& earlier) { caught = std::move(earlier.diagnostic); }
    unwound_.clear();
    int64_t line = caught.span ? session_.sources().line(caught.span) : 0;
    auto error =
        make_ref<RecordObject>("error", std::vector<RecordObject::Field>{{"message", make_text(caught.message)},
                                                                         {"kind", make_text(caught.kind)},
                                                                         {"line", line},
                                                                         {"help", make_text(caught.help)}});
    error->text = caught.message;
    if (statement.error) store(statement.error->use, error, frame, statement.error->span);
    const Flow flow = execute(*statement.handler, frame);
    make_reserve();
    return flow;
}

void Evaluator::execute_use(const ast::Use& statement, Frame&) {
    for (const ast::UseItem& item : statement.items) {
        session_.modules().run_once(session_.modules()[item.module], item.span);
    }
}

void Evaluator::execute_test(const ast::Test& statement, Frame& frame) {
    if (!test_runner_) return;
    Value body = make_closure(*statement.body, frame);
    const Span outside = here_;
    test_runner_(name_of(statement.name), statement.span, [&] {
        CallArguments none;
        call_evaluated(body, none, statement.span);
    });
    here_ = outside;  // also where the test failed
}

void Evaluator::execute_assert(const ast::Assert& statement, Frame& frame) {
    const ast::Expr& condition = *statement.condition;
    auto message = [&] {
        return statement.message ? semantics_.text(evaluate(*statement.message, frame)) : std::string();
    };

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
                if (!expr->is_literal) labels.push_back({expr->span, semantics_.repr(*side)});
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
    if (semantics_.truth(value, condition.span)) return;
    std::string said = message();
    if (said.empty()) said = fmt::format("the assertion `{}` failed", session_.sources().text(condition.span));
    throw Error(Diagnostic{"assertion", std::move(said), condition.span, std::move(labels), {}});
}

// ---- scope blocks -------------------------------------------------------------------------------------------------

// Metadata holds numbers: symbolic ones are decided, also inside lists and tuples.
Value Evaluator::scope_argument(const Value& value, Span span) {
    if (value.is_symbolic()) return border_.settle(value, span);
    const Values* given = items_of(value);
    if (!given || given->empty()) return value;
    check_stack(span);
    Values items;
    for (const Value& item : *given) items.push_back(scope_argument(item, span));
    return make_list(std::move(items));
}

Evaluator::Flow Evaluator::run_scope(const ast::ScopeBlock& block, Frame& frame, Value* worth) {
    CallArguments given = evaluate_arguments(nullptr, block.arguments, frame);
    std::vector<Tracer::ScopeArgument> arguments;
    for (Value& value : given.positional) arguments.push_back({{}, std::move(value)});
    for (auto& [name, value] : given.keywords) arguments.push_back({name_of(name), scope_argument(value, block.span)});
    Span head = block.name_span ? block.name_span : block.span;
    Flow flow = Flow::normal;
    Value last = within_scope(name_of(block.name), arguments, head, &block, [&] {
        auto statements = block.body->statements;
        for (size_t i = 0; i < statements.size() && flow == Flow::normal; ++i) {
            if (worth && i + 1 == statements.size() && statements[i]->kind == ast::StatementKind::expression)
                return evaluate(*ast::as<ast::ExpressionStatement>(*statements[i]).value, frame);
            flow = execute(*statements[i], frame);
        }
        return Value();
    });
    if (worth) *worth = std::move(last);
    return flow;
}

// What a checkpoint computes again is a graph's: where none is under way, it begins one of its own.
Value Evaluator::within_scope(std::string_view name, std::span<const Tracer::ScopeArgument> arguments, Span span,
                              const void* identity, FunctionRef<Value()> thunk) {
    const auto run = [&] {
        const std::unique_ptr<Scope> scope = tracer_.enter_scope(name, arguments, span);
        return thunk();
    };
    if (name != "checkpoint" || !tracer_.wants_capture(identity)) return run();
    return captured_checkpoint(name, span, identity, run);
}

Value Evaluator::captured_checkpoint(std::string_view name, Span span, const void* identity,
                                     FunctionRef<Value()> thunk) {
    struct Marked {
        Frame& frame;
        const void* const outer;
        Marked(Frame& f, const void* mark) : frame(f), outer(std::exchange(f.captured_checkpoint, mark)) {}
        ~Marked() { frame.captured_checkpoint = outer; }
    } marked(*current_, identity);
    return border_.captured_call({.span = span, .name = name, .declaration = span, .function = identity}, thunk);
}

Value Evaluator::evaluate_scope_block(const ast::ScopeBlock& block, Frame& frame) {
    Value worth;
    Flow flow = run_scope(block, frame, &worth);
    if (flow != Flow::normal) throw Escape{flow};
    return worth;
}

}  // namespace tenon
