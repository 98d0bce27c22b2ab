#include "frontend/resolve/resolver.h"

namespace tenon {

std::optional<uint32_t> ModuleScope::find(Symbol name) const {
    auto found = slots_.find(name);
    return found == slots_.end() ? std::nullopt : std::optional(found->second);
}

uint32_t ModuleScope::add(Symbol name) {
    auto [place, is_new] = slots_.emplace(name, static_cast<uint32_t>(globals_.size()));
    if (is_new) globals_.push_back({name});
    return place->second;
}

std::optional<uint32_t> ModuleScope::find_import(Symbol name) const {
    auto found = import_numbers_.find(name);
    return found == import_numbers_.end() ? std::nullopt : std::optional(found->second);
}

uint32_t ModuleScope::add_import(const Export& name) {
    auto number = static_cast<uint32_t>(imports_.size());
    imports_.push_back(name);
    import_numbers_[name.name] = number;
    return number;
}

std::vector<Export> ModuleScope::exports(uint32_t module) const {
    std::vector<Export> result;
    for (uint32_t slot = 0; slot < globals_.size(); slot++) {
        const Global& global = globals_[slot];
        if (global.is_private) continue;
        result.push_back({global.name, module, slot, global.is_function, global.signature});
    }
    return result;
}

}  // namespace tenon
