// The session of the embedding API, its ops and scopes.
#include <fmt/format.h>

#include <filesystem>

#include "embedding/native_op.h"
#include "embedding/state.h"
#include "runtime/file.h"

namespace tenon::embed {

using detail::Access;
using detail::State;

// ---- what an op hands to its backward -----------------------------------------------------------------------------
namespace {

CustomContext& context_in(const Value& held) { return static_cast<CustomContext&>(Access::raw(held).object()); }

template <class Work> auto with(const Value& held, Work work) {
    State& state = *Access::state(held);
    return state.guarded([&] { return work(state, context_in(held)); });
}

tenon::Values raw_tensors(const std::vector<Tensor>& tensors) {
    tenon::Values raw;
    for (const Tensor& tensor : tensors) raw.push_back(Access::raw(tensor));
    return raw;
}

}  // namespace

void Context::save(const std::vector<Tensor>& tensors) {
    with(held_,
         [&](State&, CustomContext& context) { context.call(CustomContext::Method::save, raw_tensors(tensors)); });
}
std::vector<Tensor> Context::saved() const {
    const Values items = get("saved").items();
    return {items.begin(), items.end()};
}
void Context::set(std::string_view name, const Value& value) {
    with(held_, [&](State& state, CustomContext& context) {
        context.set_attribute(state.evaluator(), name, Access::raw(value));
    });
}
Value Context::get(std::string_view name) const {
    return with(held_, [&](State& state, CustomContext& context) {
        tenon::Value found;
        if (!context.get_attribute(state.evaluator(), name, found))
            throw_error("name", fmt::format("the context has no `{}`", name),
                        "`forward` sets it: context.set(name, value)");
        return state.wrap(std::move(found));
    });
}
bool Context::needs_grad(size_t argument) const {
    const std::vector<bool>& needs = context_in(held_).needs_grad;
    return argument < needs.size() && needs[argument];
}
void Context::fill_zeros(bool fills) { set("zero_fill", fills); }
void Context::mark_non_differentiable(const std::vector<Tensor>& results) {
    with(held_, [&](State&, CustomContext& context) {
        context.call(CustomContext::Method::mark_non_differentiable, raw_tensors(results));
    });
}

// ---- scopes -------------------------------------------------------------------------------------------------------
Scope::Scope(Scope&& other) noexcept : scopes_(std::move(other.scopes_)), number_(other.number_) {}

Scope::~Scope() {
    if (scopes_) scopes_->close_all_from(number_);
}

void Scope::close() {
    if (!scopes_) return;
    if (!scopes_->close(number_)) {
        const char* const message =
            "nested contexts must return before their parent: a scope inside of this one is open";
        throw Error("value", message, fmt::format("{}\n", message));
    }
    scopes_.reset();
}

// ---- the session --------------------------------------------------------------------------------------------------
Session::Session(Options options) : state_(std::make_unique<State>(std::move(options))) {}
Session::Session(Session&&) noexcept = default;
Session& Session::operator=(Session&&) noexcept = default;
Session::~Session() = default;

Value Session::run(std::string_view text, std::string_view name) {
    return state_->guarded([&] { return state_->wrap(state_->run(state_->module, text, name)); });
}

Value Session::run_file(const std::string& path) {
    return state_->guarded([&] {
        constexpr size_t largest = size_t{1} << 30;
        const std::string text = read_text(path, largest);
        // What the file uses lies beside it.
        struct Folder {
            std::string& of;
            const std::string before;
            ~Folder() { of = before; }
        } folder{state_->module.folder, state_->module.folder};
        state_->module.folder = std::filesystem::path(path).parent_path().string();
        return state_->wrap(state_->run(state_->module, text, path));
    });
}

Value Session::call(std::string_view function, Values arguments, const Named& named) {
    const tenon::Value callee = state_->guarded([&] {
        const tenon::Value* found = state_->find(function);
        return found ? *found : state_->function(function);
    });
    return state_->wrap(callee).call(std::move(arguments), named);
}

Value Session::get(std::string_view name) {
    return state_->guarded([&] {
        const tenon::Value* found = state_->find(name);
        if (!found) throw_error("name", fmt::format("the script has no variable `{}`", name), "has(name) asks");
        return state_->wrap(*found);
    });
}
bool Session::has(std::string_view name) const {
    return state_->guarded([&] { return state_->find(name) != nullptr; });
}

std::string Session::text(const Value& value) {
    return state_->guarded([&] { return state_->evaluator().semantics().text(Access::raw(value)); });
}

// ---- tensors ------------------------------------------------------------------------------------------------------
Tensor Session::tensor(void* data, DType dtype, std::vector<int64_t> shape, std::vector<int64_t> strides,
                       std::function<void()> release) {
    return state_->guarded([&] {
        tenon::Tensor tensor;
        tensor.dtype = static_cast<tenon::DType>(dtype);
        tensor.shape = Dims(shape.begin(), shape.end());
        const int64_t count = checked_numel(tensor.shape);
        tensor.strides = strides.empty() ? contiguous_strides(tensor.shape) : Dims(strides.begin(), strides.end());
        if (tensor.strides.size() != tensor.shape.size())
            throw_error("shape",
                        fmt::format("{} strides for {} dimensions", tensor.strides.size(), tensor.shape.size()));
        int64_t last = 0;  // element
        for (size_t d = 0; d < tensor.shape.size(); ++d) {
            if (tensor.strides[d] < 0)
                throw_error("shape", "strides are not negative", "ops::apply(\"flip\", …) turns a dimension round");
            if (count > 0) last += (tensor.shape[d] - 1) * tensor.strides[d];
        }
        const size_t size = size_of(tensor.dtype);
        if (reinterpret_cast<uintptr_t>(data) % size != 0)
            throw_error("value", fmt::format("the memory is not aligned for elements of {} bytes", size));
        const size_t bytes = count == 0 ? 0 : (static_cast<size_t>(last) + 1) * size;
        tensor.storage = make_ref<Storage>(static_cast<std::byte*>(data), bytes, Device{}, std::move(release));
        return Tensor(state_->wrap(make_ref<TensorObject>(std::move(tensor))));
    });
}

namespace {

Tensor made(State& state, FunctionRef<tenon::Tensor(const Allocator&, const Dims&)> make,
            const std::vector<int64_t>& shape) {
    return state.guarded([&] {
        const Dims dims(shape.begin(), shape.end());
        checked_numel(dims);
        return Tensor(state.wrap(make_ref<TensorObject>(make(state.session.allocator(), dims))));
    });
}

}  // namespace

Tensor Session::empty(DType dtype, std::vector<int64_t> shape) {
    const auto make = [&](const Allocator& allocator, const Dims& dims) {
        return tenon::Tensor::empty(allocator, static_cast<tenon::DType>(dtype), dims);
    };
    return made(*state_, make, shape);
}
Tensor Session::zeros(DType dtype, std::vector<int64_t> shape) { return full(0, dtype, std::move(shape)); }
Tensor Session::full(double value, DType dtype, std::vector<int64_t> shape) {
    const auto make = [&](const Allocator& allocator, const Dims& dims) {
        return tenon::Tensor::full(allocator, static_cast<tenon::DType>(dtype), dims, value);
    };
    return made(*state_, make, shape);
}

void Session::check_count(size_t elements, const std::vector<int64_t>& shape) {
    state_->guarded([&] {
        const Dims dims(shape.begin(), shape.end());
        if (checked_numel(dims) == static_cast<int64_t>(elements)) return;
        throw_error("shape",
                    fmt::format("{} elements do not fill a tensor of shape {}", elements, shape_to_string(dims)));
    });
}

// ---- ops and scopes -----------------------------------------------------------------------------------------------
void Session::register_op(Op op) {
    state_->guarded([&] {
        detail::check_op(op);
        auto& known = state_->session.native_ops();
        if (known.contains(op.name))
            throw_error("value", fmt::format("there is a native op `{}` already", op.name), "choose another name");
        const auto shared = std::make_shared<const Op>(std::move(op));
        known.emplace(shared->name, make_ref<detail::NativeOp>(*state_, shared));
    });
}

Value Session::op(std::string_view name) { return call("native_op", {name}); }

namespace {

uint64_t enter(State& state, std::string_view name, std::span<const Tracer::ScopeArgument> arguments = {}) {
    return state.guarded(
        [&] { return state.scopes->open(state.tracer().enter_scope(name, arguments, state.evaluator().here())); });
}

}  // namespace

Scope Session::no_grad() { return {state_->scopes, enter(*state_, "no_grad")}; }
Scope Session::compiled_backward(bool dynamic) {
    const Tracer::ScopeArgument argument{"dynamic", dynamic ? tenon::Value(true) : make_text("auto")};
    return {state_->scopes, enter(*state_, "compiled_backward", {&argument, 1})};
}
Scope Session::no_compiled_backward() { return {state_->scopes, enter(*state_, "no_compiled_backward")}; }

void Session::backward(const Tensor& loss) { call("backward", {loss}); }
void Session::reset() {
    state_->guarded([&] { state_->session.reset(); });
}

}  // namespace tenon::embed
