// with_gradient: a value whose gradient is not that of what computes it, but what a region makes of its cotangent.
#include <algorithm>

#include <fmt/format.h>

#include "ir/build/copier.h"
#include "ir/build/regions.h"
#include "ir/differentiate/gradient.h"
#include "ir/ops/tables.h"
#include "ir/regions.h"

namespace tenon {

namespace {

OwnGradientForm own_gradient_form(Infer& i) {
    const OwnGradientForm form(i.attributes());
    if (i.operands.size() < form.first_captured())
        i.fail("arity",
               fmt::format("with_gradient gives {} gradients, but has {} operands", form.count, i.operands.size()));
    for (size_t k = 0; k < i.operands.size(); ++k) require_tensor(i, k);
    return form;
}

std::vector<TypeId> own_gradient_parameters(Infer& i, unsigned) {
    const OwnGradientForm form = own_gradient_form(i);
    std::vector<TypeId> types{i.operands[0]};
    types.insert(types.end(), i.operands.begin() + ptrdiff_t(form.first_captured()), i.operands.end());
    return types;
}

TypeId own_gradient_rule(Infer& i) {
    const OwnGradientForm form = own_gradient_form(i);
    if (i.region_results.size() != form.count)
        i.fail("arity",
               fmt::format("with_gradient gives {} gradients, but its region {}", form.count, i.region_results.size()));
    for (size_t k = 0; k < form.count; ++k) {
        const Type &gradient = i.context[i.region_results[k]], &operand = i.type(1 + k);
        if (gradient.dtype != operand.dtype || !same_sizes(i, gradient.sizes, operand.sizes))
            i.fail("type", fmt::format("with_gradient gives {} for {}", i.show(i.region_results[k]),
                                       i.show(i.operands[1 + k])));
    }
    return i.operands[0];
}

std::vector<bool> own_gradient_reach(std::span<const GraphRef>, const Attributes& attributes,
                                     std::span<const size_t> operands) {
    const OwnGradientForm form(attributes);
    return {
        std::any_of(operands.begin(), operands.end(), [&](size_t k) { return k > 0 && k < form.first_captured(); })};
}

// The region stands where it is read, over what it has captured.
void own_gradient(Gradient& d) {
    const OwnGradientForm form(d.attributes());
    Builder& builder = d.builder();
    const std::vector<NodeId> operands(builder.operands_of(d.node()).begin(), builder.operands_of(d.node()).end());
    const GraphRef region = extract_region(builder, d.node(), 0);
    Copier copy(*region, builder);
    copy.map(region->params()[0], d.cotangent_node(0));
    for (size_t k = form.first_captured(); k < operands.size(); ++k) {
        d.name(operands[k]);
        copy.map(region->params()[1 + k - form.first_captured()], operands[k]);
    }
    copy.copy_body();
    for (size_t k = 0; k < form.count; ++k)
        if (d.needs(1 + k)) d.add(1 + k, copy(region->results()[k]));
}

NodeId own_gradient_expansion(Builder&, std::span<const NodeId> operands, const Attributes&) { return operands[0]; }

const Row own_gradient_table[] = {
    {.name = "with_gradient",
     .doc = "its first operand; the gradients of the next ones are what a region makes of its cotangent",
     .min_operands = 1,
     .max_operands = -1,
     .result = own_gradient_rule,
     .regions = 1,
     .parameters = own_gradient_parameters,
     .reach = own_gradient_reach,
     .lowering = Lowering::composite,
     .expansion = own_gradient_expansion,
     .gradient = own_gradient,
     .no_batching = "its region is of one example; its function is called outside of vmap, or without a gradient"},
};

}  // namespace

std::span<const Row> own_gradient_rows() { return own_gradient_table; }

}  // namespace tenon
