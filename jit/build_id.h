// The number of the build: program and tenon_llvm.so share layouts, op rows and signatures only where they have the same.
// It is a hash of the sources and of how they are compiled (cmake/build_id.cmake).
#pragma once

#include <string_view>

namespace tenon {

/// Of the program.
std::string_view build_id();

/// Under this name tenon_llvm.so exports its own, as text that ends in a zero.
inline constexpr const char* module_build_id_symbol = "tenon_llvm_build_id";

}  // namespace tenon
