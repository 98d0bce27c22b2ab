#include "embedding/state.h"

#include <fmt/format.h>

#include <algorithm>
#include <new>

#include "frontend/evaluate/failure.h"
#include "runtime/interrupt.h"

namespace tenon::embed::detail {

namespace {

std::function<void(std::string_view)> output_of(Options& options) {
    return options.output ? std::move(options.output) : write_standard_output;
}

SessionOptions session_options(const Options& options, Output& output) {
    SessionOptions made;
    static_assert(static_cast<int>(Engine::automatic) == static_cast<int>(tenon::Engine::automatic) &&
                  static_cast<int>(Engine::eager) == static_cast<int>(tenon::Engine::eager) &&
                  static_cast<int>(Engine::interp) == static_cast<int>(tenon::Engine::interp) &&
                  static_cast<int>(Engine::jit) == static_cast<int>(tenon::Engine::jit));
    made.tracer.engine = static_cast<tenon::Engine>(options.engine);
    made.tracer.compiled_backward = options.compiled_backward;
    made.threads = options.threads;
    made.args = options.args;
    made.output = &output;
    return made;
}

}  // namespace

State::State(Options options)
    : output(output_of(options)), session(session_options(options, output)),
      module(session.modules().add("<text>", ".")), names(session.modules().add("<names>", ".")),
      scopes(std::make_shared<Scopes>()) {}

State::~State() {
    scopes->close_all_from(0);
    session.native_ops().clear();
}

bool Scopes::close(uint64_t number) {
    if (open_.empty() || open_.back().first < number) return true;  // it was closed with the one around it
    if (open_.back().first != number) return false;
    open_.pop_back();
    return true;
}

void Scopes::close_all_from(uint64_t number) {
    while (!open_.empty() && open_.back().first >= number) open_.pop_back();
}

State& state_of(std::span<const Value> values) {
    for (const Value& value : values) {
        if (State* state = Access::state(value)) return *state;
    }
    throw Error("value", "an op needs a value that belongs to a session",
                "an op needs a value that belongs to a session: a tensor, or what a script has given\n");
}

TensorObject& tensor_of(const Value& value) {
    const tenon::Value& held = Access::raw(value);
    if (!held.is_tensor())
        throw_error("type", "a tensor is expected here, not " + std::string(with_article(held.kind())));
    return held.as<TensorObject>();
}

tenon::Values raw_values(std::span<const Value> values) {
    tenon::Values raw;
    raw.reserve(values.size());
    for (const Value& value : values) raw.push_back(Access::raw(value));
    return raw;
}

tenon::Value State::run(Module& where, std::string_view text, std::string_view name) {
    ast::Script& script = session.modules().compile(where, std::string(name), std::string(text) + "\n", true);
    tenon::Value shown;
    evaluator().run(where, script, &shown);
    return shown;
}

const tenon::Value* State::find(std::string_view name) {
    const Symbol symbol = session.symbols().find(name);
    if (symbol == Symbol::none) return nullptr;
    if (const auto slot = module.scope.find(symbol)) {
        const bool is_there = *slot < module.globals.size() && module.globals[*slot];
        return is_there && !module.globals[*slot]->value.is_unset() ? &module.globals[*slot]->value : nullptr;
    }
    if (const auto number = module.scope.find_import(symbol)) return &session.modules().imported(module, *number).value;
    return nullptr;
}

tenon::Value State::function(std::string_view name) {
    const auto found = known.find(std::string(name));
    if (found != known.end()) return found->second;
    const auto is_letter = [](unsigned char c) { return c == '_' || std::isalnum(c) != 0; };
    if (name.empty() || !std::all_of(name.begin(), name.end(), is_letter))
        throw_error("name", fmt::format("`{}` is no name", name), "functions of the language are found by their names");
    return known.emplace(std::string(name), run(names, name, name)).first->second;
}

void State::check_may_write(const TensorObject& x) const {
    if (running.empty()) return;
    const auto& [op, arguments] = running.back();
    for (size_t k = 0; k < arguments.size(); ++k) {
        const auto* given = arguments[k].try_as<TensorObject>();
        const bool is_it = given && (given == &x || x.is_view_beside(*given) ||
                                     (x.tensor.storage && x.tensor.storage == given->tensor.storage));
        if (!is_it || std::find(op.mutates.begin(), op.mutates.end(), k) != op.mutates.end()) continue;
        throw_error("value",
                    fmt::format("native op `{}` writes its argument `{}`, which it does not say it changes", op.name,
                                op.parameters[k]),
                    fmt::format("register it with {} among `mutates`", k));
    }
}

void State::raise(std::exception_ptr failure) {
    const auto fail = [this](const Diagnostic& diagnostic) {
        throw Error(diagnostic.kind, diagnostic.message, render_failure(session, diagnostic, false),
                    std::make_shared<const Diagnostic>(diagnostic));
    };
    try {
        std::rethrow_exception(std::move(failure));
    } catch (const Error&) { throw; } catch (const InvalidScript& invalid) {
        const Diagnostic& first = invalid.diagnostics.front();
        throw Error(first.kind, first.message, render_all(invalid.diagnostics, session.sources(), false),
                    std::make_shared<const Diagnostic>(first));
    } catch (const tenon::Error& error) { fail(error.diagnostic); } catch (const Interrupted& interrupted) {
        if (!running.empty()) throw;  // it goes on to whoever called the script that called the op
        fail({"interrupted", "interrupted", interrupted.span, {}, {}});
    } catch (const std::bad_alloc&) { fail({"memory", "there is not enough memory", evaluator().here(), {}, {}}); }
    std::abort();  // not reached: each of the above throws, and any other exception goes on as it is
}

}  // namespace tenon::embed::detail
