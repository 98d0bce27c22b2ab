// Scripts looked at without running them, with a small set of built-ins that does not change when the language grows.
#pragma once

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "frontend/syntax/ast_printer.h"
#include "frontend/syntax/diagnostics_renderer.h"
#include "frontend/syntax/parser.h"
#include "frontend/resolve/resolver.h"

namespace tenon::syntax_tests {

inline std::string read(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

inline std::filesystem::path folder(const char* name) {
    return std::filesystem::path(TENON_SOURCE_DIR) / "tests/_syntax" / name;
}

inline std::vector<std::filesystem::path> scripts(const std::filesystem::path& directory) {
    std::vector<std::filesystem::path> result;
    for (const auto& entry : std::filesystem::directory_iterator(directory)) {
        if (entry.path().extension() == ".model") result.push_back(entry.path());
    }
    std::sort(result.begin(), result.end());
    return result;
}

/// A text, parsed and, if that went well, resolved.
struct Looked {
    explicit Looked(const std::string& text, const std::string& name = "test.model") {
        parsed = parse(sources.add(name, text), sources, symbols, arena);
        diagnostics = parsed.diagnostics;
        if (diagnostics.empty()) look_up_names();
    }

    void look_up_names() {
        static constexpr std::array builtins = {"print", "len",     "range",      "relu",     "sin",
                                                "zeros", "compile", "checkpoint", "annotate", "no_grad"};
        constexpr uint32_t first_scope = 7;
        NameSource names;
        names.builtin = [this](Symbol name) -> std::optional<BuiltinName> {
            auto found = std::find(builtins.begin(), builtins.end(), symbols.text(name));
            if (found == builtins.end()) return std::nullopt;
            auto index = static_cast<uint32_t>(found - builtins.begin());
            return BuiltinName{index, index >= first_scope};
        };
        names.all_names = [this] {
            std::vector<Symbol> result;
            for (const char* name : builtins) result.push_back(symbols.intern(name));
            return result;
        };
        names.load = [this](ast::UseItem&) {
            return std::vector<Export>{{symbols.intern("imported"), 1, 0, true, nullptr}};
        };
        names.module_of = [this](Symbol name) { return symbols.text(name) == "Linear" ? "std.nn" : ""; };
        diagnostics = resolve(*parsed.script, module, names, symbols, arena);
    }

    std::string errors() const {
        std::string result;
        for (const Diagnostic& diagnostic : diagnostics) result += render(diagnostic, sources, false);
        return result;
    }

    std::string tree() const { return print_tree(*parsed.script, symbols, sources); }

    SourceMap sources;
    SymbolTable symbols;
    Arena arena;
    ModuleScope module;
    ParseResult parsed;
    std::vector<Diagnostic> diagnostics;
};

}  // namespace tenon::syntax_tests
