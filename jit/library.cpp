#include "jit/library.h"
namespace tenon {
LibraryPlan plan_library_call(const Graph&, NodeId) { return {}; }
}
