// The gradient of cond: a cond of the gradients of its sides.
//
// Each side is differentiated as a graph of its own and taken apart (split_joint). What its backward half reads of it the
// forward cond has to give: it is emitted once more with these results, and merge_regions makes the two one. Where both
// sides keep a value of one type they share a result; a side that keeps none gives zeros there, which nobody reads.
#include <algorithm>
#include <array>

#include "ir/build/copier.h"
#include "ir/build/regions.h"
#include "ir/build/stacks.h"
#include "ir/differentiate/gradient.h"
#include "ir/differentiate/regions.h"
#include "ir/passes/passes.h"
#include "ir/row.h"

namespace tenon {

namespace {

constexpr size_t none = SIZE_MAX;

class CondGradient {
public:
    explicit CondGradient(Gradient& d)
        : d_(d), builder_(d.builder()), context_(builder_.context()),
          operands_(builder_.operands_of(d.node()).begin(), builder_.operands_of(d.node()).end()),
          results_(d.result_count()), forward_stamp_(builder_.stamp_of(d.node())) {}

    void run() {
        for (size_t k = 1; k < operands_.size(); ++k) {
            if (!d_.needs(k)) continue;
            wrt_.push_back(k);
            running_.push_back(bool(sum_so_far(k)));
        }
        for (size_t k = 0; k < results_; ++k)
            if (d_.cotangent_node(k)) given_.push_back(k);
        for (unsigned s = 0; s < 2; ++s) differentiate(s);
        for (size_t w = 0; w < wrt_.size(); ++w)
            if (sides_[0].result[w] != none || sides_[1].result[w] != none) reached_.push_back(w);
        if (reached_.empty()) return;
        place_saved();
        save();
        go();
    }

private:
    struct Side {
        GraphRef region;
        Split split;
        std::vector<size_t> result;  // by wrt: of backward; none where no path leads there
        std::vector<size_t> slots;   // by saved value: where the forward cond gives it; none of what it has anyway
    };

    // One value in several places has one cotangent: none of them goes on with it.
    NodeId sum_so_far(size_t k) const {
        const NodeId owner = history_owner(builder_, operands_[k]);
        const auto places = std::count_if(operands_.begin(), operands_.end(),
                                          [&](NodeId o) { return history_owner(builder_, o) == owner; });
        return places > 1 ? NodeId::none() : d_.sum(k);
    }
    void differentiate(unsigned s) {
        Side& side = sides_[s];
        side.region = with_symbols_around(*extract_region(builder_, d_.node(), s));
        std::vector<size_t> parameters;
        for (size_t k : wrt_) parameters.push_back(k - 1);
        const Joint joint = make_joint(*side.region, given_, parameters, running_, true);
        side.split = split_joint(joint);
        for (size_t w = 0, next = 0; w < wrt_.size(); ++w) side.result.push_back(joint.reached[w] ? next++ : none);
    }

    // ---- what backward reads
    void place_saved() {
        for (Side& side : sides_) {
            std::vector<bool> taken(slots_.size());
            for (const Split::Saved& saved : side.split.saved) {
                side.slots.push_back(none);
                if (saved.is_input || saved.index < results_) continue;
                const TypeId type = (*side.split.forward)[side.split.forward->results()[saved.index]].type;
                size_t slot = 0;
                while (slot < taken.size() && (taken[slot] || slots_[slot] != type)) ++slot;
                if (slot == slots_.size()) slots_.push_back(type);
                if (slot == taken.size()) taken.push_back(false);
                taken[slot] = true;
                side.slots.back() = slot;
            }
        }
    }
    // The forward half of a side, as its region: with what is kept behind its results.
    GraphRef with_slots(const Side& side) const {
        const Graph& forward = *side.split.forward;
        Builder region(context_);
        Copier copy(forward, region);
        copy.copy_params();
        copy.copy_body();
        std::vector<NodeId> results;
        for (NodeId r : forward.results().first(results_)) results.push_back(copy(r));
        for (size_t slot = 0; slot < slots_.size(); ++slot) {
            const auto at = std::find(side.slots.begin(), side.slots.end(), slot);
            if (at == side.slots.end()) {
                results.push_back(emit_filled(region, int64_t{0}, context_[slots_[slot]]));
                continue;
            }
            const Split::Saved& saved = side.split.saved[size_t(at - side.slots.begin())];
            results.push_back(copy(forward.results()[saved.index]));
        }
        return region.finish(results, side.region->name);
    }
    void save() {
        forward_ = d_.node();
        if (slots_.empty()) return;
        Builder::StampScope scope(builder_, forward_stamp_);
        const std::array<GraphRef, 2> regions{with_slots(sides_[0]), with_slots(sides_[1])};
        forward_ =
            emit_with_regions(builder_, builder_.node(d_.node()).op, operands_, regions, builder_.node(d_.node()).attr);
    }
    // What saved value k of a side is, out here.
    NodeId value_of(const Side& side, size_t k) {
        const Split::Saved& saved = side.split.saved[k];
        if (saved.is_input) {
            d_.name(operands_[saved.index + 1]);
            return operands_[saved.index + 1];
        }
        if (side.slots[k] == none) return d_.result_node(saved.index);
        NodeId& element = elements_[side.slots[k]];
        if (!element) element = emit_element(builder_, forward_, results_ + side.slots[k]);
        return element;
    }

    // ---- backward
    size_t parameter(NodeId value) {  // which both of its regions get
        const auto known = std::find(values_.begin(), values_.end(), value);
        if (known != values_.end()) return size_t(known - values_.begin());
        values_.push_back(value);
        return values_.size() - 1;
    }
    void go() {
        elements_.resize(slots_.size());
        std::array<std::vector<size_t>, 2> places;  // by side, of its backward half's parameters
        for (unsigned s = 0; s < 2; ++s)
            for (size_t k = 0; k < sides_[s].split.saved.size(); ++k)
                places[s].push_back(parameter(value_of(sides_[s], k)));
        const size_t first_cotangent = values_.size();
        for (size_t k : given_) values_.push_back(d_.cotangent_node(k));
        std::vector<size_t> sums(wrt_.size(), none);
        for (size_t w = 0; w < wrt_.size(); ++w) {
            if (!running_[w]) continue;
            sums[w] = values_.size();
            values_.push_back(sum_so_far(wrt_[w]));
        }
        std::array<GraphRef, 2> regions;
        for (unsigned s = 0; s < 2; ++s) {
            for (size_t k = 0; k < given_.size(); ++k) places[s].push_back(first_cotangent + k);
            for (size_t sum : sums)
                if (sum != none) places[s].push_back(sum);
            regions[s] = backward(sides_[s], places[s], sums);
        }
        std::vector<NodeId> operands{operands_[0]};
        d_.name(operands_[0]);
        operands.insert(operands.end(), values_.begin(), values_.end());
        const NodeId made =
            emit_with_regions(builder_, builder_.node(d_.node()).op, operands, regions, builder_.node(d_.node()).attr);
        for (size_t r = 0; r < reached_.size(); ++r) {
            const size_t w = reached_[r];
            const NodeId sum = emit_element(builder_, made, r);
            if (running_[w]) d_.set_sum(wrt_[w], sum);
            else d_.add(wrt_[w], sum);
        }
    }
    GraphRef backward(const Side& side, std::span<const size_t> places, std::span<const size_t> sums) const {
        const Graph& half = *side.split.backward;
        Builder region(context_);
        std::vector<NodeId> parameters;
        for (NodeId value : values_) parameters.push_back(region.parameter(builder_.node(value).type));
        for (const SizeSymbol& s : half.symbols) region.symbol(NodeId::none(), defined_around, s.hint, s.name);
        region.known_sizes().add(half.equalities);
        Copier copy(half, region);
        for (size_t k = 0; k < half.params().size(); ++k) copy.map(half.params()[k], parameters[places[k]]);
        copy.copy_body();
        std::vector<NodeId> results;
        for (size_t w : reached_) {
            if (side.result[w] != none) results.push_back(copy(half.results()[side.result[w]]));
            else if (sums[w] != none) results.push_back(parameters[sums[w]]);
            else  // nothing, or 0 where no other term is to come
                results.push_back(emit_filled(region, d_.is_used_before(wrt_[w]) ? -0.0 : 0.0, d_.type(wrt_[w])));
        }
        return region.finish(results, half.name);
    }

    Gradient& d_;
    Builder& builder_;
    Context& context_;
    const std::vector<NodeId> operands_;
    const size_t results_;
    const Stamp forward_stamp_;
    std::vector<size_t> wrt_;      // operands that need a cotangent
    std::vector<bool> running_;    // by wrt: does it have a sum that is gone on with?
    std::vector<size_t> given_;    // results that have a cotangent
    std::vector<size_t> reached_;  // of wrt: by either side
    std::array<Side, 2> sides_;
    std::vector<TypeId> slots_;     // what the forward cond gives beside its results
    NodeId forward_;                // that cond
    std::vector<NodeId> elements_;  // by slot
    std::vector<NodeId> values_;    // that both regions of backward get
};

}  // namespace

void cond_gradient(Gradient& d) { CondGradient(d).run(); }

}  // namespace tenon
