// Rows and long sums of columns of one tensor are one kernel, and every sum has the bits that it has in a kernel of its own.
#include <gtest/gtest.h>

#include "ir/text/text.h"
#include "jit/llvm_loader.h"
#include "tests/jit/computer.h"

namespace tenon {
namespace {

// A norm's gradient by what it normalised, by its weight and by its bias, and the weight's update.
constexpr std::string_view gradient = R"(
graph backward(x: f32[N, D], g: f32[N, D], w: f32[D], m: f32[N, 1], s: f32[N, 1]) -> TYPES {
    c = sub(x, m)                                 : f32[N, D]
    h = mul(c, s)                                 : f32[N, D]
    gw = mul(g, w)                                : f32[N, D]
    a = sum(gw, axes: [1], keepdim: true)         : f32[N, 1]
    gh = mul(gw, h)                               : f32[N, D]
    b = sum(gh, axes: [1], keepdim: true)         : f32[N, 1]
    hb = mul(h, b)                                : f32[N, D]
    less = sub(gw, hb)                            : f32[N, D]
    rest = sub(less, a)                           : f32[N, D]
    dx = mul(rest, s)                             : f32[N, D]
    t = mul(g, h)                                 : f32[N, D]
    dw = sum(t, axes: [0])                        : f32[D]
    db = sum(g, axes: [0])                        : f32[D]
    nw = sub(w, dw)                               : f32[D]
    return RESULTS
})";

// What of each row the gradient takes, and a sum of the columns of what it gives.
constexpr std::string_view deviations = R"(
graph forward(x: f32[N, D]) -> f32[N, 1], f32[N, 1] {
    total = sum(x, axes: [1], keepdim: true)      : f32[N, 1]
    m = mul(total, 0.001953125)                   : f32[N, 1]
    from = sub(x, m)                              : f32[N, D]
    square = mul(from, from)                      : f32[N, D]
    v = sum(square, axes: [1], keepdim: true)     : f32[N, 1]
    s = rsqrt(v)                                  : f32[N, 1]
    return m, s
})";
constexpr std::string_view columns = R"(
graph columns(dx: f32[N, D]) -> f32[D] {
    dd = sum(dx, axes: [0])                       : f32[D]
    return dd
})";

std::string replaced(std::string text, std::string_view what, std::string_view by) {
    for (size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += by.size())
        text.replace(at, what.size(), by);
    return text;
}
std::string text_of(int64_t n, int64_t d, const std::vector<std::string>& results) {
    std::string types, names;
    for (const std::string& result : results) {
        types += (types.empty() ? "" : ", ") + std::string(result == "dx" ? "f32[N, D]" : "f32[D]");
        names += (names.empty() ? "" : ", ") + result;
    }
    const std::string text = replaced(replaced(std::string(gradient), "TYPES", types), "RESULTS", names);
    return replaced(replaced(text, "N,", std::to_string(n) + ","), "D]", std::to_string(d) + "]");
}

class Crossing : public testing::Test {
protected:
    std::vector<Tensor> inputs(int64_t n, int64_t d) {
        std::vector<Tensor> made;
        for (const Dims& shape : {Dims{n, d}, Dims{n, d}, Dims{d}, Dims{n, 1}, Dims{n, 1}}) {
            made.push_back(Tensor::empty(computer_.allocator(), DType::f32, shape));
            for (int64_t k = 0; k < made.back().numel(); ++k)
                made.back().data<float>()[k] = float((k * 7919 + int64_t(made.size()) * 31) % 1009 - 504) / 97;
        }
        return made;
    }
    size_t kernels(int64_t n, int64_t d) {
        const GraphRef graph = parse_graph(context_, text_of(n, d, {"dx", "dw", "db"}));
        return computer_.compile(graph, EngineKind::interp)->kernel_count();
    }
    // All of them against each by itself, where nothing is crossed.
    void check(int64_t n, int64_t d) {
        const std::string what = std::to_string(n) + " rows of " + std::to_string(d);
        const std::vector<std::string> results{"dx", "dw", "db", "nw"};
        const std::vector<Tensor> in = inputs(n, d);
        std::vector<Tensor> apart;
        for (const std::string& one : results)
            apart.push_back(computer_.run(parse_graph(context_, text_of(n, d, {one})), in, EngineKind::interp)[0]);
        const GraphRef graph = parse_graph(context_, text_of(n, d, results));
        for (const EngineKind engine : {EngineKind::interp, EngineKind::jit}) {
            if (engine == EngineKind::jit && !has_llvm_backend()) continue;
            expect_same(computer_.run(graph, in, engine), apart, what);
            expect_same(Computer(2).run(graph, in, engine), apart, what + ", two threads");
        }
    }
    Context context_;
    Computer computer_{1};
};

// 64 rows a chunk: chunks that are full and one that is not, more than 64 chunks, rows longer than a chunk of lanes.
TEST_F(Crossing, KeepsTheBitsOfEverySum) {
    for (const auto& [n, d] : {std::pair{512, 600}, {700, 512}, {4200, 96}, {513, 1100}, {577, 1025}}) check(n, d);
}

// Rows as many as columns: what comes after a sum is told apart by what it needs, not by its size.
TEST_F(Crossing, TellsRowsFromColumnsOfASquare) { check(640, 640); }

// Sums of columns that read what the rows of the same kernel make: for each row, and for each element.
TEST_F(Crossing, SumsReadWhatTheRowsLeave) {
    constexpr int64_t n = 700, d = 512;
    const auto text = [&](std::string whole) { return replaced(replaced(whole, "N,", "700,"), "D]", "512]"); };
    const std::vector<Tensor> in = inputs(n, d);
    const std::vector<Tensor> x{in[0]},
        ms = computer_.run(parse_graph(context_, text(std::string(deviations))), x, EngineKind::interp);
    const std::vector<Tensor> given{in[0], in[1], in[2], ms[0], ms[1]};
    std::vector<Tensor> apart;
    for (const char* one : {"dx", "dw", "db"})
        apart.push_back(computer_.run(parse_graph(context_, text_of(n, d, {one})), given, EngineKind::interp)[0]);
    apart.push_back(
        computer_.run(parse_graph(context_, text(std::string(columns))), {apart[0]}, EngineKind::interp)[0]);

    const auto between = [](std::string_view all, std::string_view from, std::string_view to) {
        const size_t begin = all.find(from) + from.size();
        return std::string(all.substr(begin, all.find(to, begin) - begin));
    };
    const std::vector<Tensor> three{in[0], in[1], in[2]};
    const auto check = [&](const std::string& types, const std::string& results, const std::vector<Tensor>& wanted) {
        const GraphRef graph = parse_graph(
            context_, text("graph whole(x: f32[N, D], g: f32[N, D], w: f32[D]) -> " + types + " {\n" +
                           between(deviations, "{\n", "    return") + between(gradient, "{\n", "    return") +
                           between(columns, "{\n", "    return") + "    return " + results + "\n}"));
        EXPECT_EQ(computer_.compile(graph, EngineKind::interp)->kernel_count(), 1u) << results;
        for (const EngineKind engine : {EngineKind::interp, EngineKind::jit}) {
            if (engine == EngineKind::jit && !has_llvm_backend()) continue;
            expect_same(computer_.run(graph, three, engine), wanted, results);
            expect_same(Computer(2).run(graph, three, engine), wanted, results + ", two threads");
        }
    };
    check("f32[N, D], f32[D], f32[D]", "dx, dw, db", {apart[0], apart[1], apart[2]});
    check("f32[N, D], f32[D]", "dx, dd", {apart[0], apart[3]});
}

TEST_F(Crossing, IsOneKernelWhereNearCachesDoNotHoldTheTensor) {
    EXPECT_EQ(kernels(1024, 512), 1u);
    EXPECT_EQ(kernels(640, 640), 1u);
    EXPECT_GT(kernels(512, 64), 1u);
}

}  // namespace
}  // namespace tenon
