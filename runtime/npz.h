// The .npz format of NumPy: a zip archive of .npy files.
#pragma once

#include <string>

#include "runtime/tensor.h"

namespace tenon {

/// In the order of the file; names are without ".npy". Entries may be stored or deflated. Throws Error "io" for what is
/// damaged or is no array.
NamedTensors read_npz(const Allocator& allocator, const std::string& path);

/// As numpy.savez does; `compressed` as numpy.savez_compressed.
void write_npz(const std::string& path, const NamedTensors& tensors, bool compressed = false);

}  // namespace tenon
