// The .cuh files of this folder, put into the binary: NVRTC gets them as headers.
#pragma once
#include "runtime/embedded_file.h"

namespace tenon {

std::span<const EmbeddedFile> cuda_files();

}  // namespace tenon
