// The keys of `annotate {key: value}` that mean something: one table, which the resolver's spelling check, the check of
// values, `tenon help` and docs/reference.md read. Any other key is the script's own and is carried as it is.
#pragma once
#include <span>
#include <string_view>

#include "ir/context.h"

namespace tenon {

struct AnnotationKey {
    std::string_view name;
    std::string_view type;  // as messages say it: "a bool"
    bool (*holds)(const AttrValue&);
    std::string_view meaning;
    std::string_view reader;  // what acts on it; empty: nothing yet, so it is carried like a key of the script's own
};
std::span<const AnnotationKey> annotation_keys();

// The keys that something acts on: null for any other name.
const AnnotationKey* read_annotation_key(std::string_view name);

// `compile: false`: what is inside is not captured by itself, and its nodes are kernels of their own on the interpreter.
inline constexpr std::string_view compile_key = "compile";
bool stops_compiling(std::string_view key, const AttrValue&);

}  // namespace tenon
