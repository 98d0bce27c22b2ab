// The syntax tree of scripts. The parser makes it in an Arena, the resolver fills in the parts marked so, the evaluator
// walks it. Nodes are plain structs told apart by `kind`; children are pointers and spans into the same arena.
// Over 500 lines: it is one table, each kind of node beside its struct, to be read at a glance.
#pragma once

#include <cassert>
#include <cstdint>
#include <span>

#include "frontend/syntax/symbols.h"
#include "runtime/dtype.h"
#include "runtime/span.h"

namespace tenon {
enum class Kind : uint8_t;
struct BuiltinRow;
}  // namespace tenon

namespace tenon::ast {

struct Block;
struct Expr;
struct Function;
struct FunctionDeclaration;
struct Model;
struct ModelDeclaration;
struct Script;
struct Statement;
struct TypeNode;

/// No tree is higher than this: a walker may recurse.
inline constexpr int maximum_depth = 200;

// ---- Names ------------------------------------------------------------------------------------------------------

/// How to find what a name means. A frame has `slots`, the function it runs has `cells`, and `self` in a model.
enum class NameKind : uint8_t {
    unresolved,
    local,     // frame.slots[index], a plain value
    cell,      // frame.slots[index] is a cell that closures share
    captured,  // function.cells[index]
    global,    // script.globals[index], always a cell: a top-level `for` gives its captured targets a new one each turn
    field,     // field number `index` of frame.self, of the enclosing model
    method,    // method number `index` of the enclosing model, bound to frame.self
    self,      // frame.self
    imported,  // ModuleScope::imports[index]
    builtin,   // built-in number `index`
};

struct NameUse {
    NameKind kind = NameKind::unresolved;
    uint32_t index = 0;

    explicit operator bool() const { return kind != NameKind::unresolved; }
    friend bool operator==(const NameUse&, const NameUse&) = default;
};

// ---- Expressions ------------------------------------------------------------------------------------------------

enum class ExprKind : uint8_t {
    error,          // the parser reported it; no tree with one is ever evaluated
    none,           // Expr
    ellipsis,       // Expr
    boolean,        // BooleanLiteral
    integer,        // IntegerLiteral
    floating,       // FloatLiteral
    string,         // StringLiteral
    f_string,       // FString
    name,           // Name
    tuple,          // Sequence
    list,           // Sequence
    dict,           // Dict
    comprehension,  // Comprehension
    unary,          // Unary
    binary,         // Binary
    logical,        // Logical
    comparison,     // Comparison
    conditional,    // Conditional
    function,       // Lambda
    call,           // Call
    method_call,    // MethodCall
    attribute,      // Attribute
    index,          // Index
    slice,          // Slice, only among the items of an Index
    spread,         // Spread, only among the items of a Sequence (and of a target)
    scope_block,    // ScopeBlock
};

struct Expr {
    ExprKind kind;
    bool is_literal = false;  // a literal, or arithmetic of literals: a graph takes it as a constant
    bool parenthesised = false;
    uint16_t depth = 1;  // height of the tree below, itself included
    Span span;
    mutable bool in_registers = true;  // evaluator: false once it was no number
};

struct BooleanLiteral : Expr {
    bool value;
};

struct IntegerLiteral : Expr {
    int64_t value;
};

struct FloatLiteral : Expr {
    double value;
};

struct StringLiteral : Expr {
    Symbol text;  // escapes are resolved
};

/// A piece of an f-string: text, or a hole `{value=:spec}`.
struct FStringPart {
    Symbol text = Symbol::none;   // of a hole: what `{x=}` prints before the value, or none
    Expr* value = nullptr;        // null in a piece of text
    std::span<FStringPart> spec;  // texts and holes without spec of their own
};

struct FString : Expr {
    std::span<FStringPart> parts;
};

struct Name : Expr {
    Symbol name;
    NameUse use;  // resolver
};

/// `(a, b)` and `[a, b]`. Items may be Spreads.
struct Sequence : Expr {
    std::span<Expr*> items;
    bool has_spread;
};

struct Spread : Expr {
    Expr* value;
};

struct DictEntry {
    Expr* key;  // null for `**value`
    Expr* value;
};

struct Dict : Expr {
    std::span<DictEntry> entries;
};

/// `for target in iterable if condition`.
struct ComprehensionClause {
    Expr* target;
    Expr* iterable;
    std::span<Expr*> conditions;
    std::span<NameUse> fresh;  // resolver: cells to be made anew each turn, before the target is assigned
};

enum class ComprehensionKind : uint8_t { list, dict, argument };  // `argument` is `f(x for x in xs)`, worth a list

struct Comprehension : Expr {
    ComprehensionKind result;
    Expr* key;  // of a dict, else null
    Expr* value;
    std::span<ComprehensionClause> clauses;  // the first is the outermost
};

enum class UnaryOperator : uint8_t { negate, invert, logical_not };

enum class BinaryOperator : uint8_t {
    add,
    subtract,
    multiply,
    divide,
    floor_divide,
    modulo,
    matmul,
    power,
    bit_and,
    bit_or,
    bit_xor,
    shift_left,
    shift_right
};

enum class LogicalOperator : uint8_t { logical_and, logical_or };

enum class ComparisonOperator : uint8_t {
    equal,
    not_equal,
    less,
    less_equal,
    greater,
    greater_equal,
    in,
    not_in,
    is,
    is_not
};

struct Unary : Expr {
    UnaryOperator op;
    Expr* operand;
};

struct Binary : Expr {
    BinaryOperator op;
    Expr* left;
    Expr* right;
};

struct Logical : Expr {
    LogicalOperator op;
    Expr* left;
    Expr* right;
};

struct ComparisonLink {
    ComparisonOperator op;
    Expr* operand;
};

/// `first op operand op operand …`: true if every link is, each operand evaluated once.
struct Comparison : Expr {
    Expr* first;
    std::span<ComparisonLink> links;
};

struct Conditional : Expr {
    Expr* condition;
    Expr* yes;
    Expr* no;
};

/// A function without a name.
struct Lambda : Expr {
    Function* function;
};

enum class ArgumentKind : uint8_t { positional, keyword, spread, keyword_spread };

struct Argument {
    ArgumentKind kind;
    Symbol name;  // of a keyword
    Expr* value;
    Span span;
};

/// Arguments in the order written: positional ones and spreads first, then keywords and keyword spreads.
struct Arguments {
    std::span<Argument> items;
    uint32_t positional = 0;  // how many come first, spreads included
    bool has_spread = false;  // `*xs` or `**kw` is among them

    /// Each is for the parameter at its place.
    bool in_order() const { return positional == items.size() && !has_spread; }
};

/// Where the models of a declaration have a name: the number of the field and of the method, -1 where there is none.
struct Member {
    const Model* model = nullptr;
    int32_t field = -1, method = -1;
};

/// The row of a built-in that takes the arguments of a method call as they stand, for receivers of one kind.
struct MethodRow {
    const BuiltinRow* row = nullptr;
    Kind kind{};  // unset, which no receiver is, where there is no row
};

struct Call : Expr {
    Expr* callee;
    Arguments arguments;
};

/// `receiver.name(arguments)`: a field or method of the receiver if it has one, else `function(receiver, arguments)`.
struct MethodCall : Expr {
    Expr* receiver;
    Symbol name;
    Span name_span;
    Arguments arguments;
    NameUse function;  // resolver: the declared function or built-in of that name in scope; never a variable
    mutable Member member = {};  // evaluator: of the model that was the receiver last
    mutable MethodRow known = {};  // evaluator: for the receiver that chose one last
};

struct Attribute : Expr {
    Expr* object;
    Symbol name;
    Span name_span;
    mutable Member member = {};  // evaluator: of the model that was the object last
};

/// `object[items]`.
struct Index : Expr {
    Expr* object;
    std::span<Expr*> items;
    bool is_tuple;  // `x[a, b]` and `x[a,]`: the key is a tuple
};

struct Slice : Expr {
    Expr* low;  // null where left out
    Expr* high;
    Expr* step;
};

/// `name(arguments) { body }` and `annotate {keys} { body }` (whose keys are keyword arguments): the body runs in a
/// built-in scope, as part of the surrounding function.
struct ScopeBlock : Expr {
    Symbol name;
    Span name_span;
    bool has_arguments;
    Arguments arguments;
    Block* body;
    NameUse use;                 // resolver: a built-in that takes a block
    std::span<NameUse> outputs;  // resolver: names assigned in the body and read outside of it
};

// ---- Types ------------------------------------------------------------------------------------------------------

enum class TypeKind : uint8_t {
    any,
    none,
    boolean,
    integer,
    floating,
    string,
    list,
    tuple,
    dict,
    range,
    function,
    dtype,
    device,
    tensor,
    model,
    alternatives
};

enum class DimensionKind : uint8_t { size, variable, expression, ellipsis };

/// One entry of `f32[…]`. Sizes are ints; a variable is bound by the first tensor that has it and equal from then on.
struct Dimension {
    DimensionKind kind;
    int64_t size = 0;  // of kind size
    Symbol name = Symbol::none;
    NameUse use;            // resolver: of a variable, its slot (empty until it is bound)
    Expr* value = nullptr;  // of an expression: over parameters and variables
    Span span;
};

struct TypeNode {
    TypeKind kind;
    uint16_t depth = 1;
    Span span;
    Symbol name = Symbol::none;  // of a model
    NameUse use;                 // resolver: of a model
    bool has_dtype = false;
    DType dtype = DType::f32;        // of a tensor, if has_dtype
    bool has_shape = false;          // `f32[]` has one, `f32` has none
    std::span<Dimension> shape;      // at most one ellipsis
    std::span<TypeNode*> arguments;  // of list (1), dict (2), tuple (all), alternatives; may be empty
};

// ---- Statements -------------------------------------------------------------------------------------------------

enum class StatementKind : uint8_t {
    error,                 // Statement
    expression,            // ExpressionStatement
    assign,                // Assign
    update,                // Update
    break_loop,            // Statement
    continue_loop,         // Statement
    return_value,          // Return
    assertion,             // Assert
    graph_break,           // GraphBreak
    use,                   // Use
    tensor_declaration,    // TensorDeclaration
    if_else,               // If
    while_loop,            // While
    for_loop,              // For
    function_declaration,  // FunctionDeclaration
    custom_declaration,    // CustomDeclaration
    model_declaration,     // ModelDeclaration
    test,                  // Test
    try_catch,             // Try
};

struct Statement {
    StatementKind kind;
    uint16_t depth = 1;
    Span span;
};

struct Block {
    std::span<Statement*> statements;
    uint16_t depth = 1;
    Span span;  // braces included
};

struct ExpressionStatement : Statement {
    Expr* value;
};

/// `target = target = value`. A target is a Name, an Attribute, an Index, or a Sequence of targets with at most one
/// Spread of one.
struct Assign : Statement {
    std::span<Expr*> targets;
    Expr* value;
};

/// `target op= value`. The target is a Name, an Attribute or an Index.
struct Update : Statement {
    BinaryOperator op;
    Expr* target;
    Expr* value;
    bool may_rebind;  // resolver: false for an outer name or a field by its bare name, which only changes in place
};

struct Return : Statement {
    Expr* value;  // or null
};

struct Assert : Statement {
    Expr* condition;
    Expr* message;  // or null; evaluated only on failure
};

struct GraphBreak : Statement {
    Symbol reason;  // or none
};

struct UseItem {
    bool is_file;  // a path as written, else `std.nn`
    Symbol path;
    Span span;
    uint32_t module = 0;  // resolver: what NameSource::load returned
};

struct Use : Statement {
    std::span<UseItem> items;
};

/// `param name: type = value` and `buffer …`. A pack, `param name = **value`, holds a dict whose tensors are the model's
/// own: they are called by their keys.
struct TensorDeclaration : Statement {
    bool is_buffer, is_pack;
    Name* target;
    TypeNode* type;  // or null
    Expr* value;     // or null
};

struct Branch {
    Expr* condition;
    Block* body;
};

struct If : Statement {
    std::span<Branch> branches;
    Block* otherwise;  // or null
};

struct While : Statement {
    Expr* condition;
    Block* body;
};

struct For : Statement {
    Expr* target;
    Expr* iterable;
    Block* body;
    std::span<NameUse> fresh;  // resolver: cells (kind cell or global) to be made anew each turn, before assigning
};

/// Functions are bound when their scope is entered (Function::hoisted), and again at their line if `bind_at_line`.
struct FunctionDeclaration : Statement {
    Function* function;
    std::span<Expr*> decorators;  // outermost first
    NameUse target;               // resolver
    bool bind_at_line;            // resolver: it has decorators, or stands in a loop or a branch
};

/// `custom fn name(parameters) { forward(ctx) { … } backward(ctx, g) { … } }`.
struct CustomDeclaration : Statement {
    Symbol name;
    Function* forward;   // its parameters are ctx, then those of the declaration
    Function* backward;  // ctx, then one cotangent per output
    std::span<Expr*> decorators;
    NameUse target;  // resolver
};

struct ModelDeclaration : Statement {
    Model* model;
    std::span<Expr*> decorators;
    NameUse target;     // resolver
    bool bind_at_line;  // resolver, as for functions
};

struct Test : Statement {
    Symbol name;
    Function* body;
};

struct Try : Statement {
    Block* body;
    Name* error;
    Block* handler;
};

// ---- Functions, models, scripts ---------------------------------------------------------------------------------

enum class ParameterKind : uint8_t { plain, rest, keywords };  // `x`, `*xs`, `**kw`

struct Parameter {
    ParameterKind kind;
    bool keyword_only;     // stands after `*xs`
    bool is_cell = false;  // resolver: closures share it, so its slot holds a cell
    Symbol name;
    TypeNode* type;       // or null
    Expr* default_value;  // or null; evaluated at each call in the callee's frame, left to right
    Span span;
    uint32_t slot = 0;  // resolver
};

enum class FunctionKind : uint8_t { script, named, lambda, method, constructor, test, custom_forward, custom_backward };

/// Where a closure takes a cell from when it is made.
struct Capture {
    NameKind kind;  // cell: slots[index] of the frame that makes it; captured: cells[index] of that frame's function;
                    // global: the cell that script.globals[index] holds now (a captured target of a top-level `for`)
    uint32_t index;
    Symbol name;
};

struct Function {
    FunctionKind kind;
    uint16_t depth = 1;
    Symbol name;
    Span span;       // the whole of it
    Span name_span;  // where its name stands, or `fn`
    std::span<Parameter> parameters;
    TypeNode* result = nullptr;  // or null
    Block* body = nullptr;       // or null in the short form
    Expr* value = nullptr;       // of the short form `fn f(x) = value`

    // The rest is the resolver's.
    Script* script = nullptr;
    Function* parent = nullptr;  // the function it is written in; the script's own has none
    Model* model = nullptr;      // the model whose `self` it sees, or null
    bool uses_self = false;      // it, or a function inside it, reads `self`, a field or a method
    uint32_t slot_count = 0;
    std::span<Symbol> slot_names;    // for messages
    std::span<uint32_t> cell_slots;  // slots, parameters excluded, that need a new cell on entry
    std::span<Capture> captures;     // one for each of its cells
    std::span<FunctionDeclaration*> hoisted;
    std::span<ModelDeclaration*> hoisted_models;
    std::span<uint32_t> dimension_slots;  // slots that the sizes in its types are bound to
};

/// The body is the constructor's: it runs with `self` set to a new model. Constructor parameters are stored in the
/// first fields.
struct Model {
    Symbol name;
    Span name_span;
    Function* constructor;
    std::span<Symbol> fields;                 // resolver: parameters, then names in the order first assigned
    std::span<Symbol> packs;                  // resolver: fields that are packs of params or buffers
    std::span<FunctionDeclaration*> methods;  // resolver: in source order
};

/// One parsed text: a file, a module of the standard library, or an input of the REPL.
struct Script {
    uint32_t source;
    Function* main;  // kind script, no parameters
};

// ---- Access -----------------------------------------------------------------------------------------------------

template <class T>
T& as(Expr& expr) {
    return static_cast<T&>(expr);
}
template <class T>
const T& as(const Expr& expr) {
    return static_cast<const T&>(expr);
}
template <class T>
T& as(Statement& statement) {
    return static_cast<T&>(statement);
}
template <class T>
const T& as(const Statement& statement) {
    return static_cast<const T&>(statement);
}

/// As written: `+`, `not in`, `and`.
const char* spelling(BinaryOperator op);
const char* spelling(UnaryOperator op);
const char* spelling(LogicalOperator op);
const char* spelling(ComparisonOperator op);

}  // namespace tenon::ast
