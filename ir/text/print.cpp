#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>

#include "ir/row.h"
#include "ir/text/text.h"

namespace tenon {

namespace {

std::string float_text(double value) {  // shortest that reads back, always recognisable as a float
    if (std::isnan(value)) return "nan";
    if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
    char buffer[32];
    const auto end = std::to_chars(buffer, buffer + sizeof buffer, value).ptr;
    std::string out(buffer, end);
    if (out.find_first_of(".e") == std::string::npos) out += ".0";
    return out;
}

// A literal beside a float tensor is written as people write it: 2, not 2.0.
std::string literal_text(const AttrValue& value) {
    if (const bool* b = std::get_if<bool>(&value.value)) return *b ? "true" : "false";
    if (const int64_t* i = std::get_if<int64_t>(&value.value)) return std::to_string(*i);
    const double x = std::get<double>(value.value);
    if (x == std::trunc(x) && std::abs(x) < 1e15 && !(x == 0 && std::signbit(x))) return std::to_string(int64_t(x));
    return float_text(x);
}

std::string quoted(std::string_view text) {
    std::string out = "\"";
    for (char c : text) {
        if (c == '"' || c == '\\') (out += '\\') += c;
        else if (c == '\n') out += "\\n";
        else if (c == '\t') out += "\\t";
        else if (uint8_t(c) < 0x20 || uint8_t(c) == 0x7F) {
            char hex[8];
            std::snprintf(hex, sizeof hex, "\\x%02x", unsigned(uint8_t(c)));
            out += hex;
        } else out += c;
    }
    return out + "\"";
}

std::string value_text(const Context& context, const AttrValue& v, const std::vector<std::string>& symbols) {
    return std::visit(
        [&](const auto& x) -> std::string {
            using T = std::decay_t<decltype(x)>;
            if constexpr (std::is_same_v<T, std::monostate>) return "none";
            else if constexpr (std::is_same_v<T, bool>) return x ? "true" : "false";
            else if constexpr (std::is_same_v<T, int64_t>) return std::to_string(x);
            else if constexpr (std::is_same_v<T, double>) return float_text(x);
            else if constexpr (std::is_same_v<T, NameId>) return quoted(context.text(x));
            else if constexpr (std::is_same_v<T, DType>) return std::string(name_of(x));
            else if constexpr (std::is_same_v<T, SizeId>) return context.to_string(x, symbols);
            else if constexpr (std::is_same_v<T, TypeId>) return print_type(context, x, symbols);
            else {
                std::string out = "[";
                for (size_t k = 0; k < x.size(); ++k) out += (k ? ", " : "") + value_text(context, x[k], symbols);
                return out + "]";
            }
        },
        v.value);
}

class Printer {
public:
    Printer(const Graph& g, const PrintOptions& options)
        : graph_(g), context_(*g.context), options_(options), symbols_(g.symbol_names()) {}

    std::string graph() {
        std::string out = "graph";
        out += " " + std::string(context_.text(graph_.name));
        out += params(graph_.main()) + " -> ";
        const auto results = graph_.results();
        if (results.empty()) out += "none";
        for (size_t k = 0; k < results.size(); ++k) out += (k ? ", " : "") + type(graph_[results[k]].type);
        out += symbol_clause() + " {\n";
        body(graph_.main(), 1, out);
        out += "    return" + list(results) + "\n}\n";
        return out;
    }
    std::string line(NodeId id) {
        const Parts p = parts(id);
        return p.left + (p.type.empty() ? "" : "  : " + p.type) + p.right;
    }
    std::string nest(NodeId id) {
        std::string out;
        block({&id, 1}, 0, out);
        return out;
    }

private:
    struct Parts {
        std::string left, type, right;  // "sin = sin(x)", "f32[n]", "  {…}  @3:40"
    };

    std::string type(TypeId t) const { return print_type(context_, t, symbols_); }
    std::string meta(NodeId id) const {
        const MetaId m = graph_.metas[id.index];
        return m ? "{" + print_record(context_, context_[m], symbols_) + "}" : "";
    }
    std::string list(std::span<const NodeId> values) const {
        std::string out;
        for (size_t k = 0; k < values.size(); ++k) out += (k ? ", " : " ") + value(values[k], {});
        return out;
    }
    std::string params(const Region& region) const {
        std::string out = "(";
        for (NodeId p : graph_.params(region)) {
            if (out.size() > 1) out += ", ";
            out += std::string(graph_.name_of(p)) + ": " + type(graph_[p].type);
            if (graph_.metas[p.index]) out += " " + meta(p);
        }
        return out + ")";
    }
    // Symbols are numbered as the parameters name them and defined by the first dimension that is just one; otherwise it
    // is spelt out.
    std::string symbol_clause() const {
        std::vector<uint32_t> named;
        std::vector<NodeId> definer(graph_.symbols.size());
        std::vector<int> dimension(graph_.symbols.size());
        for (NodeId p : graph_.params()) {
            const Type& t = graph_.type(p);
            for (size_t d = 0; d < t.sizes.size(); ++d) {
                context_.list_symbols(t.sizes[d], named);
                const auto k = context_.symbol_number(t.sizes[d]);
                if (!k || definer[*k]) continue;
                definer[*k] = p;
                dimension[*k] = int(d);
            }
        }
        std::vector<bool> met(graph_.symbols.size());
        std::erase_if(named, [&](uint32_t k) {
            const bool again = met[k];
            met[k] = true;
            return again;
        });
        bool natural = std::is_sorted(named.begin(), named.end()) && named.size() == graph_.symbols.size();
        for (size_t k = 0; k < graph_.symbols.size(); ++k)
            natural &= graph_.symbols[k].definer == definer[k] && graph_.symbols[k].dim == dimension[k];
        std::string out;
        for (size_t k = 0; k < graph_.symbols.size() && !natural; ++k)
            out += (k ? ", " : " where ") + symbols_[k] + " = " +
                   std::string(graph_.name_of(graph_.symbols[k].definer)) + "." + std::to_string(graph_.symbols[k].dim);
        for (size_t k = 0; k < graph_.equalities.size(); ++k)
            out += (k ? ", " : " given ") + context_.to_string(graph_.equalities[k].left, symbols_) +
                   " == " + context_.to_string(graph_.equalities[k].right, symbols_);
        return out;
    }
    std::string value(NodeId id, std::optional<DType> plain) const {
        const Node& node = graph_[id];
        if (node.op == op<"constant">()) {
            const Type& t = graph_.type(id);
            std::string out = literal_text(*graph_.attributes(id).find("value"));
            if (t.dtype != plain && t.dtype != DType::boolean) out += ":" + std::string(name_of(t.dtype));
            return out;
        }
        if (node.op == op<"tensor">()) return "const #" + std::to_string(graph_.attributes(id).integer("index"));
        return std::string(graph_.name_of(id));
    }
    // The dtype that an unmarked literal of this node has: that of its first operand that is no literal.
    std::optional<DType> plain_dtype(NodeId id) const {
        for (NodeId operand : graph_.operands_of(id)) {
            const Type& t = graph_.type(operand);
            if (graph_[operand].op != op<"constant">() && (t.is_tensor() || t.kind == Type::Kind::scalar))
                return t.dtype;
        }
        return std::nullopt;
    }
    Parts parts(NodeId id) const {
        const Node& node = graph_[id];
        const Row& r = row(node.op);
        const std::optional<DType> plain = plain_dtype(id);
        const bool valued = context_[node.type].kind != Type::Kind::none;
        Parts p;
        if (valued) p.left = std::string(graph_.name_of(id)) + " = ";
        p.left += std::string(r.name) + "(";
        bool first = true;
        for (NodeId operand : graph_.operands_of(id)) {
            p.left += (first ? "" : ", ") + value(operand, plain);
            first = false;
        }
        if (node.attr) p.left += (first ? "" : ", ") + print_record(context_, context_[node.attr], symbols_);
        p.left += ")";
        if (valued) p.type = type(node.type);
        if (const std::string m = meta(id); !m.empty()) p.right += "  " + m;
        if (node.flags & recompute_flag) p.right += "  " + std::string(policy_word(node.flags));
        if (node.flags & recomputed_flag) p.right += "  recomputed";
        if (node.flags & no_grad_flag) p.right += "  no_grad";
        const Origin& origin = graph_.origin(id);
        if (options_.origins) {
            if (options_.locate && origin.span.source) p.right += "  @" + options_.locate(origin.span);
            if (origin.differentiated) p.right += "  d " + std::string(row(origin.differentiated).name);
        }
        return p;
    }
    void body(const Region& region, int depth, std::string& out) { block(graph_.body(region), depth, out); }
    void block(std::span<const NodeId> nodes, int depth, std::string& out) {
        const std::string indent(size_t(depth) * 4, ' ');
        std::vector<Parts> lines;
        size_t left = 0, types = 0;
        for (NodeId id : nodes) {
            lines.push_back(parts(id));
            if (lines.back().type.empty()) continue;
            if (lines.back().left.size() <= 48) left = std::max(left, lines.back().left.size());
            if (!lines.back().right.empty() && lines.back().type.size() <= 32)
                types = std::max(types, lines.back().type.size());
        }
        for (size_t k = 0; k < lines.size(); ++k) {
            Parts& p = lines[k];
            out += indent + p.left;
            if (!p.type.empty()) {
                if (p.left.size() < left) out.append(left - p.left.size(), ' ');
                out += "  : " + p.type;
                if (!p.right.empty() && p.type.size() < types) out.append(types - p.type.size(), ' ');
            }
            out += p.right;
            const NodeId id = nodes[k];
            for (unsigned j = 0; j < graph_[id].regions; ++j) {
                const Region& inner = graph_.region_of(id, j);
                out += " " + params(inner) + " {\n";
                body(inner, depth + 1, out);
                out += indent + "    yield" + list(graph_.results(inner));
                if (graph_.metas[inner.yield.index]) out += "  " + meta(inner.yield);
                out += "\n" + indent + "}";
            }
            out += "\n";
        }
    }

    const Graph& graph_;
    const Context& context_;
    const PrintOptions& options_;
    const std::vector<std::string> symbols_;
};

}  // namespace

std::string print(const Graph& graph, const PrintOptions& options) { return Printer(graph, options).graph(); }
std::string print_node(const Graph& graph, NodeId id, const PrintOptions& options) {
    return Printer(graph, options).line(id);
}
std::string print_nest(const Graph& graph, NodeId id, const PrintOptions& options) {
    return Printer(graph, options).nest(id);
}

std::string print_type(const Context& context, TypeId id, const std::vector<std::string>& symbols) {
    const Type& t = context[id];
    std::string out(name_of(t.dtype));
    switch (t.kind) {
        case Type::Kind::none: return "none";
        case Type::Kind::index: return "index";
        case Type::Kind::scalar: return out;
        case Type::Kind::buffer: return "buffer " + out;
        case Type::Kind::tuple:
            out = "(";
            for (size_t k = 0; k < t.elements.size(); ++k)
                out += (k ? ", " : "") + print_type(context, t.elements[k], symbols);
            return out + ")";
        case Type::Kind::tensor: break;
    }
    out += "[";
    for (size_t d = 0; d < t.sizes.size(); ++d) out += (d ? ", " : "") + context.to_string(t.sizes[d], symbols);
    out += "]";
    if (t.device.kind == Device::cuda) out += " cuda(" + std::to_string(int(t.device.index)) + ")";
    return out;
}

std::string print_record(const Context& context, const Record& record, const std::vector<std::string>& symbols) {
    std::string out;
    for (const AttrEntry& e : record) {
        if (!out.empty()) out += ", ";
        out += std::string(context.text(e.key)) + ": " + value_text(context, e.value, symbols);
    }
    return out;
}

}  // namespace tenon
