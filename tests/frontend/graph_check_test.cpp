// `--verify` of differentiated graphs: a wrong split, saved value or backward half is named.
#include "frontend/compile/graph_check.h"

#include <gtest/gtest.h>

#include "frontend/record/capture.h"
#include "frontend/compile/graph_cache.h"
#include "frontend/evaluate/session.h"
#include "ir/pipeline/pipeline.h"
#include "ir/row.h"

namespace tenon {
namespace {

class NoOutput final : public Output {
public:
    void write(std::string_view, Span) override {}
};

class GraphChecks : public testing::Test {
protected:
    GraphChecks() {
        SessionOptions options;
        options.tracer.engine = Engine::interp;
        options.threads = 1;
        options.output = &silence_;
        session_ = std::make_unique<Session>(options);
        Module& module = session_->modules().add("<test>", ".");
        std::vector<CapturedGraph> log;
        session_->tracer().capture().set_log(&log);
        const char* text =
            "fn f(x, w) = (sin(x * w) ** 3).sum()\n"
            "f(tensor([1.0, 2.0]), tensor([0.5, 0.25], requires_grad: true))\n";
        Value shown;
        session_->evaluator().run(module, session_->modules().compile(module, "<test>", text, true), &shown);
        session_->tracer().capture().set_log(nullptr);
        graph_ = log.at(0).compiled;
        check_ = std::make_unique<GraphCheck>(*graph_, checker_, "interp", false);
    }

    std::unique_ptr<Executable> compile(const GraphRef& graph, std::string maker, std::vector<MadeGraph>& made) {
        made = {{std::move(maker), graph}};
        PipelineOptions options;
        options.observe = [&](const Pass& pass, const GraphRef& after) {
            made.push_back({std::string(pass.name), after});
        };
        Decisions decisions;
        return std::make_unique<Executable>(run_pipeline(graph, options, decisions), session_->machine(),
                                            EngineKind::interp);
    }
    // What the run threw, empty where all was well.
    template <class F> static std::string message_of(F&& run) {
        try {
            run();
        } catch (const Error& error) { return error.diagnostic.message; }
        return {};
    }
    std::string forward(const GraphRef& graph) {
        std::vector<MadeGraph> made;
        const auto executable = compile(graph, "rematerialise", made);
        return message_of([&] { check_->forward(made, *executable, inputs_, outputs_); });
    }
    std::string backward(const GraphRef& graph) {
        std::vector<MadeGraph> made;
        const auto executable = compile(graph, "rematerialise", made);
        std::vector<Tensor> arguments, gradients;
        for (const Split::Saved& s : graph_->saved())
            arguments.push_back(s.is_input ? inputs_[s.index] : outputs_[s.index]);
        arguments.push_back(Tensor::scalar(session_->allocator(), DType::f32, 1.0));
        return message_of([&] { check_->backward({made, {}, false, {true}}, *executable, arguments, gradients); });
    }
    static GraphRef replaced(const Graph& g, Op from, Op to) {
        auto made = std::make_shared<Graph>(g);
        for (Node& node : made->nodes)
            if (node.op == from) node.op = to;
        return made;
    }

    NoOutput silence_;
    std::unique_ptr<Session> session_;
    ThreadPool pool_{1};
    Machine machine_{Allocator(), pool_};
    PassCheck checker_{machine_};
    std::shared_ptr<CompiledGraph> graph_;
    std::unique_ptr<GraphCheck> check_;
    std::vector<Tensor> inputs_{Tensor::from<float>(Allocator(), std::vector<float>{1, 2}, Dims{2}),
                                Tensor::from<float>(Allocator(), std::vector<float>{0.5f, 0.25f}, Dims{2})};
    std::vector<Tensor> outputs_;
};

TEST_F(GraphChecks, RightHalvesPass) {
    ASSERT_TRUE(graph_->split());
    EXPECT_EQ(forward(graph_->lean()->forward), "");
    EXPECT_EQ(backward(graph_->lean()->backward), "");
}

TEST_F(GraphChecks, NamesAWrongForwardHalf) {
    const std::string message = forward(replaced(*graph_->lean()->forward, op<"sin">(), op<"cos">()));
    EXPECT_TRUE(message.starts_with("rematerialise changed what the graph of `f.forward` computes: of result 0"))
        << message;
}

TEST_F(GraphChecks, NamesAWrongBackwardHalf) {
    ASSERT_EQ(forward(graph_->lean()->forward), "");
    const std::string message = backward(replaced(*graph_->lean()->backward, op<"cos">(), op<"sin">()));
    EXPECT_TRUE(message.starts_with("rematerialise changed what the graph of `f.backward` computes: of result 0"))
        << message;
}

TEST_F(GraphChecks, NamesAWrongGradientOfAnotherRunByItsPassesOnly) {
    ASSERT_EQ(forward(graph_->lean()->forward), "");
    inputs_[0] = Tensor::from<float>(Allocator(), std::vector<float>{3, 5}, Dims{2});
    EXPECT_EQ(backward(replaced(*graph_->lean()->backward, op<"cos">(), op<"sin">())), "") << "nothing to compare with";
}

}  // namespace
}  // namespace tenon
