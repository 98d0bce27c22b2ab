// `saved_tensor_hooks(pack: f, unpack: g) { … }`: what is saved inside is kept as f makes it, and g makes it a tensor again when
// its backward comes to need it.
#pragma once

#include "frontend/history/tape_entry.h"
#include "frontend/record/tracer.h"

namespace tenon {

/// Packs what the entry has saved by the functions of the innermost block. Throws what these throw.
void pack_saved(Tracer& tracer, TapeEntry& entry);
/// Once, before anything reads what the entry has saved. Throws Error "gradient" where `unpack` gives another type.
/// `now`: its elements are needed at once, for which the graph under capture may end.
void unpack_saved(Tracer& tracer, TapeEntry& entry, bool now);

}  // namespace tenon
