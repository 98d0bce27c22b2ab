#include "runtime/format.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "runtime/tensor.h"

namespace tenon {
namespace {

// The expected texts are PyTorch's for the same data, with our names of dtypes and bools.
class FormatTest : public testing::Test {
protected:
    Tensor make(std::vector<double> values, const Dims& shape, DType dtype = DType::f32) {
        return Tensor::from(allocator, std::span<const double>(values), shape).cast(dtype);
    }
    Tensor iota(const Dims& shape, DType dtype) {
        std::vector<double> values(static_cast<size_t>(checked_numel(shape)));
        std::iota(values.begin(), values.end(), 0);
        return make(std::move(values), shape, dtype);
    }
    std::string text(std::vector<double> values, DType dtype = DType::f32) {
        auto size = static_cast<int64_t>(values.size());
        return to_string(make(std::move(values), {size}, dtype));
    }

    Allocator allocator;
    static constexpr double inf = std::numeric_limits<double>::infinity();
};

TEST_F(FormatTest, Floats) {
    EXPECT_EQ(text({1, 2}), "tensor([1., 2.])");
    EXPECT_EQ(text({0.5, 1.25, -3}), "tensor([ 0.5000,  1.2500, -3.0000])");
    EXPECT_EQ(text({0.1, 0.2, 0.3}), "tensor([0.1000, 0.2000, 0.3000])");
    EXPECT_EQ(text({0, 0}), "tensor([0., 0.])");
    EXPECT_EQ(text({-0.0}), "tensor([-0.])");
    EXPECT_EQ(text({1, 1000000}), "tensor([1.0000e+00, 1.0000e+06])");
    EXPECT_EQ(text({1, 1000}), "tensor([   1., 1000.])");
    EXPECT_EQ(text({1e-5}), "tensor([1.0000e-05])");
    EXPECT_EQ(text({0.00012}), "tensor([0.0001])");
    EXPECT_EQ(text({1e10, 2e10}), "tensor([1.0000e+10, 2.0000e+10])");
    EXPECT_EQ(text({1e8}), "tensor([100000000.])");
    EXPECT_EQ(text({1e8 + 8}), "tensor([1.0000e+08])");
    EXPECT_EQ(text({123456.789}), "tensor([123456.7891])");
    EXPECT_EQ(text({1, 0.001}), "tensor([1.0000, 0.0010])");
    EXPECT_EQ(text({1, 0.0009}), "tensor([1.0000e+00, 9.0000e-04])");
    EXPECT_EQ(text({1, -1e-300, 1e300}, DType::f64), "tensor([  1.0000e+00, -1.0000e-300,  1.0000e+300], dtype=f64)");
}

TEST_F(FormatTest, NotFinite) {
    EXPECT_EQ(text({1, inf, NAN}), "tensor([1., inf, nan])");
    EXPECT_EQ(text({1.5, -inf}), "tensor([1.5000,   -inf])");
    EXPECT_EQ(text({NAN, -NAN}), "tensor([nan, nan])");
    EXPECT_EQ(text({inf, 1, 0}), "tensor([inf, 1., 0.])");
}

TEST_F(FormatTest, OtherDTypes) {
    EXPECT_EQ(text({1, -20, 3}, DType::i64), "tensor([  1, -20,   3])");
    EXPECT_EQ(text({1, 2}, DType::i32), "tensor([1, 2], dtype=i32)");
    EXPECT_EQ(text({200}, DType::u8), "tensor([200], dtype=u8)");
    EXPECT_EQ(text({1, 0}, DType::boolean), "tensor([ true, false])");
    EXPECT_EQ(text({0.1, 2}, DType::f16), "tensor([0.1000, 2.0000], dtype=f16)");
    EXPECT_EQ(text({0.1}, DType::bf16), "tensor([0.1001], dtype=bf16)");
    EXPECT_EQ(text({0.1}, DType::f64), "tensor([0.1000], dtype=f64)");
}

TEST_F(FormatTest, Shapes) {
    EXPECT_EQ(to_string(make({3}, {})), "tensor(3.)");
    EXPECT_EQ(to_string(make({3}, {}, DType::i64)), "tensor(3)");
    EXPECT_EQ(to_string(make({3.14159}, {}, DType::f64)), "tensor(3.1416, dtype=f64)");
    EXPECT_EQ(to_string(make({}, {0})), "tensor([])");
    EXPECT_EQ(to_string(make({}, {0}, DType::i64)), "tensor([], dtype=i64)");
    EXPECT_EQ(to_string(make({}, {2, 0})), "tensor([], size=[2, 0])");
    EXPECT_EQ(to_string(make({}, {0, 3}, DType::boolean)), "tensor([], size=[0, 3], dtype=bool)");
    EXPECT_EQ(to_string(iota({2, 3}, DType::f32)), "tensor([[0., 1., 2.],\n        [3., 4., 5.]])");
    EXPECT_EQ(to_string(iota({2, 2, 2}, DType::i64)),
              "tensor([[[0, 1],\n         [2, 3]],\n\n        [[4, 5],\n         [6, 7]]])");
    EXPECT_EQ(to_string(iota({2, 3}, DType::i64).transpose(0, 1)),
              "tensor([[0, 3],\n        [1, 4],\n        [2, 5]])");
    EXPECT_EQ(to_string(iota({2, 1, 1, 2}, DType::i64)), "tensor([[[[0, 1]]],\n\n\n        [[[2, 3]]]])");
}

TEST_F(FormatTest, LongLinesBreak) {
    EXPECT_EQ(to_string(iota({20}, DType::f32)),
              "tensor([ 0.,  1.,  2.,  3.,  4.,  5.,  6.,  7.,  8.,  9., 10., 11., 12., 13.,\n"
              "        14., 15., 16., 17., 18., 19.])");
    std::string all = to_string(iota({1000}, DType::i64));
    EXPECT_EQ(all.substr(0, all.find('\n')),
              "tensor([  0,   1,   2,   3,   4,   5,   6,   7,   8,   9,  10,  11,  12,  13,");
    EXPECT_TRUE(all.ends_with(" 996, 997, 998, 999])")) << all;
}

TEST_F(FormatTest, LargeTensorsAreSummarised) {
    EXPECT_EQ(to_string(iota({1001}, DType::i64)), "tensor([   0,    1,    2,  ...,  998,  999, 1000])");
    EXPECT_EQ(to_string(iota({2000}, DType::f32)),
              "tensor([0.0000e+00, 1.0000e+00, 2.0000e+00,  ..., 1.9970e+03, 1.9980e+03,\n        1.9990e+03])");
    EXPECT_EQ(to_string(iota({40, 30}, DType::i64)),
              "tensor([[   0,    1,    2,  ...,   27,   28,   29],\n"
              "        [  30,   31,   32,  ...,   57,   58,   59],\n"
              "        [  60,   61,   62,  ...,   87,   88,   89],\n"
              "        ...,\n"
              "        [1110, 1111, 1112,  ..., 1137, 1138, 1139],\n"
              "        [1140, 1141, 1142,  ..., 1167, 1168, 1169],\n"
              "        [1170, 1171, 1172,  ..., 1197, 1198, 1199]])");
    EXPECT_EQ(to_string(iota({2, 600}, DType::i64)),
              "tensor([[   0,    1,    2,  ...,  597,  598,  599],\n"
              "        [ 600,  601,  602,  ..., 1197, 1198, 1199]])");
}

TEST_F(FormatTest, Suffixes) {
    const std::string suffixes[] = {"requires_grad=true"};
    EXPECT_EQ(to_string(make({1, 2}, {2}), suffixes), "tensor([1., 2.], requires_grad=true)");
    EXPECT_EQ(to_string(make({1, 2}, {2}, DType::f64), suffixes), "tensor([1., 2.], dtype=f64, requires_grad=true)");
    EXPECT_EQ(to_string(make({1, 2, 3, 4, 5, 6, 7.5}, {7}), suffixes),
              "tensor([1.0000, 2.0000, 3.0000, 4.0000, 5.0000, 6.0000, 7.5000],\n       requires_grad=true)");
}

}  // namespace
}  // namespace tenon
