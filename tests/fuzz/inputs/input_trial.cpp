#include "tests/fuzz/inputs/input_trial.h"

#include <fmt/format.h>

#include <cstring>
#include <fstream>

#include "frontend/evaluate/session.h"
#include "frontend/graphs/graph_values.h"
#include "frontend/tool/report.h"
#include "frontend/tool/silent_output.h"
#include "ir/pipeline/pipeline.h"
#include "ir/text/text.h"
#include "runtime/npy.h"
#include "runtime/npz.h"
#include "runtime/safetensors.h"

namespace tenon::fuzz {

namespace {

// A session for one input, whose output nobody sees.
class Trial {
public:
    explicit Trial(Engine engine) : session_(options(engine)) {}
    template <class Body> Answer run(Body body) {
        const tenon::Outcome outcome = guarded(session_, false, [&] { body(session_); });
        const bool is_bug = outcome.message.find("internal error") != std::string::npos ||
                            outcome.message.find("this is a bug") != std::string::npos;
        return {is_bug ? outcome.message : std::string(), outcome.exit_code == 0};
    }

private:
    SessionOptions options(Engine engine) {
        SessionOptions made;
        made.tracer.engine = engine;
        made.threads = 1;
        made.output = &silence_;
        return made;
    }

    SilentOutput silence_;
    Session session_;
};

Answer try_script(const std::string& script, bool is_run) {
    // By its length: which engine does not matter, but that both have their turns.
    Trial trial(script.size() % 2 ? Engine::interp : Engine::eager);
    return trial.run([&](Session& session) {
        Module& module = session.modules().add("input.model", ".");
        ast::Script& parsed = session.modules().compile(module, "input.model", script);
        if (is_run) session.evaluator().run(module, parsed);
    });
}

// A tensor as a parameter wants it; nothing where it is large, or no tensor.
std::optional<Value> input_for(Session& session, const Graph& graph, NodeId parameter) {
    constexpr int64_t most_elements = 10'000;
    const Type& type = graph.type(parameter);
    if (!type.is_tensor()) return {};
    Dims shape;
    for (SizeId size : type.sizes) shape.push_back(graph.context->as_constant(size).value_or(3));
    const std::optional<int64_t> count = try_numel(shape);
    if (!count || *count > most_elements) return {};
    return Value(make_ref<TensorObject>(Tensor::full(session.allocator(), type.dtype, shape, Scalar(int64_t{1}))));
}

bool is_small(const Graph& graph) {
    constexpr int64_t most_elements = 1'000'000;
    for (NodeId id : graph.body()) {
        const Type& type = graph.type(id);
        if (!type.is_tensor()) continue;
        Dims shape;
        for (SizeId size : type.sizes) shape.push_back(graph.context->as_constant(size).value_or(3));
        if (try_numel(shape).value_or(most_elements + 1) > most_elements) return false;
    }
    return true;
}

Answer try_graph(const std::string& text) {
    Trial trial(text.size() % 2 ? Engine::interp : Engine::eager);
    return trial.run([&](Session& session) {
        const GraphRef graph = parse_graph(session.context(), text);
        check_graph(*graph, "the reader");
        Decisions decisions;
        PipelineOptions options;
        options.verify = true;
        run_pipeline(graph, options, decisions);
        if (!is_small(*graph)) return;
        std::vector<Value> inputs;
        for (NodeId parameter : graph->params()) {
            std::optional<Value> input = input_for(session, *graph, parameter);
            if (!input) return;
            inputs.push_back(std::move(*input));
        }
        session.evaluator().call(Value(make_ref<GraphObject>(graph)), inputs);
    });
}

bool are_equal(const Tensor& a, const Tensor& b) {
    return a.dtype == b.dtype && a.shape == b.shape && std::memcmp(a.bytes(), b.bytes(), a.element_bytes()) == 0;
}

Answer try_file(Input input, const std::string& data) {
    const std::string path = fmt::format("input.{}", name_of(input)), again = fmt::format("again.{}", name_of(input));
    std::ofstream(path, std::ios::binary) << data;
    const Allocator allocator;
    try {
        NamedTensors read;
        FileMetadata metadata;
        const auto load = [&](const std::string& from) -> NamedTensors {
            if (input == Input::npy) return {{"", read_npy(allocator, from)}};
            if (input == Input::npz) return read_npz(allocator, from);
            return read_safetensors(allocator, from, &metadata);
        };
        read = load(path);
        if (input == Input::npy) write_npy(again, read[0].second);
        else if (input == Input::npz) write_npz(again, read);
        else write_safetensors(again, read, metadata);
        const NamedTensors back = load(again);
        if (back.size() != read.size()) return {"other names come back than were read"};
        for (size_t k = 0; k < read.size(); ++k)
            if (back[k].first != read[k].first || !are_equal(back[k].second, read[k].second))
                return {fmt::format("'{}' does not come back as it was read", read[k].first)};
        return {{}, true};
    } catch (const Error& error) {
        if (error.diagnostic.kind != "io" && error.diagnostic.kind != "memory")
            return {fmt::format("an error of kind {}: {}", error.diagnostic.kind, error.diagnostic.message)};
    }
    return {};
}

}  // namespace

Answer try_input(Input input, const std::string& data) {
    switch (input) {
        case Input::checked_script: return try_script(data, false);
        case Input::script: return try_script(data, true);
        case Input::graph: return try_graph(data);
        default: return try_file(input, data);
    }
}

}  // namespace tenon::fuzz
