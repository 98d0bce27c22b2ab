// schedule: each `fusion` becomes a `kernel` with loop nests (ir/loops.h). Needs fuse; afterwards no tensor-level
// region is left. Metadata stays on the kernel node, loops keep origins only.
#include <algorithm>
#include <cassert>
#include <unordered_set>

#include "ir/build/copier.h"
#include "ir/build/loop_writer.h"
#include "ir/fusion/long_reduction.h"
#include "ir/fusion/materialise.h"
#include "ir/schedule/crossing.h"
#include "ir/schedule/kernel_writer.h"
#include "ir/schedule/nest.h"
#include "runtime/integer.h"

namespace tenon {

namespace {

constexpr int64_t large_bytes = 4 << 20;  // there are last caches that do not hold them

class FusionScheduler {
public:
    FusionScheduler(const Graph& graph, NodeId fusion, Builder& builder, Copier& copier, const Target& target,
                    Decisions& decisions)
        : graph_(graph), fusion_(fusion), region_(graph.region_of(fusion)), context_(*graph.context),
          facts_(context_, graph.equalities), builder_(builder), copier_(copier), nests_(graph, target),
          decisions_(decisions), name_(kernel_name()) {}

    NodeId run() {
        find_operands();
        make_nests();
        split_reductions();
        Positions positions(facts_);
        Expressions expressions(graph_, positions);
        bind(expressions);
        std::vector<KernelWriter::PlannedNest> planned(plan_.size());
        for (size_t k = 0; k < plan_.size(); ++k) {
            Positions trial_positions(facts_);
            Expressions trial(graph_, trial_positions);
            bind(trial);
            bind_rows(context_, plan_, plan_[k], trial);
            planned[k].nest = &plan_[k];
            planned[k].loops = nests_.plan(plan_[k], trial);
        }
        if (cross_nests(context_, planned))
            note(DecisionKind::tiled, "rows are gone through in chunks of " + std::to_string(planned[1].nest->chunk) +
                                          ", each of which is near when sums of columns read it again");
        for (KernelWriter::PlannedNest& nest : planned) {
            bind_rows(context_, plan_, *nest.nest, expressions);
            nest.expressions = nests_.build(*nest.nest, nest.loops, expressions);
        }
        for (auto& nest : planned) choose_scratch(expressions, nest);
        note_large_stores(planned);
        for (size_t k = 0; k < planned.size(); k += 1 + planned[k].crossing) explain(planned[k]);
        return write(expressions, planned);
    }
    size_t results() const { return graph_.results(region_).size(); }

private:
    struct PartialBinding {
        NodeId reduce;
        uint32_t buffer;
        int64_t chunk;
    };

    std::string kernel_name() const {
        const Attributes a = graph_.attributes(fusion_);
        return a.has("name") ? std::string(a.text("name")) : std::string(graph_.name_of(fusion_));
    }
    bool is(NodeId id, Lowering lowering) const { return row(graph_[id].op).lowering == lowering; }
    SizeId numel(NodeId id) const { return facts_.product(graph_.type(id).sizes); }
    uint32_t result_buffer(size_t k) const { return uint32_t(operands_.size() + k); }
    uint32_t add_buffer(TypeId type) {
        extra_.push_back(type);
        return uint32_t(operands_.size() + results() + extra_.size() - 1);
    }

    // ---- operands: the fusion's own; the base of an update once more if the values written read it
    void find_operands() {
        for (NodeId o : graph_.operands_of(fusion_)) operands_.push_back(o);
        const auto params = graph_.params(region_);
        for (NodeId r : graph_.results(region_)) {
            if (row(graph_[r].op).memory != MemoryUse::replaces) continue;
            const auto base = std::find(params.begin(), params.end(), graph_.operand(r, replaced_base));
            assert(base != params.end() && results() == 1);
            updated_ = int64_t(base - params.begin());
            if (depends(graph_.operand(r, replaced_value), *base)) {
                base_again_ = uint32_t(operands_.size());
                operands_.push_back(operands_[size_t(updated_)]);
            }
        }
    }
    bool depends(NodeId from, NodeId on) const {
        std::unordered_set<NodeId> seen;
        std::vector<NodeId> stack{from};
        while (!stack.empty()) {
            const NodeId at = stack.back();
            stack.pop_back();
            if (at == on) return true;
            if (!seen.insert(at).second) continue;
            for (NodeId o : graph_.operands_of(at)) stack.push_back(o);
        }
        return false;
    }
    void bind(Expressions& e) const {
        const auto params = graph_.params(region_);
        for (size_t k = 0; k < params.size(); ++k)
            e.bind(params[k], int64_t(k) == updated_ && base_again_ ? *base_again_ : uint32_t(k));
        for (const PartialBinding& p : partials_) e.bind_partial(p.reduce, p.buffer, p.chunk);
    }

    // ---- nests: one for the values around the reductions, one for each other number of elements
    void make_nests() {
        for (NodeId id : graph_.body(region_))
            if (is(id, Lowering::reduce)) reductions_.push_back(id);
        for (const std::string_view order : {"lanes", "rows"})
            if (const Nest nest = reduction_nest(order); nest.order) plan_.push_back(nest);
        const auto values = graph_.results(region_);
        for (size_t k = 0; k < values.size(); ++k) {
            const NodeId v = values[k];
            const MemoryUse memory = row(graph_[v].op).memory;
            if (memory == MemoryUse::gathers) {
                for (size_t part = 0; part < graph_.operands_of(v).size(); ++part)
                    add_nest(graph_.type(graph_.operand(v, part)).sizes,
                             {NestStore::Kind::part, v, part, result_buffer(k)});
            } else if (memory == MemoryUse::replaces) {
                add_nest(graph_.type(graph_.operand(v, replaced_value)).sizes,
                         {NestStore::Kind::update, v, 0, result_buffer(k)});
            } else add_value(v, result_buffer(k));
        }
    }
    void add_nest(std::vector<SizeId> kept, NestStore store) {
        plan_.push_back({std::move(kept), SizeId(1), {}, 0, 0, {store}});
    }
    bool is_crossed() const { return plan_.size() > 1 && plan_[0].order && plan_[1].order; }
    bool needs_columns(NodeId v) const {
        return std::any_of(reductions_.begin(), reductions_.end(),
                           [&](NodeId r) { return order_of(r) == "rows" && (r == v || depends(v, r)); });
    }
    void add_value(NodeId v, uint32_t buffer) {
        const SizeId n = numel(v);
        const bool below = is_crossed() && needs_columns(v);
        for (Nest& nest : plan_) {
            if (is_crossed() && nest.order && (context_.text(nest.order) == "rows") != below) continue;
            const SizeId kept = facts_.product(nest.kept);
            const bool alike = std::all_of(nest.stores.begin(), nest.stores.end(),
                                           [](const NestStore& s) { return s.kind <= NestStore::Kind::full; });
            if (!alike) continue;
            if (n == kept) {
                nest.stores.push_back({NestStore::Kind::kept, v, 0, buffer});
                if (!nest.order && graph_.type(v).rank() > nest.kept.size())
                    nest.kept = graph_.type(v).sizes;  // the finer dimensions
                return;
            }
            if (nest.order && context_.text(nest.order) == "lanes" && n == facts_.mul(kept, nest.reduced)) {
                nest.stores.push_back({NestStore::Kind::full, v, 0, buffer});
                return;
            }
        }
        add_nest(graph_.type(v).sizes, {NestStore::Kind::kept, v, 0, buffer});
    }
    std::string_view order_of(NodeId reduction) const {
        const Type& from = graph_.type(graph_.operand(reduction, 0));
        const Dims axes = graph_.attributes(reduction).integers("axes");
        const auto last = [&](int64_t a) { return a == -1 || a + 1 == int64_t(from.rank()); };
        return from.rank() == 0 || std::any_of(axes.begin(), axes.end(), last) ? "lanes" : "rows";
    }
    // Of the reductions of this order; without an order where there are none.
    Nest reduction_nest(std::string_view wanted) const {
        Nest nest;
        for (NodeId id : reductions_) {
            if (order_of(id) != wanted) continue;
            const Type& from = graph_.type(graph_.operand(id, 0));
            std::vector<bool> gone(from.rank());
            for (int64_t a : graph_.attributes(id).integers("axes"))
                gone[size_t(a < 0 ? a + int64_t(from.rank()) : a)] = true;
            std::vector<SizeId> kept;
            SizeId reduced(1);
            for (size_t d = 0; d < from.rank(); ++d) {
                if (gone[d]) reduced = facts_.mul(reduced, from.sizes[d]);
                else kept.push_back(from.sizes[d]);
            }
            const NameId order = context_.name(wanted);
            assert(!nest.order || (nest.order == order && nest.reduced == reduced));
            if (!nest.order || kept.size() > nest.kept.size()) nest.kept = kept;
            nest.order = order;
            nest.reduced = reduced;
        }
        return nest;
    }

    // ---- long reductions with little beside them: chunks are folded by an earlier nest, in parallel; the same rule
    // folds the chunks' results, so the bits are those of one fold.
    void split_reductions() {
        if (reductions_.empty()) return;
        const size_t last = is_crossed();  // of two the columns
        for (size_t at = 0; at <= last;) at += split_reduction(at) + 1;
    }
    // How many nests that makes, before it.
    size_t split_reduction(size_t at) {
        const Nest whole = plan_[at];
        const bool lanes = context_.text(whole.order) == "lanes";
        const int64_t chunk = lanes ? fold_order::lanes_chunk : fold_order::rows_chunk,
                      kept = nests_.hint(facts_.product(whole.kept)), reduced = nests_.hint(whole.reduced);
        if (!is_long_reduction(lanes, kept, reduced)) return 0;
        std::vector<Nest> first;
        for (NodeId id : reductions_) {
            if (order_of(id) != context_.text(whole.order)) continue;
            Nest part;
            part.order = whole.order;
            part.reduced = whole.reduced;
            part.chunk = chunk;
            part.kept = graph_.type(id).sizes;
            const SizeId chunks = context_.floordiv(facts_.add(whole.reduced, SizeId(chunk - 1)), SizeId(chunk));
            part.kept.insert(lanes ? part.kept.end() : part.kept.begin(), chunks);
            const uint32_t buffer =
                add_buffer(context_.tensor(graph_.type(id).dtype, part.kept, graph_.type(id).device));
            part.stores = {{NestStore::Kind::partial, id, 0, buffer}};
            partials_.push_back({id, buffer, chunk});
            first.push_back(std::move(part));
        }
        plan_[at].folded = chunk;
        plan_.insert(plan_.begin() + ptrdiff_t(at), first.begin(), first.end());
        note(DecisionKind::split, "folds " + std::to_string(reduced) + " elements in chunks of " +
                                      std::to_string(chunk) + ", which threads share, then the chunks' results");
        return first.size();
    }

    // ---- values that several inner loops of one row need and that are dear: kept in a result's memory or a buffer of
    // their own
    void choose_scratch(const Expressions& e, KernelWriter::PlannedNest& n) {
        if (!n.nest->order || context_.text(n.nest->order) != "lanes" || n.loops.empty() || n.nest->chunk) return;
        std::vector<std::vector<ExpressionId>> loops;
        std::vector<ExpressionId> last;
        for (const StoreExpression& s : n.expressions.stores)
            if (s.store.kind == NestStore::Kind::full) last.push_back(s.value);
        if (!last.empty()) loops.push_back(last);
        for (ExpressionId id = 0; id < e.size(); ++id)
            // A fold that is the same for several rows runs before their loops: it has no row to keep a value of.
            if (e[id].kind == Expression::Kind::fold && e[id].number == n.expressions.reduction &&
                e[id].depth >= int(n.loops.size()))
                loops.push_back({e[id].operands[0]});
        if (loops.size() < 2) return;

        std::vector<int> uses(e.size());
        std::vector<bool> outside(e.size());  // used by something that is not shared, or itself what a loop makes
        std::vector<std::vector<bool>> reached;
        for (const auto& roots : loops) {
            reached.push_back(reach(e, n, roots));
            for (ExpressionId id = 0; id < e.size(); ++id) uses[id] += reached.back()[id];
        }
        for (size_t k = 0; k < loops.size(); ++k) {
            for (ExpressionId root : loops[k]) outside[root] = true;
            for (ExpressionId id = 0; id < e.size(); ++id)
                if (reached[k][id] && uses[id] == 1)
                    for (ExpressionId o : e[id].operands) outside[o] = true;
        }
        // A kept value that is a result waits in the memory of this result, so nothing else may: it is written early.
        std::vector<ExpressionId> kept;
        std::vector<uint32_t> taken;
        for (ExpressionId id = 0; id < e.size(); ++id) {
            if (uses[id] < 2 || !outside[id] || e[id].kind != Expression::Kind::node || cost(e, n, id) < 16) continue;
            kept.push_back(id);
            if (const StoreExpression* own = store_of(n, id)) taken.push_back(own->store.buffer);
        }
        for (ExpressionId id : kept) {
            const std::optional<int64_t> row = context_.as_constant(n.nest->reduced);
            if (!store_of(n, id) && row && *row * int64_t(size_of(context_[e[id].type].dtype)) <= nests_.near_bytes()) {
                n.scratch.push_back({id, n.expressions.reduced_position, 0, *row});
                note(DecisionKind::kept,
                     "an expensive value that several loops of a row read is kept for the row at hand");
                continue;
            }
            const uint32_t buffer = scratch_buffer(e, n, id, taken);
            taken.push_back(buffer);
            n.scratch.push_back({id, n.expressions.full_position, buffer});
        }
    }
    // ---- stores of so much that caches may not hold it, of which the kernel loads nothing again
    void note_large_stores(std::vector<KernelWriter::PlannedNest>& planned) {
        std::vector<uint32_t> loaded;
        for (const PartialBinding& p : partials_) loaded.push_back(p.buffer);
        for (const auto& n : planned)
            for (const KernelWriter::Scratch& s : n.scratch)
                if (s.elements == 0) loaded.push_back(s.buffer);
        for (auto& n : planned)
            for (StoreExpression& s : n.expressions.stores) {
                const SizeId all = numel(s.store.value);
                const int64_t bytes =
                    multiply_saturated(nests_.hint(all), int64_t(size_of(graph_.type(s.store.value).dtype)));
                const bool again = std::find(loaded.begin(), loaded.end(), s.store.buffer) != loaded.end();
                const bool whole = s.store.kind != NestStore::Kind::update && s.store.kind != NestStore::Kind::partial;
                if (!whole || again || bytes < large_bytes) continue;
                s.all = all;
                s.after_folds = bool(n.nest->order);
            }
    }

    std::vector<bool> reach(const Expressions& e, const KernelWriter::PlannedNest& n,
                            const std::vector<ExpressionId>& roots) const {
        std::vector<bool> seen(e.size());
        std::vector<ExpressionId> stack = roots;
        while (!stack.empty()) {
            const ExpressionId id = stack.back();
            stack.pop_back();
            if (seen[id] || e[id].depth < n.expressions.inner_depth) continue;
            seen[id] = true;
            for (ExpressionId o : e[id].operands) stack.push_back(o);
        }
        return seen;
    }
    int cost(const Expressions& e, const KernelWriter::PlannedNest& n, ExpressionId root) const {
        const std::vector<bool> inside = reach(e, n, {root});
        int sum = 0;
        for (ExpressionId id = 0; id < e.size(); ++id)
            if (inside[id]) sum += e[id].cost;
        return sum;
    }
    static const StoreExpression* store_of(const KernelWriter::PlannedNest& n, ExpressionId id) {
        for (const StoreExpression& s : n.expressions.stores)
            if (s.store.kind == NestStore::Kind::full && s.value == id) return &s;
        return nullptr;
    }
    uint32_t scratch_buffer(const Expressions& e, const KernelWriter::PlannedNest& n, ExpressionId id,
                            const std::vector<uint32_t>& taken) {
        if (const StoreExpression* own = store_of(n, id)) return own->store.buffer;
        const DType dtype = context_[e[id].type].dtype;
        const StoreExpression* same = nullptr;
        for (const StoreExpression& s : n.expressions.stores) {
            if (s.store.kind != NestStore::Kind::full) continue;
            const bool free = std::find(taken.begin(), taken.end(), s.store.buffer) == taken.end();
            if (free && graph_.type(s.store.value).dtype == dtype) same = &s;
        }
        if (same) {
            note(DecisionKind::kept, "an expensive value that several loops of a row read waits in the memory of " +
                                         std::string(graph_.name_of(same->store.value)));
            return same->store.buffer;
        }
        std::vector<SizeId> sizes = n.nest->kept;
        sizes.push_back(n.nest->reduced);
        note(DecisionKind::kept, "an expensive value that several loops of a row read is written to memory of its own");
        return add_buffer(context_.tensor(dtype, sizes));
    }

    void explain(const KernelWriter::PlannedNest& n) {
        const int64_t work = nests_.work(*n.nest);
        if (n.crossing > 0)
            return note(DecisionKind::parallel, std::to_string(work) + " elements, in blocks of " +
                                                    std::to_string((&n + 1)->nest->chunk) + " along a loop of " +
                                                    std::to_string(nests_.hint(n.loops[0].extent)));
        if (!n.loops.empty() && n.loops.back().tile > 0)
            note(DecisionKind::tiled, "some memory lies along another dimension than the vector loop: in tiles of " +
                                          std::to_string(n.loops[n.loops.size() - 2].tile) + " x " +
                                          std::to_string(n.loops.back().tile) +
                                          " elements, lines and pages are used while they are near");
        const auto parallel = std::find_if(n.loops.begin(), n.loops.end(), [](const NestLoop& l) {
            return l.block > 0 || l.kind == LoopKind::parallel;
        });
        if (parallel != n.loops.end())
            note(DecisionKind::parallel, std::to_string(work) + " elements, in blocks of " +
                                             std::to_string(std::max<int64_t>(parallel->block, 1)) +
                                             " along a loop of " + std::to_string(nests_.hint(parallel->extent)));
        else
            note(DecisionKind::one_thread, std::to_string(work) + " elements are done before another thread has woken");
    }
    void note(DecisionKind what, std::string reason) {
        decisions_.push_back({what, name_, std::move(reason), graph_.origins[fusion_.index]});
    }

    // ---- the kernel node
    NodeId write(const Expressions& expressions, const std::vector<KernelWriter::PlannedNest>& planned) {
        std::vector<TypeId> results;
        for (NodeId r : graph_.results(region_)) results.push_back(graph_[r].type);
        results.insert(results.end(), extra_.begin(), extra_.end());
        std::vector<NodeId> operands;
        for (NodeId o : operands_) operands.push_back(copier_(o));

        const Stamp stamp = copier_.stamp_of(fusion_);
        Builder::StampScope outer(builder_, stamp);
        const RegionId region = builder_.open_region();
        std::vector<NodeId> params;
        {
            Builder::StampScope inner(builder_, {stamp.origin, {}, 0});
            for (NodeId o : operands)
                params.push_back(builder_.parameter(buffer_of(builder_.type(o)), context_.name("in")));
            for (TypeId t : results) params.push_back(builder_.parameter(buffer_of(context_[t]), context_.name("out")));
            KernelWriter(builder_, copier_, expressions, params).write(planned);
            builder_.close_region({});
        }
        Record record{{context_.name("name"), AttrValue(context_.name(name_))}};
        if (updated_ >= 0) record.push_back({context_.name("updates"), AttrValue(updated_)});
        if (graph_.attributes(fusion_).flag("interpreted"))
            record.push_back({context_.name("interpreted"), AttrValue(true)});
        const TypeId type = results.size() == 1 ? results[0] : context_.tuple(results);
        return builder_.emit_typed(op<"kernel">(), type, operands, context_.attr(std::move(record)), region, 1);
    }
    TypeId buffer_of(const Type& t) { return context_.buffer(t.dtype, t.device); }

    const Graph& graph_;
    const NodeId fusion_;
    const Region& region_;
    Context& context_;
    const SizeFacts facts_;
    Builder& builder_;
    Copier& copier_;
    NestBuilder nests_;
    Decisions& decisions_;
    const std::string name_;
    std::vector<NodeId> operands_, reductions_;
    std::vector<Nest> plan_;
    std::vector<TypeId> extra_;  // types of results beyond the fusion's: memory between nests
    std::vector<PartialBinding> partials_;
    int64_t updated_ = -1;  // the operand that an update begins with
    std::optional<uint32_t> base_again_;
};

class Scheduler {
public:
    Scheduler(const Graph& graph, const Target& target, Decisions& decisions)
        : graph_(graph), target_(target), decisions_(decisions), builder_(*graph.context), copier_(graph, builder_) {}

    GraphRef run() {
        builder_.set_origin_rule(graph_.context->name("schedule"));
        copier_.copy_params();
        for (NodeId id : graph_.body()) {
            if (graph_[id].op == op<"fusion">()) fusion(id);
            else if (graph_[id].op == op<"get">() && graph_[graph_.operand(id, 0)].op == op<"fusion">()) get(id);
            else if (row(graph_[id].op).lowering == Lowering::tiles) tiles(id);
            else copier_.copy(id);
        }
        return copier_.finish();
    }

private:
    void fusion(NodeId id) {
        FusionScheduler scheduler(graph_, id, builder_, copier_, target_, decisions_);
        const NodeId kernel = scheduler.run();
        const bool tuple = builder_.type(kernel).kind == Type::Kind::tuple;
        if (tuple && scheduler.results() == 1) {  // a single value, but memory between nests beside it
            Builder::StampScope scope(builder_, copier_.stamp_of(id));
            copier_.map(id, element(kernel, 0));
        } else copier_.map(id, kernel);
    }
    // A kernel of loops that the row itself writes.
    void tiles(NodeId id) {
        Context& context = *graph_.context;
        const Stamp stamp = copier_.stamp_of(id);
        Builder::StampScope outer(builder_, stamp);
        std::vector<NodeId> operands, params;
        std::vector<TypeId> results{graph_[id].type};
        if (graph_.type(id).kind == Type::Kind::tuple) results = graph_.type(id).elements;
        const RegionId region = builder_.open_region();
        {
            Builder::StampScope inner(builder_, {stamp.origin, {}, 0});
            const auto parameter = [&](const Type& t, std::string_view name) {
                params.push_back(builder_.parameter(context.buffer(t.dtype, t.device), context.name(name)));
            };
            for (NodeId o : graph_.operands_of(id)) {
                operands.push_back(copier_(o));
                parameter(graph_.type(o), "in");
            }
            for (TypeId t : results) parameter(context[t], "out");
            LoopWriter writer(builder_, graph_, id, params);
            row(graph_[id].op).tiles(writer);
            builder_.close_region({});
        }
        Record record{{context.name("name"), AttrValue(context.name(row(graph_[id].op).name))}};
        if (stays_interpreted(graph_, id)) record.push_back({context.name("interpreted"), AttrValue(true)});
        const NodeId kernel =
            builder_.emit_typed(op<"kernel">(), graph_[id].type, operands, context.attr(std::move(record)), region, 1);
        builder_.set_name(kernel, graph_.names[id.index]);
        copier_.map(id, kernel);
    }
    void get(NodeId id) {
        Builder::StampScope scope(builder_, copier_.stamp_of(id));
        const NodeId made = element(copier_(graph_.operand(id, 0)), graph_.attributes(id).integer("index"));
        builder_.set_name(made, graph_.names[id.index]);
        copier_.map(id, made);
    }
    NodeId element(NodeId tuple, int64_t k) {
        Context& context = *graph_.context;
        return builder_.emit(op<"get">(), {tuple}, context.attr({{context.name("index"), AttrValue(k)}}));
    }

    const Graph& graph_;
    const Target& target_;
    Decisions& decisions_;
    Builder builder_;
    Copier copier_;
};

}  // namespace

GraphRef schedule(const Graph& graph, const Target& target, Decisions& decisions) {
    return verified(PassId::schedule, Scheduler(graph, target, decisions).run());
}

}  // namespace tenon
