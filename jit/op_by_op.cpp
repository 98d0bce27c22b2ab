#include "jit/op_by_op.h"

#include <algorithm>
#include <cassert>

#include "ir/build/copier.h"
#include "ir/build/take_apart.h"
#include "ir/passes/passes.h"
#include "ir/row.h"
#include "ir/text/text.h"
#include "jit/executable.h"
#include "jit/literal.h"
#include "jit/machine.h"

namespace tenon {

namespace {

void append_key(std::string& key, uint32_t number) {
    key.append(reinterpret_cast<const char*>(&number), sizeof number);
}

}  // namespace

/// One run of one graph.
class OpByOp::Run {
public:
    Run(OpByOp& owner, const Graph& graph, std::span<const Tensor> inputs, size_t wanted)
        : owner_(owner), graph_(graph), context_(*graph.context), inputs_(inputs),
          wanted_(std::min(wanted, graph.results().size())), values_(graph.nodes.size()), maker_(graph.nodes.size()),
          uses_(graph.nodes.size()) {}

    RunRecord run() {
        const auto params = graph_.params();
        for (size_t k = 0; k < params.size(); ++k)
            values_[params[k].index] = {k < inputs_.size() ? inputs_[k] : Tensor()};
        std::vector<SizeId> sizes;
        for (const SizeSymbol& symbol : graph_.symbols) {
            const Tensor definer = symbol.definer ? values_[symbol.definer.index][0] : Tensor();
            sizes.push_back(context_.constant(definer.defined() ? definer.shape[size_t(symbol.dim)] : symbol.hint));
        }
        at_sizes_.emplace(context_, std::move(sizes));
        count_uses();
        RunRecord record;
        try {
            for (NodeId id : graph_.body())
                if (uses_[id.index] > 0) node(id, true);
            for (NodeId result : graph_.results().first(wanted_)) record.results.push_back(value(result));
        } catch (const Error& error) {
            record.results.clear();
            record.failure = error.diagnostic;
        }
        record.inputs = after_writes();
        return record;
    }

private:
    // ---- what is needed, and for how long
    bool is_effect(NodeId id) const { return is_ordered(row(graph_[id].op).effect); }
    bool has_effects(const Region& region) const {
        return std::any_of(graph_.body(region).begin(), graph_.body(region).end(), [&](NodeId id) {
            if (is_effect(id)) return true;
            for (unsigned k = 0; k < graph_[id].regions; ++k)
                if (has_effects(graph_.region_of(id, k))) return true;
            return false;
        });
    }
    void count_uses() {
        for (NodeId result : graph_.results().first(wanted_)) ++uses_[result.index];
        const auto body = graph_.body();
        for (size_t k = body.size(); k-- > 0;) {
            bool effects = is_effect(body[k]);
            for (unsigned r = 0; r < graph_[body[k]].regions; ++r) effects |= has_effects(graph_.region_of(body[k], r));
            if (effects) ++uses_[body[k].index];  // never dropped, which an effect's value of none does not mind
            if (uses_[body[k].index] > 0)
                for (NodeId operand : graph_.operands_of(body[k])) ++uses_[operand.index];
        }
    }
    void release(NodeId id) {
        if (--uses_[id.index] == 0 && graph_[id].op != op<"param">()) values_[id.index].clear();
    }

    // ---- values
    const Tensor& value(NodeId id) {
        std::vector<Tensor>& known = values_[id.index];
        if (known.empty()) {
            const Attributes attributes = graph_.attributes(id);
            if (graph_[id].op == op<"tensor">()) known = {graph_.tensors[size_t(attributes.integer("index"))]};
            else {
                assert(graph_[id].op == op<"constant">());
                known = {Tensor::scalar(owner_.machine_.allocator(), graph_.type(id).dtype, scalar_of(graph_, id))};
            }
        }
        return known[0];
    }
    // The node that made a value, through the borders of calls: what a region's parameter or a call's result stands
    // for.
    NodeId maker(NodeId id) const {
        while (maker_[id.index]) id = maker_[id.index];
        return id;
    }

    void node(NodeId id, bool releases) {
        const Op o = graph_[id].op;
        if (o == op<"get">()) get(id);
        else if (o == op<"tuple">()) {
            for (NodeId operand : graph_.operands_of(id)) values_[id.index].push_back(value(operand));
        } else if (o == op<"call">() || o == op<"fusion">()) call(id);
        else if (row(o).lowering == Lowering::regions) regions(id);
        else if (row(o).effect == Effect::asserts) check(id);
        else if (row(o).effect == Effect::commits)
            writes_.emplace_back(maker(graph_.operand(id, 0)), value(graph_.operand(id, 1)));
        else compute(id);
        if (releases)
            for (NodeId operand : graph_.operands_of(id)) release(operand);
    }
    void get(NodeId id) {
        const NodeId tuple = graph_.operand(id, 0);
        const size_t index = size_t(graph_.attributes(id).integer("index"));
        values_[id.index] = {values_[tuple.index].at(index)};
        if (graph_[tuple].regions == 1) maker_[id.index] = graph_.results(graph_.region_of(tuple))[index];
    }
    void call(NodeId id) {
        const Region& region = graph_.region_of(id);
        const auto params = graph_.params(region);
        for (size_t k = 0; k < params.size(); ++k) {
            values_[params[k].index] = {value(graph_.operand(id, k))};
            maker_[params[k].index] = graph_.operand(id, k);
        }
        for (NodeId inner : graph_.body(region)) node(inner, false);
        const auto results = graph_.results(region);
        for (NodeId result : results) values_[id.index].push_back(value(result));
        if (results.size() == 1) maker_[id.index] = results[0];
        for (NodeId inner : graph_.body(region)) values_[inner.index].clear();
    }
    void regions(NodeId id) {
        std::vector<Tensor> operands;
        for (NodeId operand : graph_.operands_of(id)) operands.push_back(value(operand));
        const auto run = [&](const Graph& region, std::span<const Tensor> inputs) {
            RunRecord record = owner_.run(region, inputs);
            if (record.failure) throw Error(*record.failure);
            return std::move(record.results);
        };
        const auto is_true = [](const Tensor& condition) { return *condition.contiguous().data<bool>(); };
        try {
            values_[id.index] = take_apart<Tensor>(graph_, id, *at_sizes_, operands, run, is_true);
        } catch (Error& error) {
            if (!error.diagnostic.span) error.diagnostic.span = graph_.origin(id).span;
            throw;
        }
    }
    void check(NodeId id) {
        if (*value(graph_.operand(id, 0)).contiguous().data<bool>()) return;
        throw Error(Diagnostic{"assertion", "assertion failed", graph_.origin(id).span, {}, {}});
    }
    std::vector<Tensor> after_writes() const {
        if (writes_.empty()) return {inputs_.begin(), inputs_.end()};
        const std::vector<Tensor> copies = copy_together(inputs_, owner_.machine_.allocator());
        const auto params = graph_.params();
        for (const auto& [param, written] : writes_)
            copy_strided(copies[size_t(std::find(params.begin(), params.end(), param) - params.begin())], written);
        return copies;
    }

    // ---- one op
    // The movement that leads from an update's base to the view that it writes, from the base on.
    std::vector<NodeId> path_of_update(NodeId update) const {
        std::vector<NodeId> path;
        const NodeId base = maker(graph_.operand(update, replaced_base));
        for (NodeId link = maker(graph_.operand(update, replaced_view)); link != base;
             link = maker(graph_.operand(link, 0)))
            path.push_back(link);
        std::reverse(path.begin(), path.end());
        return path;
    }
    void compute(NodeId id) {
        const bool replaces = row(graph_[id].op).memory == MemoryUse::replaces;
        std::vector<NodeId> operands(graph_.operands_of(id).begin(), graph_.operands_of(id).end()), path;
        if (replaces) {
            path = path_of_update(id);
            operands.erase(operands.begin() + replaced_view);
        }
        std::vector<Tensor> arguments;
        std::string key;
        for (NodeId link : path) append_node(key, link);
        append_node(key, id);
        for (NodeId operand : operands) {
            const bool literal = graph_[operand].op == op<"constant">();
            append_key(key, literal ? graph_[operand].attr.index : UINT32_MAX);
            append_key(key, literal ? graph_[operand].type.index : type(operand).index);
            if (!literal) arguments.push_back(value(operand));
        }
        std::unique_ptr<Executable>& program = find(key);
        if (!program) program = make_program(id, operands, path);
        program->run(arguments, values_[id.index]);
    }
    void append_node(std::string& key, NodeId id) {
        append_key(key, graph_[id].op.row);
        append_key(key, (*at_sizes_)(graph_[id].attr).index);
        append_key(key, type(id).index);
        for (unsigned k = 0; k < graph_[id].regions; ++k) key += print(*region_of(id, k));
    }
    // Of a row whose regions are a part of its kernel.
    GraphRef region_of(NodeId id, unsigned k) { return with_sizes(*extract_region(graph_, id, k), *at_sizes_); }
    TypeId type(NodeId id) { return (*at_sizes_)(graph_[id].type); }
    std::unique_ptr<Executable>& find(const std::string& key) {
        if (owner_.programs_.size() >= programs_kept) owner_.programs_.clear();
        return owner_.programs_[key];
    }
    std::unique_ptr<Executable> make_program(NodeId id, std::span<const NodeId> operands,
                                             std::span<const NodeId> path) {
        Builder builder(context_);
        Copier copy(graph_, builder);
        std::vector<NodeId> images;
        for (NodeId operand : operands)
            images.push_back(graph_[operand].op == op<"constant">() ? copy.copy(operand)
                                                                    : builder.parameter(type(operand)));
        if (row(graph_[id].op).memory == MemoryUse::replaces) {
            NodeId view = images[replaced_base];
            for (NodeId link : path) view = emit(builder, copy, link, {&view, 1});
            images.insert(images.begin() + replaced_view, view);
        }
        const GraphRef graph = builder.finish(builder.results_of(emit(builder, copy, id, images)));
        Decisions decisions;
        Target target;
        target.threads = owner_.machine_.pool().threads();
        return std::make_unique<Executable>(schedule(*fuse(*expand(graph), decisions), target, decisions),
                                            owner_.machine_, EngineKind::eager);
    }
    NodeId emit(Builder& builder, const Copier& copy, NodeId id, std::span<const NodeId> operands) {
        Builder::StampScope scope(builder, copy.stamp_of(id));
        std::vector<GraphRef> regions;
        for (unsigned k = 0; k < graph_[id].regions; ++k) regions.push_back(region_of(id, k));
        if (!regions.empty())
            return emit_typed_with_regions(builder, graph_[id].op, type(id), operands, regions,
                                           (*at_sizes_)(graph_[id].attr));
        return builder.emit_typed(graph_[id].op, type(id), operands, (*at_sizes_)(graph_[id].attr));
    }

    OpByOp& owner_;
    const Graph& graph_;
    Context& context_;
    const std::span<const Tensor> inputs_;
    const size_t wanted_;
    std::optional<Substitution> at_sizes_;     // symbols are what the inputs show
    std::vector<std::vector<Tensor>> values_;  // a node; of a tuple several
    std::vector<NodeId> maker_;                // what a region's parameter, or a call's result, stands for
    std::vector<uint32_t> uses_;               // that are yet to come, in the main body
    std::vector<std::pair<NodeId, Tensor>> writes_;
};

OpByOp::OpByOp(Machine& machine) : machine_(machine) {}
OpByOp::~OpByOp() = default;

RunRecord OpByOp::run(const Graph& graph, std::span<const Tensor> inputs, size_t wanted) {
    return Run(*this, graph, inputs, wanted).run();
}

}  // namespace tenon
