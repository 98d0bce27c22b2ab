#include "ir/passes/rules.h"

#include <array>
#include <cassert>
#include <charconv>
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "runtime/diagnostic.h"

namespace tenon {

namespace {

// x + 0 is no rule for floats: −0 + 0 is +0. Neither is x * 0, nor x − x: infinities and NaN.
constexpr auto signed_numbers =
    DTypes(uint16_t(DTypes::numeric) & ~(1u << unsigned(DType::u8)));  // −x of u8 is 256 − x

constexpr Rule rule_table[] = {
    {"mul-one", "mul(x, 1)", "x"},
    {"one-mul", "mul(1, x)", "x"},
    {"div-one", "div(x, 1)", "x"},
    {"sub-zero", "sub(x, 0)", "x"},
    {"add-zero", "add(x, 0)", "x", DTypes::integers},
    {"zero-add", "add(0, x)", "x", DTypes::integers},
    {"add-neg", "add(x, neg(y))", "sub(x, y)"},
    {"sub-neg", "sub(x, neg(y))", "add(x, y)"},
    {"neg-neg", "neg(neg(x))", "x"},
    {"mul-neg-neg", "mul(neg(x), neg(y))", "mul(x, y)"},
    {"abs-neg", "abs(neg(x))", "abs(x)", signed_numbers},
    {"abs-abs", "abs(abs(x))", "abs(x)"},
    {"square-neg", "square(neg(x))", "square(x)"},
    {"relu-relu", "relu(relu(x))", "relu(x)"},
    {"floor-floor", "floor(floor(x))", "floor(x)"},
    {"ceil-ceil", "ceil(ceil(x))", "ceil(x)"},
    {"trunc-trunc", "trunc(trunc(x))", "trunc(x)"},
    {"round-round", "round(round(x))", "round(x)"},
    {"max-same", "maximum(x, x)", "x"},
    {"min-same", "minimum(x, x)", "x"},
    {"not-not", "logical_not(logical_not(x))", "x"},
    {"complement-twice", "bitwise_not(bitwise_not(x))", "x"},
    {"and-same", "logical_and(x, x)", "x"},
    {"or-same", "logical_or(x, x)", "x"},
    {"and-true", "logical_and(x, true)", "x"},
    {"or-false", "logical_or(x, false)", "x"},
    {"where-same", "where(c, x, x)", "x"},
    {"where-true", "where(true, x, y)", "x"},
    {"where-false", "where(false, x, y)", "y"},
    {"where-not", "where(logical_not(c), x, y)", "where(c, y, x)"},
    {"identity", "identity(x)", "x"},
    {"detach", "detach(x)", "x"},
    {"with-history", "with_history(x, y)", "x"},
    {"cast-to-itself", "cast(x)", "x"},
    {"expand-to-itself", "expand(x)", "x"},
    {"reshape-to-itself", "reshape(x)", "x"},
    {"update-of-everything", "update(x, x, y)", "y"},
    {"log-exp", "log(exp(x))", "x", DTypes::floats, Exactness::approximate},
    {"exp-log", "exp(log(x))", "x", DTypes::floats, Exactness::approximate},
};

// Patterns and replacements are read once into small trees.
struct Tree {
    enum class Kind : uint8_t { op, name, number } kind = Kind::name;
    Op op;
    char name = 0;
    double number = 0;
    bool boolean = false;
    std::vector<Tree> operands;
};

class Reader {
public:
    explicit Reader(std::string_view text) : text_(text) {}
    Tree tree() {
        while (text_.starts_with(' ') || text_.starts_with(',')) text_.remove_prefix(1);
        size_t end = 0;
        while (end < text_.size() && text_[end] != '(' && text_[end] != ')' && text_[end] != ',') ++end;
        const std::string_view word = text_.substr(0, end);
        text_.remove_prefix(end);
        Tree t;
        if (word == "true" || word == "false") {
            t.kind = Tree::Kind::number;
            t.number = word == "true";
            t.boolean = true;
        } else if (std::from_chars(word.data(), word.data() + word.size(), t.number).ec == std::errc()) {
            t.kind = Tree::Kind::number;
        } else if (text_.starts_with('(')) {
            text_.remove_prefix(1);
            t.kind = Tree::Kind::op;
            t.op = require_op(word);
            while (!text_.starts_with(')')) t.operands.push_back(tree());
            text_.remove_prefix(1);
        } else {
            assert(word.size() == 1);
            t.name = word[0];
        }
        return t;
    }

private:
    std::string_view text_;
};

void list_names(const Tree& t, std::string& names) {
    if (t.kind == Tree::Kind::name) names += t.name;
    for (const Tree& o : t.operands) list_names(o, names);
}

// A pattern is an op; a replacement is made of ops and of names that the pattern has.
void check(const Rule& rule, const Tree& pattern, const Tree& replacement) {
    const auto refuse = [&](std::string_view why) {
        throw_error("internal", "the rule " + std::string(rule.name) + ": " + std::string(why));
    };
    if (pattern.kind != Tree::Kind::op) refuse("its pattern is no op");
    std::string bound;
    list_names(pattern, bound);
    const std::function<void(const Tree&)> look = [&](const Tree& t) {
        if (t.kind == Tree::Kind::number)
            refuse("its replacement holds a number; only ops and the pattern's names can stand there");
        if (t.kind == Tree::Kind::name && bound.find(t.name) == std::string::npos)
            refuse("its replacement has a name that the pattern has not");
        for (const Tree& o : t.operands) look(o);
    };
    look(replacement);
}

struct Compiled {
    const Rule* rule;
    Tree pattern, replacement;
};
// Rules by the row of their outermost op.
const std::vector<std::vector<Compiled>>& compiled() {
    static const std::vector<std::vector<Compiled>> by_row = [] {
        std::vector<std::vector<Compiled>> out(all_rows().size());
        for (const Rule& r : rule_table) {
            Compiled c{&r, Reader(r.pattern).tree(), Reader(r.replacement).tree()};
            check(r, c.pattern, c.replacement);
            out[c.pattern.op.row].push_back(std::move(c));
        }
        return out;
    }();
    return by_row;
}

class Match {
public:
    explicit Match(Builder& b) : builder_(b) {}
    bool operands(const Tree& pattern, std::span<const NodeId> operands) {
        if (pattern.operands.size() != operands.size()) return false;
        for (size_t k = 0; k < operands.size(); ++k)
            if (!value(pattern.operands[k], operands[k])) return false;
        return true;
    }
    // The type of what the replacement would be, without emitting it: only names and ops of the same type are used.
    NodeId build(const Tree& t) {
        if (t.kind == Tree::Kind::name) return bound_[size_t(t.name - 'a')];
        assert(t.kind == Tree::Kind::op);
        std::vector<NodeId> operands;
        for (const Tree& o : t.operands) operands.push_back(build(o));
        return builder_.emit(t.op, operands);
    }
    // A replacement that is a bare value has its type; one that is an op has the pattern's, since its values are the
    // same.
    TypeId type(const Tree& t, TypeId pattern) {
        return t.kind == Tree::Kind::name ? builder_.node(build(t)).type : pattern;
    }

private:
    bool value(const Tree& pattern, NodeId id) {
        switch (pattern.kind) {
            case Tree::Kind::name: {
                NodeId& bound = bound_[size_t(pattern.name - 'a')];
                if (!bound) bound = id;
                return bound == id;
            }
            case Tree::Kind::number: {
                if (!builder_.is_literal(id) || (builder_.type(id).dtype == DType::boolean) != pattern.boolean)
                    return false;
                const AttrValue& v = *builder_.attributes(id).find("value");
                if (const bool* b = std::get_if<bool>(&v.value)) return *b == (pattern.number != 0);
                if (const int64_t* i = std::get_if<int64_t>(&v.value)) return double(*i) == pattern.number;
                const double x = std::get<double>(v.value);
                return x == pattern.number && !std::signbit(x);
            }
            case Tree::Kind::op: {
                const Node& n = builder_.node(id);
                return n.op == pattern.op && operands(pattern, builder_.operands_of(id));
            }
        }
        return false;
    }

    Builder& builder_;
    std::array<NodeId, 26> bound_{};
};

}  // namespace

std::span<const Rule> rules() { return rule_table; }

Replacement apply_rules(Builder& builder, Op o, TypeId type, std::span<const NodeId> operands, bool approximate) {
    for (const Compiled& c : compiled()[o.row]) {
        if (c.rule->exactness == Exactness::approximate && !approximate) continue;
        if (!admits(c.rule->dtypes, builder.context()[type].dtype)) continue;
        Match match(builder);
        if (match.operands(c.pattern, operands) && match.type(c.replacement, type) == type)
            return {match.build(c.replacement), c.rule};
    }
    return {};
}

}  // namespace tenon
