// The tables of built-ins, one a file of this folder or of frontend/builtins; tables.cpp there hands all of them to the session.
#pragma once

#include <span>

#include "frontend/values/builtin.h"

namespace tenon {

std::span<const Builtin> host_builtins();          // host.cpp
std::span<const Builtin> container_builtins();     // containers.cpp: methods of list, tuple and dict
std::span<const Builtin> string_builtins();        // strings.cpp: methods of str
std::span<const Builtin> model_builtins();         // models.cpp: parameters, train, eval, …
std::span<const Builtin> tensor_math_builtins();   // tensor_math.cpp
std::span<const Builtin> tensor_contract_builtins();     // tensor_contract.cpp
std::span<const Builtin> tensor_convolution_builtins();  // tensor_convolution.cpp
std::span<const Builtin> tensor_shape_builtins();  // tensor_shape.cpp
std::span<const Builtin> tensor_make_builtins();   // tensor_make.cpp
std::span<const Builtin> tensor_grad_builtins();   // tensor_grad.cpp
std::span<const Builtin> checkpoint_builtins();    // checkpoint.cpp
std::span<const Builtin> tensor_file_builtins();   // tensor_file.cpp
std::span<const Builtin> tape_builtins();
std::span<const Builtin> graph_builtins();         // graphs.cpp

}  // namespace tenon
