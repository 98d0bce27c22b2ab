// Attention whose scores and mask are functions of a pair (ir/regions.h): softmax(score(q kᵀ) where mask) v, as `attention`
// does it, in blocks whose scores never lie in memory.
//
// Contract of sums: those over keys are as in `attention`. What reads of captured tensors bring is added up term by term,
// heads, blocks of queries, blocks of keys, reads in the order of the function, keys and then queries of the block ascending,
// within each of 8 groups of heads; the groups' sums are folded in the order of sums.
#include "ir/build/copier.h"
#include "ir/differentiate/batching.h"
#include "ir/differentiate/regions.h"
#include "ir/ops/attention.h"
#include "ir/ops/tables.h"

namespace tenon {

namespace {

// ---- types ----------------------------------------------------------------------------------------------------------
attention::Heads flex_heads(Infer& i, const FlexForm& form) {
    if (i.operands.size() < form.first_captured())
        i.fail("arity", std::string(i.op) + " takes a key and an offset for its dropout");
    const attention::Heads heads = attention::heads_of(i);
    if (heads.leading.size() != 2)
        i.fail("shape", std::string(i.op) + " takes q, k and v of [batch, heads, …, …], but q is " +
                            i.show(i.operands[attention::q]));
    for (size_t k = form.first_random(); k < form.first_captured(); ++k)
        if (i.type(k).rank() != 0 || i.type(k).dtype != DType::i64)
            i.fail("type", std::string(i.op) + " takes a 0-dim i64 key and offset, but operand " + std::to_string(k) +
                               " is " + i.show(i.operands[k]));
    return heads;
}

std::vector<TypeId> parameters_of(Infer& i, const FlexForm& form, unsigned region) {
    flex_heads(i, form);
    const TypeId score = i.context.tensor(i.type(attention::q).dtype, {}), index = i.context.tensor(DType::i64, {});
    std::vector<TypeId> types(4, index);  // b, h, i, j
    if (region != form.mask_region()) types.insert(types.begin(), score);
    types.insert(types.end(), i.operands.begin() + ptrdiff_t(form.first_captured()), i.operands.end());
    if (form.is_gradient && region == 1) types.push_back(score);
    return types;
}
std::vector<TypeId> flex_parameters(Infer& i, unsigned region) {
    return parameters_of(i, FlexForm(i.attributes(), false), region);
}
std::vector<TypeId> flex_gradient_parameters(Infer& i, unsigned region) {
    return parameters_of(i, FlexForm(i.attributes(), true), region);
}

// Result `at` of the regions is of this dtype, and 0-dim.
void require_result(Infer& i, size_t at, DType dtype, std::string_view what) {
    const Type& type = i.context[i.region_results[at]];
    if (type.dtype != dtype || type.rank() > 0)
        i.fail("type", std::string(i.op) + " takes " + std::string(what) + " of " +
                           i.show(i.context.tensor(dtype, {})) + ", but it is " + i.show(i.region_results[at]));
}

TypeId flex_rule(Infer& i) {
    const attention::Heads heads = flex_heads(i, FlexForm(i.attributes(), false));
    if (i.region_results.size() != 2) i.fail("arity", "flex_attention takes two functions of one result each");
    require_result(i, 0, i.type(attention::q).dtype, "a score");
    require_result(i, 1, DType::boolean, "a mask");
    return i.context.tuple(attention::result_types(i, heads));
}

TypeId flex_gradient_rule(Infer& i) {
    const FlexForm form(i.attributes(), true);
    const attention::Heads heads = flex_heads(i, form);
    attention::require_gradient_operands(i, heads);
    const DType dtype = i.type(attention::q).dtype;
    const size_t reads = form.reads.size();
    if (i.region_results.size() != 3 + 2 * reads)
        i.fail("arity", "flex_attention_gradient takes a score, a cotangent, two results of each read, and a mask");
    require_result(i, 0, dtype, "a score");
    require_result(i, 1, dtype, "a score's cotangent");
    for (size_t k = 0; k < reads; ++k) {
        require_result(i, 2 + 2 * k, dtype, "a read's cotangent");
        require_result(i, 3 + 2 * k, DType::i64, "a read's place");
        if (form.reads[k] >= form.elements.size()) i.fail("value", "flex_attention_gradient has a read of no tensor");
    }
    require_result(i, 2 + 2 * reads, DType::boolean, "a mask");
    std::vector<TypeId> types(i.operands.begin(), i.operands.begin() + 3);
    for (SizeId elements : form.elements)
        types.push_back(
            i.context.tensor(dtype, std::vector<SizeId>{form.examples, SizeId(FlexForm::groups), elements}));
    return i.context.tuple(types);
}

// From the output to all of them, from the sums to all but the values.
std::vector<bool> flex_reach(std::span<const GraphRef> regions, const Attributes& attributes,
                             std::span<const size_t> operands) {
    const FlexForm form(attributes, false);
    std::vector<bool> parameters(regions[0]->params().size());
    bool values = false, scores = false;
    for (size_t k : operands) {
        values |= k == attention::v;
        if (k == attention::q || k == attention::k) parameters[0] = true;
        if (k >= form.first_captured()) parameters[5 + k - form.first_captured()] = true;
    }
    scores = results_that_reach(*regions[0], parameters)[0];
    return {values || scores, scores};
}
std::vector<bool> flex_gradient_reach(std::span<const GraphRef>, const Attributes& attributes,
                                      std::span<const size_t> operands) {
    return std::vector<bool>(3 + FlexForm(attributes, true).elements.size(), !operands.empty());
}

// ---- batching -------------------------------------------------------------------------------------------------------
// The examples become a part of the batch: b counts both, and what an example has captured is its slice.
GraphRef for_examples(Batching& b, const FlexForm& form, unsigned k, SizeId batch) {
    const GraphRef region = b.region(k);
    Builder builder(b.context());
    Copier copy(*region, builder);
    const auto params = region->params();
    const size_t place = k == form.mask_region() ? 0 : 1, first = place + 4,
                 captured = b.operand_count() - form.first_captured();
    const auto is_batched = [&](size_t p) {
        return p >= first && p < first + captured && b.batched(form.first_captured() + p - first);
    };
    std::vector<NodeId> made;
    for (size_t p = 0; p < params.size(); ++p) {
        Type type = region->type(params[p]);
        if (is_batched(p)) type.sizes.insert(type.sizes.begin(), b.size());
        made.push_back(builder.parameter(b.context().type(std::move(type)), region->names[params[p].index]));
    }
    for (const SizeSymbol& s : region->symbols) builder.symbol(NodeId::none(), defined_around, s.hint, s.name);
    builder.known_sizes().add(region->equalities);
    const NodeId count = builder.emit(op<"size">(), {}, b.attr({{"value", batch}, {"dtype", DType::i64}}));
    const NodeId example = builder.emit(op<"floor_divide">(), {made[place], count});
    for (size_t p = 0; p < params.size(); ++p) {
        if (is_batched(p)) made[p] = builder.emit(op<"take">(), {made[p], example}, b.attr({{"axis", int64_t{0}}}));
        else if (p == place) made[p] = builder.emit(op<"remainder">(), {made[p], count});
        copy.map(params[p], made[p]);
    }
    copy.copy_body();
    std::vector<NodeId> results;
    for (NodeId r : region->results()) results.push_back(copy(r));
    return builder.finish(results, region->name);
}

NodeId batch_flex(Batching& b, FlexForm form) {
    const SizeId batch = b.type(attention::q).sizes[0], all = b.context().mul(b.size(), batch);
    for (size_t k = form.first_random(); k < form.first_captured(); ++k)
        if (b.batched(k)) b.fail("its dropout has one key and offset for all examples", "draw outside of the function");
    std::vector<NodeId> operands;
    for (size_t k = 0; k < b.operand_count(); ++k) {
        if (k >= form.first_random()) {
            operands.push_back(b.operand(k));
            continue;
        }
        AttrList sizes{AttrValue(all)};
        const std::vector<SizeId> own = b.type(k).sizes;
        sizes.insert(sizes.end(), own.begin() + 1, own.end());
        operands.push_back(b.reshape(b.whole(k), std::move(sizes)));
    }
    std::vector<GraphRef> regions;
    for (unsigned k = 0; k <= form.mask_region(); ++k) regions.push_back(for_examples(b, form, k, batch));
    form.examples = b.context().mul(form.examples, b.size());
    std::vector<NodeId> results = b.results_of(b.again(operands, form.attr(b.context()), regions));
    for (size_t k = 0; k < results.size(); ++k)
        results[k] = b.reshape(results[k], b.batch_of(b.context()[b.result_type().elements[k]].sizes));
    return b.emit(op<"tuple">(), results);
}

// clang-format off
const Row flex_attention_table[] = {
    {.name = "flex_attention", .doc = "attention whose first region makes the score of a pair of a query and a key, and whose second says whether the one may look at the other",
     .min_operands = 3, .max_operands = -1, .dtypes = DTypes::wide_floats, .result = flex_rule, .regions = 2, .parameters = flex_parameters, .reach = flex_reach,
     .lowering = Lowering::tiles, .tiles = attention::write_flex_attention,
     .gradient = flex_attention_gradient, .batching = [](Batching& b) { return batch_flex(b, FlexForm(b.attributes(), false)); }},
    {.name = "flex_attention_gradient", .doc = "the gradients of flex_attention, of what its first region reads too: by its regions for the score, the score's cotangent and the mask",
     .min_operands = 6, .max_operands = -1, .dtypes = DTypes::wide_floats, .result = flex_gradient_rule, .regions = 3, .parameters = flex_gradient_parameters, .reach = flex_gradient_reach,
     .lowering = Lowering::tiles, .tiles = attention::write_flex_attention_gradient,
     .gradient = flex_attention_gradient_gradient, .batching = [](Batching& b) { return batch_flex(b, FlexForm(b.attributes(), true)); }},
};
// clang-format on

}  // namespace

std::span<const Row> flex_attention_rows() { return flex_attention_table; }

}  // namespace tenon
