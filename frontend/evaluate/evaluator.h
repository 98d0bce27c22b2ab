// The evaluator: walks resolved syntax trees. Variables are slots found by the resolver; what touches a
// tensor goes over the border.
#pragma once

#include <array>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "frontend/evaluate/host_writes.h"
#include "frontend/evaluate/semantics.h"
#include "frontend/ops/border.h"
#include "frontend/record/tracer.h"
#include "frontend/syntax/ast.h"
#include "frontend/values/builtin.h"
#include "frontend/values/builtin_table.h"
#include "frontend/values/collector.h"
#include "frontend/values/effects.h"
#include "frontend/values/function.h"
#include "frontend/values/models.h"
#include "frontend/values/quick_operators.h"
#include "frontend/values/value.h"
#include "runtime/diagnostic.h"
#include "runtime/interrupt.h"
#include "runtime/span.h"

namespace tenon {

class Module;
class Session;

/// One line of a call stack, innermost first.
struct StackEntry {
    std::string function;  ///< its name, "" for a script's own lines
    Span call;             ///< where it was called
};

class Evaluator {
public:
    explicit Evaluator(Session& session);
    ~Evaluator();
    Evaluator(const Evaluator&) = delete;
    Evaluator& operator=(const Evaluator&) = delete;

    Session& session() { return session_; }
    Tracer& tracer() { return tracer_; }
    Border& border() { return border_; }
    const std::string& name_of(Symbol symbol) const { return symbols_.text(symbol); }

    /// Runs the top level of a script. `shown` receives the value of its last statement if that is an expression.
    void run(Module& module, const ast::Script& script, Value* shown = nullptr);
    /// The same for a module that a running script uses: tests in it are skipped.
    void run_module(Module& module);
    /// Called for every `test "name" { }` that is reached; without it tests are skipped. `body` runs the test.
    using TestRunner = std::function<void(std::string_view name, Span span, FunctionRef<void()> body)>;
    void set_test_runner(TestRunner runner) { test_runner_ = std::move(runner); }

    /// The innermost call or operation under way: what nodes captured now originate from.
    Span here() const { return here_; }
    /// The innermost call under way that stands in this source; no place where there is none.
    Span call_in(uint32_t source) const;
    /// The calls that the last Error or Interrupted went through, innermost first; empty again after this.
    std::vector<StackEntry> take_stack() { return std::exchange(unwound_, {}); }

    // -- calls
    /// Calls anything that can be called: functions, methods, built-ins, model classes, models.
    Value call(const Value& callee, std::span<const Value> positional, std::span<const KeywordArgument> keywords = {});
    Value call(const Value& callee, std::initializer_list<Value> positional) {
        return call(callee, std::span(positional.begin(), positional.size()));
    }
    /// Whether `receiver.name` is a field or method; call_method calls it.
    bool has_method(const Value& receiver, std::string_view name) const;
    Value call_method(const Value& receiver, std::string_view name, std::span<const Value> positional);
    bool is_callable(const Value& value) const;

    // -- what values mean
    Value binary(Operator op, const Value& a, const Value& b) { return binary(op, {a}, {b}, here_); }
    Value binary(Operator op, Operand a, Operand b, Span span);
    /// What values mean: truth, equality, order, text.
    Semantics& semantics() { return semantics_; }

    // -- symbolic numbers, where what they are decides: then they are what they are eagerly
    /// Of a symbolic number the number that it stands for; any other value as it is.
    Value settled(const Value& value, Span span) { return value.is_symbolic() ? border_.settle(value, span) : value; }
    /// The same for all that is a key: also inside tuples and slices.
    Value as_key(const Value& value, Span span, int depth = 0);

    // -- iteration: lists, tuples, dicts (keys), ranges, strs, tensors, iterators, models with next()
    Ref<IteratorObject> iterate(const Value& value);
    Values collect(const Value& value);

    // -- fields and items
    Value get_attribute(const Value& object, Symbol name, Span span);
    void set_attribute(const Value& object, Symbol name, const Value& value, Span span);
    Value get_item(const Value& object, const Value& key, Span span);
    void set_item(const Value& object, const Value& key, Operand value, Span span);

    /// What changes lists, dicts, fields and shared variables.
    HostWrites& writes() { return writes_; }

    // -- the session's life
    Collector& collector() { return collector_; }
    /// Error "recursion" where the machine's stack is nearly used up.
    void check_stack(Span span) const {
        if (reinterpret_cast<uintptr_t>(__builtin_frame_address(0)) <= native_limit_) nested_too_deeply(span);
    }

private:
    enum class Flow : uint8_t { normal, break_loop, continue_loop, return_value };

    /// A row of slots on the stack, unset at first.
    class Slots {
    public:
        [[gnu::always_inline]] Slots(Evaluator& evaluator, size_t count)
            : evaluator_(evaluator), first_(evaluator.stack_top_), count_(count) {
            if (count > static_cast<size_t>(evaluator.stack_end_ - first_)) nested_too_deeply({});
            for (size_t i = 0; i < count; ++i) new (first_ + i) Value(Value::unset());
            evaluator.stack_top_ += count;
        }
        [[gnu::always_inline]] ~Slots() {
            for (size_t i = count_; i-- > 0;) first_[i].~Value();
            evaluator_.stack_top_ = first_;
        }
        Slots(const Slots&) = delete;
        Slots& operator=(const Slots&) = delete;
        Value& operator[](size_t k) const { return first_[k]; }
        std::span<Value> all() const { return {first_, count_}; }

    private:
        Evaluator& evaluator_;
        Value* first_;
        size_t count_;
    };

    /// One call under way: its variables, and where it was called.
    struct Frame {
        [[gnu::always_inline]] Frame(Evaluator& evaluator, const FunctionObject& callee, const Value& receiver,
                                     Span call_span)
            : function(callee.function), environment(callee.environment), closure(&callee),
              self(receiver.is_none() ? callee.environment.self : receiver),
              slots(evaluator, callee.function.slot_count), caller(evaluator.current_), call(call_span) {}
        Frame(Evaluator& evaluator, const ast::Function& script, const Environment& script_environment)
            : function(script), environment(script_environment), slots(evaluator, script.slot_count),
              caller(evaluator.current_) {}
        [[gnu::always_inline]] ~Frame() = default;
        Frame(const Frame&) = delete;
        Frame& operator=(const Frame&) = delete;

        const ast::Function& function;
        const Environment& environment;
        Ref<const Object> closure;  // null for a script's own lines
        Value self;
        Slots slots;
        Frame* caller;
        Span call;
        const ast::Arguments* arguments = nullptr;  // as written, where they were bound one by one
        bool has_first = false;                     // the first parameter was the receiver: `x.f(a)`
        bool has_all_arguments = false;             // known where they were given by position
        bool starts_capture = false;
        const void* captured_checkpoint = nullptr;  // one that began a graph here: what can be marked open
        uint32_t tries = 0;  // `try` blocks of this function that its line is in
        Value result;        // what `return` gave

        const FunctionObject& function_object() const { return static_cast<const FunctionObject&>(*closure); }
        ModelObject& model() const { return self.as<ModelObject>(); }
    };
    /// Leaves a block that stands inside an expression: `y = no_grad { return 1 }`.
    struct Escape {
        Flow flow;
    };
    /// Makes a frame the current one.
    class Entered {
    public:
        Entered(Evaluator& evaluator, Frame& frame) : evaluator_(evaluator), saved_(evaluator.current_) {
            evaluator.current_ = &frame;
        }
        ~Entered() { evaluator_.current_ = saved_; }
        Entered(const Entered&) = delete;
        Entered& operator=(const Entered&) = delete;

    private:
        Evaluator& evaluator_;
        Frame* saved_;
    };

    [[noreturn]] static void nested_too_deeply(Span span);

    // evaluator.cpp: variables; evaluator_statements.cpp; evaluator_assignments.cpp
    void make_cells(Frame& frame);
    void hoist(Frame& frame);
    CellObject& cell_of(const ast::NameUse& use, const Frame& frame) const;
    Value load(const ast::NameUse& use, Symbol name, Frame& frame, Span span);
    void store(const ast::NameUse& use, Value value, Frame& frame, Span span);
    // A failed graph takes back the variables that were assigned after the failing node, where a `try` lets them live.
    void will_change(Value& variable, const Frame& frame) {
        if (frame.tries > 0 && tracer_.capturing()) tracer_.record(HostEffect::variable(variable));
    }
    void refresh(std::span<const ast::NameUse> fresh, Frame& frame);
    Flow execute(const ast::Block& block, Frame& frame);
    Flow execute(const ast::Statement& statement, Frame& frame);
    bool execute_in_registers(const ast::Statement& statement, Frame& frame);
    Flow execute_if(const ast::If& statement, Frame& frame, size_t first = 0);
    // evaluator_branches.cpp
    std::optional<Flow> branch(const ast::If& statement, size_t number, const Value& holds, Frame& frame,
                               std::string& why);
    Flow execute_while(const ast::While& statement, Frame& frame);
    Flow execute_for(const ast::For& statement, Frame& frame);
    Flow execute_try(const ast::Try& statement, Frame& frame);
    void execute_use(const ast::Use& statement, Frame& frame);
    void execute_assert(const ast::Assert& statement, Frame& frame);
    void execute_update(const ast::Update& statement, Frame& frame);
    void execute_tensor_declaration(const ast::TensorDeclaration& statement, Frame& frame);
    void execute_test(const ast::Test& statement, Frame& frame);
    /// The variable itself where an assignment is nothing more than to put the value there.
    static Value* quick_local(const ast::Expr& target, Frame& frame) {
        if (target.kind != ast::ExprKind::name || frame.tries > 0) return nullptr;
        const ast::NameUse& use = ast::as<ast::Name>(target).use;
        return use.kind == ast::NameKind::local ? &frame.slots[use.index] : nullptr;
    }
    bool assign_side_by_side(const ast::Expr& target, const ast::Expr& value, Frame& frame);
    bool update_quickly(const ast::Update& statement, const Value& current, const Value& operand, Frame& frame);
    void assign(const ast::Expr& target, const Value& value, bool is_literal, Frame& frame);
    void unpack(std::span<ast::Expr*> targets, const Value& value, Span span, Frame& frame);
    Value make_closure(const ast::Function& function, Frame& frame);
    Value make_custom(const ast::CustomDeclaration& declaration, Frame& frame);
    Value make_class(const ast::Model& model, Frame& frame);
    Value decorate(Value function, std::span<ast::Expr*> decorators, Frame& frame);
    void at_back_edge(LoopMark& mark, Span span, Frame& frame) {
        check_interrupt(span);
        collector_.step();
        if (tracer_.back_edge(mark, span)) open_functions(frame);
    }
    void open_functions(Frame& frame);
    Value hold_tensors(const Value& initial, bool is_buffer, const ast::TypeNode* type, Span span);
    Environment capture(const ast::Function& function, const Frame& frame) const;
    Value scope_argument(const Value& value, Span span);
    Flow run_scope(const ast::ScopeBlock& block, Frame& frame, Value* worth);
    Value within_scope(std::string_view name, std::span<const Tracer::ScopeArgument> arguments, Span span,
                       const void* identity, FunctionRef<Value()> thunk);
    Value captured_checkpoint(std::string_view name, Span span, const void* identity, FunctionRef<Value()> thunk);

    // evaluator_quick.cpp
    /// The value where it is a number or a bool and nothing has to happen for it; unset elsewhere.
    Quick quick(const ast::Expr& expr, Frame& frame) { return expr.in_registers ? quick_node(expr, frame) : Quick(); }
    Quick quick_node(const ast::Expr& expr, Frame& frame);
    Quick quick_operand(const ast::Expr& expr, Frame& frame);
    Quick quick_membership(const ast::Expr& item, const ast::ComparisonLink& link, Frame& frame);
    /// The value of a variable, a field, an item or a literal str, where it lies; null where it has to be made, or
    /// there is none. Valid until something else is evaluated.
    [[gnu::always_inline]] Value* look_up(const ast::Expr& expr, Frame& frame) {
        using enum ast::ExprKind;
        if (expr.kind == name && ast::as<ast::Name>(expr).use.kind == ast::NameKind::local) {
            Value& held = frame.slots[ast::as<ast::Name>(expr).use.index];
            return held.is_unset() ? nullptr : &held;
        }
        const bool may_lie = expr.kind == name || expr.kind == index || expr.kind == attribute || expr.kind == string;
        return may_lie ? look_up_node(expr, frame) : nullptr;
    }
    Value* look_up_node(const ast::Expr& expr, Frame& frame);
    Value* look_up_variable(const ast::NameUse& use, Frame& frame) const;
    Value* look_up_index(const ast::Index& expr, Frame& frame);
    Value* look_up_item(const Value& object, const ast::Expr& key, Frame& frame);
    Value* look_up_entry(DictObject& dict, const ast::Expr& key, Frame& frame);
    ModelObject* look_up_field(const ast::Attribute& target, size_t& slot, Frame& frame);
    Value* character_at(const StringObject& text, Quick position);
    /// The item that is there; null where there is none.
    static Value* item_at(Values& items, Quick key) {
        if (!key.is(Kind::integer)) return nullptr;
        const auto size = static_cast<int64_t>(items.size());
        const int64_t at = key.as_int() < 0 ? key.as_int() + size : key.as_int();
        return at >= 0 && at < size ? &items[static_cast<size_t>(at)] : nullptr;
    }
    bool assign_in_registers(const ast::Assign& statement, Frame& frame);
    bool set_quickly(const ast::Index& target, const ast::Expr& value, Frame& frame);
    bool set_quick_item(const ast::Index& target, const Value& value, Frame& frame);
    bool set_quick_field(const ast::Attribute& target, const Value& value, Frame& frame);
    bool update_in_registers(const ast::Update& statement, Frame& frame);
    bool update_quick_local(const ast::Update& statement, Frame& frame);
    bool update_quick_item(const ast::Update& statement, const ast::Index& target, Frame& frame);
    bool update_quick_field(const ast::Update& statement, const ast::Attribute& target, Frame& frame);

    // evaluator_expressions.cpp
    Value evaluate(const ast::Expr& expr, Frame& frame);
    /// The same into a slot that is unset.
    [[gnu::always_inline]] void evaluate_into(Value& slot, const ast::Expr& expr, Frame& frame) {
        if (const Value* held = look_up(expr, frame)) new (&slot) Value(*held);
        else if (const Quick number = quick(expr, frame)) new (&slot) Value(number.value());
        else slot = evaluate(expr, frame);
    }
    /// A name or a literal: evaluating it changes nothing.
    static bool is_inert(const ast::Expr& expr);
    /// The value without a copy where it lies somewhere, otherwise in `keep`. Valid until something else is evaluated.
    const Value& borrow(const ast::Expr& expr, Frame& frame, Value& keep);
    /// The variable, where there is one; null for fields, methods, built-ins.
    Value* variable(const ast::NameUse& use, Frame& frame) const;
    bool condition(const ast::Expr& expr, Frame& frame);
    Value& literal(Symbol text);
    /// What `work` makes of the values of `left` and `right`, evaluated in this order, or where they lie.
    template <class Work>
    Value with_operands(const ast::Expr& left, const ast::Expr& right, Frame& frame, Work work);
    Value evaluate_link(const ast::Comparison& expr, Frame& frame);
    Value binary_of(const ast::Binary& expr, Value a, Value b);
    Value compare_of(const ast::Comparison& expr, Value a, Value b);
    Value evaluate_index(const ast::Index& expr, Frame& frame);
    Value evaluate_unary(const ast::Unary& expr, Frame& frame);
    Value evaluate_binary(const ast::Binary& expr, Frame& frame);
    Value evaluate_comparison(const ast::Comparison& expr, Frame& frame);
    Value compare(ast::ComparisonOperator op, Operand a, Operand b, Span span);
    bool contains(const Value& container, const Value& item, Span span);
    Value evaluate_sequence(const ast::Sequence& expr, Frame& frame);
    Value evaluate_dict(const ast::Dict& expr, Frame& frame);
    Value evaluate_comprehension(const ast::Comprehension& expr, Frame& frame);
    void comprehend(const ast::Comprehension& expr, size_t clause, Value& result, Frame& frame);
    Value evaluate_f_string(const ast::FString& expr, Frame& frame);
    void append_parts(std::span<ast::FStringPart> parts, std::string& out, Frame& frame);
    std::string format(const Value& value, std::string_view spec, Span span);
    [[noreturn]] void no_attribute(const Value& object, Symbol name, Span span);
    Value as_index(const Value& key, Span span);
    Value evaluate_key(const ast::Index& expr, const Value& object, Frame& frame);
    void mark_host_ints(Value& value, const ast::Expr& expr) const;
    Value evaluate_scope_block(const ast::ScopeBlock& expr, Frame& frame);

    // evaluator_calls.cpp, evaluator_apply.cpp
    struct CallArguments {  // evaluated, where they cannot go straight to their places
        Values positional;
        std::vector<std::pair<Symbol, Value>> keywords;
    };
    Value evaluate_call(const ast::Call& call, Frame& frame);
    Value evaluate_method_call(const ast::MethodCall& call, Frame& frame);
    static const FunctionObject* own_method(const Value& receiver, const ast::MethodCall& call);
    Value call_value(const Value& callee, const Value* first, const ast::Arguments& arguments, Frame& frame, Span span);
    Value call_function(const FunctionObject& function, const Value& self, const Value* first,
                        const ast::Arguments& arguments, Frame& frame, Span span);
    Value call_method(const Value& receiver, const Value& method, const ast::Arguments& arguments, Frame& frame,
                      Span span);
    CallArguments evaluate_arguments(const Value* first, const ast::Arguments& arguments, Frame& frame);
    Value call_evaluated(const Value& callee, CallArguments& arguments, Span span);
    Value call_function(const FunctionObject& function, const Value& self, CallArguments& arguments, Span span);
    Value call_scope(const BuiltinGroup& group, CallArguments& arguments, Span span);
    Value call_object(const Value& object, CallArguments& arguments, Span span);
    void bind(Frame& callee, CallArguments& arguments);
    void place_in_order(Frame& called, const Value* first, Frame& frame);
    void place_by_name(Frame& called, const Value* first, Frame& frame);
    size_t place_of(const Frame& called, const ast::Argument& keyword) const;
    Value& place(Frame& called, size_t parameter) const;
    Span argument_span(const Frame& called, const ast::Parameter& parameter) const;
    std::string display_name(const ast::Function& function) const;
    std::string parameter_list(const ast::Function& function) const;
    [[noreturn]] static void too_many(std::string_view name, std::string_view parameters, size_t takes, size_t given,
                                      Span span);
    [[noreturn]] void not_callable(const Value& value, Span span);

    // evaluator_builtins.cpp
    Value call_builtin(const BuiltinGroup& group, bool as_method, const Value* first, const ast::Arguments& arguments,
                       Frame& frame, Span span);
    Value call_builtin(const BuiltinGroup& group, bool as_method, CallArguments& arguments, Span span);
    Value call_known(const BuiltinRow& row, const Value& receiver, const ast::MethodCall& call, Frame& frame);
    Value call_row(const BuiltinGroup& group, const BuiltinRow& row, Value lead, bool has_receiver,
                   const ast::Arguments& arguments, Frame& frame, Span span);
    Value call_in_order(const BuiltinRow& row, Value lead, bool has_receiver, const ast::Arguments& arguments,
                        Frame& frame, Span span);
    Value call_by_name(const BuiltinGroup& group, const BuiltinRow& row, Value lead, bool has_receiver,
                       const ast::Arguments& arguments, Frame& frame, Span span);
    void settle_arguments(const Signature& signature, Arguments& arguments);
    Value run_builtin(const BuiltinRow& row, Arguments& arguments);
    Value run_row(const BuiltinRow& row, Arguments& arguments);
    [[noreturn]] void no_row(const BuiltinGroup& group, const Value& first, Span span);

    // evaluator_functions.cpp, evaluator_bodies.cpp
    Value enter(Frame& callee);
    Value run_maybe_captured(Frame& called);
    void note_unwinding(const Frame& called, Span& span);
    CaptureHistory& history_of(const FunctionObject& function);
    bool begins_capture(const Frame& callee);
    std::string argument_name(const Frame& called, const Tensor& tensor) const;
    void finish_binding(Frame& callee);
    Value capture_call(Frame& callee);
    Value run_body(Frame& callee);
    Value run_with_preparation(Frame& callee);
    Value run_with_scopes(Frame& callee);
    static bool has_all_arguments(const Frame& callee);
    Value run_lines(Frame& callee);
    void drop_locals(Frame& called);

    void make_reserve();

    // evaluator_types.cpp
    void check_type(const ast::TypeNode& type, const Value& value, Frame& frame, std::string_view what, Span span);
    bool matches(const ast::TypeNode& type, const Value& value, Frame& frame, std::string& why);
    Value* unbound_size(const ast::NameUse& use, Frame& frame) const;
    void collect_unbound_sizes(const ast::TypeNode& type, Frame& frame, std::vector<Value*>& sizes) const;
    bool matches_shape(const ast::TypeNode& type, const TensorObject& tensor, Frame& frame, std::string& why);

    Session& session_;
    Tracer& tracer_;
    Border& border_;
    SymbolTable& symbols_;
    const BuiltinTable& builtins_;
    Collector collector_;
    HostWrites writes_;
    Semantics semantics_;
    Span here_;
    Frame* current_ = nullptr;
    std::unique_ptr<std::byte[]> stack_;  // the slots of all frames, one after another
    Value* stack_top_;
    Value* stack_end_;
    uintptr_t native_limit_ = 0;  // the lowest address the machine stack may grow down to
    std::vector<StackEntry> unwound_;
    std::deque<Value> literals_;         // the strs of the source, by symbol
    std::array<Value, 128> characters_;  // the strs of one ASCII character, made when first asked for
    TestRunner test_runner_;
    struct BranchFacts {  // of a branch that is to be a node of a graph
        bool known = false;
        std::span<ast::Statement* const> rest;  // what follows it in the function, where that belongs to a side
        bool returns = false;                   // both sides do
        std::vector<size_t> assigned;           // slots of variables that are known after it
        int refusals = 0;
        std::string why;
    };
    BranchFacts& facts_of(const ast::If& statement, size_t number, const ast::Function& function);
    std::unordered_map<const ast::Branch*, BranchFacts> branch_facts_;
    std::unique_ptr<std::byte[]> reserve_;  // given back where memory ends, so that a `catch` has some to begin with
};

}  // namespace tenon
