// Contractions: one function of jit/library serves every engine, so their bits agree.
#include "ir/differentiate/batching.h"
#include "ir/differentiate/gradient.h"
#include "ir/ops/tables.h"
#include "ir/size_facts.h"

namespace tenon {

namespace {

// [.., m, k] @ [.., k, n] -> [.., m, n]; leading sizes broadcast. transpose_a, transpose_b read the operand's last two
// dimensions the other way round; a third operand, which broadcasts to the result, is added to each element when its chain
// is done (set by fusion's preparation, never by the front end).
void check_added(Infer& i, std::span<const SizeId> sizes) {
    require_tensor(i, 2);
    const Type& added = i.type(2);
    bool fits = added.dtype == i.type(0).dtype && added.rank() <= sizes.size();
    for (size_t d = 0; fits && d < added.rank(); ++d) {
        const SizeId size = sizes[sizes.size() - added.rank() + d];
        fits = added.sizes[d] == SizeId(1) || i.equal(added.sizes[d], size);
    }
    if (!fits) i.fail("shape", "matmul adds what broadcasts to its result, but got " + i.show(i.operands[2]));
}

TypeId matmul_rule(Infer& i) {
    require_tensor(i, 0);
    require_tensor(i, 1);
    const Type &a = i.type(0), &b = i.type(1);
    if (a.rank() < 2 || b.rank() < 2)
        i.fail("shape", "matmul needs two dimensions or more, but got " + i.show(i.operands[0]) + " and " +
                            i.show(i.operands[1]));
    if (a.dtype != b.dtype)
        i.fail("dtype",
               "matmul needs operands of one dtype, but they are " + i.show(i.operands[0]) + " and " +
                   i.show(i.operands[1]),
               "cast one of them with `x.to(dtype)`");
    if (a.dtype == DType::boolean)
        i.fail("dtype", "matmul needs a number dtype, but got bool", "cast with `x.to(f32)`");
    const bool ta = i.attributes().flag("transpose_a"), tb = i.attributes().flag("transpose_b");
    const auto last = [](const Type& t, size_t from_right) { return t.sizes[t.rank() - from_right]; };
    const SizeId m = last(a, ta ? 1 : 2), k = last(a, ta ? 2 : 1), k2 = last(b, tb ? 1 : 2), n = last(b, tb ? 2 : 1);
    if (!i.equal(k, k2))
        i.fail("shape", "matmul needs the inner sizes to be equal, but they are " + i.show(k) + " and " + i.show(k2),
               "`a @ b` multiplies [m, k] by [k, n]: here " + i.show(i.operands[0]) + " by " + i.show(i.operands[1]));
    const size_t batch = std::max(a.rank(), b.rank()) - 2;
    std::vector<SizeId> sizes(batch, SizeId(1));
    for (const Type* t : {&a, &b})
        for (size_t d = 0; d + 2 < t->rank(); ++d) {
            SizeId& out = sizes[batch - (t->rank() - 2) + d];
            out = broadcast_size(i, out, t->sizes[d], t->rank() - d);
        }
    sizes.push_back(m);
    sizes.push_back(n);
    if (i.operands.size() > 2) check_added(i, sizes);
    return i.context.tensor(a.dtype, sizes, a.device);
}

Term transposed(Gradient& d, const Term& t, size_t rank) {
    AttrList axes;
    for (size_t k = 0; k < rank; ++k) axes.push_back(int64_t(k));
    std::swap(axes[rank - 1], axes[rank - 2]);
    return apply(op<"permute">(), {t}, d.attr({{"axes", axes}}));
}

// The rows of all its matrices as those of one.
Term rows_of(Gradient& d, const Term& t, const Type& type) {
    const std::span<const SizeId> sizes(type.sizes);
    return d.reshape_to(t, SizeList{product(d.context(), sizes.first(sizes.size() - 1)), sizes.back()});
}

void matmul_gradient(Gradient& d) {  // d(ab): g bᵀ, aᵀ g
    if (d.operand_count() > 2) d.x(2) += d.g;
    const bool ta = d.attributes().flag("transpose_a"), tb = d.attributes().flag("transpose_b");
    const size_t ra = d.type(0).rank(), rb = d.type(1).rank(), ry = d.result_type().rank();
    const Term a = ta ? transposed(d, d.a, ra) : d.a, b = tb ? transposed(d, d.b, rb) : d.b;
    const Term da = apply(op<"matmul">(), {d.g, transposed(d, b, rb)});
    d.x(0) += ta ? transposed(d, da, ry) : da;
    // One matrix on the right of many: what they bring it is one product, over all rows.
    if (rb == 2 && ra > 2 && !ta) {
        const Term rows = rows_of(d, a, d.type(0)), g = rows_of(d, d.g, d.result_type());
        const Term db = apply(op<"matmul">(), {transposed(d, rows, 2), g});
        d.x(1) += tb ? transposed(d, db, 2) : db;
    } else {
        const Term db = apply(op<"matmul">(), {transposed(d, a, ra), d.g});
        d.x(1) += tb ? transposed(d, db, ry) : db;
    }
}

// What is added may differ per example where the product does not.
NodeId matmul_batching(Batching& b) {
    if (b.operand_count() == 2 || b.batched(0) || b.batched(1)) return batch_broadcasting(b);
    const NodeId product = b.emit(op<"matmul">(), {b.operand(0), b.operand(1)}, b.attr());
    return b.emit(op<"add">(), {product, b.aligned(2, b.result_type().rank())});
}

// clang-format off
const Row contract_table[] = {
    {.name = "matmul", .doc = "matrix product over the last two dimensions; a third operand is added to it", .min_operands = 2, .max_operands = 3, .dtypes = DTypes::numeric,
     .result = matmul_rule, .lowering = Lowering::library, .takes_transposed = true, .in_place_operand = 2, .gradient = matmul_gradient, .batching = matmul_batching},
};
// clang-format on

}  // namespace

std::span<const Row> contract_rows() { return contract_table; }

}  // namespace tenon
