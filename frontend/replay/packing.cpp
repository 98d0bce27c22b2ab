#include "frontend/replay/packing.h"

#include <fmt/format.h>

#include "frontend/compile/graph_cache.h"
#include "frontend/record/capture.h"
#include "frontend/record/capture_aside.h"
#include "frontend/record/tensor_dispatch.h"
#include "runtime/diagnostic.h"

namespace tenon {

namespace {

// Nothing that these functions compute is saved for a backward, nor packed.
Value call(Tracer& tracer, const Value& function, const Value& argument) {
    Dispatcher& d = tracer.dispatcher();
    const Span span = d.span();
    const Dispatcher::GradMode mode(d, false);
    struct Restore {
        BackwardState& state;
        const SavedHooks* hooks;
        ~Restore() { state.saved_hooks = hooks; }
    } restore{tracer.backward, std::exchange(tracer.backward.saved_hooks, nullptr)};
    const CaptureAside aside(tracer);
    Value result = tracer.services.call(function, std::span(&argument, 1), {});
    d.set_span(span);
    return result;
}

}  // namespace

void pack_saved(Tracer& tracer, TapeEntry& entry) {
    const SavedHooks* const hooks = tracer.backward.saved_hooks;
    if (!hooks || entry.saved.empty()) return;
    const Tracer::Pause pause(tracer);
    entry.guard({});  // what is kept is another thing than the memory that others may write
    auto packed = make_ref<PackedSaved>(hooks->unpack);
    for (const TapeEntry::Saved& saved : entry.saved)
        packed->packed.push_back(call(tracer, hooks->pack, Value(make_ref<TensorObject>(saved.tensor))));
    const std::span<const Split::Saved> places = entry.graph->saved();
    for (size_t k = 0; k < places.size(); ++k) {
        entry.saved[k].tensor.storage = nullptr;
        if (places[k].is_input) entry.inputs[places[k].index].tensor.storage = nullptr;
    }
    entry.hooks.packed = std::move(packed);
}

void unpack_saved(Tracer& tracer, TapeEntry& entry, bool now) {
    if (!entry.hooks.packed || entry.hooks.packed->packed.empty()) return;
    const Ref<PackedSaved> packed = entry.hooks.packed;
    const Values values = std::exchange(packed->packed, {});
    packed->unpacked.resize(values.size());
    const std::span<const Split::Saved> places = entry.graph->saved();
    for (size_t k = 0; k < values.size(); ++k) {
        TapeEntry::Saved& saved = entry.saved[k];
        const Value given = call(tracer, packed->unpack(), values[k]);
        auto* tensor = given.try_as<TensorObject>();
        if (!tensor || tensor->dtype() != saved.tensor.dtype || tensor->shape() != saved.tensor.shape) {
            throw_error("gradient", fmt::format("`unpack` must give the {} that was packed, but it gave {}",
                                                describe_type(saved.tensor),
                                                tensor ? describe_type(*tensor) : with_article(given.kind())));
        }
        if (now) tracer.dispatcher().elements(*tensor, "a saved value is unpacked");
        if (tracer.capturing() && tracer.capture().is_pending(*tensor)) {
            packed->unpacked[k] = given.ref<TensorObject>();
            continue;
        }
        saved = {tensor->tensor, tensor->tensor.storage->version};
        if (!places[k].is_input) continue;
        TapeEntry::Input& input = entry.inputs[places[k].index];
        input.tensor = saved.tensor;
        input.version = input.after = saved.version;
    }
}

}  // namespace tenon
