// Hooks, nodes of the tape, and ops of the program around.
#include "frontend/autograd/tape_hooks.h"
#include "frontend/builtins/tensor.h"
#include "frontend/evaluate/session.h"
#include "frontend/graphs/tape_nodes.h"
#include "frontend/methods/tables.h"
#include "frontend/record/hook_calls.h"
#include "runtime/diagnostic.h"

namespace tenon {

namespace {

constexpr KindSet objects = kinds(Kind::other);

Value add_hook(Evaluator& e, Hooks& hooks, const Value& function) {
    const uint64_t id = hooks.add(function);
    e.collector().note(hooks, function);
    return make_ref<HookHandle>(Ref<Hooks>(&hooks), id);
}

const Edge& node_in(const Arguments& a) {
    const auto* node = dynamic_cast<const TapeNodeObject*>(&a[0].object());
    if (!node) throw_error("type", "a node of the tape is expected here", "grad_node(y), accumulate_node(w)");
    return node->edge();
}

Value register_tensor_hook(Evaluator& e, Arguments& a) {  // x, f
    TensorCall c(e, a);
    return add_hook(e, gradient_hooks(c.tracer, *c.tensor(0)), a[1]);
}
Value register_accumulated_hook(Evaluator& e, Arguments& a) {  // x, f
    TensorCall c(e, a);
    return add_hook(e, accumulated_hooks(*c.tensor(0)), a[1]);
}
Value register_node_hook(Evaluator& e, Arguments& a) { return add_hook(e, hooks_after(node_in(a)), a[1]); }
Value register_node_prehook(Evaluator& e, Arguments& a) { return add_hook(e, hooks_before(node_in(a)), a[1]); }

Value remove_hook(Evaluator&, Arguments& a) {  // hook
    auto* handle = dynamic_cast<HookHandle*>(&a[0].object());
    if (!handle) throw_error("type", "only a hook is removed", "h = w.register_hook(f); h.remove()");
    handle->remove();
    return {};
}

Value grad_node(Evaluator& e, Arguments& a) {  // x
    TensorCall c(e, a);
    return as_node(c.tracer, node_of(c.tracer, *c.tensor(0)));
}
Value accumulate_node(Evaluator& e, Arguments& a) {  // x
    TensorCall c(e, a);
    const TensorRef x = c.tensor(0);
    if (!x->is_leaf())
        throw_error("gradient", "only a leaf's `.grad` is added to", "grad_node(x) is the op that gives x");
    return as_node(c.tracer, node_of(c.tracer, *x));
}

Value retain_grad(Evaluator& e, Arguments& a) {  // x
    TensorCall c(e, a);
    retain_gradient(c.tracer, *c.tensor(0));
    return c[0];
}

Value on_backward_end(Evaluator& e, Arguments& a) {  // f
    if (!e.tracer().backward.end)
        throw_error("gradient", "no backward is under way", "a hook calls on_backward_end(f)");
    e.tracer().backward.end->add(a[0]);
    return {};
}

Value native_op(Evaluator& e, Arguments& a) {  // name
    const std::string& name = a.text(0, "the name of an op");
    const auto& ops = e.session().native_ops();
    if (const auto found = ops.find(name); found != ops.end()) return found->second;
    std::string known;
    for (const auto& [each, op] : ops) known += (known.empty() ? "`" : ", `") + each + "`";
    throw_error("name", fmt::format("there is no native op `{}`", name),
                known.empty()
                    ? "a C++ program that embeds Tenon registers ops; `tenon` itself has none, docs/embedding.md"
                    : "the program has registered " + known);
}

const Builtin tape_table[] = {
    {"register_hook", "x, f", tensors, register_tensor_hook, 0,
     "backward calls f(g) with the whole gradient of x; what f gives, unless none, takes its place; h.remove() ends "
     "it"},
    {"register_hook", "node, f", objects, register_node_hook, 0,
     "backward calls f(produced, received) after this node of the tape, with tuples; what f gives, unless none, takes "
     "the "
     "place of what it produced"},
    {"register_prehook", "node, f", objects, register_node_prehook, 0,
     "backward calls f(received) before this node of the tape, with a tuple; what f gives, unless none, takes its "
     "place"},
    {"register_post_accumulate_hook", "x, f", tensors, register_accumulated_hook, 0,
     "backward calls f(x) once it has added into `.grad` of x, a leaf, as long as x lives"},
    {"remove", "hook", objects, remove_hook, method_only, "the hook is not called any more"},
    {"retain_grad", "x", tensors, retain_grad, 0, "backward adds into `.grad` of x although x is no leaf; returns x"},
    {"grad_node", "x", tensors, grad_node, 0,
     "the node of the tape that gives x: name, next (where its gradients go), line, shapes; print shows the tree"},
    {"accumulate_node", "x", tensors, accumulate_node, 0, "the node of the tape that adds into `.grad` of x, a leaf"},
    {"on_backward_end", "f", any_kind, on_backward_end, 0,
     "called by a hook: f() is called when the backward that is under way ends"},
    {"native_op", "name", any_kind, native_op, 0,
     "the op of this name that the C++ program around has registered (docs/embedding.md); call it as a function"},
};

}  // namespace

std::span<const Builtin> tape_builtins() { return tape_table; }

}  // namespace tenon
