// Walks the table of op rows: gradients against central differences, engines and thread counts against each other bit
// for bit, strided and permuted operands against contiguous ones. tests/jit/row_samples.h says with what each row is
// tried.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "ir/passes/drop_cotangents.h"
#include "ir/passes/passes.h"
#include "ir/text/text.h"
#include "tests/jit/computer.h"
#include "tests/jit/row_samples.h"

namespace tenon {
namespace {

constexpr DType all_dtypes[] = {DType::f64, DType::f32, DType::f16, DType::bf16, DType::i64,
                                DType::i32, DType::i16, DType::i8,  DType::u8,   DType::boolean};

TEST(Ops, EveryRowSaysWhatItIsAndHasSamples) {
    Context context;
    for (const Row& r : all_rows()) {
        EXPECT_FALSE(r.doc.empty()) << r.name;
        EXPECT_NE(r.gradient == nullptr, r.no_gradient.empty()) << r.name << " has a gradient, or says why it has none";
    }
    for (Op op : computing_rows()) {
        size_t samples = 0;
        for (DType dtype : all_dtypes) samples += samples_of(context, op, dtype).size();
        EXPECT_GT(samples, 0u) << row(op).name << " is tried with nothing: add it to row_samples.cpp";
    }
}

TEST(Ops, TextReadsBack) {
    Context context;
    for (Op op : computing_rows()) {
        for (DType dtype : all_dtypes) {
            for (const RowSample& sample : samples_of(context, op, dtype)) {
                const GraphRef graph = sample.graph(context);
                verify(*graph);
                EXPECT_TRUE(equal(*graph, *parse_graph(context, print(*graph)))) << print(*graph);
            }
        }
    }
}

TEST(Ops, GradientsAgreeWithCentralDifferences) {
    Context context;
    Computer computer(1);
    for (Op op : computing_rows()) {
        if (!row(op).gradient) continue;
        if (row(op).name == "with_history") continue;  // its gradient is that of another value, which is its purpose
        size_t tried = 0;
        for (const RowSample& sample : samples_of(context, op, DType::f64)) {
            const GraphRef graph = sample.graph(context);
            std::vector<size_t> results, wrt;
            for (size_t k = 0; k < graph->results().size(); ++k)
                if (graph->type(graph->results()[k]).dtype == DType::f64) results.push_back(k);
            if (results.empty()) continue;
            for (size_t k = 0; k < sample.operands.size(); ++k)
                if (sample.operands[k].dtype == DType::f64) wrt.push_back(k);
            const Joint joint = make_joint(*graph, results, wrt, false);
            // Formulas are linear in the cotangent: where there is none, nothing is left of them.
            const Split halves = split_joint(joint);
            std::vector<size_t> absent;
            for (size_t k = 0; k < results.size(); ++k) absent.push_back(halves.saved.size() + k);
            std::vector<bool> left;
            drop_cotangents(*halves.backward, absent, absent.back() + 1, left);
            EXPECT_EQ(std::count(left.begin(), left.end(), true), 0) << sample.name;

            std::vector<Tensor> inputs = sample.values(computer.allocator(), Draw::smooth, 1);
            const std::vector<Tensor> value = computer.run(graph, inputs, EngineKind::interp);
            std::mt19937_64 random(2);
            std::vector<Tensor> cotangents;
            for (size_t r : results) {
                Tensor& cotangent =
                    cotangents.emplace_back(Tensor::empty(computer.allocator(), DType::f64, value[r].shape));
                for (int64_t i = 0; i < cotangent.numel(); ++i)
                    cotangent.data<double>()[i] = double(random() % 2000) / 1000 - 1;
            }
            std::vector<Tensor> with_cotangents = inputs;
            with_cotangents.insert(with_cotangents.end(), cotangents.begin(), cotangents.end());
            const std::vector<Tensor> found = computer.run(joint.graph, with_cotangents, EngineKind::interp);

            const auto executable = computer.compile(graph, EngineKind::interp);
            const auto weighted = [&] {
                std::vector<Tensor> outputs;
                executable->run(inputs, outputs);
                double sum = 0;
                for (size_t r = 0; r < results.size(); ++r)
                    for (int64_t i = 0; i < cotangents[r].numel(); ++i)
                        sum += outputs[results[r]].data<double>()[i] * cotangents[r].data<double>()[i];
                return sum;
            };
            size_t next = value.size();
            for (size_t k = 0; k < wrt.size(); ++k) {
                const Tensor* gradient = joint.reached[k] ? &found.at(next++) : nullptr;
                Tensor& x = inputs[wrt[k]];
                for (int64_t i = 0; i < x.numel(); ++i) {
                    double& element = x.data<double>()[i];
                    const double before = element, h = 1e-6;
                    element = before + h;
                    const double above = weighted();
                    element = before - h;
                    const double below = weighted();
                    element = before;
                    const double expected = (above - below) / (2 * h);
                    const double got = gradient ? gradient->data<double>()[i] : 0;
                    EXPECT_NEAR(got, expected, 2e-7 * std::max(1.0, std::fabs(expected)))
                        << sample.name << ", operand " << wrt[k] << ", element " << i;
                }
            }
            ++tried;
        }
        EXPECT_GT(tried, 0u) << row(op).name << " has a gradient that nothing tries";
    }
}

class OpsOf : public ::testing::TestWithParam<DType> {};

TEST_P(OpsOf, EnginesAgreeBitForBit) {
    Context context;
    Computer computer(2);
    const bool jit = TENON_LLVM;
    const bool common = GetParam() == DType::f32 || GetParam() == DType::f64 || GetParam() == DType::i64;
    for (Op op : computing_rows()) {
        std::vector<RowSample> samples = samples_of(context, op, GetParam());
        if (!common && samples.size() > 3) samples.resize(row(op).name == "cast" ? size_t(dtype_count) : 3);
        for (const RowSample& sample : samples) {
            const GraphRef graph = sample.graph(context);
            const std::vector<Tensor> inputs = sample.values(computer.allocator(), Draw::hostile, 3);
            const std::vector<Tensor> expected = computer.run(graph, inputs, EngineKind::interp);
            expect_same(expected, computer.run(graph, inputs, EngineKind::eager), sample.name + ", interp and eager");
            if (jit)
                expect_same(expected, computer.run(graph, inputs, EngineKind::jit), sample.name + ", interp and jit");
        }
    }
    if (!jit) GTEST_SKIP() << "skipped: the jit against the interpreter, since this build is without LLVM";
}

TEST_P(OpsOf, StridedOperandsGiveTheSameBits) {
    Context context;
    Computer computer(1);
    for (Op op : computing_rows()) {
        for (const RowSample& sample : samples_of(context, op, GetParam())) {
            const GraphRef graph = sample.graph(context);
            const std::vector<Tensor> inputs = sample.values(computer.allocator(), Draw::hostile, 4);
            // The same elements in memory with the dimensions in the opposite order, and one element in two.
            std::vector<Tensor> strided;
            for (const Tensor& t : inputs) {
                Dims backwards(t.shape.begin(), t.shape.end()), order;
                std::reverse(backwards.begin(), backwards.end());
                for (size_t d = t.rank(); d-- > 0;) order.push_back(int64_t(d));
                Dims doubled = backwards;
                doubled.push_back(2);
                Tensor memory =
                    Tensor::zeros(computer.allocator(), t.dtype, doubled).select(int64_t(t.rank()), 1).permute(order);
                const Tensor source = t;
                std::vector<int64_t> at(t.rank(), 0);
                for (int64_t i = 0; i < t.numel(); ++i) {
                    int64_t rest = i;
                    for (size_t d = t.rank(); d-- > 0; rest /= t.shape[d]) at[d] = rest % t.shape[d];
                    int64_t from = source.offset, to = memory.offset;
                    for (size_t d = 0; d < t.rank(); ++d) {
                        from += at[d] * source.strides[d];
                        to += at[d] * memory.strides[d];
                    }
                    const size_t width = size_of(t.dtype);
                    std::memcpy(memory.storage->data + size_t(to) * width, source.storage->data + size_t(from) * width,
                                width);
                }
                strided.push_back(memory);
            }
            expect_same(computer.run(graph, inputs, EngineKind::interp),
                        computer.run(graph, strided, EngineKind::interp), sample.name);
        }
    }
}

INSTANTIATE_TEST_SUITE_P(DTypes, OpsOf, ::testing::ValuesIn(all_dtypes),
                         [](const auto& info) { return std::string(name_of(info.param)); });

// A movement row in front of each op, where it is folded into the op's loads.
TEST(Ops, PermutedOperandsGiveTheSameBits) {
    Context context;
    Computer computer(2);
    for (Op op : computing_rows()) {
        if (row(op).name == "update") continue;  // its view is a chain of movement rows already
        for (const RowSample& sample : samples_of(context, op, DType::f32)) {
            Builder builder(context);
            std::vector<NodeId> operands;
            std::vector<Tensor> inputs = sample.values(computer.allocator(), Draw::hostile, 5), moved;
            for (size_t k = 0; k < sample.operands.size(); ++k) {
                std::vector<SizeId> sizes;
                AttrList axes;
                Dims order;
                for (size_t d = inputs[k].rank(); d-- > 0;) {
                    sizes.push_back(context.constant(inputs[k].shape[d]));
                    axes.push_back(int64_t(d));
                    order.push_back(int64_t(d));
                }
                const NodeId x = builder.parameter(context.tensor(inputs[k].dtype, sizes));
                operands.push_back(
                    builder.emit(require_op("permute"), {x}, context.attr({{context.name("axes"), axes}})));
                moved.push_back(inputs[k].permute(order).contiguous());
            }
            const GraphRef permuted = builder.finish(builder.results_of(builder.emit(op, operands, sample.attr)));
            const std::vector<Tensor> expected = computer.run(sample.graph(context), inputs, EngineKind::interp);
            expect_same(expected, computer.run(permuted, moved, EngineKind::interp),
                        sample.name + ", permuted, interp");
            if (TENON_LLVM)
                expect_same(expected, computer.run(permuted, moved, EngineKind::jit), sample.name + ", permuted, jit");
        }
    }
}

TEST(Ops, ThreadsGiveTheSameBits) {
    Context context;
    Computer one(1), two(2), four(4);
    for (DType dtype : {DType::f32, DType::i64}) {
        for (Op op : computing_rows()) {
            for (const RowSample& sample : large_samples_of(context, op, dtype)) {
                const GraphRef graph = sample.graph(context);
                const std::vector<Tensor> inputs = sample.values(one.allocator(), Draw::smooth, 6);
                const std::vector<Tensor> expected = one.run(graph, inputs, EngineKind::interp);
                expect_same(expected, two.run(graph, inputs, EngineKind::interp), sample.name + ", 2 threads");
                expect_same(expected, four.run(graph, inputs, EngineKind::interp), sample.name + ", 4 threads");
                if (TENON_LLVM)
                    expect_same(expected, four.run(graph, inputs, EngineKind::jit), sample.name + ", 4 threads, jit");
            }
        }
    }
}

}  // namespace
}  // namespace tenon
