// Every exact rewrite rule (ir/passes/rules.cpp) against the interpreter: its pattern and what apply_rules writes in its place
// are run side by side, unsimplified, on hostile values of every dtype, and must have the same bits.
#include <gtest/gtest.h>

#include <charconv>
#include <cmath>
#include <cstring>
#include <map>

#include "ir/build/builder.h"
#include "ir/passes/passes.h"
#include "ir/pipeline/pipeline.h"
#include "ir/passes/rules.h"
#include "ir/text/text.h"
#include "jit/executable.h"
#include "tests/jit/row_samples.h"

namespace tenon {
namespace {

constexpr DType all_dtypes[] = {DType::f64, DType::f32, DType::f16, DType::bf16, DType::i64,
                                DType::i32, DType::i16, DType::i8,  DType::u8,   DType::boolean};

// Builds a pattern over parameters that it makes for the names in it: `c` is a condition, all others have the dtype.
class Instance {
public:
    Instance(Context& context, DType dtype, std::vector<int64_t> sizes)
        : context_(context), builder_(context), dtype_(dtype), sizes_(std::move(sizes)) {}

    NodeId build(std::string_view text) {
        const Call call = head(text);
        std::vector<NodeId> operands;
        for (std::string_view o : call.operands) operands.push_back(value(o));
        op_ = require_op(call.name);
        operands_ = operands;
        return builder_.emit(op_, operands, attributes(call.name));
    }
    // The rule's value in place of the pattern that `build` built last.
    Replacement replace(NodeId pattern, bool approximate) {
        return apply_rules(builder_, op_, builder_.node(pattern).type, operands_, approximate);
    }
    GraphRef finish(NodeId pattern, NodeId replacement) { return builder_.finish({pattern, replacement}); }
    RowSample sample() const { return {op_, {}, parameters_, {}}; }

private:
    struct Call {
        std::string_view name;
        std::vector<std::string_view> operands;
    };
    static Call head(std::string_view text) {
        const size_t open = text.find('(');
        Call call{text.substr(0, open), {}};
        if (open == std::string_view::npos) return call;
        int depth = 0;
        size_t begin = open + 1;
        for (size_t k = open + 1; k < text.size(); ++k) {
            if (text[k] == '(') ++depth;
            if ((text[k] == ',' && depth == 0) || k + 1 == text.size()) {
                call.operands.push_back(text.substr(begin, k - begin));
                begin = k + 1;
                while (begin < text.size() && text[begin] == ' ') ++begin;
            }
            if (text[k] == ')') --depth;
        }
        return call;
    }
    NodeId value(std::string_view text) {
        if (text.find('(') != std::string_view::npos) {
            const Call call = head(text);
            std::vector<NodeId> operands;
            for (std::string_view o : call.operands) operands.push_back(value(o));
            return builder_.emit(require_op(call.name), operands, attributes(call.name));
        }
        if (text == "true" || text == "false") return builder_.literal(text == "true", DType::boolean);
        int64_t number = 0;
        if (std::from_chars(text.data(), text.data() + text.size(), number).ec == std::errc())
            return is_float(dtype_) ? builder_.literal(double(number), dtype_) : builder_.literal(number, dtype_);
        const auto [it, fresh] = names_.try_emplace(text);
        if (fresh) {
            const DType dtype = text == "c" ? DType::boolean : dtype_;
            std::vector<SizeId> sizes;
            for (int64_t s : sizes_) sizes.push_back(context_.constant(s));
            it->second = builder_.parameter(context_.tensor(dtype, sizes));
            parameters_.push_back({sizes_, dtype});
        }
        return it->second;
    }
    AttrId attributes(std::string_view name) {
        Record record;
        if (name == "cast") record.push_back({context_.name("dtype"), dtype_});
        if (name == "expand" || name == "reshape")
            record.push_back({context_.name("sizes"), AttrList(sizes_.begin(), sizes_.end())});
        return context_.attr(std::move(record));
    }

    Context& context_;
    Builder builder_;
    DType dtype_;
    std::vector<int64_t> sizes_;
    std::map<std::string_view, NodeId> names_;
    std::vector<SampleOperand> parameters_;
    Op op_{};
    std::vector<NodeId> operands_;
};

// Elements are the same where their bits are; NaNs count as one value (ir/scalar/algebra.h).
void expect_same(const Tensor& a, const Tensor& b, const std::string& what) {
    ASSERT_EQ(a.dtype, b.dtype) << what;
    ASSERT_EQ(a.shape, b.shape) << what;
    visit_dtype(a.dtype, [&]<class T>() {
        for (int64_t k = 0; k < a.numel(); ++k) {
            const T x = a.data<T>()[k], y = b.data<T>()[k];
            if constexpr (!std::is_integral_v<T>) {
                if (std::isnan(double(x)) && std::isnan(double(y))) continue;
            }
            ASSERT_EQ(std::memcmp(&x, &y, sizeof x), 0) << what << ": " << double(x) << " became " << double(y);
        }
    });
}

TEST(Rules, KeepEveryBit) {
    Context context;  // outlives the machine, whose kernels belong to graphs of it
    Allocator allocator;
    ThreadPool pool(1);
    Machine machine(allocator, pool);
    const Pass without_rules[] = {*find_pass("fuse"), *find_pass("schedule")};
    for (const Rule& rule : rules()) {
        if (rule.exactness != Exactness::exact) continue;
        int tried = 0;
        for (DType dtype : all_dtypes) {
            for (const std::vector<int64_t>& sizes : {std::vector<int64_t>{2000}, {3, 5}, {}, {0}}) {
                const std::string what = std::string(rule.name) + " of " + std::string(name_of(dtype));
                Instance instance(context, dtype, sizes);
                NodeId pattern;
                try {
                    pattern = instance.build(rule.pattern);
                } catch (const Error&) {
                    continue;  // no such op of this dtype
                }
                const Replacement found = instance.replace(pattern, false);
                if (!found.rule) continue;  // the replacement would have another type, or the rule is not of this dtype
                EXPECT_EQ(found.rule->name, rule.name) << what;
                const GraphRef graph = instance.finish(pattern, found.value);
                verify(*graph);
                Decisions decisions;
                Executable executable(run_pipeline(graph, without_rules, PipelineOptions{}, decisions), machine,
                                      EngineKind::interp);
                for (uint64_t seed = 1; seed <= 3; ++seed) {
                    std::vector<Tensor> outputs;
                    executable.run(instance.sample().values(allocator, Draw::hostile, seed), outputs);
                    expect_same(outputs[0], outputs[1], what);
                }
                ++tried;
            }
        }
        EXPECT_GT(tried, 0) << rule.name << " never applied: the test does not know how to write " << rule.pattern;
    }
}

TEST(Rules, ApproximateOnesApplyOnRequestOnly) {
    for (const Rule& rule : rules()) {
        if (rule.exactness != Exactness::approximate) continue;
        Context context;
        Instance instance(context, DType::f32, {4});
        const NodeId pattern = instance.build(rule.pattern);
        EXPECT_EQ(instance.replace(pattern, false).rule, nullptr) << rule.name;
        const Replacement found = instance.replace(pattern, true);
        ASSERT_TRUE(found.rule) << rule.name;
        EXPECT_EQ(found.rule->name, rule.name);
    }
}

}  // namespace
}  // namespace tenon
