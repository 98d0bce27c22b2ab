// What tests of fuse and schedule have in common: a graph lowered, with what it computes compared.
#pragma once
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "ir/passes/passes.h"
#include "ir/row.h"
#include "ir/text/text.h"
#include "tests/ir/naive_evaluation.h"

namespace tenon {

inline naive::Array random_array(std::mt19937& random, std::vector<int64_t> shape) {
    naive::Array a = naive::of_shape(std::move(shape));
    std::uniform_real_distribution<float> values(-1, 1);
    for (double& x : a.data) x = values(random);
    return a;
}

inline void expect_close(const std::vector<naive::Array>& want, const std::vector<naive::Array>& have,
                         const std::string& text) {
    ASSERT_EQ(want.size(), have.size()) << text;
    for (size_t k = 0; k < want.size(); ++k) {
        ASSERT_EQ(want[k].shape, have[k].shape) << text;
        for (size_t i = 0; i < want[k].data.size(); ++i) {
            const double a = want[k].data[i], b = have[k].data[i];
            if (std::isnan(a) && std::isnan(b)) continue;
            if (a == b) continue;
            ASSERT_LE(std::abs(a - b), 2e-4 * std::max(1.0, std::abs(a))) << "result " << k << " element " << i << "\n"
                                                                          << text;
        }
    }
}

inline void expect_well_formed(const Graph& g) {
    ASSERT_NO_THROW(verify(g)) << print(g);
    const std::string text = print(g);
    ASSERT_TRUE(equal(g, *parse_graph(*g.context, text, 0, g.tensors))) << text;
}

inline void expect_no_empty_reason(const Decisions& decisions) {
    for (const Decision& d : decisions) {
        EXPECT_FALSE(d.reason.empty()) << name_of(d.what) << " " << d.subject;
        EXPECT_FALSE(d.subject.empty()) << name_of(d.what);
    }
}

struct Lowered {
    GraphRef fused, loops;
    Decisions decisions;
    size_t kernels() const {
        size_t n = 0;
        for (NodeId id : loops->body()) n += (*loops)[id].op == op<"kernel">();
        return n;
    }
    bool decided(DecisionKind what, std::string_view reason = {}) const {
        for (const Decision& d : decisions)
            if (d.what == what && d.reason.find(reason) != std::string::npos) return true;
        return false;
    }
};

// Fuses and schedules, checks both graphs and what they compute.
inline Lowered lower(const GraphRef& g, const std::vector<naive::Array>& inputs, const Target& target = {}) {
    Lowered out;
    out.fused = fuse(*g, out.decisions);
    expect_well_formed(*out.fused);
    out.loops = schedule(*out.fused, target, out.decisions);
    expect_well_formed(*out.loops);
    expect_no_empty_reason(out.decisions);
    const std::string text = print(*g) + print(*out.fused) + print(*out.loops);
    const std::vector<naive::Array> want = naive::evaluate(*g, inputs);
    expect_close(want, naive::evaluate(*out.fused, inputs), text);
    try {
        expect_close(want, naive::run_loops(*out.loops, inputs), text);
    } catch (const std::exception& e) { ADD_FAILURE() << e.what() << "\n" << text; }
    for (size_t k = 0; k < g->results().size(); ++k)
        EXPECT_EQ((*g)[g->results()[k]].type, (*out.loops)[out.loops->results()[k]].type) << text;
    return out;
}

// The same of a graph's text, with random inputs of these shapes.
inline Lowered lower(Context& context, const char* text, const std::vector<std::vector<int64_t>>& shapes) {
    std::mt19937 random(7);
    std::vector<naive::Array> inputs;
    for (auto& shape : shapes) inputs.push_back(random_array(random, shape));
    return lower(parse_graph(context, text), inputs);
}

}  // namespace tenon
