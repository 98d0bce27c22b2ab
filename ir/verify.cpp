#include <string>

#include "ir/row.h"
#include "ir/size_facts.h"
#include "ir/text/text.h"

namespace tenon {

namespace {

class Verifier {
public:
    explicit Verifier(const Graph& g) : graph_(g), facts_(*g.context, g.equalities), defined_(g.nodes.size(), false) {}
    void run(Symbols symbols) {
        for (const SizeSymbol& s : graph_.symbols)
            if ((s.definer || symbols == Symbols::defined) && s.definer.index >= graph_.nodes.size())
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
    void region(const Region& r, Level level) {
        for (NodeId p : graph_.params(r)) {
            if (graph_[p].op != op<"param">()) fail(p, "a parameter that is no param");
            defined_[p.index] = true;
        }
        for (NodeId id : graph_.body(r)) node(id, level);
        operands(r.yield);
    }
    void operands(NodeId id) {
        for (NodeId operand : graph_.operands_of(id)) {
            if (operand.index >= graph_.nodes.size()) fail(id, "an operand that does not exist");
            const Op o = graph_[operand].op;
            if (!defined_[operand.index] && o != op<"constant">() && o != op<"tensor">())
                fail(id, "it uses `" + std::string(graph_.name_of(operand)) + "` before it is made");
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
        for (unsigned k = 0; k < n.regions; ++k) {
            const Region& inner = graph_.region_of(id, k);
            region(inner, n.op == op<"kernel">() ? Level::loop : level);
            for (NodeId result : graph_.results(inner)) results.push_back(graph_[result].type);
        }
        if (r.result) result_type(id, r, results);
        defined_[id.index] = true;
    }
    void result_type(NodeId id, const Row& r, std::span<const TypeId> region_results) {
        std::vector<TypeId> types;
        for (NodeId operand : graph_.operands_of(id)) types.push_back(graph_[operand].type);
        const std::function<bool(SizeId, SizeId)> same = [this](SizeId a, SizeId b) { return facts_.equal(a, b); };
        Infer infer{*graph_.context, r.name, types, graph_[id].attr, region_results, &same, {}};
        TypeId type;
        try {
            type = r.result(infer);
        } catch (const Error& e) {
            fail(id, e.diagnostic.message, e.diagnostic.help);
        } catch (const std::exception&) {  // an attribute of another kind than the row reads
            fail(id, "its attributes are not those of " + std::string(r.name));
        }
        const Type &want = (*graph_.context)[type], &have = graph_.type(id);
        bool equal = want.kind == have.kind && want.dtype == have.dtype && want.sizes.size() == have.sizes.size() &&
                     want.elements == have.elements;
        for (size_t d = 0; equal && d < want.sizes.size(); ++d)
            equal = want.sizes[d] == have.sizes[d] || same(want.sizes[d], have.sizes[d]);
        if (!equal) fail(id, "its type should be " + print_type(*graph_.context, type, graph_.symbol_names()));
    }

    const Graph& graph_;
    const SizeFacts facts_;
    std::vector<bool> defined_;
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
