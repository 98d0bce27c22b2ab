// The embedding API through its own header.
#include <tenon/tenon.h>

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <regex>
#include <string>

using namespace tenon::embed;

namespace {

using Arguments = std::span<const Value>;

std::string error_of(const std::function<void()>& work) {
    try {
        work();
    } catch (const Error& error) { return error.kind() + ": " + error.message(); }
    return "no error";
}

std::string loaded(const std::string& what) {
    std::ifstream maps("/proc/self/maps");
    std::string line, found;
    while (std::getline(maps, line)) {
        if (std::regex_search(line, std::regex(what))) found += line + "\n";
    }
    return found;
}

Op times_three(bool traceable) {
    return {.name = "times_three",
            .parameters = {"x"},
            .forward = [](Context&, Arguments a) { return a[0] * 3; },
            .backward = [](Context&, std::span<const Tensor> g) { return std::vector<Tensor>{g[0] * 3}; },
            .traceable = traceable};
}

}  // namespace

TEST(Startup, LoadsNothingThatIsNotAskedFor) {
    Session session;
    session.run("x = 1 + 1");
    EXPECT_EQ(loaded("libLLVM|tenon_llvm|libcuda|libnvrtc"), "");
    if (!TENON_LLVM) return;
    Session compiling({.engine = Engine::jit});  // that the check sees what it looks for
    compiling.run("fn f(x) = sin(x) * 2\nf(ones([3]))");
    EXPECT_NE(loaded("tenon_llvm"), "");
}

TEST(Scopes, CloseInOrder) {
    Session session;
    {
        Scope outer = session.compiled_backward(), inner = session.no_compiled_backward();
        inner.close();
        outer.close();
    }
    Scope outer = session.no_grad(), inner = session.compiled_backward(true);
    EXPECT_EQ(error_of([&] { outer.close(); }),
              "value: nested contexts must return before their parent: a scope inside of this one is open");
    inner.close();
    inner.close();  // twice is once
    outer.close();
    Tensor x = session.tensor(std::vector<float>{2}, {1});
    x.require_grad();
    EXPECT_TRUE(Tensor(x * x).requires_grad());
}

TEST(Scopes, OneThatDiesClosesThoseInside) {
    Session session;
    Tensor x = session.full(2, DType::f32, {1});
    x.require_grad();
    std::unique_ptr<Scope> outer = std::make_unique<Scope>(session.no_grad());
    Scope inner = session.compiled_backward();
    outer.reset();
    EXPECT_TRUE(Tensor(x * x).requires_grad());
    inner.close();
}

TEST(Scopes, MayOutliveTheirSession) {
    auto session = std::make_unique<Session>();
    Scope scope = session->no_grad();
    session.reset();
    scope.close();
}

TEST(Scripts, RunAndAreCalled) {
    std::string printed;
    Session session({.output = [&](std::string_view text) { printed += text; }});
    EXPECT_EQ(session.run("fn twice(x, by: int = 2) = x * by\nprint(twice(4))\ntwice(21)").as_int(), 42);
    EXPECT_EQ(printed, "8\n");
    EXPECT_EQ(session.call("twice", {1.5}).as_float(), 3.0);
    EXPECT_EQ(session.call("twice", {2}, {{"by", 5}}).as_int(), 10);
    EXPECT_EQ(session.call("len", {Value::list({1, true, "three"})}).as_int(), 3);
    session.run("values = (1, 2.5, true, \"text\", none, [1, 2])\nnames = {\"one\": 1}\ns = stats()");
    const Values values = session.get("values").items();
    ASSERT_EQ(values.size(), 6u);
    EXPECT_EQ(values[0].as_int(), 1);
    EXPECT_EQ(values[1].as_float(), 2.5);
    EXPECT_TRUE(values[2].as_bool());
    EXPECT_EQ(values[3].as_string(), "text");
    EXPECT_TRUE(values[4].is_none());
    EXPECT_EQ(values[5].items().size(), 2u);
    EXPECT_EQ(session.text(session.get("values")), "(1, 2.5, true, \"text\", none, [1, 2])");
    EXPECT_EQ(session.get("names").field("one").as_int(), 1);
    EXPECT_EQ(session.get("s").field("captures").as_int(), 0);
    EXPECT_FALSE(session.has("nothing"));
}

TEST(Scripts, ErrorsAreThoseOfTheProgram) {
    Session session;
    try {
        session.run("fn f(x) {\n    return x @ x\n}\nf(ones([2, 3]))", "mine.model");
        FAIL();
    } catch (const Error& error) {
        EXPECT_EQ(error.kind(), "shape");
        EXPECT_NE(std::string(error.what()).find("mine.model:2:12"), std::string::npos) << error.what();
        EXPECT_NE(std::string(error.what()).find("in f, called at mine.model:4:1"), std::string::npos) << error.what();
    }
    EXPECT_EQ(error_of([&] { session.run("x = = 1"); }).substr(0, 7), "syntax:");
    EXPECT_EQ(error_of([&] { session.run("y + 1"); }).substr(0, 5), "name:");
    EXPECT_EQ(error_of([&] { session.get("z"); }), "name: the script has no variable `z`");
    EXPECT_EQ(error_of([&] { session.run_file("/nowhere.model"); }).substr(0, 3), "io:");
    EXPECT_EQ(error_of([&] { session.call("twice"); }).substr(0, 5), "name:");
    EXPECT_EQ(error_of([&] { Value("text").as_int(); }), "type: expected an int, found a str");
    EXPECT_EQ(error_of([&] { literal(1.5) * 2; }), "value: an op needs a value that belongs to a session");
    EXPECT_EQ(session.run("1 + 1").as_int(), 2);  // it goes on
}

TEST(Tensors, ComeAndGoWithoutACopy) {
    bool released = false;
    std::vector<float> memory = {1, 2, 3, 4, 5, 6};
    {
        Session session;
        {
            Tensor x = session.tensor(memory.data(), DType::f32, {2, 2}, {3, 1}, [&] { released = true; });
            EXPECT_EQ(x.data<float>(), memory.data());
            EXPECT_FALSE(x.is_contiguous());
            session.run("kept = []\nfn keep(x) { kept.append(x); x[1, 0] = 40.0; return x.T }");
            const Tensor y = session.call("keep", {x});
            EXPECT_EQ(memory[3], 40);
            EXPECT_EQ(y.data<float>(), memory.data());
            EXPECT_EQ(y.strides(), (std::vector<int64_t>{1, 3}));
            x.mutable_data<float>()[0] = 10;
            EXPECT_EQ(session.run("kept[0][0, 0].item()").as_float(), 10.0);
            EXPECT_EQ(Tensor(session.run("kept[0].sum()")).item(), 10 + 2 + 40 + 5);
        }
        EXPECT_FALSE(released);
        session.run("kept = none");
        EXPECT_TRUE(released);
    }
    EXPECT_EQ(memory[5], 6);
}

TEST(Tensors, HaveTheirOwnTypesAndShapes) {
    Session session;
    const Tensor x = session.tensor(std::vector<int32_t>{1, 2, 3}, {3});
    EXPECT_EQ(x.dtype(), DType::i32);
    EXPECT_EQ(x.elements<int32_t>()[2], 3);
    EXPECT_EQ(error_of([&] { x.data<float>(); }), "dtype: the tensor is i32, and was asked for elements of f32");
    EXPECT_EQ(error_of([&] { session.tensor(std::vector<float>{1, 2}, {3}); }),
              "shape: 2 elements do not fill a tensor of shape [3]");
    std::vector<double> memory(4);
    EXPECT_EQ(error_of([&] { session.tensor(memory.data(), DType::f64, {2}, {-1}); }),
              "shape: strides are not negative");
    EXPECT_EQ(error_of([&] { session.tensor(reinterpret_cast<char*>(memory.data()) + 1, DType::f32, {2}); }),
              "value: the memory is not aligned for elements of 4 bytes");
    EXPECT_EQ(Tensor(ops::matmul(session.full(2, DType::f64, {2, 3}), session.full(1, DType::f64, {3, 2})))
                  .elements<double>()[3],
              6.0);
}

TEST(Tensors, HaveGradients) {
    Session session;
    Tensor x = session.tensor(std::vector<float>{1, 2}, {2});
    x.require_grad();
    session.backward(ops::sum(x * x * 3));
    EXPECT_EQ(x.grad().elements<float>()[1], 12);
    EXPECT_EQ(error_of([&] { x.mutable_data<float>(); }).substr(0, 9), "gradient:");
    const Scope scope = session.no_grad();
    x.mutable_data<float>()[0] = 5;
    EXPECT_EQ(x.detach().elements<float>()[0], 5);
}

TEST(NativeOps, ArePartOfGraphsOrRunBetweenThem) {
    for (const bool traceable : {true, false}) {
        Session session({.engine = Engine::interp});
        session.register_op(times_three(traceable));
        session.run("f = native_op(\"times_three\")\nfn step(x) = f(x + 1) + 1");
        const Tensor y = session.call("step", {session.full(2, DType::f32, {4})});
        EXPECT_EQ(y.elements<float>()[3], 10);
        EXPECT_EQ(session.run("stats().graph_breaks").as_int(), traceable ? 0 : 1);
        const std::string told = session.text(session.run("explain(step, ones([4]))"));
        EXPECT_EQ(told.find("native op times_three") == std::string::npos, traceable) << told;
    }
}

// Also what is looked up for the first time in the middle of a graph, and what the library writes in the language.
TEST(NativeOps, ReachWhatTheLanguageHas) {
    Session session({.engine = Engine::interp});
    session.register_op({.name = "mixed", .parameters = {"x"}, .forward = [](Context&, Arguments a) -> Value {
                             const Tensor x = a[0], y = ops::apply("softmax", {x}, {{"dim", -1}});
                             const Tensor flat = ops::reshape(ops::tanh(y) * 0 + y, {-1});
                             return ops::sum(ops::expand(ops::reshape(flat, {1, -1}), {2, x.size(0)}), 0);
                         }});
    session.run("fn f(x) = native_op(\"mixed\")(x * 0)");
    for (const int64_t n : {4, 8, 16}) {
        const Tensor y = session.call("f", {session.full(1, DType::f32, {n})});
        EXPECT_EQ(y.elements<float>()[0], 2.0f / static_cast<float>(n));
    }
    EXPECT_EQ(session.run("stats().graph_breaks").as_int(), 0);
    EXPECT_EQ(session.run("stats().graphs.forward").as_int(), 2);  // the second is for every size
}

TEST(NativeOps, HaveGradientsOfTheirOwn) {
    for (const bool traceable : {true, false}) {
        for (const bool compiled : {true, false}) {
            Session session({.engine = Engine::interp, .compiled_backward = compiled});
            Op op = times_three(traceable);
            op.backward = [](Context&, std::span<const Tensor> g) { return std::vector<Tensor>{g[0] * 100}; };
            session.register_op(op);
            session.run("x = ones([4], requires_grad: true)\nbackward((native_op(\"times_three\")(x) * 2).sum())");
            EXPECT_EQ(Tensor(session.run("x.grad")).elements<float>()[0], 200);
        }
    }
}

// f(x) = x³ whose gradient is said to be 100 x² g: what it is computed by cannot be what its gradient comes from.
TEST(NativeOps, KeepTheirOwnGradientInsideOfGraphs) {
    const char* const script = R"(
f = native_op("cubed")
fn loss(x, c) = (f(x * c) * 2).sum()
fn fresh(n) = (arange(n, dtype: f32) + 1).requires_grad_()
fn step(x, c) { backward(loss(x, c)); return x.grad }
fn checkpointed(x, c) = checkpoint { loss(x, c) }
compiled = compile(loss, fullgraph: true)
)";
    for (const Engine engine : {Engine::eager, Engine::interp, Engine::jit}) {
        if (engine == Engine::jit && !TENON_LLVM) continue;
        Session session({.engine = engine});
        session.register_op({.name = "cubed",
                             .parameters = {"x"},
                             .forward =
                                 [](Context& context, Arguments a) {
                                     context.save({a[0]});
                                     context.set("factor", 100);
                                     return a[0] * a[0] * a[0];
                                 },
                             .backward =
                                 [](Context& context, std::span<const Tensor> g) {
                                     const Tensor x = context.saved()[0];
                                     return std::vector<Tensor>{g[0] * context.get("factor") * x * x};
                                 }});
        session.run(script);
        // d/dx of 2 f(3 x): 2 · 100 (3 x)² · 3; of that once more: 2 · 100 · 9 · 3 · 2 x
        const auto check = [&](const char* what, const char* gradient, float first, float second) {
            const Tensor g = session.run(gradient);
            EXPECT_EQ(g.elements<float>()[0], first) << what;
            EXPECT_EQ(g.elements<float>()[1], second) << what;
        };
        check("backward outside", "x = fresh(2); backward(loss(x, 3)); x.grad", 5400, 21600);
        check("backward inside", "step(fresh(2), 3)", 5400, 21600);
        check("another size", "step(fresh(3), 3)", 5400, 21600);
        check("another number", "step(fresh(3), 1)", 200, 800);
        check("fullgraph", "x = fresh(2); backward(compiled(x, 3)); x.grad", 5400, 21600);
        check("checkpoint", "x = fresh(2); backward(checkpointed(x, 3)); x.grad", 5400, 21600);
        check("functional", "grad(loss)(fresh(2), 3)", 5400, 21600);
        check("twice", "grad(fn(x) = grad(loss)(x, 3).sum())(fresh(2))", 10800, 21600);
        check("captured backward", "x = fresh(2); compiled_backward { backward(loss(x, 3)) }; x.grad", 5400, 21600);
        EXPECT_EQ(session.run("loss(fresh(2), 1).item()").as_float(), 18) << "values";
        EXPECT_EQ(session.run("stats().graph_breaks").as_int(), 0);
    }
}

TEST(NativeOps, SayWhyTheirGradientIsNoPartOfAGraph) {
    Session session({.engine = Engine::interp});
    const auto forward = [](Context& context, Arguments a) {
        const Tensor y = ops::exp(a[0]);
        context.save({y});
        return y;
    };
    const auto backward = [](Context& context, std::span<const Tensor> g) {
        return std::vector<Tensor>{g[0] * context.saved()[0]};
    };
    session.register_op({.name = "own_exp", .parameters = {"x"}, .forward = forward, .backward = backward});
    session.run(
        "f = native_op(\"own_exp\")\nx = zeros([2], requires_grad: true)\nfn g(x) = f(x).sum()\nbackward(g(x))");
    EXPECT_EQ(Tensor(session.run("x.grad")).elements<float>()[1], 1);
    const std::string told = session.text(session.run("explain(g, x)"));
    EXPECT_NE(told.find("native op own_exp has a gradient of its own that is no part of a graph: it saves its result"),
              std::string::npos)
        << told;
    EXPECT_EQ(session.run("stats().graph_breaks").as_int(), 2);
}

TEST(NativeOps, WithoutOneHaveTheGradientOfWhatTheyAreWrittenOver) {
    Session session({.engine = Engine::interp});
    Op op = times_three(true);
    op.backward = {};
    session.register_op(op);
    session.run(
        "x = ones([4], requires_grad: true)\nfn f(x) = native_op(\"times_three\")(x * x).sum()\nbackward(f(x))");
    EXPECT_EQ(Tensor(session.run("x.grad")).elements<float>()[0], 6);
}

TEST(NativeOps, WhatGoesWrongSaysSo) {
    Session session({.engine = Engine::interp});
    EXPECT_EQ(error_of([&] { session.op("nothing"); }), "name: there is no native op `nothing`");
    session.register_op(times_three(true));
    EXPECT_EQ(error_of([&] { session.register_op(times_three(true)); }),
              "value: there is a native op `times_three` already");
    try {
        session.run("native_op(\"times\")");
        FAIL();
    } catch (const Error& error) {
        EXPECT_NE(std::string(error.what()).find("the program has registered `times_three`"), std::string::npos)
            << error.what();
    }
    const auto refused = [&](Op op) { return error_of([&] { session.register_op(std::move(op)); }); };
    EXPECT_EQ(refused({.name = "f"}), "value: native op `f` has no `forward`");
    const auto forward = [](Context&, Arguments a) { return a[0]; };
    EXPECT_EQ(refused({.name = "f", .forward = forward}), "value: native op `f` has no parameters");
    EXPECT_EQ(refused({.name = "f_", .parameters = {"x"}, .forward = forward}),
              "value: native op `f_` is named as one that changes an argument, and says of none that it does");
    EXPECT_EQ(refused({.name = "f", .parameters = {"x"}, .forward = forward, .mutates = {0}}),
              "value: native op `f` changes an argument, which its name does not say");
    EXPECT_EQ(error_of([&] { session.run("native_op(\"times_three\")(1, 2)"); }),
              "arity: native op `times_three` takes 1 argument, not 2");
    session.register_op({.name = "fails", .parameters = {"x"}, .forward = [](Context&, Arguments) -> Value {
                             throw std::runtime_error("out of paper");
                         }});
    EXPECT_EQ(error_of([&] { session.run("native_op(\"fails\")(1)"); }),
              "user: native op `fails` failed: out of paper");
    EXPECT_EQ(session.run("r = 0\ntry { native_op(\"fails\")(1) } catch e { r = e.kind }\nr").as_string(), "user");
    session.register_op({.name = "multiplies", .parameters = {"x"}, .forward = [](Context&, Arguments a) -> Value {
                             return ops::matmul(a[0], a[0]);
                         }});
    EXPECT_EQ(error_of([&] { session.run("native_op(\"multiplies\")(ones([2, 3]))"); }).substr(0, 6), "shape:");
    session.register_op({.name = "writes", .parameters = {"x"}, .forward = [](Context&, Arguments a) -> Value {
                             ops::add(a[0], 1);
                             return a[0];
                         }});
    EXPECT_EQ(error_of([&] { session.run("native_op(\"writes\")(ones([2]))"); }),
              "value: native op `writes` writes its argument `x`, which it does not say it changes");
    session.register_op({.name = "host",
                         .parameters = {"x"},
                         .forward = [](Context&, Arguments a) { return a[0]; },
                         .traceable = false});
    EXPECT_EQ(error_of([&] { session.run("native_op(\"host\")(ones([2], requires_grad: true))"); }),
              "gradient: native op `host` has no gradient, and an argument requires one");
    session.register_op(
        {.name = "nothing", .parameters = {"x"}, .forward = [](Context&, Arguments) { return Value(); }});
    EXPECT_EQ(error_of([&] { session.run("native_op(\"nothing\")(1)"); }),
              "type: `forward` of native op `nothing` gave none");
}

TEST(NativeOps, ThatChangeAnArgumentAreWrites) {
    Session session({.engine = Engine::interp});
    session.register_op({.name = "add_one_",
                         .parameters = {"x"},
                         .forward =
                             [](Context&, Arguments a) {
                                 ops::add(a[0], 1);
                                 return Value();
                             },
                         .mutates = {0}});
    session.run("f_ = native_op(\"add_one_\")\nfn g(x) { y = x * 1; f_(y[1:]); return y }");
    const Tensor y = session.call("g", {session.zeros(DType::f32, {3})});
    EXPECT_EQ(y.elements<float>()[0], 0);
    EXPECT_EQ(y.elements<float>()[2], 1);
    EXPECT_EQ(session.run("stats().graph_breaks").as_int(), 0);
    EXPECT_EQ(error_of([&] { session.run("f_(ones([2], requires_grad: true))"); }).substr(0, 9), "gradient:");
    // What a gradient needs was written.
    EXPECT_EQ(
        error_of([&] {
            session.run("w = ones([2], requires_grad: true)\nc = ones([2])\nz = (w * c).sum()\nf_(c)\nbackward(z)");
        }).substr(0, 9),
        "gradient:");
}

TEST(Sessions, TwoStandSideBySide) {
    Session one, two;
    one.register_op(times_three(true));
    one.run("x = 1");
    two.run("x = 2");
    EXPECT_EQ(one.get("x").as_int() + two.get("x").as_int(), 3);
    EXPECT_EQ(error_of([&] { two.op("times_three"); }), "name: there is no native op `times_three`");
    Session moved = std::move(one);
    EXPECT_EQ(moved.op("times_three").call({2}).as_int(), 6);
}
