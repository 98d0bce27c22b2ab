// Few rows times a matrix whose lines lie the other way: what is used once is transposed in registers and not packed.
#pragma once

#include "jit/contract/panels.h"

namespace tenon::contract {

constexpr int64_t most_few_rows = 2;

/// c[i, j] = Σ a[i, p] b[j, p] for some rows and columns; lines of b have their elements side by side (step 1). c has c_row
/// elements from row to row. For float and double.
template <class T>
void multiply_few_rows(int64_t rows, int64_t columns, int64_t k, const Lines<T>& a, const Lines<T>& b, T* c,
                       int64_t c_row);

}  // namespace tenon::contract
