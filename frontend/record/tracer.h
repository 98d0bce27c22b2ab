// The world of tensors of one session: what is under way (a graph under capture, scopes), and the services that record
// it. What a script's expressions mean in it is said by frontend/ops/border.h.
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
#include <utility>
#include <vector>

#include "frontend/compile/settings.h"
#include "frontend/compile/captured_functions.h"
#include "frontend/values/tensor_object.h"
#include "frontend/values/value.h"
#include "ir/context.h"
#include "runtime/allocator.h"
#include "runtime/function_ref.h"
#include "runtime/span.h"

namespace tenon {

class BackwardEnd;
class Capture;
class Counters;
class Dispatcher;
class Generator;
class GraphCache;
class Machine;
class Tape;
struct HostEffect;

struct CallSite {
    Span span;                       ///< of the call
    std::string_view name;           ///< of the function or model: "step", "Linear"
    Span declaration;                ///< where it is declared, for explain and recompiles
    const void* function = nullptr;  ///< its identity: what can be marked open
    /// What a graph calls a tensor among the arguments, "x" or "inner.weight"; empty for others. Valid during the call.
    std::optional<FunctionRef<std::string(const Tensor&)>> name_argument = {};
};

/// Where a host loop began.
struct LoopMark {
    uint32_t backwards = 0;
    uint32_t nodes = 0;
    bool capturing = false;
};

/// What the tracer asks of its session.
struct TracerServices {
    /// Calls a function of the script.
    std::function<Value(const Value& function, std::span<const Value> arguments,
                        std::span<const KeywordArgument> keywords)>
        call;
    /// How spans are written, "net.model:9:19".
    std::function<std::string(Span)> locate;
};

/// Whether a backward is captured and compiled: off until it is asked for, refused by whoever forbids it within.
enum class CompiledBackward : uint8_t { off, refused, automatic, dynamic };

/// `saved_tensor_hooks`: functions that what is saved for backward goes through.
struct SavedHooks {
    Value pack, unpack;
};

/// What is asked of backward here, and what is under way.
struct BackwardState {
    CompiledBackward mode = CompiledBackward::off;
    bool detects_anomaly = false;
    const SavedHooks* saved_hooks = nullptr;  ///< of the innermost block; null: what is saved is kept as it is
    BackwardEnd* end = nullptr;               ///< of the innermost one; null where there is none
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
    bool compiled_backward = false;  ///< --compiled-backward
    bool explain = false;  ///< --explain: breaks and recompiles are told as they happen
    MemoryBudget memory = {};
};

class Tracer {
public:
    Tracer(Context& context, Allocator allocator, Machine& machine, TracerOptions options = {});
    ~Tracer();
    Tracer(const Tracer&) = delete;
    Tracer& operator=(const Tracer&) = delete;

    // ---- capture --------------------------------------------------------------------------------------------------
    /// True while ops are appended to a graph instead of being run.
    bool capturing() const { return capturing_; }
    /// Whether a call of this function from the interpreter's own lines is captured. The evaluator has made sure that
    /// a tensor or a model is among the arguments.
    bool wants_capture(const void* function) const;
    /// Whether a function with this history is called without a graph then.
    bool is_idle(const CaptureHistory& history) const {
        return history.is_idle() && !fullgraph_ && stay_captured_depth_ == 0;
    }
    CapturedFunctions& functions() { return functions_; }
    /// The part of that question which no function changes, and no argument.
    bool may_capture() const { return options_.engine != Engine::eager && !capturing_ && no_compile_depth_ == 0; }
    /// Runs `thunk` under capture: the outermost one ends the graph. Border::captured_call settles what it returns.
    Value captured_call(const CallSite& site, FunctionRef<Value()> thunk);
    /// Records a host write that comes now; only while capturing().
    void record(HostEffect effect);
    /// Ends the graph, if there is one, because of `reason` ("print", "graph_break: reading a file", "try").
    void graph_break(std::string_view reason, Span span);
    /// Ends the graph without counting a break: what was captured has run, and what is written from here on is not
    /// undone.
    void flush();

    /// At the head of a loop, then at each back edge. True: the graph has ended here and the evaluation is no longer
    /// captured; the evaluator marks the functions of its frames open, from the innermost to the captured call.
    LoopMark enter_loop() const;
    bool back_edge(LoopMark& mark, Span span) { return capturing_ && mark.capturing && ends_at_back_edge(mark, span); }

    // ---- scopes ---------------------------------------------------------------------------------------------------
    struct ScopeArgument {
        std::string_view name;  ///< empty: positional
        Value value;
    };
    /// Throws Error where the arguments do not fit the scope.
    std::unique_ptr<Scope> enter_scope(std::string_view name, std::span<const ScopeArgument> arguments, Span span);

    // ---- the session's side ---------------------------------------------------------------------------------------
    const TracerOptions& options() const { return options_; }
    CompileSettings compile_settings() const { return {options_.engine, options_.verify, options_.memory}; }
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
    BackwardState backward;
    TracerServices services;  ///< set by the session

    /// The random state, about to change: a failed run of the present graph takes it back.
    Generator& changing_generator();
    /// Asserts one 0-dim bool: at once, or as a node of the graph under capture.
    void assert_true(TensorObject& condition, std::string message);
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
    /// While it lives, ops run at once; the graph under capture, which has been flushed, goes on afterwards.
    class [[nodiscard]] Pause {
    public:
        explicit Pause(Tracer& tracer)
            : tracer_(tracer), saved_(std::exchange(tracer.capturing_, false)), paused_(tracer.is_paused_) {
            tracer.is_paused_ = saved_ || paused_;
        }
        ~Pause() {
            tracer_.capturing_ = saved_;
            tracer_.is_paused_ = paused_;
        }
        Pause(const Pause&) = delete;
        Pause& operator=(const Pause&) = delete;

    private:
        Tracer& tracer_;
        bool saved_, paused_;
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
        bool saved_, is_paused_;
        std::unique_ptr<Capture> outer_;
    };
    /// Numbers of graphs under capture are never used twice.
    uint64_t next_serial() { return ++last_serial_; }

private:
    friend class CaptureAside;
    friend void captured_backward(Tracer&, FunctionRef<void()>);
    class GradScope;
    class MetaScope;
    class CheckpointScope;
    class BackwardScope;
    class AnomalyScope;
    class SavedScope;
    class PlainScope;
    bool ends_at_back_edge(LoopMark& mark, Span span);
    std::unique_ptr<Scope> enter_annotate(std::span<const ScopeArgument> arguments, Span span);
    std::unique_ptr<Scope> enter_saved_tensor_hooks(std::span<const ScopeArgument> arguments, Span span);
    std::unique_ptr<Scope> enter_compiled_backward(std::span<const ScopeArgument> arguments, Span span);
    std::unique_ptr<Scope> enter_checkpoint(std::span<const ScopeArgument> arguments, Span span);

    Context& context_;
    Allocator allocator_;
    Machine& machine_;
    TracerOptions options_;
    bool capturing_ = false, is_paused_ = false;
    uint64_t capture_number_ = 0, last_serial_ = 0;
    FullGraph* fullgraph_ = nullptr;
    int no_compile_depth_ = 0, stay_captured_depth_ = 0;
    CapturedFunctions functions_;
    std::unique_ptr<Counters> counters_;
    std::unique_ptr<Generator> generator_;
    std::unique_ptr<GraphCache> graph_cache_;
    std::unique_ptr<Tape> tape_;
    std::unique_ptr<Capture> capture_;
    std::unique_ptr<Capture> spare_capture_;  // of the last captured backward
    std::unique_ptr<Dispatcher> dispatcher_;
};

/// A host value as metadata. Throws Error "type" for what metadata cannot hold.
AttrValue to_attribute(Context& context, const Value& value);

}  // namespace tenon
