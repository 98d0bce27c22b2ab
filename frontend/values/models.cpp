#include "frontend/values/models.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>

#include "frontend/values/structure.h"
#include "runtime/diagnostic.h"

namespace tenon {

void ModelClassObject::visit_children(FunctionRef<void(const Value&)> visit) const {
    for (const Ref<CellObject>& cell : environment.cells) {
        if (cell) visit(Value(*cell));
    }
    visit(environment.self);
    if (constructor) visit(Value(*constructor));
    for (const Value& method : methods) visit(method);
}

void ModelClassObject::take_children(Values& into) {
    for (Ref<CellObject>& cell : environment.cells) {
        if (cell) into.push_back(std::move(cell));
    }
    environment.cells.clear();
    into.push_back(std::exchange(environment.self, {}));
    if (constructor) into.push_back(std::move(constructor));
    for (Value& method : methods) into.push_back(std::move(method));
    methods.clear();
}

ModelObject::ModelObject(Ref<ModelClassObject> made_by)
    : Container(class_kind), model_class(std::move(made_by)), fields(model_class->model.fields.size(), Value::unset()),
      roles(fields.size(), TensorRole::plain) {
    fields[static_cast<size_t>(model_class->field_slot(symbols::training))] = true;
}

void ModelObject::visit_children(FunctionRef<void(const Value&)> visit) const {
    if (model_class) visit(Value(*model_class));
    for (const Value& field : fields) visit(field);
}

void ModelObject::take_children(Values& into) {
    for (Value& field : fields) into.push_back(std::exchange(field, Value::unset()));
}

Value* ModelObject::find(std::string_view field) {
    for (size_t i = 0; i < fields.size(); ++i) {
        if (field_name(i) == field) return fields[i].is_unset() ? nullptr : &fields[i];
    }
    return nullptr;
}

bool ModelObject::is_pack(size_t slot) const {
    const std::span<Symbol> packs = model_class->model.packs;
    return std::find(packs.begin(), packs.end(), model_class->model.fields[slot]) != packs.end();
}

Value* ModelObject::find_packed(std::string_view key) {
    for (Symbol pack : model_class->model.packs) {
        auto* dict = fields[static_cast<size_t>(model_class->field_slot(pack))].try_as<DictObject>();
        if (Value* found = dict ? dict->find(key) : nullptr) return found;
    }
    return nullptr;
}

void ModelObject::check_pack(const Value& pack) {
    constexpr std::string_view wanted =
        "a pack is a dict of tensors under str keys, which are the names of the model's own";
    const auto* dict = pack.try_as<DictObject>();
    if (!dict) throw_error("type", std::string(wanted), fmt::format("here it is {}", with_article(pack.kind())));
    for (const DictObject::Entry& entry : dict->entries()) {
        if (!entry.key.is<StringObject>() || !entry.value.is_tensor())
            throw_error(
                "type", std::string(wanted),
                fmt::format("here {} holds {}", with_article(entry.key.kind()), with_article(entry.value.kind())));
        const std::string& key = text_of(entry.key);
        for (size_t slot = 0; slot < fields.size(); ++slot) {
            if (field_name(slot) == key)
                throw_error("name", fmt::format("`{}` of a pack is a field of {} already", key, model_class->name()));
        }
        if (find_packed(key)) throw_error("name", fmt::format("`{}` is in two packs of {}", key, model_class->name()));
    }
}

namespace {

constexpr int deepest_holder = 1000;  // containers inside containers

/// Walks fields, lists, tuples and dicts in order, each object once.
template <class Tensor, class Model> class Walk {
public:
    Walk(Tensor tensor, Model model) : tensor_(tensor), model_(model) {}

    void operator()(const Value& value, const std::string& path, int depth = 0) {
        if (depth > deepest_holder) throw_error("recursion", "models and containers are nested too deeply");
        bool walked = value.is_tensor() || value.is<ModelObject>() || is_branch(value);
        if (!walked || !seen_.insert(&value.object()).second) return;
        auto at = [&](std::string_view step) {
            return path.empty() ? std::string(step) : fmt::format("{}.{}", path, step);
        };
        if (auto* tensor = value.try_as<TensorObject>()) {
            tensor_(*tensor, path);
        } else if (auto* model = value.try_as<ModelObject>()) {
            model_(*model, path);
            // A param that bears the name of a constructor parameter (`bias`) is declared after the others.
            size_t parameters = model->model_class->model.constructor->parameters.size();
            auto is_declared_later = [&](size_t i) { return i < parameters && model->roles[i] != TensorRole::plain; };
            for (bool later : {false, true}) {
                for (size_t i = 0; i < model->fields.size(); ++i) {
                    if (model->fields[i].is_object() && is_declared_later(i) == later)
                        (*this)(model->fields[i], model->is_pack(i) ? path : at(model->field_name(i)), depth + 1);
                }
            }
        } else {
            for_each_part(value, [&](const Value& part, size_t position, const Value* key) {
                if (!part.is_object()) return;
                (*this)(part,
                        at(!key                      ? std::to_string(position)
                           : key->is<StringObject>() ? text_of(*key)
                           : key->is_int()           ? std::to_string(key->as_int())
                                                     : "?"),
                        depth + 1);
            });
        }
    }

private:
    Tensor tensor_;
    Model model_;
    std::unordered_set<const Object*> seen_;
};

constexpr int deepest_argument = 16;  // containers inside containers that are searched for tensors
constexpr int most_searched = 256;    // items: every call asks, and what it asks about may be long

bool holds(const Value& value, int depth, int& left) {
    if (value.is_tensor() || value.is<ModelObject>()) return true;
    if (depth == 0 || --left <= 0) return false;
    if (const Values* items = items_of(value)) {
        for (size_t i = 0; i < items->size() && left > 0; ++i) {
            if (holds((*items)[i], depth - 1, left)) return true;
        }
    }
    if (auto* dict = value.try_as<DictObject>()) {
        for (const auto& entry : dict->entries()) {
            if (left <= 0) break;
            if (holds(entry.value, depth - 1, left)) return true;
        }
    }
    return false;
}

}  // namespace

std::vector<NamedTensor> named_tensors(const Value& value) {
    std::vector<NamedTensor> found;
    Walk(
        [&](TensorObject& tensor, const std::string& path) {
            if (tensor.role != TensorRole::plain)
                found.push_back({path, Value(tensor), tensor.role == TensorRole::parameter});
        },
        [](ModelObject&, const std::string&) {})(value, "");
    return found;
}

std::vector<std::pair<std::string, Ref<ModelObject>>> named_models(const Value& value) {
    std::vector<std::pair<std::string, Ref<ModelObject>>> found;
    Walk([](TensorObject&, const std::string&) {},
         [&](ModelObject& model, const std::string& path) { found.emplace_back(path, Ref<ModelObject>(&model)); })(
        value, "");
    return found;
}

bool holds_tensor_or_model(const Value& value) {
    if (!value.is_object()) return false;
    int left = most_searched;
    return holds(value, deepest_argument, left);
}

}  // namespace tenon
