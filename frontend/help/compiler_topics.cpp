// What the compiler knows by name: annotation keys, passes, rewrite rules, ops of graphs.
#include <fmt/format.h>

#include "frontend/help/topics.h"
#include "ir/annotation_keys.h"
#include "ir/pipeline/pipeline.h"
#include "ir/row.h"
#include "ir/passes/rules.h"

namespace tenon {

namespace {

std::string_view without_article(std::string_view text) {
    for (std::string_view article : {"a ", "an "})
        if (text.starts_with(article)) return text.substr(article.size());
    return text;
}

// "a float dtype", or the dtypes by name.
std::string dtypes_text(DTypes set) {
    for (DTypes named : {DTypes::floats, DTypes::integers, DTypes::boolean, DTypes::numeric, DTypes::integral})
        if (named == set) return std::string(describe(set));
    std::string text;
    for (int d = 0; d < dtype_count; ++d)
        if (const auto dtype = static_cast<DType>(d); admits(set, dtype))
            text += fmt::format("{}{}", text.empty() ? "" : " ", name_of(dtype));
    return text;
}

std::string_view lowering_of(const Row& row) {
    switch (row.lowering) {
        case Lowering::scalar: return "elementwise";
        case Lowering::movement: return "movement: no arithmetic, part of whoever reads it";
        case Lowering::reduce: return "reduction";
        case Lowering::loops: return "a loop nest of its own";
        case Lowering::tiles: return "loops over blocks, a kernel of its own";
        case Lowering::library: return "a call of the library";
        case Lowering::regions: return "its regions, which the executor runs";
        case Lowering::composite: return "other ops stand for it in kernels";
        case Lowering::structure: return "structure";
    }
    return {};
}

std::string operands_of(const Row& row) {
    if (row.max_operands < 0)
        return row.min_operands > 0 ? fmt::format("{} or more operands", row.min_operands)
                                    : std::string("any operands");
    if (row.min_operands == row.max_operands)
        return fmt::format("{} operand{}", row.min_operands, row.min_operands == 1 ? "" : "s");
    return fmt::format("{} to {} operands", row.min_operands, row.max_operands);
}

std::string about_op(const Row& row) {
    std::string text = fmt::format("{} ({}, {}", row.doc, operands_of(row), lowering_of(row));
    if (row.dtypes != DTypes::all) text += fmt::format(", of {}", dtypes_text(row.dtypes));
    if (row.ulp > 0) text += fmt::format(", f32 within {} ulp", row.ulp);
    text += ")";
    if (row.level == Level::tensor && !row.gradient) text += fmt::format("; no gradient: {}", row.no_gradient);
    if (row.level == Level::tensor && !row.batching) text += fmt::format("; no vmap: {}", row.no_batching);
    return text;
}

}  // namespace

void add_compiler_topics(Topics& topics) {
    for (const AnnotationKey& key : annotation_keys()) {
        topics.push_back({.name = std::string(key.name),
                          .signature = fmt::format("annotate {{{}: {}}} {{ … }}", key.name, without_article(key.type)),
                          .tag = "annotation key",
                          .about = fmt::format(
                              "{}\nread by: {}", key.meaning,
                              key.reader.empty() ? "nothing yet; it is carried, as a key of one's own is" : key.reader),
                          .section = "Annotation keys",
                          .part = {},
                          .owners = {"annotate"}});
    }
    for (const Pass& pass : every_pass()) {  // `tenon opt` knows those that need nothing but a graph
        topics.push_back({.name = std::string(pass.name),
                          .signature =
                              pass.run ? fmt::format("tenon opt --pass {} FILE", pass.name) : std::string(pass.name),
                          .tag = "pass",
                          .about = std::string(pass.doc),
                          .section = "Passes",
                          .part = {},
                          .owners = {"opt"}});
    }
    for (const Rule& rule : rules()) {
        topics.push_back(
            {.name = std::string(rule.name),
             .signature = fmt::format("{} → {}", rule.pattern, rule.replacement),
             .tag = "rewrite rule",
             .about = fmt::format(
                 "{}: {}{}", rule.name, rule.exactness == Exactness::exact ? "the same bits" : "within rounding",
                 rule.dtypes == DTypes::all ? std::string() : fmt::format(", of {}", dtypes_text(rule.dtypes))),
             .section = "Rewrite rules of the pass simplify",
             .part = {},
             .owners = {"simplify"}});
    }
    for (const Row& row : all_rows()) {
        topics.push_back({.name = std::string(row.name),
                          .signature = std::string(row.name),
                          .tag = row.level == Level::loop ? "op of a graph, loop level" : "op of a graph",
                          .about = about_op(row),
                          .section = "Ops of graphs",
                          .part = row.level == Level::loop ? "Loop level" : "Tensor level",
                          .owners = {"graph"}});
    }
}

}  // namespace tenon
