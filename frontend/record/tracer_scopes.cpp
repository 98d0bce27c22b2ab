// Scope blocks: what they change for the ops inside, restored when they are left by any way.
#include <cassert>

#include <fmt/format.h>

#include "frontend/record/capture.h"
#include "frontend/record/capture_aside.h"
#include "frontend/record/checkpoint_policy.h"
#include "frontend/record/tensor_dispatch.h"
#include "frontend/record/tracer.h"
#include "frontend/values/builtin.h"
#include "ir/annotation_keys.h"
#include "runtime/diagnostic.h"

namespace tenon {

AttrValue to_attribute(Context& context, const Value& value) {
    switch (value.kind()) {
        case Kind::none: return {};
        case Kind::boolean: return AttrValue(value.as_bool());
        case Kind::integer: return AttrValue(value.as_int());
        case Kind::real: return AttrValue(value.as_real());
        case Kind::dtype: return AttrValue(value.as_dtype());
        case Kind::string: return AttrValue(context.name(text_of(value)));
        default: break;
    }
    if (const Values* items = items_of(value)) {
        AttrList list;
        for (const Value& item : *items) list.push_back(to_attribute(context, item));
        return AttrValue(std::move(list));
    }
    throw_error("type", fmt::format("metadata holds numbers, strs, bools, none and lists of these, not {}",
                                    with_article(value.kind())));
}

class Tracer::GradScope final : public Scope {
public:
    GradScope(Dispatcher& dispatcher, bool on) : mode_(dispatcher, on) {}

private:
    Dispatcher::GradMode mode_;
};

class Tracer::MetaScope final : public Scope {
public:
    MetaScope(Tracer& tracer, MetaId meta, bool stops_compiling)
        : tracer_(tracer), saved_(tracer.dispatcher().meta()), stops_compiling_(stops_compiling) {
        tracer.dispatcher().set_meta(tracer.context().merge(saved_, meta));
        tracer_.no_compile_depth_ += stops_compiling_;
    }
    ~MetaScope() override {
        tracer_.dispatcher().set_meta(saved_);
        tracer_.no_compile_depth_ -= stops_compiling_;
    }

private:
    Tracer& tracer_;
    MetaId saved_;
    bool stops_compiling_;
};

class Tracer::CheckpointScope final : public Scope {
public:
    CheckpointScope(Tracer& tracer, Value policy, Span span) : tracer_(tracer), opened_(tracer.capturing()) {
        if (!opened_) return;
        tracer_.dispatcher().set_span(span);  // the call's node comes from here
        std::shared_ptr<CheckpointPolicy> asked;
        if (!policy.is_none()) asked = std::make_shared<CheckpointPolicy>(tracer, std::move(policy), span);
        tracer_.capture().begin_call("checkpoint", "checkpoint", {}, std::move(asked));
    }
    ~CheckpointScope() override {
        if (opened_) tracer_.capture().end_call();
    }

private:
    Tracer& tracer_;
    bool opened_;
};

class Tracer::BackwardScope final : public Scope {
public:
    BackwardScope(Tracer& tracer, CompiledBackward mode)
        : tracer_(tracer), saved_(std::exchange(tracer.backward.mode, mode)) {}
    ~BackwardScope() override { tracer_.backward.mode = saved_; }

private:
    Tracer& tracer_;
    const CompiledBackward saved_;
};

class Tracer::AnomalyScope final : public Scope {
public:
    explicit AnomalyScope(Tracer& tracer)
        : tracer_(tracer), saved_(std::exchange(tracer.backward.detects_anomaly, true)) {}
    ~AnomalyScope() override { tracer_.backward.detects_anomaly = saved_; }

private:
    Tracer& tracer_;
    const bool saved_;
};

// The graph under capture is put aside: all that is recorded inside is packed, and nothing else.
class Tracer::SavedScope final : public Scope {
public:
    SavedScope(Tracer& tracer, SavedHooks hooks)
        : tracer_(ended(tracer)), hooks_(std::move(hooks)), pause_(tracer), aside_(tracer),
          saved_(std::exchange(tracer.backward.saved_hooks, &hooks_)) {}
    ~SavedScope() override { tracer_.backward.saved_hooks = saved_; }

private:
    static Tracer& ended(Tracer& tracer) {
        tracer.graph_break("saved_tensor_hooks", tracer.dispatcher().span());
        return tracer;
    }
    Tracer& tracer_;
    const SavedHooks hooks_;
    const Tracer::Pause pause_;
    const CaptureAside aside_;
    const SavedHooks* const saved_;
};

class Tracer::PlainScope final : public Scope {};

[[noreturn]] static void fail_arity(std::string message, Span span, std::string help) {
    throw Error(Diagnostic{"arity", std::move(message), span, {}, std::move(help)});
}

std::unique_ptr<Scope> Tracer::enter_annotate(std::span<const ScopeArgument> arguments, Span span) {
    Record record;
    bool keeps_uncompiled = false;
    auto add = [&](std::string_view key, const Value& value) {
        record.push_back({context_.name(key), to_attribute(context_, value)});
        const AnnotationKey* known = read_annotation_key(key);
        if (known && !known->holds(record.back().value)) {
            throw Error(Diagnostic{
                "type",
                fmt::format("the annotation `{}` is {}, found {}", key, known->type, with_article(value.kind())),
                span,
                {},
                fmt::format("`tenon help {}` tells what it means", key)});
        }
        keeps_uncompiled |= stops_compiling(key, record.back().value);
    };
    for (const ScopeArgument& argument : arguments) {
        if (!argument.name.empty()) {
            add(argument.name, argument.value);
        } else if (const auto* dict = argument.value.try_as<DictObject>()) {
            for (const DictObject::Entry& entry : dict->entries()) {
                if (!entry.key.is<StringObject>())
                    fail_arity("the keys of metadata are strs", span, "annotate(**d) takes a dict with str keys");
                add(text_of(entry.key), entry.value);
            }
        } else {
            fail_arity("`annotate` takes keys and their values", span, "write `annotate {pp_stage: 0} { … }`");
        }
    }
    return std::make_unique<MetaScope>(*this, context_.meta(record), keeps_uncompiled);
}

std::unique_ptr<Scope> Tracer::enter_checkpoint(std::span<const ScopeArgument> arguments, Span span) {
    Value policy;
    for (const ScopeArgument& argument : arguments) {
        if (argument.name != "policy")
            fail_arity(argument.name.empty() ? "`checkpoint` takes a block, or a function and its arguments"
                                             : fmt::format("`checkpoint` has no parameter `{}`", argument.name),
                       span, "write `checkpoint { … }`, `checkpoint(policy: save_matmuls) { … }` or checkpoint(f, x)");
        policy = argument.value;
    }
    constexpr KindSet functions = kinds(Kind::none, Kind::function, Kind::bound_method, Kind::builtin, Kind::model);
    if (!(functions >> static_cast<int>(policy.kind()) & 1))
        throw Error(
            Diagnostic{"type",
                       fmt::format("the policy of a checkpoint is a function, found {}", with_article(policy.kind())),
                       span,
                       {},
                       "for example save_matmuls, save_names([\"attention\"]), or fn(op, name) = must_save if op "
                       "== \"matmul\" else prefer_recompute"});
    return std::make_unique<CheckpointScope>(*this, std::move(policy), span);
}

std::unique_ptr<Scope> Tracer::enter_saved_tensor_hooks(std::span<const ScopeArgument> arguments, Span span) {
    SavedHooks hooks;
    for (const ScopeArgument& argument : arguments) {
        if (argument.name == "pack") hooks.pack = argument.value;
        else if (argument.name == "unpack") hooks.unpack = argument.value;
        else fail_arity("`saved_tensor_hooks` takes `pack:` and `unpack:`", span, {});
    }
    if (hooks.pack.is_none() || hooks.unpack.is_none()) {
        fail_arity("`saved_tensor_hooks` takes two functions", span, "saved_tensor_hooks(pack: f, unpack: g) { … }");
    }
    return std::make_unique<SavedScope>(*this, std::move(hooks));
}

std::unique_ptr<Scope> Tracer::enter_compiled_backward(std::span<const ScopeArgument> arguments, Span span) {
    CompiledBackward mode = CompiledBackward::automatic;
    for (const ScopeArgument& argument : arguments) {
        if (argument.name != "dynamic")
            fail_arity("`compiled_backward` takes `dynamic:` alone", span, "dynamic: true, or \"auto\"");
        const bool is_automatic = argument.value.is<StringObject>() && text_of(argument.value) == "auto";
        if (argument.value.is_bool() && argument.value.as_bool()) {
            mode = CompiledBackward::dynamic;
        } else if (!is_automatic) {
            fail_arity(
                "`dynamic:` is true (sizes are symbolic from the first graph on) or \"auto\" (from their first "
                "change on)",
                span, "compiled_backward(dynamic: true) { … }");
        }
    }
    return std::make_unique<BackwardScope>(*this, mode);
}

std::unique_ptr<Scope> Tracer::enter_scope(std::string_view name, std::span<const ScopeArgument> arguments, Span span) {
    auto takes_nothing = [&] {
        if (!arguments.empty())
            fail_arity(fmt::format("`{}` takes no arguments", name), span, fmt::format("write `{} {{ … }}`", name));
    };
    if (name == "annotate") return enter_annotate(arguments, span);
    if (name == "no_compile") {
        takes_nothing();
        return std::make_unique<MetaScope>(*this, context_.meta({{context_.name(compile_key), AttrValue(false)}}),
                                           true);
    }
    if (name == "no_grad" || name == "enable_grad") {
        takes_nothing();
        return std::make_unique<GradScope>(*dispatcher_, name == "enable_grad");
    }
    if (name == "checkpoint") return enter_checkpoint(arguments, span);
    if (name == "saved_tensor_hooks") return enter_saved_tensor_hooks(arguments, span);
    if (name == "detect_anomaly") {
        takes_nothing();
        return std::make_unique<AnomalyScope>(*this);
    }
    if (name == "no_compiled_backward") {
        takes_nothing();
        return std::make_unique<BackwardScope>(*this, CompiledBackward::refused);
    }
    if (name == "compiled_backward") return enter_compiled_backward(arguments, span);
    if (name == "device") {
        if (arguments.size() == 1 && arguments[0].value.is(Kind::device) &&
            arguments[0].value.as_device() == Device{}) {
            return std::make_unique<PlainScope>();
        }
        throw Error(Diagnostic{"value",
                               "tensors live on the cpu only, so far",
                               span,
                               {},
                               "write `device(cpu) { … }`, or leave the block out"});
    }
    assert(false && "a block of the tables that nothing enters");
    return nullptr;
}

}  // namespace tenon
