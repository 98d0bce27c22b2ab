// Capture: graphs that are handed out instead of being run: of a function (trace), and of one example of a batch (vmap).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "frontend/record/capture.h"

namespace tenon {

class Capture::Trace {
public:
    explicit Trace(Capture& capture) : capture_(capture), tracer_(capture.tracer_), builder_(capture.builder_) {}
    ~Trace() { give_back(); }
    Trace(const Trace&) = delete;
    Trace& operator=(const Trace&) = delete;

    // -- of a function
    struct Input {
        TensorObject* tensor;
        std::string name;
    };
    void begin(std::span<const Input> inputs, bool outer_tensors_are_constants);
    /// `results`: what the traced function returned. Leaves the capture empty.
    GraphRef end(std::span<const TensorRef> results, std::string_view name, bool outline,
                 std::vector<size_t>* requires_grad = nullptr);
    /// Throws Error "graph": what is traced is one graph, or nothing.
    [[noreturn]] void refuse_break(std::string_view reason, Span at) const;

    // -- of one example of a batch. Tensors that the function reads from around it are borrowed: they are inputs here and
    // keep their place in the capture outside, whose sizes these graphs share.
    /// A region is such a function, of one example: what it cannot do is a reason for it to be none.
    void begin_example(Capture* outside, int64_t count, bool region = false);
    /// Stands for one element of `whole` along `axis`.
    TensorRef example(TensorObject& whole, size_t axis);
    /// Stands for `whole`, as another tensor: what a turn of a region gets in its place.
    TensorRef stand_in(TensorObject& whole);
    /// Stands for a 0-dim number that whoever runs the region brings: a parameter that is no operand's.
    TensorRef number(DType dtype, std::string_view name);
    /// A node of a row with regions in this graph, whose sizes are theirs. Admits its operands, which were where that
    /// would end the graph.
    std::vector<TensorRef> append_regions(Op op, std::span<const TensorRef> operands, AttrId attr,
                                          std::span<const GraphRef> regions);
    struct ExampleInput {
        TensorRef tensor;
        int axis = -1;  ///< of an example: which dimension of the tensor goes over the examples
    };
    /// `inputs` receives what the graph's parameters stand for. Leaves the capture empty, and gives back what it
    /// borrowed.
    GraphRef end_example(std::span<const TensorRef> results, std::vector<ExampleInput>& inputs);
    bool in_example() const { return example_; }
    /// Of the graph's symbols.
    std::span<const int64_t> hints() const { return builder_.known_sizes().hints(); }
    /// Whether what cannot be part of the graph may end it: not where the graph is handed out (trace, vmap).
    bool may_break() const { return region_ ? outside_ && outside_->trace().may_break() : !capture_.tracing(); }
    /// Whether no other tensor that is alive shows memory of x, which is a symbolic one of this graph.
    bool is_alone(const TensorObject& x) const;
    /// The tensor from around the function that x is, or shows; null of what the function has made. Admits x.
    TensorRef shown_by(TensorObject& x);
    /// Which memory of the graph x shows, which was admitted.
    uint32_t memory_of(const TensorObject& x) const { return capture_.values_[x.capture_value_].storage; }
    /// How many examples the function under way stands for: of all the batches it is in.
    int64_t examples() const { return examples_; }
    /// Whether the history of x lies outside of the function under vmap. Admits x.
    bool has_outer_history(TensorObject& x);

    // -- for the capture
    bool constants() const { return constants_; }  ///< tensors from outside are constants of the graph
    Capture* outside() const { return outside_; }  ///< of an example: the capture that its function was called in
    /// Whether x, which is no value of this graph, is to be borrowed.
    bool borrows(const TensorObject& x) const { return example_ && !(x.is_symbolic() && !outside_); }
    void borrow(TensorObject& x);
    void refuse_outer_write(const TensorObject& x) const;
    void refuse_outer_history(std::span<const NodeId> roots, std::span<const TensorRef> wrt) const;
    /// Whether this input of the graph stands for a tensor from outside that requires a gradient.
    bool requires_outer_gradient(size_t input) const;
    void abandon();

private:
    struct Borrowed {  // a tensor from outside of the example's function, and its place there
        TensorRef tensor;
        uint64_t serial;
        uint32_t value;
    };
    void give_back();
    void share_symbols();
    TypeId type_outside(TensorObject& x);
    uint32_t add_outer_input(TensorObject& source, Tensor geometry, TypeId type, int axis);
    const ExampleInput* outer_input(const TensorObject& x) const;
    void admit_all(std::span<const TensorRef> results);

    Capture& capture_;
    Tracer& tracer_;
    Builder& builder_;
    bool constants_ = false, example_ = false, region_ = false;
    int64_t examples_ = 1;
    Capture* outside_ = nullptr;
    std::vector<Borrowed> borrowed_;          // of an example
    std::vector<ExampleInput> outer_inputs_;  // of an example, beside the capture's inputs; no tensor for host numbers
};

}  // namespace tenon
