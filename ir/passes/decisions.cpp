#include "ir/passes/passes.h"

namespace tenon {

std::string_view name_of(DecisionKind kind) {
    switch (kind) {
        case DecisionKind::simplified: return "simplified";
        case DecisionKind::folded: return "folded";
        case DecisionKind::moved: return "moved";
        case DecisionKind::kept: return "kept";
        case DecisionKind::fused: return "fused";
        case DecisionKind::not_fused: return "not fused";
        case DecisionKind::interpreted: return "interpreted";
        case DecisionKind::split: return "split";
        case DecisionKind::parallel: return "parallel";
        case DecisionKind::one_thread: return "one thread";
        case DecisionKind::tiled: return "tiled";
        case DecisionKind::saved: return "saved";
        case DecisionKind::recomputed: return "recomputed";
        case DecisionKind::in_place: return "in place";
        case DecisionKind::copied: return "copied";
        case DecisionKind::reused: return "reused";
        case DecisionKind::together: return "together";
    }
    return "decided";
}

}  // namespace tenon
