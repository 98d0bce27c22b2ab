// Capture: the backward of what was recorded before, appended to the graph at hand (compiled backward).
#pragma once

#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "frontend/history/tape_entry.h"
#include "frontend/record/capture.h"

namespace tenon {

class CaptureBackward {
public:
    explicit CaptureBackward(Capture& capture)
        : capture_(capture), tracer_(capture.tracer_), builder_(capture.builder_) {}

    /// The graphs to come are those of one backward, in one piece or, where something breaks it, in several. `key`: of
    /// its structure, which they are found by besides themselves. Until end().
    void begin(uint64_t key) {
        key_ = key;
        is_under_way_ = true;
    }
    /// The next piece begins, found by another key.
    void next_piece() {
        key_ = key_ * 0x9E3779B97F4A7C15ull + 1;
        sets_gradients_ = false;
    }
    /// A leaf gets its first gradient, which no node does.
    void note_gradient_set() { sets_gradients_ = true; }
    /// Whether the piece at hand does so.
    bool sets_gradients() const { return sets_gradients_; }
    void end();
    bool is_under_way() const { return is_under_way_; }
    uint64_t key() const { return key_; }
    /// A piece was compiled.
    void note_compiled() { was_compiled_ = true; }
    bool was_compiled() const { return was_compiled_; }

    /// The cotangents of the entry's edges that are wanted; null where no path leads. The entry is of an op by itself:
    /// its formulas are emitted anew, over what it has saved, with sizes that are symbols here.
    /// `cotangents`: one a result, null where there is none.
    std::vector<TensorRef> gradients_of_op(const TapeEntry& entry, std::span<const TensorRef> cotangents,
                                           const std::vector<bool>& wanted);
    /// A value of this type that nothing reads; only its sizes count.
    TensorRef stand_in(DType dtype, const Dims& shape);
    /// What an entry has saved, as a tensor of the graph: one for the same elements and the same history (none for no
    /// edge), however often it is asked for. Of a leaf it is the script's own tensor, where that is there.
    TensorRef saved(const Tensor& tensor, const Edge& edge = {});

private:
    AttrId with_symbols(AttrId attr);

    Capture& capture_;
    Tracer& tracer_;
    Builder& builder_;
    uint64_t key_ = 0;
    bool is_under_way_ = false, was_compiled_ = false, sets_gradients_ = false;
    std::unordered_multimap<const Storage*, TensorRef> saved_;
};

}  // namespace tenon
