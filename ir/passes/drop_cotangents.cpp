#include "ir/passes/drop_cotangents.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <unordered_map>

#include "ir/build/copier.h"
#include "ir/build/regions.h"
#include "ir/build/stacks.h"
#include "ir/passes/passes.h"
#include "ir/row.h"

namespace tenon {

namespace {

// What is left of a graph where some values are absent: an op that reads one of them gives none, of a sum the other term
// is left.
class Rest {
public:
    Rest(const Graph& graph, Builder& builder)
        : copy(graph, builder), absent(graph.nodes.size()), graph_(graph), builder_(builder) {}

    void body() {
        for (NodeId id : graph_.body()) node(id);
    }

    Copier copy;
    std::vector<bool> absent;  // by node

private:
    void node(NodeId id) {
        const auto operands = graph_.operands_of(id);
        const bool is_get = graph_[id].op == op<"get">();
        if (const NodeId element = graph_.element(id)) {  // of a tuple that may lack others
            if (absent[element.index]) absent[id.index] = true;
            else copy.map(id, copy(element));
            return;
        }
        if (const auto parts = is_get ? parts_.find(operands[0].index) : parts_.end(); parts != parts_.end()) {
            const NodeId part = parts->second[size_t(graph_.attributes(id).integer("index"))];
            if (part) copy.map(id, part);
            else absent[id.index] = true;
            return;
        }
        const auto missing = std::count_if(operands.begin(), operands.end(), [&](NodeId o) { return absent[o.index]; });
        if (missing == 0) copy.copy(id);
        else if (row(graph_[id].op).absent_is_nothing && missing == 1)
            copy.map(id, copy(absent[operands[0].index] ? operands[1] : operands[0]));
        else if (row(graph_[id].op).has_absent_parts && size_t(missing) < operands.size()) fill_absent(id);
        else if (row(graph_[id].op).control == ControlFlow::branch) branch(id);
        else if (!row(graph_[id].op).regions || !with_nothing(id)) absent[id.index] = true;
    }
    // Turns go on where one of their cotangents is there: −0.0, which adds nothing, stands for the others.
    bool with_nothing(NodeId id) {
        const Attributes attributes = graph_.attributes(id);
        if (!attributes.has("cotangents")) return false;
        const auto operands = graph_.operands_of(id);
        const Dims cotangents = attributes.integers("cotangents");
        if (std::all_of(cotangents.begin(), cotangents.end(),
                        [&](int64_t k) { return absent[operands[size_t(k)].index]; }))
            return false;
        fill_absent(id);
        return true;
    }
    void fill_absent(NodeId id) {
        for (NodeId operand : graph_.operands_of(id))
            if (absent[operand.index]) copy.map(operand, emit_filled(builder_, -0.0, graph_.type(operand)));
        copy.copy(id);
    }
    // Of a cond each side is what is left of it. A value that neither has is absent; one that only one side has is −0.0,
    // which adds nothing, where the other one is taken; a sum that goes through both as it is is that sum.
    void branch(NodeId id) {
        const auto operands = graph_.operands_of(id);
        std::vector<NodeId> given;
        for (NodeId operand : operands)
            if (!absent[operand.index]) given.push_back(copy(operand));
        std::array<Builder, 2> builders{Builder(builder_.context()), Builder(builder_.context())};
        std::array<std::vector<NodeId>, 2> values;
        for (unsigned s = 0; s < 2; ++s) {
            const GraphRef side = extract_region(graph_, id, s);
            Rest rest(*side, builders[s]);
            for (size_t k = 1; k < operands.size(); ++k) {
                const NodeId p = side->params()[k - 1];
                if (absent[operands[k].index]) rest.absent[p.index] = true;
                else rest.copy.copy_parameter(p);
            }
            for (const SizeSymbol& symbol : side->symbols)
                builders[s].symbol(NodeId::none(), defined_around, symbol.hint, symbol.name);
            builders[s].known_sizes().add(side->equalities);
            rest.body();
            for (NodeId r : side->results()) values[s].push_back(rest.absent[r.index] ? NodeId::none() : rest.copy(r));
        }
        std::vector<NodeId>& parts = parts_[id.index];
        std::array<std::vector<NodeId>, 2> results;
        std::vector<size_t> made;
        for (size_t k = 0; k < values[0].size(); ++k) {
            const NodeId a = values[0][k], b = values[1][k];
            parts.emplace_back();
            if (!a && !b) continue;
            const auto params = builders[0].params();
            const auto sum = std::find(params.begin(), params.end(), a);
            if (sum != params.end() && b == builders[1].params()[size_t(sum - params.begin())]) {
                parts.back() = given[size_t(sum - params.begin()) + 1];
                continue;
            }
            const Type& type = builder_.context()[graph_.type(id).elements[k]];
            results[0].push_back(a ? a : emit_filled(builders[0], -0.0, type));
            results[1].push_back(b ? b : emit_filled(builders[1], -0.0, type));
            made.push_back(k);
        }
        if (made.empty()) return;
        const std::array<GraphRef, 2> sides{builders[0].finish(results[0]), builders[1].finish(results[1])};
        Builder::StampScope scope(builder_, copy.stamp_of(id));
        const NodeId node = emit_with_regions(builder_, graph_[id].op, given, sides, graph_[id].attr);
        for (size_t k = 0; k < made.size(); ++k) parts[made[k]] = emit_element(builder_, node, k);
    }

    const Graph& graph_;
    Builder& builder_;
    std::unordered_map<uint32_t, std::vector<NodeId>>
        parts_;  // of conds that lack some: by value, none where it is absent
};

}  // namespace

GraphRef drop_cotangents(const Graph& half, std::span<const size_t> absent_params, size_t first_running,
                         std::vector<bool>& reached) {
    Builder builder(*half.context);
    Rest rest(half, builder);
    Copier& copy = rest.copy;
    std::vector<bool>& absent = rest.absent;
    copy.copy_params();
    for (size_t k : absent_params) absent[half.params()[k].index] = true;
    rest.body();
    std::vector<NodeId> results, running;  // running sums, as they are
    for (size_t k = first_running; k < half.params().size(); ++k) running.push_back(copy(half.params()[k]));
    reached.clear();
    for (NodeId result : half.results()) {
        const bool is_reached =
            !absent[result.index] && std::find(running.begin(), running.end(), copy(result)) == running.end();
        reached.push_back(is_reached);
        if (is_reached) results.push_back(copy(result));
    }
    return verified(PassId::drop_cotangents, builder.finish(results, half.name));
}

std::vector<bool> reads_saved(const Graph& half, size_t saved, const std::vector<bool>& present,
                              const std::vector<bool>& wanted) {
    std::vector<size_t> absent;
    for (size_t r = 0; r < present.size(); ++r) {
        if (!present[r]) absent.push_back(saved + r);
    }
    std::vector<bool> reached;
    const GraphRef rest = drop_cotangents(half, absent, saved + present.size(), reached);
    std::vector<bool> is_read(rest->nodes.size());
    for (size_t r = 0, next = 0; r < reached.size(); ++r) {
        if (!reached[r]) continue;
        if (wanted.empty() || wanted[r]) is_read[rest->results()[next].index] = true;
        ++next;
    }
    for (size_t k = rest->body().size(); k-- > 0;) {
        const NodeId id = rest->body()[k];
        if (!is_read[id.index]) continue;
        for (NodeId operand : rest->operands_of(id)) is_read[operand.index] = true;
    }
    std::vector<bool> reads;
    for (size_t k = 0; k < saved; ++k) reads.push_back(is_read[rest->params()[k].index]);
    return reads;
}

std::vector<std::vector<bool>> reads_saved_of_each(const Graph& half, size_t saved, size_t results) {
    std::vector<std::vector<bool>> reads(results, std::vector<bool>(saved));
    std::vector<uint64_t> from(half.nodes.size()), needs(half.nodes.size());  // by node: results, 64 at a time
    for (size_t first = 0; first < results; first += 64) {
        std::fill(from.begin(), from.end(), 0);
        std::fill(needs.begin(), needs.end(), 0);
        const size_t count = std::min<size_t>(64, results - first);
        for (size_t r = 0; r < count; ++r) from[half.params()[saved + first + r].index] = uint64_t{1} << r;
        for (NodeId id : half.body()) {
            for (NodeId operand : half.operands_of(id)) from[id.index] |= from[operand.index];
        }
        for (NodeId id : half.results()) needs[id.index] |= from[id.index];
        for (size_t k = half.body().size(); k-- > 0;) {
            const NodeId id = half.body()[k];
            for (NodeId operand : half.operands_of(id)) {  // a cotangent, or what is the same for all
                const uint64_t with = from[operand.index] ? from[operand.index] : ~uint64_t{0};
                needs[operand.index] |= needs[id.index] & with;
            }
        }
        for (size_t r = 0; r < count; ++r) {
            for (size_t k = 0; k < saved; ++k) reads[first + r][k] = needs[half.params()[k].index] >> r & 1;
        }
    }
    return reads;
}

}  // namespace tenon
