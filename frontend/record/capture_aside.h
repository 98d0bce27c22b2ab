// Captures beside the one that is under way.
#pragma once

#include <memory>

#include "frontend/record/capture.h"
#include "frontend/record/tracer.h"

namespace tenon {

/// While it lives, a function of the script may be called in the middle of what paused the graph under capture: what it
/// captures are graphs of its own.
class [[nodiscard]] CaptureAside {
public:
    explicit CaptureAside(Tracer& tracer);
    ~CaptureAside();
    CaptureAside(const CaptureAside&) = delete;
    CaptureAside& operator=(const CaptureAside&) = delete;

private:
    Tracer& tracer_;
    std::unique_ptr<Capture> outer_;  // null: nothing is paused
    uint64_t number_ = 0;             // of its captured call
};

/// Runs `walk`, a backward, under a capture of its own, after what was captured so far; while it runs, others that it
/// asks for are not captured.
void captured_backward(Tracer& tracer, FunctionRef<void()> walk);

}  // namespace tenon
