#include "tests/fuzz/program_generator.h"

#include <algorithm>
#include <array>

namespace tenon::fuzz {

void ProgramGenerator::training() {
    std::string model = fresh("M");
    Scope scope = {{"x", "f32", {"n", "4"}, false}, {"w", "f32", {"4", "4"}, true}, {"b", "f32", {"4"}, true}};
    Statements forward = {line("self.calls = self.calls + 1"), line("h = x @ w + b")};
    scope.push_back({"h", "f32", {"n", "4"}, false});
    in_function_ = false;
    int n = random_.between(1, 4);
    for (int k = 0; k < n; ++k) {
        std::string next = fresh("h");
        Statement s = line(fmt::format("{} = {}", next, pure(scope.back().name, 2)));
        if (random_.chance(0.3)) s = mark_block(checkpoint(), {s});
        forward.push_back(s);
        scope.push_back({next, "f32", {"n", "4"}, false});
        if (random_.chance(0.15)) forward.push_back(mark("graph_break"));
        if (random_.chance(0.15))
            forward.push_back(line(fmt::format("{0} = dropout({0}, 0.25, training: self.training)", next)));
    }
    forward.push_back(line(fmt::format("return {} * gain", scope.back().name)));
    program_.push_back(
        block("model " + model, {line("param w = randn([4, 4]) * 0.3"), line("param b = zeros([4])"),
                                 line("param gain = ones([])"), line("calls = 0"), block("fn forward(x)", forward)}));
    std::string step = fresh("step");
    Statements body = {line("y = net(x)"), line("loss = ((y - t) * (y - t)).mean()")};
    if (random_.chance(0.3)) body.push_back(line("total[0] = total[0] + loss.item()"));
    body.push_back(line("backward(loss)"));
    if (random_.chance(0.2)) body.push_back(mark("graph_break"));
    if (random_.chance(0.3)) body.push_back(block("no_grad", {line("for p in net.parameters() { p.grad.mul_(0.5) }")}));
    bool by_hand = random_.chance(0.3);
    if (by_hand) {
        body.push_back(block("no_grad", {line("for p in net.parameters() { p.sub_(p.grad * rate); p.grad = none }")}));
    } else {
        body.push_back(line("opt.step()"));
    }
    body.push_back(line("return loss"));
    program_.push_back(block(fmt::format("fn {}(net, opt, x, t, rate)", step), body));
    std::string net = fresh("net"), opt = fresh("opt");
    program_.push_back(line(fmt::format("{} = {}()", net, model)));
    program_.push_back(line(fmt::format("{} = {}({}.parameters(), lr: 0.05)", opt,
                                        random_.pick<const char*>({"SGD", "Adam", "AdamW"}), net)));
    Statements turn;
    std::string i = fresh("j");
    turn.push_back(line(fmt::format("x = {}", elements("f32", {random_.pick({2, 3, 5}), 4}))));
    if (random_.chance(0.5)) turn.push_back(line(fmt::format("x = x[:1 + {} % 2]", i)));
    turn.push_back(
        line(fmt::format("print(\"loss\", {}({}, {}, x * 1, cos(x), 0.1 / (1 + {})).item())", step, net, opt, i)));
    program_.push_back(block(fmt::format("for {} in range({})", i, random_.between(3, 6)), turn));
    program_.push_back(line(fmt::format("print({0}.calls, {0}.w.tolist(), {0}.b.tolist(), {0}.gain.item())", net)));
}

}  // namespace tenon::fuzz
