// Frames, variables, closures, and writes to host objects.
#include "frontend/evaluate/evaluator.h"

#include "frontend/regions/custom_function.h"
#include "frontend/values/errors.h"

#include <fmt/format.h>
#include <pthread.h>
#include <sys/resource.h>

#include <new>

#include "frontend/evaluate/modules.h"
#include "frontend/evaluate/session.h"
#include "frontend/record/capture.h"

namespace tenon {

namespace {

constexpr size_t stack_slots = 1 << 20;  // 16 MB of address space, touched as far as calls nest
// For what runs below the deepest call: one tree, one compiler. The sanitizers' frames are several times larger.
#ifdef TENON_SANITIZED
constexpr size_t native_reserve = size_t{4} << 20;
#else
constexpr size_t native_reserve = size_t{1} << 20;
#endif

// The lowest address that the calling thread's stack may reach, with a reserve.
uintptr_t lowest_stack_address() {
    constexpr size_t largest = size_t{64} << 20;
#ifdef TENON_SANITIZED
    // As deep as other builds, with frames several times larger. The stack of the process grows up to its limit of now.
    rlimit limit{};
    if (getrlimit(RLIMIT_STACK, &limit) == 0 && limit.rlim_cur < largest && limit.rlim_max >= largest) {
        limit.rlim_cur = largest;
        setrlimit(RLIMIT_STACK, &limit);
    }
#endif
    pthread_attr_t attributes;
    void* base = nullptr;
    size_t size = 0;
    if (pthread_getattr_np(pthread_self(), &attributes) != 0) return 0;
    pthread_attr_getstack(&attributes, &base, &size);
    pthread_attr_destroy(&attributes);
    // An unlimited stack is bounded all the same: a runaway recursion must end before memory does.
    uintptr_t top = reinterpret_cast<uintptr_t>(base) + size;
    size = std::min(size, largest);
    return top - size + std::min(native_reserve, size / 2);
}

}  // namespace

Evaluator::Evaluator(Session& session)
    : session_(session), tracer_(session.tracer()), border_(session.border()), symbols_(session.symbols()),
      builtins_(session.builtins()), writes_(tracer_, collector_), semantics_(*this),
      stack_(new std::byte[stack_slots * sizeof(Value)]), stack_top_(reinterpret_cast<Value*>(stack_.get())),
      stack_end_(stack_top_ + stack_slots), native_limit_(lowest_stack_address()) {
    make_reserve();
}

Evaluator::~Evaluator() = default;

// ---- frames -------------------------------------------------------------------------------------------------------

void Evaluator::nested_too_deeply(Span span) {
    throw_error_at(span, "recursion", "the calls are nested too deeply", "does the recursion end?");
}

void Evaluator::make_reserve() {
    constexpr size_t enough = size_t{1} << 20;
    if (!reserve_) reserve_.reset(new (std::nothrow) std::byte[enough]);
}

Span Evaluator::call_in(uint32_t source) const {
    if (here_.source == source) return here_;
    for (const Frame* frame = current_; frame; frame = frame->caller) {
        if (frame->call.source == source) return frame->call;
    }
    return {};
}

void Evaluator::run(Module& module, const ast::Script& script, Value* shown) {
    unwound_.clear();
    module.globals.resize(module.scope.globals().size());
    for (auto& cell : module.globals) {
        if (!cell) cell = make_ref<CellObject>();
    }
    const ast::Function& main = *script.main;
    Frame frame(*this, main, module.environment);
    Entered entered(*this, frame);
    if (!frame.caller) here_ = {};  // an input before this one may have failed
    // A module first needed inside a captured call is part of its graph. Once loaded it stays loaded.
    bool is_captured = tracer_.capturing();
    const size_t recorded = is_captured ? tracer_.capture().journal().mark() : 0;
    try {
        make_cells(frame);
        hoist(frame);
        auto statements = main.body->statements;
        if (shown && !statements.empty() && statements.back()->kind == ast::StatementKind::expression) {
            for (const ast::Statement* statement : statements.first(statements.size() - 1)) execute(*statement, frame);
            *shown = evaluate(*ast::as<ast::ExpressionStatement>(*statements.back()).value, frame);
        } else {
            execute(*main.body, frame);
        }
        if (is_captured) tracer_.capture().journal().keep_after(recorded);
        else if (tracer_.capturing()) tracer_.flush();
    } catch (Error& error) {
        if (!error.diagnostic.span) error.diagnostic.span = here_;
        throw;
    } catch (Interrupted& interrupted) {
        if (!interrupted.span) interrupted.span = here_;
        throw;
    }
}

void Evaluator::run_module(Module& module) {
    TestRunner outer = std::exchange(test_runner_, {});
    try {
        run(module, *module.script);
    } catch (...) {
        test_runner_ = std::move(outer);
        throw;
    }
    test_runner_ = std::move(outer);
}

// ---- variables ----------------------------------------------------------------------------------------------------

CellObject& Evaluator::cell_of(const ast::NameUse& use, const Frame& frame) const {
    switch (use.kind) {
        case ast::NameKind::cell: return frame.slots[use.index].as<CellObject>();
        case ast::NameKind::captured: return *frame.environment.cells[use.index];
        case ast::NameKind::global: return *frame.environment.module->globals[use.index];
        default: break;
    }
    assert(use.kind == ast::NameKind::imported);
    return session_.modules().imported(*frame.environment.module, use.index);
}

Value Evaluator::load(const ast::NameUse& use, Symbol name, Frame& frame, Span span) {
    const Value* value = nullptr;
    switch (use.kind) {
        case ast::NameKind::local: value = &frame.slots[use.index]; break;
        case ast::NameKind::cell:
        case ast::NameKind::captured:
        case ast::NameKind::global:
        case ast::NameKind::imported: value = &cell_of(use, frame).value; break;
        case ast::NameKind::field: value = &frame.model().fields[use.index]; break;
        case ast::NameKind::method:
            return make_ref<BoundMethodObject>(frame.self, frame.model().model_class->methods[use.index]);
        case ast::NameKind::self: return frame.self;
        case ast::NameKind::builtin: return builtins_[use.index].value;
        case ast::NameKind::unresolved: assert(false && "an unresolved name was evaluated"); return {};
    }
    if (!value->is_unset()) return *value;
    throw_error_at(span, "name", fmt::format("`{}` has no value yet", name_of(name)),
                   "it is assigned later, or in a branch that was not taken");
}

void Evaluator::store(const ast::NameUse& use, Value value, Frame& frame, Span span) {
    switch (use.kind) {
        case ast::NameKind::local: {
            Value& variable = frame.slots[use.index];
            will_change(variable, frame);
            variable = std::move(value);
            return;
        }
        case ast::NameKind::field: {
            (void)span;
            writes_.set_field(frame.model(), use.index, std::move(value));
            return;
        }
        default: {
            writes_.set_cell(cell_of(use, frame), std::move(value));
        }
    }
}

void Evaluator::refresh(std::span<const ast::NameUse> fresh, Frame& frame) {
    for (const ast::NameUse& use : fresh) {
        if (use.kind == ast::NameKind::cell) {
            will_change(frame.slots[use.index], frame);
            frame.slots[use.index] = make_ref<CellObject>();
        } else {
            frame.environment.module->globals[use.index] = make_ref<CellObject>();
        }
    }
}

void Evaluator::make_cells(Frame& frame) {
    for (uint32_t slot : frame.function.cell_slots) frame.slots[slot] = make_ref<CellObject>();
}

void Evaluator::hoist(Frame& frame) {
    for (const ast::FunctionDeclaration* declaration : frame.function.hoisted) {
        if (declaration->function->kind == ast::FunctionKind::method) continue;  // its class has it
        store(declaration->target, make_closure(*declaration->function, frame), frame, declaration->span);
    }
    for (const ast::ModelDeclaration* declaration : frame.function.hoisted_models) {
        store(declaration->target, make_class(*declaration->model, frame), frame, declaration->span);
    }
}

Environment Evaluator::capture(const ast::Function& function, const Frame& frame) const {
    const Environment& environment = frame.environment;
    Environment captured;
    captured.module = environment.module;
    captured.cells.reserve(function.captures.size());
    for (const ast::Capture& from : function.captures) {
        switch (from.kind) {
            case ast::NameKind::cell: captured.cells.push_back(frame.slots[from.index].ref<CellObject>()); break;
            case ast::NameKind::captured: captured.cells.push_back(environment.cells[from.index]); break;
            default: captured.cells.push_back(environment.module->globals[from.index]);
        }
    }
    return captured;
}

Value Evaluator::make_closure(const ast::Function& function, Frame& frame) {
    Environment environment = capture(function, frame);
    if (function.uses_self) environment.self = frame.self;
    return make_ref<FunctionObject>(function, std::move(environment));
}

Value Evaluator::make_class(const ast::Model& model, Frame& frame) {
    Environment environment = capture(*model.constructor, frame);
    auto made = make_ref<ModelClassObject>(model, environment, symbols_);
    made->constructor = make_ref<FunctionObject>(*model.constructor, environment);
    for (const ast::FunctionDeclaration* method : model.methods) {
        Value function = make_ref<FunctionObject>(*method->function, capture(*method->function, frame));
        made->methods.push_back(decorate(std::move(function), method->decorators, frame));
    }
    return made;
}

Value Evaluator::make_custom(const ast::CustomDeclaration& declaration, Frame& frame) {
    std::vector<std::string> parameters;  // without the context
    for (const ast::Parameter& parameter : declaration.forward->parameters.subspan(1)) {
        if (parameter.kind == ast::ParameterKind::plain) parameters.emplace_back(name_of(parameter.name));
    }
    return make_ref<CustomFunction>(tracer_, std::string(name_of(declaration.name)), std::move(parameters),
                                    make_closure(*declaration.forward, frame),
                                    make_closure(*declaration.backward, frame));
}

Value Evaluator::decorate(Value function, std::span<ast::Expr*> decorators, Frame& frame) {
    std::vector<DecoratorScope> scopes;  // that are still to be put around the function, the innermost first
    auto put_around = [&] {
        if (scopes.empty()) return;
        auto& inner = function.as<FunctionObject>();
        std::reverse(scopes.begin(), scopes.end());
        scopes.insert(scopes.end(), inner.scopes.begin(), inner.scopes.end());
        function = make_ref<FunctionObject>(inner.function, inner.environment, std::exchange(scopes, {}));
    };
    for (size_t i = decorators.size(); i-- > 0;) {
        const ast::Expr& decorator = *decorators[i];
        const ast::Expr& name =
            decorator.kind == ast::ExprKind::call ? *ast::as<ast::Call>(decorator).callee : decorator;
        if (name.kind == ast::ExprKind::name && ast::as<ast::Name>(name).use.kind == ast::NameKind::builtin &&
            builtins_[ast::as<ast::Name>(name).use.index].is_scope && function.is<FunctionObject>()) {
            DecoratorScope scope{std::string(builtins_[ast::as<ast::Name>(name).use.index].name), {}};
            if (decorator.kind == ast::ExprKind::call) {
                CallArguments arguments = evaluate_arguments(nullptr, ast::as<ast::Call>(decorator).arguments, frame);
                for (Value& value : arguments.positional) scope.arguments.emplace_back("", std::move(value));
                for (auto& [key, value] : arguments.keywords)
                    scope.arguments.emplace_back(name_of(key), scope_argument(value, decorator.span));
            }
            scopes.push_back(std::move(scope));
            continue;
        }
        put_around();
        if (decorator.kind == ast::ExprKind::call && name.kind == ast::ExprKind::name &&
            ast::as<ast::Name>(name).use.kind == ast::NameKind::builtin) {
            // `@compile(fullgraph: true)`: a built-in takes the function first and the options with it.
            CallArguments arguments = evaluate_arguments(&function, ast::as<ast::Call>(decorator).arguments, frame);
            function = call_builtin(builtins_[ast::as<ast::Name>(name).use.index], false, arguments, decorator.span);
        } else {
            CallArguments arguments{{function}, {}};
            function = call_evaluated(evaluate(decorator, frame), arguments, decorator.span);
        }
    }
    put_around();
    return function;
}

}  // namespace tenon
