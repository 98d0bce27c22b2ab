#include "runtime/interrupt.h"

#include <cassert>

namespace tenon {

namespace {

constinit thread_local int holds = 0;

}  // namespace

namespace interrupt {

Hold::Hold() noexcept { ++holds; }

Hold::~Hold() {
    assert(holds > 0 && "a hold ends on the thread that it began on");
    --holds;
}

bool is_held() noexcept { return holds > 0 || std::uncaught_exceptions() > 0; }

void take(Span at) {
    if (is_held() || !wanted.exchange(false)) return;
    throw Interrupted(at);
}

}  // namespace interrupt

Interrupted::Interrupted(Span at) : span(at) {
    assert(holds == 1 && "this thread's interrupt is on its way already, or a destructor is at work");
}

}  // namespace tenon
