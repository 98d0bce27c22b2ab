// Statements, operators, types and fields, which no other table tells of. A word of the language that is not here is
// found by `tenon help --markdown`.
#include <fmt/format.h>

#include "frontend/help/topics.h"

namespace tenon {

namespace {

struct Entry {
    std::string_view names;  // what finds it, separated by blanks
    std::string_view form;
    std::string_view about;
};

constexpr Entry statements[] = {
    {"=", "x = e, (a, b) = e, x.f = e, x[i] = e", "assigns; in a function the name is the function's own"},
    {"+= -= *= /= //= %= @= **= &= |= ^= <<= >>=", "x += e",
     "changes a tensor or a list in place, and assigns x + e to anything else; so for the other operators"},
    {"if else", "if c { … } else if d { … } else { … }",
     "runs the first block whose condition is true: a bool, or a bool tensor of one element; also a value: a if c else "
     "b"},
    {"for in", "for x in xs { … }",
     "runs the block for each item of a list, tuple, dict (its keys), range, str or tensor (along dimension 0), or of "
     "a "
     "model with `next()`; each turn has a fresh x"},
    {"while", "while c { … }", "runs the block as long as the condition is true"},
    {"break", "break", "leaves the innermost loop"},
    {"continue", "continue", "goes on with the next turn of the innermost loop"},
    {"fn", "fn f(x, k: int = 2, *rest, **more) -> T { … }, fn f(x) = e, fn(x) = e",
     "declares a function, which is visible before its line too; without a name it is a value; defaults are evaluated "
     "at each "
     "call"},
    {"return", "return e", "leaves the function with a value, none without one"},
    {"assert", "assert c, \"message\"",
     "an error of kind \"assertion\" where the condition is false; of a tensor it stays in the graph"},
    {"try catch", "try { … } catch e { … }",
     "runs the second block after an error in the first; e.message, e.kind, e.line, e.help"},
    {"use", "use std.nn, std.optim; use \"./file.model\"",
     "brings the names of a module or of another script that do not begin with `_`"},
    {"test", "test \"name\" { … }", "runs under `tenon test` alone, and reports an error inside"},
    {"model", "model Name(k: int) { w = …; fn forward(x) { … } }",
     "declares a model: the body runs when Name(…) makes one, every name assigned in it is a field, and calling one "
     "calls `forward`"},
    {"param", "param w: f32[n] = e",
     "in a model: a field that is learned, a copy of its initial value; outside: a leaf"},
    {"buffer", "buffer n: i64[] = 0", "in a model: a tensor that is kept and saved, but not learned"},
    {"self", "self.x = e",
     "in a model: the model; methods read fields by their bare names, and assign them as fields of self"},
    {"custom", "custom fn f(x) { forward(ctx) { … } backward(ctx, g) { … } }",
     "a function with a gradient of its own: `ctx.save(x)` keeps tensors for backward, which finds them in `ctx.saved` and "
     "gives a gradient for each parameter"},
    {"graph_break", "graph_break, graph_break \"why\"", "ends the captured graph here; what follows is another"},
    {"@", "@name, @name(arguments)",
     "before `fn`: a decorator, which is called with the function, or a block it runs in"},
    {"#", "# …", "a comment, to the end of the line"},
};

constexpr Entry values[] = {
    {"none", "none", "the value of what has none; `x is none`"},
    {"true false", "true, false", "the two bools"},
    {"f-string", "f\"{x} {x:.3f} {x=}\"", "a str with values in it, formatted by Python's format specs"},
    {"list", "[1, 2], [f(x) for x in xs if c]", "a list, and one made by a loop"},
    {"dict", "{\"a\": 1}, {k: v for (k, v) in pairs}",
     "a dict; its keys are strs, ints, bools, none, dtypes, or tuples of these; `d.a` is `d[\"a\"]`"},
    {"tuple", "(1, 2), (1,)", "a tuple"},
    {"slice", "x[1:3], x[:, -1], x[..., none], x[::2], x[mask], x[[2, 0]]",
     "parts, as in NumPy: basic slices of tensors are views; a mask, a list of positions or a negative step copies"},
    {"type", "int, str | none, list[int], dict[str, f32], fn, tensor, f32[batch, 64], f32[..., 2 * n]",
     "types of parameters, results and fields, checked at each call; a name in a shape is one size within the call"},
};

constexpr Entry operators[] = {
    {"+ - * /", "a + b, a - b, a * b, a / b", "arithmetic; `/` of ints is a float, `+` joins strs and lists"},
    {"// %", "a // b, a % b", "the quotient rounded down, and what is left"},
    {"**", "a ** b", "the power; binds tighter than `-` before it"},
    {"@", "a @ b", "the product of matrices, of tensors of one dtype"},
    {"== != < <= > >=", "a == b, a < b <= c", "comparisons, of tensors by elements; they chain"},
    {"in", "x in xs, x not in xs", "whether an item is in a container, or a str in a str"},
    {"is", "a is b, a is not none", "whether both are the same thing"},
    {"and or not", "a and b, a or b, not a", "of bools; the right side is evaluated only where it matters"},
    {"& | ^ ~ << >>", "a & b, a | b, a ^ b, ~a, a << n, a >> n", "of ints by bits, of bool tensors by elements"},
};

constexpr Entry fields[] = {
    {"shape", "x.shape", "the sizes, as a list of ints"},
    {"dtype", "x.dtype", "what the elements are: f32, i64, bool, …"},
    {"device", "x.device", "where the elements are: cpu"},
    {"rank ndim", "x.rank", "how many dimensions"},
    {"T", "x.T", "with the dimensions in reverse order, as a view"},
    {"mT", "x.mT", "with the last two dimensions exchanged, as a view"},
    {"grad", "x.grad", "the gradient that backward added up, or none; may be assigned"},
    {"requires_grad", "x.requires_grad", "whether a gradient of it can be asked for; may be assigned"},
    {"is_leaf", "x.is_leaf", "whether it is no result of differentiable operations"},
};

void add(Topics& topics, std::span<const Entry> entries, std::string_view section, std::string_view tag,
         std::string_view owner) {
    for (const Entry& entry : entries) {
        std::string_view names = entry.names;
        bool first = true;
        while (!names.empty()) {
            const size_t end = names.find(' ');
            topics.push_back({.name = std::string(names.substr(0, end)),
                              .signature = std::string(entry.form),
                              .tag = std::string(tag),
                              .about = std::string(entry.about),
                              // The other names of an entry find it, but do not tell it again in the reference.
                              .section = first ? std::string(section) : std::string(),
                              .part = {},
                              .owners = {}});
            if (!owner.empty()) topics.back().owners.emplace_back(owner);
            first = false;
            names = end == std::string_view::npos ? std::string_view{} : names.substr(end + 1);
        }
    }
}

}  // namespace

void add_language_topics(Topics& topics) {
    add(topics, statements, "Statements", "statement", {});
    add(topics, values, "Values and types", "value", {});
    add(topics, operators, "Operators", "operator", {});
    add(topics, fields, "Fields of tensors", "field of a tensor", "tensor");
}

}  // namespace tenon
