// Calls of built-ins: the row that the first argument chooses, its parameters, the call itself.
#include <algorithm>

#include <fmt/format.h>

#include "frontend/evaluate/evaluator.h"
#include "frontend/evaluate/session.h"
#include "frontend/record/capture.h"
#include "frontend/values/errors.h"

namespace tenon {

namespace {

constexpr size_t most_parameters = 32;

// The number of the parameter that a keyword is for, how many there are where it is for none.
size_t parameter_named(const Signature& signature, Symbol name) {
    size_t at = 0;
    while (at < signature.parameters.size() &&
           (signature.parameters[at].name != name || static_cast<int>(at) == signature.rest ||
            static_cast<int>(at) == signature.keywords))
        ++at;
    return at;
}

}  // namespace

Value Evaluator::call_builtin(const BuiltinGroup& group, bool as_method, const Value* first,
                              const ast::Arguments& arguments, Frame& frame, Span span) {
    if (arguments.has_spread || group.is_scope || group.rows.empty()) {
        CallArguments evaluated = evaluate_arguments(first, arguments, frame);
        return call_builtin(group, as_method, evaluated, span);
    }
    Value lead = first                      ? *first
                 : arguments.positional > 0 ? evaluate(*arguments.items[0].value, frame)
                                            : Value::unset();
    const BuiltinRow* row = group.pick(host_kind(lead), as_method);
    if (!row) no_row(group, lead, span);
    return call_row(group, *row, std::move(lead), first != nullptr, arguments, frame, span);
}

// The border at which symbolic numbers become what they are eagerly: here and in as_key, for every row that does not
// know them. Of `*rest` and `**keywords` each.
void Evaluator::settle_arguments(const Signature& signature, tenon::Arguments& arguments) {
    auto is_symbolic = [](const Value& value) { return value.is_symbolic(); };
    for (size_t k = 0; k < arguments.size(); ++k) {
        Value& value = arguments[k];
        if (!value.is_object()) continue;
        if (value.is_symbolic()) {
            value = border_.settle(value, arguments.span_of(k));
        } else if (static_cast<int>(k) == signature.rest) {  // its tuple was made for this call
            Values& rest = value.as<TupleObject>().items;
            if (std::none_of(rest.begin(), rest.end(), is_symbolic)) continue;
            for (Value& item : rest) item = settled(item, arguments.span_of(k));
        } else if (static_cast<int>(k) == signature.keywords) {
            auto& more = value.as<DictObject>();
            for (size_t i = 0; i < more.size(); ++i) more.value_at(i) = settled(more.value_at(i), arguments.span);
        }
    }
}

[[gnu::always_inline]] inline Value Evaluator::run_row(const BuiltinRow& row, tenon::Arguments& arguments) {
    if ((row.builtin->traits & breaks_graph) && tracer_.capturing())
        tracer_.graph_break(row.builtin->name, arguments.span);
    if (!(row.builtin->traits & (takes_symbolic | takes_sizes))) settle_arguments(row.signature, arguments);
    Span saved = std::exchange(here_, arguments.span);
    try {
        Value result = row.builtin->call(*this, arguments);
        here_ = saved;
        return result;
    } catch (Error& error) {
        here_ = saved;
        if (!error.diagnostic.span) error.diagnostic.span = arguments.span;
        throw;
    } catch (Interrupted& interrupted) {
        here_ = saved;
        if (!interrupted.span) interrupted.span = arguments.span;
        throw;
    }
}

// As many arguments as the row takes, each for the parameter at its place: what nearly all calls are.
[[gnu::always_inline]] inline Value Evaluator::call_in_order(const BuiltinRow& row, Value lead, bool has_receiver,
                                                             const ast::Arguments& arguments, Frame& frame, Span span) {
    Slots values(*this, row.signature.parameters.size());
    const size_t count = arguments.items.size() + has_receiver;
    if (count > 0) values[0] = std::move(lead);
    for (size_t k = 1; k < count; ++k) values[k] = evaluate(*arguments.items[k - has_receiver].value, frame);
    tenon::Arguments bound{
        .values = values.all(), .span = span, .in_order = arguments.items, .receivers = has_receiver};
    return run_row(row, bound);
}

// The same for a receiver of which this is known, wherever it lies.
Value Evaluator::call_known(const BuiltinRow& row, const Value& receiver, const ast::MethodCall& call, Frame& frame) {
    Slots values(*this, row.signature.parameters.size());
    new (&values[0]) Value(receiver);
    size_t position = 0;
    for (const ast::Argument& argument : call.arguments.items)
        evaluate_into(values[++position], *argument.value, frame);
    tenon::Arguments bound{
        .values = values.all(), .span = call.span, .in_order = call.arguments.items, .receivers = 1};
    return run_row(row, bound);
}

// `lead`, which decides about the row, is the receiver or the first of the arguments; unset where there is neither.
Value Evaluator::call_row(const BuiltinGroup& group, const BuiltinRow& row, Value lead, bool has_receiver,
                          const ast::Arguments& arguments, Frame& frame, Span span) {
    const bool marks = (row.builtin->traits & takes_sizes) && tracer_.capturing();
    if (arguments.in_order() && row.signature.takes_in_order(arguments.items.size() + has_receiver) && !marks)
        return call_in_order(row, std::move(lead), has_receiver, arguments, frame, span);
    return call_by_name(group, row, std::move(lead), has_receiver, arguments, frame, span);
}

Value Evaluator::call_by_name(const BuiltinGroup& group, const BuiltinRow& row, Value lead, bool has_receiver,
                              const ast::Arguments& arguments, Frame& frame, Span span) {
    const bool marks = (row.builtin->traits & takes_sizes) && tracer_.capturing();
    const Signature& signature = row.signature;
    size_t count = signature.parameters.size();
    Slots values(*this, count);
    alignas(Span) std::byte places[most_parameters * sizeof(Span)];  // set as far as there are parameters
    Span* const spans = new (places) Span[count];
    Values rest;
    bool rest_is_literal = true;
    tenon::Arguments bound{values.all(), span, std::span(spans, count), 0};
    size_t position = 0;
    auto place = [&](Value value, bool is_literal, Span at) {
        if (position < signature.positional) {
            spans[position] = at;
            bound.literals |= uint64_t{is_literal} << position;
            values[position++] = std::move(value);
        } else if (signature.rest >= 0) {
            if (rest.empty()) spans[signature.rest] = at;
            rest_is_literal &= is_literal;
            rest.push_back(std::move(value));
        } else {
            too_many(group.name, row.builtin->parameters, signature.positional,
                     arguments.positional + (has_receiver ? 1 : 0), span);
        }
    };
    const bool is_argument = !has_receiver && !lead.is_unset();
    if (is_argument) {
        const ast::Expr& written = *arguments.items[0].value;
        if (marks) mark_host_ints(lead, written);
        place(std::move(lead), written.is_literal, written.span);
    } else if (has_receiver) {
        place(std::move(lead), false, {});
    }
    for (const ast::Argument& argument : arguments.items.subspan(is_argument)) {
        if (argument.kind == ast::ArgumentKind::positional) {
            Value value = evaluate(*argument.value, frame);
            if (marks) mark_host_ints(value, *argument.value);
            place(std::move(value), argument.value->is_literal, argument.value->span);
            continue;
        }
        const size_t at = parameter_named(signature, argument.name);
        if (at == count) {
            if (signature.keywords >= 0) {
                Value& more = values[static_cast<size_t>(signature.keywords)];
                if (more.is_unset()) more = make_ref<DictObject>();
                more.as<DictObject>().set(name_of(argument.name), evaluate(*argument.value, frame));
                continue;
            }
            std::vector<Symbol> names;
            for (const auto& parameter : signature.parameters) names.push_back(parameter.name);
            auto near = nearest_name(argument.name, names, symbols_);
            throw_error_at(argument.span, "arity",
                           fmt::format("`{}` has no parameter `{}`", group.name, name_of(argument.name)),
                           near ? fmt::format("did you mean `{}`?", name_of(*near))
                                : fmt::format("it takes ({})", row.builtin->parameters));
        }
        if (!values[at].is_unset()) {
            throw_error_at(argument.span, "arity", fmt::format("`{}` is given twice", name_of(argument.name)));
        }
        spans[at] = argument.value->span;
        bound.literals |= uint64_t{argument.value->is_literal} << at;
        values[at] = evaluate(*argument.value, frame);
    }
    if (signature.rest >= 0) {
        auto at = static_cast<size_t>(signature.rest);
        bound.literals |= uint64_t{rest_is_literal && !rest.empty()} << at;
        values[at] = make_tuple(std::move(rest));
    }
    return run_builtin(row, bound);
}

Value Evaluator::call_builtin(const BuiltinGroup& group, bool as_method, CallArguments& arguments, Span span) {
    const bool has_first = !arguments.positional.empty();
    if (group.rows.empty()) not_callable(group.value, span);
    const BuiltinRow* row = group.pick(has_first ? host_kind(arguments.positional[0]) : Kind::unset, as_method);
    if (group.is_scope && (!row || !row->builtin->call)) return call_scope(group, arguments, span);
    if (!row) no_row(group, has_first ? arguments.positional[0] : Value::unset(), span);

    const Signature& signature = row->signature;
    size_t count = signature.parameters.size();
    Slots values(*this, count);
    Values rest;
    size_t position = 0;
    for (Value& value : arguments.positional) {
        if (position < signature.positional) {
            values[position++] = std::move(value);
        } else if (signature.rest >= 0) {
            rest.push_back(std::move(value));
        } else {
            too_many(group.name, row->builtin->parameters, signature.positional, arguments.positional.size(), span);
        }
    }
    for (auto& [name, value] : arguments.keywords) {
        const size_t at = parameter_named(signature, name);
        if (at < count) {
            if (!values[at].is_unset())
                throw_error_at(span, "arity", fmt::format("`{}` is given twice", name_of(name)));
            values[at] = std::move(value);
        } else if (signature.keywords >= 0) {
            Value& more = values[static_cast<size_t>(signature.keywords)];
            if (more.is_unset()) more = make_ref<DictObject>();
            more.as<DictObject>().set(name_of(name), std::move(value));
        } else {
            throw_error_at(span, "arity", fmt::format("`{}` has no parameter `{}`", group.name, name_of(name)),
                           fmt::format("it takes ({})", row->builtin->parameters));
        }
    }
    if (signature.rest >= 0) values[static_cast<size_t>(signature.rest)] = make_tuple(std::move(rest));
    tenon::Arguments bound{values.all(), span, {}, 0};
    return run_builtin(*row, bound);
}

Value Evaluator::run_builtin(const BuiltinRow& row, tenon::Arguments& arguments) {
    const Signature& signature = row.signature;
    for (size_t i = 0; i < signature.parameters.size(); ++i) {
        if (signature.parameters[i].required && arguments[i].is_unset()) {
            throw_error_at(arguments.span, "arity",
                           fmt::format("`{}` needs `{}`", row.builtin->name, name_of(signature.parameters[i].name)),
                           fmt::format("it takes ({})", row.builtin->parameters));
        }
    }
    if (signature.keywords >= 0 && arguments[static_cast<size_t>(signature.keywords)].is_unset()) {
        arguments[static_cast<size_t>(signature.keywords)] = make_ref<DictObject>();
    }
    return run_row(row, arguments);
}

void Evaluator::no_row(const BuiltinGroup& group, const Value& first, Span span) {
    if (first.is_unset()) throw_error_at(span, "arity", fmt::format("`{}` needs an argument", group.name));
    std::string kinds;
    int count = 0;
    for (const BuiltinRow& row : group.rows) {
        for (int k = static_cast<int>(Kind::none); k < kind_count; ++k) {
            std::string_view kind = tenon::name_of(static_cast<Kind>(k));
            if (!(row.builtin->first >> k & 1) || kinds.find(kind) != std::string::npos) continue;
            kinds += kinds.empty() ? "" : ", ";
            kinds += kind;
            ++count;
        }
    }
    constexpr int most_to_list = 6;
    if (count > most_to_list) kinds.clear();
    throw_error_at(span, "type", fmt::format("`{}` does not go with {}", group.name, semantics_.describe(first)),
                   kinds.empty() ? "" : fmt::format("its first argument is one of: {}", kinds));
}

}  // namespace tenon
