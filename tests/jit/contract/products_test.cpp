// The engine of products against chains of std::fma and against float64.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <optional>
#include <random>

#include "jit/contract/strided_target.h"
#include "jit/library/library.h"

namespace tenon {
namespace {

class ProductsTest : public testing::Test {
protected:
    Tensor random(const Dims& shape, DType dtype) {
        std::uniform_real_distribution<double> uniform(-2, 2);
        Tensor t = Tensor::empty(allocator_, DType::f64, shape);
        for (int64_t k = 0; k < t.numel(); ++k) t.data<double>()[k] = uniform(generator_) * (is_float(dtype) ? 1 : 20);
        return t.cast(dtype);
    }

    Allocator allocator_;
    std::mt19937 generator_{1};
};

TEST_F(ProductsTest, MatrixProducts) {
    ThreadPool one(1), two(2), four(4);
    WorkspacePool workspaces;
    struct Case {
        int64_t m, k, n;
    };
    for (const Case& c : {Case{1, 1, 1},
                          {3, 5, 7},
                          {6, 16, 16},
                          {7, 9, 33},
                          {64, 64, 10},
                          {32, 16, 16},
                          {1, 300, 100},
                          {100, 3, 1},
                          {65, 784, 129},
                          {300, 200, 250},
                          {2, 40, 200},
                          {1, 64, 129},
                          {270, 260, 250},
                          {5, 0, 4}})
        for (DType dtype : {DType::f32, DType::f64, DType::f16, DType::bf16, DType::i64, DType::i32, DType::u8})
            for (int transposes = 0; transposes < 4; ++transposes) {
                const MatrixShape shape{c.m, c.k, c.n, (transposes & 1) != 0, (transposes & 2) != 0};
                const Tensor a = random({c.m, c.k}, dtype), b = random({c.k, c.n}, dtype);
                const Tensor left = shape.transpose_a ? a.transpose(0, 1).clone() : a,
                             right = shape.transpose_b ? b.transpose(0, 1).clone() : b;
                const Tensor out = Tensor::empty(allocator_, dtype, {c.m, c.n});
                multiply_matrices(dtype, shape, left.bytes(), right.bytes(), out.bytes(),
                                  {best_instruction_set(), one, workspaces});
                const Tensor x = a.cast(DType::f64), y = b.cast(DType::f64);
                const double tolerance = dtype == DType::f64   ? 1e-12
                                         : dtype == DType::f32 ? 2e-4
                                         : dtype == DType::f16 ? 0.03
                                                               : 0.3;
                for (int64_t i = 0; i < c.m; i += 1 + c.m / 9)
                    for (int64_t j = 0; j < c.n; j += 1 + c.n / 9) {
                        double sum = 0;
                        for (int64_t p = 0; p < c.k; ++p)
                            sum += x.data<double>()[i * c.k + p] * y.data<double>()[p * c.n + j];
                        if (dtype == DType::u8) sum = double(uint8_t(int64_t(sum)));
                        const double found = std::visit([](auto v) { return double(v); }, out.read_scalar(i, j));
                        if (is_float(dtype))
                            ASSERT_NEAR(found, sum, tolerance * (1 + std::abs(sum)))
                                << c.m << " " << c.k << " " << c.n << " " << name_of(dtype);
                        else ASSERT_EQ(found, sum) << c.m << " " << c.k << " " << c.n << " " << name_of(dtype);
                    }
                for (ThreadPool* pool : {&two, &four}) {
                    const Tensor again = Tensor::empty(allocator_, dtype, {c.m, c.n});
                    multiply_matrices(dtype, shape, left.bytes(), right.bytes(), again.bytes(),
                                      {best_instruction_set(), *pool, workspaces});
                    ASSERT_EQ(std::memcmp(out.bytes(), again.bytes(), out.element_bytes()), 0);
                }
            }
}

// What this processor can run.
std::vector<InstructionSet> both_instruction_sets() {
    if (best_instruction_set() == InstructionSet::avx2) return {InstructionSet::avx2};
    return {InstructionSet::avx2, InstructionSet::avx512};
}

// The one chain of an element, in what it is computed in.
template <class E>
E chain_of(const E* a, int64_t a_step, const E* b, int64_t b_step, int64_t k) {
    if constexpr (std::is_integral_v<E>) {
        uint64_t sum = 0;
        for (int64_t p = 0; p < k; ++p) sum += uint64_t(a[p * a_step]) * uint64_t(b[p * b_step]);
        return E(sum);
    } else {
        using T = std::conditional_t<sizeof(E) == 8, double, float>;
        T sum = 0;
        for (int64_t p = 0; p < k; ++p) sum = std::fma(T(a[p * a_step]), T(b[p * b_step]), sum);
        return E(sum);
    }
}

// Bits depend on nothing but the elements, however a product is cut into blocks, tiles and panels, and on whatever instructions.
TEST_F(ProductsTest, MatrixProductsAreOneChainOfFma) {
    ThreadPool one(1), two(2), four(4);
    WorkspacePool workspaces;
    constexpr int64_t shapes[][3] = {{97, 1030, 160}, {33, 490, 1030}, {200, 32, 32},  {32, 33, 300}, {64, 513, 129},
                                     {31, 600, 64},   {130, 200, 600}, {40, 64, 17},   {1, 530, 203}, {2, 77, 301},
                                     {3, 130, 400},   {7, 1030, 70},   {411, 65, 1},   {300, 66, 3},  {13, 1, 33},
                                     {12, 5, 32},     {6, 5, 16},      {290, 300, 270}};
    for (DType dtype :
         {DType::f32, DType::f64, DType::f16, DType::bf16, DType::i64, DType::i32, DType::i16, DType::i8, DType::u8})
        visit_dtype(dtype, [&]<class T>() {
            for (const auto& [m, k, n] : shapes)
                for (int transposes = 0; transposes < 4; ++transposes) {
                    const MatrixShape shape{m, k, n, (transposes & 1) != 0, (transposes & 2) != 0};
                    const Tensor a = random({m, k}, dtype), b = random({k, n}, dtype);
                    const Tensor left = shape.transpose_a ? a.transpose(0, 1).clone() : a,
                                 right = shape.transpose_b ? b.transpose(0, 1).clone() : b;
                    std::optional<Tensor> first;
                    for (InstructionSet instructions : both_instruction_sets())
                        for (ThreadPool* pool : {&one, &two, &four}) {
                            const Tensor c = Tensor::empty(allocator_, dtype, {m, n});
                            multiply_matrices(dtype, shape, left.bytes(), right.bytes(), c.bytes(),
                                              {instructions, *pool, workspaces});
                            if (!first) first = c;
                            ASSERT_EQ(std::memcmp(c.bytes(), first->bytes(), c.element_bytes()), 0)
                                << m << " " << k << " " << n << " " << transposes << " " << name_of(dtype);
                        }
                    for (int64_t i = 0; i < m; i += i + 2 < m ? 1 + m / 40 : 1)
                        for (int64_t j = 0; j < n; j += j + 2 < n ? 1 + n / 40 : 1) {
                            const T expected = chain_of(a.data<T>() + i * k, 1, b.data<T>() + j, n, k);
                            ASSERT_EQ(std::memcmp(first->data<T>() + i * n + j, &expected, sizeof(T)), 0)
                                << m << " " << k << " " << n << " " << transposes << " " << name_of(dtype) << " at "
                                << i << " " << j;
                        }
                }
        });
}

// The engine itself: operands and results with any strides, batches that share an operand, more columns than a block has.
TEST_F(ProductsTest, ProductsOfStridedOperands) {
    using namespace contract;
    ThreadPool one(1), three(3);
    WorkspacePool workspaces;
    const auto check = [&]<class E, class T>(E, T, DType dtype) {
        struct Case {
            int64_t count, m, k, n;
        };
        for (const Case& s : {Case{3, 5, 40, 70}, {2, 70, 33, 45}, {1, 30, 6, 2500}, {4, 1, 70, 37}, {6, 17, 0, 5}}) {
            // a: [m, count, k + 3], or its elements two apart; b: one for all; c: [m, count, n + 5], or as columns.
            const Tensor a = random({s.m, s.count, 2 * s.k + 3}, dtype), b = random({s.k + 1, s.n + 4}, dtype);
            for (int64_t step : {1, 2})
                for (bool transposed : {false, true})
                    for (InstructionSet instructions : both_instruction_sets())
                        for (ThreadPool* pool : {&one, &three}) {
                            const int64_t line = s.count * (2 * s.k + 3), width = s.n + 5;
                            const StridedSource<E, T> left({a.data<E>(), line, step}, {s.count}, {2 * s.k + 3});
                            const StridedSource<E, T> right({b.data<E>(), 1, s.n + 4}, {s.count}, {0});
                            Tensor c = random({s.m * s.count * width}, dtype);
                            const Tensor before = c.clone();
                            const int64_t row = transposed ? 1 : s.count * width,
                                          column = transposed ? s.count * s.m : 1, matrix = transposed ? s.m : width;
                            const StridedTarget<E, T> target(c.data<E>(), matrix, row, column, instructions);
                            multiply<T>({s.count, s.m, s.k, s.n, left, right, target},
                                        {instructions, *pool, workspaces});
                            std::vector<bool> written(size_t(c.numel()));
                            for (int64_t q = 0; q < s.count; ++q)
                                for (int64_t i = 0; i < s.m; ++i)
                                    for (int64_t j = 0; j < s.n; ++j) {
                                        const int64_t at = q * matrix + i * row + j * column;
                                        written[size_t(at)] = true;
                                        const E expected = chain_of(a.data<E>() + i * line + q * (2 * s.k + 3), step,
                                                                    b.data<E>() + j, s.n + 4, s.k);
                                        ASSERT_EQ(std::memcmp(c.data<E>() + at, &expected, sizeof(E)), 0)
                                            << s.m << " " << s.k << " " << s.n << " " << name_of(dtype) << " at " << q
                                            << " " << i << " " << j;
                                    }
                            for (int64_t at = 0; at < c.numel(); ++at)
                                if (!written[size_t(at)]) {
                                    ASSERT_EQ(std::memcmp(c.data<E>() + at, before.data<E>() + at, sizeof(E)), 0);
                                }
                        }
        }
    };
    check(float(), float(), DType::f32);
    check(double(), double(), DType::f64);
    check(Half(), float(), DType::f16);
    check(BFloat16(), float(), DType::bf16);
    check(int32_t(), uint32_t(), DType::i32);
    check(uint8_t(), uint32_t(), DType::u8);
}

// Panels of b that were packed before are read as any others are.
TEST_F(ProductsTest, ProductsOfPackedPanels) {
    using namespace contract;
    ThreadPool one(1), two(2), three(3);
    WorkspacePool workspaces;
    constexpr int64_t shapes[][3] = {{1, 70, 300}, {1, 1030, 33}, {2, 530, 129}, {3, 40, 200},   {4, 256, 1024},
                                     {5, 9, 17},   {12, 600, 64}, {13, 33, 97},  {70, 520, 300}, {130, 64, 4200}};
    const auto check = [&]<class E, class T>(E, T, DType dtype) {
        for (const auto& [m, k, n] : shapes)
            for (InstructionSet instructions : both_instruction_sets()) {
                const Tensor a = random({m, k}, dtype), b = random({n, k}, dtype);
                const int64_t width = panel_width<T>(instructions);
                std::vector<T> panels(size_t((n + width - 1) / width * width * k));
                StridedSource<E, T> right({b.data<E>(), k, 1}, {}, {});
                right.pack({0, 0, n, 0, k}, width, panels.data());
                right.is_packed(panels.data(), width);
                const StridedSource<E, T> left({a.data<E>(), k, 1}, {}, {});
                for (ThreadPool* pool : {&one, &two, &three}) {
                    const Tensor c = Tensor::empty(allocator_, dtype, {m, n});
                    const StridedTarget<E, T> target(c.data<E>(), m * n, n, 1, instructions);
                    multiply<T>({1, m, k, n, left, right, target}, {instructions, *pool, workspaces});
                    for (int64_t i = 0; i < m; ++i)
                        for (int64_t j = 0; j < n; j += j + 2 < n ? 1 + n / 40 : 1) {
                            const E expected = chain_of(a.data<E>() + i * k, 1, b.data<E>() + j * k, 1, k);
                            ASSERT_EQ(std::memcmp(c.data<E>() + i * n + j, &expected, sizeof(E)), 0)
                                << m << " " << k << " " << n << " " << name_of(dtype) << " at " << i << " " << j;
                        }
                }
            }
    };
    check(float(), float(), DType::f32);
    check(double(), double(), DType::f64);
    check(Half(), float(), DType::f16);
    check(BFloat16(), float(), DType::bf16);
    check(int32_t(), uint32_t(), DType::i32);
    check(int64_t(), uint64_t(), DType::i64);
}

}  // namespace
}  // namespace tenon
