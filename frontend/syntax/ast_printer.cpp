// Both forms are written from one picture of the tree: what a node says of itself, and its parts.
#include "frontend/syntax/ast_printer.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace tenon {

using namespace ast;

namespace {

using Json = nlohmann::ordered_json;

struct Picture {
    std::string kind;                                        // "call"
    std::vector<std::pair<std::string, std::string>> facts;  // {"name", "relu"}, {"use", "builtin 12"}
    Span span;
    std::vector<std::pair<std::string, Picture>> parts;  // the role may be empty
};

class Painter {
public:
    explicit Painter(const SymbolTable& symbols) : symbols_(symbols) {}

    Picture script(const Script& script) const {
        Picture picture = block("script", *script.main->body);
        picture.facts.push_back({"slots", std::to_string(script.main->slot_count)});
        return picture;
    }

private:
    const std::string& text(Symbol symbol) const { return symbols_.text(symbol); }

    static std::string use_text(const NameUse& use) {
        static constexpr const char* kinds[] = {"unresolved", "local",  "cell", "captured", "global",
                                                "field",      "method", "self", "imported", "builtin"};
        if (use.kind == NameKind::self) return "self";
        return fmt::format("{} {}", kinds[static_cast<size_t>(use.kind)], use.index);
    }

    static void add_use(Picture& picture, const NameUse& use) {
        if (use) picture.facts.push_back({"use", use_text(use)});
    }

    static void add_uses(Picture& picture, const char* what, std::span<const NameUse> uses) {
        std::string list;
        for (const NameUse& use : uses) list += (list.empty() ? "" : ", ") + use_text(use);
        if (!list.empty()) picture.facts.push_back({what, list});
    }

    Picture block(const char* kind, const Block& body) const {
        Picture picture{kind, {}, body.span, {}};
        for (const Statement* statement : body.statements) picture.parts.push_back({"", paint(*statement)});
        return picture;
    }

    void add(Picture& picture, const char* role, const Expr* expr) const {
        if (expr) picture.parts.push_back({role, paint(*expr)});
    }

    void add(Picture& picture, const char* role, const Block* body) const {
        if (body) picture.parts.push_back({role, block("block", *body)});
    }

    void add(Picture& picture, const Arguments& arguments) const {
        static constexpr const char* roles[] = {"", "", "*", "**"};
        for (const Argument& argument : arguments.items) {
            bool keyword = argument.kind == ArgumentKind::keyword;
            std::string role = keyword ? text(argument.name) : roles[static_cast<size_t>(argument.kind)];
            picture.parts.push_back({role, paint(*argument.value)});
        }
    }

    void add(Picture& picture, const TypeNode* type) const {
        if (type) picture.parts.push_back({"", paint(*type)});
    }

    Picture paint(const TypeNode& type) const {
        static constexpr const char* kinds[] = {"any",    "none",   "bool",  "int",   "float", "str",
                                                "list",   "tuple",  "dict",  "range", "fn",    "dtype",
                                                "device", "tensor", "model", "one of"};
        Picture picture{fmt::format("type {}", kinds[static_cast<size_t>(type.kind)]), {}, type.span, {}};
        if (type.has_dtype) picture.facts.push_back({"dtype", std::string(name_of(type.dtype))});
        if (type.kind == TypeKind::model) picture.facts.push_back({"name", text(type.name)});
        add_use(picture, type.use);
        if (type.has_shape && type.shape.empty()) picture.facts.push_back({"shape", "[]"});
        for (const Dimension& dimension : type.shape) {
            switch (dimension.kind) {
                case DimensionKind::size:
                    picture.parts.push_back(
                        {"", {"size", {{"value", std::to_string(dimension.size)}}, dimension.span, {}}});
                    break;
                case DimensionKind::ellipsis:
                    picture.parts.push_back({"", {"ellipsis", {}, dimension.span, {}}});
                    break;
                case DimensionKind::variable: {
                    Picture variable{"size", {{"name", text(dimension.name)}}, dimension.span, {}};
                    add_use(variable, dimension.use);
                    picture.parts.push_back({"", std::move(variable)});
                    break;
                }
                case DimensionKind::expression: add(picture, "size", dimension.value); break;
            }
        }
        for (const TypeNode* argument : type.arguments) picture.parts.push_back({"", paint(*argument)});
        return picture;
    }

    Picture paint(const Function& function, const char* kind) const {
        Picture picture{kind, {}, function.span, {}};
        if (function.kind != FunctionKind::lambda) picture.facts.push_back({"name", text(function.name)});
        if (function.script) picture.facts.push_back({"slots", std::to_string(function.slot_count)});
        std::string captures;
        for (const Capture& capture : function.captures) {
            captures += fmt::format("{}{} ({})", captures.empty() ? "" : ", ", text(capture.name),
                                    use_text({capture.kind, capture.index}));
        }
        if (!captures.empty()) picture.facts.push_back({"captures", captures});
        static constexpr const char* stars[] = {"", "*", "**"};
        for (const Parameter& parameter : function.parameters) {
            Picture part{"parameter",
                         {{"name", stars[static_cast<size_t>(parameter.kind)] + text(parameter.name)}},
                         parameter.span,
                         {}};
            if (function.script) {
                part.facts.push_back(
                    {"use", use_text({parameter.is_cell ? NameKind::cell : NameKind::local, parameter.slot})});
            }
            add(part, parameter.type);
            add(part, "default", parameter.default_value);
            picture.parts.push_back({"", std::move(part)});
        }
        if (function.result) picture.parts.push_back({"result", paint(*function.result)});
        if (function.body) {
            for (const Statement* statement : function.body->statements)
                picture.parts.push_back({"", paint(*statement)});
        }
        add(picture, "value", function.value);
        return picture;
    }

    void add_decorators(Picture& picture, std::span<Expr* const> decorators) const {
        for (const Expr* decorator : decorators) add(picture, "@", decorator);
    }

    Picture paint(const FStringPart& part) const {
        if (!part.value) return {"text", {{"text", Json(text(part.text)).dump()}}, {}, {}};
        Picture picture{"hole", {}, part.value->span, {}};
        if (part.text != Symbol::none) picture.facts.push_back({"echo", text(part.text)});
        add(picture, "", part.value);
        for (const FStringPart& inner : part.spec) picture.parts.push_back({"format", paint(inner)});
        return picture;
    }

    Picture paint(const Expr& expr) const;
    Picture paint(const Statement& statement) const;

    const SymbolTable& symbols_;
};

Picture Painter::paint(const Expr& expr) const {
    Picture picture{"", {}, expr.span, {}};
    auto fact = [&](const char* key, std::string value) { picture.facts.push_back({key, std::move(value)}); };
    switch (expr.kind) {
        case ExprKind::error: picture.kind = "error"; break;
        case ExprKind::none: picture.kind = "none"; break;
        case ExprKind::ellipsis: picture.kind = "ellipsis"; break;
        case ExprKind::boolean: picture.kind = as<BooleanLiteral>(expr).value ? "true" : "false"; break;
        case ExprKind::integer:
            picture.kind = "int";
            fact("value", std::to_string(as<IntegerLiteral>(expr).value));
            break;
        case ExprKind::floating:
            picture.kind = "float";
            fact("value", fmt::format("{}", as<FloatLiteral>(expr).value));
            break;
        case ExprKind::string:
            picture.kind = "string";
            fact("text", Json(text(as<StringLiteral>(expr).text)).dump());
            break;
        case ExprKind::f_string:
            picture.kind = "f-string";
            for (const FStringPart& part : as<FString>(expr).parts) picture.parts.push_back({"", paint(part)});
            break;
        case ExprKind::name:
            picture.kind = "name";
            fact("name", text(as<Name>(expr).name));
            add_use(picture, as<Name>(expr).use);
            break;
        case ExprKind::tuple:
        case ExprKind::list:
            picture.kind = expr.kind == ExprKind::tuple ? "tuple" : "list";
            for (const Expr* item : as<Sequence>(expr).items) add(picture, "", item);
            break;
        case ExprKind::dict:
            picture.kind = "dict";
            for (const DictEntry& entry : as<Dict>(expr).entries) {
                add(picture, "key", entry.key);
                add(picture, entry.key ? "value" : "**", entry.value);
            }
            break;
        case ExprKind::comprehension: {
            auto& comprehension = as<Comprehension>(expr);
            picture.kind = "comprehension";
            add(picture, "key", comprehension.key);
            add(picture, "value", comprehension.value);
            for (const ComprehensionClause& clause : comprehension.clauses) {
                Picture part{"for", {}, clause.target->span, {}};
                add_uses(part, "fresh", clause.fresh);
                add(part, "target", clause.target);
                add(part, "in", clause.iterable);
                for (const Expr* condition : clause.conditions) add(part, "if", condition);
                picture.parts.push_back({"", std::move(part)});
            }
            break;
        }
        case ExprKind::unary:
            picture.kind = fmt::format("unary {}", spelling(as<Unary>(expr).op));
            add(picture, "", as<Unary>(expr).operand);
            break;
        case ExprKind::binary:
            picture.kind = fmt::format("binary {}", spelling(as<Binary>(expr).op));
            add(picture, "", as<Binary>(expr).left);
            add(picture, "", as<Binary>(expr).right);
            break;
        case ExprKind::logical:
            picture.kind = spelling(as<Logical>(expr).op);
            add(picture, "", as<Logical>(expr).left);
            add(picture, "", as<Logical>(expr).right);
            break;
        case ExprKind::comparison:
            picture.kind = "compare";
            add(picture, "", as<Comparison>(expr).first);
            for (const ComparisonLink& link : as<Comparison>(expr).links) add(picture, spelling(link.op), link.operand);
            break;
        case ExprKind::conditional:
            picture.kind = "conditional";
            add(picture, "if", as<Conditional>(expr).condition);
            add(picture, "then", as<Conditional>(expr).yes);
            add(picture, "else", as<Conditional>(expr).no);
            break;
        case ExprKind::function: return paint(*as<Lambda>(expr).function, "lambda");
        case ExprKind::call:
            picture.kind = "call";
            add(picture, "callee", as<Call>(expr).callee);
            add(picture, as<Call>(expr).arguments);
            break;
        case ExprKind::method_call:
            picture.kind = "method call";
            fact("name", text(as<MethodCall>(expr).name));
            add_use(picture, as<MethodCall>(expr).function);
            add(picture, "receiver", as<MethodCall>(expr).receiver);
            add(picture, as<MethodCall>(expr).arguments);
            break;
        case ExprKind::attribute:
            picture.kind = "attribute";
            fact("name", text(as<Attribute>(expr).name));
            add(picture, "", as<Attribute>(expr).object);
            break;
        case ExprKind::index:
            picture.kind = "index";
            add(picture, "", as<Index>(expr).object);
            for (const Expr* item : as<Index>(expr).items) add(picture, "at", item);
            break;
        case ExprKind::slice:
            picture.kind = "slice";
            add(picture, "from", as<Slice>(expr).low);
            add(picture, "to", as<Slice>(expr).high);
            add(picture, "step", as<Slice>(expr).step);
            break;
        case ExprKind::spread:
            picture.kind = "spread";
            add(picture, "", as<Spread>(expr).value);
            break;
        case ExprKind::scope_block:
            picture.kind = "scope";
            fact("name", text(as<ScopeBlock>(expr).name));
            add_use(picture, as<ScopeBlock>(expr).use);
            add_uses(picture, "outputs", as<ScopeBlock>(expr).outputs);
            add(picture, as<ScopeBlock>(expr).arguments);
            add(picture, "", as<ScopeBlock>(expr).body);
            break;
    }
    return picture;
}

Picture Painter::paint(const Statement& statement) const {
    Picture picture{"", {}, statement.span, {}};
    auto fact = [&](const char* key, std::string value) { picture.facts.push_back({key, std::move(value)}); };
    switch (statement.kind) {
        case StatementKind::error: picture.kind = "error"; break;
        case StatementKind::expression: return paint(*as<ExpressionStatement>(statement).value);
        case StatementKind::assign:
            picture.kind = "assign";
            for (const Expr* target : as<Assign>(statement).targets) add(picture, "target", target);
            add(picture, "value", as<Assign>(statement).value);
            break;
        case StatementKind::update:
            picture.kind = fmt::format("update {}=", spelling(as<Update>(statement).op));
            if (!as<Update>(statement).may_rebind) fact("in place", "only");
            add(picture, "target", as<Update>(statement).target);
            add(picture, "value", as<Update>(statement).value);
            break;
        case StatementKind::break_loop: picture.kind = "break"; break;
        case StatementKind::continue_loop: picture.kind = "continue"; break;
        case StatementKind::return_value:
            picture.kind = "return";
            add(picture, "", as<Return>(statement).value);
            break;
        case StatementKind::assertion:
            picture.kind = "assert";
            add(picture, "", as<Assert>(statement).condition);
            add(picture, "message", as<Assert>(statement).message);
            break;
        case StatementKind::graph_break:
            picture.kind = "graph break";
            if (as<GraphBreak>(statement).reason != Symbol::none)
                fact("reason", text(as<GraphBreak>(statement).reason));
            break;
        case StatementKind::use:
            picture.kind = "use";
            for (const UseItem& item : as<Use>(statement).items)
                fact(item.is_file ? "file" : "module", text(item.path));
            break;
        case StatementKind::tensor_declaration: {
            auto& tensor = as<TensorDeclaration>(statement);
            picture.kind = tensor.is_buffer ? "buffer" : "param";
            if (tensor.is_pack) picture.kind += " pack";
            add(picture, "target", tensor.target);
            add(picture, tensor.type);
            add(picture, "value", tensor.value);
            break;
        }
        case StatementKind::if_else:
            picture.kind = "if";
            for (const Branch& branch : as<If>(statement).branches) {
                add(picture, "if", branch.condition);
                add(picture, "then", branch.body);
            }
            add(picture, "else", as<If>(statement).otherwise);
            break;
        case StatementKind::while_loop:
            picture.kind = "while";
            add(picture, "", as<While>(statement).condition);
            add(picture, "", as<While>(statement).body);
            break;
        case StatementKind::for_loop:
            picture.kind = "for";
            add_uses(picture, "fresh", as<For>(statement).fresh);
            add(picture, "target", as<For>(statement).target);
            add(picture, "in", as<For>(statement).iterable);
            add(picture, "", as<For>(statement).body);
            break;
        case StatementKind::function_declaration: {
            auto& declaration = as<FunctionDeclaration>(statement);
            picture = paint(*declaration.function,
                            declaration.function->kind == FunctionKind::method ? "method" : "function");
            add_use(picture, declaration.target);
            add_decorators(picture, declaration.decorators);
            break;
        }
        case StatementKind::custom_declaration: {
            auto& declaration = as<CustomDeclaration>(statement);
            picture.kind = "custom function";
            fact("name", text(declaration.name));
            add_use(picture, declaration.target);
            add_decorators(picture, declaration.decorators);
            picture.parts.push_back({"", paint(*declaration.forward, "forward")});
            picture.parts.push_back({"", paint(*declaration.backward, "backward")});
            break;
        }
        case StatementKind::model_declaration: {
            auto& declaration = as<ModelDeclaration>(statement);
            picture = paint(*declaration.model->constructor, "model");
            picture.span = statement.span;
            std::string fields;
            for (Symbol field : declaration.model->fields) fields += (fields.empty() ? "" : ", ") + text(field);
            if (!fields.empty()) fact("fields", fields);
            add_use(picture, declaration.target);
            add_decorators(picture, declaration.decorators);
            break;
        }
        case StatementKind::test: return paint(*as<Test>(statement).body, "test");
        case StatementKind::try_catch:
            picture.kind = "try";
            add(picture, "", as<Try>(statement).body);
            add(picture, "catch", as<Try>(statement).error);
            add(picture, "", as<Try>(statement).handler);
            break;
    }
    return picture;
}

void write_text(const Picture& picture, const std::string& role, int depth, const SourceMap& sources,
                std::string& out) {
    std::string place;
    if (picture.span) {
        Position position = sources.position(picture.span);
        place = fmt::format("{}:{}", position.line, position.column);
    }
    out += fmt::format("{:>8}  {:{}}{}{}", place, "", depth * 2, role.empty() ? "" : role + ": ", picture.kind);
    for (const auto& [key, value] : picture.facts) {
        bool plain = key == "name" || key == "value" || key == "text" || key == "use";
        out +=
            plain ? fmt::format(" {}", key == "use" ? "[" + value + "]" : value) : fmt::format(" {}: {}", key, value);
    }
    out += '\n';
    for (const auto& [part_role, part] : picture.parts) write_text(part, part_role, depth + 1, sources, out);
}

Json json_of(const Picture& picture, const std::string& role, const SourceMap& sources) {
    Json json{{"kind", picture.kind}};
    if (!role.empty()) json["role"] = role;
    if (picture.span) {
        Position position = sources.position(picture.span);
        json["line"] = position.line;
        json["column"] = position.column;
        json["begin"] = picture.span.begin;
        json["end"] = picture.span.end;
    }
    for (const auto& [key, value] : picture.facts) json[key] = value;
    for (const auto& [part_role, part] : picture.parts) json["parts"].push_back(json_of(part, part_role, sources));
    return json;
}

}  // namespace

std::string print_tree(const Script& script, const SymbolTable& symbols, const SourceMap& sources) {
    std::string out;
    write_text(Painter(symbols).script(script), "", 0, sources, out);
    return out;
}

std::string print_tree_json(const Script& script, const SymbolTable& symbols, const SourceMap& sources) {
    return json_of(Painter(symbols).script(script), "", sources).dump(2) + "\n";
}

}  // namespace tenon
