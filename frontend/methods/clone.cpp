#include "frontend/methods/clone.h"

#include <unordered_map>

#include "frontend/evaluate/evaluator.h"
#include "frontend/values/models.h"
#include "frontend/values/structure.h"
#include "runtime/diagnostic.h"

namespace tenon {

namespace {

constexpr int deepest_copy = 1000;  // containers inside containers

class Cloner {
public:
    explicit Cloner(Evaluator& evaluator) : evaluator_(evaluator) {}

    Value operator()(const Value& value) {
        bool copied = value.is_tensor() || value.is<ModelObject>() || is_branch(value);
        if (!copied) return value;
        Deeper deeper(depth_);
        if (auto made = copies_.find(&value.object()); made != copies_.end()) return made->second;
        if (auto* tensor = value.try_as<TensorObject>()) {
            if (tensor->role == TensorRole::plain) return keep(value, evaluator_.call_method(value, "clone", {}));
            const Value held = value;  // a parameter takes over the memory of what nobody else holds
            const bool is_buffer = tensor->role == TensorRole::buffer;
            Value copy = evaluator_.border().make_parameter(held, is_buffer, evaluator_.here());
            copy.as<TensorObject>().role = tensor->role;
            if (!is_buffer && !tensor->requires_grad())
                evaluator_.tracer().require_gradient(copy.as<TensorObject>(), false);
            return keep(value, copy);
        }
        if (auto* model = value.try_as<ModelObject>()) {
            auto copy = make_ref<ModelObject>(model->model_class);
            keep(value, copy);
            copy->roles = model->roles;
            for (size_t i = 0; i < model->fields.size(); ++i) copy->fields[i] = (*this)(model->fields[i]);
            return copy;
        }
        if (auto* dict = value.try_as<DictObject>()) {
            auto copy = make_ref<DictObject>();
            keep(value, copy);
            for (const auto& entry : dict->entries()) copy->set(entry.key, (*this)(entry.value));
            return copy;
        }
        if (auto* list = value.try_as<ListObject>()) {
            auto copy = make_ref<ListObject>();
            keep(value, copy);
            for (const Value& item : list->items) copy->items.push_back((*this)(item));
            return copy;
        }
        Values items;  // of a tuple, which cannot hold itself
        for (const Value& item : value.as<TupleObject>().items) items.push_back((*this)(item));
        return keep(value, with_parts(value, std::move(items)));
    }

private:
    struct Deeper {
        explicit Deeper(int& depth_) : depth(depth_) {
            if (++depth > deepest_copy) throw_error("recursion", "what is to be cloned is nested too deeply");
        }
        ~Deeper() { --depth; }
        int& depth;
    };
    Value keep(const Value& original, Value copy) {
        return copies_.emplace(&original.object(), std::move(copy)).first->second;
    }

    Evaluator& evaluator_;
    std::unordered_map<const Object*, Value> copies_;
    int depth_ = 0;
};

}  // namespace

Value clone(Evaluator& evaluator, const Value& value) { return Cloner(evaluator)(value); }

}  // namespace tenon
