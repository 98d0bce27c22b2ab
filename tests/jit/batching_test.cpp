// Walks the table of op rows: what a batch computes is, bit for bit, what its examples give one by one.
#include <gtest/gtest.h>

#include <cstring>

#include "ir/batching.h"
#include "ir/text.h"
#include "tests/jit/computer.h"
#include "tests/jit/row_samples.h"

namespace tenon {
namespace {

constexpr int64_t examples = 3;
constexpr DType all_dtypes[] = {DType::f64, DType::f32, DType::f16, DType::bf16, DType::i64,
                                DType::i32, DType::i16, DType::i8,  DType::u8,   DType::boolean};

// One tensor with the batch as dimension `axis`.
Tensor stack(const Allocator& allocator, const std::vector<Tensor>& tensors, int axis) {
    Dims shape = tensors[0].shape;
    shape.insert(shape.begin(), int64_t(tensors.size()));
    Tensor whole = Tensor::zeros(allocator, tensors[0].dtype, shape);
    const size_t bytes = size_t(tensors[0].numel()) * size_of(whole.dtype);
    for (size_t i = 0; i < tensors.size(); ++i)
        if (bytes) std::memcpy(whole.storage->data + i * bytes, tensors[i].storage->data, bytes);
    Dims order;
    for (size_t d = 1; d < shape.size(); ++d) order.push_back(int64_t(d));
    order.insert(order.begin() + axis, 0);
    return whole.permute(order).contiguous();
}

// A sample with some operands batched, run as a batch and one by one.
class Trial {
public:
    Trial(Context& context, Computer& computer, const RowSample& sample)
        : context_(context), computer_(computer), sample_(sample), graph_(sample.graph(context)) {
        for (int64_t i = 0; i < examples; ++i)
            drawn_.push_back(sample.values(computer.allocator(), Draw::hostile, uint64_t(10 + i)));
    }
    // Bit k of `mask`: operand k is batched; `last`: along its last dimension, otherwise the first.
    void run(unsigned mask, bool last, EngineKind engine) {
        std::vector<int> in_axes;
        std::vector<Tensor> inputs;
        for (size_t k = 0; k < sample_.operands.size(); ++k) {
            const bool batched = mask >> k & 1;
            in_axes.push_back(!batched ? -1 : last ? int(sample_.operands[k].sizes.size()) : 0);
            std::vector<Tensor> all;
            for (int64_t i = 0; i < examples; ++i) all.push_back(drawn_[size_t(i)][k]);
            inputs.push_back(batched ? stack(computer_.allocator(), all, in_axes.back()) : all[0]);
        }
        const size_t rank = graph_->type(graph_->results()[0]).rank();
        const int out_axes[] = {last ? int(rank) : 0};
        const GraphRef whole = batch(*graph_, {SizeId(examples), in_axes, out_axes});
        verify(*whole);
        EXPECT_TRUE(equal(*whole, *parse_graph(context_, print(*whole)))) << print(*whole);
        const Tensor result = computer_.run(whole, inputs, engine)[0];
        for (int64_t i = 0; i < examples; ++i) {
            std::vector<Tensor> one;
            for (size_t k = 0; k < inputs.size(); ++k) one.push_back(drawn_[mask >> k & 1 ? size_t(i) : 0][k]);
            expect_same({result.select(out_axes[0], i).contiguous()}, computer_.run(graph_, one, EngineKind::interp),
                        sample_.name + ", batched operands " + std::to_string(mask) + ", example " + std::to_string(i));
        }
    }

private:
    Context& context_;
    Computer& computer_;
    const RowSample& sample_;
    GraphRef graph_;
    std::vector<std::vector<Tensor>> drawn_;
};

TEST(Batching, EveryRowGivesWhatItsExamplesGive) {
    Context context;
    Computer computer(1);
    for (Op op : computing_rows()) {
        if (!row(op).batching || row(op).own_per_example) continue;
        size_t tried = 0;
        for (DType dtype : all_dtypes) {
            const bool common = dtype == DType::f32 || dtype == DType::i64 || dtype == DType::boolean;
            std::vector<RowSample> samples = samples_of(context, op, dtype);
            if (!common && samples.size() > 2) samples.resize(2);
            for (const RowSample& sample : samples) {
                Trial trial(context, computer, sample);
                for (unsigned mask = 1; mask < 1u << sample.operands.size(); ++mask, ++tried) {
                    trial.run(mask, false, EngineKind::interp);
                    if (common) trial.run(mask, true, EngineKind::interp);
                    if (dtype == DType::f32 && TENON_LLVM) trial.run(mask, false, EngineKind::jit);
                }
            }
        }
        EXPECT_GT(tried, 0u) << row(op).name << " has a batching rule that nothing tries";
    }
}

TEST(Batching, LargeReductionsAndProductsKeepTheirOrder) {
    Context context;
    Computer computer(2);
    for (Op op : computing_rows()) {
        const bool sums = row(op).lowering == Lowering::reduce || row(op).name == "matmul" || row(op).name == "cumsum";
        if (!sums) continue;
        for (const RowSample& sample : large_samples_of(context, op, DType::f32)) {
            Trial trial(context, computer, sample);
            for (unsigned mask = 1; mask < 1u << sample.operands.size(); ++mask)
                trial.run(mask, false, EngineKind::interp);
        }
    }
}

// Each example has the numbers that lie at its place of one draw for the whole batch.
TEST(Batching, RandomNumbersAreOneDraw) {
    Context context;
    Computer computer(1);
    for (Op op : computing_rows()) {
        if (!row(op).own_per_example) continue;
        size_t tried = 0;
        for (DType dtype : all_dtypes)
            for (const RowSample& sample : samples_of(context, op, dtype)) {
                const GraphRef one = sample.graph(context);
                const std::vector<int> none(sample.operands.size(), -1), all(sample.operands.size(), 0), first{0};
                const GraphRef whole = batch(*one, {SizeId(examples), none, first});
                Builder builder(context);
                std::vector<NodeId> operands;
                for (NodeId p : one->params()) operands.push_back(builder.parameter((*one)[p].type));
                Record record = context[sample.attr];
                for (AttrEntry& entry : record)
                    if (context.text(entry.key) == "sizes") {
                        auto& sizes = std::get<AttrList>(entry.value.value);
                        sizes.insert(sizes.begin(), AttrValue(examples));
                    }
                const GraphRef draw = builder.finish({builder.emit(op, operands, context.attr(record))});
                const std::vector<Tensor> inputs = sample.values(computer.allocator(), Draw::smooth, 1);
                expect_same(computer.run(whole, inputs, EngineKind::interp),
                            computer.run(draw, inputs, EngineKind::interp), sample.name);
                EXPECT_THROW(batch(*one, {SizeId(examples), all, first}), Error) << "one key for all examples";
                ++tried;
            }
        EXPECT_GT(tried, 0u) << row(op).name;
    }
}

}  // namespace
}  // namespace tenon
