#include <algorithm>
#include <charconv>
#include <map>
#include <optional>

#include "ir/build/builder.h"
#include "ir/text/parse_values.h"
#include "ir/text/text.h"

namespace tenon {

namespace {

class GraphParser {
public:
    GraphParser(Context& context, std::string_view text, uint32_t source, std::span<const Tensor> tensors)
        : context_(context), source_(source), cursor_(text, source), values_(context, cursor_), tensors_(tensors),
          builder_(context) {}

    GraphRef graph() {
        cursor_.expect_word("graph");
        NameId name;
        if (cursor_.peek() != '(') name = context_.name(cursor_.word("the graph's name or ("));
        const std::vector<TypeId> types = head();
        cursor_.expect("{");
        while (!cursor_.accept_word("return")) node();
        const std::vector<NodeId> results = operands_of_end();
        for (size_t k = 0; k < results.size(); ++k)
            if (k >= types.size() || builder_.node(results[k]).type != types[k])
                cursor_.fail("results of the types that the graph's head gives");
        if (results.empty() ? types[0] != context_.none() : results.size() < types.size())
            cursor_.fail("a result for each type of the graph's head");
        cursor_.expect("}");
        if (!cursor_.at_end()) cursor_.fail("the end of the graph");
        GraphRef made = builder_.finish(results, name);
        if (const auto fault = find_fault(*made)) {
            const Span place = made->origin(fault->node).span;
            throw Error(Diagnostic{"graph", fault->message, place ? place : cursor_.span_from(0), {}, fault->help});
        }
        return made;
    }

private:
    // ---- the head: parameters, types of results, symbols
    std::vector<TypeId> head() {
        const size_t start = cursor_.place();
        std::vector<TypeId> types = signature();
        std::vector<Definer> definers;
        if (cursor_.accept_word("where")) {
            definers = explicit_symbols();
            if (std::any_of(definers.begin(), definers.end(), [&](const Definer& d) {
                    return values_.symbols()[size_t(&d - definers.data())] != d.symbol;
                })) {  // numbered as they are listed here: read once more with these numbers
                const size_t end = cursor_.place();
                cursor_.go_back(start);
                builder_.reset();
                values_.forget_symbols();
                for (const Definer& d : definers) values_.symbol(d.symbol);
                types = signature();
                for (Definer& d : definers) d.parameter = names_.find(d.parameter_name)->second;
                cursor_.go_back(end);
            }
        } else {
            definers = first_dimensions();
        }
        for (const Definer& d : definers) builder_.symbol(d.parameter, d.dimension, 1, context_.name(d.symbol));
        if (cursor_.accept_word("given")) equalities();
        return types;
    }
    std::vector<TypeId> signature() {  // of the results; of none of them, the type none
        values_.set_head(true);
        params();
        values_.set_head(false);
        cursor_.expect("->");
        std::vector<TypeId> types;
        do types.push_back(values_.type());
        while (cursor_.accept(","));
        return types;
    }
    void params() {
        cursor_.expect("(");
        if (cursor_.accept(")")) return;
        do {
            const std::string name(cursor_.word("a parameter"));
            cursor_.expect(":");
            const TypeId t = values_.type();
            Stamp stamp;
            if (cursor_.peek() == '{') stamp.meta = values_.meta();
            Builder::StampScope scope(builder_, stamp);
            names_[name] = builder_.parameter(t, context_.name(name));
        } while (cursor_.accept(","));
        cursor_.expect(")");
    }
    struct Definer {
        std::string symbol, parameter_name;
        NodeId parameter;
        int dimension = 0;
    };
    std::vector<Definer> first_dimensions() {  // each symbol by the first parameter dimension that is just it
        const std::vector<std::string>& symbols = values_.symbols();
        std::vector<Definer> definers(symbols.size());
        for (NodeId p : builder_.params()) {
            const Type& t = builder_.type(p);
            for (size_t d = 0; d < t.sizes.size(); ++d) {
                const auto k = context_.symbol_number(t.sizes[d]);
                if (k && definers[*k].symbol.empty()) definers[*k] = {symbols[*k], {}, p, int(d)};
            }
        }
        for (size_t k = 0; k < symbols.size(); ++k)
            if (definers[k].symbol.empty()) cursor_.fail("a parameter with the dimension " + symbols[k]);
        return definers;
    }
    std::vector<Definer> explicit_symbols() {  // `n = x.0`
        std::vector<Definer> definers;
        do {
            Definer d;
            d.symbol = cursor_.word("a symbol");
            const auto& known = values_.symbols();
            const bool is_again = std::any_of(definers.begin(), definers.end(),
                                              [&](const Definer& other) { return other.symbol == d.symbol; });
            if (is_again || std::find(known.begin(), known.end(), d.symbol) == known.end())
                cursor_.fail("a symbol that a parameter names, once");
            cursor_.expect("=");
            const std::string_view place = cursor_.word("parameter.dimension");
            const size_t dot = place.rfind('.');
            if (dot == std::string_view::npos ||
                std::from_chars(place.data() + dot + 1, place.data() + place.size(), d.dimension).ec != std::errc())
                cursor_.fail("parameter.dimension before this");
            d.parameter_name = place.substr(0, dot);
            const auto parameter = names_.find(d.parameter_name);
            if (parameter == names_.end()) cursor_.fail("a parameter before this");
            d.parameter = parameter->second;
            const std::vector<SizeId>& sizes = builder_.type(d.parameter).sizes;
            const uint32_t number = values_.symbol(d.symbol);
            if (size_t(d.dimension) >= sizes.size() || context_.symbol_number(sizes[size_t(d.dimension)]) != number)
                cursor_.fail("a dimension that is just " + d.symbol + " before this");
            definers.push_back(std::move(d));
        } while (cursor_.accept(","));
        if (values_.symbols().size() != definers.size()) cursor_.fail("every symbol defined");
        return definers;
    }
    void equalities() {  // `n*m == 4*k`
        do {
            SizeEquality e;
            e.left = values_.size();
            cursor_.expect("==");
            e.right = values_.size();
            builder_.known_sizes().add({&e, 1});
        } while (cursor_.accept(","));
    }

    // ---- operands
    struct Operand {
        NodeId node;
        AttrValue literal;  // a number whose dtype is not known yet
        bool pending = false;
    };
    Operand operand() {
        if (cursor_.accept_word("const")) return {captured_tensor(), {}, false};
        if (cursor_.accept_word("true")) return {builder_.literal(true, DType::boolean), {}, false};
        if (cursor_.accept_word("false")) return {builder_.literal(false, DType::boolean), {}, false};
        const std::string_view word = cursor_.peek_word();
        if (!word.empty() && word != "inf" && word != "nan") {
            const auto known = names_.find(word);
            if (known == names_.end()) cursor_.fail("a value made before");
            cursor_.expect_word(word);
            return {known->second, {}, false};
        }
        const AttrValue value = cursor_.number();
        if (cursor_.accept(":")) return {literal(value, values_.dtype(cursor_.word("a dtype"))), {}, false};
        return {{}, value, true};
    }
    NodeId captured_tensor() {
        cursor_.expect("#");
        const int64_t index = cursor_.integer();
        if (index < 0 || size_t(index) >= tensors_.size())
            cursor_.fail("a captured tensor that was given with the text");
        const auto [known, fresh] = captured_.try_emplace(index);
        if (fresh) known->second = builder_.tensor(tensors_[size_t(index)]);
        return known->second;
    }
    NodeId literal(const AttrValue& value, DType d) {
        if (const double* x = std::get_if<double>(&value.value)) {
            if (!is_float(d)) cursor_.fail("a whole number before this");
            return builder_.literal(*x, d);
        }
        return builder_.literal(std::get<int64_t>(value.value), d);
    }
    // A number without a dtype has that of the first operand that is no literal.
    std::vector<NodeId> with_dtypes(std::span<const Operand> operands) {
        std::optional<DType> plain;
        for (const Operand& operand : operands) {
            if (operand.pending || builder_.is_literal(operand.node)) continue;
            const Type& of = builder_.type(operand.node);
            if (of.is_tensor() || of.kind == Type::Kind::scalar) {
                plain = of.dtype;
                break;
            }
        }
        std::vector<NodeId> nodes;
        for (const Operand& operand : operands) {
            if (operand.pending && !plain) cursor_.fail("a dtype for the literal before this, as in 2:f32");
            nodes.push_back(operand.pending ? literal(operand.literal, *plain) : operand.node);
        }
        return nodes;
    }
    std::vector<NodeId> operands_of_end() {  // of `return` and `yield`
        std::vector<NodeId> out;
        if (cursor_.peek() == '}' || cursor_.peek() == '{') return out;
        do {
            const Operand o = operand();
            if (o.pending) cursor_.fail("a dtype after the literal");
            out.push_back(o.node);
        } while (cursor_.accept(","));
        return out;
    }
    bool at_key() {  // `key:` begins the attributes
        const size_t start = cursor_.place();
        const std::string_view word = cursor_.peek_word();
        bool key = false;
        if (!word.empty() && word != "const" && word != "true" && word != "false") {
            cursor_.expect_word(word);
            key = cursor_.peek() == ':' && word != "inf" && word != "nan";
        }
        cursor_.go_back(start);
        return key;
    }

    // ---- nodes
    void node() {
        const TextCursor::Nesting nesting(cursor_);
        cursor_.skip();
        const size_t begin = cursor_.place();
        size_t start = begin;
        std::string name;
        std::string_view word = cursor_.word("a node, return or yield");
        if (cursor_.accept("=")) {
            name = word;
            start = cursor_.place();
            word = cursor_.word("an op");
        }
        const Op o = find_op(word);
        if (!o || o == op<"param">() || o == op<"yield">() || o == op<"constant">() || o == op<"tensor">()) {
            cursor_.go_back(start);
            cursor_.fail("an op that exists");
        }
        std::vector<Operand> operands;
        Record record;
        arguments(operands, record);
        Origin origin;
        if (source_ != 0) origin.span = cursor_.span_from(begin);
        const TypeId type = cursor_.accept(":") ? values_.type() : context_.none();
        const Stamp stamp = this->stamp(origin);
        const std::vector<NodeId> nodes = with_dtypes(operands);
        Builder::StampScope scope(builder_, stamp);
        RegionId first;
        unsigned regions = 0;
        for (; cursor_.peek() == '('; ++regions) {
            const RegionId opened = region();
            if (regions == 0) first = opened;
        }
        const NodeId made = builder_.emit_typed(o, type, nodes, context_.attr(std::move(record)), first, regions);
        if (name.empty()) return;
        builder_.set_name(made, context_.name(name));
        names_[name] = made;
    }
    void arguments(std::vector<Operand>& operands, Record& record) {
        cursor_.expect("(");
        if (cursor_.accept(")")) return;
        do {
            if (!record.empty() || at_key()) record.push_back(values_.entry());
            else operands.push_back(operand());
        } while (cursor_.accept(","));
        cursor_.expect(")");
    }
    uint8_t accept_policy() {
        for (std::string_view word : {"recompute", "must_recompute", "prefer_save", "must_save"})
            if (cursor_.accept_word(word)) return flags_of_policy(word);
        return 0;
    }
    Stamp stamp(Origin origin) {  // metadata, flags, what it differentiates
        Stamp stamp;
        if (cursor_.peek() == '{') stamp.meta = values_.meta();
        for (;;) {
            if (const uint8_t policy = accept_policy()) stamp.flags |= policy;
            else if (cursor_.accept_word("recomputed")) stamp.flags |= recomputed_flag;
            else if (cursor_.accept_word("no_grad")) stamp.flags |= no_grad_flag;
            else break;
        }
        if (cursor_.accept("@")) cursor_.skip_word();  // where a node comes from is for readers
        if (at_differentiated()) {
            cursor_.expect_word("d");
            origin.differentiated = find_op(cursor_.word("the op differentiated"));
        }
        stamp.origin = context_.origin(origin);
        return stamp;
    }
    bool at_differentiated() {  // `d sin` after a node, not a node named d on the next line
        const size_t start = cursor_.place();
        const bool found = cursor_.accept_word("d") && find_op(cursor_.peek_word());
        cursor_.go_back(start);
        return found;
    }
    RegionId region() {
        const RegionId opened = builder_.open_region();
        params();
        cursor_.expect("{");
        while (!cursor_.accept_word("yield")) node();
        const std::vector<NodeId> results = operands_of_end();
        Stamp yield;
        if (cursor_.peek() == '{') yield.meta = values_.meta();
        cursor_.expect("}");
        Builder::StampScope yielded(builder_, yield);
        builder_.close_region(results);
        return opened;
    }

    Context& context_;
    uint32_t source_;
    TextCursor cursor_;
    ValueParser values_;
    std::span<const Tensor> tensors_;
    Builder builder_;
    std::map<std::string, NodeId, std::less<>> names_;
    std::map<int64_t, NodeId> captured_;
};

}  // namespace

GraphRef parse_graph(Context& context, std::string_view text, uint32_t source, std::span<const Tensor> tensors) {
    return GraphParser(context, text, source, tensors).graph();
}

}  // namespace tenon
