// Second derivatives of scans over random turns against those of the turns written out: the same terms in the same
// order, to the bit, alone and under vmap. Turns carry several values, hand some on from carry to carry, read slices and
// what is captured several times, and through views of views.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "ir/build/copier.h"
#include "ir/build/regions.h"
#include "ir/build/unroll.h"
#include "ir/differentiate/regions.h"
#include "ir/passes/batch.h"
#include "ir/passes/passes.h"
#include "ir/regions.h"
#include "ir/row.h"
#include "ir/text/text.h"
#include "tests/jit/computer.h"
#include "tests/jit/regions/inputs.h"

namespace tenon {
namespace {

// A turn over states f32[2, 4]; slices x: f32[2, 4], y: f32[2, 8]; captured w: f32[4, 4], v: f32[8, 4], b: f32[4].
class RandomTurn {
public:
    RandomTurn(Context& context, unsigned seed) : context_(context), random_(seed), builder_(context) {}

    GraphRef make() {
        carried = pick(4);
        const size_t xs = 1 + pick(2), wide = pick(2);
        sliced = xs + wide;
        reverse = pick(3) == 0;
        for (size_t k = 0; k < carried + xs; ++k) states_.push_back(builder_.parameter(type({2, 4})));
        if (wide) wides_.push_back(builder_.parameter(type({2, 8})));
        for (size_t k = pick(3); k-- > 0;) matrices_.push_back(builder_.parameter(type({4, 4})));
        for (size_t k = pick(2); k-- > 0;) talls_.push_back(builder_.parameter(type({8, 4})));
        vectors_.push_back(builder_.parameter(type({4})));
        for (size_t k = 3 + pick(8); k-- > 0;) step();
        std::vector<NodeId> results;
        for (size_t k = 0; k < carried; ++k) results.push_back(to_be_left(results));
        for (size_t k = carried == 0 ? 1 : pick(3); k-- > 0;) results.push_back(computed());
        return builder_.finish(results);
    }
    size_t carried = 0, sliced = 0;
    bool reverse = false;

private:
    size_t pick(size_t count) { return std::uniform_int_distribution<size_t>(0, count - 1)(random_); }
    NodeId pick(const std::vector<NodeId>& from) { return from[pick(from.size())]; }
    TypeId type(std::initializer_list<int64_t> sizes) {
        SizeList list;
        for (int64_t s : sizes) list.push_back(SizeId(s));
        return context_.tensor(DType::f32, list);
    }
    NodeId emit(Op o, std::initializer_list<NodeId> operands, AttrId attr = {}) {
        return builder_.emit(o, std::span(operands.begin(), operands.size()), attr);
    }
    NodeId slice(NodeId x, size_t axis, int64_t start, int64_t size) {
        const std::vector<SizeId> all = builder_.type(x).sizes;
        AttrList starts, stops, steps, sizes;
        for (size_t d = 0; d < all.size(); ++d) {
            starts.push_back(AttrValue(d == axis ? start : int64_t{0}));
            stops.push_back(d == axis ? AttrValue(start + size) : AttrValue(all[d]));
            steps.push_back(AttrValue(int64_t{1}));
            sizes.push_back(d == axis ? AttrValue(size) : AttrValue(all[d]));
        }
        return emit(op<"slice">(), {x},
                    context_.attr({{context_.name("starts"), starts},
                                   {context_.name("stops"), stops},
                                   {context_.name("steps"), steps},
                                   {context_.name("sizes"), sizes}}));
    }
    NodeId turned(NodeId x) {
        return emit(op<"permute">(), {x},
                    context_.attr({{context_.name("axes"), AttrList{AttrValue(int64_t{1}), AttrValue(int64_t{0})}}}));
    }
    void step() {
        switch (pick(10)) {
            case 0:
                if (!wides_.empty()) {
                    states_.push_back(slice(pick(wides_), 1, int64_t(pick(5)), 4));
                    break;
                }
                [[fallthrough]];
            case 1:
                if (!talls_.empty()) {
                    matrices_.push_back(slice(pick(talls_), 0, int64_t(pick(5)), 4));
                    break;
                }
                [[fallthrough]];
            case 2:
                if (!matrices_.empty()) {
                    matrices_.push_back(turned(pick(matrices_)));
                    break;
                }
                [[fallthrough]];
            case 3:
                if (!matrices_.empty()) {
                    state(emit(op<"matmul">(), {pick(states_), pick(matrices_)}));
                    break;
                }
                [[fallthrough]];
            case 4: state(emit(op<"mul">(), {pick(states_), pick(vectors_)})); break;
            case 5: vectors_.push_back(emit(op<"sin">(), {pick(vectors_)})); break;
            case 6: state(emit(op<"mul">(), {pick(states_), pick(states_)})); break;
            case 7: state(emit(op<"add">(), {pick(states_), pick(states_)})); break;
            case 8: state(emit(op<"tanh">(), {pick(states_)})); break;
            default: state(emit(pick(2) ? op<"sin">() : op<"sigmoid">(), {pick(states_)})); break;
        }
    }
    void state(NodeId made) {
        states_.push_back(made);
        computed_.push_back(made);
    }
    NodeId computed() {
        if (computed_.empty() || pick(4) == 0) state(emit(op<"tanh">(), {pick(states_)}));
        return pick(computed_);
    }
    // No value is left in two places, and none that a turn got stays where it was.
    NodeId to_be_left(const std::vector<NodeId>& results) {
        if (pick(8) == 0 && carried > 1) {
            const NodeId other = states_[pick(carried)];
            if (other != states_[results.size()] && std::find(results.begin(), results.end(), other) == results.end())
                return other;
        }
        for (size_t tries = 0; tries < 4; ++tries)
            if (const NodeId value = computed(); std::find(results.begin(), results.end(), value) == results.end())
                return value;
        state(emit(op<"sin">(), {pick(states_)}));
        return computed_.back();
    }

    Context& context_;
    std::mt19937 random_;
    Builder builder_;
    std::vector<NodeId> states_, wides_, matrices_, talls_, vectors_, computed_;
};

class SecondDerivatives : public testing::Test {
protected:
    // Operands are parameters; `used`: which of them come of another op, are read before, and after.
    GraphRef graph(const Graph& region, const ScanForm& form, bool as_scan, unsigned used) {
        Builder builder(context_);
        const auto unary = [&](Op o, NodeId x) { return builder.emit(o, std::array<NodeId, 1>{x}); };
        std::vector<NodeId> operands, results, values;
        for (size_t k = 0; k < region.params().size(); ++k) {
            Type type = region.type(region.params()[k]);
            if (form.is_sliced(k)) type.sizes.insert(type.sizes.begin(), form.turns);
            operands.push_back(builder.parameter(context_.type(type)));
        }
        if (used & 1)
            for (NodeId& o : operands) o = unary(op<"tanh">(), o);
        if (used & 2)
            for (NodeId o : operands) results.push_back(unary(op<"sin">(), o));
        if (as_scan) {
            const GraphRef own = std::make_shared<Graph>(region);
            values =
                builder.results_of(emit_with_regions(builder, op<"scan">(), operands, {{own}}, form.attr(context_)));
        } else {
            std::vector<TypeId> types;
            for (NodeId o : operands) types.push_back(builder.node(o).type);
            const GraphRef plain = unroll(region, form, types);
            Copier copy(*plain, builder);
            for (size_t k = 0; k < operands.size(); ++k) copy.map(plain->params()[k], operands[k]);
            copy.copy_body();
            for (NodeId r : plain->results()) values.push_back(copy(r));
        }
        for (size_t k = 0; k < values.size(); ++k) {
            if (k > 0 && (used >> 4 >> k & 1)) continue;
            results.push_back(unary(op<"exp">(), values[k]));
            if (used & 4) results.push_back(unary(op<"square">(), values[k]));
        }
        if (used & 8)
            for (NodeId o : operands) results.push_back(unary(op<"cos">(), o));
        return builder.finish(results);
    }
    static Joint derivative(const GraphRef& g) {
        std::vector<size_t> results, wrt;
        for (size_t k = 0; k < g->results().size(); ++k) results.push_back(k);
        for (size_t k = 0; k < g->params().size(); ++k) wrt.push_back(k);
        return make_joint(*g, results, wrt, false);
    }
    std::string differ(const GraphRef& a, const GraphRef& b, EngineKind engine = EngineKind::interp) {
        verify(*a);
        const std::vector<Tensor> given = random_inputs(computer_.allocator(), *b);
        const std::vector<Tensor> want = computer_.run(b, given, EngineKind::interp),
                                  got = computer_.run(a, given, engine);
        for (size_t k = 0; k < want.size(); ++k)
            if (const std::string d = difference(want[k], got[k]); !d.empty())
                return "result " + std::to_string(k) + ": " + d;
        return {};
    }

    Context context_;
    Computer computer_{2};
};

// What one carry hands on to another one is left out: such a value is read, and lies around the scan, under several names,
// and its cotangent's terms come by each of them. (The first derivatives have these bits in all but few cases, too.)
bool hands_on(const Graph& region, size_t carried) {
    const auto params = region.params().first(carried);
    return std::any_of(region.results().begin(), region.results().end(),
                       [&](NodeId r) { return std::find(params.begin(), params.end(), r) != params.end(); });
}

class RandomTurns : public SecondDerivatives, public testing::WithParamInterface<unsigned> {
protected:
    struct Sample {
        GraphRef region;
        ScanForm form{SizeId(1), 0, 0, false};
        unsigned used = 0;
        std::string what;
    };
    static constexpr unsigned each = 40;
    std::vector<Sample> samples() {
        std::vector<Sample> made;
        for (unsigned seed = GetParam() * each; seed < (GetParam() + 1) * each; ++seed) {
            RandomTurn random(context_, seed);
            Sample sample;
            sample.region = random.make();
            std::mt19937 more(seed);
            sample.form = ScanForm(SizeId(int64_t(2 + more() % 3)), random.carried, random.sliced, random.reverse);
            sample.used = more() % 256;
            if (!why_not_as_unrolled(*sample.region, sample.form).empty()) continue;
            if (hands_on(*sample.region, random.carried)) continue;
            sample.what = "seed " + std::to_string(seed) + ", used " + std::to_string(sample.used) + ", " +
                          std::to_string(sample.form.turns.bits) + " turns" + (sample.form.reverse ? ", reverse" : "") +
                          ", carried " + std::to_string(sample.form.carried) + "\n" + print(*sample.region);
            made.push_back(std::move(sample));
        }
        return made;
    }
};

TEST_P(RandomTurns, HaveTheBitsOfTheTurnsWrittenOut) {
    for (const Sample& sample : samples()) {
        const Joint scan = derivative(graph(*sample.region, sample.form, true, sample.used)),
                    plain = derivative(graph(*sample.region, sample.form, false, sample.used));
        ASSERT_EQ(scan.reached, plain.reached) << sample.what;
        ASSERT_EQ(differ(scan.graph, plain.graph), "") << "first derivative, " << sample.what;
        const Joint second = derivative(scan.graph), want = derivative(plain.graph);
        EXPECT_EQ(second.reached, want.reached) << sample.what;
        if (second.reached != want.reached) continue;
        EXPECT_EQ(differ(second.graph, want.graph), "") << "second derivative, " << sample.what;
#if TENON_LLVM
        if (GetParam() == 0) {
            EXPECT_EQ(differ(second.graph, want.graph, EngineKind::jit), "")
                << "second derivative, jit, " << sample.what;
        }
#endif
        std::vector<int> in, out(want.graph->results().size(), 0);
        for (size_t k = 0; k < want.graph->params().size(); ++k) in.push_back(sample.used >> k % 8 & 1 ? 0 : -1);
        in[0] = 0;
        EXPECT_EQ(differ(batch(*second.graph, {SizeId(2), in, out}), batch(*want.graph, {SizeId(2), in, out})), "")
            << "second derivative under vmap, " << sample.what;
        const Split halves = split_joint(second);
        verify(*halves.forward);
        verify(*halves.backward);
    }
}

INSTANTIATE_TEST_SUITE_P(Seeds, RandomTurns, testing::Range(0u, 4u));

}  // namespace
}  // namespace tenon
