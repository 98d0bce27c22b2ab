// Functions with a gradient of their own: `custom fn f(x) { forward(ctx) { … } backward(ctx, g) { … } }`.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "frontend/history/custom_call.h"
#include "frontend/record/tensor_dispatch.h"
#include "frontend/record/tracer.h"
#include "frontend/values/value.h"

namespace tenon {

/// What `forward` hands to `backward`. Methods: save(*tensors), mark_dirty(*tensors), mark_non_differentiable(*tensors);
/// fields: saved, needs_grad (one a parameter), zero_fill, and any that the function sets.
class CustomContext final : public Container {
public:
    explicit CustomContext(Tracer& tracer) : Container(Kind::other), tracer_(tracer) {}
    ~CustomContext() override { dismantle(); }
    void visit_children(FunctionRef<void(const Value&)> visit) const override;
    void take_children(Values& into) override;
    bool get_attribute(Evaluator& evaluator, std::string_view name, Value& value) override;
    bool set_attribute(Evaluator& evaluator, std::string_view name, const Value& value) override;
    std::string to_text(Evaluator&) override { return "context"; }

    enum class Method : uint8_t { save, mark_dirty, mark_non_differentiable };
    void call(Method method, std::span<const Value> arguments);

    /// `forward` is over and has given `outputs`: those that were saved are known by their number from here on, since
    /// they will hold this context; others by their versions.
    void finish(std::span<const TensorRef> outputs);
    /// The entry of the tape that the outputs lead to.
    void set_entry(TapeEntry& entry) { entry_ = &entry; }
    void use_up() {
        saved_.clear();
        fields_.clear();
    }
    bool is_dirty(const TensorObject& x) const;
    bool is_differentiable(const TensorObject& x) const;
    /// While `forward` is under way.
    bool saves(const TensorObject& x) const;
    bool fills_zeros() const { return zero_fill_; }
    uint64_t key() const;

    std::vector<bool> needs_grad;  ///< by parameter

private:
    struct Saved {
        TensorRef tensor;  // null: an output
        Tensor memory;     // what it was
        uint32_t version = 0, output = 0;
    };
    Value saved_values() const;

    Tracer& tracer_;
    std::vector<Saved> saved_;
    std::vector<std::pair<std::string, Value>> fields_;
    std::vector<TensorRef> dirty_, not_differentiable_;  // until forward is over
    TapeEntry* entry_ = nullptr;                         // which holds this
    bool zero_fill_ = true;
};

class CustomFunction final : public Container {
public:
    /// `forward` takes the context and then the parameters, `backward` the context and then a cotangent an output.
    /// `reason`: why a graph ends before a call of it; empty where it is a node of the graph if it can be.
    CustomFunction(Tracer& tracer, std::string name, std::vector<std::string> parameters, Value forward, Value backward,
                   std::string reason = {});
    ~CustomFunction() override { dismantle(); }
    void visit_children(FunctionRef<void(const Value&)> visit) const override;
    void take_children(Values& into) override;
    bool call(Evaluator& evaluator, std::span<const Value> positional, std::span<const KeywordArgument> keywords,
              Value& result) override;
    std::string to_text(Evaluator&) override { return "custom fn " + name_; }

    Tracer& tracer() const { return tracer_; }
    const std::string& name() const { return name_; }
    /// Why graphs end before calls from now on.
    void set_reason(std::string reason) { reason_ = std::move(reason); }
    const Value& backward() const { return backward_; }
    std::string parameter(size_t k) const { return k < parameters_.size() ? parameters_[k] : std::to_string(k + 1); }
    uint64_t id() const { return id_; }

private:
    class Call;
    struct Operand {
        size_t parameter;  // which it is of
        DType dtype;
        Dims shape;
    };
    TensorRef own(const CustomContext& context, std::span<const Value> arguments, const Value& value) const;
    void record(const Ref<CustomContext>& context, std::span<const TensorRef> wrt, std::vector<Operand> operands,
                std::vector<TensorRef>& outputs, Values& items, uint64_t graph);
    Values in_order(std::span<const Value> positional, std::span<const KeywordArgument> keywords) const;

    Tracer& tracer_;
    const std::string name_;
    const std::vector<std::string> parameters_;
    Value forward_, backward_;
    std::string reason_;
    const uint64_t id_;
};

}  // namespace tenon
