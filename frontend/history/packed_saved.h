// Saved values in another form: what `saved_tensor_hooks` made of them.
#pragma once

#include <vector>

#include "frontend/values/tensor_object.h"

namespace tenon {

/// In the place of what an entry of the tape has saved, until its backward comes.
class PackedSaved final : public Object {
public:
    explicit PackedSaved(Value unpack) : Object(Kind::other), unpack_(std::move(unpack)) {}
    void visit_children(FunctionRef<void(const Value&)> visit) const override {
        visit(unpack_);
        for (const Value& value : packed) visit(value);
        for (const TensorRef& tensor : unpacked) {
            if (tensor) visit(Value(tensor));
        }
    }
    void drop_children() override {
        unpack_ = {};
        packed.clear();
        unpacked.clear();
    }
    const Value& unpack() const { return unpack_; }

    Values packed;  ///< by saved value: what `pack` gave; empty once it is unpacked
    std::vector<TensorRef>
        unpacked;  ///< what `unpack` gave where the graph under capture is yet to compute it; else null

private:
    Value unpack_;
};

}  // namespace tenon
