// Scripts as modules: each file and each part of the standard library is parsed, resolved and run once.
#pragma once

#include <deque>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "frontend/resolve/resolver.h"
#include "frontend/syntax/arena.h"
#include "frontend/syntax/ast.h"
#include "frontend/values/function.h"
#include "frontend/values/value.h"
#include "runtime/diagnostic.h"

namespace tenon {

class Session;

/// One script with its variables. Lives as long as its session.
class Module {
public:
    Module(uint32_t number_, std::string name_, std::string folder_)
        : number(number_), name(std::move(name_)), folder(std::move(folder_)) {
        environment.module = this;
    }

    const uint32_t number;
    const std::string name;    ///< "std.nn", or the path
    std::string folder;        ///< what `use "./file.model"` starts from, in what is compiled next
    Arena arena;
    ModuleScope scope;
    std::vector<Ref<CellObject>> globals;
    std::vector<CellObject*> imports;  ///< beside scope.imports(); filled when first read
    ast::Script* script = nullptr;     ///< what run_once runs
    Environment environment;           ///< of the script's own lines
    enum class State : uint8_t { fresh, running, done } state = State::fresh;
};

/// A script that cannot run: everything found wrong with it, in the order of the text.
class InvalidScript : public std::exception {
public:
    explicit InvalidScript(std::vector<Diagnostic> found) : diagnostics(std::move(found)) {}
    const char* what() const noexcept override { return "the script is not valid"; }

    std::vector<Diagnostic> diagnostics;
};

class Modules {
public:
    explicit Modules(Session& session) : session_(session) {}

    /// A module for a script of its own: a file to run, or the prompt.
    Module& add(std::string name, std::string folder);
    /// Parses and resolves text into `module`, whose scope grows. Throws InvalidScript.
    ast::Script& compile(Module& module, std::string source_name, std::string text, bool interactive = false);
    /// The file at `path`, as `tenon run` takes it. Throws Error "io", InvalidScript.
    Module& open(const std::string& path);

    Module& operator[](uint32_t number) { return modules_[number]; }
    /// Runs the module's top level unless that has happened.
    void run_once(Module& module, Span use);
    /// The variable behind an imported name.
    CellObject& imported(Module& module, uint32_t number);
    /// Lets go of all that scripts hold: the session ends.
    void drop_variables();
    /// Every name in scope without a `use`, for completion and "did you mean".
    std::vector<Symbol> names_in_scope();

private:
    NameSource names_for(Module& module);
    Module& load(Module& user, ast::UseItem& item);
    Module* standard_module(std::string_view name);
    Module* prelude(std::string_view name);

    Session& session_;
    std::deque<Module> modules_;
    std::unordered_map<std::string, uint32_t> numbers_;  // by name, of what `use` loaded
    std::vector<std::string> loading_;                   // for cycles
    bool prelude_loading_ = false;
};

}  // namespace tenon
