#include "frontend/builtins/tables.h"

namespace tenon {

std::span<const std::span<const Builtin>> builtin_tables() {
    static const std::span<const Builtin> tables[] = {
        host_builtins(),        container_builtins(),    string_builtins(),      model_builtins(),
        tensor_math_builtins(), tensor_shape_builtins(), tensor_make_builtins(), tensor_grad_builtins(),
        tensor_file_builtins(), graph_builtins(),
    };
    return tables;
}

}  // namespace tenon
