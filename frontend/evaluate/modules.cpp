#include "frontend/evaluate/modules.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "frontend/evaluate/embedded.h"
#include "frontend/evaluate/evaluator.h"
#include "frontend/evaluate/session.h"
#include "frontend/syntax/parser.h"
#include "frontend/values/errors.h"
#include "runtime/file.h"

namespace tenon {

namespace {

constexpr uint64_t largest_script = uint64_t{64} << 20;

std::string folder_of(const std::string& path) { return std::filesystem::path(path).parent_path().string(); }

const EmbeddedFile* standard_file(std::string_view name) {
    for (const EmbeddedFile& file : standard_library_files()) {
        if (file.name == name) return &file;
    }
    return nullptr;
}

}  // namespace

Module& Modules::add(std::string name, std::string folder) {
    return modules_.emplace_back(static_cast<uint32_t>(modules_.size()), std::move(name), std::move(folder));
}

ast::Script& Modules::compile(Module& module, std::string source_name, std::string text, bool interactive) {
    const auto used = numbers_.find(module.name);
    const bool is_used = used != numbers_.end() && used->second == module.number;
    SourceId source = session_.sources().add(std::move(source_name), std::move(text), is_used);
    ParseResult parsed = parse(source, session_.sources(), session_.symbols(), module.arena);
    if (!parsed.diagnostics.empty()) throw InvalidScript(std::move(parsed.diagnostics));
    ResolveOptions options;
    options.interactive = interactive;
    std::vector<Diagnostic> found =
        resolve(*parsed.script, module.scope, names_for(module), session_.symbols(), module.arena, options);
    if (!found.empty()) throw InvalidScript(std::move(found));
    module.script = parsed.script;
    return *parsed.script;
}

Module& Modules::open(const std::string& path) {
    std::string text = tenon::read_text(path, largest_script);
    Module& module = add(path, folder_of(path));
    compile(module, path, std::move(text));
    return module;
}

void Modules::run_once(Module& module, Span use) {
    if (module.state == Module::State::done) return;
    if (module.state == Module::State::running) {
        throw_error_at(use, "name", fmt::format("{} uses itself", module.name),
                       "move what both need into a third file");
    }
    module.state = Module::State::running;
    try {
        session_.evaluator().run_module(module);
    } catch (...) {
        module.state = Module::State::fresh;
        throw;
    }
    module.state = Module::State::done;
}

CellObject& Modules::imported(Module& module, uint32_t number) {
    if (number >= module.imports.size()) module.imports.resize(module.scope.imports().size(), nullptr);
    CellObject*& cell = module.imports[number];
    if (!cell) {
        const Export& from = module.scope.imports()[number];
        Module& source = modules_[from.module];
        run_once(source, {});  // of the prelude nobody said `use`
        cell = source.globals[from.slot].get();
    }
    return *cell;
}

Module* Modules::prelude(std::string_view name) {
    // While a prelude itself is resolved its names are its own.
    if (prelude_loading_) return nullptr;
    return standard_module(name);
}

Module* Modules::standard_module(std::string_view name) {
    std::string full = fmt::format("std.{}", name);
    if (auto found = numbers_.find(full); found != numbers_.end()) return &modules_[found->second];
    const EmbeddedFile* file = standard_file(name);
    if (!file) return nullptr;
    Module& module = add(full, "");
    numbers_.emplace(full, module.number);
    bool outer = std::exchange(prelude_loading_, prelude_loading_ || is_prelude(name));
    compile(module, fmt::format("std/{}.model", name), std::string(file->text));
    prelude_loading_ = outer;
    return &module;
}

Module& Modules::load(Module& user, ast::UseItem& item) {
    const std::string& path = session_.symbols().text(item.path);
    if (!item.is_file) {
        std::string_view name = path;
        if (name.starts_with("std.")) name.remove_prefix(4);
        if (Module* module = standard_module(name)) {
            item.module = module->number;
            return *module;
        }
        std::string names;
        for (const EmbeddedFile& file : standard_library_files())
            names += fmt::format("{}std.{}", names.empty() ? "" : ", ", file.name);
        throw_error_at(item.span, "name", fmt::format("there is no module `{}`", path),
                       fmt::format("the standard library has {}; a file is written `use \"./name.model\"`", names));
    }
    std::filesystem::path full = std::filesystem::path(path).is_absolute() ? std::filesystem::path(path)
                                                                           : std::filesystem::path(user.folder) / path;
    std::string name = full.lexically_normal().string();
    if (auto found = numbers_.find(name); found != numbers_.end()) {
        if (std::find(loading_.begin(), loading_.end(), name) != loading_.end()) {
            throw_error_at(item.span, "name", fmt::format("{} uses itself", name),
                           "move what both need into a third file");
        }
        item.module = found->second;
        return modules_[found->second];
    }
    std::string text;
    try {
        text = tenon::read_text(name, largest_script);
    } catch (Error& error) {
        error.diagnostic.span = item.span;
        throw;
    }
    Module& module = add(name, folder_of(name));
    numbers_.emplace(name, module.number);
    loading_.push_back(name);
    try {
        compile(module, name, std::move(text));
    } catch (...) {
        loading_.pop_back();
        numbers_.erase(name);
        throw;
    }
    loading_.pop_back();
    item.module = module.number;
    return module;
}

NameSource Modules::names_for(Module& module) {
    NameSource names;
    const BuiltinTable& builtins = session_.builtins();
    names.builtin = [&builtins](Symbol name) -> std::optional<BuiltinName> {
        std::optional<uint32_t> number = builtins.find(name);
        if (!number) return {};
        const BuiltinGroup& group = builtins[*number];
        bool callable = std::any_of(group.rows.begin(), group.rows.end(),
                                    [](const BuiltinRow& row) { return row.builtin->call != nullptr; });
        return BuiltinName{*number, group.is_scope, group.is_scope && !callable};
    };
    names.prelude = [this](Symbol name) -> std::optional<Export> {
        if (session_.symbols().text(name).starts_with('_')) return {};
        for (std::string_view file : prelude_names) {
            Module* prelude = this->prelude(file);
            if (!prelude) return {};
            if (const std::optional<uint32_t> slot = prelude->scope.find(name)) {
                const ModuleScope::Global& global = prelude->scope.global(*slot);
                return Export{name, prelude->number, *slot, global.is_function, global.signature};
            }
        }
        return {};
    };
    names.load = [this, &module](ast::UseItem& item) {
        Module& loaded = load(module, item);
        return loaded.scope.exports(loaded.number);
    };
    names.all_names = [this] { return names_in_scope(); };
    names.module_of = [this](Symbol name) -> std::string {
        for (const EmbeddedFile& file : standard_library_files()) {
            if (is_prelude(file.name)) continue;
            Module* module = standard_module(file.name);
            if (module && module->scope.find(name)) return module->name;
        }
        return {};
    };
    return names;
}

void Modules::drop_variables() {
    for (Module& module : modules_) {
        for (const Ref<CellObject>& cell : module.globals) {
            if (cell) cell->value = Value::unset();
        }
        module.imports.clear();
    }
}

std::vector<Symbol> Modules::names_in_scope() {
    std::vector<Symbol> names;
    for (const BuiltinGroup& group : session_.builtins().groups()) {
        if (!group.is_method_only) names.push_back(group.symbol);
    }
    for (std::string_view file : prelude_names) {
        if (Module* prelude = this->prelude(file))
            for (const Export& name : prelude->scope.exports(prelude->number)) names.push_back(name.name);
    }
    return names;
}

}  // namespace tenon
