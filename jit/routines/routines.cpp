#include "jit/routines/routines.h"

#include <algorithm>
#include <cassert>
#include <unordered_map>
#include <vector>

#include "jit/routines/tables.h"

namespace tenon {
namespace {

// The entries of one instruction set by name and dtype.
class Library {
public:
    Library(std::initializer_list<const Entries*> families, const Entries& casts, const FoldEntries& folds)
        : casts_(casts.first), folds_(folds) {
        for (const Entries* family : families) {
            for (int i = 0; i < family->count; ++i) {
                const Routine& routine = family->first[i];
                if (routine.arity > 0) routines_[routine.name][size_t(routine.in)] = &routine;
            }
        }
    }

    const Routine* find(std::string_view op, DType in) const {
        auto found = routines_.find(op);
        return found == routines_.end() ? nullptr : found->second[size_t(in)];
    }
    const Routine* cast(DType from, DType to) const { return casts_ + dtype_count * size_t(from) + size_t(to); }
    const FoldEntries& folds() const { return folds_; }

private:
    std::unordered_map<std::string_view, std::array<const Routine*, dtype_count>> routines_;
    const Routine* casts_;
    const FoldEntries& folds_;
};

template <class Entry>
const Entry* find_entry(const Entry* first, int count, std::string_view op, DType dtype) {
    auto matches = [&](const Entry& entry) { return entry.op == op && entry.dtype == dtype; };
    const Entry* found = std::find_if(first, first + count, matches);
    return found == first + count ? nullptr : found;
}

const Library& library(InstructionSet set) {
    assert(set == InstructionSet::avx2 || best_instruction_set() == set);  // this CPU can run it
#define TENON_NARROW(family) &avx2::family,
#define TENON_WIDE(family) &avx512::family,
    static const Library narrow({TENON_FAMILIES(TENON_NARROW)}, avx2::casts, avx2::folds);
    static const Library wide({TENON_FAMILIES(TENON_WIDE)}, avx512::casts, avx512::folds);
#undef TENON_NARROW
#undef TENON_WIDE
    return set == InstructionSet::avx512 ? wide : narrow;
}

}  // namespace

const Routine* find_routine(std::string_view op, DType in, InstructionSet set) { return library(set).find(op, in); }
const Routine* find_cast(DType from, DType to, InstructionSet set) { return library(set).cast(from, to); }

const Fold* find_fold(std::string_view op, DType dtype, InstructionSet set) {
    const FoldEntries& folds = library(set).folds();
    const FoldEntry* entry = find_entry(folds.folds, folds.fold_count, op, dtype);
    return entry ? &entry->fold : nullptr;
}

ArgFold find_arg_fold(std::string_view op, DType dtype, InstructionSet set) {
    const FoldEntries& folds = library(set).folds();
    const ArgFoldEntry* entry = find_entry(folds.arg_folds, folds.arg_fold_count, op, dtype);
    return entry ? entry->fold : nullptr;
}

}  // namespace tenon
