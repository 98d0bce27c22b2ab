// parameters, train, eval, …: what a model and its parts are asked.
#include "frontend/values/models.h"
#include "frontend/methods/tables.h"
#include "frontend/evaluate/evaluator.h"
#include "frontend/values/builtin.h"

namespace tenon {

namespace {

template <bool wanted, bool with_names> Value list_tensors(Evaluator&, Arguments& a) {
    Values out;
    for (NamedTensor& tensor : named_tensors(a[0])) {
        if (tensor.is_parameter != wanted) continue;
        out.push_back(with_names ? make_tuple({make_text(tensor.name), tensor.tensor}) : tensor.tensor);
    }
    return make_list(std::move(out));
}

template <bool with_names> Value list_models(Evaluator&, Arguments& a) {
    Values out;
    for (auto& [name, model] : named_models(a[0])) {
        out.push_back(with_names ? make_tuple({make_text(name), Value(model)}) : Value(model));
    }
    return make_list(std::move(out));
}

Value set_training(Evaluator& evaluator, const Value& model, bool training) {
    for (auto& [name, part] : named_models(model)) {
        evaluator.writes().set_field(*part, static_cast<size_t>(part->model_class->field_slot(symbols::training)),
                                     training);
    }
    return model;
}

Value train(Evaluator& evaluator, Arguments& a) { return set_training(evaluator, a[0], a.flag_or(1, true, "mode")); }
Value eval(Evaluator& evaluator, Arguments& a) { return set_training(evaluator, a[0], false); }

Value zero_grad(Evaluator& evaluator, Arguments& a) {
    for (const NamedTensor& tensor : named_tensors(a[0])) {
        if (tensor.is_parameter) evaluator.border().set_attribute(tensor.tensor, "grad", {}, a.span);
    }
    return {};
}

Value requires_grad(Evaluator& evaluator, Arguments& a) {
    Value flag = a.flag_or(1, true, "whether gradients are required");
    for (const NamedTensor& tensor : named_tensors(a[0])) {
        if (tensor.is_parameter) evaluator.border().set_attribute(tensor.tensor, "requires_grad", flag, a.span);
    }
    return a[0];
}

Value name_of_part(Evaluator&, Arguments& a) {
    for (auto& [name, model] : named_models(a[0])) {
        if (identical(Value(model), a[1])) return make_text(name);
    }
    for (const NamedTensor& tensor : named_tensors(a[0])) {
        if (identical(tensor.tensor, a[1])) return make_text(tensor.name);
    }
    return {};
}

constexpr KindSet models = kinds(Kind::model);
constexpr KindSet holders = kinds(Kind::model, Kind::list, Kind::tuple);

constexpr Builtin model_table[] = {
    {"parameters", "model", holders, list_tensors<true, false>, 0, "the params of a model and its parts, each once"},
    {"named_parameters", "model", holders, list_tensors<true, true>, 0, "pairs (\"layers.0.weight\", param)"},
    {"buffers", "model", holders, list_tensors<false, false>, 0, "the buffers of a model and its parts, each once"},
    {"named_buffers", "model", holders, list_tensors<false, true>, 0, "pairs (\"norm.mean\", buffer)"},
    {"models", "model", holders, list_models<false>, 0, "the model and its parts, each once"},
    {"named_models", "model", holders, list_models<true>, 0, "pairs (\"layers.0\", model); the model itself is \"\""},
    {"train", "model, mode?", models, train, 0, "sets `training` of the model and its parts; returns the model"},
    {"eval", "model", models, eval, 0, "the same as train(model, false)"},
    {"zero_grad", "model", holders, zero_grad, 0, "sets .grad of all params to none"},
    {"requires_grad_", "model, flag?", models, requires_grad, 0,
     "whether the params require gradients; returns the model"},
    {"name_of", "model, part", models, name_of_part, 0, "the path of a part or tensor inside a model"},
};

}  // namespace

std::span<const Builtin> model_builtins() { return model_table; }

}  // namespace tenon
