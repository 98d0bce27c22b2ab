// Shapes, joining and splitting, reading and writing at positions, conversions to host values.
#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "frontend/methods/tables.h"
#include "frontend/builtins/tensor.h"
#include "frontend/ops/tensor_data.h"
#include "runtime/diagnostic.h"

namespace tenon {

namespace {

using ops::Term;

Value reshape(Evaluator& e, Arguments& a) {
    TensorCall c(e, a);
    return ops::reshape(c.d, c.tensor(0), c.sizes(1));
}
Value reshape_as(Evaluator& e, Arguments& a) {
    TensorCall c(e, a);
    return ops::reshape(c.d, c.tensor(0), c.d.sizes(*c.tensor(1)));
}
Value expand(Evaluator& e, Arguments& a) {
    TensorCall c(e, a);
    return ops::expand(c.d, c.tensor(0), c.sizes(1));
}
Value permute(Evaluator& e, Arguments& a) {
    TensorCall c(e, a);
    return ops::permute(c.d, c.tensor(0), c.axes(1));
}
Value transpose(Evaluator& e, Arguments& a) {
    TensorCall c(e, a);
    return ops::transpose(c.d, c.tensor(0), c.integer(1, "a dimension"), c.integer(2, "a dimension"));
}
Value t(Evaluator& e, Arguments& a) {
    TensorCall c(e, a);
    const TensorRef x = c.tensor(0);
    if (x->rank() > 2)
        throw_error("shape", fmt::format("t() transposes matrices, but got {}", describe_type(*x)),
                    "x.transpose(-2, -1), or x.permute(…)");
    return x->rank() < 2 ? x : ops::transpose(c.d, x, 0, 1);
}
Value squeeze(Evaluator& e, Arguments& a) {
    TensorCall c(e, a);
    return ops::squeeze(c.d, c.tensor(0), c.dim(1));
}
Value unsqueeze(Evaluator& e, Arguments& a) {
    TensorCall c(e, a);
    return ops::unsqueeze(c.d, c.tensor(0), *c.dim(1));
}
Value flatten(Evaluator& e, Arguments& a) {
    TensorCall c(e, a);
    return ops::flatten(c.d, c.tensor(0), c.integer_or(1, 0, "start_dim"), c.integer_or(2, -1, "end_dim"));
}
Value flip(Evaluator& e, Arguments& a) {
    TensorCall c(e, a);
    return ops::flip(c.d, c.tensor(0), c.axes(1));
}
Value narrow(Evaluator& e, Arguments& a) {
    TensorCall c(e, a);
    const TensorRef x = c.tensor(0);
    const int64_t dim = *c.dim(1);
    const auto axis = static_cast<size_t>(normalise_dim(dim, x->rank()));
    const int64_t size = x->shape()[axis], given = c.integer(2, "start"),
                  start = given < 0 && given >= -size ? given + size : given;
    const Size length = ops::size_of(c.d, c[3], "length");
    if (start < 0 || length.value < 0 || start > size || length.value > size - start) {
        throw_error("index",
                    fmt::format("narrow from {} by {} leaves dimension {} of size {}", start, length.value, dim, size));
    }
    const Size from = start == size ? c.d.size(*x, axis) : ops::position(c.d, x, axis, c[2]);
    return ops::narrow(c.d, x, dim, from, ops::add(c.d, from, length));
}
Value select(Evaluator& e, Arguments& a) {
    TensorCall c(e, a);
    const TensorRef x = c.tensor(0);
    const int64_t dim = normalise_dim(*c.dim(1), x->rank());
    return ops::select(c.d, x, dim, ops::position(c.d, x, static_cast<size_t>(dim), c[2]));
}
Value contiguous(Evaluator& e, Arguments& a) {
    TensorCall c(e, a);
    const TensorRef x = c.tensor(0);
    return x->tensor.is_contiguous() ? x : ops::clone(c.d, x);
}
Value clone(Evaluator& e, Arguments& a) {
    TensorCall c(e, a);
    return ops::clone(c.d, c.tensor(0));
}
Value detach(Evaluator& e, Arguments& a) {
    TensorCall c(e, a);
    return ops::detach(c.d, c.tensor(0));
}

// ---- joining, splitting -------------------------------------------------------------------------------------------
Value cat(Evaluator& e, Arguments& a) {
    TensorCall c(e, a);
    return ops::cat(c.d, c.tensor_list(0), c.integer_or(1, 0, "a dimension"));
}
Value stack(Evaluator& e, Arguments& a) {
    TensorCall c(e, a);
    return ops::stack(c.d, c.tensor_list(0), c.integer_or(1, 0, "a dimension"));
}
Value pieces(TensorCall& c, const TensorRef& x, int64_t dim, const Dims& lengths) {
    Values parts;
    int64_t start = 0;
    for (int64_t length : lengths) {
        parts.push_back(ops::narrow(c.d, x, dim, Size(start), Size(start + length)));
        start += length;
    }
    return make_list(std::move(parts));
}
Value split(Evaluator& e, Arguments& a) {  // x, size or sizes, dim?
    TensorCall c(e, a);
    const TensorRef x = c.tensor(0);
    const int64_t dim = normalise_dim(c.integer_or(2, 0, "a dimension"), x->rank()),
                  size = x->shape()[static_cast<size_t>(dim)];
    Dims lengths;
    if (items_of(c[1])) {
        lengths = c.axes(1);
        int64_t total = 0;
        for (int64_t length : lengths) total += length;
        if (total != size)
            throw_error("value", fmt::format("split needs sizes that sum to {}, but they sum to {}", size, total));
    } else {
        const int64_t length = c.integer(1, "a size");
        if (length < 1) throw_error("value", fmt::format("split needs pieces of at least 1, but got {}", length));
        for (int64_t at = 0; at < size; at += std::min(length, size - at))
            lengths.push_back(std::min(length, size - at));
        if (size == 0) lengths.push_back(0);
    }
    return pieces(c, x, dim, lengths);
}
Value chunk(Evaluator& e, Arguments& a) {
    TensorCall c(e, a);
    const TensorRef x = c.tensor(0);
    const int64_t count = c.integer(1, "how many"), dim = normalise_dim(c.integer_or(2, 0, "a dimension"), x->rank());
    if (count < 1) throw_error("value", fmt::format("chunk needs at least 1 piece, but got {}", count));
    const int64_t size = x->shape()[static_cast<size_t>(dim)],
                  length = std::max<int64_t>(size / count + (size % count != 0), 1);
    Dims lengths;
    for (int64_t at = 0; at < size; at += length) lengths.push_back(std::min(length, size - at));
    if (size == 0) {
        if (count > 1'000'000) throw_error("memory", fmt::format("{} pieces of nothing do not fit in memory", count));
        for (int64_t k = 0; k < count; ++k) lengths.push_back(0);
    }
    return pieces(c, x, dim, lengths);
}
Value unbind(Evaluator& e, Arguments& a) {
    TensorCall c(e, a);
    const TensorRef x = c.tensor(0);
    const int64_t dim = normalise_dim(c.integer_or(1, 0, "a dimension"), x->rank());
    Values parts;
    for (int64_t k = 0; k < x->shape()[static_cast<size_t>(dim)]; ++k) parts.push_back(ops::select(c.d, x, dim, k));
    return make_list(std::move(parts));
}

// ---- positions ----------------------------------------------------------------------------------------------------
Value gather(Evaluator& e, Arguments& a) {  // x, dim, index
    TensorCall c(e, a);
    const Lifted lifted(c, c.tensor(0), *c.dim(1));
    const TensorRef index = c.tensor(2);
    if (!lifted.is_scalar || index->rank() > 0) return ops::gather(c.d, lifted.x, lifted.axis, index);
    return lifted.back(ops::gather(c.d, lifted.x, lifted.axis, ops::unsqueeze(c.d, index, 0)));
}
Value index_select(Evaluator& e, Arguments& a) {
    TensorCall c(e, a);
    const Lifted lifted(c, c.tensor(0), *c.dim(1));
    return lifted.back(ops::take(c.d, lifted.x, c.tensor(2), lifted.axis));
}
Value take(Evaluator& e, Arguments& a) {  // x, index, dim?: of all elements where there is no dim
    TensorCall c(e, a);
    TensorRef x = c.tensor(0);
    if (!c.has(2)) x = ops::reshape(c.d, x, {c.d.constant(-1)});
    return ops::take(c.d, x, c.tensor(1), c.integer_or(2, 0, "a dimension"));
}
AttrId axis_attr(TensorCall& c, const TensorRef& x, int64_t dim) {
    return c.d.attr({{c.d.names().axis, AttrValue(normalise_dim(dim, x->rank()))}});
}

template <FixedString name, bool in_place>
Value add_at(Evaluator& e, Arguments& a) {  // x, dim, index, source
    TensorCall c(e, a);
    const TensorRef x = c.tensor(0);
    if constexpr (in_place) c.d.begin_write(*x);
    const TensorRef sum =
        c.d.apply(op<name>(), {x, c.tensor(2), ops::cast(c.d, c.tensor(3), x->dtype())}, axis_attr(c, x, *c.dim(1)));
    if (!in_place) return sum;
    c.d.write(*x, *sum);
    return c[0];
}
TensorRef sorted_positions(TensorCall& c, const TensorRef& x, int64_t axis, bool descending) {
    return c.d.apply(op<"argsort">(), {x},
                     c.d.attr({{c.d.names().axis, AttrValue(axis)}, {c.d.names().descending, AttrValue(descending)}}));
}

// Of the elements of source that go to one position along the axis the last is written: in the order of a stable sort
// of index it is the one whose successor differs. The others become −0, which adds nothing to any value.
TensorRef put_last(TensorCall& c, const TensorRef& kept, TensorRef index, TensorRef source, int64_t axis, AttrId attr) {
    index = ops::positions_from_front(c.d, kept, index, axis);
    const TensorRef order = sorted_positions(c, index, axis, false);
    index = ops::gather(c.d, index, axis, order);
    source = ops::gather(c.d, source, axis, order);
    const TensorRef nothing = ops::scalar(c.d, Scalar(-0.0), source->dtype());
    source = ops::where(c.d, ops::ends_of_runs(c.d, index, axis), Term(source), Term(nothing));
    return c.d.apply(op<"scatter_add">(), {kept, index, source}, attr);
}

// x with the elements of source at index along dim.
template <bool in_place>
Value scatter(Evaluator& e, Arguments& a) {  // x, dim, index, source
    TensorCall c(e, a);
    const TensorRef x = c.tensor(0), index = c.tensor(2);
    if constexpr (in_place) c.d.begin_write(*x);
    const int64_t axis = normalise_dim(*c.dim(1), x->rank());
    const AttrId attr = axis_attr(c, x, axis);
    const Term value = ops::fitting(c.d, c.term(3), x->dtype());
    const TensorRef zeros = ops::full(c.d, Term::literal(int64_t{0}), DType::i32, c.d.sizes(*x));
    const TensorRef ones = ops::full(c.d, Term::literal(int64_t{1}), DType::i32, c.d.sizes(*index));
    const TensorRef hit = ops::elementwise(
        c.d, op<"greater">(), {c.d.apply(op<"scatter_add">(), {zeros, index, ones}, attr), Term::literal(int64_t{0})});
    TensorRef result;
    if (value.tensor && value.tensor->rank() > 0) {
        const TensorRef nothing = ops::scalar(c.d, Scalar(-0.0), x->dtype());
        const TensorRef kept = ops::where(c.d, hit, Term(nothing), Term(x));
        const TensorRef source = ops::cast(c.d, value.tensor, x->dtype());
        result = index->tensor.numel() == 0 ? ops::clone(c.d, x) : put_last(c, kept, index, source, axis, attr);
    } else {
        TensorRef cast_to;
        const Arg number = ops::as_arg(c.d, value, x->dtype(), cast_to);
        result = c.d.apply(op<"where">(), {Arg(hit), number, Arg(x)});
    }
    if (!in_place) return result;
    c.d.write(*x, *result);
    return c[0];
}
Value nonzero(Evaluator& e, Arguments& a) {
    TensorCall c(e, a);
    return ops::nonzero(c.d, c.tensor(0));
}

Value argsort(Evaluator& e, Arguments& a) {  // x, dim?, descending?
    TensorCall c(e, a);
    const Lifted lifted(c, c.tensor(0), c.integer_or(1, -1, "a dimension"));
    return lifted.back(sorted_positions(c, lifted.x, lifted.axis, c.flag(2, "descending")));
}
Value sort(Evaluator& e, Arguments& a) {  // (values, positions)
    TensorCall c(e, a);
    const Lifted lifted(c, c.tensor(0), c.integer_or(1, -1, "a dimension"));
    const AttrId attr = c.d.attr(
        {{c.d.names().axis, AttrValue(lifted.axis)}, {c.d.names().descending, AttrValue(c.flag(2, "descending"))}});
    const std::vector<TensorRef> both = c.d.apply_all(op<"sort">(), std::array{Arg(lifted.x)}, attr);
    return make_tuple({lifted.back(both[0]), lifted.back(both[1])});
}
Value topk(Evaluator& e, Arguments& a) {  // x, k, dim?, largest?
    TensorCall c(e, a);
    const Lifted lifted(c, c.tensor(0), c.integer_or(2, -1, "a dimension"));
    const int64_t k = c.integer(1, "k"), axis = lifted.axis, size = lifted.x->shape()[static_cast<size_t>(axis)];
    if (k < 0 || k > size)
        throw_error("value", fmt::format("topk wants {} of the {} elements of dimension {}", k, size, axis));
    const AttrId attr = c.d.attr({{c.d.names().axis, AttrValue(axis)},
                                  {c.d.names().descending, AttrValue(a.flag_or(3, true, "largest"))},
                                  {c.d.context().name("count"), AttrValue(k)}});
    const std::vector<TensorRef> both = c.d.apply_all(op<"sort">(), std::array{Arg(lifted.x)}, attr);
    return make_tuple({lifted.back(both[0]), lifted.back(both[1])});
}
Value one_hot(Evaluator& e, Arguments& a) {  // index, classes? -> i64[…, classes]
    TensorCall c(e, a);
    if (!is_integer(c.tensor(0)->dtype())) {
        throw_error("dtype", fmt::format("one_hot takes integers, but got {}", describe_type(*c.tensor(0))),
                    "cast them: `x.to(i64)`");
    }
    const TensorRef index = ops::cast(c.d, c.tensor(0), DType::i64);
    Size classes;
    if (c.has(1)) {
        classes = ops::size_of(c.d, c[1], "the number of classes");
        if (classes.value < 0)
            throw_error("value", fmt::format("a number of classes cannot be negative, but it is {}", classes.value));
        const TensorRef known = ops::elementwise(
            c.d, op<"logical_and">(),
            {ops::elementwise(c.d, op<"greater_equal">(), {index, Term::literal(int64_t{0})}),
             ops::elementwise(c.d, op<"less">(), {index, Term(Scalar(classes.value), a.is_literal(1))})});
        c.border.assert_tensor(
            ops::reduce(c.d, op<"all">(), known, ops::all_axes(known), false),
            [&] { return fmt::format("a class of one_hot is not one of 0 to {}", classes.value - 1); }, true, a.span);
    } else {  // as many as there are
        const TensorRef largest = ops::reduce(c.d, op<"max">(), index, ops::all_axes(index), false);
        classes = c.d.constant(ops::to_number(c.d, *largest).as_int() + 1);
    }
    const TensorRef each = ops::iota(c.d, classes, DType::i64);
    return ops::cast(c.d, ops::elementwise(c.d, op<"equal">(), {ops::unsqueeze(c.d, index, -1), each}), DType::i64);
}
template <bool upper>
Value triangle(Evaluator& e, Arguments& a) {  // x, diagonal?
    TensorCall c(e, a);
    const TensorRef x = c.tensor(0);
    if (x->rank() < 2) throw_error("shape", fmt::format("a triangle needs a matrix, but got {}", describe_type(*x)));
    const TensorRef rows = ops::unsqueeze(c.d, ops::iota(c.d, c.d.size(*x, x->rank() - 2), DType::i64), 1);
    const TensorRef columns = ops::iota(c.d, c.d.size(*x, x->rank() - 1), DType::i64);
    const TensorRef edge = ops::elementwise(c.d, op<"add">(), {rows, Term::literal(c.integer_or(1, 0, "diagonal"))});
    const TensorRef inside = ops::elementwise(c.d, upper ? op<"greater_equal">() : op<"less_equal">(), {columns, edge});
    return ops::where(c.d, inside, Term(x), Term(ops::scalar(c.d, Scalar(int64_t{0}), x->dtype())));
}

// ---- writes -------------------------------------------------------------------------------------------------------
Value copy_in_place(Evaluator& e, Arguments& a) {
    TensorCall c(e, a);
    ops::assign(c.d, c.tensor(0), c.term(1));
    return c[0];
}
Value zero_in_place(Evaluator& e, Arguments& a) {
    TensorCall c(e, a);
    ops::assign(c.d, c.tensor(0), Term::literal(int64_t{0}));
    return c[0];
}

// ---- conversions --------------------------------------------------------------------------------------------------
Value to(Evaluator& e, Arguments& a) {  // a dtype, a device, or a tensor whose dtype is taken; both may be given
    TensorCall c(e, a);
    TensorRef x = c.tensor(0);
    for (size_t k = 1; k < a.size(); ++k) {
        if (!c.has(k)) continue;
        const Value& want = c[k];
        if (want.is(Kind::dtype)) x = ops::cast(c.d, x, want.as_dtype());
        else if (want.is_tensor()) x = ops::cast(c.d, x, want.as<TensorObject>().dtype());
        else if (want.is(Kind::device)) c.check_device(k);
        else
            throw_error("type",
                        fmt::format("to takes a dtype, a device or a tensor, not {}", with_article(want.kind())),
                        "for example `x.to(f64)`");
    }
    return x;
}
Value same_place(Evaluator& e, Arguments& a) {
    TensorCall c(e, a);
    return c.tensor(0);
}
Value item(Evaluator& e, Arguments& a) {
    TensorCall c(e, a);
    return c.border.item(*c.tensor(0), a.span);
}
Value to_list(Evaluator& e, Arguments& a) {
    TensorCall c(e, a);
    return ops::to_list(c.d, *c.tensor(0));
}
Value numel(Evaluator& e, Arguments& a) {
    TensorCall c(e, a);
    const TensorRef x = c.tensor(0);
    Size count(1);
    for (size_t k = 0; k < x->rank(); ++k) count = ops::multiply(c.d, count, c.d.size(*x, k));
    return ops::to_value(c.d, count);
}
Value size(Evaluator& e, Arguments& a) {  // x, dim?
    TensorCall c(e, a);
    const TensorRef x = c.tensor(0);
    if (c.has(1)) return c.border.size(*x, static_cast<size_t>(normalise_dim(*c.dim(1), x->rank())));
    Values sizes;
    for (size_t k = 0; k < x->rank(); ++k) sizes.push_back(c.border.size(*x, k));
    return make_list(std::move(sizes));
}
Value is_contiguous(Evaluator& e, Arguments& a) {
    TensorCall c(e, a);
    return Value(c.tensor(0)->tensor.is_contiguous());
}

const Builtin tensor_shape_table[] = {
    {"reshape", "x, *sizes", tensors, reshape, takes_sizes, "the same elements in another shape; one size may be −1"},
    {"view", "x, *sizes", tensors, reshape, takes_sizes, "the same as reshape"},
    {"reshape_as", "x, other", tensors, reshape_as, 0, "the same elements in the shape of the other"},
    {"expand", "x, *sizes", tensors, expand, takes_sizes,
     "repeated along dimensions of size 1 and new leading ones, without copies; −1 keeps a size"},
    {"broadcast_to", "x, *sizes", tensors, expand, takes_sizes, "the same as expand"},
    {"permute", "x, *axes", tensors, permute, 0, "the dimensions in this order, as a view"},
    {"transpose", "x, first, second", tensors, transpose, 0, "two dimensions exchanged, as a view"},
    {"t", "x", tensors, t, 0, "a matrix transposed, as a view"},
    {"squeeze", "x, dim?", tensors, squeeze, 0, "without the dimension dim if its size is 1, or without all of size 1"},
    {"unsqueeze", "x, dim", tensors, unsqueeze, 0, "with a dimension of size 1 at dim"},
    {"flatten", "x, start_dim?, end_dim?", tensors, flatten, 0,
     "the dimensions from start_dim (0) to end_dim (−1) as one"},
    {"flip", "x, *dims", tensors, flip, 0, "turned around along the dimensions"},
    {"narrow", "x, dim, start, length", tensors, narrow, takes_sizes,
     "the elements from start on, length many, along dim, as a view"},
    {"select", "x, dim, index", tensors, select, takes_sizes,
     "the elements at one position along dim, which goes away, as a view"},
    {"contiguous", "x", tensors, contiguous, 0,
     "x itself if its elements lie in order, else a copy of which this holds"},
    {"clone", "x", tensors, clone, 0, "a copy, with x's gradient"},
    {"detach", "x", tensors, detach, 0, "the same elements without history, as a view"},
    {"cat", "tensors, dim?", any_kind, cat, 0, "the tensors one after another along dim (0)"},
    {"stack", "tensors, dim?", any_kind, stack, 0, "the tensors beside each other along a new dimension dim (0)"},
    {"split", "x, sizes, dim?", tensors, split, 0,
     "a list of parts along dim (0): of one size, or of the sizes of a list"},
    {"chunk", "x, count, dim?", tensors, chunk, 0,
     "a list of up to count parts of one size along dim (0), the last may be smaller"},
    {"unbind", "x, dim?", tensors, unbind, 0, "a list of the elements along dim (0)"},
    {"gather", "x, dim, index", tensors, gather, 0,
     "result[i, j] = x[index[i, j], j] for dim 0, and so on for the others"},
    {"index_select", "x, dim, index", tensors, index_select, 0, "the elements of x at these positions along dim"},
    {"take", "x, index, dim?", tensors, take, 0,
     "the elements at the positions index along dim, of all elements without a dim"},
    {"scatter", "x, dim, index, source", tensors, scatter<false>, takes_symbolic,
     "x with source[i, j] at [index[i, j], j] for dim 0, and so on; the last of several at one place"},
    {"scatter_", "x, dim, index, source", tensors, scatter<true>, takes_symbolic, "scatter, in place"},
    {"scatter_add", "x, dim, index, source", tensors, add_at<"scatter_add", false>, 0,
     "x plus source[i, j] at [index[i, j], j] for dim 0, and so on; all of several at one place"},
    {"scatter_add_", "x, dim, index, source", tensors, add_at<"scatter_add", true>, 0, "scatter_add, in place"},
    {"index_add", "x, dim, index, source", tensors, add_at<"take_add", false>, 0,
     "x plus the rows of source at these positions along dim"},
    {"index_add_", "x, dim, index, source", tensors, add_at<"take_add", true>, 0, "index_add, in place"},
    {"nonzero", "x", tensors, nonzero, 0, "the positions of what is not 0: i64[count, rank]"},
    {"argsort", "x, dim?, descending?", tensors, argsort, 0,
     "the positions that sort along dim (−1); equal elements keep their order"},
    {"sort", "x, dim?, descending?", tensors, sort, 0,
     "(values, positions), sorted along dim (−1); equal elements keep their order"},
    {"topk", "x, k, dim?, largest?", tensors, topk, 0,
     "(values, positions) of the k largest along dim (−1), sorted; largest: false takes the smallest"},
    {"one_hot", "index, classes?", tensors, one_hot, takes_sizes,
     "1 at each class and 0 elsewhere: i64[…, classes], as many as there are by default"},
    {"tril", "x, diagonal?", tensors, triangle<false>, 0,
     "the elements on and below a diagonal (0: the main one, 1: the one above), 0 elsewhere"},
    {"triu", "x, diagonal?", tensors, triangle<true>, 0,
     "the elements on and above a diagonal (0: the main one, 1: the one above), 0 elsewhere"},
    {"copy_", "x, value", tensors, copy_in_place, takes_symbolic, "writes the value, broadcast and cast, into x"},
    {"fill_", "x, value", tensors, copy_in_place, takes_symbolic, "writes the value into all elements of x"},
    {"zero_", "x", tensors, zero_in_place, 0, "writes 0 into all elements of x"},
    {"to", "x, *targets; dtype?, device?", tensors,
     [](Evaluator& e, Arguments& a) -> Value {
         // The positional targets lie in one tuple.
         Values flat{a[0]};
         if (const Values* targets = items_of(a[1])) flat.insert(flat.end(), targets->begin(), targets->end());
         for (size_t k : {size_t{2}, size_t{3}}) {
             if (a.has(k)) flat.push_back(a[k]);
         }
         Arguments all{flat, a.span, {}, 0};
         return to(e, all);
     },
     0, "as another dtype (`x.to(f64)`), on a device, or as another tensor's"},
    {"cpu", "x", tensors, same_place, method_only, "on the CPU"},
    {"item", "x", tensors, item, 0, "the number that a tensor of one element holds"},
    {"tolist", "x", tensors, to_list, 0, "the elements as nested lists of numbers"},
    {"numel", "x", tensors, numel, 0, "how many elements"},
    {"size", "x, dim?", tensors, size, 0, "the size of a dimension, or the list of all"},
    {"is_contiguous", "x", tensors, is_contiguous, 0, "whether the elements lie in order, without gaps"},
    {"is_floating_point", "x", tensors,
     [](Evaluator&, Arguments& a) -> Value { return is_float(a[0].as<TensorObject>().dtype()); }, 0,
     "whether the dtype is a float"},
};

}  // namespace

std::span<const Builtin> tensor_shape_builtins() { return tensor_shape_table; }

}  // namespace tenon
