// A call of a function that has a gradient of its own, as the tape keeps it.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "frontend/values/tensor_object.h"

namespace tenon {

class TapeEntry;

class CustomCall : public Object {
public:
    /// The gradients of the entry's edges, null where there is none. `cotangents`: one a result, null where there is none.
    virtual std::vector<TensorRef> backward(TapeEntry& entry, std::span<const TensorRef> cotangents) = 0;
    /// A backward has used it up: what it has saved goes.
    virtual void use_up() = 0;
    virtual std::string_view name() const = 0;
    /// How many parameters there are, and of which the entry's edge is.
    virtual size_t parameter_count() const = 0;
    virtual size_t parameter_of(size_t edge) const = 0;
    /// Which function it is, which is never another's, and the kinds of what it keeps; no values.
    virtual uint64_t key() const = 0;

protected:
    CustomCall() : Object(Kind::other) {}
};

}  // namespace tenon
