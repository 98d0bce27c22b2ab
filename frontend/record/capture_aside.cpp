#include "frontend/record/capture_aside.h"

#include <utility>

#include "frontend/compile/counters.h"
#include "frontend/compile/graph_cache.h"
#include "frontend/record/capture_backward.h"
#include "frontend/record/tensor_dispatch.h"

namespace tenon {

CaptureAside::CaptureAside(Tracer& tracer) : tracer_(tracer) {
    if (!tracer.is_paused_ || tracer.capturing_) return;
    tracer.is_paused_ = false;
    number_ = tracer.capture_number_;
    outer_ = std::exchange(tracer.capture_, std::make_unique<Capture>(tracer));
}

CaptureAside::~CaptureAside() {
    if (!outer_) return;
    tracer_.is_paused_ = true;
    tracer_.capture_number_ = number_;
    tracer_.capture_ = std::move(outer_);
}

void captured_backward(Tracer& tracer, FunctionRef<void()> walk) {
    tracer.flush();
    if (!tracer.spare_capture_) tracer.spare_capture_ = std::make_unique<Capture>(tracer);
    struct Restore {
        Tracer& tracer;
        const bool capturing, is_paused;
        const uint64_t number;
        const CompiledBackward mode;
        std::unique_ptr<Capture> outer;
        ~Restore() {
            CaptureBackward& backward = tracer.capture_->backward();
            if (backward.was_compiled()) ++tracer.counters_->captures;
            backward.end();
            tracer.capturing_ = capturing;
            tracer.is_paused_ = is_paused;
            tracer.capture_number_ = number;
            tracer.backward.mode = mode;
            tracer.spare_capture_ = std::exchange(tracer.capture_, std::move(outer));
        }
    } restore{tracer,
              std::exchange(tracer.capturing_, false),
              std::exchange(tracer.is_paused_, false),
              tracer.capture_number_,
              std::exchange(tracer.backward.mode, CompiledBackward::off),
              std::exchange(tracer.capture_, std::move(tracer.spare_capture_))};
    tracer.capture_->set_dynamic(restore.mode == CompiledBackward::dynamic);
    const Tracer::StayCaptured stay(tracer);  // loops of hooks end no graph
    const Dispatcher::Operation none(tracer.dispatcher(), {});
    tracer.captured_call({tracer.dispatcher().span(), "backward", {}}, [&] {
        walk();
        return Value();
    });
    // A last piece that only hands gradients to leaves has no graph, but it is a piece.
    CaptureBackward& backward = tracer.capture_->backward();
    if (backward.sets_gradients() && tracer.graph_cache_->is_new_piece(backward.key())) {
        ++tracer.counters_->compiles;
        backward.note_compiled();
    }
}

}  // namespace tenon
