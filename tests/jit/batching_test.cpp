// Walks the table of op rows, and random graphs: what a batch computes is, bit for bit, what its examples give one by
// one.
#include <gtest/gtest.h>

#include <cstring>

#include "ir/passes/batch.h"
#include "ir/text/text.h"
#include "tests/ir/random_graph.h"
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
        std::vector<int> out_axes;
        for (NodeId result : graph_->results()) out_axes.push_back(last ? int(graph_->type(result).rank()) : 0);
        const GraphRef whole = batch(*graph_, {SizeId(examples), in_axes, out_axes});
        verify(*whole);
        EXPECT_TRUE(equal(*whole, *parse_graph(context_, print(*whole)))) << print(*whole);
        const std::vector<Tensor> results = computer_.run(whole, inputs, engine);
        for (int64_t i = 0; i < examples; ++i) {
            std::vector<Tensor> one;
            for (size_t k = 0; k < inputs.size(); ++k) one.push_back(drawn_[mask >> k & 1 ? size_t(i) : 0][k]);
            std::vector<Tensor> found;
            for (size_t k = 0; k < results.size(); ++k) found.push_back(results[k].select(out_axes[k], i).contiguous());
            expect_same(found, computer_.run(graph_, one, EngineKind::interp),
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

TEST(Batching, AnAssertHoldsForEveryExample) {
    Context context;
    Computer computer(1);
    Builder builder(context);
    const NodeId condition = builder.parameter(context.tensor(DType::boolean, {}));
    builder.emit(op<"assert">(), {condition});
    const int in_axes[] = {0}, out_axes[] = {0};
    const GraphRef whole = batch(*builder.finish({condition}), {SizeId(examples), in_axes, out_axes});
    Tensor flags = Tensor::full(computer.allocator(), DType::boolean, Dims{examples}, 1.0);
    EXPECT_EQ(computer.run(whole, {flags}, EngineKind::interp).size(), 1u);
    flags.data<bool>()[examples - 1] = false;
    EXPECT_THROW(computer.run(whole, {flags}, EngineKind::interp), Error);
    for (const Row& r : all_rows()) {  // all other rows that have a rule compute something: the walk above tries them
        if (r.batching && r.effect != Effect::none) {
            EXPECT_EQ(r.name, "assert");
        }
    }
}

// Whole graphs, fused: what is shared, batched or both meets in one kernel. Each is batched along other dimensions of
// other parameters, and once more: a batch of batches.
TEST(Batching, RandomGraphsGiveWhatTheirExamplesGive) {
    Context context;
    Computer computer(2);
    for (uint32_t seed = 1; seed <= 1500; ++seed) {
        std::vector<std::vector<int64_t>> shapes;
        const GraphRef graph = RandomGraph(context, seed, false, seed > 1000).make(shapes);
        std::mt19937 random(seed);
        std::vector<int> in_axes, outer_axes;
        std::vector<std::vector<Tensor>> drawn(shapes.size());  // by parameter, by example (one if it is shared)
        std::vector<Tensor> inputs, twice;
        for (size_t k = 0; k < shapes.size(); ++k) {
            const bool batched = k == seed % shapes.size() || random() % 2;
            in_axes.push_back(batched ? int(random() % (shapes[k].size() + 1)) : -1);
            outer_axes.push_back(batched ? 0 : -1);
            for (int64_t i = 0; i < (batched ? 2 * examples : 1); ++i) {
                Tensor t = Tensor::empty(computer.allocator(), DType::f32, Dims(shapes[k].begin(), shapes[k].end()));
                for (int64_t e = 0; e < t.numel(); ++e) t.data<float>()[e] = float(random() % 2000) / 1000 - 1;
                drawn[k].push_back(std::move(t));
            }
            std::vector<Tensor> halves;
            for (int64_t half = 0; batched && half < 2; ++half) {
                const auto from = drawn[k].begin() + half * examples;
                halves.push_back(stack(computer.allocator(), {from, from + examples}, in_axes.back()));
            }
            inputs.push_back(batched ? halves[0] : drawn[k][0]);
            twice.push_back(batched ? stack(computer.allocator(), halves, 0) : drawn[k][0]);
        }
        const std::vector<int> first(graph->results().size(), 0);
        const GraphRef once = batch(*graph, {SizeId(examples), in_axes, first});
        const GraphRef nested = batch(*once, {SizeId(2), outer_axes, first});
        const std::vector<Tensor> batch_of = computer.run(once, inputs, EngineKind::interp),
                                  batches_of = computer.run(nested, twice, EngineKind::interp);
        for (int64_t i = 0; i < 2 * examples; ++i) {
            std::vector<Tensor> one, found, found_nested;
            for (const std::vector<Tensor>& all : drawn) one.push_back(all[all.size() > 1 ? size_t(i) : 0]);
            for (size_t r = 0; r < first.size(); ++r) {
                if (i < examples) found.push_back(batch_of[r].select(0, i).contiguous());
                found_nested.push_back(batches_of[r].select(0, i / examples).select(0, i % examples).contiguous());
            }
            const std::vector<Tensor> expected = computer.run(graph, one, EngineKind::interp);
            const std::string what = "seed " + std::to_string(seed) + ", example " + std::to_string(i);
            if (i < examples) expect_same(found, expected, what);
            expect_same(found_nested, expected, what + ", nested");
            if (testing::Test::HasFailure()) FAIL() << print(*graph) << print(*once) << print(*nested);
        }
    }
}

}  // namespace
}  // namespace tenon
