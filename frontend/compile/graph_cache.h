// Compiled graphs, and where a capture finds them: by the hash of the skeleton (the graph without sizes), then by the
// sizes.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "frontend/compile/memory_budget.h"
#include "frontend/compile/settings.h"
#include "ir/build/builder.h"
#include "ir/graph.h"
#include "ir/passes/passes.h"
#include "ir/pipeline/pipeline.h"
#include "runtime/span.h"
#include "runtime/tensor.h"

namespace tenon {

class Counters;
class Executable;
enum class EngineKind : uint8_t;
class GraphCache;
class GraphCheck;
class Machine;
class PassCheck;
struct MadeGraph;

/// A graph that runs: its forward half, and backward halves for results that require a gradient.
class CompiledGraph {
public:
    enum class Purpose : uint8_t {
        op,        ///< one op of eager mode
        capture,   ///< a captured graph
        backward,  ///< a captured graph, which is (a piece of) a backward
        general,   ///< a captured graph for all sizes, which is never run: only its backward is asked for
    };
    /// `wrt`: the parameters that require a gradient, then, counted on from the parameters, the results that are
    /// leaves; `differentiable`: the results through which a gradient may come.
    CompiledGraph(GraphCache& cache, const CompileSettings& settings, GraphRef graph,
                  std::vector<size_t> differentiable, std::vector<size_t> wrt, Purpose purpose);
    ~CompiledGraph();

    /// `outputs` receives the graph's own results, then the saved ones.
    void run(std::span<const Tensor> inputs, std::vector<Tensor>& outputs);

    /// After a failed run: how many asserts and commits precede the failing node.
    size_t effects_done() const;

    /// Compiles what run() needs, if it is not there yet.
    void prepare();

    /// What backward needs, in order; inputs of the graph or results of `run` (own results first).
    std::span<const Split::Saved> saved() const { return saved_; }
    size_t result_count() const { return results_; }
    const std::vector<size_t>& differentiable() const { return differentiable_; }
    const std::vector<size_t>& wrt() const { return wrt_; }
    /// How many of `wrt` are parameters.
    size_t first_leaf() const { return first_leaf_; }
    /// Whether a path leads from wrt k to a differentiable result.
    bool reaches(size_t k) const { return reached_.empty() || reached_[k]; }

    /// Cotangents of `wrt` (undefined where no path leads). `cotangents`: one a differentiable result.
    /// `present`: empty, or which cotangents there are; the others are only of the right type and are not read.
    /// `running`: empty, or one sum a wrt that is continued (−0.0 where there is none yet).
    void backward(std::span<const Tensor> saved, std::span<const Tensor> cotangents, const std::vector<bool>& present,
                  std::span<const Tensor> running, std::vector<Tensor>& gradients);

    /// The backward of a graph, to be part of another.
    struct BackwardPart {
        struct Saved {
            bool is_saved;  ///< by this graph; otherwise it is a parameter of it, of which only the sizes count
            size_t index;   ///< into saved(), or the parameters
        };
        GraphRef graph;  ///< its parameters: the saved values, the cotangents and, where it continues sums, these
        std::vector<Saved> saved;   ///< what its first parameters are
        std::vector<bool> reached;  ///< for which wrt it has a result
    };
    /// Where it can be, with the sizes of the skeleton as symbols, whatever they are here.
    BackwardPart backward_part(bool continues, const std::vector<bool>& present);
    /// What the variants of one skeleton share.
    struct Skeleton {
        GraphRef graph;
        std::vector<int64_t> hints;
        std::unique_ptr<CompiledGraph> general;  // once it is asked for; null where it cannot be
        bool is_made = false;
    };
    void set_skeleton(std::shared_ptr<Skeleton> skeleton) { skeleton_ = std::move(skeleton); }

    const GraphRef& graph() const { return graph_; }
    const std::optional<Joint>& joint() const { return joint_; }
    const std::optional<Split>& split() const { return split_; }
    /// The halves that run: after rematerialisation.
    const std::optional<Split>& lean() const { return lean_; }
    bool is_op() const { return purpose_ == Purpose::op; }

    /// What was done for a memory budget, where there is one.
    const std::optional<BudgetChoice>& budget() const { return budget_; }
    /// What was saved and what is recomputed, and why.
    const Decisions& decisions() const { return decisions_; }
    struct Compilation {
        std::unique_ptr<Executable> executable;
        Decisions decisions;
        std::vector<PassTime> times;
        std::vector<MadeGraph> made;  // the graph, and what each pass made of it; only for `--verify`
        ~Compilation();
    };
    /// Null before the first run.
    const Compilation* forward_half() const { return forward_.get(); }
    const Compilation* backward_half() const;
    const Executable* forward_executable() const { return forward_ ? forward_->executable.get() : nullptr; }
    const Executable* backward_executable() const {
        return backward_half() ? backward_half()->executable.get() : nullptr;
    }

private:
    std::unique_ptr<Compilation> compile(const GraphRef& graph, std::string_view maker);
    std::unique_ptr<Compilation> compile(const GraphRef& graph, std::string_view maker, EngineKind engine);
    Split lean_halves(const Split& split, Decisions& decisions) const;
    void keep_within_budget();
    size_t peak_of_halves(const Split& lean);
    GraphCheck* make_check();
    CompiledGraph* general();
    std::optional<std::vector<BackwardPart::Saved>> saved_for(const CompiledGraph& general) const;
    /// Throws for a graph that is not as it should be, what `--verify` asks for; the passes' own are checked when they
    /// run.
    void check() const;

    GraphCache& cache_;
    const CompileSettings settings_;  // of both halves, whenever they are compiled
    GraphRef graph_;
    std::vector<size_t> differentiable_, wrt_;
    Purpose purpose_;
    size_t results_, first_leaf_ = 0;
    std::optional<Joint> joint_;
    std::optional<Split> split_;  // as listed: before rematerialisation
    std::optional<Split> lean_;   // after it: what runs
    std::vector<Split::Saved> saved_;
    std::vector<bool> reached_;
    std::unique_ptr<Compilation> forward_;
    bool has_run_ = false;
    std::unique_ptr<GraphCheck> check_;  // with `--verify`, from the first run on
    struct Half {
        GraphRef graph;
        std::unique_ptr<Compilation> compiled;  // once it has run
        std::vector<bool> reached;              // a wrt
        bool checked = false;
    };
    Half& half(bool continues, const std::vector<bool>& present);
    Half make_half(bool continues, const std::vector<bool>& present) const;
    std::map<std::pair<bool, std::vector<bool>>, Half>
        halves_;  // by running sums, by cotangents; made when first needed
    Decisions decisions_;
    std::shared_ptr<Skeleton> skeleton_;  // null: of no skeleton that others share
    std::optional<BudgetChoice> budget_;
    GraphRef within_budget_;  // what is run in the place of a graph that is no two halves
};

/// The variants of one skeleton: for the sizes seen first, then with those symbolic that changed.
class GraphEntry {
public:
    struct Variant {
        std::vector<int64_t> sizes;  ///< of the symbols
        std::vector<bool> symbolic;  ///< which of them are free
        std::shared_ptr<CompiledGraph> graph;
        bool accepts(std::span<const int64_t> hints) const;
        bool is_static() const;
    };

    GraphRef skeleton;
    std::vector<size_t> differentiable, wrt;
    std::vector<SizeId> solved;  ///< what the guards make of each symbol: itself, or a size written by others
    std::vector<Variant> variants;
    std::shared_ptr<CompiledGraph::Skeleton> shared;  ///< by its variants
    std::string function;  ///< the captured call that made it
    CompiledGraph::Purpose purpose = CompiledGraph::Purpose::capture;
    Span declaration;
    uint64_t last_use = 0;  ///< the cache's count of look-ups then
    /// The variant for these sizes; null where there is none yet.
    const Variant* find(std::span<const int64_t> hints) const;
};

/// For each symbol itself, or what the graph's equalities say it is.
std::vector<SizeId> solved_sizes(const Graph& graph);

/// "x.shape[0]", or where an int of the script stands that is a size or a position.
std::string describe_symbol(const Graph& graph, const SizeSymbol& symbol,
                            const std::function<std::string(Span)>& locate);

class GraphCache {
public:
    GraphCache(Machine& machine, Counters& counters);
    ~GraphCache();

    /// Null where there is none. Entries stay where they are until the next is added: then, where there are many, those
    /// go that were not asked for the longest.
    GraphEntry* find(const SkeletonHash& hash);
    GraphEntry& add(const SkeletonHash& hash, GraphEntry entry);
    /// Compiles the variant for these sizes. Symbolic are those asked for and, with other variants present, those that
    /// differ from theirs; the reason (which size was what) is returned, empty for the first variant.
    std::string add_variant(GraphEntry& entry, const CompileSettings& settings, std::span<const int64_t> hints,
                            const std::vector<bool>& dynamic, const std::function<std::string(Span)>& locate);
    void clear() {
        entries_.clear();
        shapes_.clear();
    }
    /// The shapes of the inputs with which a graph of this key was compiled last, whatever its skeleton; empty at first.
    std::vector<Dims>& last_shapes(uint64_t key) { return shapes_[key]; }
    /// Whether no graph of this key was compiled, nor this asked before.
    bool is_new_piece(uint64_t key) { return shapes_.try_emplace(key).second; }
    size_t size() const { return entries_.size(); }
    /// What `--verify` replays runs with; made when first asked for.
    PassCheck& checker();
    Machine& machine() { return machine_; }
    Counters& counters() { return counters_; }

private:
    struct HashOfHash {
        size_t operator()(const SkeletonHash& h) const { return h.low ^ (h.high * 0x9E3779B97F4A7C15ull); }
    };
    void make_room();
    std::string describe_change(const GraphEntry& entry, const GraphEntry::Variant& last,
                                std::span<const int64_t> hints,
                                const std::function<std::string(Span)>& locate) const;
    Machine& machine_;
    Counters& counters_;
    std::unique_ptr<PassCheck> checker_;
    std::unordered_map<SkeletonHash, std::unique_ptr<GraphEntry>, HashOfHash> entries_;
    std::unordered_map<uint64_t, std::vector<Dims>> shapes_;  // of pieces of backward
    uint64_t uses_ = 0;
};

}  // namespace tenon
