#include "ir/passes/drop_cotangents.h"

#include <algorithm>
#include <array>
#include <cstdint>

#include "ir/build/copier.h"
#include "ir/passes/passes.h"
#include "ir/row.h"

namespace tenon {

// A node with regions goes on where one of its cotangents is there: −0.0, which adds nothing, stands for the others.
static bool copy_without(const Graph& half, NodeId id, const std::vector<bool>& absent, Builder& builder,
                         Copier& copy) {
    const Attributes attributes = half.attributes(id);
    if (!attributes.has("cotangents")) return false;
    const auto operands = half.operands_of(id);
    const Dims cotangents = attributes.integers("cotangents");
    if (std::all_of(cotangents.begin(), cotangents.end(), [&](int64_t k) { return absent[operands[size_t(k)].index]; }))
        return false;
    for (NodeId operand : operands) {
        if (!absent[operand.index]) continue;
        const Type& type = half.type(operand);
        const std::array<NodeId, 1> nothing{builder.literal(-0.0, type.dtype)};
        AttrList sizes(type.sizes.begin(), type.sizes.end());
        copy.map(operand,
                 builder.emit(op<"full">(), nothing,
                              half.context->attr({{half.context->name("sizes"), AttrValue(std::move(sizes))}})));
    }
    copy.copy(id);
    return true;
}

GraphRef drop_cotangents(const Graph& half, std::span<const size_t> absent_params, size_t first_running,
                         std::vector<bool>& reached) {
    Builder builder(*half.context);
    Copier copy(half, builder);
    copy.copy_params();
    std::vector<bool> absent(half.nodes.size(), false);
    for (size_t k : absent_params) absent[half.params()[k].index] = true;
    for (NodeId id : half.body()) {
        if (const NodeId element = half.element(id)) {  // of a tuple that may lack others
            if (absent[element.index]) absent[id.index] = true;
            else copy.map(id, copy(element));
            continue;
        }
        const auto operands = half.operands_of(id);
        const auto missing = std::count_if(operands.begin(), operands.end(), [&](NodeId o) { return absent[o.index]; });
        if (missing == 0) {
            copy.copy(id);
        } else if (row(half[id].op).absent_is_nothing && missing == 1) {
            copy.map(id, copy(absent[operands[0].index] ? operands[1] : operands[0]));
        } else if (!row(half[id].op).regions || !copy_without(half, id, absent, builder, copy)) {
            absent[id.index] = true;
        }
    }
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
