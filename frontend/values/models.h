// Models as values: a class per declaration evaluated, an instance per construction.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "frontend/values/function.h"
#include "frontend/values/tensor_object.h"
#include "frontend/values/value.h"

namespace tenon {

/// What a `model` declaration makes: calling it constructs an instance.
class ModelClassObject final : public Container {
public:
    static constexpr Kind class_kind = Kind::model_class;
    ModelClassObject(const ast::Model& model_, Environment environment_, const SymbolTable& symbols_)
        : Container(class_kind), model(model_), environment(std::move(environment_)), symbols(symbols_) {}
    ~ModelClassObject() override { dismantle(); }
    void visit_children(FunctionRef<void(const Value&)> visit) const override;
    void take_children(Values& into) override;

    std::string_view name() const { return symbols.text(model.name); }
    /// The slot of a field, -1 where there is none.
    int field_slot(Symbol field) const {
        for (size_t i = 0; i < model.fields.size(); ++i) {
            if (model.fields[i] == field) return static_cast<int>(i);
        }
        return -1;
    }
    /// The number of a method, -1 where there is none.
    int method_number(Symbol name) const {
        for (size_t i = 0; i < model.methods.size(); ++i) {
            if (model.methods[i]->function->name == name) return static_cast<int>(i);
        }
        return -1;
    }

    /// Both, where `last` is what the asking expression was told before: most expressions meet one class only.
    const ast::Member& member(Symbol name, ast::Member& last) const {
        if (last.model != &model) last = {&model, field_slot(name), method_number(name)};
        return last;
    }

    const ast::Model& model;
    Environment environment;
    const SymbolTable& symbols;
    Ref<FunctionObject> constructor;
    Values methods;  ///< beside model.methods: functions, or what decorators made of them
};

/// An instance. Fields lie in slots, in the order in which the declaration names them; unset until assigned. The last
/// is `training`, which every model has.
class ModelObject final : public Container {
public:
    static constexpr Kind class_kind = Kind::model;
    explicit ModelObject(Ref<ModelClassObject> made_by);
    ~ModelObject() override { dismantle(); }
    void visit_children(FunctionRef<void(const Value&)> visit) const override;
    void take_children(Values& into) override;

    /// Null when there is no such field, or it has no value yet.
    Value* find(std::string_view field);
    /// The same by its number, negative where there is no such field.
    Value* find(int slot) {
        return slot < 0 || fields[static_cast<size_t>(slot)].is_unset() ? nullptr : &fields[static_cast<size_t>(slot)];
    }
    /// The tensor that a pack of params or buffers (`param name = **dict`) holds under this key; null where there is none.
    Value* find_packed(std::string_view key);
    bool is_pack(size_t slot) const;
    /// Throws Error "type" or "name" for what cannot be such a pack: no dict, keys that are no strs or name something else.
    void check_pack(const Value& pack);
    std::string_view field_name(size_t slot) const {
        return model_class->symbols.text(model_class->model.fields[slot]);
    }

    Ref<ModelClassObject> model_class;
    Values fields;
    std::vector<TensorRole> roles;  ///< beside the fields: which were declared `param` or `buffer`
};

/// One tensor that a model holds, under its path: "layers.0.weight".
struct NamedTensor {
    std::string name;
    Value tensor;
    bool is_parameter = false;  ///< else a buffer
};

/// The parameters and buffers that `value` (a model, or a list, tuple or dict of models and tensors) holds, in the
/// order of fields and items, each tensor once.
std::vector<NamedTensor> named_tensors(const Value& value);
/// Every model inside `value`, itself included, each once, with its path ("" for `value` itself).
std::vector<std::pair<std::string, Ref<ModelObject>>> named_models(const Value& value);
/// Whether a call with this argument is one that capture begins with: a tensor or a model, also inside containers
/// (among their first items, a few hundred).
bool holds_tensor_or_model(const Value& value);

}  // namespace tenon
