// What stands behind a Session of the embedding API: the session itself, and what is under way in it.
#pragma once

#include <exception>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include <tenon/tenon.h>

#include "frontend/evaluate/session.h"

namespace tenon::embed::detail {

/// From handles to what they hold, and back.
struct Access {
    static tenon::Value& raw(Value& value) { return *reinterpret_cast<tenon::Value*>(value.held_); }
    static const tenon::Value& raw(const Value& value) { return *reinterpret_cast<const tenon::Value*>(value.held_); }
    static State* state(const Value& value) { return value.state_; }
    static bool is_literal(const Value& value) { return value.is_literal_; }
    static Value make(tenon::Value held, State* state) {
        Value value;
        raw(value) = std::move(held);
        value.state_ = state;
        return value;
    }
    static Value literal(Value value) {
        value.is_literal_ = true;
        return value;
    }
    static Context context(Value held) { return Context(std::move(held)); }
    static const std::shared_ptr<const void>& diagnostic(const Error& error) { return error.diagnostic_; }
};

/// The first of the values that belongs to a session. Throws Error "value" where none does.
State& state_of(std::span<const Value> values);
TensorObject& tensor_of(const Value& value);
tenon::Values raw_values(std::span<const Value> values);

/// The blocks that C++ code has open, outermost first.
class Scopes {
public:
    uint64_t open(std::unique_ptr<tenon::Scope> scope) {
        open_.emplace_back(++last_, std::move(scope));
        return last_;
    }
    /// Closes the one of this number. False: another was opened inside of it that is open still.
    bool close(uint64_t number);
    /// The same after those inside of it.
    void close_all_from(uint64_t number);

private:
    std::vector<std::pair<uint64_t, std::unique_ptr<tenon::Scope>>> open_;
    uint64_t last_ = 0;
};

class FunctionOutput final : public Output {
public:
    explicit FunctionOutput(std::function<void(std::string_view)> function) : function_(std::move(function)) {}
    void write(std::string_view text, Span) override { function_(text); }

private:
    std::function<void(std::string_view)> function_;
};

/// A call of an op whose function is at work.
struct RunningOp {
    const Op& op;
    std::span<const tenon::Value> arguments;
};

struct State {
    explicit State(Options options);
    ~State();

    FunctionOutput output;
    tenon::Session session;
    Module& module;                                       ///< all that is run
    Module& names;                                        ///< the language's own names
    std::unordered_map<std::string, tenon::Value> known;  ///< what those stand for
    std::shared_ptr<Scopes> scopes;
    std::vector<RunningOp> running;  ///< innermost last

    Tracer& tracer() { return session.tracer(); }
    Evaluator& evaluator() { return session.evaluator(); }
    Value wrap(tenon::Value value) { return Access::make(std::move(value), this); }

    /// Runs text where its names are those of `where`.
    tenon::Value run(Module& where, std::string_view text, std::string_view name);
    /// A variable of what was run, or null.
    const tenon::Value* find(std::string_view name);
    /// A function of the language or its library.
    tenon::Value function(std::string_view name);
    /// Throws where a running op may not write x: it is an argument that it does not say it changes.
    void check_may_write(const TensorObject& x) const;

    /// Whatever `work` throws, as Error.
    template <class Work> auto guarded(Work&& work) -> decltype(work()) {
        try {
            return work();
        } catch (...) { raise(std::current_exception()); }
    }
    [[noreturn]] void raise(std::exception_ptr failure);
};

}  // namespace tenon::embed::detail
