// Level 0 of capture: the evaluator runs the function, tensor ops append to a graph and return symbolic tensors. A
// flush (the end of the outermost call, a break, deciding on a value) finds the graph by the hash of its skeleton,
// compiles it on a miss, runs it and gives the symbolic tensors that are still alive their elements.
//
// Mutation is keyed by storage: a storage has a current value, a write through a view is `update(base, view, value)`,
// and what inputs have become is committed at the flush. Views are movement chains from their base's current value.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "frontend/compile/function_log.h"
#include "frontend/compile/graph_cache.h"
#include "frontend/record/tape.h"
#include "frontend/record/tensor_dispatch.h"
#include "frontend/record/tracer.h"
#include "frontend/values/effects.h"
#include "ir/build/builder.h"
#include "runtime/diagnostic.h"
#include "runtime/epoch_map.h"

namespace tenon {

/// What a flush did, for explain.
struct CapturedGraph {
    GraphRef graph;  ///< as captured, calls outlined
    std::shared_ptr<CompiledGraph> compiled;
    std::string ended_by;  ///< "end of call", "print", …
    Span ended_at;
    bool from_cache = false;
};

class CaptureBackward;
class CheckpointPolicy;

class Capture {
public:
    explicit Capture(Tracer& tracer);
    ~Capture();

    // -- the life of a graph
    void begin(const CallSite& site);
    /// Runs what was captured. Throws what the run throws, after taking back the host writes that come after the
    /// failing node.
    void flush(std::string_view reason = "the end of the call", Span at = {});
    /// The outermost call is over.
    void end();
    const CallSite& site() const { return site_; }
    uint64_t serial() const { return serial_; }
    /// Whether the symbols of the graph with this serial are those of the present one. They stay what they are for as
    /// long as the operation at hand admits no tensor that it was not given.
    bool shares_sizes(uint64_t serial) const;
    size_t node_count() const { return builder_.body().size(); }
    /// What was captured is given up: host writes are taken back.
    void abandon();

    // -- tensors come in before ids go out. Taking a tensor in may end the graph (it is another view of memory that the
    // graph has written), and then every NodeId and symbolic SizeId taken before means something else. So all tensors
    // of an operation are admitted before the first id is taken; while ids are held, nothing may end the graph.
    /// Makes the tensors values of this graph, which may end the graph before.
    void admit(std::span<TensorObject* const> tensors);
    void admit(std::initializer_list<TensorObject*> tensors) { admit(std::span(tensors.begin(), tensors.size())); }
    /// The same for what the operation at hand was given (Dispatcher::Operation).
    void admit_operation();
    /// While it lives, ids of the graph are held: its end would be a bug.
    class [[nodiscard]] Holding {
    public:
        explicit Holding(Capture& capture) : capture_(capture) { ++capture.held_; }
        ~Holding() { --capture_.held_; }
        Holding(const Holding&) = delete;
        Holding& operator=(const Holding&) = delete;

    private:
        Capture& capture_;
    };

    // -- ops
    void append(Op op, std::span<const Arg> args, AttrId attr, Dispatcher::Take take);
    TensorRef view(Op op, TensorObject& x, AttrId attr, Tensor geometry);
    /// Before a write: x and value are admitted, and x is the only view of its memory that this graph holds. `value`
    /// becomes a copy where it shares that memory. False: it was not the only one, and the graph before has ended.
    bool admit_write(TensorObject& x, TensorRef& value);
    /// Whether this graph holds no other view of the memory of x, which was admitted.
    bool is_only_view(const TensorObject& x) const {
        return !memory_is_aliased(storages_[values_[x.capture_value_].storage]);
    }
    /// Whether the history of what x shows, which was admitted, is that of its memory here: x, or what it is a view of,
    /// is what this graph has of the memory, and nothing detached lies between.
    bool holds_base(const TensorObject& x) const;
    /// With `makes_history` the base gets the value's history, otherwise it keeps its own.
    void write(TensorObject& x, TensorObject& value, bool makes_history);
    Size size(TensorObject& x, size_t dimension);
    /// An int of the host, not negative, as a symbol of its own: static at first, symbolic from its first change on. With
    /// `shared`, one line that gives one value several times gives one symbol.
    Size host_size(int64_t value, bool shared);
    /// True where x's elements are not those in its memory: not computed yet, or written by the graph under capture.
    bool is_pending(const TensorObject& x) const;
    /// Whether this graph takes x, which has its elements, or what shares its memory.
    bool has_memory(const TensorObject& x) const { return memory_.find(x.tensor.storage.get()) != nullptr; }
    void assert_true(TensorObject& condition, std::string_view message);
    /// A host write that comes now.
    void record(HostEffect effect) { journal_.record(uint32_t(builder_.body().size()), std::move(effect)); }
    Journal& journal() { return journal_; }
    void begin_call(std::string_view name, std::string_view kind, AttrId record = {},
                    std::shared_ptr<CheckpointPolicy> policy = nullptr);
    void end_call();

    // -- its parts, each with a header of its own
    class Differentiation;  // capture_differentiation.h
    Differentiation& differentiation() { return *differentiation_; }
    class Trace;  // capture_trace.h
    Trace& trace() const { return *trace_; }
    CaptureBackward& backward() { return *backward_; }  // capture_backward.h
    /// Whether the graph is handed out instead of being run.
    bool tracing() const { return tracing_; }

    /// Gives a node that was appended the place and the marks it had elsewhere.
    void restamp(TensorObject& result, const Stamp& stamp);

    /// Facts about x have changed: it is looked up anew.
    void forget(TensorObject& x) { x.capture_serial_ = 0; }

    /// Where explain collects what flushes did; null: nobody listens.
    void set_log(std::vector<CapturedGraph>* log) { log_ = log; }
    void set_dynamic(bool dynamic) { dynamic_ = dynamic; }
    void forget_functions();

private:
    friend class CaptureBackward;
    static constexpr uint32_t none = UINT32_MAX;
    struct Operation {  // of the script: its nodes are those with ids from `first` to before `end`
        uint32_t first = 0, end = 0;
        bool has(NodeId id) const { return first <= id.index && id.index < end; }
        void renumber(const Builder& builder, std::span<const NodeId> image);
    };
    struct StorageValue {  // memory: its current value, and what it was at the start
        NodeId current;
        uint32_t version = 0;
        uint32_t input = none;     // into inputs_; none for memory made by this graph
        uint32_t output = none;    // result number at a flush
        bool dirty = false;        // an input whose current value is not committed
        bool has_history = false;  // of its own, not a leaf's
        uint32_t histories = 0;    // how often a write has changed it
        Operation written_by;      // the last one
        Ref<Autograd> leaf;        // the leaf that owns it: an input, or a value that became one
        NodeId leaf_node;          // the first of its values that something was computed from since
        NodeId as_leaf;            // a later one, with that one's history: of version
        uint32_t as_leaf_version = none;
    };
    struct ViewValue {  // a tensor: a storage, or a movement op of another tensor
        uint32_t storage;
        uint32_t parent = none;
        uint32_t made = 0;       // nodes of the body when it was there
        uint32_t histories = 0;  // the storage's then
        Op op;
        AttrId attr;
        Stamp stamp;
        NodeId chain;                                        // the movement of the base's value
        uint32_t chain_version = none, chain_histories = 0;  // the storage's then
    };
    struct Input {
        NodeId node;
        Tensor tensor;
        Edge edge;                   // where its cotangent goes, if it requires one
        uint32_t storage = none;     // none for host numbers
        uint32_t value = none;       // into values_
        uint32_t next_alias = none;  // another input with the same memory
        Ref<TensorObject> base;      // whose history it has: the tensor itself, or what it is a view of
        bool used = false;
        std::string name;  // empty where nothing names it
    };
    struct OpenCall {
        NameId name, kind;
        AttrId record;
        Stamp stamp;  // its surroundings
        std::shared_ptr<CheckpointPolicy> policy;  // of a checkpoint that has one
        uint32_t begin = 0;                        // the first node that may be its own
    };

    struct Plan;              // capture_plan.h
    class OverwrittenValues;  // capture_overwritten.h
    bool is_empty() const { return builder_.size() == 0; }
    Stamp stamp();
    Stamp stamp(Op op);
    uint8_t policy_for(Op op, NameId name, uint32_t made = UINT32_MAX) const;
    void apply_policy(NodeId made, NameId name = {});
    friend class CheckpointPolicies;  // checkpoint_policy.h
    void reopen(const OpenCall& call);
    bool is_admitted(const TensorObject& x) const { return x.capture_serial_ == serial_; }
    NodeId node(TensorObject& x);  // of one that was admitted
    NodeId materialise(uint32_t value);
    NodeId leaf_value(StorageValue& storage);
    NodeId number(const Arg& arg, size_t operand);
    void register_input(TensorObject& x);
    uint32_t add_input(const Tensor& tensor, const Edge& edge, std::string_view name);
    using FreshSymbols = SmallVector<uint32_t, 6>;  // dimensions of an input
    TypeId type_of_input(const Tensor& tensor, FreshSymbols& fresh_symbols);
    void note_dynamic(const TensorObject& x, NodeId input);
    SizeId symbol(size_t number);
    void adopt(TensorObject& x, uint32_t value);
    void link(TensorObject& x);
    TensorRef make_result(NodeId node, bool requires_grad);
    void require_in_graph(TensorObject& x);
    void give_history(TensorObject& base, bool any);
    NodeId written(uint32_t value, NodeId to);
    uint32_t first_of_operation() const;
    void mark_used(uint32_t input);
    void commit_dirty();
    void note_fallible(NodeId made);
    bool memory_is_aliased(const StorageValue& storage) const;
    const Storage* memory_of(const TensorObject& x) const;
    bool names_symbols(AttrId attr) const;
    bool is_chain(NodeId view, NodeId base) const;
    NodeId as_type(NodeId node, TypeId type);

    Plan plan_flush();
    void add_leaves(Plan& plan);
    void set_consumed_apart(Plan& plan, std::span<const NodeId> values);
    std::vector<bool> views_with_history() const;
    std::shared_ptr<CompiledGraph> find_graph(const Plan& plan, bool& hit);
    void mark_changed_sizes(std::vector<bool>& dynamic);
    void name_inputs();
    void note_recompile(const GraphEntry& entry, const std::string& reason);
    void bind(const Plan& plan, const std::shared_ptr<CompiledGraph>& graph, std::vector<TapeEntry::Input> inputs,
              std::span<const Tensor> outputs);
    void run_graph(std::string_view reason, Span at);
    void run(const Plan& plan, std::string_view reason, Span at, bool recovers = false);
    std::shared_ptr<CompiledGraph> compile_once(const Plan& plan);
    [[noreturn]] void fail_run(Error error);
    std::optional<uint32_t> find_failure(Error& error);
    void truncate(uint32_t failing);
    void clear();

    Tracer& tracer_;
    Builder builder_;
    uint64_t serial_;
    std::pair<Span, OriginId> last_origin_;  // of the last stamp: several nodes of one expression share it
    CallSite site_;
    std::vector<StorageValue> storages_;
    std::vector<ViewValue> values_;
    std::vector<Input> inputs_;
    Journal journal_;
    std::vector<NodeId> operands_;      // of the op being appended
    std::vector<TensorRef> rewritten_;  // concrete tensors that this graph gave a history
    std::vector<NodeId> fallible_;      // what the script asked for and may fail
    std::vector<uint32_t> failing_;     // where in the body a run may end: these, and asserts
    std::vector<OpenCall> open_calls_;
    int checkpoint_depth_ = 0;
    EpochMap<const Storage*, uint32_t> memory_;  // -> the first input with this memory
    struct NumberKey {
        uint64_t bits, site;
        bool operator==(const NumberKey&) const = default;
    };
    EpochMap<NumberKey, NodeId> numbers_;
    Tensor stand_in_;              // the memory of inputs that nothing reads
    std::vector<SizeId> symbols_;  // by number, of whatever graph
    std::vector<size_t> dynamic_symbols_;
    TensorObject ring_;  // head of the symbolic tensors that are alive
    int held_ = 0;       // how many hold ids of this graph
    bool tracing_ = false, dynamic_ = false, flushing_ = false;
    std::vector<CapturedGraph>* log_ = nullptr;
    FunctionLog functions_;
    std::unique_ptr<Differentiation> differentiation_;
    std::unique_ptr<OverwrittenValues> overwritten_;
    std::unique_ptr<Trace> trace_;
    std::unique_ptr<CaptureBackward> backward_;
};

}  // namespace tenon
