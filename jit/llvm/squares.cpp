#include "jit/llvm/squares.h"

#include <algorithm>

#include "ir/row.h"
#include "jit/kernel.h"
#include "jit/slope.h"

namespace tenon::llvm_engine {

std::optional<Squares> find_squares(const Graph& g, NodeId around) {
    const Attributes attributes = g.attributes(around);
    if (attributes.text("kind") == "vector" || attributes.integer_or("step", 1) != 1) return std::nullopt;
    const Region& outer = g.region_of(around);
    const NodeId line = g.params(outer)[0];
    Squares found;
    for (NodeId id : g.body(outer)) {
        const bool loop = g[id].op == op<"for">() && g.attributes(id).text("kind") == "vector";
        if (loop && !found.vector) found.vector = id;
        else if (row(g[id].op).index_op == IndexOp::none && !is_static_index(g, id)) return std::nullopt;
    }
    if (!found.vector) return std::nullopt;
    const auto still = [&](size_t k) {
        return slope_of(g, g.operand(found.vector, k), line).kind == Slope::Kind::none;
    };
    if (!still(0) || !still(1)) return std::nullopt;
    const Region& inner = g.region_of(found.vector);
    const NodeId lane = g.params(inner)[0];
    for (NodeId id : g.body(inner)) {
        if (g[id].op == op<"fold">()) return std::nullopt;
        if (g[id].op != op<"load">()) continue;
        const Slope across = slope_of(g, g.operand(id, 1), lane);
        const bool strided = across.is_affine() && across.kind != Slope::Kind::none && !across.is(1) && !across.is(0);
        if (strided && slope_of(g, g.operand(id, 1), line).is(1)) found.loads.push_back(id);
    }
    return found.loads.empty() ? std::nullopt : std::optional(std::move(found));
}

bool can_transpose(int64_t lanes, unsigned bits) {
    const int64_t block = 128 / bits;  // elements of a quarter of the widest vector
    return (bits == 32 || bits == 64) && (lanes == block || lanes == 2 * block || lanes == 4 * block);
}

namespace {

using Values = std::vector<llvm::Value*>;

// The instructions of x86 shuffle within quarters of 128 bits, and quarters as wholes; the masks here are theirs.
class Transposition {
public:
    Transposition(IRBuilder& builder, int lanes, int block) : here_(builder), lanes_(lanes), block_(block) {}

    Values run(Values lines) {
        const int count = int(lines.size()), quarters = lanes_ / block_;
        for (int k = 0; k < count; k += block_) within_quarters(&lines[size_t(k)]);
        // Vector e of group g holds in quarter m what belongs into quarter g of line m · block + e.
        Values out(lines.size());
        for (int e = 0; e < block_; ++e) {
            Values group;
            for (int g = 0; g < quarters; ++g) group.push_back(lines[size_t(g * block_ + e)]);
            group = across_quarters(std::move(group));
            for (int m = 0; m < quarters; ++m) out[size_t(m * block_ + e)] = group[size_t(m)];
        }
        return out;
    }

private:
    llvm::Value* shuffle(llvm::Value* a, llvm::Value* b, const std::vector<int>& mask) {
        return here_.CreateShuffleVector(a, b, mask);
    }
    // Of each quarter the low or the high half of either, by turns of `width` elements.
    llvm::Value* unpack(llvm::Value* a, llvm::Value* b, bool high, int width) {
        std::vector<int> mask;
        for (int quarter = 0; quarter < lanes_; quarter += block_)
            for (int k = 0; k < block_ / 2; k += width)
                for (int side = 0; side < 2; ++side)
                    for (int w = 0; w < width; ++w)
                        mask.push_back(side * lanes_ + quarter + (high ? block_ / 2 : 0) + k + w);
        return shuffle(a, b, mask);
    }
    void within_quarters(llvm::Value** lines) {
        if (block_ == 2) {
            llvm::Value* const low = unpack(lines[0], lines[1], false, 1);
            lines[1] = unpack(lines[0], lines[1], true, 1);
            lines[0] = low;
            return;
        }
        llvm::Value *const ab = unpack(lines[0], lines[1], false, 1), *const ab2 = unpack(lines[0], lines[1], true, 1),
                           *const cd = unpack(lines[2], lines[3], false, 1),
                           *const cd2 = unpack(lines[2], lines[3], true, 1);
        lines[0] = unpack(ab, cd, false, 2);
        lines[1] = unpack(ab, cd, true, 2);
        lines[2] = unpack(ab2, cd2, false, 2);
        lines[3] = unpack(ab2, cd2, true, 2);
    }
    // Quarters first, first + step, … of one vector, then those of the other.
    llvm::Value* quarters(llvm::Value* a, llvm::Value* b, int first, int step) {
        std::vector<int> mask;
        for (int side = 0; side < 2; ++side)
            for (int q = first; q < lanes_ / block_; q += step)
                for (int k = 0; k < block_; ++k) mask.push_back(side * lanes_ + q * block_ + k);
        return shuffle(a, b, mask);
    }
    Values across_quarters(Values v) {
        if (v.size() == 1) return v;
        llvm::Value *const a = quarters(v[0], v[1], 0, 2), *const b = quarters(v[0], v[1], 1, 2);
        if (v.size() == 2) return {a, b};
        llvm::Value *const c = quarters(v[2], v[3], 0, 2), *const d = quarters(v[2], v[3], 1, 2);
        return {quarters(a, c, 0, 2), quarters(b, d, 0, 2), quarters(a, c, 1, 2), quarters(b, d, 1, 2)};
    }

    IRBuilder& here_;
    const int lanes_, block_;
};

}  // namespace

std::vector<llvm::Value*> transposed(IRBuilder& builder, std::vector<llvm::Value*> lines) {
    auto* type = llvm::cast<llvm::FixedVectorType>(lines[0]->getType());
    const int lanes = int(type->getNumElements()), block = int(128 / type->getScalarSizeInBits());
    return Transposition(builder, lanes, block).run(std::move(lines));
}

}  // namespace tenon::llvm_engine
