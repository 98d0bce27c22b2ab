// Built-in functions, methods, blocks and constants, from their rows.
#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "frontend/help/topics.h"
#include "frontend/values/builtin_table.h"

namespace tenon {

namespace {

// The kinds that a row's first argument may be, if they are few enough to be told.
std::vector<std::string> kinds_of(const Builtin& row) {
    std::vector<std::string> names;
    if (row.first == any_kind) return names;
    for (int k = 0; k < kind_count; ++k) {
        std::string name(name_of(static_cast<Kind>(k)));
        if ((row.first >> k & 1) && std::ranges::find(names, name) == names.end()) names.push_back(std::move(name));
    }
    if (names.size() > 4) names.clear();
    return names;
}

// "x, dim?" of a method is its receiver and what stands in parentheses: "x.amax(dim?)".
std::string signature_of(const Builtin& row) {
    if (row.traits & scope_block && !row.call)
        return row.parameters.empty() ? fmt::format("{} {{ … }}", row.name)
                                      : fmt::format("{}({}) {{ … }}", row.name, row.parameters);
    if (!(row.traits & method_only)) return fmt::format("{}({})", row.name, row.parameters);
    const size_t end = row.parameters.find_first_of(",;");
    std::string_view rest = end == std::string_view::npos ? std::string_view{} : row.parameters.substr(end + 1);
    while (rest.starts_with(' ')) rest.remove_prefix(1);
    return fmt::format("{}.{}({})", row.parameters.substr(0, end), row.name, rest);
}

}  // namespace

void add_builtin_topics(Topics& topics, const BuiltinTable& builtins) {
    for (const BuiltinSection& section : builtin_sections()) {
        for (const Builtin& row : section.rows) {
            Topic topic{.name = std::string(row.name),
                        .signature = signature_of(row),
                        .tag = {},
                        .about = std::string(row.doc),
                        .section = "Built-in: " + std::string(section.title),
                        .part = {},
                        .owners = kinds_of(row)};
            const bool is_method = row.traits & method_only, is_block = row.traits & scope_block && !row.call;
            topic.tag = is_block ? "block" : is_method ? "method" : "function";
            if (!topic.owners.empty()) topic.tag += fmt::format(" of {}", fmt::join(topic.owners, ", "));
            if (row.traits & breaks_graph) topic.tag += "; ends a captured graph";
            topics.push_back(std::move(topic));
        }
    }
    for (const BuiltinGroup& group : builtins.groups()) {
        if (group.constant_doc.empty()) continue;
        topics.push_back({.name = std::string(group.name),
                          .signature = std::string(group.name),
                          .tag = "constant",
                          .about = std::string(group.constant_doc),
                          .section = "Built-in: constants",
                          .part = {},
                          .owners = {}});
    }
}

}  // namespace tenon
