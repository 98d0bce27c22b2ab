#include "ir/annotation_keys.h"

namespace tenon {

namespace {

template <class T>
bool holds_kind(const AttrValue& v) {
    return std::holds_alternative<T>(v.value);
}

constexpr AnnotationKey known_annotation_keys[] = {
    {compile_key, "a bool", holds_kind<bool>,
     "false: each op inside is a kernel of its own that stays on the interpreter, and a function so decorated begins "
     "no "
     "graph; what backward computes is compiled all the same",
     "capture, and the pass `fuse`"},
    {"pp_stage", "an int", holds_kind<int64_t>, "the stage of a pipeline that a node belongs to", ""},
    {"fsdp_bucket", "an int", holds_kind<int64_t>, "which parameters are gathered and reduced together", ""},
    {"cuda_stream", "an int", holds_kind<int64_t>, "the stream of a GPU that a node runs on", ""},
};

}  // namespace

std::span<const AnnotationKey> annotation_keys() { return known_annotation_keys; }

const AnnotationKey* read_annotation_key(std::string_view name) {
    for (const AnnotationKey& key : known_annotation_keys)
        if (key.name == name && !key.reader.empty()) return &key;
    return nullptr;
}

bool stops_compiling(std::string_view key, const AttrValue& value) {
    const bool* compiles = std::get_if<bool>(&value.value);
    return key == compile_key && compiles && !*compiles;
}

}  // namespace tenon
