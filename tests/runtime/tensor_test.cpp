#include "runtime/tensor.h"

#include <gtest/gtest.h>

#include <numeric>
#include <random>
#include <vector>

#include "runtime/diagnostic.h"
#include "runtime/function_ref.h"

namespace tenon {
namespace {

class TensorTest : public testing::Test {
protected:
    Tensor iota(const Dims& shape, DType dtype = DType::f32) {
        std::vector<int64_t> values(static_cast<size_t>(checked_numel(shape)));
        std::iota(values.begin(), values.end(), 0);
        return Tensor::from(allocator, std::span<const int64_t>(values), shape).cast(dtype);
    }
    static std::vector<double> values(const Tensor& tensor) {
        Tensor wide = tensor.cast(DType::f64).contiguous();
        return {wide.data<double>(), wide.data<double>() + wide.numel()};
    }
    static std::string error(FunctionRef<void()> action) {
        try {
            action();
        } catch (const Error& caught) { return caught.diagnostic.kind + ": " + caught.diagnostic.message; }
        return "no error";
    }

    Allocator allocator;
};

using Values = std::vector<double>;

TEST_F(TensorTest, ViewsShareTheStorage) {
    Tensor t = iota({2, 3, 4});
    EXPECT_TRUE(t.is_contiguous());
    Tensor p = t.permute({2, 0, -2});
    EXPECT_EQ(p.shape, (Dims{4, 2, 3}));
    EXPECT_FALSE(p.is_contiguous());
    EXPECT_EQ(std::get<double>(p.read_scalar(3, 1, 2)), 23.0);
    EXPECT_EQ(p.storage, t.storage);
    EXPECT_EQ(values(t.transpose(0, -1).select(0, 1).select(0, 2)), (Values{9, 21}));
    EXPECT_EQ(values(t.slice(2, 1, -1).slice(0, -1, 100)), (Values{13, 14, 17, 18, 21, 22}));
    EXPECT_EQ(values(iota({10}).slice(0, 1, 9, 3)), (Values{1, 4, 7}));
    EXPECT_EQ(iota({10}).slice(0, 5, 2).shape, (Dims{0}));
    EXPECT_EQ(iota({10}).slice(0, 20, 30).offset, 0);
    EXPECT_EQ(values(iota({10}).slice(0, INT64_MIN, INT64_MAX, INT64_MAX)), (Values{0}));
    EXPECT_EQ(values(iota({3}).unsqueeze(0).expand({2, -1})), (Values{0, 1, 2, 0, 1, 2}));
    EXPECT_EQ(iota({3}).expand({2, 4, 3}).strides, (Dims{0, 0, 1}));
    EXPECT_EQ(iota({3, 1}).squeeze(-1).shape, (Dims{3}));
    EXPECT_EQ(iota({3, 1}).squeeze(0).shape, (Dims{3, 1}));
    EXPECT_EQ(iota({3}).unsqueeze(-1).shape, (Dims{3, 1}));
}

TEST_F(TensorTest, ViewAsCutsRunsAnew) {
    Tensor t = iota({4, 6});
    EXPECT_EQ(t.view_as({2, -1, 3}).shape, (Dims{2, 4, 3}));
    EXPECT_EQ(t.transpose(0, 1).view_as({2, 3, 4}).strides, (Dims{3, 1, 6}));
    EXPECT_FALSE(t.transpose(0, 1).try_view_as({24}));
    EXPECT_EQ(values(t.transpose(0, 1).reshape({24}).slice(0, 0, 5)), (Values{0, 6, 12, 18, 1}));
    EXPECT_EQ(t.slice(1, 0, 4).view_as({4, 2, 2}).strides, (Dims{6, 2, 1}));
    EXPECT_FALSE(t.slice(1, 0, 4).try_view_as({16}));
    EXPECT_EQ(t.slice(0, 0, 4, 2).view_as({2, 1, 6, 1}).numel(), 12);
    EXPECT_EQ(iota({1}).view_as({}).rank(), 0u);
    EXPECT_EQ(iota({}).view_as({1, 1}).shape, (Dims{1, 1}));
    EXPECT_EQ(iota({1}).expand({4}).view_as({2, 2}).strides, (Dims{0, 0}));
    EXPECT_EQ(iota({0, 3}).transpose(0, 1).view_as({3, -1}).shape, (Dims{3, 0}));
    EXPECT_EQ(error([&] { t.view_as({5, 5}); }),
              "shape: a tensor of shape [4, 6] has 24 elements, but the shape [5, 5] has 25");
    EXPECT_EQ(error([&] { t.view_as({-1, 5}); }),
              "shape: no size makes the shape [-1, 5] hold the 24 elements of a tensor of shape [4, 6]");
    EXPECT_NE(error([&] { t.view_as({-1, -1}); }), "no error");
    EXPECT_NE(error([&] { t.transpose(0, 1).view_as({24}); }), "no error");
    EXPECT_NE(error([&] { iota({0}).view_as({-1, 0}); }), "no error");
}

TEST_F(TensorTest, ErrorsSayWhatWasExpected) {
    Tensor t = iota({2, 3});
    EXPECT_EQ(error([&] { t.select(1, 3); }), "index: index 3 is out of range for dimension 1: expected -3 to 2");
    EXPECT_EQ(error([&] { t.select(2, 0); }),
              "index: dimension 2 is out of range for a tensor of rank 2: expected -2 to 1");
    EXPECT_EQ(error([&] { t.slice(0, 0, 2, -1); }), "index: a view needs a positive step, but the step is -1");
    EXPECT_EQ(error([&] { t.expand({3, 3}); }),
              "shape: a tensor of shape [2, 3] cannot be expanded to [3, 3]: dimension 0 is 2, not 3");
    EXPECT_NE(error([&] { t.expand({-1, 2, 3}); }), "no error");
    EXPECT_NE(error([&] { t.expand({3}); }), "no error");
    EXPECT_NE(error([&] { t.permute({0, 0}); }), "no error");
    EXPECT_NE(error([&] { t.permute({0}); }), "no error");
    EXPECT_NE(error([&] { iota({}).select(0, 0); }), "no error");
    EXPECT_NE(error([&] { t.slice(5, 0, 1); }), "no error");
    EXPECT_EQ(broadcast_shapes(Dims{3, 1}, Dims{2, 1, 4}), (Dims{2, 3, 4}));
    EXPECT_EQ(broadcast_shapes(Dims{}, Dims{0}), (Dims{0}));
    EXPECT_EQ(broadcast_shapes(Dims{1}, Dims{0}), (Dims{0}));
    EXPECT_EQ(error([&] { broadcast_shapes(Dims{4, 3}, Dims{2}); }),
              "shape: the shapes [4, 3] and [2] do not broadcast: their sizes in dimension 1 from the end are 3 and 2");
}

TEST_F(TensorTest, FillsAndCasts) {
    for (int i = 0; i < dtype_count; ++i) {
        auto d = static_cast<DType>(i);
        Tensor t = Tensor::full(allocator, d, {3, 4}, 1.75);
        double expected = is_float(d) ? 1.75 : 1;
        EXPECT_EQ(values(t), Values(12, expected));
        fill(t.slice(1, 1, 4, 2), int64_t{0});
        EXPECT_EQ(values(t.select(0, 2)), (Values{expected, 0, expected, 0}));
        const int64_t index[] = {1, 1};
        t.write_scalar(index, true);
        EXPECT_EQ(values(t.select(0, 1)), (Values{expected, 1, expected, 0}));
    }
    EXPECT_EQ(values(Tensor::zeros(allocator, DType::bf16, {2})), (Values{0, 0}));
    EXPECT_EQ(std::get<int64_t>(Tensor::scalar(allocator, DType::u8, 300.0).read_scalar()), 255);
    EXPECT_EQ(std::get<bool>(Tensor::scalar(allocator, DType::boolean, 0.5).read_scalar()), true);
}

// Random layouts of both sides against an element-by-element copy.
TEST_F(TensorTest, CopiesBetweenAnyLayouts) {
    std::mt19937 random(1);
    auto below = [&](int64_t n) { return static_cast<int64_t>(random() % static_cast<uint64_t>(n)); };
    auto strided = [&](const Tensor& base, const Dims& order, const Dims& shape) {
        Tensor view = base.permute(order);
        for (size_t d = 0; d < shape.size(); ++d) {
            view = view.slice(static_cast<int64_t>(d), view.shape[d] - shape[d] * 2, view.shape[d], 1 + (d % 2));
            view = view.slice(static_cast<int64_t>(d), 0, shape[d]);
        }
        return view;
    };
    for (int round = 0; round < 300; ++round) {
        auto rank = static_cast<size_t>(below(5));
        Dims shape, big, order[2];
        for (size_t d = 0; d < rank; ++d) {
            shape.push_back(rank == 2 ? below(70) : below(6));
            order[0].push_back(static_cast<int64_t>(d));
        }
        order[1] = order[0];
        Tensor side[2];
        DType dtypes[2] = {static_cast<DType>(below(dtype_count)), static_cast<DType>(below(dtype_count))};
        for (int s = 0; s < 2; ++s) {
            std::shuffle(order[s].begin(), order[s].end(), random);
            Dims outer(rank, 1);
            for (size_t d = 0; d < rank; ++d) outer[static_cast<size_t>(order[s][d])] = shape[d] * 2 + 1;
            side[s] = strided(iota(outer, dtypes[s]), order[s], shape);
            ASSERT_EQ(side[s].shape, shape);
        }
        if (rank > 0 && shape[0] > 0 && round % 3 == 0) side[1] = side[1].slice(0, 0, 1).expand(shape);
        copy_strided(side[0], side[1]);
        Dims index(rank, 0);
        for (int64_t i = 0; i < checked_numel(shape); ++i) {
            Scalar expected = side[1].read_scalar(index);
            visit_dtype(dtypes[0], [&]<class T>() {
                auto got = side[0].read_scalar(index);
                ASSERT_EQ(scalar_as<double>(got), convert<double>(scalar_as<T>(expected))) << "round " << round;
            });
            for (size_t d = rank; d-- > 0;) {
                if (++index[d] < shape[d]) break;
                index[d] = 0;
            }
        }
    }
}

TEST_F(TensorTest, OverlappingCopiesReadBeforeTheyWrite) {
    Tensor t = iota({6});
    EXPECT_TRUE(t.slice(0, 0, 3).overlaps(t.slice(0, 2, 5)));
    EXPECT_FALSE(t.slice(0, 0, 3).overlaps(t.slice(0, 3, 6)));
    copy_strided(t.slice(0, 1, 6), t.slice(0, 0, 5));
    EXPECT_EQ(values(t), (Values{0, 0, 1, 2, 3, 4}));
    Tensor square = iota({3, 3});
    copy_strided(square, square.transpose(0, 1));
    EXPECT_EQ(values(square), (Values{0, 3, 6, 1, 4, 7, 2, 5, 8}));
}

}  // namespace
}  // namespace tenon
