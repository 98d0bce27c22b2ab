// Runs a script with the ops of the conformance list's native operators (docs/embedding.md): native_ops ENGINE SCRIPT.
// Each is there twice, as a traceable op and, with the ending `_opaque`, as one that runs over memory between graphs.
#include <cstdio>
#include <string>

#include <tenon/tenon.h>

namespace {

using namespace tenon::embed;
using Arguments = std::span<const Value>;
using Cotangents = std::span<const Tensor>;

Value copy(Context&, Arguments x) { return ops::clone(x[0]); }

/// The same gradient as came in, by a loop over memory.
std::vector<Tensor> pass_by_memory(Session& session, Cotangents g) {
    const Tensor from = ops::clone(g[0]);
    Tensor to = session.empty(from.dtype(), from.shape());
    const float* const read = from.data<float>();
    float* const write = to.mutable_data<float>();
    for (int64_t k = 0; k < from.numel(); ++k) write[k] = read[k];
    return {to};
}

/// One op in both variants.
void add(Session& session, Op op) {
    Op opaque = op;
    opaque.name += "_opaque";
    opaque.traceable = false;
    session.register_op(std::move(op));
    session.register_op(std::move(opaque));
}

void add_passing(Session& session) {
    for (const char* name : {"pass", "pass_1", "pass_2"}) {
        Op op{.name = name, .parameters = {"x"}, .forward = copy};
        op.backward = [](Context&, Cotangents g) { return std::vector<Tensor>{g[0]}; };
        session.register_op(op);
        op.name += "_opaque";
        op.traceable = false;
        op.backward = [&session](Context&, Cotangents g) { return pass_by_memory(session, g); };
        session.register_op(op);
    }
}

void add_saving(Session& session) {
    // What is saved is all there is to the gradient: the cotangent is one everywhere.
    add(session, {.name = "saved_basic",
                  .parameters = {"x", "y", "fixed"},
                  .forward =
                      [](Context& context, Arguments a) {
                          context.save({a[0], a[1], a[2]});
                          context.set("flag", true);
                          context.set("one", 1);
                          context.set("list", Value::list({1, 2.5, "text"}));
                          context.set("dict", Value::dict({{"one", 1}, {"two", 2}}));
                          return copy(context, a);
                      },
                  .backward = [](Context& context, Cotangents) -> std::vector<Tensor> {
                      const std::vector<Tensor> saved = context.saved();
                      const bool is_whole = context.get("flag").as_bool() &&
                                            context.get("list").items()[2].as_string() == "text" &&
                                            context.get("dict").field("two").as_int() == 2;
                      if (!is_whole) throw std::runtime_error("what was saved is another");
                      return {saved[0] + saved[1] + ops::sum(saved[2]) + context.get("one"), {}, {}};
                  }});
    add(session, {.name = "saved_dynamic",
                  .parameters = {"x"},
                  .forward =
                      [](Context& context, Arguments a) {
                          context.save({a[0], ops::reshape(a[0], {-1})});
                          return copy(context, a);
                      },
                  .backward = [](Context& context, Cotangents) -> std::vector<Tensor> {
                      const std::vector<Tensor> saved = context.saved();
                      return {saved[0] + ops::sum(saved[1])};
                  }});
    add(session, {.name = "saved_number",
                  .parameters = {"x", "y"},
                  .forward =
                      [](Context& context, Arguments a) {
                          context.save({a[0]});
                          context.set("first", a[1]);
                          context.set("second", a[1]);
                          return copy(context, a);
                      },
                  .backward = [](Context& context, Cotangents) -> std::vector<Tensor> {
                      return {context.saved()[0] + context.get("first") + context.get("second"), {}};
                  }});
    add(session, {.name = "data_dependent",
                  .parameters = {"x", "y", "turn"},
                  .forward =
                      [](Context& context, Arguments a) {
                          context.save({a[0], a[1]});
                          context.set("flag", true);
                          context.set("one", 1);
                          if (a[2].as_int() == 1) context.set("extra", 3);
                          if (a[2].as_int() == 2) context.fill_zeros(false);
                          return copy(context, a);
                      },
                  .backward = [](Context& context, Cotangents) -> std::vector<Tensor> {
                      const std::vector<Tensor> saved = context.saved();
                      return {saved[0] + saved[1] + context.get("one"), {}, {}};
                  }});
}

void add_others(Session& session) {
    // A host operator that runs a function of the script, which is compiled.
    session.register_op({.name = "square_inside",
                         .parameters = {"x"},
                         .forward = [&session](Context&, Arguments a) { return session.call("square", {a[0]}); },
                         .traceable = false});
    const auto add_five = [](Context&, Arguments a) {
        ops::add(Tensor(a[0]), literal(5.0));
        return Value();
    };
    session.register_op({.name = "foo_", .parameters = {"x"}, .forward = add_five, .mutates = {0}});
    const auto add_five_to_memory = [](Context&, Arguments a) {
        Tensor x = a[0];
        float* const elements = x.mutable_data<float>();
        for (int64_t k = 0; k < x.numel(); ++k) elements[k] += 5;
        return Value();
    };
    session.register_op({.name = "opaque_foo_",
                         .parameters = {"x"},
                         .forward = add_five_to_memory,
                         .traceable = false,
                         .mutates = {0}});
}

}  // namespace

int main(int count, char** arguments) {
    if (count != 3) return std::fputs("native_ops ENGINE SCRIPT\n", stderr), 2;
    const std::string engine = arguments[1];
    Options options;
    options.engine = engine == "eager" ? Engine::eager : engine == "interp" ? Engine::interp : Engine::jit;
    Session session(options);
    try {
        add_passing(session);
        add_saving(session);
        add_others(session);
        session.run_file(arguments[2]);
    } catch (const Error& error) {
        std::fputs(error.what(), stderr);
        return 1;
    }
}
