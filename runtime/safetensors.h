// The .safetensors format: a JSON header, then raw little-endian data. https://github.com/huggingface/safetensors
#pragma once

#include <map>
#include <string>

#include "runtime/tensor.h"

namespace tenon {

using FileMetadata = std::map<std::string, std::string>;

/// In the order of the header. Throws Error "io" for what is damaged and for dtypes that tenon has not.
/// `metadata`, where given, receives the header's "__metadata__".
NamedTensors read_safetensors(const Allocator& allocator, const std::string& path, FileMetadata* metadata = nullptr);

/// In the order given, without gaps, as the format demands. Names must differ.
void write_safetensors(const std::string& path, const NamedTensors& tensors, const FileMetadata& metadata = {});

}  // namespace tenon
