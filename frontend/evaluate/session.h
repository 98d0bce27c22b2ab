// A session owns everything that lasts from one line of a script to the next. Two may exist side by side.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "frontend/evaluate/evaluator.h"
#include "frontend/evaluate/modules.h"
#include "frontend/ops/border.h"
#include "frontend/record/tracer.h"
#include "frontend/syntax/source_map.h"
#include "frontend/syntax/symbols.h"
#include "frontend/values/builtin_table.h"
#include "frontend/values/output.h"
#include "ir/context.h"
#include "runtime/allocator.h"
#include "runtime/cpu.h"
#include "runtime/thread_pool.h"

namespace tenon {

class Machine;

struct SessionOptions {
    TracerOptions tracer;
    int threads = 0;                ///< of the pool, 0 for one a core
    InstructionSet instructions = best_instruction_set();  ///< of interpreter, machine code and products
    std::vector<std::string> args;  ///< what a script sees as `args`
    Output* output = nullptr;       ///< the standard output where null; must outlive the session
};

class Session {
public:
    explicit Session(SessionOptions options = {});
    ~Session();
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    const SessionOptions& options() const { return options_; }
    SymbolTable& symbols() { return symbols_; }
    SourceMap& sources() { return sources_; }
    Context& context() { return context_; }
    const Allocator& allocator() const { return allocator_; }
    ThreadPool& threads() { return threads_; }
    Machine& machine() { return *machine_; }
    Tracer& tracer() { return tracer_; }
    Border& border() { return border_; }
    const BuiltinTable& builtins() const { return builtins_; }
    Modules& modules() { return modules_; }
    Evaluator& evaluator() { return evaluator_; }
    Output& output() { return *output_; }
    /// The ops of the C++ program that embeds this, by name: what `native_op(name)` gives.
    std::map<std::string, Value, std::less<>>& native_ops() { return native_ops_; }

    /// Caches, counters, tape and generators as at the start; what the script's variables hold stays.
    void reset();

private:
    // In this order: what comes later refers to what comes earlier, and goes first.
    SessionOptions options_;
    StandardOutput standard_output_;
    Output* output_;
    SymbolTable symbols_;
    SourceMap sources_;
    Context context_;
    Allocator allocator_;
    ThreadPool threads_;
    std::unique_ptr<Machine> machine_;
    Tracer tracer_;
    Border border_;
    BuiltinTable builtins_;
    Modules modules_;
    Evaluator evaluator_;
    std::map<std::string, Value, std::less<>> native_ops_;
};

}  // namespace tenon
