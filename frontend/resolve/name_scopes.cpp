#include "frontend/resolve/name_scopes.h"

#include <algorithm>

namespace tenon {

using namespace ast;

uint32_t NameScope::declare(Symbol name) {
    auto slot = static_cast<uint32_t>(variables.size());
    variables.push_back({name});
    names_[name] = slot;
    return slot;
}

std::optional<uint32_t> NameScope::find(Symbol name) const {
    auto found = names_.find(name);
    return found == names_.end() ? std::nullopt : std::optional(found->second);
}

uint32_t NameScope::add_capture(NameScope* owner, uint32_t key, Capture from_owner) {
    auto known = capture_numbers_.find({owner, key});
    if (known != capture_numbers_.end()) return known->second;
    Capture capture = from_owner;
    if (parent != owner) capture = {NameKind::captured, parent->add_capture(owner, key, from_owner), from_owner.name};
    auto number = static_cast<uint32_t>(captures_.size());
    captures_.push_back(capture);
    capture_numbers_[{owner, key}] = number;
    return number;
}

uint32_t NameScope::capture(NameScope& owner, uint32_t slot) {
    Variable& variable = owner.variables[slot];
    variable.is_cell = true;
    owner.mark_turn(slot, false);
    return add_capture(&owner, slot, {NameKind::cell, slot, variable.name});
}

uint32_t NameScope::capture_global(NameScope& main, uint32_t slot, Symbol name) {
    main.mark_turn(slot, true);
    constexpr uint32_t is_global = 1u << 31;  // slots of the script's frame are numbered by themselves
    return add_capture(&main, slot | is_global, {NameKind::global, slot, name});
}

void NameScope::mark_turn(uint32_t variable, bool is_global) {
    for (auto turn = turns.rbegin(); turn != turns.rend(); ++turn) {
        if (turn->are_globals != is_global || std::ranges::count(turn->variables, variable) == 0) continue;
        if (std::ranges::count(turn->captured, variable) == 0) turn->captured.push_back(variable);
        return;
    }
}

void NameScope::finish(Arena& arena) {
    for (PendingOutputs& pending : outputs) {
        std::vector<NameUse> uses = pending.others;
        Span inside = pending.block->body->span;
        for (uint32_t slot : pending.variables) {
            const Variable& variable = variables[slot];
            bool read_outside = std::ranges::any_of(variable.uses, [&](const UseSite& site) {
                return site.is_read && (site.span.begin < inside.begin || site.span.begin >= inside.end);
            });
            if (variable.is_cell || read_outside)
                uses.push_back({variable.is_cell ? NameKind::cell : NameKind::local, slot});
        }
        pending.block->outputs = arena.copy(uses);
    }
    std::vector<Symbol> names;
    std::vector<uint32_t> cells;
    for (uint32_t slot = 0; slot < variables.size(); slot++) {
        Variable& variable = variables[slot];
        names.push_back(variable.name);
        for (UseSite& site : variable.uses) *site.use = {variable.is_cell ? NameKind::cell : NameKind::local, slot};
        if (variable.parameter) {
            variable.parameter->is_cell = variable.is_cell;
        } else if (variable.is_cell) {
            cells.push_back(slot);
        }
    }
    function.slot_count = static_cast<uint32_t>(variables.size());
    function.slot_names = arena.copy(names);
    function.cell_slots = arena.copy(cells);
    function.captures = arena.copy(captures_);
    function.hoisted = arena.copy(hoisted);
    function.hoisted_models = arena.copy(hoisted_models);
    function.dimension_slots = arena.copy(dimensions);
}

}  // namespace tenon
