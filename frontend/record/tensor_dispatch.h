// Applying op rows to tensors: at once on the block interpreter (eager), or as nodes of the graph under capture.
#pragma once

#include <cassert>
#include <initializer_list>
#include <memory>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "frontend/values/tensor_object.h"
#include "frontend/values/value.h"
#include "ir/context.h"
#include "ir/row.h"
#include "runtime/tensor.h"

namespace tenon {

class CheckpointPolicies;
class CompiledGraph;
class Tracer;

/// An operand of a row: a tensor, or a host number in the dtype that the op's other operands decided on.
struct Arg {
    TensorObject* tensor = nullptr;
    Scalar number{};
    DType dtype = DType::f32;  ///< of the number
    bool is_literal = true;    ///< a constant of the graph; otherwise an input of it

    Arg(TensorObject& t) : tensor(&t) {}
    Arg(const TensorRef& t) : tensor(t.get()) {}
    Arg() = default;  ///< 0, to be replaced
    static Arg literal(Scalar value, DType dtype) { return Arg(value, dtype, true); }
    static Arg host(Scalar value, DType dtype) { return Arg(value, dtype, false); }

private:
    Arg(Scalar value, DType d, bool literal_) : number(value), dtype(d), is_literal(literal_) {}
};

/// A size as a script gives it: its value, and under capture the polynomial it stands for.
struct Size {
    int64_t value = 0;
    SizeId id;
    uint64_t serial = 0;  ///< of the graph whose symbols `id` names; 0 where that is not known, or there are none
    Size() = default;
    Size(int64_t v) : value(v), id(v) { assert(v >= 0); }  ///< where it may be negative: Dispatcher::constant
    Size(int64_t v, SizeId i, uint64_t graph = 0) : value(v), id(i), serial(graph) {}
};
using Sizes = std::vector<Size>;
inline Dims values_of(std::span<const Size> sizes) {
    Dims values;
    for (const Size& size : sizes) values.push_back(size.value);
    return values;
}
/// Whether it shows an element of its memory in several places.
bool repeats_elements(const Tensor& tensor);

class Dispatcher {
public:
    explicit Dispatcher(Tracer& tracer);
    ~Dispatcher();

    // -- what is under way: stamped on nodes and on tape entries
    Span span() const { return span_; }
    void set_span(Span span) { span_ = span; }
    bool grad_enabled() const { return grad_enabled_; }
    MetaId meta() const { return meta_; }

    class [[nodiscard]] GradMode {
    public:
        GradMode(Dispatcher& d, bool enabled) : dispatcher_(d), saved_(std::exchange(d.grad_enabled_, enabled)) {}
        ~GradMode() { dispatcher_.grad_enabled_ = saved_; }
        GradMode(const GradMode&) = delete;
        GradMode& operator=(const GradMode&) = delete;

    private:
        Dispatcher& dispatcher_;
        bool saved_;
    };
    /// What an operation of the script was given, for as long as it runs: under capture all tensors among it are
    /// admitted to the graph before the first id of the graph is taken (Capture::admit_operation).
    class [[nodiscard]] Operation {
    public:
        Operation(Dispatcher& d, std::span<const Value> given) : Operation(d, given, {}, {}) {}
        Operation(Dispatcher& d, const Value& a, const Value& b) : Operation(d, {&a, 1}, {&b, 1}, {}) {}
        Operation(Dispatcher& d, const Value& a, const Value& b, const Value& c)
            : Operation(d, {&a, 1}, {&b, 1}, {&c, 1}) {}
        ~Operation() { dispatcher_.operation_ = outer_; }
        Operation(const Operation&) = delete;
        Operation& operator=(const Operation&) = delete;

        template <class Visit>
        void each_tensor(Visit visit) const {
            for (const Part& part : given_) {
                for (const Value& value : part) {
                    if (auto* tensor = value.try_as<TensorObject>()) visit(*tensor);
                    else if (value.is_object()) each_tensor_in(value, 3, visit);
                }
            }
        }
        uint64_t admitted_to = 0;  ///< the graph with this serial has them all
        uint32_t first_node = 0;   ///< of that graph: the id of the first node made since
        uint64_t first_entry;      ///< where the tape was

    private:
        using Part = std::span<const Value>;
        Operation(Dispatcher& d, Part a, Part b, Part c);
        static void each_tensor_in(const Value& list, int depth, FunctionRef<void(TensorObject&)> visit);
        Dispatcher& dispatcher_;
        Operation* outer_;
        const Part given_[3];
    };
    Operation* operation() const { return operation_; }
    void set_meta(MetaId meta) { meta_ = meta; }
    void set_grad_enabled(bool on) { grad_enabled_ = on; }
    CheckpointPolicies& policies() { return *policies_; }

    // -- rows. Operands of a row have the dtypes it demands; errors are the row's own.
    TensorRef apply(Op op, std::span<const Arg> args, AttrId attr = {});
    TensorRef apply(Op op, std::initializer_list<Arg> args, AttrId attr = {}) {
        return apply(op, std::span(args.begin(), args.size()), attr);
    }
    /// All results of a row, in order; `apply` is for rows with one.
    std::vector<TensorRef> apply_all(Op op, std::span<const Arg> args, AttrId attr = {});
    /// The same of a row whose regions are a part of its kernel; operands are tensors, whose sizes the regions name.
    std::vector<TensorRef> apply_all(Op op, std::span<const TensorRef> operands, AttrId attr,
                                     std::span<const GraphRef> regions);
    using Take = FunctionRef<void(TensorRef)>;  ///< is given each result
    /// A movement row whose result shares memory with x; `geometry` is x's tensor moved so.
    TensorRef view(Op op, TensorObject& x, AttrId attr, Tensor geometry);
    /// One movement op on the way from a base to a view of it.
    struct Step {
        Op op;
        AttrId attr;
    };
    /// base with the elements that the view shows replaced by value.
    TensorRef updated(TensorObject& base, std::span<const Step> steps, TensorObject& value);
    /// x's elements become those of `value`, of x's shape and dtype. Throws Error "gradient" where differentiation
    /// forbids it.
    void write(TensorObject& x, TensorObject& value);
    /// The history of a view anew from its base's, where the base has another one since. What the graph under capture
    /// computes follows its base there.
    void settle_history(TensorObject& x);
    /// Throws what `write` would throw before anything is computed.
    void check_write(TensorObject& x);
    /// The same, of an operation that writes into x what it is about to compute of it: where the write is the tape's
    /// work, so is the operation, apart from what the graph under capture has computed before.
    void begin_write(TensorObject& x);

    // -- attributes, names interned once
    AttrId attr(std::initializer_list<AttrEntry> entries) { return context().attr(entries); }
    AttrValue list(std::span<const int64_t> values) const;
    AttrValue list(std::span<const Size> sizes) const;
    AttrId sizes_attr(std::span<const Size> sizes) { return attr({{names_.sizes, list(sizes)}}); }
    struct Names {
        explicit Names(Context& context);
        NameId sizes, axes, axis, keepdim, dtype, starts, stops, steps, value, key, offset, kind, message, site,
            descending, index;
    };
    const Names& names() const { return names_; }

    // -- sizes
    Size constant(int64_t value) { return {value, context().constant(value)}; }
    Size size(TensorObject& x, size_t dimension);
    Sizes sizes(TensorObject& x);

    /// Makes sure that the elements of x can be read on the host now; `reason` is why the graph ends if it has to.
    const Tensor& elements(TensorObject& x, std::string_view reason);

    Tracer& tracer() { return tracer_; }
    Context& context();
    /// Forgets compiled ops.
    void reset();
    void note_write(const Storage& storage, Span span);
    /// Where a storage was last written in place; no place if that is long ago.
    Span last_write(const Storage& storage) const;

private:
    // An op in eager mode is a graph of one node, compiled once for its operands' types and literals.
    struct Key {
        Op op;
        AttrId attr;
        uint64_t wanted = 0;                 // bit k: operand k requires a gradient
        SmallVector<uint64_t, 12> operands;  // types, and literals' dtypes and bits
        bool operator==(const Key& other) const {
            return op == other.op && attr == other.attr && wanted == other.wanted && operands == other.operands;
        }
    };
    struct KeyHash {
        size_t operator()(const Key& key) const {
            uint64_t hash = (uint64_t{key.op.row} << 32 | key.attr.index) * 0x9E3779B97F4A7C15ull + key.wanted;
            for (uint64_t operand : key.operands) hash = (hash ^ (hash >> 29) ^ operand) * 0xBF58476D1CE4E5B9ull;
            return hash ^ (hash >> 32);
        }
    };
    std::shared_ptr<CompiledGraph>& compiled_op(const Key& key);
    void run(Op op, std::span<const Arg> args, AttrId attr, Take take, std::span<const GraphRef> regions = {});
    void write_eagerly(TensorObject& x, TensorObject& value);
    void record_movement(Op op, AttrId attr, const TensorObject& from, TensorObject& to);
    std::shared_ptr<CompiledGraph> compiled_update(const Tensor& base, std::span<const Step> steps, const Tensor& value,
                                                   uint64_t wanted);
    void record_update(TensorObject& base, TensorObject& view, TensorObject& value);
    void record_update_of(const std::shared_ptr<CompiledGraph>& graph, const TensorObject& base,
                          const TensorObject& value, std::span<const Tensor> outputs, TensorObject& result);
    void record_identity(TensorObject& from, TensorObject& to);
    AttrId static_attr(Op op, AttrId attr, const TensorObject& result);
    AttrId constant_sizes(AttrId attr);
    Tensor moved(Op op, AttrId attr, const Tensor& tensor);

    Tracer& tracer_;
    Names names_;
    Span span_;
    MetaId meta_;
    bool grad_enabled_ = true;
    Operation* operation_ = nullptr;
    std::unique_ptr<CheckpointPolicies> policies_;
    std::unordered_map<Key, std::shared_ptr<CompiledGraph>, KeyHash> ops_;
    std::vector<std::pair<const Storage*, Span>> writes_;  // a ring of the last ones
    size_t next_write_ = 0;
};

}  // namespace tenon
