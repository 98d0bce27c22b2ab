// Variables where they lie: in line, since every call and most operands begin with one.
#pragma once

#include "frontend/evaluate/evaluator.h"
#include "frontend/evaluate/modules.h"

namespace tenon {

[[gnu::always_inline]] inline Value* Evaluator::look_up_variable(const ast::NameUse& use, Frame& frame) const {
    Value* held = nullptr;
    switch (use.kind) {
        case ast::NameKind::local: held = &frame.slots[use.index]; break;
        case ast::NameKind::captured: held = &frame.environment.cells[use.index]->value; break;
        case ast::NameKind::global: held = &frame.environment.module->globals[use.index]->value; break;
        case ast::NameKind::cell:
        case ast::NameKind::imported: held = &cell_of(use, frame).value; break;
        case ast::NameKind::field: held = &frame.model().fields[use.index]; break;
        case ast::NameKind::self: return &frame.self;
        default: return nullptr;
    }
    return held->is_unset() ? nullptr : held;
}

}  // namespace tenon
