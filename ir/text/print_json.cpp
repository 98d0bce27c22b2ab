#include <cmath>

#include <nlohmann/json.hpp>

#include "ir/row.h"
#include "ir/text/listing.h"
#include "ir/text/text.h"

namespace tenon {

namespace {

using Json = nlohmann::ordered_json;

class JsonPrinter {
public:
    JsonPrinter(const Graph& graph, const std::function<SourcePlace(Span)>& locate)
        : graph_(graph), context_(*graph.context), locate_(locate), symbols_(graph.symbol_names()) {}

    Json graph() const {
        Json out{{"name", context_.text(graph_.name)}};
        for (size_t k = 0; k < graph_.symbols.size(); ++k) {
            const SizeSymbol& s = graph_.symbols[k];
            out["symbols"].push_back({{"name", symbols_[k]},
                                      {"definer", graph_.name_of(s.definer)},
                                      {"dimension", s.dim},
                                      {"hint", s.hint}});
        }
        for (const SizeEquality& e : graph_.equalities) out["equalities"].push_back({size(e.left), size(e.right)});
        add_region(out, graph_.main());
        return out;
    }

private:
    void add_region(Json& out, const Region& region) const {
        out["parameters"] = nodes(graph_.params(region));
        out["nodes"] = nodes(graph_.body(region));
        out["results"] = operands(graph_.results(region));
        if (const Record& meta = context_[graph_.metas[region.yield.index]]; !meta.empty())
            out["metadata"] = record(meta);
    }
    Json nodes(std::span<const NodeId> ids) const {
        Json out = Json::array();
        for (NodeId id : ids) out.push_back(node(id));
        return out;
    }
    Json node(NodeId id) const {
        const Node& n = graph_[id];
        Json out;
        if (context_[n.type].kind != Type::Kind::none) out["name"] = graph_.name_of(id);
        if (n.op != op<"param">()) {
            out["op"] = row(n.op).name;
            out["operands"] = operands(graph_.operands_of(id));
        }
        out["type"] = type(n.type);
        if (n.attr) out["attributes"] = record(context_[n.attr]);
        if (graph_.metas[id.index]) out["metadata"] = record(context_[graph_.metas[id.index]]);
        if (n.flags & recompute_flag) out["flags"].push_back(policy_word(n.flags));
        for (const auto& [flag, name] : {std::pair(no_grad_flag, "no_grad"), std::pair(recomputed_flag, "recomputed")})
            if (n.flags & flag) out["flags"].push_back(name);
        if (const Json from = origin(graph_.origin(id)); !from.is_null()) out["origin"] = from;
        for (unsigned k = 0; k < n.regions; ++k) {
            Json inner;
            add_region(inner, graph_.region_of(id, k));
            out["regions"].push_back(std::move(inner));
        }
        return out;
    }
    Json operands(std::span<const NodeId> ids) const {
        Json out = Json::array();
        for (NodeId id : ids) {
            const Attributes attributes = graph_.attributes(id);
            if (graph_[id].op == op<"constant">())
                out.push_back(
                    {{"literal", value(*attributes.find("value"))}, {"dtype", name_of(graph_.type(id).dtype)}});
            else if (graph_[id].op == op<"tensor">()) out.push_back({{"tensor", attributes.integer("index")}});
            else out.push_back({{"node", graph_.name_of(id)}});
        }
        return out;
    }
    Json origin(const Origin& from) const {
        Json out;
        if (from.span && locate_) {
            const SourcePlace place = locate_(from.span);
            out["file"] = place.file;
            out["line"] = place.line;
            out["column"] = place.column;
        }
        if (from.rule) out["rule"] = context_.text(from.rule);
        if (from.differentiated) out["differentiated"] = row(from.differentiated).name;
        if (from.path) out["path"] = context_.text(from.path);
        return out;
    }
    Json size(SizeId id) const {
        if (const auto constant = context_.as_constant(id)) return *constant;
        return context_.to_string(id, symbols_);
    }
    Json type(TypeId id) const {
        static constexpr std::string_view kinds[] = {"none", "tensor", "scalar", "index", "buffer", "tuple"};
        const Type& t = context_[id];
        Json out{{"text", print_type(context_, id, symbols_)}, {"kind", kinds[size_t(t.kind)]}};
        const bool has_dtype = t.kind == Type::Kind::scalar || t.kind == Type::Kind::buffer || t.is_tensor();
        if (has_dtype) out["dtype"] = name_of(t.dtype);
        if (t.is_tensor()) {
            out["shape"] = Json::array();
            for (SizeId s : t.sizes) out["shape"].push_back(size(s));
            out["device"] = t.device.kind == Device::cuda ? "cuda(" + std::to_string(t.device.index) + ")" : "cpu";
        }
        for (TypeId element : t.elements) out["elements"].push_back(type(element));
        return out;
    }
    Json record(const Record& entries) const {
        Json out = Json::object();
        for (const AttrEntry& entry : entries) out[std::string(context_.text(entry.key))] = value(entry.value);
        return out;
    }
    Json value(const AttrValue& v) const {
        return std::visit(
            [&](const auto& x) -> Json {
                using T = std::decay_t<decltype(x)>;
                if constexpr (std::is_same_v<T, std::monostate>) return nullptr;
                else if constexpr (std::is_same_v<T, NameId>) return context_.text(x);
                else if constexpr (std::is_same_v<T, DType>) return name_of(x);
                else if constexpr (std::is_same_v<T, SizeId>) return size(x);
                else if constexpr (std::is_same_v<T, TypeId>) return type(x);
                else if constexpr (std::is_same_v<T, AttrList>) {
                    Json list = Json::array();
                    for (const AttrValue& item : x) list.push_back(value(item));
                    return list;
                } else if constexpr (std::is_same_v<T, double>) {
                    if (std::isnan(x)) return "nan";
                    if (std::isinf(x)) return x < 0 ? "-inf" : "inf";
                    return x;
                } else return x;
            },
            v.value);
    }

    const Graph& graph_;
    const Context& context_;
    const std::function<SourcePlace(Span)>& locate_;
    const std::vector<std::string> symbols_;
};

}  // namespace

std::string print_json(std::string_view stage, std::span<const GraphRef> graphs,
                       const std::function<SourcePlace(Span)>& locate) {
    Json out{{"stage", stage}, {"graphs", Json::array()}};
    for (const GraphRef& graph : graphs) out["graphs"].push_back(JsonPrinter(*graph, locate).graph());
    return out.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace tenon
