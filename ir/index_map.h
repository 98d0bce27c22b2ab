// What a movement row's index rule sees: the position of a result element per dimension, from which it says where that
// element lies in the operand. Scheduling implements it over loop variables.
#pragma once
#include "ir/context.h"

namespace tenon {

class IndexMap {
public:
    struct Position {  // an index expression of the implementation
        uint32_t id = 0;
        bool operator==(const Position&) const = default;
    };
    virtual ~IndexMap() = default;

    size_t rank() const { return result().rank(); }
    virtual Context& context() = 0;
    virtual Attributes attributes() = 0;
    virtual const Type& operand() const = 0;
    virtual const Type& result() const = 0;

    virtual Position at(size_t dimension) = 0;  // of the result element
    virtual Position linear() = 0;              // of the result element, row-major over the result's sizes
    virtual Position size(SizeId) = 0;
    Position constant(int64_t value) { return size(context().constant(value)); }
    virtual Position add(Position, Position) = 0;
    virtual Position sub(Position, Position) = 0;
    virtual Position mul(Position, Position) = 0;

    virtual void set(size_t dimension, Position) = 0;  // of the operand element
    virtual void set_linear(Position) = 0;             // of the operand element, row-major over the operand's sizes
};

}  // namespace tenon
