// Differentiation: backward, grad, value_and_grad, vjp, jvp.
#include <algorithm>

#include <fmt/format.h>

#include "frontend/autograd/differentiation.h"
#include "frontend/builtins/control_flow.h"
#include "frontend/builtins/scan.h"
#include "frontend/methods/tables.h"
#include "frontend/builtins/tensor.h"
#include "frontend/builtins/vmap.h"
#include "frontend/evaluate/session.h"
#include "frontend/ops/tensor_data.h"
#include "frontend/record/capture_differentiation.h"
#include "frontend/values/function.h"
#include "frontend/values/models.h"
#include "frontend/values/structure.h"
#include "runtime/diagnostic.h"

namespace tenon {

namespace {

// A gradient as a script sees it: zeros where no path leads to the tensor.
Value gradient_or_zeros(Dispatcher& d, const TensorRef& gradient, TensorObject& of) {
    return gradient ? gradient : ops::full(d, ops::Term::literal(0.0), of.dtype(), d.sizes(of));
}

// A dict with what `one` gives for each tensor of a model that `which` takes, by name.
template <class Which, class One>
Value by_name(const Value& model, Which which, One one) {
    auto made = make_ref<DictObject>();
    for (const NamedTensor& held : named_tensors(model)) {
        if (which(held)) made->set(held.name, one(held.tensor));
    }
    return made;
}

// ---- what is differentiated with respect to -----------------------------------------------------------------------
// An argument as a function under differentiation sees it: each tensor is a copy, which stands for itself alone. Other
// uses of the same tensor do not count, writes into its memory are not seen, and the function may write into what it got.
// A model's parameters stay what they are.
class Target {
public:
    /// `replaced` receives the argument to call the function with.
    Target(TensorCall& c, const Value& argument, Value& replaced) : shape_(argument) {
        replaced = map_leaves(argument, [&](const Value& leaf) { return visit(c, leaf); });
    }

    const std::vector<TensorRef>& leaves() const { return leaves_; }
    /// Those that were made here: not a model's.
    const std::vector<TensorRef>& own() const { return own_; }
    /// The gradients in the argument's own structure; a model's are a dict by name.
    Value structured(Dispatcher& d, std::span<const TensorRef> gradients) const {
        size_t next = 0;
        const auto one = [&](const Value& of) { return gradient_or_zeros(d, gradients[next++], of.as<TensorObject>()); };
        return map_leaves(shape_, [&](const Value& leaf) -> Value {
            if (leaf.is_tensor()) return one(leaf);
            return by_name(leaf, [](const NamedTensor& held) { return held.tensor.as<TensorObject>().requires_grad(); }, one);
        });
    }

private:
    Value visit(TensorCall& c, const Value& value) {
        if (value.is_tensor()) {
            const TensorRef x = value.ref<TensorObject>();
            if (!is_float(x->dtype())) {
                throw_error("gradient",
                            fmt::format("only float tensors have a gradient, but this is {}", describe_type(*x)),
                            "cast it: `x.to(f32)`");
            }
            TensorRef own;
            {
                const Dispatcher::GradMode mode(c.d, x->requires_grad());
                const bool is_copied = x->requires_grad() || c.tracer.capturing();
                own = is_copied ? ops::clone(c.d, x) : make_ref<TensorObject>(x->tensor);  // nobody else has this one
            }
            if (!own->requires_grad()) {
                if (c.tracer.capturing()) c.tracer.capture().differentiation().become_leaf(*own);
                else own->make_autograd().requires_grad = true;
            }
            leaves_.push_back(own);
            own_.push_back(own);
            const Dispatcher::GradMode mode(c.d, true);
            return ops::clone(c.d, own);
        }
        if (value.is(Kind::model)) {
            for (const NamedTensor& held : named_tensors(value)) {
                if (held.is_parameter && held.tensor.as<TensorObject>().requires_grad())
                    leaves_.push_back(held.tensor.ref<TensorObject>());
            }
            return value;
        }
        throw_error("type",
                    fmt::format("a gradient is with respect to tensors, models, and lists and dicts of them, not {}",
                                with_article(value.kind())));
    }

    Value shape_;
    std::vector<TensorRef> leaves_, own_;
};

// The arguments that a functional derivative is with respect to, and its results. A result has a history where more than
// the targets' own leaves leads to it: what the function has captured, and what the arguments come from.
class Targets {
public:
    Targets() = default;
    Targets(Targets&&) = default;
    Targets& operator=(Targets&&) = delete;
    /// The derivative is over, and with it its own leaves: the function has had copies of them.
    ~Targets() {
        for (const TensorRef& leaf : own_) {
            if (leaf->autograd) leaf->autograd->is_over = true;
        }
    }
    /// Replaces the argument by what the function is called with.
    void add(TensorCall& c, Value& argument) {
        c.tracer.capture().differentiation().note_derivative();
        Value replaced;
        targets_.emplace_back(c, argument, replaced);
        argument = std::move(replaced);
        const Target& made = targets_.back();
        leaves_.insert(leaves_.end(), made.leaves().begin(), made.leaves().end());
        own_.insert(own_.end(), made.own().begin(), made.own().end());
    }
    /// A leaf beside the arguments.
    void add_own(const TensorRef& leaf) { own_.push_back(leaf); }

    const std::vector<TensorRef>& leaves() const { return leaves_; }
    const std::vector<TensorRef>& own() const { return own_; }
    /// How gradients are asked for that depend on these. `keeps`: the call is not under no_grad.
    BackwardOptions options(TensorCall& c, bool keeps, std::initializer_list<TensorRef> on) const {
        const std::vector<bool> has = have_history_beside(c.tracer, std::span(on.begin(), on.size()), own_);
        const bool any = std::find(has.begin(), has.end(), true) != has.end();
        return {.retain_graph = true, .create_graph = any && keeps};
    }
    /// Cuts the histories that lead to own leaves only, or that nobody wants.
    void release(TensorCall& c, bool keeps, std::span<TensorRef> results) const {
        const std::vector<bool> has = have_history_beside(c.tracer, results, own_);
        for (size_t k = 0; k < results.size(); ++k) {
            if (results[k] && results[k]->requires_grad() && !(has[k] && keeps))
                results[k] = ops::detach(c.d, results[k]);
        }
    }
    TensorRef released(TensorCall& c, bool keeps, TensorRef result) const {
        release(c, keeps, {&result, 1});
        return result;
    }
    /// The gradients, one a leaf, as the arguments are made.
    Values structured(Dispatcher& d, std::span<const TensorRef> gradients) const {
        Values all;
        for (const Target& target : targets_) {
            all.push_back(target.structured(d, gradients.first(target.leaves().size())));
            gradients = gradients.subspan(target.leaves().size());
        }
        return all;
    }

private:
    std::vector<Target> targets_;
    std::vector<TensorRef> leaves_, own_;
};

// Which arguments: by name, by position, or the first.
struct Selection {
    std::vector<size_t> positions;
    bool single = true;
};

size_t position_of(Evaluator& e, const Value& function, const Value& given) {
    const Value which = e.settled(given, e.here());
    if (which.is_int()) return static_cast<size_t>(which.as_int());
    const auto* declared = function.try_as<FunctionObject>();
    if (which.is<StringObject>() && declared) {
        size_t position = 0;
        for (const ast::Parameter& parameter : declared->function.parameters) {
            if (e.session().symbols().text(parameter.name) == text_of(which)) return position;
            ++position;
        }
        throw_error("name", fmt::format("the function has no parameter `{}`", text_of(which)));
    }
    throw_error("type", "`wrt:` names parameters of the function", "for example wrt: \"w\", or wrt: [\"w\", \"b\"]");
}

Selection select(Evaluator& e, const Value& function, const Value& wrt) {
    if (wrt.is_none() || wrt.is_unset()) return {{0}, true};
    if (const Values* items = items_of(wrt)) {
        Selection selection{{}, false};
        for (const Value& item : *items) selection.positions.push_back(position_of(e, function, item));
        return selection;
    }
    return {{position_of(e, function, wrt)}, true};
}

TensorRef one_float(const Value& value, std::string_view what) {
    if (value.is_tensor() && value.as<TensorObject>().tensor.numel() == 1 && is_float(value.as<TensorObject>().dtype()))
        return value.ref<TensorObject>();
    throw_error(
        "gradient",
        fmt::format("{} must return one float element, but it returned {}", what,
                    value.is_tensor() ? describe_type(value.as<TensorObject>()) : std::string(name_of(value.kind()))),
        "reduce it with sum() or mean()");
}

/// What `grad(f)` and `value_and_grad(f)` give.
class GradientFunction final : public Object {
public:
    GradientFunction(Value function, Value wrt, bool with_value, bool has_aux)
        : Object(Kind::other), function_(std::move(function)), wrt_(std::move(wrt)), with_value_(with_value),
          has_aux_(has_aux) {}

    void visit_children(FunctionRef<void(const Value&)> visit) const override { visit(function_); }
    void drop_children() override { function_ = {}; }

    bool call(Evaluator& e, std::span<const Value> positional, std::span<const KeywordArgument> keywords,
              Value& result) override {
        Tracer& tracer = e.tracer();
        const auto* declared = function_.try_as<FunctionObject>();
        const void* identity = declared ? static_cast<const void*>(&declared->function) : this;
        if (!tracer.wants_capture(identity)) {
            result = run(e, positional, keywords);
            return true;
        }
        const CallSite site{e.here(), with_value_ ? "value_and_grad" : "grad",
                            declared ? declared->function.name_span : Span(), identity};
        result = e.border().captured_call(site, [&] { return run(e, positional, keywords); });
        return true;
    }

private:
    Value run(Evaluator& e, std::span<const Value> positional, std::span<const KeywordArgument> keywords) {
        Values none;
        Arguments arguments{none, e.here(), {}, 0};
        TensorCall c(e, arguments);
        const Selection selection = select(e, function_, wrt_);
        Values given(positional.begin(), positional.end());
        const bool keeps = c.d.grad_enabled();
        Targets targets;
        for (size_t position : selection.positions) {
            if (position >= given.size())
                throw_error("arity", "the argument to differentiate with respect to was not given by position");
            targets.add(c, given[position]);
        }
        Value returned;
        {
            const Dispatcher::GradMode mode(c.d, true);
            returned = e.call(function_, given, keywords);
        }
        c.d.set_span(arguments.span);
        Value aux;
        if (has_aux_) {
            const Values* pair = items_of(returned);
            if (!pair || pair->size() != 2)
                throw_error("gradient", "with `aux: true` the function returns a pair (loss, other)");
            aux = (*pair)[1];
            returned = Value((*pair)[0]);
        }
        const TensorRef loss = one_float(returned, "the function that is differentiated");
        std::vector<TensorRef> found(targets.leaves().size());
        if (loss->requires_grad()) {
            found = gradients(c.tracer, loss, {}, targets.leaves(), targets.options(c, keeps, {loss}));
            targets.release(c, keeps, found);
        }
        Values structured = targets.structured(c.d, found);
        Value gradient = selection.single ? structured[0] : make_tuple(std::move(structured));
        if (!with_value_) return has_aux_ ? make_tuple({gradient, aux}) : gradient;
        Value value = targets.released(c, keeps, loss);
        if (has_aux_) value = make_tuple({value, aux});
        return make_tuple({value, gradient});
    }

    Value function_, wrt_;
    bool with_value_, has_aux_;
};

template <bool with_value>
Value gradient_function(Evaluator& e, Arguments& a) {  // f; wrt?, aux?
    return make_ref<GradientFunction>(a[0], a.has(1) ? a[1] : Value(), with_value, a.flag_or(2, false, "aux"));
    (void)e;
}

// ---- of computed values -------------------------------------------------------------------------------------------
bool is_parameter(const NamedTensor& held) { return held.is_parameter; }

// The tensors of a tree, a model's params among them.
std::vector<TensorRef> tensors_in(const Value& tree) {
    std::vector<TensorRef> found;
    for_each_leaf(tree, [&](const Value& leaf) {
        if (leaf.is_tensor()) {
            found.push_back(leaf.ref<TensorObject>());
        } else if (leaf.is(Kind::model)) {
            for (const NamedTensor& held : named_tensors(leaf)) {
                if (is_parameter(held)) found.push_back(held.tensor.ref<TensorObject>());
            }
        } else {
            throw_error("type", fmt::format("a tensor, a model or a list of these is expected here, not {}",
                                            with_article(leaf.kind())));
        }
    });
    return found;
}

Value gradient_of_value(Evaluator& e, Arguments& a) {  // y; wrt, retain_graph?, create_graph?, grad?
    TensorCall c(e, a);
    const std::vector<TensorRef> wrt = tensors_in(a[1]);
    for (const TensorRef& x : wrt) {
        if (!x->requires_grad())
            throw_error("gradient", fmt::format("this {} does not require a gradient", describe_type(*x)),
                        "x.requires_grad_() makes it a leaf");
    }
    const bool create = c.flag(3, "create_graph");
    const std::vector<TensorRef> found = gradients(c.tracer, c.tensor(0), c.has(4) ? c.tensor(4) : TensorRef(), wrt,
                                                   {.retain_graph = c.flag(2, "retain_graph"), .create_graph = create});
    size_t next = 0;
    const auto one = [&](const Value& of) { return gradient_or_zeros(c.d, found[next++], of.as<TensorObject>()); };
    const Value structured = map_leaves(
        a[1], [&](const Value& leaf) -> Value { return leaf.is_tensor() ? one(leaf) : by_name(leaf, is_parameter, one); });
    // Several gradients are a tuple, to be taken apart: (dx, dy) = grad(z, wrt: [x, y]).
    return structured.is(Kind::list) ? make_tuple(*items_of(structured)) : structured;
}

Value backward_of(Evaluator& e, Arguments& a) {  // loss; retain_graph?, inputs?, create_graph?, grad?
    TensorCall c(e, a);
    std::vector<TensorRef> only;
    if (c.has(2)) only = tensors_in(a[2]);
    backward(c.tracer, c.tensor(0), c.has(4) ? c.tensor(4) : TensorRef(),
             {.retain_graph = c.flag(1, "retain_graph"), .create_graph = c.flag(3, "create_graph")}, only);
    return {};
}

// ---- vjp, jvp -----------------------------------------------------------------------------------------------------
/// The second result of `vjp(f, x, …)`: cotangents of the result to those of the arguments.
class Pull final : public Object {
public:
    Pull(TensorRef result, Targets targets)
        : Object(Kind::other), result_(std::move(result)), targets_(std::move(targets)) {}
    bool call(Evaluator& e, std::span<const Value> positional, std::span<const KeywordArgument>,
              Value& result) override {
        Values given(positional.begin(), positional.end());
        Arguments arguments{given, e.here(), {}, 0};
        TensorCall c(e, arguments);
        if (given.size() != 1)
            throw_error("arity", "the second result of vjp takes one cotangent, of the first result's shape");
        const bool keeps = c.d.grad_enabled();
        const TensorRef cotangent = c.tensor(0);
        std::vector<TensorRef> found(targets_.leaves().size());
        if (result_->requires_grad()) {
            found = gradients(c.tracer, result_, cotangent, targets_.leaves(),
                              targets_.options(c, keeps, {result_, cotangent}));
            targets_.release(c, keeps, found);
        }
        Values structured = targets_.structured(c.d, found);
        result = structured.size() == 1 ? structured[0] : make_tuple(std::move(structured));
        return true;
    }

private:
    TensorRef result_;
    Targets targets_;
};

Value vjp(Evaluator& e, Arguments& a) {  // f, *arguments
    TensorCall c(e, a);
    Values given = items_of(a[1]) ? *items_of(a[1]) : Values();
    const bool keeps = c.d.grad_enabled();
    Targets targets;
    for (Value& argument : given) targets.add(c, argument);
    Value returned;
    {
        const Dispatcher::GradMode mode(c.d, true);
        returned = e.call(a[0], given);
    }
    if (!returned.is_tensor()) throw_error("gradient", "vjp needs a function that returns a tensor");
    c.d.set_span(a.span);
    const TensorRef result = returned.ref<TensorObject>();
    const TensorRef value = targets.released(c, keeps, result);
    return make_tuple({value, make_ref<Pull>(result, std::move(targets))});
}

// vjp is linear in its cotangent u, so its derivative in u, applied to the tangents, is the jvp.
Value jvp(Evaluator& e, Arguments& a) {  // f, arguments, tangents
    TensorCall c(e, a);
    const Values *arguments = items_of(a[1]), *tangents = items_of(a[2]);
    if (!arguments || !tangents || arguments->size() != tangents->size()) {
        throw_error("type", "jvp takes a function, a tuple of arguments and a tuple of as many tangents",
                    "jvp(f, (x,), (t,))");
    }
    Values given = *arguments;
    const bool keeps = c.d.grad_enabled();
    Targets targets;
    for (Value& argument : given) targets.add(c, argument);
    std::vector<TensorRef> directions = tensors_in(a[2]);
    for (TensorRef& direction : directions) direction = ops::clone(c.d, direction);  // as the arguments are
    if (directions.size() != targets.leaves().size())
        throw_error("type", "jvp needs a tangent for each tensor among the arguments");
    TensorRef result, tangent, zeros;
    {
        const Dispatcher::GradMode mode(c.d, true);
        const Value returned = e.call(a[0], given);
        if (!returned.is_tensor()) throw_error("gradient", "jvp needs a function that returns a tensor");
        c.d.set_span(a.span);
        result = returned.ref<TensorObject>();
        zeros = ops::full(c.d, ops::Term::literal(0.0), result->dtype(), c.d.sizes(*result));
        if (result->requires_grad()) {
            Value replaced;
            const Target cotangent(c, zeros, replaced);
            const TensorRef u = cotangent.leaves()[0];
            targets.add_own(u);
            const std::vector<TensorRef> pulled =
                gradients(c.tracer, result, u, targets.leaves(), {.retain_graph = true, .create_graph = true});
            TensorRef total;
            for (size_t k = 0; k < pulled.size(); ++k) {
                if (!pulled[k]) continue;
                const TensorRef product = ops::binary(c.d, Operator::mul, pulled[k], directions[k]);
                const TensorRef sum = ops::sum(c.d, product, ops::all_axes(product), false);
                total = total ? ops::binary(c.d, Operator::add, total, sum) : sum;
            }
            if (total && total->requires_grad())
                tangent = gradients(c.tracer, total, {}, std::span(&u, 1), targets.options(c, keeps, {total}))[0];
        }
    }
    if (!tangent) tangent = zeros;
    return make_tuple({targets.released(c, keeps, result), targets.released(c, keeps, tangent)});
}

// ---- leaves -------------------------------------------------------------------------------------------------------
Value requires_grad_in_place(Evaluator& e, Arguments& a) {  // x, wanted?
    TensorCall c(e, a);
    c.tracer.require_gradient(*c.tensor(0), a.flag_or(1, true, "whether"));
    return c[0];
}
Value zero_grad(Evaluator& e, Arguments& a) {
    TensorCall c(e, a);
    const TensorRef x = c.tensor(0);
    if (x->autograd) c.tracer.set_gradient(*x->autograd, {});
    return {};
}

constexpr KindSet callables =
    kinds(Kind::function, Kind::bound_method, Kind::builtin, Kind::model_class, Kind::model, Kind::graph, Kind::other);

const Builtin tensor_grad_table[] = {
    {"backward", "loss; retain_graph?, inputs?, create_graph?, grad?", tensors, backward_of, 0,
     "adds the gradients of loss to `.grad` of what requires them, or of inputs alone; grad: the loss's own, where it "
     "has several elements"},
    {"grad", "f; wrt?, aux?", callables, gradient_function<false>, 0,
     "a function: the gradient of f for its first parameter, or for those that wrt names; aux: f gives (loss, other)"},
    {"grad", "y; wrt, retain_graph?, create_graph?, grad?", tensors, gradient_of_value, 0,
     "the gradients of a computed value y for wrt: a tensor, a list, tuple or dict of them, or a model; `.grad` stays"},
    {"value_and_grad", "f; wrt?, aux?", callables, gradient_function<true>, 0,
     "a function: (f(…), gradient), as grad gives it"},
    {"vjp", "f, *arguments", callables, vjp, 0, "(f(…), pull): pull(u) are the gradients of Σ u · f for the arguments"},
    {"jvp", "f, arguments, tangents", callables, jvp, 0, "(f(…), its derivative along the tangents, one an argument)"},
    {"vmap", "f; in_dims?, out_dims?", callables, vmap, 0,
     "a function of whole batches, of f of one example; in_dims and out_dims say which dimension goes over the "
     "examples"},
    {"scan", "f, init, xs?; turns?, reverse?", callables, scan, 0,
     "(last, ys): f(carried, x) -> (carried, y) turn by turn over the first dimension of xs, in one graph node where "
     "it can be; ys are stacked"},
    {"cond", "c, f, g, *arguments", any_kind, cond, 0,
     "f(…) where c is true, else g(…): of a bool tensor one graph node where it can be, which runs the one side"},
    {"while_loop", "condition, body, init; max_turns?", callables, while_loop, 0,
     "what is carried after body(carried) as long as condition(carried) holds, in one graph node where it can be; "
     "max_turns: for a gradient of that node; more turns are an error"},
    {"requires_grad_", "x, wanted?", tensors, requires_grad_in_place, 0,
     "makes a tensor a leaf whose gradient backward computes (false: no longer); returns it"},
    {"zero_grad", "x", tensors, zero_grad, 0, "sets `.grad` to none"},
    {"annotate", "*arguments; **keys", any_kind, nullptr, scope_block,
     "`annotate {key: value} { … }`: nodes made inside carry it, and so do their gradients; also `@annotate(key: "
     "value)`"},
    {"no_grad", "", any_kind, nullptr, scope_block, "`no_grad { … }`: nothing inside is recorded for backward"},
    {"enable_grad", "", any_kind, nullptr, scope_block, "`enable_grad { … }`: records for backward, inside a no_grad"},
    {"no_compile", "", any_kind, nullptr, scope_block,
     "`no_compile { … }`: the same as `annotate {compile: false} { … }`; also `@no_compile`"},
    {"compiled_backward", "; dynamic?", any_kind, nullptr, scope_block,
     "`compiled_backward { … }`: what backward and grad do inside is captured, hooks and accumulation included, and "
     "compiled; dynamic: true: with symbolic sizes from the first one on"},
    {"no_compiled_backward", "", any_kind, nullptr, scope_block,
     "`no_compiled_backward { … }`: backward runs on the tape, whatever is asked for around or inside by compile"},
    {"detect_anomaly", "", any_kind, nullptr, scope_block,
     "`detect_anomaly { … }`: backward inside runs op by op, and the first op whose gradient is nan or infinite is an "
     "error that names its line"},
    {"saved_tensor_hooks", "; pack, unpack", any_kind, nullptr, scope_block,
     "`saved_tensor_hooks(pack: f, unpack: g) { … }`: what is saved for backward inside is kept as f(x) gives it, and "
     "g(f(x)) takes its place when backward comes to need it, once"},
    {"device", "where", any_kind, nullptr, scope_block, "`device(cpu) { … }`: tensors made inside live there"},
};

}  // namespace

std::span<const Builtin> tensor_grad_builtins() { return tensor_grad_table; }

}  // namespace tenon
