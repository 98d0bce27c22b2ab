#include "frontend/resolve/suggestions.h"

#include <fmt/format.h>
#include <algorithm>
#include <array>

#include "frontend/resolve/resolver.h"
#include "ir/annotation_keys.h"

namespace tenon {

std::string advice_for_foreign_name(std::string_view name) {
    // clang-format off
    static constexpr std::pair<std::string_view, std::string_view> spellings[] = {
        {"null", "none"}, {"nil", "none"}, {"undefined", "none"}, {"this", "self"}, {"super", "self"},
        {"println", "print"}, {"printf", "print"}, {"echo", "print"}, {"function", "fn"}, {"func", "fn"},
        {"elseif", "else if"}, {"foreach", "for x in xs"}, {"string", "str"}, {"Exception", "fail"},
        {"push", "append"}, {"length", "len(x)"}, {"size_of", "len(x)"}, {"open", "read_text(path)"},
        {"time", "now()"}, {"tqdm", "progress of std.data"}, {"astype", "x.to(dtype)"}, {"type_as", "x.to(y)"},
        {"double", "x.to(f64)"}, {"half", "x.to(f16)"}, {"long", "x.to(i64)"}, {"numpy", "x.tolist()"},
        {"data", "x.detach()"}, {"copy", "clone"}, {"deepcopy", "clone"}, {"ndim", "x.rank"}, {"dim", "x.rank"},
        {"nelement", "numel"}, {"array", "tensor"}, {"ndarray", "tensor"}, {"asarray", "tensor"},
        {"as_tensor", "tensor"}, {"from_numpy", "tensor"}, {"Variable", "tensor"}, {"concatenate", "cat"},
        {"concat", "cat"}, {"vstack", "cat"}, {"hstack", "cat"}, {"swapaxes", "transpose"}, {"moveaxis", "permute"},
        {"ravel", "flatten"}, {"expand_as", "x.expand(y.shape)"}, {"view_as", "reshape_as"}, {"absolute", "abs"},
        {"clip", "clamp"}, {"power", "pow"}, {"arctan", "atan"}, {"arcsin", "asin"}, {"arccos", "acos"},
        {"arctan2", "atan2"}, {"manual_seed", "seed"}, {"set_seed", "seed"}, {"random", "rand"},
        {"choice", "randint"}, {"Module", "model"}, {"Parameter", "param"}, {"register_buffer", "buffer"},
        {"requires_grad", "requires_grad_"}, {"axis", "dim"}, {"keepdims", "keepdim"}};
    // clang-format on
    for (auto [theirs, ours] : spellings) {
        if (theirs == name) return fmt::format("`{}` is written `{}`", theirs, ours);
    }
    if (name == "exit" || name == "quit")
        return "`:quit` leaves the prompt; a script ends with its last line, or with fail(…)";
    if (name == "help") return "`:help` tells of the prompt's commands";
    static constexpr std::string_view modules[] = {"torch", "np", "numpy", "jnp", "jax", "F", "nn", "tf", "math"};
    if (std::ranges::find(modules, name) != std::end(modules)) {
        return fmt::format("operations are always in scope, without `{}.`; layers come with `use std.nn`", name);
    }
    return {};
}

std::string_view planned_name(std::string_view name) {
    static constexpr std::pair<std::string_view, std::string_view> planned[] = {
        {"exec_order", "the order in which models ran"},
        {"profile", "measures a block; `now()` reads the clock"},
        {"autocast", "computes a block in a smaller dtype; `x.to(bf16)` casts"},
        {"stream", "places a block on a stream of a GPU"},
        {"MultiheadAttention", "a layer; `scaled_dot_product_attention` is there"}};
    for (auto [planned_name, what] : planned) {
        if (planned_name == name) return what;
    }
    return {};
}

std::string_view misspelt_annotation_key(std::string_view key) {
    for (const AnnotationKey& known : annotation_keys()) {
        if (!known.reader.empty() && known.name != key && edit_distance(known.name, key) <= 1) return known.name;
    }
    return {};
}

int edit_distance(std::string_view a, std::string_view b) {
    std::vector<std::vector<int>> cost(a.size() + 1, std::vector<int>(b.size() + 1));
    for (size_t i = 0; i <= a.size(); i++) {
        for (size_t j = 0; j <= b.size(); j++) {
            if (i == 0 || j == 0) {
                cost[i][j] = static_cast<int>(i + j);
                continue;
            }
            int change = std::tolower(a[i - 1]) == std::tolower(b[j - 1]) ? 0 : 1;
            cost[i][j] = std::min({cost[i - 1][j] + 1, cost[i][j - 1] + 1, cost[i - 1][j - 1] + change});
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                cost[i][j] = std::min(cost[i][j], cost[i - 2][j - 2] + 1);
            }
        }
    }
    return cost[a.size()][b.size()];
}

std::optional<Symbol> nearest_name(Symbol name, const std::vector<Symbol>& candidates, const SymbolTable& symbols) {
    const std::string& wanted = symbols.text(name);
    if (wanted.size() > 64) return std::nullopt;
    int nearest_distance = wanted.size() <= 2 ? 0 : wanted.size() <= 5 ? 1 : 2;
    std::optional<Symbol> nearest;
    for (Symbol candidate : candidates) {
        const std::string& text = symbols.text(candidate);
        if (candidate == name || text.size() > wanted.size() + 2 || text.size() + 2 < wanted.size()) continue;
        int distance = edit_distance(wanted, text);
        bool closer = distance < nearest_distance || (distance == nearest_distance && !nearest);
        // Of equals the first in the alphabet, so that no table's order shows.
        if (closer || (distance == nearest_distance && text < symbols.text(*nearest))) {
            nearest_distance = distance;
            nearest = candidate;
        }
    }
    return nearest;
}

}  // namespace tenon
