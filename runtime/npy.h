// The .npy format of NumPy: one array in a file.
// https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "runtime/function_ref.h"
#include "runtime/tensor.h"

namespace tenon {

/// Reads versions 1 to 3, either byte order, C or Fortran order, into a row-major tensor. Throws Error "io" for
/// anything else and for what is damaged; never allocates more than the file's size says.
Tensor read_npy(const Allocator& allocator, const std::string& path);
/// The same from a source of `size` bytes: `read` fills its argument with the next ones. `name` is for messages.
Tensor read_npy(const Allocator& allocator, uint64_t size, FunctionRef<void(std::span<std::byte>)> read,
                std::string_view name);

/// Version 1.0, C order. bf16 has no .npy type: Error "dtype".
void write_npy(const std::string& path, const Tensor& tensor);
/// The header of `tensor`'s file: magic, version, length, description, padded to 64 bytes.
std::string npy_header(const Tensor& tensor);

}  // namespace tenon
