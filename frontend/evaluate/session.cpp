#include "frontend/evaluate/session.h"

#include "frontend/record/checkpoint_policy.h"
#include "frontend/record/tensor_dispatch.h"
#include "frontend/values/host_operators.h"
#include "jit/machine.h"
#include "runtime/interrupt.h"

namespace tenon {

Session::Session(SessionOptions options)
    : options_(std::move(options)), output_(options_.output ? options_.output : &standard_output_),
      threads_(options_.threads), machine_(std::make_unique<Machine>(allocator_, threads_, options_.instructions)),
      tracer_(context_, allocator_, *machine_, options_.tracer),
      border_(tracer_, [this](Operator op, const Value& a, const Value& b,
                              Span span) { return evaluator_.semantics().binary(op, a, b, span); }),
      builtins_(symbols_, options_.args), modules_(*this), evaluator_(*this) {
    tracer_.services.call = [this](const Value& function, std::span<const Value> arguments,
                                   std::span<const KeywordArgument> keywords) {
        return evaluator_.call(function, arguments, keywords);
    };
    tracer_.services.locate = [this](Span span) { return span ? sources_.place(span) : std::string(); };
}

Session::~Session() {
    const interrupt::Hold hold;  // it looks for one where there is much to collect
    // Closures that hold themselves would outlive the session otherwise.
    modules_.drop_variables();
    native_ops_.clear();
    evaluator_.collector().collect();
}

void Session::reset() { tracer_.reset(); }

}  // namespace tenon
