#include <cctype>
#include <charconv>
#include <limits>
#include <map>

#include "ir/builder.h"
#include "ir/text.h"

namespace tenon {

namespace {

class Parser {
public:
    Parser(Context& context, std::string_view text, uint32_t source, std::span<const Tensor> tensors)
        : context_(context), text_(text), source_(source), tensors_(tensors), builder_(context) {}

    GraphRef graph() {
        expect_word("graph");
        NameId name;
        if (peek() != '(') name = context_.name(identifier("the graph's name or ("));
        header_ = true;
        params();
        header_ = false;
        expect("->");
        std::vector<TypeId> types;  // of the results; of none of them, the type none
        do types.push_back(type());
        while (accept(","));
        if (accept_word("where")) explicit_symbols();
        else define_symbols();
        expect("{");
        std::vector<NodeId> results;
        for (;;) {
            if (accept_word("return")) {
                results = values();
                break;
            }
            node();
        }
        for (size_t k = 0; k < results.size(); ++k)
            if (k >= types.size() || builder_.node(results[k]).type != types[k])
                fail("results of the types that the graph's head gives");
        if (results.empty() ? types[0] != context_.none() : results.size() < types.size())
            fail("a result for each type of the graph's head");
        expect("}");
        skip();
        if (at_ != text_.size()) fail("the end of the graph");
        GraphRef made = builder_.finish(results, name);
        if (const auto fault = find_fault(*made)) {
            const Span place = made->origin(fault->node).span;
            throw Error(Diagnostic{"graph", fault->message, place ? place : span_from(0), {}, fault->help});
        }
        return made;
    }

private:
    // ---- characters
    [[noreturn]] void fail(const std::string& wanted) {
        skip();
        Diagnostic d;
        d.kind = "graph";
        const std::string_view word = peek_word();
        std::string found =
            at_ < text_.size() ? "`" + std::string(word.empty() ? text_.substr(at_, 1) : word) + "`" : "the end";
        d.message = "graph text needs " + wanted + " here, but found " + found;
        d.span = {source_, uint32_t(at_), uint32_t(std::min(at_ + 1, text_.size()))};
        d.help = "print(graph) shows the form";
        throw Error(std::move(d));
    }
    Span span_from(size_t begin) const { return {source_, uint32_t(begin), uint32_t(at_)}; }
    void skip() {  // blanks, and comments from "# " to the end of the line
        while (at_ < text_.size()) {
            if (std::isspace(uint8_t(text_[at_]))) ++at_;
            else if (text_[at_] == '#' && (at_ + 1 == text_.size() || text_[at_ + 1] == ' '))
                while (at_ < text_.size() && text_[at_] != '\n') ++at_;
            else break;
        }
    }
    char peek() {
        skip();
        return at_ < text_.size() ? text_[at_] : '\0';
    }
    bool accept(std::string_view token) {
        skip();
        if (text_.substr(at_, token.size()) != token) return false;
        at_ += token.size();
        return true;
    }
    void expect(std::string_view token) {
        if (!accept(token)) fail("`" + std::string(token) + "`");
    }
    static bool word_char(char c) { return std::isalnum(uint8_t(c)) || c == '_' || c == '.'; }
    std::string_view peek_word() {
        skip();
        size_t end = at_;
        if (end < text_.size() && (std::isalpha(uint8_t(text_[end])) || text_[end] == '_'))
            while (end < text_.size() && word_char(text_[end])) ++end;
        return text_.substr(at_, end - at_);
    }
    bool accept_word(std::string_view word) {
        if (peek_word() != word) return false;
        at_ += word.size();
        return true;
    }
    void expect_word(std::string_view word) {
        if (!accept_word(word)) fail("`" + std::string(word) + "`");
    }
    std::string_view identifier(const std::string& wanted) {
        const std::string_view word = peek_word();
        if (word.empty()) fail(wanted);
        at_ += word.size();
        return word;
    }
    struct Nest {  // hostile text must not overflow the stack
        explicit Nest(Parser& p) : parser(p) {
            if (++parser.depth_ > 100) parser.fail("less nesting");
        }
        ~Nest() { --parser.depth_; }
        Parser& parser;
    };

    // ---- sizes and types
    SizeId size() {
        Nest nest(*this);
        SizeId sum = term();
        for (;;) {
            if (accept("+")) sum = context_.add(sum, term());
            else if (peek() == '-' && text_.substr(at_, 2) != "->") {
                ++at_;
                sum = context_.sub(sum, term());
            } else return sum;
        }
    }
    SizeId term() {
        SizeId product = atom();
        while (accept("*")) product = context_.mul(product, atom());
        return product;
    }
    SizeId atom() {
        const char c = peek();
        if (std::isdigit(uint8_t(c)) || c == '-') return context_.constant(integer());
        const std::string_view word = identifier("a size");
        if (peek() == '(') {
            expect("(");
            const SizeId a = size();
            expect(",");
            const SizeId b = size();
            expect(")");
            if (word == "min") return context_.min(a, b);
            if (word == "max") return context_.max(a, b);
            if (word != "floordiv" && word != "mod") fail("floordiv, mod, min or max");
            if (b == SizeId(0)) fail("a divisor that is not 0");
            return word == "mod" ? context_.mod(a, b) : context_.floordiv(a, b);
        }
        const auto known = symbols_.find(std::string(word));
        if (known != symbols_.end()) return context_.symbol(known->second);
        if (!header_) fail("a size that a parameter names");
        const uint32_t number = uint32_t(symbols_.size());
        symbols_.emplace(std::string(word), number);
        symbol_order_.push_back(std::string(word));
        return context_.symbol(number);
    }
    int64_t integer() {
        skip();
        int64_t value = 0;
        const auto [end, error] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), value);
        if (error != std::errc()) fail("an integer");
        at_ = size_t(end - text_.data());
        return value;
    }
    TypeId type() {
        Nest nest(*this);
        if (accept("(")) {
            std::vector<TypeId> elements;
            if (!accept(")")) {
                do elements.push_back(type());
                while (accept(","));
                expect(")");
            }
            return context_.tuple(elements);
        }
        const std::string_view word = identifier("a type");
        if (word == "none") return context_.none();
        if (word == "index") return context_.index();
        if (word == "buffer") return context_.buffer(dtype(identifier("a dtype")));
        const DType d = dtype(word);
        if (!accept("[")) return context_.scalar(d);
        std::vector<SizeId> sizes;
        if (!accept("]")) {
            do sizes.push_back(size());
            while (accept(","));
            expect("]");
        }
        for (SizeId s : sizes)
            if (const auto c = context_.as_constant(s); c && *c < 0) fail("sizes of 0 or more");
        Device device;
        if (accept_word("cuda")) {
            device.kind = Device::cuda;
            expect("(");
            device.index = int16_t(integer());
            expect(")");
        }
        return context_.tensor(d, sizes, device);
    }
    DType dtype(std::string_view word) {
        const auto d = dtype_from_name(word);
        if (!d) fail("a dtype before this");
        return *d;
    }
    void define_symbols() {  // each symbol by the first parameter dimension that is just it
        for (uint32_t k = 0; k < symbol_order_.size(); ++k) {
            bool found = false;
            for (NodeId p : builder_.params()) {
                const Type& t = builder_.type(p);
                for (size_t d = 0; d < t.sizes.size() && !found; ++d)
                    if (t.sizes[d] == context_.symbol(k)) {
                        builder_.symbol(p, int(d), 1, context_.name(symbol_order_[k]));
                        found = true;
                    }
                if (found) break;
            }
            if (!found) fail("a parameter with the dimension " + symbol_order_[k]);
        }
    }
    void explicit_symbols() {
        std::vector<std::pair<NodeId, int>> definers(symbol_order_.size());
        std::vector<uint32_t> order;
        do {
            const std::string name(identifier("a symbol"));
            expect("=");
            std::string_view place = identifier("parameter.dimension");
            const size_t dot = place.rfind('.');
            int dim = 0;
            if (dot == std::string_view::npos ||
                std::from_chars(place.data() + dot + 1, place.data() + place.size(), dim).ec != std::errc())
                fail("parameter.dimension before this");
            const auto it = names_.find(std::string(place.substr(0, dot)));
            if (it == names_.end()) fail("a parameter before this");
            definers_.push_back({name, it->second, dim});
        } while (accept(","));
        // The clause gives the numbering; types were read with numbers by first appearance.
        for (uint32_t k = 0; k < definers_.size(); ++k) {
            const auto known = symbols_.find(definers_[k].name);
            if (known != symbols_.end() && known->second != k)
                fail("symbols in the order in which the parameters name them");
            symbols_.emplace(definers_[k].name, k);
            builder_.symbol(definers_[k].parameter, definers_[k].dim, 1, context_.name(definers_[k].name));
        }
        if (symbols_.size() != definers_.size()) fail("every symbol defined");
    }

    // ---- records
    std::string text_literal() {
        expect("\"");
        std::string out;
        while (at_ < text_.size() && text_[at_] != '"') {
            char c = text_[at_++];
            if (c == '\\' && at_ < text_.size()) {
                c = text_[at_++];
                if (c == 'n') c = '\n';
                else if (c == 't') c = '\t';
                else if (c == 'x') {
                    unsigned code = 0;
                    if (std::from_chars(text_.data() + at_, text_.data() + std::min(at_ + 2, text_.size()), code, 16)
                            .ec != std::errc())
                        fail("two hexadecimal digits");
                    at_ += 2;
                    c = char(code);
                }
            }
            out += c;
        }
        expect("\"");
        return out;
    }
    AttrValue number() {  // an int, a float, inf or nan
        skip();
        const bool minus = text_.substr(at_, 1) == "-";
        const std::string_view rest = text_.substr(at_ + minus);
        if (rest.starts_with("inf") || rest.starts_with("nan")) {
            at_ += 3 + minus;
            if (rest[0] == 'n') return std::numeric_limits<double>::quiet_NaN();
            return minus ? -std::numeric_limits<double>::infinity() : std::numeric_limits<double>::infinity();
        }
        size_t end = at_ + minus;
        bool real = false;
        while (end < text_.size() && (std::isdigit(uint8_t(text_[end])) || text_[end] == '.' || text_[end] == 'e' ||
                                      ((text_[end] == '-' || text_[end] == '+') && text_[end - 1] == 'e'))) {
            real |= text_[end] == '.' || text_[end] == 'e';
            ++end;
        }
        if (!real) return integer();
        double value = 0;
        const auto [stop, error] = std::from_chars(text_.data() + at_, text_.data() + end, value);
        if (error != std::errc()) fail("a number");
        at_ = size_t(stop - text_.data());
        return value;
    }
    AttrValue attr_value() {
        Nest nest(*this);
        const char c = peek();
        if (c == '"') return context_.name(text_literal());
        if (accept("[")) {
            AttrList list;
            if (!accept("]")) {
                do list.push_back(attr_value());
                while (accept(","));
                expect("]");
            }
            return list;
        }
        const std::string_view word = peek_word();
        if (word == "true" || word == "false") {
            at_ += word.size();
            return word == "true";
        }
        if (word == "none") {
            at_ += 4;
            return {};
        }
        if (word == "inf" || word == "nan") return number();
        if (!word.empty())
            if (const auto d = dtype_from_name(word)) {
                at_ += word.size();
                return *d;
            }
        if (word.empty()) {  // a number; a size polynomial may begin with one
            const size_t start = at_;
            const AttrValue plain = number();
            const char next = peek();
            if (next != '*' && next != '+' && !(next == '-' && text_.substr(at_, 2) != "->")) return plain;
            at_ = start;
        }
        return size();
    }
    AttrEntry entry() {
        const NameId key = context_.name(identifier("a key"));
        expect(":");
        return {key, attr_value()};
    }
    MetaId meta() {
        Record record;
        expect("{");
        if (!accept("}")) {
            do record.push_back(entry());
            while (accept(","));
            expect("}");
        }
        return context_.meta(std::move(record));
    }

    // ---- nodes
    bool at_differentiated() {  // `d sin` after a node, not a node named d on the next line
        const size_t start = at_;
        const bool found = accept_word("d") && find_op(peek_word());
        at_ = start;
        return found;
    }
    void params() {
        expect("(");
        if (accept(")")) return;
        do {
            const std::string name(identifier("a parameter"));
            expect(":");
            const TypeId t = type();
            Stamp stamp;
            if (peek() == '{') stamp.meta = meta();
            Builder::StampScope scope(builder_, stamp);
            names_[name] = builder_.parameter(t, context_.name(name));
        } while (accept(","));
        expect(")");
    }
    struct Operand {
        NodeId node;
        AttrValue literal;  // a number whose dtype is not known yet
        bool pending = false;
    };
    bool at_key() {  // `key:` begins the attributes
        const size_t start = at_;
        const std::string_view word = peek_word();
        bool key = false;
        if (!word.empty() && word != "const" && word != "true" && word != "false") {
            at_ += word.size();
            key = peek() == ':' && word != "inf" && word != "nan";
        }
        at_ = start;
        return key;
    }
    Operand operand() {
        const std::string_view word = peek_word();
        if (word == "const") {
            at_ += word.size();
            expect("#");
            const int64_t index = integer();
            if (index < 0 || size_t(index) >= tensors_.size()) fail("a captured tensor that was given with the text");
            auto [it, fresh] = captured_.try_emplace(index);
            if (fresh) it->second = builder_.tensor(tensors_[size_t(index)]);
            return {it->second, {}, false};
        }
        AttrValue value;
        if (word == "true" || word == "false") {
            at_ += word.size();
            return {builder_.literal(word == "true"), {}, false};
        }
        if (word.empty() || word == "inf" || word == "nan") value = number();
        else {
            at_ += word.size();
            const auto it = names_.find(std::string(word));
            if (it == names_.end()) {
                at_ -= word.size();
                fail("a value made before");
            }
            return {it->second, {}, false};
        }
        if (peek() == ':') {
            expect(":");
            return {literal(value, dtype(identifier("a dtype"))), {}, false};
        }
        return {{}, value, true};
    }
    NodeId literal(const AttrValue& value, DType d) {
        if (const double* x = std::get_if<double>(&value.value)) {
            if (!is_float(d)) fail("a whole number before this");
            return builder_.literal(*x, d);
        }
        return builder_.literal(std::get<int64_t>(value.value), d);
    }
    std::vector<NodeId> values() {
        std::vector<NodeId> out;
        if (peek() == '}' || peek() == '{') return out;
        do {
            const std::string_view word = peek_word();
            if (out.empty() && !word.empty() && word != "const" && word != "true" && word != "false" &&
                !names_.contains(std::string(word)) && word != "inf" && word != "nan")
                fail("a value made before");
            const Operand o = operand();
            if (o.pending) fail("a dtype after the literal");
            out.push_back(o.node);
        } while (accept(","));
        return out;
    }
    void node() {
        Nest nest(*this);
        skip();
        const size_t begin = at_;
        std::string name;
        std::string_view word = identifier("a node, return or yield");
        if (peek() == '=') {
            expect("=");
            name = word;
            word = identifier("an op");
        }
        const Op o = find_op(word);
        if (!o || o == op<"param">() || o == op<"yield">() || o == op<"constant">() || o == op<"tensor">()) {
            at_ -= word.size();
            fail("an op that exists");
        }
        expect("(");
        std::vector<Operand> operands;
        Record record;
        if (!accept(")")) {
            do {
                if (!record.empty() || at_key()) record.push_back(entry());
                else operands.push_back(operand());
            } while (accept(","));
            expect(")");
        }
        Origin origin;
        if (source_ != 0) origin.span = span_from(begin);
        TypeId t = context_.none();
        if (accept(":")) t = type();
        Stamp stamp;
        if (peek() == '{') stamp.meta = meta();
        for (;;) {
            if (accept_word("recompute")) stamp.flags |= recompute_flag;
            else if (accept_word("recomputed")) stamp.flags |= recomputed_flag;
            else if (accept_word("no_grad")) stamp.flags |= no_grad_flag;
            else break;
        }
        if (accept("@")) {  // origins are for readers
            while (at_ < text_.size() && !std::isspace(uint8_t(text_[at_]))) ++at_;
        }
        if (at_differentiated()) {
            expect_word("d");
            origin.differentiated = find_op(identifier("the op differentiated"));
        }
        stamp.origin = context_.origin(origin);
        std::optional<DType> plain;
        for (const Operand& operand : operands) {
            if (operand.pending || builder_.is_literal(operand.node)) continue;
            const Type& of = builder_.type(operand.node);
            if (of.is_tensor() || of.kind == Type::Kind::scalar) {
                plain = of.dtype;
                break;
            }
        }
        std::vector<NodeId> ids;
        for (const Operand& operand : operands) {
            if (operand.pending && !plain) fail("a dtype for the literal before this, as in 2:f32");
            ids.push_back(operand.pending ? literal(operand.literal, *plain) : operand.node);
        }
        RegionId first;
        unsigned regions = 0;
        Builder::StampScope scope(builder_, stamp);
        for (; peek() == '('; ++regions) {
            const RegionId opened = builder_.open_region();
            if (regions == 0) first = opened;
            params();
            expect("{");
            while (!accept_word("yield")) node();
            const std::vector<NodeId> results = values();
            Stamp yield;
            if (peek() == '{') yield.meta = meta();
            expect("}");
            Builder::StampScope yielded(builder_, yield);
            builder_.close_region(results);
        }
        const NodeId made = builder_.emit_typed(o, t, ids, context_.attr(std::move(record)), first, regions);
        if (!name.empty()) {
            builder_.set_name(made, context_.name(name));
            names_[name] = made;
        }
    }

    struct Definer {
        std::string name;
        NodeId parameter;
        int dim;
    };
    Context& context_;
    std::string_view text_;
    uint32_t source_;
    std::span<const Tensor> tensors_;
    Builder builder_;
    size_t at_ = 0;
    int depth_ = 0;
    bool header_ = false;
    std::map<std::string, NodeId> names_;
    std::map<std::string, uint32_t> symbols_;
    std::vector<std::string> symbol_order_;
    std::vector<Definer> definers_;
    std::map<int64_t, NodeId> captured_;
};

}  // namespace

GraphRef parse_graph(Context& context, std::string_view text, uint32_t source, std::span<const Tensor> tensors) {
    return Parser(context, text, source, tensors).graph();
}

}  // namespace tenon
