#include "jit/control/control.h"

#include "ir/row.h"
#include "jit/control/branch.h"
#include "jit/control/loop.h"
#include "jit/control/turns.h"

namespace tenon {

std::unique_ptr<Control> make_control(const Graph& graph, NodeId node) {
    switch (row(graph[node].op).control) {
        case ControlFlow::turns: return std::make_unique<Turns>(graph, node);
        case ControlFlow::branch: return std::make_unique<Branch>(graph, node);
        case ControlFlow::loop: return std::make_unique<Loop>(graph, node);
        case ControlFlow::none: break;
    }
    return nullptr;
}

}  // namespace tenon
