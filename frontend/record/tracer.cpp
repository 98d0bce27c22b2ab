#include "frontend/record/tracer.h"

#include <algorithm>
#include <cassert>
#include <cstdio>

#include <fmt/format.h>

#include "frontend/compile/counters.h"
#include "frontend/compile/graph_cache.h"
#include "frontend/record/capture.h"
#include "frontend/record/capture_backward.h"
#include "frontend/record/capture_differentiation.h"
#include "frontend/record/capture_trace.h"
#include "frontend/record/checkpoint_policy.h"
#include "frontend/record/tape.h"
#include "frontend/record/tensor_dispatch.h"
#include "frontend/syntax/utf8.h"
#include "frontend/values/effects.h"
#include "frontend/values/generator.h"
#include "jit/machine.h"
#include "runtime/diagnostic.h"

namespace tenon {

namespace {

constexpr size_t longest_graph = 4000;  // nodes of a host loop's turns before the loop's function is opened

}  // namespace

Tracer::Tracer(Context& context, Allocator allocator, Machine& machine, TracerOptions options)
    : context_(context), allocator_(std::move(allocator)), machine_(machine), options_(options),
      counters_(std::make_unique<Counters>()), generator_(std::make_unique<Generator>()),
      graph_cache_(std::make_unique<GraphCache>(machine, *counters_)), tape_(std::make_unique<Tape>(*this)),
      capture_(std::make_unique<Capture>(*this)), dispatcher_(std::make_unique<Dispatcher>(*this)) {
    if (options.compiled_backward) backward.mode = CompiledBackward::automatic;
}

Tracer::~Tracer() = default;

void Tracer::reset() {
    if (capturing_) flush();
    *counters_ = Counters();
    *generator_ = Generator();
    graph_cache_->clear();
    capture_->forget_functions();
    dispatcher_->reset();
    functions_.clear();
    backward.mode = options_.compiled_backward ? CompiledBackward::automatic : CompiledBackward::off;
    machine_.counters() = {};
}

Generator& Tracer::changing_generator() {
    if (capturing_) record(HostEffect::random_state(*generator_));
    return *generator_;
}

// A write of `.grad` is an effect like any other: a failed run takes it back.
void Tracer::set_gradient(Autograd& autograd, Ref<TensorObject> grad) {
    if (capturing_) {
        record(HostEffect::gradient(autograd));
        capture_->backward().note_gradient_set();
    }
    autograd.grad = std::move(grad);
}

void Tracer::require_gradient(TensorObject& tensor, bool wanted) {
    if (tensor.requires_grad() == wanted) return;
    if (wanted && !is_float(tensor.dtype())) {
        throw_error("dtype",
                    fmt::format("only float tensors can require a gradient, but this is {}", describe_type(tensor)),
                    "cast it: `x.to(f32)`");
    }
    if (!wanted && !tensor.is_leaf()) {
        throw_error("gradient", "what was computed from tensors that require a gradient requires one too",
                    "x.detach() is the value without its history");
    }
    // A leaf has its elements: what the graph was to compute for it is computed now; and what the graph has of views of it
    // has another history from here on.
    if (capturing_ && (tensor.is_symbolic() || (!capture_->tracing() && capture_->has_memory(tensor))))
        capture_->flush(wanted ? "a tensor that begins to require a gradient"
                               : "a tensor that requires no gradient any more");
    if (capturing_) record(HostEffect::history(tensor));
    if (wanted) {
        tensor.make_autograd().requires_grad = true;
        tensor.base = nullptr;  // a leaf is a view of nothing: what is a view of it has its history from here on
        tensor.path = nullptr;
    } else {
        tensor.autograd->requires_grad = false;
    }
    if (capturing_) capture_->forget(tensor);
}

void Tracer::assert_true(TensorObject& condition, std::string message) {
    if (capturing_) return capture_->assert_true(condition, message);
    if (dispatcher_->elements(condition, "an assertion").read_scalar() == Scalar(true)) return;
    throw Error(Diagnostic{"assertion", std::move(message), dispatcher_->span(), {}, {}});
}

// ---- capture ------------------------------------------------------------------------------------------------------
bool Tracer::wants_capture(const void* function) const { return may_capture() && !functions_.is_open(function); }

Value Tracer::captured_call(const CallSite& site, FunctionRef<Value()> thunk) {
    if (capturing_) return thunk();
    capture_->begin(site);
    capturing_ = true;
    const uint64_t mine = ++capture_number_;
    auto is_mine = [&] { return capturing_ && capture_number_ == mine; };
    Value result;
    try {
        result = thunk();
        if (is_mine()) capture_->end();
    } catch (Error&) {
        if (is_mine()) {  // what came before the error has happened, as it would have op by op
            try {
                capture_->flush("an error");
            } catch (...) {
                capturing_ = false;
                throw;
            }
            capturing_ = false;
        }
        throw;
    } catch (...) {
        if (is_mine()) {
            capture_->abandon();
            capturing_ = false;
        }
        throw;
    }
    if (is_mine()) capturing_ = false;
    return result;
}

void Tracer::record(HostEffect effect) {
    if (capturing_) capture_->record(std::move(effect));
}

void Tracer::graph_break(std::string_view reason, Span span) {
    if (!capturing_) return;
    dispatcher_->policies().refuse();
    if (capture_->tracing()) capture_->trace().refuse_break(reason, span);
    if (fullgraph_) fullgraph_->note(reason, span);
    ++counters_->graph_breaks;
    tell(counters_->breaks.add({std::string(capture_->site().name), std::string(reason), span}), "graph break");
    capture_->flush(reason, span);
}

void Tracer::FullGraph::note(std::string_view reason, Span span) {
    for (const auto& [known, place] : causes_) {
        if (known == reason && place == span) return;
    }
    causes_.emplace_back(reason, span);
}

void Tracer::FullGraph::check() const {
    if (causes_.empty()) return;
    Diagnostic diagnostic{"graph", {}, causes_[0].second, {}, {}};
    if (causes_.size() == 1) {
        diagnostic.message = fmt::format("a graph break under `fullgraph: true`: {}", causes_[0].first);
        diagnostic.help = "move this out of the function";
    } else {
        diagnostic.message = fmt::format("{} graph breaks under `fullgraph: true`", causes_.size());
        diagnostic.help = "move these out of the function";
        for (const auto& [reason, span] : causes_) diagnostic.labels.push_back({span, reason});
    }
    throw Error(std::move(diagnostic));
}

void Tracer::flush() {
    if (capturing_) capture_->flush("what follows needs its results");
}

LoopMark Tracer::enter_loop() const {
    if (!capturing_) return {};
    return {capture_->differentiation().backward_count(), static_cast<uint32_t>(capture_->node_count()), true};
}

bool Tracer::ends_at_back_edge(LoopMark& mark, Span span) {
    if (capture_->tracing() || fullgraph_ || stay_captured_depth_ > 0) return false;
    const bool holds_backward = capture_->differentiation().backward_count() != mark.backwards;
    const bool is_long = capture_->node_count() > longest_graph + mark.nodes;
    if (!holds_backward && !is_long) return false;
    capture_->flush(holds_backward ? "a loop whose turns hold a backward" : "a loop that grew long", span);
    capturing_ = false;
    return true;
}

Tracer::Tracing::Tracing(Tracer& tracer)
    : tracer_(tracer), saved_(std::exchange(tracer.capturing_, true)),
      is_paused_(std::exchange(tracer.is_paused_, false)),
      outer_(std::exchange(tracer.capture_, std::make_unique<Capture>(tracer))) {}

Tracer::Tracing::~Tracing() {
    tracer_.capturing_ = saved_;
    tracer_.is_paused_ = is_paused_;
    tracer_.capture_ = std::move(outer_);
}

void Tracer::tell(const Event& event, std::string_view what) {
    if (!options_.explain) return;
    const std::string place = services.locate && event.span ? services.locate(event.span) : std::string("script");
    fmt::print(stderr, "{}: {} in {}: {}\n", place, what, event.function.empty() ? "the script" : event.function,
               visible(event.reason));
}

}  // namespace tenon
