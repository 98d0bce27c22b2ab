// Hand-written loop graphs on the block interpreter against plain C++.
#include "jit/executable.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <numeric>
#include <random>
#include <thread>

#include "ir/pipeline/pipeline.h"
#include "ir/text/text.h"
#include "runtime/diagnostic.h"
#include "runtime/interrupt.h"

namespace tenon {
namespace {

class ExecutableTest : public testing::Test {
protected:
    GraphRef parse(std::string_view text, std::span<const Tensor> captured = {}) {
        return parse_graph(context_, text, 0, captured);
    }

    template <class T>
    Tensor tensor(const Dims& shape, std::vector<T> values) {
        return Tensor::from<T>(allocator_, std::span<const T>(values), shape);
    }
    Tensor random(const Dims& shape, float scale = 1) {
        std::normal_distribution<float> normal;
        std::vector<float> values(size_t(checked_numel(shape)));
        for (float& v : values) v = normal(generator_) * scale;
        return tensor<float>(shape, values);
    }
    std::vector<Tensor> run(const GraphRef& graph, std::vector<Tensor> inputs, int threads = 1,
                            EngineKind engine = EngineKind::interp) {
        ThreadPool pool(threads);
        Machine machine(allocator_, pool);
        Executable executable(graph, machine, engine);
        std::vector<Tensor> outputs;
        executable.run(inputs, outputs);
        return outputs;
    }
    template <class T>
    static std::vector<T> values(const Tensor& t) {
        const Tensor dense = t.contiguous();
        return {dense.data<T>(), dense.data<T>() + dense.numel()};
    }
    static bool same_bits(const Tensor& a, const Tensor& b) {
        return a.shape == b.shape && std::memcmp(a.bytes(), b.bytes(), a.element_bytes()) == 0;
    }

    Context context_;
    Allocator allocator_;
    std::mt19937 generator_{1};
};

// The numeric contract, written as it reads.
float fold_lanes(std::vector<float> x) {
    if (x.empty()) return 0.0f;
    std::vector<float> results;
    for (size_t start = 0; start < x.size(); start += 1024) {
        float lane[32];
        std::fill(lane, lane + 32, -0.0f);
        for (size_t k = start; k < std::min(x.size(), start + 1024); ++k) lane[(k - start) % 32] += x[k];
        for (int w = 16; w; w /= 2)
            for (int i = 0; i < w; ++i) lane[i] += lane[i + w];
        results.push_back(lane[0]);
    }
    return results.size() == 1 ? results[0] : fold_lanes(results);
}
float fold_rows(std::vector<float> x) {
    if (x.empty()) return 0.0f;
    std::vector<float> results;
    for (size_t start = 0; start < x.size(); start += 64) {
        float sum = -0.0f;
        for (size_t k = start; k < std::min(x.size(), start + 64); ++k) sum += x[k];
        results.push_back(sum);
    }
    return results.size() == 1 ? results[0] : fold_rows(results);
}

constexpr std::string_view elementwise = R"(
graph f(x: f32[n], y: f32[]) -> f32[n] {
    k = kernel(x, y, name: "k") : f32[n] (a: buffer f32, b: buffer f32, out: buffer f32) {
        zero = extent(value: 0) : index
        end = extent(value: n) : index
        scale = load(b, zero) : f32
        twice = mul(scale, 2) : f32
        for(zero, end, kind: "parallel", step: 4096) (i: index) {
            step = extent(value: 4096) : index
            last = add(i, step) : index
            stop = minimum(last, end) : index
            for(i, stop, kind: "vector", step: 1) (j: index) {
                v = load(a, j) : f32
                p = mul(v, twice) : f32
                q = sub(p, v) : f32
                r = maximum(q, 0) : f32
                store(out, j, r)
                yield
            }
            yield
        }
        yield
    }
    return k
})";

TEST_F(ExecutableTest, Elementwise) {
    const GraphRef graph = parse(elementwise);
    for (int64_t n : {0, 1, 7, 1023, 1024, 1025, 4096, 10000, 100001}) {
        const Tensor x = random({n});
        const std::vector<Tensor> one = run(graph, {x, tensor<float>({}, {1.5f})});
        ASSERT_EQ(one[0].shape, Dims({n}));
        for (int64_t k = 0; k < n; ++k) {
            const float v = x.data<float>()[k], expected = std::max(v * 3.0f - v, 0.0f);
            ASSERT_EQ(one[0].data<float>()[k], expected) << n << " " << k;
        }
        for (int threads : {2, 4})
            EXPECT_TRUE(same_bits(one[0], run(graph, {x, tensor<float>({}, {1.5f})}, threads)[0]));
    }
}

TEST_F(ExecutableTest, StridedInputsAreCopied) {
    const GraphRef graph = parse(elementwise);
    const Tensor x = random({100, 2});
    const Tensor column = x.select(1, 1);
    const Tensor out = run(graph, {column, tensor<float>({}, {1.0f})})[0];
    for (int64_t k = 0; k < 100; ++k) EXPECT_EQ(out.data<float>()[k], std::max(x.data<float>()[2 * k + 1], 0.0f));
}

// Rows less their mean, and the column sums of exp.
constexpr std::string_view reductions = R"(
graph f(x: f32[m, n]) -> f32[m, n], f32[n] {
    k = kernel(x, name: "k") : (f32[m, n], f32[n]) (a: buffer f32, out: buffer f32, columns: buffer f32) {
        zero = extent(value: 0) : index
        rows = extent(value: m) : index
        width = extent(value: n) : index
        for(zero, rows, kind: "parallel", step: 1) (i: index) {
            start = mul(i, width) : index
            sum = fold(zero, width, op: "add", order: "lanes") : f32 (k: index) {
                p = add(start, k) : index
                v = load(a, p) : f32
                yield v
            }
            for(zero, width, kind: "vector", step: 1) (j: index) {
                p = add(start, j) : index
                v = load(a, p) : f32
                r = sub(v, sum) : f32
                store(out, p, r)
                yield
            }
            yield
        }
        for(zero, width, kind: "vector", step: 1) (j: index) {
            s = fold(zero, rows, op: "add", order: "rows") : f32 (r: index) {
                q = mul(r, width) : index
                p = add(q, j) : index
                v = load(a, p) : f32
                w = mul(v, v) : f32
                yield w
            }
            store(columns, j, s)
            yield
        }
        yield
    }
    first = get(k, index: 0) : f32[m, n]
    second = get(k, index: 1) : f32[n]
    return first, second
})";

TEST_F(ExecutableTest, FoldsKeepTheContractsOrder) {
    const GraphRef graph = parse(reductions);
    for (const auto& [m, n] :
         {std::pair<int64_t, int64_t>{1, 1}, {3, 10}, {65, 33}, {200, 1025}, {4200, 5}, {2, 5000}, {0, 4}, {4, 0}}) {
        const Tensor x = random({m, n}, 100);
        const std::vector<Tensor> out = run(graph, {x});
        const auto at = [&](int64_t i, int64_t j) { return x.data<float>()[i * n + j]; };
        for (int64_t i = 0; i < m; ++i) {
            std::vector<float> row;
            for (int64_t j = 0; j < n; ++j) row.push_back(at(i, j));
            const float sum = fold_lanes(row);
            for (int64_t j = 0; j < n; ++j) ASSERT_EQ(out[0].data<float>()[i * n + j], at(i, j) - sum) << m << "x" << n;
        }
        for (int64_t j = 0; j < n; ++j) {
            std::vector<float> column;
            for (int64_t i = 0; i < m; ++i) column.push_back(at(i, j) * at(i, j));
            ASSERT_EQ(out[1].data<float>()[j], fold_rows(column)) << m << "x" << n;
        }
        for (int threads : {2, 4}) {
            const std::vector<Tensor> again = run(graph, {x}, threads);
            EXPECT_TRUE(same_bits(out[0], again[0]) && same_bits(out[1], again[1]));
        }
    }
}

// w ← w − 0.5·g, counted, with what w was as a result.
constexpr std::string_view update = R"(
graph f(w: f32[n], g: f32[n]) -> f32[n] {
    k = kernel(w, g, name: "k") : f32[n] (a: buffer f32, b: buffer f32, out: buffer f32) {
        zero = extent(value: 0) : index
        end = extent(value: n) : index
        for(zero, end, kind: "vector", step: 1) (j: index) {
            v = load(a, j) : f32
            u = load(b, j) : f32
            p = mul(u, 0.5) : f32
            r = sub(v, p) : f32
            store(out, j, r)
            yield
        }
        yield
    }
    commit(w, k)
    return OLD
})";

TEST_F(ExecutableTest, CommitsHappenInPlace) {
    std::string text(update);
    text.replace(text.find("return OLD"), 10, "return g");
    const GraphRef graph = parse(text);
    ThreadPool pool(1);
    Machine machine(allocator_, pool);
    Executable executable(graph, machine, EngineKind::interp);
    const Tensor w = random({3000}), g = random({3000}), before = w.clone();
    std::vector<Tensor> outputs;
    executable.run(std::vector<Tensor>{w, g}, outputs);
    for (int64_t k = 0; k < 3000; ++k)
        ASSERT_EQ(w.data<float>()[k], before.data<float>()[k] - g.data<float>()[k] * 0.5f);
    EXPECT_EQ(w.storage->version, 1u);
    EXPECT_EQ(executable.arena_bytes(), 0u);
    EXPECT_TRUE(same_bits(outputs[0], g));
    EXPECT_NE(outputs[0].bytes(), g.bytes());
    EXPECT_EQ(executable.effects_done(), 1u);
    ASSERT_FALSE(executable.decisions().empty());
    EXPECT_EQ(executable.decisions()[0].what, DecisionKind::in_place);
    // A strided input is written where it lies.
    const Tensor wide = random({3000, 2}), narrow = wide.select(1, 0), old = wide.clone();
    executable.run(std::vector<Tensor>{narrow, g}, outputs);
    for (int64_t k = 0; k < 3000; ++k) {
        ASSERT_EQ(wide.data<float>()[2 * k], old.data<float>()[2 * k] - g.data<float>()[k] * 0.5f);
        ASSERT_EQ(wide.data<float>()[2 * k + 1], old.data<float>()[2 * k + 1]);
    }
}

TEST_F(ExecutableTest, UsesAfterACommitMeanTheOldValue) {
    std::string text(update);
    text.replace(text.find("return OLD"), 10, "return w");
    const Tensor w = random({100}), g = random({100}), before = w.clone();
    const std::vector<Tensor> out = run(parse(text), {w, g});
    EXPECT_TRUE(same_bits(out[0], before));
    EXPECT_FALSE(same_bits(w, before));
    // Two inputs swapped.
    const Tensor a = random({4}), b = random({4}), a_before = a.clone(), b_before = b.clone();
    run(parse("graph f(a: f32[4], b: f32[4]) -> none {\n commit(a, b)\n commit(b, a)\n return\n}"), {a, b});
    EXPECT_TRUE(same_bits(a, b_before) && same_bits(b, a_before));
}

TEST_F(ExecutableTest, AFailedAssertStopsWhatFollows) {
    const GraphRef graph = parse(R"(
graph f(a: f32[2], b: f32[2], c: f32[2], ok: bool[]) -> none {
    commit(a, c)
    assert(ok, message: "not today")
    commit(b, c)
    return
})");
    ThreadPool pool(1);
    Machine machine(allocator_, pool);
    Executable executable(graph, machine, EngineKind::interp);
    const Tensor a = random({2}), b = random({2}), c = random({2}), b_before = b.clone();
    std::vector<Tensor> outputs;
    try {
        executable.run(std::vector<Tensor>{a, b, c, Tensor::scalar(allocator_, DType::boolean, false)}, outputs);
        FAIL();
    } catch (const Error& error) {
        EXPECT_EQ(error.diagnostic.kind, "assertion");
        EXPECT_EQ(error.diagnostic.message, "not today");
    }
    EXPECT_EQ(executable.effects_done(), 1u);
    EXPECT_TRUE(same_bits(a, c) && same_bits(b, b_before));
    executable.run(std::vector<Tensor>{a, b, c, Tensor::scalar(allocator_, DType::boolean, true)}, outputs);
    EXPECT_TRUE(same_bits(b, c));
}

TEST_F(ExecutableTest, ResultsOwnTheirMemory) {
    const GraphRef graph = parse(
        "graph f(x: f32[2, 3]) -> f32[2, 3], f32[6], f32[] {\n r = reshape(x, sizes: [6]) : f32[6]\n return x, r, "
        "2.5:f32\n}");
    const Tensor x = random({2, 3});
    const std::vector<Tensor> out = run(graph, {x});
    EXPECT_TRUE(same_bits(out[0], x));
    EXPECT_EQ(out[1].shape, Dims({6}));
    EXPECT_EQ(values<float>(out[1]), values<float>(x));
    EXPECT_EQ(out[2].read_scalar(), Scalar(2.5));
    EXPECT_NE(out[0].storage, x.storage);
    EXPECT_NE(out[0].storage, out[1].storage);
}

TEST_F(ExecutableTest, DivisionByZeroIsAnError) {
    const GraphRef graph = parse(R"(
graph f(a: i32[4], b: i32[4]) -> i32[4] {
    k = kernel(a, b, name: "k") : i32[4] (p: buffer i32, q: buffer i32, out: buffer i32) {
        zero = extent(value: 0) : index
        end = extent(value: 4) : index
        for(zero, end, kind: "vector", step: 1) (j: index) {
            x = load(p, j) : i32
            y = load(q, j) : i32
            z = floor_divide(x, y) : i32
            store(out, j, z)
            yield
        }
        yield
    }
    return k
})");
    EXPECT_EQ(
        values<int32_t>(run(graph, {tensor<int32_t>({4}, {7, -7, 7, -7}), tensor<int32_t>({4}, {2, 2, -2, -2})})[0]),
        (std::vector<int32_t>{3, -4, -4, 3}));
    try {
        run(graph, {tensor<int32_t>({4}, {1, 1, 1, 1}), tensor<int32_t>({4}, {1, 0, 1, 1})});
        FAIL();
    } catch (const Error& error) { EXPECT_EQ(error.diagnostic.kind, "value"); }
}

// x[1:3] = x[1:3] · 2, and then its parts are read again.
TEST_F(ExecutableTest, UpdatesBeginAsACopy) {
    const auto text = [](std::string_view rest) {
        return std::string(R"(
graph f(x: f32[4]) -> f32[4], f32[4] {
    first = kernel(x, name: "a") : f32[4] (a: buffer f32, out: buffer f32) {
        zero = extent(value: 0) : index
        end = extent(value: 4) : index
        for(zero, end, kind: "vector", step: 1) (j: index) {
            v = load(a, j) : f32
            w = add(v, 1) : f32
            store(out, j, w)
            yield
        }
        yield
    }
    second = kernel(first, name: "b", updates: 0) : f32[4] (a: buffer f32, out: buffer f32) {
        one = extent(value: 1) : index
        end = extent(value: 3) : index
        for(one, end, kind: "vector", step: 1) (j: index) {
            v = load(out, j) : f32
            w = mul(v, 2) : f32
            z = sub(w, v) : f32
            y = add(z, w) : f32
            store(out, j, y)
            yield
        }
        yield
    }
)") + std::string(rest) +
               "\n}";
    };
    const Tensor x = tensor<float>({4}, {1, 2, 3, 4});
    const std::vector<Tensor> kept = run(parse(text("return first, second")), {x});
    EXPECT_EQ(values<float>(kept[0]), (std::vector<float>{2, 3, 4, 5}));
    EXPECT_EQ(values<float>(kept[1]), (std::vector<float>{2, 9, 12, 5}));
    const std::vector<Tensor> moved = run(parse(text("return x, second")), {x});
    EXPECT_EQ(values<float>(moved[0]), (std::vector<float>{1, 2, 3, 4}));
    EXPECT_EQ(values<float>(moved[1]), (std::vector<float>{2, 9, 12, 5}));
    const Tensor y = x.clone();
    run(parse(text("commit(x, second)\nreturn first, first")), {y});
    EXPECT_EQ(values<float>(y), (std::vector<float>{2, 9, 12, 5}));
}

// Transpose, broadcast, and a position that is not affine.
TEST_F(ExecutableTest, Positions) {
    const GraphRef graph = parse(R"(
graph f(x: f32[m, n], b: f32[n]) -> f32[n, m], f32[m, n], i64[m, n] {
    k = kernel(x, b, name: "k") : (f32[n, m], f32[m, n], i64[m, n]) (a: buffer f32, v: buffer f32, t: buffer f32, s: buffer f32, w: buffer i64) {
        zero = extent(value: 0) : index
        rows = extent(value: m) : index
        width = extent(value: n) : index
        all = mul(rows, width) : index
        for(zero, width, kind: "serial", step: 1) (i: index) {
            start = mul(i, rows) : index
            for(zero, rows, kind: "vector", step: 1) (j: index) {
                q = mul(j, width) : index
                p = add(q, i) : index
                r = add(start, j) : index
                x = load(a, p) : f32
                store(t, r, x)
                yield
            }
            yield
        }
        for(zero, all, kind: "vector", step: 1) (j: index) {
            column = remainder(j, width) : index
            row = floor_divide(j, width) : index
            x = load(a, j) : f32
            y = load(v, column) : f32
            z = add(x, y) : f32
            store(s, j, z)
            c = number(row) : i64
            h = number(column) : i64
            e = mul(c, 1000) : i64
            f = add(e, h) : i64
            store(w, j, f)
            yield
        }
        yield
    }
    one = get(k, index: 0) : f32[n, m]
    two = get(k, index: 1) : f32[m, n]
    three = get(k, index: 2) : i64[m, n]
    return one, two, three
})");
    for (const auto& [m, n] : {std::pair<int64_t, int64_t>{1, 1}, {5, 3}, {40, 70}, {3, 3000}}) {
        const Tensor x = random({m, n}), b = random({n});
        const std::vector<Tensor> out = run(graph, {x, b});
        EXPECT_EQ(values<float>(out[0]), values<float>(x.transpose(0, 1)));
        for (int64_t i = 0; i < m; ++i)
            for (int64_t j = 0; j < n; ++j) {
                ASSERT_EQ(out[1].data<float>()[i * n + j], x.data<float>()[i * n + j] + b.data<float>()[j]);
                ASSERT_EQ(out[2].data<int64_t>()[i * n + j], i * 1000 + j);
            }
    }
}

// Runs under an interrupt that comes later each time. `check` is told whether the run was through.
void run_interrupted(Executable& executable, const std::function<std::vector<Tensor>()>& make_inputs,
                     const std::function<void(const std::vector<Tensor>& inputs, bool is_through)>& check) {
    for (int wait = 0; wait < 60; ++wait) {
        const std::vector<Tensor> inputs = make_inputs();
        std::atomic<bool> begun{false};
        std::thread asks([&] {
            while (!begun) {}
            std::this_thread::sleep_for(std::chrono::microseconds(60 * wait));
            interrupt::request();
        });
        begun = true;
        bool is_through = true;
        std::vector<Tensor> outputs;
        try {
            executable.run(inputs, outputs);
        } catch (const Interrupted&) { is_through = false; }
        asks.join();
        interrupt::forget();
        check(inputs, is_through);
    }
}

// Whenever an interrupt comes, inputs are written all or not at all, also where their elements do not lie side by side.
TEST_F(ExecutableTest, AnInterruptLeavesNoInputHalfWritten) {
    const GraphRef graph =
        parse("graph f(a: f32[700, 500], b: f32[700, 500]) -> none {\n commit(a, b)\n commit(b, a)\n return\n}");
    ThreadPool pool(1);
    Machine machine(allocator_, pool);
    Executable executable(graph, machine, EngineKind::interp);
    const auto turned = [&](int64_t value) {
        return Tensor::full(allocator_, DType::f32, {500, 700}, Scalar(value)).transpose(0, 1);
    };
    run_interrupted(
        executable, [&] { return std::vector<Tensor>{turned(1), turned(2)}; },
        [&](const std::vector<Tensor>& inputs, bool is_written) {
            const std::vector<float> a = values<float>(inputs[0]), b = values<float>(inputs[1]);
            ASSERT_EQ(std::count(a.begin(), a.end(), is_written ? 2.0f : 1.0f), 700 * 500);
            ASSERT_EQ(std::count(b.begin(), b.end(), is_written ? 1.0f : 2.0f), 700 * 500);
        });
}

// The same where kernels write them, in place.
TEST_F(ExecutableTest, AnInterruptLeavesNoInputHalfUpdated) {
    const GraphRef graph = parse(R"(graph f(a: f32[300000], b: f32[300000]) -> none {
    c = add(a, 1.0)  : f32[300000]
    e = mul(b, 3.0)  : f32[300000]
    commit(a, c)
    commit(b, e)
    return
})");
    ThreadPool pool(2);
    Machine machine(allocator_, pool);
    Decisions decisions;
    Executable executable(run_pipeline(graph, PipelineOptions{}, decisions), machine, EngineKind::interp);
    const auto ones = [&] { return Tensor::full(allocator_, DType::f32, {300000}, Scalar(int64_t{1})); };
    run_interrupted(
        executable, [&] { return std::vector<Tensor>{ones(), ones()}; },
        [&](const std::vector<Tensor>& inputs, bool is_written) {
            const std::vector<float> a = values<float>(inputs[0]), b = values<float>(inputs[1]);
            ASSERT_EQ(std::count(a.begin(), a.end(), is_written ? 2.0f : 1.0f), 300000);
            ASSERT_EQ(std::count(b.begin(), b.end(), is_written ? 3.0f : 1.0f), 300000);
        });
    std::string in_place;
    for (const Decision& d : executable.decisions())
        if (d.what == DecisionKind::in_place) in_place += d.subject + ' ';
    EXPECT_EQ(in_place, "a b ");
}

}  // namespace
}  // namespace tenon
