// The standard library: names, parameters and the comments above them, read from its sources.
#include <algorithm>

#include <fmt/format.h>

#include "frontend/evaluate/embedded.h"
#include "frontend/help/topics.h"
#include "frontend/syntax/parser.h"

namespace tenon {

namespace {

std::string_view trimmed(std::string_view text) {
    while (text.starts_with(' ')) text.remove_prefix(1);
    while (text.ends_with(' ')) text.remove_suffix(1);
    return text;
}

/// A module's text: what stands above its declarations.
class LibraryReader {
public:
    LibraryReader(Topics& topics, const EmbeddedFile& file)
        : topics_(topics), module_(fmt::format("std.{}", file.name)) {
        source_ = sources_.add(fmt::format("std/{}.model", file.name), std::string(file.text));
        is_prelude_ = is_prelude(file.name);
    }

    void run() {
        const ParseResult parsed = parse(source_, sources_, symbols_, arena_);
        topics_.push_back({.name = module_,
                           .signature = is_prelude_ ? module_ : "use " + module_,
                           .tag = "module",
                           .about = comment_below(1),
                           .section = "Library: " + module_,
                           .part = {},
                           .owners = {}});
        for (const ast::Statement* statement : parsed.script->main->body->statements) {
            if (statement->kind == ast::StatementKind::function_declaration) {
                const auto& declaration = ast::as<ast::FunctionDeclaration>(*statement);
                add(*declaration.function, declaration.function->name, declaration.function->name_span, *statement,
                    declaration.decorators, {});
            } else if (statement->kind == ast::StatementKind::model_declaration) {
                const auto& declaration = ast::as<ast::ModelDeclaration>(*statement);
                const ast::Model& model = *declaration.model;
                add(*model.constructor, model.name, model.name_span, *statement, declaration.decorators,
                    methods_of(model));
            }
        }
    }

private:
    std::string_view line(uint32_t number) const { return sources_.text(sources_.line_span(source_, number)); }

    static bool is_ruler(std::string_view text) { return text.starts_with("# ----"); }

    // The comment that begins in this line.
    std::string comment_below(uint32_t number) const {
        std::string text;
        for (; number <= sources_.line_count(source_) && line(number).starts_with('#'); ++number)
            append(text, line(number));
        return text;
    }
    // The comment that ends in the line above this one.
    std::string comment_above(uint32_t number) const {
        uint32_t first = number;
        while (first > 1 && line(first - 1).starts_with('#') && !is_ruler(line(first - 1))) --first;
        std::string text;
        for (; first < number; ++first) append(text, line(first));
        return text;
    }
    static void append(std::string& text, std::string_view line) {
        line.remove_prefix(line.starts_with("# ") ? 2 : 1);
        text += fmt::format("{}{}", text.empty() ? "" : "\n", line);
    }
    // "Losses. reduction: …" of the last ruler above: a heading, and what holds for all below it.
    std::string_view ruler_above(uint32_t number) const {
        while (number > 1 && !is_ruler(line(number - 1))) --number;
        if (number == 1) return {};
        std::string_view text = line(number - 1);
        text.remove_prefix(1);
        while (text.starts_with(' ') || text.starts_with('-')) text.remove_prefix(1);
        while (text.ends_with(' ') || text.ends_with('-')) text.remove_suffix(1);
        return text;
    }

    std::string signature(const ast::Function& function, Span name) const {
        Span whole = name;
        std::string_view close = "()";
        for (const ast::Parameter& parameter : function.parameters) {
            whole.end = std::max(whole.end, parameter.span.end);
            close = ")";
        }
        return fmt::format("{}{}", sources_.text(whole), close);
    }
    std::string methods_of(const ast::Model& model) const {
        std::string text;
        for (const ast::Statement* statement : model.constructor->body->statements) {
            if (statement->kind != ast::StatementKind::function_declaration) continue;
            const ast::Function& method = *ast::as<ast::FunctionDeclaration>(*statement).function;
            if (symbols_.text(method.name).starts_with('_')) continue;
            text += fmt::format("{}{}", text.empty() ? "" : ", ", signature(method, method.name_span));
            // What a short one computes is its best description.
            if (method.value && method.value->span.end - method.value->span.begin < 60)
                text += fmt::format(" = {}", sources_.text(method.value->span));
        }
        return text;
    }

    void add(const ast::Function& function, Symbol symbol, Span name_span, const ast::Statement& statement,
             std::span<ast::Expr*> decorators, const std::string& methods) {
        const std::string& name = symbols_.text(symbol);
        if (name.starts_with('_')) return;
        uint32_t first = sources_.line(statement.span);
        for (const ast::Expr* decorator : decorators) first = std::min(first, sources_.line(decorator->span));
        const std::string_view ruler = ruler_above(first);
        const size_t stop = ruler.find(". ");
        std::string about = comment_above(first);
        if (!methods.empty()) about += fmt::format("{}methods: {}", about.empty() ? "" : "\n", methods);
        if (stop != std::string_view::npos) about += fmt::format("\n{}", trimmed(ruler.substr(stop + 2)));
        topics_.push_back({.name = name,
                           .signature = signature(function, name_span),
                           .tag = is_prelude_ ? "library, always in scope" : fmt::format("library: use {}", module_),
                           .about = std::move(about),
                           .section = "Library: " + module_,
                           .part = std::string(ruler.substr(0, stop)),
                           .owners = {module_, module_.substr(module_.find('.') + 1)}});
    }

    Topics& topics_;
    std::string module_;
    bool is_prelude_ = false;
    SourceMap sources_;
    SymbolTable symbols_;
    Arena arena_;
    SourceId source_ = 0;
};

}  // namespace

void add_library_topics(Topics& topics) {
    // What is always in scope first.
    for (const bool prelude : {true, false}) {
        for (const EmbeddedFile& file : standard_library_files())
            if (is_prelude(file.name) == prelude) LibraryReader(topics, file).run();
    }
}

}  // namespace tenon
