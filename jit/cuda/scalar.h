// Elementwise ops as CUDA C++ device functions, by the name of their row: the definitions of ir/scalar/.
#pragma once
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/dtype.h"

namespace tenon::cuda_engine {

/// The type that holds a scalar ("f32" also for f16 and bf16, "bool"), and an element in memory ("u16", "u8" for them).
std::string register_type(DType);
std::string memory_type(DType);
/// A constant in a register, rounded to the dtype. `integer` counts where the dtype is not a float.
std::string constant_of(DType, double real, int64_t integer);

/// `__device__ inline f32 tanh_f32(f32 a) { … }`: the op on operands of `dtype` (those after the condition for
/// `where`). Empty where the op has no scalar definition for the dtype.
std::string scalar_function(std::string_view op, DType dtype);
std::string scalar_function_name(std::string_view op, DType dtype);
/// The functions that it calls, which must stand before it.
std::vector<std::pair<std::string_view, DType>> helpers_of(std::string_view op, DType dtype);
/// Whether the op on `dtype` fails for some operands: `bool tanh_f32_fault(a, b)`; empty where it cannot.
std::string fault_function(std::string_view op, DType dtype);
/// `__device__ inline i64 cast_f32_i64(f32 a) { … }`
std::string cast_function(DType from, DType to);
std::string cast_function_name(DType from, DType to);

}  // namespace tenon::cuda_engine
