#include "frontend/record/saved_values.h"

#include <algorithm>
#include <cassert>
#include <string>

#include <fmt/format.h>

#include "frontend/compile/graph_cache.h"
#include "frontend/history/graph_paths.h"
#include "frontend/record/tensor_dispatch.h"
#include "ir/passes/drop_cotangents.h"
#include "ir/row.h"
#include "runtime/diagnostic.h"

namespace tenon {

namespace {

Diagnostic overwritten(std::string_view type, Span saved, Span write) {
    Diagnostic diagnostic;
    diagnostic.kind = "gradient";
    diagnostic.message = fmt::format(
        "{} that was saved for the gradient was changed in place before backward needed it", with_article(type));
    diagnostic.help = "write `x = x + e` instead of changing x in place, or save a copy: `x.clone()`";
    if (saved) diagnostic.labels.push_back({saved, "saved here"});
    if (write) diagnostic.labels.push_back({write, "changed in place here"});
    return diagnostic;
}

Diagnostic used_up(const TapeEntry& entry) {
    Diagnostic diagnostic = used_up_history();
    if (entry.span) diagnostic.labels.push_back({entry.span, "computed here"});
    return diagnostic;
}

bool is_used_up(const TapeEntry& entry, const std::vector<bool>& present, const std::vector<bool>& wanted) {
    if (entry.freed || entry.used_up.empty()) return entry.freed;
    assert(entry.used_up.size() == entry.graph->joint()->graph->nodes.size());
    const std::vector<bool> all(entry.outputs.size(), true);
    const std::vector<bool> met = gone_through(*entry.graph, present.empty() ? all : present, wanted);
    for (size_t id = 0; id < met.size(); ++id) {
        if (met[id] && entry.used_up[id]) return true;
    }
    return false;
}

// Of a captured graph: the op whose gradient names the saved value.
Span saved_by(const TapeEntry& entry, size_t saved) {
    if (entry.graph && !entry.graph->is_op() && entry.graph->lean()) {
        const Graph& backward = *entry.graph->lean()->backward;
        const NodeId value = backward.params()[saved];
        for (NodeId id : backward.body()) {
            for (NodeId operand : backward.operands_of(id)) {
                if (operand == value && !(backward[id].flags & recomputed_flag) && backward.origin(id).span)
                    return backward.origin(id).span;
            }
        }
    }
    return entry.span;
}

// What the formulas of the entry's graph name, by which ops, on their way to the edges `live`.
std::vector<ReverseRequest::Named> named_for(const TapeEntry& entry, const std::vector<bool>& live) {
    const Joint& joint = *entry.graph->joint();
    const Graph& graph = *joint.graph;
    std::vector<int64_t> sizes;
    for (const SizeSymbol& symbol : graph.symbols) {
        const auto definer = std::find(graph.params().begin(), graph.params().end(), symbol.definer);
        const size_t input = static_cast<size_t>(definer - graph.params().begin());
        const bool is_shown = symbol.definer && symbol.dim >= 0 && input < joint.inputs;
        sizes.push_back(is_shown ? entry.inputs[input].tensor.shape[static_cast<size_t>(symbol.dim)] : symbol.hint);
    }
    std::vector<NodeId> results, wrt;
    for (size_t k : joint.results) results.push_back(graph.results()[k]);
    for (size_t k = 0; k < joint.wrt.size(); ++k) {
        if (live[k]) wrt.push_back(joint.wrt_node(k));
    }
    return named_by_formulas(graph, sizes, results, wrt);
}

// The edges `live` as results of the entry's backward half.
std::vector<bool> as_results(const TapeEntry& entry, const std::vector<bool>& live) {
    std::vector<bool> results;
    for (size_t k = 0; k < live.size(); ++k) {
        if (entry.graph->joint()->reached[k]) results.push_back(live[k]);
    }
    return results;
}

}  // namespace

Diagnostic used_up_history() {
    Diagnostic diagnostic;
    diagnostic.kind = "gradient";
    diagnostic.message =
        "backward goes through this value a second time, but the first backward has used its history up";
    diagnostic.help = "call the first backward with `retain_graph: true`";
    return diagnostic;
}

void throw_overwritten(std::string_view type, Span saved, Span write) { throw Error(overwritten(type, saved, write)); }

std::optional<Missing> missing(const Dispatcher& dispatcher, const TapeEntry& entry, const std::vector<bool>& present,
                               const std::vector<bool>& wanted, const std::vector<bool>& live) {
    if (is_used_up(entry, present, wanted)) return Missing{used_up(entry), true};
    const bool is_all_live = std::find(live.begin(), live.end(), false) == live.end();
    std::optional<std::vector<ReverseRequest::Named>> named;  // once it is asked for
    const auto is_needed = [&](const TapeEntry::Lost& lost) {
        bool needed = present.empty();
        for (size_t r = 0; r < present.size(); ++r) needed |= present[r] && lost.needed_by[r];
        if (!needed || is_all_live) return needed;
        if (!named) named = named_for(entry, live);
        return std::any_of(named->begin(), named->end(), [&](const ReverseRequest::Named& n) {
            return n.value == lost.value && n.by == lost.op;
        });
    };
    const auto is_gone = [](const TapeEntry::Lost& lost, Span write) {
        return Missing{overwritten(std::string(name_of(lost.dtype)) + shape_to_string(lost.shape), lost.by, write), true};
    };
    for (const TapeEntry::Lost& lost : entry.lost) {
        if (is_needed(lost)) return is_gone(lost, lost.write);
    }
    for (size_t k = 0; k < entry.shown_memory.size(); ++k) {
        const TapeEntry::Saved& memory = entry.shown_memory[k];
        if (memory.tensor.storage->version == memory.version) continue;
        const TapeEntry::Lost& lost = (*entry.shown)[k].as_lost;
        if (is_needed(lost)) return is_gone(lost, dispatcher.last_write(*memory.tensor.storage));
    }
    std::optional<Missing> found;
    for (size_t k = 0; k < entry.saved.size(); ++k) {
        const TapeEntry::Saved& saved = entry.saved[k];
        if (!saved.tensor.storage) continue;  // unpacked by the graph under capture: it is what it was
        const bool is_certain = saved.is_gone || saved.tensor.storage->version != saved.version;
        if (!is_certain && (!saved.is_unknown || found)) continue;
        // A saved input may be there for its sizes only: they are what they were.
        if (!reads_saved(*entry.graph->lean()->backward, entry.saved.size(), present, as_results(entry, live))[k])
            continue;
        const bool is_noted = saved.is_gone || saved.is_unknown;
        found = Missing{overwritten(describe_type(saved.tensor), saved_by(entry, k),
                                    is_noted ? saved.write : dispatcher.last_write(*saved.tensor.storage)),
                        is_certain};
        if (is_certain) break;
    }
    return found;
}

}  // namespace tenon
