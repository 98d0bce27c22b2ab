#include "jit/library/library.h"

#include <string>
#include <string_view>
#include <vector>

#include "ir/row.h"
#include "jit/library/rows.h"
#include "runtime/diagnostic.h"

namespace tenon {

namespace {

struct Entry {
    std::string_view row;
    LibraryFunction function = nullptr;
    const PreparingFunctions* preparing = nullptr;
};
constexpr Entry entries[] = {
    {"conv", library::conv},
    {"conv_input_gradient", library::conv_input_gradient},
    {"conv_weight_gradient", library::conv_weight_gradient},
    {"matmul", library::matmul, &library::packed_matmul},
    {"take", library::take},
    {"take_add", library::take_add},
    {"gather", library::gather},
    {"random_normal", library::random_normal},
    {"scatter_add", library::scatter_add},
    {"argsort", library::argsort},
    {"sort", library::sort},
    {"argmax", library::argmax},
    {"argmin", library::argmin},
    {"max_along", library::max_along},
    {"min_along", library::min_along},
    {"cumsum", library::cumsum},
    {"recurrence", library::recurrence},
};

}  // namespace

LibraryPlan plan_library_call(const Graph& graph, NodeId node) {
    static const std::vector<Entry> functions = [] {  // by row
        std::vector<Entry> by_row(all_rows().size());
        for (const Entry& entry : entries) by_row[require_op(entry.row).row] = entry;
        for (size_t k = 0; k < by_row.size(); ++k) {
            const Row& r = all_rows()[k];
            if (r.lowering == Lowering::library && !by_row[k].function)
                throw_error("internal", "the row " + std::string(r.name) + " has no function in jit/library/library.cpp");
        }
        return by_row;
    }();
    LibraryPlan plan;
    plan.function = functions[graph[node].op.row].function;
    plan.preparing = functions[graph[node].op.row].preparing;
    const Attributes attributes = graph.attributes(node);
    if (attributes.has("axis")) {
        plan.axis = attributes.integer("axis");
        if (plan.axis < 0) plan.axis += int64_t(graph.type(graph.operand(node, 0)).rank());
    }
    plan.transpose_a = attributes.flag("transpose_a");
    plan.transpose_b = attributes.flag("transpose_b");
    plan.descending = attributes.flag("descending");
    plan.reverse = attributes.flag("reverse");
    if (attributes.has("stride"))
        plan.window = {attributes.integers("stride"), attributes.integers("padding"), attributes.integers("dilation")};
    if (attributes.has("start")) plan.start = attributes.real("start");
    return plan;
}

}  // namespace tenon
