// Sessions, and what a script cannot see of the values it holds.
#include "frontend/evaluate/session.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <string>
#include <thread>

#include "runtime/interrupt.h"

namespace tenon {
namespace {

class Printed final : public Output {
public:
    void write(std::string_view text, Span) override {
        this->text += text;
        if (then) then();
    }
    std::string text;
    std::function<void()> then;
};

/// A prompt into a session of its own.
class Prompt {
public:
    explicit Prompt(Engine engine = Engine::interp) {
        SessionOptions options;
        options.tracer.engine = engine;
        options.threads = 1;
        options.output = &printed_;
        session_ = std::make_unique<Session>(options);
        module_ = &session_->modules().add("<test>", ".");
    }
    /// What it printed.
    std::string operator()(const std::string& text) {
        printed_.text.clear();
        ast::Script& script = session_->modules().compile(*module_, "<test>", text + "\n", true);
        Value shown;
        session_->evaluator().run(*module_, script, &shown);
        return printed_.text;
    }
    Session& session() { return *session_; }
    /// What happens while it prints.
    void on_print(std::function<void()> then) { printed_.then = std::move(then); }

private:
    Printed printed_;
    std::unique_ptr<Session> session_;
    Module* module_;
};

TEST(Session, TwoAreApart) {
    Prompt one, two;
    one("x = tensor([1.0]); seed(1); a = rand([2])");
    two("x = tensor([2.0]); seed(1); a = rand([2])");
    EXPECT_EQ(one("print(x)"), "tensor([1.])\n");
    EXPECT_EQ(two("print(x)"), "tensor([2.])\n");
    EXPECT_EQ(one("print(a)"), two("print(a)"));
    one("fn f(x) = sin(x) * 2");
    one("f(x)");
    EXPECT_EQ(one("print(stats().graphs.forward)"), "1\n");
    EXPECT_EQ(two("print(stats().graphs.forward)"), "0\n");
}

TEST(Session, AnInterruptTakesBackWhatItsGraphWouldHaveComputed) {
    for (Engine engine : {Engine::interp, Engine::automatic}) {
        Prompt prompt(engine);
        prompt(R"(
            seen = [0]; box = {"a": 1}; w = tensor([1.0], requires_grad: true); seed(3); first = randn([1]); seed(3)
            fn step(x) {
                seen.append(1)
                print("computed")
                seen.append(x * 2)
                box["a"] = x * 3
                backward((w * x).sum() + randn([1]).sum())
                x.requires_grad_()
                for k in range(3) { seen.extend([x, x]) }
                return x
            }
            x = ones([1])
        )");
        prompt.on_print([] { interrupt::request(); });
        EXPECT_THROW(prompt("step(x)"), Interrupted);
        prompt.on_print({});
        EXPECT_EQ(prompt("print(seen, box, w.grad, x.requires_grad, (randn([1]) == first).all())"),
                  "[0, 1] {\"a\": 1} none false tensor(true)\n");
        EXPECT_EQ(prompt("print(step(x), len(seen))"), "computed\ntensor([1.]) 10\n");
    }
}

// Its end collects cycles, which looks for interrupts: by itself, and while one unwinds through it.
TEST(Session, EndsUnderAnInterrupt) {
    const char* const cycles = "for i in range(100) { a = []; f = fn() = a; a.append(f) }; print(1)";
    {
        Prompt prompt;
        prompt(cycles);
        interrupt::request();
    }
    EXPECT_TRUE(interrupt::is_wanted());
    interrupt::forget();
    struct Again {
        ~Again() { interrupt::request(); }
    };
    const auto interrupted = [&] {
        Prompt prompt;
        const Again again;
        prompt(cycles);
        interrupt::request();
        prompt("while true {}");
    };
    EXPECT_THROW(interrupted(), Interrupted);
    EXPECT_TRUE(interrupt::is_wanted());
    interrupt::forget();
}

// A run that fails is run again up to where it failed; an interrupt of that takes back what a failure would have left.
TEST(Session, AnInterruptOfARunThatFailsLeavesNothingWithoutElements) {
    Prompt prompt;
    prompt(R"(
        fn step(x, n) {
            seen.append(1)
            y = x * 2
            for k in range(30) { y = sin(y) + cos(y * 3).sum() }
            seen.append(y.sum())
            z = n // (n - n)
            seen.append(z)
            return y
        }
        x = ones([300, 300]); n = tensor([1, 2]); seen = []
    )");
    for (int wait = 0; wait < 60; ++wait) {
        prompt("seen.clear()");
        std::atomic<bool> begun{false};
        std::thread asks([&] {
            while (!begun) {}
            std::this_thread::sleep_for(std::chrono::microseconds(250 * wait));
            interrupt::request();
        });
        begun = true;
        try {
            prompt("step(x, n)");
        } catch (const Interrupted&) {
        } catch (const Error&) {}
        asks.join();
        interrupt::forget();
        const std::string left = prompt("print(len(seen), seen)");
        EXPECT_TRUE(left == "0 []\n" || left == "1 [1]\n" || left.starts_with("2 [1, tensor(")) << left;
    }
}

TEST(Session, ValuesOutliveNothing) {
    // A tensor in every kind of container, closure and model: the session's end must let go of all (the sanitizer
    // looks).
    Prompt prompt;
    prompt(R"(
        model Node(value) { fn get() = fn() = value }
        held = [Node(randn([100])), (randn([3]),), {"k": randn([3])}, fn(x) = x]
        held.append(held)
        getter = held[0].get()
        fn step(n) = n.value * 2
        step(held[0])
    )");
}

TEST(Collector, FreesCycles) {
    Prompt prompt;
    prompt("fn cycle() { big = zeros([1000]); a = []; f = fn() = (a, big); a.append(f) }");
    const Allocator& memory = prompt.session().allocator();
    size_t before = memory.statistics().current;
    prompt("for i in range(10) { cycle() }");
    EXPECT_GE(memory.statistics().current, before + 10 * 4000);
    EXPECT_GT(prompt.session().evaluator().collector().collect(), 0u);
    EXPECT_EQ(memory.statistics().current, before);
}

TEST(Collector, KeepsWhatIsReached) {
    Prompt prompt;
    prompt("fn counter() { n = [0]; fn next() { n[0] += 1; return (n[0], next) }; return next }");
    prompt("f = counter(); f()");
    prompt.session().evaluator().collector().collect();
    EXPECT_EQ(prompt("print(f()[0])"), "2\n");
}

TEST(Collector, RunsByItself) {
    Prompt prompt;
    prompt("fn cycle() { big = zeros([1000]); a = []; f = fn() = (a, big); a.append(f) }");
    prompt("for i in range(20000) { cycle() }");
    EXPECT_LT(prompt.session().allocator().statistics().peak, size_t{40} << 20);
}

TEST(Dict, KeepsOrderThroughRemovals) {
    DictObject dict;
    for (int i = 0; i < 1000; ++i) dict.set(Value(i), Value(i * i));
    for (int i = 0; i < 1000; i += 2) EXPECT_TRUE(dict.remove(Value(i)));
    EXPECT_FALSE(dict.remove(Value(0)));
    EXPECT_EQ(dict.size(), 500u);
    int expected = 1;
    for (const auto& entry : dict.entries()) {
        EXPECT_EQ(entry.key.as_int(), expected);
        EXPECT_EQ(dict.find(entry.key)->as_int(), expected * expected);
        expected += 2;
    }
    EXPECT_EQ(dict.find(Value(2)), nullptr);
    dict.set("text", Value(1));
    EXPECT_EQ(dict.find(make_text("text"))->as_int(), 1);
    EXPECT_THROW(dict.set(Value(1.5), Value()), Error);
}

TEST(Errors, LeaveTheSessionUsable) {
    Prompt prompt;
#ifndef __SANITIZE_THREAD__  // whose own record of calls ends before the machine's stack
    EXPECT_THROW(prompt("fn deep(n) = deep(n + 1) + 1\ndeep(0)"), Error);
    EXPECT_EQ(prompt.session().evaluator().take_stack().empty(), false);
#endif
    EXPECT_THROW(prompt("x = [1, 2][5]"), Error);
    EXPECT_THROW(prompt("no_grad { fail(\"inside\") }"), Error);
    EXPECT_THROW(prompt("y = unknown_name"), InvalidScript);
    EXPECT_EQ(prompt("w = randn([2], requires_grad: true); backward((w * w).sum()); print(w.grad.shape)"), "[2]\n");
}

}  // namespace
}  // namespace tenon
