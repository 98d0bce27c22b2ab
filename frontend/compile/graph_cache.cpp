#include "frontend/compile/graph_cache.h"

#include <algorithm>
#include <cassert>
#include <numeric>
#include <set>

#include <fmt/format.h>

#include "frontend/compile/counters.h"
#include "frontend/compile/graph_check.h"
#include "ir/passes/budget.h"
#include "ir/passes/drop_cotangents.h"
#include "ir/pipeline/pipeline.h"
#include "ir/row.h"
#include "jit/executable.h"
#include "jit/llvm_loader.h"
#include "jit/machine.h"
#include "runtime/diagnostic.h"

namespace tenon {

// ---- one compiled graph -------------------------------------------------------------------------------------------
CompiledGraph::CompiledGraph(GraphCache& cache, const CompileSettings& settings, GraphRef graph,
                             std::vector<size_t> differentiable, std::vector<size_t> wrt, Purpose purpose)
    : cache_(cache), settings_(settings), graph_(std::move(graph)), differentiable_(std::move(differentiable)),
      wrt_(std::move(wrt)), purpose_(purpose), results_(graph_->results().size()) {
    while (first_leaf_ < wrt_.size() && wrt_[first_leaf_] < graph_->params().size()) ++first_leaf_;
    if (!differentiable_.empty()) {
        joint_ = make_joint(*graph_, differentiable_, wrt_, false);
        reached_ = joint_->reached;
        split_ = split_joint(*joint_);
        lean_ = lean_halves(*split_, decisions_);
        if (!is_op() && purpose_ != Purpose::general) ++cache_.counters().autodiff_ok;
    }
    if (settings_.memory.is_given() && purpose_ == Purpose::capture) keep_within_budget();
    if (lean_) saved_ = lean_->saved;
    if (settings_.verify) check();
}

CompiledGraph::~CompiledGraph() = default;

Split CompiledGraph::lean_halves(const Split& split, Decisions& decisions) const {
    return purpose_ == Purpose::op ? split : rematerialise(split, decisions);
}

// ---- a budget -----------------------------------------------------------------------------------------------------
namespace {

size_t bytes_at_hints(const Graph& g, NodeId id) {
    std::vector<int64_t> hints;
    for (const SizeSymbol& s : g.symbols) hints.push_back(s.hint);
    auto bytes = size_of(g.type(id).dtype);
    for (SizeId size : g.type(id).sizes) bytes *= static_cast<size_t>(g.context->evaluate(size, hints));
    return bytes;
}

// The joint graph at a level.
Joint at_level(const Joint& joint, size_t level) {
    Joint marked = joint;
    marked.graph = BudgetLevels(joint.graph).marked(level);
    return marked;
}

// For explain: what the level computes again, beside what was computed again without it.
void note_again(const Graph& with, const Graph& without, BudgetChoice& budget, Decisions& decisions) {
    const auto is_again = [](const Graph& g, NodeId id) { return (g[id].flags & recomputed_flag) != 0; };
    std::multiset<OriginId> before;
    for (NodeId id : without.body()) {
        if (is_again(without, id)) before.insert(without.origins[id.index]);
    }
    for (NodeId id : with.body()) {
        const bool moves = row(with[id].op).lowering == Lowering::movement;
        if (!is_again(with, id) || !with.type(id).is_tensor() || moves) continue;
        if (const auto known = before.find(with.origins[id.index]); known != before.end()) {
            before.erase(known);
            continue;
        }
        ++budget.values;
        const auto bytes = static_cast<int64_t>(bytes_at_hints(with, id));
        decisions.push_back({DecisionKind::recomputed, std::string(with.name_of(id)),
                             fmt::format("for the memory budget: its {} bytes are not kept", bytes),
                             with.origins[id.index]});
    }
}

}  // namespace

// While backward runs, the script has the inputs and results of forward still, those too that backward does not read, and
// the machine the memory that forward has worked in.
size_t CompiledGraph::peak_of_halves(const Split& lean) {
    const auto plan = [&](const GraphRef& half) {
        return compile(half, "rematerialise", EngineKind::interp)->executable->planned_peak();
    };
    const MemoryPeak forward = plan(lean.forward), backward = plan(lean.backward);
    size_t later = backward.inputs + backward.results;
    for (size_t depth = 0; depth < std::max(forward.arenas.size(), backward.arenas.size()); ++depth) {
        const auto at = [&](const MemoryPeak& peak) { return depth < peak.arenas.size() ? peak.arenas[depth] : 0; };
        later += std::max(at(forward), at(backward));
    }
    std::vector<bool> input_is_saved(lean.forward->params().size()), result_is_saved(lean.forward->results().size());
    for (const Split::Saved& saved : lean.saved)
        (saved.is_input ? input_is_saved : result_is_saved)[saved.index] = true;
    for (size_t k = 0; k < input_is_saved.size(); ++k) {
        if (!input_is_saved[k]) later += bytes_at_hints(*lean.forward, lean.forward->params()[k]);
    }
    for (size_t k = 0; k < lean.results; ++k) {
        if (!result_is_saved[k]) later += bytes_at_hints(*lean.forward, lean.forward->results()[k]);
    }
    return std::max(forward.bytes(), later);
}

void CompiledGraph::keep_within_budget() {
    const GraphRef flat = joint_ ? joint_->graph : inline_calls(*graph_);
    const BudgetLevels levels(flat);
    const auto with_copies = [&](size_t level) {
        return recompute(levels.marked(level), joint_ ? joint_->backward : NodeId());
    };
    const auto split_at = [&](size_t level) { return split_joint(at_level(*joint_, level)); };
    budget_ = choose_within(settings_.memory, levels.count(), [&](size_t level) {
        const GraphRef graph = with_copies(level);
        BudgetCandidate made{level, 0, work_again(*graph)};
        Decisions unused;
        made.peak = joint_ ? peak_of_halves(lean_halves(split_at(level), unused))
                           : compile(graph, "capture", EngineKind::interp)->executable->planned_peak().bytes();
        return made;
    });
    const size_t level = budget_->chosen.level;
    if (level == 0) return;
    decisions_.clear();
    note_again(*with_copies(level), *with_copies(0), *budget_, decisions_);
    if (!joint_) {
        within_budget_ = with_copies(level);
        return;
    }
    split_ = split_at(level);
    lean_ = lean_halves(*split_, decisions_);
}

void CompiledGraph::check() const {
    check_graph(*graph_, "capture");
    if (!joint_) return;
    check_graph(*joint_->graph, "reverse");
    check_graph(*renumber_symbols(split_->forward), "split");
    check_graph(*renumber_symbols(split_->backward), "split");
    check_graph(*lean_->forward, "rematerialise");
    check_graph(*lean_->backward, "rematerialise");
}

static EngineKind kind_of(Engine engine, CompiledGraph::Purpose purpose) {
    if (purpose == CompiledGraph::Purpose::op) return EngineKind::eager;
    if (engine == Engine::jit) return EngineKind::jit;
    return engine == Engine::automatic ? EngineKind::automatic : EngineKind::interp;
}

CompiledGraph::Compilation::~Compilation() = default;

std::unique_ptr<CompiledGraph::Compilation> CompiledGraph::compile(const GraphRef& source, std::string_view maker) {
    return compile(source, maker, kind_of(settings_.engine, purpose_));
}

std::unique_ptr<CompiledGraph::Compilation> CompiledGraph::compile(const GraphRef& source, std::string_view maker,
                                                                   EngineKind engine) {
    auto compiled = std::make_unique<Compilation>();
    PipelineOptions options;
    options.target.threads = cache_.machine().pool().threads();
    options.verify = settings_.verify;
    if (options.verify) {
        compiled->made.push_back({std::string(maker), source});
        options.observe = [&made = compiled->made](const Pass& pass, const GraphRef& graph) {
            made.push_back({fmt::format("the pass {}", pass.name), graph});
        };
    }
    const GraphRef graph = run_pipeline(source, options, compiled->decisions, &compiled->times);
    compiled->executable = std::make_unique<Executable>(graph, cache_.machine(), engine);
    return compiled;
}

// Null where no run is to be checked.
GraphCheck* CompiledGraph::make_check() {
    if (!settings_.verify || is_op()) return nullptr;
    const Engine engine = settings_.engine;
    check_ = std::make_unique<GraphCheck>(*this, cache_.checker(), engine == Engine::jit ? "jit" : "interp",
                                          engine == Engine::automatic && has_llvm_backend());
    return check_.get();
}

void CompiledGraph::run(std::span<const Tensor> inputs, std::vector<Tensor>& outputs) {
    const bool is_first = !std::exchange(has_run_, true);
    prepare();
    GraphCheck* const check = is_first ? make_check() : nullptr;
    if (check) check->forward(forward_->made, *forward_->executable, inputs, outputs);
    else forward_->executable->run(inputs, outputs);
}

void CompiledGraph::prepare() {
    if (forward_) return;
    const GraphRef& whole = within_budget_ ? within_budget_ : graph_;
    forward_ = compile(lean_ ? lean_->forward : whole, lean_ ? "rematerialise" : "capture");
    if (within_budget_) forward_->decisions.insert(forward_->decisions.begin(), decisions_.begin(), decisions_.end());
    if (purpose_ == Purpose::capture) ++cache_.counters().graphs_forward;
    if (purpose_ == Purpose::backward) ++cache_.counters().graphs_backward;
}

size_t CompiledGraph::effects_done() const { return forward_ ? forward_->executable->effects_done() : 0; }

const CompiledGraph::Compilation* CompiledGraph::backward_half() const {
    for (const auto& [kind, half] : halves_) {
        if (half.compiled) return half.compiled.get();
    }
    return nullptr;
}

CompiledGraph::Half& CompiledGraph::half(bool continues, const std::vector<bool>& present) {
    const auto found = halves_.find({continues, present});
    if (found != halves_.end()) return found->second;
    return halves_.emplace(std::pair(continues, present), make_half(continues, present)).first->second;
}

// What the backward for all sizes names, as this graph has saved it. Where sizes are known less is saved: a parameter may
// be there for its sizes alone. Nothing where it names what is not saved here.
std::optional<std::vector<CompiledGraph::BackwardPart::Saved>> CompiledGraph::saved_for(
    const CompiledGraph& general) const {
    if (reached_ != general.reached_) return std::nullopt;
    const Graph &mine = *lean_->backward, &its = *general.lean_->backward;  // names are those of the joint
    std::vector<BackwardPart::Saved> found;
    for (size_t k = 0; k < general.saved_.size(); ++k) {
        const NodeId param = its.params()[k];
        size_t at = 0;
        while (at < saved_.size() && mine.name_of(mine.params()[at]) != its.name_of(param)) ++at;
        const bool is_saved = at < saved_.size();
        if (is_saved) {
            if (saved_[at].is_input != general.saved_[k].is_input) return std::nullopt;
        } else {
            if (!general.saved_[k].is_input) return std::nullopt;
            for (NodeId id : its.body()) {
                const std::span<const NodeId> operands = its.operands_of(id);
                if (std::find(operands.begin(), operands.end(), param) != operands.end()) return std::nullopt;
            }
        }
        found.push_back({is_saved, is_saved ? at : general.saved_[k].index});
    }
    return found;
}

CompiledGraph* CompiledGraph::general() {
    if (!skeleton_) return nullptr;
    if (!std::exchange(skeleton_->is_made, true)) {
        try {
            const std::vector<bool> all(skeleton_->hints.size(), true);
            skeleton_->general =
                std::make_unique<CompiledGraph>(cache_, settings_, specialise(*skeleton_->graph, skeleton_->hints, all),
                                                differentiable_, wrt_, Purpose::general);
        } catch (const Error& error) {  // sizes that need not fit together: each variant has its own
            if (error.diagnostic.kind == "internal") throw;
        }
    }
    return skeleton_->general.get();
}

CompiledGraph::BackwardPart CompiledGraph::backward_part(bool continues, const std::vector<bool>& present) {
    CompiledGraph* of = general();
    std::optional<std::vector<BackwardPart::Saved>> saved = of ? saved_for(*of) : std::nullopt;
    if (!saved) {
        of = this;
        saved.emplace();
        for (size_t k = 0; k < saved_.size(); ++k) saved->push_back({true, k});
    }
    const Half& found = of->half(continues, present);
    return {found.graph, std::move(*saved), found.reached};
}

CompiledGraph::Half CompiledGraph::make_half(bool continues, const std::vector<bool>& present) const {
    GraphRef graph = lean_->backward;
    if (continues) {
        const Joint joint = make_joint(*graph_, differentiable_, wrt_, true);
        Decisions again;
        const size_t level = budget_ ? budget_->chosen.level : 0;
        const Split split = rematerialise(split_joint(level > 0 ? at_level(joint, level) : joint), again);
        const auto same = [](const Split::Saved& a, const Split::Saved& b) {
            return a.is_input == b.is_input && a.index == b.index;
        };
        assert(std::equal(split.saved.begin(), split.saved.end(), saved_.begin(), saved_.end(), same));
        (void)same;
        graph = split.backward;
    }
    Half half;
    half.reached = reached_;
    if (std::find(present.begin(), present.end(), false) != present.end()) {
        std::vector<size_t> absent;
        for (size_t k = 0; k < present.size(); ++k) {
            if (!present[k]) absent.push_back(saved_.size() + k);
        }
        std::vector<bool> still;
        graph = renumber_symbols(drop_cotangents(*graph, absent, saved_.size() + present.size(), still));
        for (size_t k = 0, next = 0; k < wrt_.size(); ++k) {
            if (reached_[k]) half.reached[k] = still[next++];
        }
    }
    half.graph = std::move(graph);
    return half;
}

void CompiledGraph::backward(std::span<const Tensor> saved, std::span<const Tensor> cotangents,
                             const std::vector<bool>& present, std::span<const Tensor> running,
                             std::vector<Tensor>& gradients) {
    assert(lean_);
    const bool continues = !running.empty();
    Half& half = this->half(continues, present);
    if (!half.compiled) {
        if (!is_op() && !backward_half()) ++cache_.counters().graphs_backward;
        half.compiled = compile(half.graph, half.reached == reached_ ? "rematerialise" : "leaving out cotangents");
    }
    std::vector<Tensor> arguments(saved.begin(), saved.end());
    arguments.insert(arguments.end(), cotangents.begin(), cotangents.end());
    arguments.insert(arguments.end(), running.begin(), running.end());
    std::vector<Tensor> found;
    Executable& executable = *half.compiled->executable;
    if (check_ && !std::exchange(half.checked, true))
        check_->backward({half.compiled->made, present, continues, half.reached}, executable, arguments, found);
    else executable.run(arguments, found);
    gradients.assign(wrt_.size(), Tensor{});
    for (size_t k = 0, next = 0; k < wrt_.size(); ++k) {
        if (half.reached[k]) gradients[k] = std::move(found[next++]);
    }
}

// ---- variants -----------------------------------------------------------------------------------------------------
bool GraphEntry::Variant::accepts(std::span<const int64_t> hints) const {
    for (size_t k = 0; k < sizes.size(); ++k) {
        if (!symbolic[k] && sizes[k] != hints[k]) return false;
    }
    return true;
}

bool GraphEntry::Variant::is_static() const {
    return std::none_of(symbolic.begin(), symbolic.end(), [](bool s) { return s; });
}

const GraphEntry::Variant* GraphEntry::find(std::span<const int64_t> hints) const {
    const Variant* free = nullptr;
    for (const Variant& variant : variants) {
        if (!variant.accepts(hints)) continue;
        if (variant.is_static()) return &variant;
        if (!free) free = &variant;
    }
    return free;
}

GraphCache::GraphCache(Machine& machine, Counters& counters) : machine_(machine), counters_(counters) {}

GraphCache::~GraphCache() = default;

PassCheck& GraphCache::checker() {
    if (!checker_) checker_ = std::make_unique<PassCheck>(machine_);
    return *checker_;
}

GraphEntry* GraphCache::find(const SkeletonHash& hash) {
    const auto found = entries_.find(hash);
    if (found == entries_.end()) return nullptr;
    found->second->last_use = ++uses_;
    return found->second.get();
}

// A script may make new graphs for ever: `annotate {step: k}`, another path at each call.
void GraphCache::make_room() {
    constexpr size_t most = 4096;
    if (entries_.size() < most) return;
    std::vector<uint64_t> uses;
    uses.reserve(entries_.size());
    for (const auto& [hash, entry] : entries_) uses.push_back(entry->last_use);
    const auto quarter = uses.begin() + static_cast<ptrdiff_t>(uses.size() / 4);
    std::nth_element(uses.begin(), quarter, uses.end());
    std::erase_if(entries_, [&](const auto& entry) { return entry.second->last_use < *quarter; });
}

GraphEntry& GraphCache::add(const SkeletonHash& hash, GraphEntry entry) {
    make_room();
    entry.last_use = ++uses_;
    return *entries_.emplace(hash, std::make_unique<GraphEntry>(std::move(entry))).first->second;
}

std::vector<SizeId> solved_sizes(const Graph& graph) {
    std::vector<SizeId> symbols;
    for (uint32_t k = 0; k < graph.symbols.size(); ++k) symbols.push_back(graph.context->symbol(k));
    return solve(*graph.context, std::move(symbols), graph.equalities).sizes;
}

std::string describe_symbol(const Graph& graph, const SizeSymbol& symbol,
                            const std::function<std::string(Span)>& locate) {
    // Only the inputs that stand for ints of the script come from a place in it.
    if (const Span span = graph.origin(symbol.definer).span)
        return fmt::format("the int at {}", locate ? locate(span) : std::string("this line"));
    const auto params = graph.params();
    const auto at = static_cast<size_t>(std::find(params.begin(), params.end(), symbol.definer) - params.begin());
    const std::string_view name = at < params.size() ? graph.name_of(params[at]) : std::string_view();
    return fmt::format("{}.shape[{}]", name.empty() ? fmt::format("input {}", at) : std::string(name), symbol.dim);
}

std::string GraphCache::describe_change(const GraphEntry& entry, const GraphEntry::Variant& last,
                                        std::span<const int64_t> hints,
                                        const std::function<std::string(Span)>& locate) const {
    std::string reason;
    for (size_t k = 0; k < hints.size(); ++k) {
        if (last.symbolic[k] || last.sizes[k] == hints[k]) continue;
        if (entry.skeleton->context->symbol_number(entry.solved[k]) != k) continue;
        reason +=
            fmt::format("{}{} was {}, now {}", reason.empty() ? "" : "; ",
                        describe_symbol(*entry.skeleton, entry.skeleton->symbols[k], locate), last.sizes[k], hints[k]);
    }
    return reason;
}

std::string GraphCache::add_variant(GraphEntry& entry, const CompileSettings& settings, std::span<const int64_t> hints,
                                    const std::vector<bool>& dynamic, const std::function<std::string(Span)>& locate) {
    constexpr size_t most = 64;  // where no size can be symbolic each is a variant: the oldest goes
    GraphEntry::Variant made;
    made.sizes.assign(hints.begin(), hints.end());
    made.symbolic = dynamic;
    std::string reason;
    if (!entry.variants.empty()) {
        const GraphEntry::Variant& last = entry.variants.back();
        for (size_t k = 0; k < hints.size(); ++k)
            made.symbolic[k] = dynamic[k] || last.symbolic[k] || last.sizes[k] != hints[k];
        reason = describe_change(entry, last, hints, locate);
    }
    // What guards write by other sizes is free where one of these is, and they are where it is asked for.
    const auto written_by = [&](size_t k) { return entry.skeleton->context->symbols_of(entry.solved[k]); };
    for (size_t k = 0; k < hints.size(); ++k) {
        if (!made.symbolic[k]) continue;
        for (uint32_t other : written_by(k)) made.symbolic[other] = true;
    }
    for (size_t k = 0; k < hints.size(); ++k) {
        const std::vector<uint32_t> others = written_by(k);
        made.symbolic[k] =
            std::any_of(others.begin(), others.end(), [&](uint32_t other) { return made.symbolic[other]; });
    }
    auto compile = [&] {
        GraphRef graph = specialise(*entry.skeleton, hints, made.symbolic);
        made.graph = std::make_shared<CompiledGraph>(*this, settings, std::move(graph), entry.differentiable, entry.wrt,
                                                     entry.purpose);
        if (!entry.shared) {
            entry.shared = std::make_shared<CompiledGraph::Skeleton>();
            entry.shared->graph = entry.skeleton;
            entry.shared->hints.assign(hints.begin(), hints.end());
        }
        made.graph->set_skeleton(entry.shared);
        made.graph->prepare();
    };
    if (made.is_static()) {
        compile();
    } else {
        try {
            compile();
            if (!reason.empty()) reason += "; symbolic from here on";
        } catch (const Error& error) {  // sizes that are equal, but not for a reason that sizes alone can tell
            if (error.diagnostic.kind == "internal") throw;
            made.symbolic.assign(hints.size(), false);
            compile();
            if (!reason.empty()) reason += "; compiled for these sizes alone, since others need not fit together";
        }
    }
    if (entry.variants.size() == most) entry.variants.erase(entry.variants.begin());
    entry.variants.push_back(std::move(made));
    return reason;
}

}  // namespace tenon
