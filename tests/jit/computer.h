// What tests need to run a graph and to compare results bit for bit.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "ir/pipeline/pipeline.h"
#include "jit/executable.h"

namespace tenon {

/// Compiles and runs graphs on a machine of its own.
class Computer {
public:
    explicit Computer(int threads) : pool_(threads), machine_(allocator_, pool_) {}

    std::unique_ptr<Executable> compile(const GraphRef& graph, EngineKind engine,
                                        std::span<const Pass> pipeline = passes()) {
        Decisions decisions;
        return std::make_unique<Executable>(run_pipeline(graph, pipeline, PipelineOptions{}, decisions), machine_,
                                            engine);
    }
    std::vector<Tensor> run(const GraphRef& graph, const std::vector<Tensor>& inputs, EngineKind engine,
                            std::span<const Pass> pipeline = passes()) {
        std::vector<Tensor> outputs;
        compile(graph, engine, pipeline)->run(inputs, outputs);
        return outputs;
    }
    const Allocator& allocator() const { return allocator_; }

private:
    Allocator allocator_;
    ThreadPool pool_;
    Machine machine_;
};

// Whether element k of a and b is the same bits. NaNs count as one value (ir/scalar/algebra.h).
inline bool same_element(const Tensor& a, const Tensor& b, size_t k) {
    return visit_dtype(a.dtype, [&]<class T>() {
        const T x = a.data<T>()[k], y = b.data<T>()[k];
        if constexpr (!std::is_integral_v<T>) {
            if (std::isnan(double(x)) && std::isnan(double(y))) return true;
        }
        return std::memcmp(&x, &y, sizeof(T)) == 0;
    });
}

// Where two results differ first, for a message; empty where they agree.
inline std::string difference(const Tensor& a, const Tensor& b) {
    for (size_t k = 0; k < size_t(a.numel()); ++k) {
        if (same_element(a, b, k)) continue;
        return visit_dtype(a.dtype, [&]<class T>() {
            return "element " + std::to_string(k) + " is " + std::to_string(double(a.data<T>()[k])) + " and " +
                   std::to_string(double(b.data<T>()[k]));
        });
    }
    return {};
}

inline void expect_same(const std::vector<Tensor>& a, const std::vector<Tensor>& b, const std::string& what) {
    ASSERT_EQ(a.size(), b.size()) << what;
    for (size_t k = 0; k < a.size(); ++k) {
        EXPECT_EQ(a[k].dtype, b[k].dtype) << what;
        EXPECT_TRUE(std::equal(a[k].shape.begin(), a[k].shape.end(), b[k].shape.begin(), b[k].shape.end())) << what;
        EXPECT_EQ(difference(a[k], b[k]), "") << what;
    }
}

}  // namespace tenon
