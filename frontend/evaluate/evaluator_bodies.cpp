// Running a function whose arguments are in place: where a capture begins, parameters left open, the body.
#include <algorithm>

#include <fmt/format.h>

#include "frontend/evaluate/evaluator.h"
#include "frontend/evaluate/session.h"
#include "frontend/record/capture.h"
#include "frontend/record/tensor_dispatch.h"
#include "frontend/values/errors.h"

namespace tenon {

// What a graph calls one of the tensors that a captured call was given: "x", "inner.weight".
std::string Evaluator::argument_name(const Frame& called, const Tensor& tensor) const {
    auto is_it = [&](const Value& value) {
        const auto* object = value.try_as<TensorObject>();
        return object && object->tensor.storage == tensor.storage && object->tensor.shape == tensor.shape &&
               object->tensor.offset == tensor.offset;
    };
    auto inside = [&](const Value& value) -> std::string {
        if (!value.is(Kind::model) && !items_of(value)) return {};
        for (const NamedTensor& held : named_tensors(value)) {
            if (is_it(held.tensor)) return held.name;
        }
        return {};
    };
    for (const ast::Parameter& parameter : called.function.parameters) {
        Value value = called.slots[parameter.slot];
        if (const auto* cell = value.try_as<CellObject>()) value = Value(cell->value);
        if (is_it(value)) return name_of(parameter.name);
        if (std::string name = inside(value); !name.empty()) return name;
    }
    return inside(called.self);
}

// What nobody but the frame holds is no result of the graph: it has to go before the graph runs. Arguments stay, for
// they give the graph's inputs their names.
void Evaluator::drop_locals(Frame& called) {
    std::vector<Value> arguments;
    for (const ast::Parameter& parameter : called.function.parameters) {
        const Value& slot = called.slots[parameter.slot];
        const auto* cell = slot.try_as<CellObject>();
        const Value value = cell ? Value(cell->value) : slot;
        const auto* tensor = value.try_as<TensorObject>();
        arguments.push_back(tensor && tensor->is_symbolic() ? Value() : slot);
    }
    for (Value& slot : called.slots.all()) slot = {};
    for (size_t k = 0; k < arguments.size(); ++k)
        called.slots[called.function.parameters[k].slot] = std::move(arguments[k]);
}

void Evaluator::finish_binding(Frame& called) {
    const ast::Function& function = called.function;
    make_cells(called);
    for (const ast::Parameter& parameter : function.parameters) {
        Value& slot = called.slots[parameter.slot];
        if (slot.is_unset()) {
            if (!parameter.default_value) {
                throw_error_at(called.call, "arity",
                               fmt::format("`{}` needs `{}`", display_name(function), name_of(parameter.name)),
                               fmt::format("it takes ({})", parameter_list(function)));
            }
            slot = evaluate(*parameter.default_value, called);
        }
        if (parameter.type)
            check_type(*parameter.type, slot, called, name_of(parameter.name), argument_span(called, parameter));
        if (function.kind == ast::FunctionKind::constructor) {
            called.model().fields[static_cast<size_t>(&parameter - function.parameters.data())] = slot;
        }
        if (parameter.is_cell) slot = make_ref<CellObject>(std::move(slot));
    }
}

}  // namespace tenon
