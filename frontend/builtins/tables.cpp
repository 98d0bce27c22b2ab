#include "frontend/methods/tables.h"

namespace tenon {

std::span<const BuiltinSection> builtin_sections() {
    static const BuiltinSection sections[] = {
        {"Host values, conversions, the world outside", host_builtins()},
        {"Methods of lists, tuples and dicts", container_builtins()},
        {"Methods of strs", string_builtins()},
        {"Models", model_builtins()},
        {"Arithmetic, comparisons and reductions of tensors", tensor_math_builtins()},
        {"Products of matrices and sums of products", tensor_contract_builtins()},
        {"Convolutions", tensor_convolution_builtins()},
        {"Shapes, parts and positions of tensors", tensor_shape_builtins()},
        {"Making tensors", tensor_make_builtins()},
        {"Gradients and blocks", tensor_grad_builtins()},
        {"Hooks, nodes of the tape, ops of the program around", tape_builtins()},
        {"Checkpoints", checkpoint_builtins()},
        {"Files of tensors", tensor_file_builtins()},
        {"Graphs, compiling, counters", graph_builtins()},
    };
    return sections;
}

}  // namespace tenon
