// The .npy format of NumPy: one array in a file.
// https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "runtime/tensor.h"

namespace tenon {

/// Reads versions 1 to 3, either byte order, C or Fortran order. Throws Error "io" for anything else and for files that
/// are damaged; allocates no more than the file's own size.
Tensor read_npy(const Allocator& allocator, const std::string& path);
/// The same from memory; `name` is for messages.
Tensor parse_npy(const Allocator& allocator, std::span<const std::byte> bytes, std::string_view name);

/// Version 1.0, C order. bf16 has no .npy type: Error "dtype".
void write_npy(const std::string& path, const Tensor& tensor);
/// The header of `tensor`'s file: magic, version, length, description, padded to 64 bytes.
std::string npy_header(const Tensor& tensor);

}  // namespace tenon
