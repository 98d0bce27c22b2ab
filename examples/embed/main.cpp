// A program with Tenon inside: it fits a line to points that lie in its own memory, with a loss that it has written itself.
#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

#include <tenon/tenon.h>

#ifndef EXAMPLE_FOLDER
#define EXAMPLE_FOLDER "."
#endif

using namespace tenon::embed;

namespace {

// Huber's loss of each element: x²/2 near zero, |x| − 1/2 beyond 1. Written over ops, with a gradient of its own, so that it
// is part of every graph: forward eagerly or captured, backward in a compiled backward.
Op huber() {
    return {.name = "huber",
            .parameters = {"x"},
            .forward = [](Context& context, std::span<const Value> arguments) -> Value {
                const Value& x = arguments[0];
                context.save({x});
                const Tensor size = ops::abs(x), near = ops::minimum(size, 1.0);
                return near * (size - near * literal(0.5));
            },
            .backward = [](Context& context, std::span<const Tensor> g) -> std::vector<Tensor> {
                const Tensor x = context.saved()[0];
                return {g[0] * ops::maximum(ops::minimum(x, 1.0), -1.0)};
            }};
}

// Runs over memory, between graphs: the largest step between neighbours.
Op roughness(Session& session) {
    return {.name = "roughness",
            .parameters = {"x"},
            .forward = [&session](Context&, std::span<const Value> arguments) -> Value {
                const Tensor x = ops::clone(arguments[0]);
                const std::span<const float> elements = x.elements<float>();
                float most = 0;
                for (size_t k = 1; k < elements.size(); ++k)
                    most = std::max(most, std::abs(elements[k] - elements[k - 1]));
                return session.full(most, DType::f32, {});
            },
            .traceable = false};
}

// Changes its argument, in the program's own memory.
Op clip() {
    return {.name = "clip_",
            .parameters = {"x", "limit"},
            .forward =
                [](Context&, std::span<const Value> arguments) {
                    const Tensor x = arguments[0];
                    ops::assign(x, ops::minimum(x, arguments[1]));
                    return Value();
                },
            .mutates = {0}};
}

void fit(Session& session) {
    // Points on y = 3 x − 1, where they lie: Tenon sees this memory, and copies none of it.
    std::vector<float> x(64), y(64);
    for (size_t k = 0; k < x.size(); ++k) {
        x[k] = static_cast<float>(k) / 32 - 1;
        y[k] = 3 * x[k] - 1;
    }
    y[7] = 40;  // one that is wrong: Huber's loss does not mind
    const Tensor xs = session.tensor(x.data(), DType::f32, {64}), ys = session.tensor(y.data(), DType::f32, {64});
    std::printf("no copy: %s\n", xs.data<float>() == x.data() ? "yes" : "no");

    const Value loss = session.op("huber");
    double last = 0;
    for (int turn = 0; turn < 400; ++turn) last = Tensor(session.call("step", {xs, ys, loss, 0.5})).item();
    std::printf("loss %.3f\n", last);
    const Value line = session.get("line");
    std::printf("y = %.1f x + %.1f\n", Tensor(line.field("slope")).item(), Tensor(line.field("offset")).item());

    session.run("fn flat(y) { native_op(\"clip_\")(y, 2.0); return native_op(\"roughness\")(y) }");
    {
        const Scope no_grad = session.no_grad();
        std::printf("roughness %.4f\n", Tensor(session.call("flat", {ys})).item());
    }
    std::printf("clipped in place: %.1f\n", static_cast<double>(y[7]));
}

}  // namespace

int main(int count, char** arguments) {
    Session session({.engine = Engine::automatic, .threads = 1});
    try {
        session.register_op(huber());
        session.register_op(roughness(session));
        session.register_op(clip());
        session.run_file(std::string(count > 1 ? arguments[1] : EXAMPLE_FOLDER) + "/line.model");
        fit(session);
        session.call("step", {1, 2, 3});  // too few: the error is what a script's author would see
    } catch (const Error& error) {
        std::printf("%s: %s\n", error.kind().c_str(), error.message().c_str());
        return error.kind() == "arity" ? 0 : 1;
    }
}
