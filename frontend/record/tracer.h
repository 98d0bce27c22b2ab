// The border between the evaluator and the world of tensors. The evaluator hands over whatever involves a tensor or a
// symbolic number; behind the border an op runs at once (eager) or is appended to the graph under capture.
//
// Every function that can fail throws Error; where a span is passed, the error's place is that span.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "frontend/values/journal.h"
#include "frontend/tensors/tensor_object.h"
#include "frontend/values/value.h"
#include "ir/context.h"
#include "runtime/allocator.h"
#include "runtime/function_ref.h"
#include "runtime/span.h"

namespace tenon {

class Capture;
class Counters;
class Dispatcher;
class Generator;
class GraphCache;
class Machine;
class Tape;

/// `--engine`.
enum class Engine : uint8_t {
    eager,      ///< each op at once, nothing captured: the meaning of a script
    interp,     ///< captured, optimised, interpreted
    jit,        ///< every kernel compiled before it first runs
    automatic,  ///< interpreted until the compiler is done
};

enum class Operator : uint8_t {
    add,
    sub,
    mul,
    div,
    floor_div,
    remainder,
    matmul,
    pow,
    bit_or,
    bit_xor,
    bit_and,
    shift_left,
    shift_right,
    equal,
    not_equal,
    less,
    less_equal,
    greater,
    greater_equal,
};
enum class UnaryOperator : uint8_t { negate, invert };

/// A value as an operand. A literal of the source becomes a constant of the graph, any other host number an input.
struct Operand {
    const Value& value;
    bool is_literal = false;
};

struct CallSite {
    Span span;                       ///< of the call
    std::string_view name;           ///< of the function or model: "step", "Linear"
    Span declaration;                ///< where it is declared, for explain and recompiles
    const void* function = nullptr;  ///< its identity: what can be marked open
    /// What a graph calls a tensor among the arguments, "x" or "inner.weight"; empty for others. Valid during the call.
    std::optional<FunctionRef<std::string(const Tensor&)>> name_argument = {};
};

/// A scope block, entered until the object dies: `annotate {…}`, `no_grad`, `checkpoint`, `no_compile`, `device(…)`, ….
class Scope {
public:
    virtual ~Scope() = default;
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

protected:
    Scope() = default;
};

struct TracerOptions {
    Engine engine = Engine::automatic;
    bool verify = false;   ///< --verify
    bool explain = false;  ///< --explain: breaks and recompiles are told as they happen
};

class Tracer {
public:
    Tracer(Context& context, Allocator allocator, Machine& machine, TracerOptions options = {});
    ~Tracer();
    Tracer(const Tracer&) = delete;
    Tracer& operator=(const Tracer&) = delete;

    // ---- expressions; at least one operand is a tensor or symbolic ------------------------------------------------
    Value binary(Operator op, Operand a, Operand b, Span span);
    Value unary(UnaryOperator op, const Value& x, Span span);
    /// `x += e` on a tensor: writes into x.
    void update(Operator op, const Value& x, Operand e, Span span);
    /// `x[i]`: i is an int, a slice, `...`, none, a list, a tensor, or a tuple of these.
    Value index(const Value& x, const Value& i, Span span);
    void set_index(const Value& x, const Value& i, Operand e, Span span);
    /// As a condition: a one-element bool tensor, or a symbolic bool. Ends the graph where the tensor is not known yet.
    bool truth(const Value& x, Span span);
    /// The host number that a symbolic value or a one-element tensor stands for. The graph now depends on it (a guard),
    /// or ends if a tensor's value is asked for.
    Value settle(const Value& x, Span span);
    /// The same for a symbolic size, or an int, that must be an int.
    int64_t settle_int(const Value& x, Span span);
    /// The only element of x as a host number; while a graph is yet to compute it, as a symbolic one.
    Value item(TensorObject& x, Span span);
    /// What `print(x)` and `str(x)` show. Ends the graph.
    std::string text(const Value& x, Span span);
    /// The first dimension, for `len(x)` and `for`.
    int64_t length(const Value& x, Span span);
    /// `x.shape` and the other fields of a tensor (shape, dtype, device, rank, grad, requires_grad, T, …); nothing for
    /// a name that is no field.
    std::optional<Value> attribute(const Value& x, std::string_view name, Span span);
    /// `x.grad = e`, `x.requires_grad = e`; false for a name that is no field.
    bool set_attribute(const Value& x, std::string_view name, const Value& e, Span span);
    /// The size of a dimension as the script sees it: an int, or a symbolic one under capture.
    Value size(const TensorObject& x, size_t dimension);
    /// `assert cond, message` where cond is a tensor. The message is asked for at once under capture when
    /// `message_is_pure`, otherwise the graph ends here.
    void assert_tensor(const Value& condition, FunctionRef<std::string()> message, bool message_is_pure, Span span);

    // ---- models ---------------------------------------------------------------------------------------------------
    /// The tensor a `param` or `buffer` holds: a copy of `initial` (a tensor or a number) of its own; a param
    /// requires grad where its dtype is a float.
    Value make_parameter(const Value& initial, bool is_buffer, Span span);

    // ---- capture --------------------------------------------------------------------------------------------------
    /// True while ops are appended to a graph instead of being run.
    bool capturing() const { return capturing_; }
    /// Whether a call of this function from the interpreter's own lines is captured. The evaluator has made sure that
    /// a tensor or a model is among the arguments.
    bool wants_capture(const void* function) const;
    /// Runs `thunk` under capture: the outermost one ends the graph.
    Value captured_call(const CallSite& site, FunctionRef<Value()> thunk);
    /// Records how to undo a host write that comes now; only while capturing().
    void record(Undo undo);
    /// Ends the graph, if there is one, because of `reason` ("print", "graph_break: reading a file", "try").
    void graph_break(std::string_view reason, Span span);
    /// Ends the graph without counting a break: what was captured has run, and what is written from here on is not
    /// undone.
    void flush();

    struct LoopMark {
        uint32_t backwards = 0;
        uint32_t nodes = 0;
        bool capturing = false;
    };
    /// At the head of a loop, then at each back edge. True: the graph has ended here and the evaluation is no longer
    /// captured; the evaluator marks the functions of its frames open, from the innermost to the captured call.
    LoopMark enter_loop() const;
    bool back_edge(LoopMark& mark, Span span) { return capturing_ && mark.capturing && ends_at_back_edge(mark, span); }
    /// From now on the function's own lines are interpreted and the calls in it captured each by itself.
    void open_function(const void* function);

    // ---- scopes ---------------------------------------------------------------------------------------------------
    struct ScopeArgument {
        std::string_view name;  ///< empty: positional
        Value value;
    };
    static bool is_scope(std::string_view name);
    /// Throws Error where the arguments do not fit the scope.
    std::unique_ptr<Scope> enter_scope(std::string_view name, std::span<const ScopeArgument> arguments, Span span);

    // ---- the session's side ---------------------------------------------------------------------------------------
    const TracerOptions& options() const { return options_; }
    void set_options(const TracerOptions& options) { options_ = options; }
    /// Counters to zero, caches, tape and generator as at the start.
    void reset();

    // ---- for the built-ins of the tensor world --------------------------------------------------------------------
    Context& context() { return context_; }
    const Allocator& allocator() const { return allocator_; }
    Machine& machine() { return machine_; }
    Dispatcher& dispatcher() { return *dispatcher_; }
    Capture& capture() { return *capture_; }
    Tape& tape() { return *tape_; }
    GraphCache& graph_cache() { return *graph_cache_; }
    Generator& generator() { return *generator_; }
    Counters& counters() { return *counters_; }

    /// Under --explain: writes a line about a break or a recompile to stderr.
    void tell(const struct Event& event, std::string_view what);
    /// How spans are written, "net.model:9:19"; set by the session.
    std::function<std::string(Span)> locate;
    /// Arithmetic of two host numbers, for symbolic sizes that no polynomial can say; set by the session.
    std::function<Value(Operator, const Value&, const Value&, Span)> host_binary;

    /// The random state, about to change: a failed run of the present graph takes it back.
    Generator& changing_generator();
    /// Sets `.grad`, so that a failed run of the present graph takes it back.
    void set_gradient(Autograd& autograd, Ref<TensorObject> grad);
    /// `requires_grad_()`: makes a tensor a leaf, or one no longer.
    void require_gradient(TensorObject& tensor, bool wanted);

    /// While it lives, loops are not opened and the causes of breaks are collected; check() throws an error that points
    /// at every one.
    class [[nodiscard]] FullGraph {
    public:
        explicit FullGraph(Tracer& tracer) : tracer_(tracer), outer_(std::exchange(tracer.fullgraph_, this)) {}
        ~FullGraph() { tracer_.fullgraph_ = outer_; }
        FullGraph(const FullGraph&) = delete;
        FullGraph& operator=(const FullGraph&) = delete;
        void note(std::string_view reason, Span span);
        void check() const;

    private:
        Tracer& tracer_;
        FullGraph* outer_;
        std::vector<std::pair<std::string, Span>> causes_;
    };
    /// While it lives, loops stay captured (`compile`).
    class [[nodiscard]] StayCaptured {
    public:
        explicit StayCaptured(Tracer& tracer) : tracer_(tracer) { ++tracer_.stay_captured_depth_; }
        ~StayCaptured() { --tracer_.stay_captured_depth_; }
        StayCaptured(const StayCaptured&) = delete;
        StayCaptured& operator=(const StayCaptured&) = delete;

    private:
        Tracer& tracer_;
    };
    /// While it lives, a function is being differentiated; gradients taken inside keep their history.
    class [[nodiscard]] Differentiation {
    public:
        explicit Differentiation(Tracer& tracer) : tracer_(tracer) { ++tracer_.differentiations_; }
        ~Differentiation() { --tracer_.differentiations_; }
        Differentiation(const Differentiation&) = delete;
        Differentiation& operator=(const Differentiation&) = delete;

    private:
        Tracer& tracer_;
    };
    int differentiations() const { return differentiations_; }
    /// While it lives, ops run at once; the graph under capture, which has been flushed, goes on afterwards.
    class [[nodiscard]] Pause {
    public:
        explicit Pause(Tracer& tracer) : tracer_(tracer), saved_(tracer.capturing_) { tracer_.capturing_ = false; }
        ~Pause() { tracer_.capturing_ = saved_; }
        Pause(const Pause&) = delete;
        Pause& operator=(const Pause&) = delete;

    private:
        Tracer& tracer_;
        bool saved_;
    };
    /// Ops are appended to a graph that is handed out (trace) while it lives.
    class [[nodiscard]] Tracing {
    public:
        explicit Tracing(Tracer& tracer);
        ~Tracing();
        Tracing(const Tracing&) = delete;
        Tracing& operator=(const Tracing&) = delete;

    private:
        Tracer& tracer_;
        bool saved_;
        std::unique_ptr<Capture> outer_;
    };
    /// Numbers of graphs under capture are never used twice.
    uint64_t next_serial() { return ++last_serial_; }

private:
    class GradScope;
    class MetaScope;
    class CheckpointScope;
    class PlainScope;
    bool ends_at_back_edge(LoopMark& mark, Span span);
    Value symbolic_binary(Operator op, const Value& a, const Value& b);
    Value host_value(const Value& x);
    void settle_results(Value& result);
    bool is_pending_number(const Value& x) const;

    Context& context_;
    Allocator allocator_;
    Machine& machine_;
    TracerOptions options_;
    bool capturing_ = false;
    uint64_t capture_number_ = 0, last_serial_ = 0;
    FullGraph* fullgraph_ = nullptr;
    int no_compile_depth_ = 0, stay_captured_depth_ = 0, differentiations_ = 0;
    std::unordered_set<const void*> open_functions_;
    std::unique_ptr<Counters> counters_;
    std::unique_ptr<Generator> generator_;
    std::unique_ptr<GraphCache> graph_cache_;
    std::unique_ptr<Tape> tape_;
    std::unique_ptr<Capture> capture_;
    std::unique_ptr<Dispatcher> dispatcher_;
};

/// A host value as metadata. Throws Error "type" for what metadata cannot hold.
AttrValue to_attribute(Context& context, const Value& value);

}  // namespace tenon
