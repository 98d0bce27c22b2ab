#include <algorithm>
#include <string>
#include <utility>

#include "ir/row.h"
#include "ir/size_facts.h"
#include "ir/text/text.h"

namespace tenon {

namespace {

class Verifier {
public:
    explicit Verifier(const Graph& g)
        : graph_(g), facts_(*g.context, g.equalities), made_in_(g.nodes.size(), nowhere) {}
    void run(Symbols symbols) {
        for (const SizeSymbol& s : graph_.symbols)
            if ((s.definer || (symbols == Symbols::defined && s.dim != defined_around)) &&
                s.definer.index >= graph_.nodes.size())
                fail(NodeId(0), "a symbol without a definer");
        region(graph_.main(), Level::tensor);
    }

private:
    [[noreturn]] void fail(NodeId id, const std::string& why, std::string help = {}) const {
        const bool is_yield = graph_[id].op == op<"yield">();
        throw Fault{
            id, "the graph is broken at " + (is_yield ? "a yield" : "`" + print_node(graph_, id) + "`") + ": " + why,
            std::move(help)};
    }
    // A value is seen in the region that makes it and in those within, but a fusion and a kernel see their parameters only.
    void region(const Region& r, Level level, bool is_closed = false) {
        const uint32_t number = uint32_t(is_open_.size()), outermost = outermost_;
        is_open_.push_back(true);
        if (is_closed) outermost_ = number;
        for (NodeId p : graph_.params(r)) {
            if (graph_[p].op != op<"param">()) fail(p, "a parameter that is no param");
            made_in_[p.index] = number;
        }
        const uint32_t around = std::exchange(here_, number);
        for (NodeId id : graph_.body(r)) node(id, level);
        operands(r.yield);
        here_ = around;
        outermost_ = outermost;
        is_open_[number] = false;
    }
    void operands(NodeId id) {
        for (NodeId operand : graph_.operands_of(id)) {
            if (operand.index >= graph_.nodes.size()) fail(id, "an operand that does not exist");
            const Op o = graph_[operand].op;
            if (o == op<"constant">() || o == op<"tensor">()) continue;
            const uint32_t made_in = made_in_[operand.index];
            if (made_in == nowhere)
                fail(id, "it uses `" + std::string(graph_.name_of(operand)) + "` before it is made");
            if (!is_open_[made_in] || made_in < outermost_)
                fail(id, "it uses `" + std::string(graph_.name_of(operand)) + "`, which is made in another region");
        }
    }
    void node(NodeId id, Level level) {
        const Node& n = graph_[id];
        const Row& r = row(n.op);
        operands(id);
        if (r.level != Level::any && r.level != level)
            fail(id, std::string(r.name) +
                         (level == Level::loop ? " does not belong in a loop nest" : " belongs in a loop nest"));
        const size_t count = n.operands.count;
        if (int(count) < r.min_operands || (r.max_operands >= 0 && int(count) > r.max_operands))
            fail(id, "it has " + std::to_string(count) + " operands, but " + std::string(r.name) + " takes " +
                         (count > size_t(r.min_operands) ? "at most " + std::to_string(r.max_operands)
                                                         : "at least " + std::to_string(r.min_operands)));
        std::vector<TypeId> results;
        std::vector<size_t> sizes;
        const bool is_fusion = n.op == op<"fusion">(), is_kernel = n.op == op<"kernel">();
        if (is_fusion || is_kernel) parameters(id, is_kernel);
        if (r.regions > 0) isolated_parameters(id, r);
        for (unsigned k = 0; k < n.regions; ++k) {
            const Region& inner = graph_.region_of(id, k);
            region(inner, is_kernel ? Level::loop : level, is_fusion || is_kernel || r.regions > 0);
            for (NodeId result : graph_.results(inner)) results.push_back(graph_[result].type);
            sizes.push_back(graph_.results(inner).size());
        }
        if (r.memory == MemoryUse::replaces) view_of_base(id);
        if (r.result) result_type(id, r, results, sizes);
        made_in_[id.index] = here_;
    }
    // Of a fusion they are its operands, of a kernel its operands and then its results as buffers.
    void parameters(NodeId id, bool is_kernel) {
        if (graph_[id].regions != 1) fail(id, "it has " + std::to_string(graph_[id].regions) + " regions, not one");
        const auto params = graph_.params(graph_.region_of(id, 0));
        const auto operands = graph_.operands_of(id);
        if (is_kernel ? params.size() < operands.size() : params.size() != operands.size())
            fail(id, "its region has " + std::to_string(params.size()) + " parameters for " +
                         std::to_string(operands.size()) + " operands");
        for (size_t k = 0; k < params.size(); ++k) {
            const Type& of = graph_.type(params[k]);
            const bool fits = is_kernel ? of.kind == Type::Kind::buffer &&
                                              (k >= operands.size() || of.dtype == graph_.type(operands[k]).dtype)
                                        : graph_[params[k]].type == graph_[operands[k]].type;
            if (!fits) fail(id, "its parameter `" + std::string(graph_.name_of(params[k])) + "` is of another type");
        }
    }
    void isolated_parameters(NodeId id, const Row& r) {
        if (graph_[id].regions != r.regions)
            fail(id, "it has " + std::to_string(graph_[id].regions) + " regions, but " + std::string(r.name) + " has " +
                         std::to_string(int(r.regions)));
        for (unsigned k = 0; k < graph_[id].regions; ++k) {
            std::vector<TypeId> operands;
            for (NodeId operand : graph_.operands_of(id)) operands.push_back(graph_[operand].type);
            const std::function<bool(SizeId, SizeId)> same = [this](SizeId a, SizeId b) { return facts_.equal(a, b); };
            Infer infer{*graph_.context, r.name, graph_[id].op, operands, graph_[id].attr, {}, &same, {}};
            std::vector<TypeId> types;
            try {
                types = r.parameters(infer, k);
            } catch (const Error& e) { fail(id, e.diagnostic.message, e.diagnostic.help); }
            const auto params = graph_.params(graph_.region_of(id, k));
            if (!std::equal(params.begin(), params.end(), types.begin(), types.end(),
                            [&](NodeId p, TypeId type) { return same_type(graph_[p].type, type); }))
                fail(id, "the parameters of its region " + std::to_string(k) + " are not what it gives them");
        }
    }
    // The view that is written leads to the base by movement; the way may go through calls, and in a call's body begin outside of it.
    void view_of_base(NodeId id) const {
        const NodeId base = graph_.operand(id, replaced_base);
        for (NodeId view = graph_.operand(id, replaced_view); view != base; view = graph_.operand(view, 0)) {
            const Op o = graph_[view].op;
            if (row(o).lowering == Lowering::movement) continue;
            if (o == op<"get">() || o == op<"call">() || (here_ != 0 && o == op<"param">())) return;
            fail(id, "its view `" + std::string(graph_.name_of(graph_.operand(id, replaced_view))) +
                         "` does not lead to its base `" + std::string(graph_.name_of(base)) + "`");
        }
    }
    void result_type(NodeId id, const Row& r, std::span<const TypeId> region_results, std::span<const size_t> sizes) {
        std::vector<TypeId> types;
        for (NodeId operand : graph_.operands_of(id)) types.push_back(graph_[operand].type);
        const std::function<bool(SizeId, SizeId)> same = [this](SizeId a, SizeId b) { return facts_.equal(a, b); };
        Infer infer{*graph_.context, r.name, graph_[id].op, types, graph_[id].attr, region_results, &same, {}, sizes};
        TypeId type;
        try {
            type = r.result(infer);
        } catch (const Error& e) {
            fail(id, e.diagnostic.message, e.diagnostic.help);
        } catch (const std::exception&) {  // an attribute of another kind than the row reads
            fail(id, "its attributes are not those of " + std::string(r.name));
        }
        if (!same_type(type, graph_[id].type))
            fail(id, "its type should be " + print_type(*graph_.context, type, graph_.symbol_names()));
    }

    bool same_type(TypeId a, TypeId b) const {
        if (a == b) return true;
        const Type &x = (*graph_.context)[a], &y = (*graph_.context)[b];
        return x.kind == y.kind && x.dtype == y.dtype &&
               std::equal(x.sizes.begin(), x.sizes.end(), y.sizes.begin(), y.sizes.end(),
                          [&](SizeId p, SizeId q) { return facts_.equal(p, q); }) &&
               std::equal(x.elements.begin(), x.elements.end(), y.elements.begin(), y.elements.end(),
                          [&](TypeId p, TypeId q) { return same_type(p, q); });
    }

    const Graph& graph_;
    const SizeFacts facts_;
    static constexpr uint32_t nowhere = UINT32_MAX;
    std::vector<uint32_t> made_in_;  // of each node the number of its region
    std::vector<bool> is_open_;      // of each region met so far: is it around what is looked at?
    uint32_t here_ = 0, outermost_ = 0;
};

}  // namespace

std::optional<Fault> find_fault(const Graph& graph, Symbols symbols) {
    try {
        Verifier(graph).run(symbols);
    } catch (Fault& fault) { return std::move(fault); }
    return std::nullopt;
}

void verify(const Graph& graph, Symbols symbols) {
    const auto fault = find_fault(graph, symbols);
    if (!fault) return;
    throw Error(Diagnostic{"internal",
                           fault->message,
                           graph.origin(fault->node).span,
                           {},
                           "this is a bug in the pass that made the graph"});
}

}  // namespace tenon
