// Library rows against plain C++.
#include "jit/library/library.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>

#include "ir/text/text.h"
#include "jit/executable.h"
#include "runtime/diagnostic.h"

namespace tenon {
namespace {

class LibraryTest : public testing::Test {
protected:
    template <class T>
    Tensor tensor(const Dims& shape, std::vector<T> values) {
        return Tensor::from<T>(allocator_, std::span<const T>(values), shape);
    }
    Tensor random(const Dims& shape, DType dtype = DType::f32) {
        std::uniform_real_distribution<double> uniform(-2, 2);
        Tensor t = Tensor::empty(allocator_, DType::f64, shape);
        for (int64_t k = 0; k < t.numel(); ++k) t.data<double>()[k] = uniform(generator_) * (is_float(dtype) ? 1 : 20);
        return t.cast(dtype);
    }
    std::vector<Tensor> run(std::string_view text, std::vector<Tensor> inputs, int threads = 1) {
        ThreadPool pool(threads);
        Machine machine(allocator_, pool);
        Executable executable(parse_graph(context_, text), machine, EngineKind::interp);
        std::vector<Tensor> outputs;
        executable.run(inputs, outputs);
        return outputs;
    }
    template <class T>
    static std::vector<T> values(const Tensor& t) {
        return {t.data<T>(), t.data<T>() + t.numel()};
    }

    Context context_;
    Allocator allocator_;
    std::mt19937 generator_{1};
};

TEST_F(LibraryTest, BatchesBroadcast) {
    const Tensor a = random({2, 1, 3, 4}), b = random({5, 4, 6});
    const Tensor out =
        run("graph f(a: f32[2, 1, 3, 4], b: f32[5, 4, 6]) -> f32[2, 5, 3, 6] {\n m = matmul(a, b) : f32[2, 5, 3, 6]\n "
            "return m\n}",
            {a, b})[0];
    for (int64_t s = 0; s < 2; ++s)
        for (int64_t t = 0; t < 5; ++t)
            for (int64_t i = 0; i < 3; ++i)
                for (int64_t j = 0; j < 6; ++j) {
                    float sum = 0;
                    for (int64_t p = 0; p < 4; ++p)
                        sum = std::fma(a.data<float>()[(s * 3 + i) * 4 + p], b.data<float>()[(t * 4 + p) * 6 + j], sum);
                    ASSERT_EQ(out.data<float>()[((s * 5 + t) * 3 + i) * 6 + j], sum);
                }
    // One matrix on the right for all.
    const Tensor c = random({7, 3, 4}), d = random({4, 2});
    const Tensor all =
        run("graph f(a: f32[7, 3, 4], b: f32[4, 2]) -> f32[7, 3, 2] {\n m = matmul(a, b) : f32[7, 3, 2]\n return m\n}",
            {c, d})[0];
    const Tensor flat =
        run("graph f(a: f32[21, 4], b: f32[4, 2]) -> f32[21, 2] {\n m = matmul(a, b) : f32[21, 2]\n return m\n}",
            {c.view_as({21, 4}), d})[0];
    EXPECT_EQ(values<float>(all), values<float>(flat));
}

TEST_F(LibraryTest, IndexedReadsAndWrites) {
    const Tensor x = tensor<float>({2, 3}, {1, 2, 3, 4, 5, 6});
    const Tensor index = tensor<int64_t>({4}, {2, 0, -1, 2});
    EXPECT_EQ(values<float>(run(
                  "graph f(x: f32[2, 3], i: i64[4]) -> f32[2, 4] {\n t = take(x, i, axis: 1) : f32[2, 4]\n return t\n}",
                  {x, index})[0]),
              (std::vector<float>{3, 1, 3, 3, 6, 4, 6, 6}));
    const Tensor ones = tensor<float>({2, 4}, {1, 10, 100, 1000, 1, 10, 100, 1000});
    EXPECT_EQ(values<float>(run("graph f(x: f32[2, 3], i: i64[4], v: f32[2, 4]) -> f32[2, 3] {\n t = take_add(x, i, v, "
                                "axis: 1) : f32[2, 3]\n return t\n}",
                                {x, index, ones})[0]),
              (std::vector<float>{11, 2, 1104, 14, 5, 1107}));
    const Tensor rows = tensor<int32_t>({1, 3}, {1, 0, 1});
    EXPECT_EQ(
        values<float>(run(
            "graph f(x: f32[2, 3], i: i32[1, 3]) -> f32[1, 3] {\n t = gather(x, i, axis: 0) : f32[1, 3]\n return t\n}",
            {x, rows})[0]),
        (std::vector<float>{4, 2, 6}));
    const Tensor source = tensor<float>({1, 3}, {10, 20, 30});
    EXPECT_EQ(values<float>(run("graph f(x: f32[2, 3], i: i32[1, 3], s: f32[1, 3]) -> f32[2, 3] {\n t = scatter_add(x, "
                                "i, s, axis: 0) : f32[2, 3]\n return t\n}",
                                {x, rows, source})[0]),
              (std::vector<float>{1, 22, 3, 14, 5, 36}));
    try {
        run("graph f(x: f32[2, 3], i: i64[4]) -> f32[2, 4] {\n t = take(x, i, axis: 1) : f32[2, 4]\n return t\n}",
            {x, tensor<int64_t>({4}, {0, 3, 0, 0})});
        FAIL();
    } catch (const Error& error) {
        EXPECT_EQ(error.diagnostic.kind, "index");
        EXPECT_EQ(error.diagnostic.message, "position 3 is out of range: dimension 1 has size 3");
    }
}

// Each of several results may be a result of the graph, read later, written to an input, or nothing: then it has no memory.
TEST_F(LibraryTest, SeveralResultsEachHaveTheirUse) {
    const Tensor x = tensor<float>({4}, {3, 1, 2, 1}), y = tensor<float>({4}, {0, 0, 0, 0});
    const std::string sorted = "graph f(x: f32[4], y: f32[4]) -> ", body = R"( {
    sort = sort(x, axis: 0)       : (f32[4], i64[4])
    get = get(sort, index: 0)     : f32[4]
    get_1 = get(sort, index: 1)   : i64[4]
)";
    const std::vector<Tensor> both = run(sorted + "f32[4], i64[4]" + body + "    return get, get_1\n}", {x, y});
    EXPECT_EQ(values<float>(both[0]), (std::vector<float>{1, 1, 2, 3}));
    EXPECT_EQ(values<int64_t>(both[1]), (std::vector<int64_t>{1, 3, 2, 0}));
    EXPECT_EQ(values<int64_t>(run(sorted + "i64[4]" + body + "    return get_1\n}", {x, y})[0]),
              (std::vector<int64_t>{1, 3, 2, 0}));
    EXPECT_EQ(values<float>(
                  run(sorted + "f32[4]" + body +
                          "    commit(y, get)\n    gather = gather(x, get_1, axis: 0) : f32[4]\n    return gather\n}",
                      {x, y})[0]),
              (std::vector<float>{1, 1, 2, 3}));
    EXPECT_EQ(values<float>(y), (std::vector<float>{1, 1, 2, 3}));

    ThreadPool pool(1);
    Machine machine(allocator_, pool);
    Executable executable(parse_graph(context_, sorted + "f32[4]" + body + "    return get\n}"), machine,
                          EngineKind::interp);
    std::vector<Tensor> outputs;
    executable.run(std::vector<Tensor>{x, y}, outputs);
    EXPECT_EQ(values<float>(outputs[0]), (std::vector<float>{1, 1, 2, 3}));
    EXPECT_EQ(executable.arena_bytes(), 0u);
}

TEST_F(LibraryTest, PositionsAndScans) {
    const float nan = std::numeric_limits<float>::quiet_NaN();
    const Tensor x = tensor<float>({2, 4}, {3, 1, 3, 2, 0, nan, 5, nan});
    EXPECT_EQ(values<int64_t>(run("graph f(x: f32[2, 4]) -> i64[2, 4] {\n t = argsort(x, axis: 1, descending: false) : "
                                  "i64[2, 4]\n return t\n}",
                                  {x})[0]),
              (std::vector<int64_t>{1, 3, 0, 2, 0, 2, 1, 3}));
    EXPECT_EQ(values<int64_t>(run("graph f(x: f32[2, 4]) -> i64[2, 4] {\n t = argsort(x, axis: -1, descending: true) : "
                                  "i64[2, 4]\n return t\n}",
                                  {x})[0]),
              (std::vector<int64_t>{0, 2, 3, 1, 1, 3, 2, 0}));
    EXPECT_EQ(values<int64_t>(run("graph f(x: f32[2, 4]) -> i64[2, 3] {\n t = argsort(x, axis: 1, descending: true, "
                                  "count: 3) : i64[2, 3]\n return t\n}",
                                  {x})[0]),
              (std::vector<int64_t>{0, 2, 3, 1, 3, 2}));
    EXPECT_EQ(values<int64_t>(run(
                  "graph f(x: f32[2, 4]) -> i64[2] {\n t = argmax(x, axis: 1, keepdim: false) : i64[2]\n return t\n}",
                  {x})[0]),
              (std::vector<int64_t>{0, 1}));
    EXPECT_EQ(values<int64_t>(run(
                  "graph f(x: f32[2, 4]) -> i64[4] {\n t = argmin(x, axis: 0, keepdim: false) : i64[4]\n return t\n}",
                  {x})[0]),
              (std::vector<int64_t>{1, 1, 0, 1}));
    const Tensor y = random({3, 2500});
    const Tensor sums =
        run("graph f(x: f32[3, 2500]) -> f32[3, 2500] {\n t = cumsum(x, axis: 1) : f32[3, 2500]\n return t\n}", {y})[0];
    for (int64_t i = 0; i < 3; ++i) {
        double sum = 0;
        for (int64_t j = 0; j < 2500; ++j) {
            sum += y.data<float>()[i * 2500 + j];
            ASSERT_NEAR(sums.data<float>()[i * 2500 + j], sum, 1e-3);
        }
    }
    EXPECT_EQ(
        values<int64_t>(run("graph f(x: i64[2, 2]) -> i64[2, 2] {\n t = cumsum(x, axis: 0) : i64[2, 2]\n return t\n}",
                            {tensor<int64_t>({2, 2}, {1, 2, 3, 4})})[0]),
        (std::vector<int64_t>{1, 2, 4, 6}));
}

TEST_F(LibraryTest, NormalNumbers) {
    const Tensor key = tensor<int64_t>({}, {42}), offset = tensor<int64_t>({}, {7});
    for (const char* dtype : {"f32", "f64", "f16", "bf16"}) {
        const auto graph = [&](int64_t n) {
            const std::string type = std::string(dtype) + "[" + std::to_string(n) + "]";
            return "graph f(k: i64[], o: i64[]) -> " + type + " {\n r = random_normal(k, o, sizes: [" +
                   std::to_string(n) + "], dtype: " + dtype + ") : " + type + "\n return r\n}";
        };
        const Tensor whole = run(graph(50001), {key, offset})[0], threaded = run(graph(50001), {key, offset}, 4)[0];
        ASSERT_EQ(std::memcmp(whole.bytes(), threaded.bytes(), whole.element_bytes()), 0);
        // An element depends on its index alone.
        const Tensor part = run(graph(1027), {key, offset})[0];
        ASSERT_EQ(std::memcmp(whole.bytes(), part.bytes(), part.element_bytes()), 0);
        double sum = 0, squares = 0;
        const Tensor wide = whole.cast(DType::f64);
        for (double x : values<double>(wide)) {
            sum += x;
            squares += x * x;
        }
        EXPECT_NEAR(sum / 50001, 0, 0.02);
        EXPECT_NEAR(squares / 50001, 1, 0.03);
    }
}

}  // namespace
}  // namespace tenon
