// What somebody who wrote an unknown name may have meant.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "frontend/syntax/symbols.h"

namespace tenon {

/// A way out for names that other languages have and this one spells differently; empty if there is none.
std::string advice_for_foreign_name(std::string_view name);

/// What a name of the language will be that is not there yet, or nothing: "the order in which models ran".
std::string_view planned_name(std::string_view name);

/// The annotation key that the compiler reads and from which this one differs by one letter, or by upper and lower case;
/// empty where there is none.
std::string_view misspelt_annotation_key(std::string_view key);

/// The number of letters to insert, remove, change or swap to get from one to the other.
int edit_distance(std::string_view a, std::string_view b);

}  // namespace tenon
