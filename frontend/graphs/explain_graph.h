// What is told about one captured graph: gathered as a JSON object, from which the text for people is written.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "frontend/record/capture.h"

namespace tenon {

class SourceMap;
struct Event;

/// {"number", "function", "nodes", "ended_by", "ended_at", "called_with": [{"name", "type", "bytes"}], "guards": [text],
///  "cache", "budget": {"allowed", "without", "peak": bytes of a call and its backward, "again": values computed again for
///  it, "work_again" in additions, "level", "levels"}, "saved", "recomputed": [{"name", "type", "bytes", "why", "at"}], "halves": [half], "lines": [{"at", "text",
///  "nodes", "kernels", "calls", "bytes"}]}: of the script's lines what comes from them, and the bytes that their kernels
///  and library calls read and write; a half is
/// {"name": "forward" or "backward", "kernels": [{"name", "ops"}], "library": [ops], "memory": {"inputs", "results",
///  "saved", "between"} in bytes, "peak": {"bytes": all that a run takes, "in_use": of intermediate values, "step", "at",
///  "values": [{"name", "type", "bytes", "count", "at"}]: those there then, "turns"}, "passes": [{"pass", "milliseconds", "nodes"}], "machine_code": {"kernels", "compiled",
///  "milliseconds", "in_background"}, "engine": text, "decisions": [{"what", "subject", "why", "at", "bytes"}]}, with the
///  bytes of memory traffic that a refusal costs.
/// What is not known (a backward half that nothing has asked for has no memory yet) is left out.
nlohmann::ordered_json explain_graph(const SourceMap& sources, size_t number, const CapturedGraph& captured);

/// One such object a graph, numbered from 1.
nlohmann::ordered_json explain_graphs(const SourceMap& sources, const std::vector<CapturedGraph>& log);

/// All of that as text or, where that is longer than a page and not `all` is asked for, counts, the lines and values that
/// cost most, and the refusals that do. Times differ from run to run: `with_times` only for people at a terminal.
std::string explanation_text(const nlohmann::ordered_json& graph, bool with_times, bool all);

/// "3 breaks", "no break"
std::string counted(size_t count, std::string_view noun);
/// "net.model:9:19"; "the script" for no place.
std::string place_or_script(const SourceMap& sources, Span span);
/// The reason of a break and where it is.
std::string event_text(const SourceMap& sources, const Event& event);

/// One line an item, the first behind its heading, the others below it.
void append_lines(std::string& text, std::string_view heading, const std::vector<std::string>& lines);

}  // namespace tenon
