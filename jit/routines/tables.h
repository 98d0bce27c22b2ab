// The routine tables of each family and instruction set, searched by routines.cpp.
#pragma once
#include "ir/scalar/families.h"
#include "jit/routines/routines.h"

namespace tenon {

struct Entries {
    const Routine* first;
    int count;
};

struct FoldEntry {
    std::string_view op;
    DType dtype;
    Fold fold;
};
struct ArgFoldEntry {
    std::string_view op;
    DType dtype;
    ArgFold fold;
};
struct FoldEntries {
    const FoldEntry* folds;
    int fold_count;
    const ArgFoldEntry* arg_folds;
    int arg_fold_count;
};

#define TENON_DECLARE_FAMILY(family) extern const Entries family;
#define TENON_DECLARE_TABLES(isa)        \
    namespace isa {                      \
    TENON_FAMILIES(TENON_DECLARE_FAMILY) \
    extern const Entries casts;          \
    extern const FoldEntries folds;      \
    }
TENON_DECLARE_TABLES(avx2)
TENON_DECLARE_TABLES(avx512)
#undef TENON_DECLARE_TABLES
#undef TENON_DECLARE_FAMILY

}  // namespace tenon
