// What explain tells, as text for people: everything, or a page.
#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "frontend/graphs/explain_graph.h"

namespace tenon {

using Json = nlohmann::ordered_json;

namespace {

constexpr size_t page = 60;  // lines of one graph
constexpr size_t most_inputs = 6, most_values = 4, most_lines = 20, most_refusals = 8, most_guards = 5,
                 most_peak_values = 6;

std::string text_of(const Json& json) { return json.get<std::string>(); }

std::string place_text(const Json& json) {
    return json.contains("at") ? fmt::format(" ({})", text_of(json["at"])) : std::string();
}

// "40 B", "5.9 MB"
std::string size_text(int64_t bytes) {
    if (bytes < 10'000) return fmt::format("{} B", bytes);
    if (bytes < 10'000'000) return fmt::format("{} KB", bytes / 1000);
    return fmt::format("{} MB", bytes / 1'000'000);
}

std::string value_text(const Json& value) {
    return fmt::format("{}: {}, {}{}", text_of(value["name"]), text_of(value["type"]), text_of(value["why"]),
                       place_text(value));
}

std::string head_text(const Json& graph) {
    return fmt::format("graph {}  of {}: {}, ended by {}{}\n", graph["number"].get<size_t>(),
                       text_of(graph["function"]), counted(graph["nodes"].get<size_t>(), "node"),
                       text_of(graph["ended_by"]),
                       graph.contains("ended_at") ? " at " + text_of(graph["ended_at"]) : "");
}

std::string decision_text(const Json& d) {
    return fmt::format("{}: {}{}", text_of(d["subject"]), text_of(d["why"]), place_text(d));
}

std::string compiled_text(const Json& half, bool with_times) {
    std::string text = text_of(half["name"]) + ": ";
    if (half.contains("passes")) {
        double milliseconds = 0;
        std::string names;
        for (const Json& pass : half["passes"]) {
            milliseconds += pass["milliseconds"].get<double>();
            names += (names.empty() ? "" : ", ") + text_of(pass["pass"]);
        }
        text += fmt::format("{}{}; ", names, with_times ? fmt::format(" in {:.2f} ms", milliseconds) : "");
    }
    text += text_of(half["engine"]);
    if (with_times && half.contains("machine_code") && half["machine_code"]["compiled"].get<size_t>() > 0)
        text += fmt::format(", {:.1f} ms", half["machine_code"]["milliseconds"].get<double>());
    return text;
}

template <class F>
std::string memory_text(const Json& half, F size) {
    const Json& memory = half["memory"];
    const auto bytes = [&](const char* what) { return memory[what].get<int64_t>(); };
    std::string text =
        fmt::format("{}: inputs {}, results {}", text_of(half["name"]), size(bytes("inputs")), size(bytes("results")));
    if (bytes("saved") > 0) text += fmt::format(", saved {}", size(bytes("saved")));
    return text + fmt::format(", between kernels {}", size(bytes("between")));
}

// The values that are there at the peak, the largest first.
template <class F>
void add_peak(std::vector<std::string>& lines, const Json& half, size_t most, F size) {
    const Json& peak = half["peak"];
    const Json& values = peak["values"];
    std::string text = fmt::format("{}: {}", text_of(half["name"]), size(peak["bytes"].get<int64_t>()));
    if (!values.empty())
        text += fmt::format(", of which {} between kernels at {}{}", size(peak["in_use"].get<int64_t>()),
                            text_of(peak["step"]), place_text(peak));
    lines.push_back(text);
    for (size_t k = 0; k < std::min(most, values.size()); ++k) {
        const Json& v = values[k];
        const auto count = v["count"].get<int64_t>();
        lines.push_back(fmt::format("{}, {}: {}{}{}", size(v["bytes"].get<int64_t>()), text_of(v["name"]),
                                    count > 1 ? fmt::format("{} × ", count) : "", text_of(v["type"]), place_text(v)));
    }
    if (values.size() > most) lines.push_back(fmt::format("… {} more", values.size() - most));
}

int64_t interpreted_kernels(const Json& half) {
    return std::count_if(half["kernels"].begin(), half["kernels"].end(),
                         [](const Json& kernel) { return kernel.contains("interpreted"); });
}

// What a memory budget has cost.
template <class F>
void append_budget(std::string& text, const Json& graph, F size) {
    if (!graph.contains("budget")) return;
    const Json& budget = graph["budget"];
    const auto number = [&](const char* what) { return budget[what].get<int64_t>(); };
    std::vector<std::string> lines{fmt::format("{} of {} allowed, {} without it", size(number("peak")),
                                               size(number("allowed")), size(number("without")))};
    if (number("level") > 0)
        lines.push_back(fmt::format("{} computed again for it, the work of {} additions: level {} of {}",
                                    counted(budget["again"].get<size_t>(), "value"), number("work_again"),
                                    number("level"), number("levels")));
    append_lines(text, "budget", lines);
}

// ---- everything ---------------------------------------------------------------------------------------------------
std::vector<std::string> values_text(const Json& values) {
    std::vector<std::string> lines;
    for (const Json& v : values) lines.push_back(value_text(v));
    if (lines.empty()) lines.push_back("nothing");
    return lines;
}

std::string ops_text(const Json& ops) {
    constexpr size_t shown = 8;
    std::string text;
    for (size_t k = 0; k < std::min(ops.size(), shown); ++k) text += (k ? " " : "") + text_of(ops[k]);
    return ops.size() > shown ? text + " …" : text;
}

std::string kernels_text(const Json& half) {
    std::string text = fmt::format("{} {}", text_of(half["name"]), half["kernels"].size());
    if (!half["kernels"].empty()) {
        text += " (";
        for (size_t k = 0; k < half["kernels"].size(); ++k)
            text += (k ? "; " : "") + ops_text(half["kernels"][k]["ops"]);
        text += ")";
    }
    if (const int64_t count = interpreted_kernels(half); count > 0)
        text += fmt::format(", {} of them interpreted: `compile: false`", count);
    if (!half["library"].empty()) text += fmt::format(", calls of the library: {}", ops_text(half["library"]));
    return text;
}

std::string full_text(const Json& graph, bool with_times) {
    std::string text = head_text(graph);
    std::string inputs;
    for (const Json& input : graph["called_with"])
        inputs += fmt::format("{}{}: {}", inputs.empty() ? "" : ", ", text_of(input["name"]), text_of(input["type"]));
    append_lines(text, "called with", {inputs.empty() ? "nothing" : inputs});
    append_lines(text, "guards", graph["guards"].get<std::vector<std::string>>());
    append_lines(text, "cache", {text_of(graph["cache"])});
    const auto exact = [](int64_t bytes) { return fmt::format("{} B", bytes); };
    append_budget(text, graph, exact);
    for (const char* what : {"saved", "recomputed"})
        if (graph.contains(what)) append_lines(text, what, values_text(graph[what]));
    if (!graph.contains("halves")) return text;
    std::vector<std::string> kernels, memory, peak, compiled;
    for (const Json& half : graph["halves"]) {
        kernels.push_back(kernels_text(half));
        if (half.contains("memory")) memory.push_back(memory_text(half, exact));
        if (half.contains("peak")) add_peak(peak, half, SIZE_MAX, exact);
        compiled.push_back(compiled_text(half, with_times));
    }
    append_lines(text, "kernels", kernels);
    append_lines(text, "memory", memory);
    append_lines(text, "peak", peak);
    append_lines(text, "compiled", compiled);
    for (const Json& half : graph["halves"]) {
        if (!half.contains("decisions")) continue;
        for (const Json& d : half["decisions"]) append_lines(text, text_of(d["what"]), {decision_text(d)});
    }
    return text;
}

// ---- a page -------------------------------------------------------------------------------------------------------
// "matmul 24, take 2": the most frequent first.
std::string counts_text(const std::vector<std::string>& names) {
    std::vector<std::pair<size_t, std::string>> counts;
    for (const std::string& name : names) {
        const auto same = std::ranges::find(counts, name, &std::pair<size_t, std::string>::second);
        if (same == counts.end()) counts.emplace_back(1, name);
        else ++same->first;
    }
    std::ranges::stable_sort(counts, std::greater<>(), &std::pair<size_t, std::string>::first);
    std::string text;
    for (const auto& [count, name] : counts) text += fmt::format("{}{} {}", text.empty() ? "" : ", ", name, count);
    return text;
}

std::vector<const Json*> largest_first(const Json& items, size_t most) {
    std::vector<const Json*> sorted;
    for (const Json& item : items) sorted.push_back(&item);
    std::ranges::stable_sort(sorted, std::greater<>(), [](const Json* j) { return (*j)["bytes"].get<int64_t>(); });
    if (sorted.size() > most) sorted.resize(most);
    return sorted;
}

int64_t bytes_in(const Json& items) {
    int64_t bytes = 0;
    for (const Json& item : items) bytes += item["bytes"].get<int64_t>();
    return bytes;
}

std::vector<std::string> largest_values(const Json& values) {
    if (values.size() <= most_values) return values_text(values);
    std::vector<std::string> lines{
        fmt::format("{}, {}; the largest:", counted(values.size(), "value"), size_text(bytes_in(values)))};
    for (const Json* value : largest_first(values, most_values))
        lines.push_back(fmt::format("{}, {}", size_text((*value)["bytes"].get<int64_t>()), value_text(*value)));
    return lines;
}

std::string inputs_text(const Json& inputs) {
    std::string text;
    for (size_t k = 0; k < std::min(inputs.size(), most_inputs); ++k)
        text += fmt::format("{}{}: {}", k ? ", " : "", text_of(inputs[k]["name"]), text_of(inputs[k]["type"]));
    if (inputs.size() > most_inputs)
        text += fmt::format(", … {} in all, {}", counted(inputs.size(), "tensor"), size_text(bytes_in(inputs)));
    return text.empty() ? "nothing" : text;
}

std::vector<std::string> guards_text(const Json& guards) {
    auto lines = guards.get<std::vector<std::string>>();
    if (lines.size() <= most_guards) return lines;
    const size_t left = lines.size() - (most_guards - 1);
    lines.resize(most_guards - 1);
    lines.push_back(fmt::format("… {} more", left));
    return lines;
}

std::string kernel_counts(const Json& half) {
    std::vector<std::string> library;
    for (const Json& name : half["library"]) library.push_back(text_of(name));
    std::string text = fmt::format("{}: {}", text_of(half["name"]), counted(half["kernels"].size(), "kernel"));
    if (const int64_t count = interpreted_kernels(half); count > 0)
        text += fmt::format(", {} of them interpreted: `compile: false`", count);
    if (!library.empty())
        text += fmt::format(", {} of the library ({})", counted(library.size(), "call"), counts_text(library));
    return text;
}

// As much of a line as fits, cut between characters.
std::string shortened(std::string text) {
    constexpr size_t most = 60;
    if (text.size() <= most) return text;
    size_t end = most;
    while ((text[end] & 0xC0) == 0x80) --end;
    return text.substr(0, end) + " …";
}

// Where the time goes: what the kernels and calls of each line of the source read and write, the largest first.
std::vector<std::string> source_lines(const Json& lines) {
    size_t width = 0;
    for (const Json* line : largest_first(lines, most_lines)) width = std::max(width, text_of((*line)["at"]).size());
    std::vector<std::string> out{
        fmt::format("{:<{}}  {:>6} {:>8} {:>6} {:>8}", "line", width, "nodes", "kernels", "calls", "traffic")};
    const auto number = [](const Json& line, const char* what) { return line[what].get<int64_t>(); };
    size_t shown = 0;
    for (const Json* line : largest_first(lines, most_lines)) {
        if (number(*line, "kernels") + number(*line, "calls") == 0) continue;
        ++shown;
        out.push_back(fmt::format("{:<{}}  {:>6} {:>8} {:>6} {:>8}  {}", text_of((*line)["at"]), width,
                                  number(*line, "nodes"), number(*line, "kernels"), number(*line, "calls"),
                                  size_text(number(*line, "bytes")), shortened(text_of((*line)["text"]))));
    }
    if (shown < lines.size()) out.push_back(fmt::format("… {}", counted(lines.size() - shown, "more line")));
    return out;
}

std::string page_text(const Json& graph, bool with_times) {
    std::string text = head_text(graph);
    append_lines(text, "called with", {inputs_text(graph["called_with"])});
    append_lines(text, "guards", guards_text(graph["guards"]));
    append_lines(text, "cache", {text_of(graph["cache"])});
    append_budget(text, graph, size_text);
    for (const char* what : {"saved", "recomputed"})
        if (graph.contains(what)) append_lines(text, what, largest_values(graph[what]));
    if (!graph.contains("halves")) return text;
    std::vector<std::string> kernels, memory, peak, compiled, made;
    Json refused = Json::array();
    for (const Json& half : graph["halves"]) {
        kernels.push_back(kernel_counts(half));
        if (half.contains("memory")) memory.push_back(memory_text(half, size_text));
        if (half.contains("peak")) add_peak(peak, half, most_peak_values, size_text);
        compiled.push_back(compiled_text(half, with_times));
        if (!half.contains("decisions")) continue;
        for (const Json& d : half["decisions"]) {
            made.push_back(text_of(d["what"]));
            if (d.contains("bytes")) refused.push_back(d);
        }
    }
    append_lines(text, "kernels", kernels);
    append_lines(text, "memory", memory);
    append_lines(text, "peak", peak);
    append_lines(text, "compiled", compiled);
    append_lines(text, "by line", source_lines(graph["lines"]));
    append_lines(text, "decided", {counts_text(made)});
    std::vector<std::string> refusals;
    for (const Json* d : largest_first(refused, most_refusals))
        refusals.push_back(fmt::format("{} written and read again, {}", size_text((*d)["bytes"].get<int64_t>() / 2),
                                       decision_text(*d)));
    append_lines(text, "costs most", refusals);
    append_lines(text, "everything", {"`tenon explain --all FILE`, and the field `all` of explain(f, x)"});
    return text;
}

}  // namespace

std::string explanation_text(const Json& graph, bool with_times, bool all) {
    std::string text = full_text(graph, with_times);
    const auto lines = static_cast<size_t>(std::ranges::count(text, '\n'));
    return all || lines <= page ? text : page_text(graph, with_times);
}

void append_lines(std::string& text, std::string_view heading, const std::vector<std::string>& lines) {
    for (const std::string& line : lines) {
        text += fmt::format("  {:<16}{}\n", heading, line);
        heading = {};
    }
}

std::string counted(size_t count, std::string_view noun) {
    return fmt::format("{} {}{}", count == 0 ? "no" : std::to_string(count), noun, count == 1 ? "" : "s");
}

}  // namespace tenon
