#include "frontend/resolve/call_check.h"

#include <fmt/format.h>
#include <vector>

#include "frontend/resolve/resolver.h"

namespace tenon {

using namespace ast;

std::optional<Diagnostic> check_call(const Function& function, const Arguments& arguments, Span call,
                                     const SymbolTable& symbols) {
    if (arguments.has_spread) return std::nullopt;
    const std::string& name = symbols.text(function.name);
    std::vector<Label> declared{{function.name_span, "declared here"}};

    size_t by_position = 0;
    bool takes_rest = false, takes_keywords = false;
    std::vector<Symbol> names;
    for (const Parameter& parameter : function.parameters) {
        if (parameter.kind == ParameterKind::rest) takes_rest = true;
        else if (parameter.kind == ParameterKind::keywords) takes_keywords = true;
        else names.push_back(parameter.name);
        by_position += parameter.kind == ParameterKind::plain && !parameter.keyword_only;
    }
    if (arguments.positional > by_position && !takes_rest) {
        return Diagnostic{
            "arity",
            fmt::format("`{}` takes {} argument{}, but {} {} given", name, by_position, by_position == 1 ? "" : "s",
                        arguments.positional, arguments.positional == 1 ? "is" : "are"),
            call,
            std::move(declared),
            {}};
    }
    std::vector<bool> given(function.parameters.size());
    for (size_t i = 0; i < std::min<size_t>(arguments.positional, by_position); i++) given[i] = true;
    for (const Argument& argument : arguments.items.subspan(arguments.positional)) {
        size_t at = 0;
        while (at < function.parameters.size() && (function.parameters[at].name != argument.name ||
                                                   function.parameters[at].kind != ParameterKind::plain)) {
            at++;
        }
        if (at == function.parameters.size()) {
            if (takes_keywords) continue;
            auto nearest = nearest_name(argument.name, names, symbols);
            std::string help = nearest ? fmt::format("did you mean `{}`?", symbols.text(*nearest)) : "";
            return Diagnostic{"arity", fmt::format("`{}` has no parameter `{}`", name, symbols.text(argument.name)),
                              argument.span, std::move(declared), std::move(help)};
        }
        if (given[at]) {
            return Diagnostic{"arity",
                              fmt::format("`{}` is given twice", symbols.text(argument.name)),
                              argument.span,
                              std::move(declared),
                              {}};
        }
        given[at] = true;
    }
    std::string missing;
    for (size_t i = 0; i < given.size(); i++) {
        const Parameter& parameter = function.parameters[i];
        if (given[i] || parameter.kind != ParameterKind::plain || parameter.default_value) continue;
        missing += fmt::format("{}`{}`", missing.empty() ? "" : ", ", symbols.text(parameter.name));
    }
    if (missing.empty()) return std::nullopt;
    return Diagnostic{
        "arity", fmt::format("this call of `{}` gives no value for {}", name, missing), call, std::move(declared), {}};
}

}  // namespace tenon
