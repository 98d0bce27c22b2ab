#include "tests/fuzz/inputs/corpus.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <set>
#include <stdexcept>

#include "frontend/compile/graph_cache.h"
#include "frontend/evaluate/session.h"
#include "frontend/record/capture.h"
#include "frontend/tool/report.h"
#include "frontend/tool/silent_output.h"
#include "ir/pipeline/pipeline.h"
#include "ir/text/text.h"
#include "runtime/file.h"
#include "runtime/npy.h"
#include "runtime/npz.h"
#include "runtime/safetensors.h"

namespace tenon::fuzz {

namespace {

constexpr size_t longest_script = 6000, longest_graph = 5000;
constexpr size_t most_graphs = 400;

std::vector<std::string> scripts_of_the_project() {
    std::vector<std::string> paths;
    for (const char* folder : {"tests", "examples"}) {
        for (const auto& entry :
             std::filesystem::recursive_directory_iterator(std::filesystem::path(TENON_SOURCE_DIR) / folder))
            if (entry.path().extension() == ".model") paths.push_back(entry.path().string());
    }
    std::sort(paths.begin(), paths.end());
    if (paths.empty()) throw std::runtime_error("there are no scripts in " TENON_SOURCE_DIR "/tests");
    return paths;
}

bool writes_files(const std::string& script) {
    return script.find("save(") != std::string::npos || script.find("write_text") != std::string::npos;
}

// The content of the file that `write` makes.
template <class Write> std::string content(const char* ending, Write write) {
    const std::string path =
        (std::filesystem::temp_directory_path() / ("tenon-corpus-" + std::to_string(getpid()) + ending)).string();
    write(path);
    std::string text = read_text(path);
    unlink(path.c_str());
    return text;
}

}  // namespace

std::string_view name_of(Input input) {
    constexpr std::string_view names[] = {"checked", "script", "graph", "npy", "npz", "safetensors"};
    return names[static_cast<size_t>(input)];
}

Corpus::Corpus() {
    add_scripts();
    add_files();
}

void Corpus::add_scripts() {
    for (const std::string& path : scripts_of_the_project()) {
        const std::string script = read_text(path);
        if (script.size() > longest_script) continue;
        add(Input::checked_script, script);
        if (writes_files(script) || script.find("use \"") != std::string::npos) continue;
        add(Input::script, script);
        if (of(Input::graph).size() < most_graphs && path.find("/_syntax/") == std::string::npos) add_graphs_of(script);
    }
}

void Corpus::add_graphs_of(const std::string& script) {
    SilentOutput silence;
    SessionOptions options;
    options.tracer.engine = Engine::interp;
    options.threads = 1;
    options.output = &silence;
    Session session(options);
    std::vector<CapturedGraph> log;
    session.tracer().capture().set_log(&log);
    guarded(session, false, [&] {
        Module& module = session.modules().add("corpus.model", ".");
        session.evaluator().run(module, session.modules().compile(module, "corpus.model", script));
    });
    session.tracer().capture().set_log(nullptr);
    constexpr size_t most_of_a_script = 2;
    std::set<std::string> texts;
    for (size_t k = 0; k < log.size() && k < most_of_a_script; ++k) {
        const auto take = [&](const GraphRef& graph) {
            if (std::string text = print(*graph, {.origins = false, .locate = {}}); text.size() <= longest_graph)
                texts.insert(std::move(text));
        };
        take(log[k].graph);
        const CompiledGraph& compiled = *log[k].compiled;
        const GraphRef forward = compiled.split() ? compiled.split()->forward : compiled.graph();
        if (compiled.joint()) take(compiled.joint()->graph);
        if (compiled.split()) take(compiled.split()->backward);
        for (const char* stage : {"simplified", "fused", "loops"}) {
            Decisions decisions;
            PipelineOptions until;
            until.until = stage;
            take(run_pipeline(forward, until, decisions));
        }
    }
    for (const std::string& text : texts) add(Input::graph, text);
}

void Corpus::add_files() {
    const Allocator allocator;
    std::vector<NamedTensors> sets;
    NamedTensors all;
    for (int d = 0; d < dtype_count; ++d) {
        const auto dtype = static_cast<DType>(d);
        const Tensor tensor = Tensor::full(allocator, dtype, {2, 3}, Scalar(int64_t{1}));
        all.emplace_back("layer." + std::string(name_of(dtype)), tensor);
        if (dtype == DType::bf16) continue;
        add(Input::npy, content(".npy", [&](const std::string& path) { write_npy(path, tensor); }));
    }
    sets.push_back(all);
    sets.push_back({{"a", Tensor::full(allocator, DType::f32, {}, Scalar(1.5))},
                    {"b", Tensor::full(allocator, DType::i64, {0, 4}, Scalar(int64_t{0}))}});
    sets.push_back({});
    for (NamedTensors& set : sets) {
        add(Input::safetensors, content(".safetensors", [&](const std::string& path) {
                write_safetensors(path, set, {{"format", "pt"}, {"note", "a \"quoted\" text"}});
            }));
        std::erase_if(set, [](const auto& entry) { return entry.second.dtype == DType::bf16; });
        for (const bool compressed : {false, true})
            add(Input::npz, content(".npz", [&](const std::string& path) { write_npz(path, set, compressed); }));
    }
}

}  // namespace tenon::fuzz
