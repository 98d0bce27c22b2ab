#include "frontend/record/capture_backward.h"

#include <algorithm>

#include "frontend/compile/graph_cache.h"
#include "ir/build/regions.h"
#include "ir/differentiate/gradient.h"
#include "ir/row.h"
#include "jit/literal.h"

namespace tenon {

void CaptureBackward::end() {
    is_under_way_ = was_compiled_ = sets_gradients_ = false;
    key_ = 0;
    saved_.clear();
}

TensorRef CaptureBackward::saved(const Tensor& tensor, const Edge& edge) {
    const auto is_it = [&](const TensorObject& known) {
        const Tensor& t = known.tensor;
        const Edge has = Edge::of(known);
        return t.dtype == tensor.dtype && t.shape == tensor.shape && t.strides == tensor.strides &&
               t.offset == tensor.offset && has.entry == edge.entry && has.leaf == edge.leaf &&
               (!edge.entry || has.output == edge.output);
    };
    const auto [first, last] = saved_.equal_range(tensor.storage.get());
    for (auto at = first; at != last; ++at) {
        if (is_it(*at->second)) return at->second;
    }
    TensorRef made;
    if (edge.leaf && edge.leaf->owner && edge.leaf->owner->tensor.storage == tensor.storage &&
        is_it(*edge.leaf->owner)) {
        made = TensorRef(edge.leaf->owner);
    } else {
        made = make_ref<TensorObject>(tensor);
        if (edge.leaf) made->autograd = edge.leaf;
        if (edge.entry) {
            Autograd& autograd = made->make_autograd();
            autograd.requires_grad = true;
            autograd.entry = edge.entry;
            autograd.output = edge.output;
        }
    }
    return saved_.emplace(tensor.storage.get(), std::move(made))->second;
}

TensorRef CaptureBackward::stand_in(DType dtype, const Dims& shape) {
    Tensor tensor = Tensor::empty(tracer_.allocator(), dtype, {1});  // memory of its own: it is no view of another
    tensor.shape = shape;
    tensor.strides.resize(shape.size());
    std::fill(tensor.strides.begin(), tensor.strides.end(), 0);
    return make_ref<TensorObject>(std::move(tensor));
}

// The sizes that an op of eager mode was given are constants of its attributes; here each is another at the next call.
AttrId CaptureBackward::with_symbols(AttrId attr) {
    Context& context = tracer_.context();
    Record record = context[attr];
    bool any = false;
    for (AttrEntry& entry : record) {
        auto* list = std::get_if<AttrList>(&entry.value.value);
        if (!list || entry.key != tracer_.dispatcher().names().sizes) continue;
        for (AttrValue& value : *list) {
            std::optional<int64_t> constant;
            if (const auto* number = std::get_if<int64_t>(&value.value)) constant = *number;
            if (const auto* size = std::get_if<SizeId>(&value.value)) constant = context.as_constant(*size);
            if (!constant || *constant <= 1) continue;
            value = AttrValue(capture_.host_size(*constant, false).id);
            any = true;
        }
    }
    return any ? context.attr(record) : attr;
}

std::vector<TensorRef> CaptureBackward::gradients_of_op(const TapeEntry& entry, std::span<const TensorRef> cotangents,
                                                        const std::vector<bool>& wanted) {
    const CompiledGraph& compiled = *entry.graph;
    const Graph& graph = *compiled.graph();
    const std::span<const NodeId> params = graph.params();
    std::vector<TensorRef> operands(params.size()), results(graph.results().size());
    for (size_t k = 0; k < compiled.saved().size(); ++k) {
        const Split::Saved& place = compiled.saved()[k];
        const TensorRef unpacked = unpacked_in_graph(entry, k);
        (place.is_input ? operands : results)[place.index] = unpacked ? unpacked : saved(entry.saved[k].tensor);
    }
    for (size_t k = 0; k < params.size(); ++k) {  // what is not saved is not read
        if (!operands[k]) operands[k] = stand_in(entry.inputs[k].tensor.dtype, entry.inputs[k].tensor.shape);
    }
    std::vector<TensorObject*> all;
    for (const std::span<const TensorRef> each :
         {std::span<const TensorRef>(operands), std::span<const TensorRef>(results), cotangents}) {
        for (const TensorRef& x : each) {
            if (x) all.push_back(x.get());
        }
    }
    capture_.admit(all);
    std::unordered_map<uint32_t, AttrId> attrs;  // made first: sizes of the host are inputs
    for (NodeId id : graph.body()) attrs.emplace(id.index, with_symbols(graph[id].attr));

    const Capture::Holding holding(capture_);
    Builder::StampScope scope(builder_, Stamp{.origin = capture_.stamp().origin, .meta = entry.meta, .flags = 0});
    const size_t begin = builder_.body().size();
    std::vector<NodeId> image(graph.nodes.size());
    std::vector<std::pair<NodeId, NodeId>> given;  // what formulas name, and what stands for it
    for (size_t k = 0; k < params.size(); ++k) {
        // An operand is a value of its own, whatever else the tensor is used for: its cotangent is that of this use.
        const NodeId value = capture_.node(*operands[k]);
        image[params[k].index] = builder_.emit(op<"detach">(), {value});
        given.emplace_back(image[params[k].index], value);
    }
    for (uint32_t id = 0; id < graph.nodes.size(); ++id) {
        if (graph.nodes[id].op == op<"constant">())
            image[id] = builder_.literal(scalar_of(graph, NodeId(id)), graph.type(NodeId(id)).dtype);
    }
    for (NodeId id : graph.body()) {
        std::vector<NodeId> of;
        for (NodeId operand : graph.operands_of(id)) of.push_back(image[operand.index]);
        std::vector<GraphRef> regions;
        for (unsigned k = 0; k < graph[id].regions; ++k) regions.push_back(extract_region(graph, id, k));
        image[id.index] = regions.empty() ? builder_.emit(graph[id].op, of, attrs.at(id.index))
                                          : emit_with_regions(builder_, graph[id].op, of, regions, attrs.at(id.index));
    }
    for (size_t k = 0; k < results.size(); ++k) {
        if (results[k]) given.emplace_back(image[graph.results()[k].index], capture_.node(*results[k]));
    }
    std::vector<NodeId> roots, sums, wrt;
    for (size_t k = 0; k < cotangents.size(); ++k) {
        if (!cotangents[k]) continue;
        roots.push_back(image[graph.results()[compiled.differentiable()[k]].index]);
        sums.push_back(capture_.node(*cotangents[k]));
    }
    for (size_t k = 0; k < wanted.size(); ++k) {
        if (wanted[k]) wrt.push_back(image[params[compiled.wrt()[k]].index]);
    }
    const std::vector<NodeId> found =
        reverse(builder_, {.results = roots, .cotangents = sums, .wrt = wrt, .begin = begin, .given = given});
    std::vector<TensorRef> gradients(wanted.size());
    for (size_t k = 0, next = 0; k < wanted.size(); ++k) {
        if (!wanted[k]) continue;
        if (const NodeId cotangent = found[next++])
            gradients[k] = capture_.make_result(builder_.emit(op<"detach">(), {cotangent}), false);
    }
    return gradients;
}

}  // namespace tenon
