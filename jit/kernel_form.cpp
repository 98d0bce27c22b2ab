#include "jit/kernel_form.h"

#include <algorithm>
#include <cassert>
#include <string>
#include <unordered_map>

#include "ir/build/builder.h"
#include "ir/loops.h"
#include "ir/row.h"

namespace tenon {

namespace {

constexpr int64_t many_turns = 128;  // no vectors have more lanes

bool is_extent(const Graph& g, NodeId id) { return g[id].op == op<"extent">(); }
bool is_memory_access(const Graph& g, NodeId id) { return g[id].op == op<"load">() || g[id].op == op<"store">(); }
constexpr size_t access_position = 1, loop_end = 1;  // operands

// Which uses of constant extents are parameters.
class ExtentUses {
public:
    ExtentUses(const Graph& g, const Region& kernel) : graph_(g) {
        visit(kernel, 0, false);
        for (size_t k = order_.size(); k-- > 0;) judge(order_[k]);  // users before what they use
    }

    bool is_parameter(NodeId user, size_t operand) const {
        const NodeId extent = graph_.operand(user, operand);
        const auto value = graph_.context->as_constant(graph_.attributes(extent).size("value"));
        if (!value) return true;
        if (is_memory_access(graph_, user)) return operand == access_position && *value != 0;
        if (graph_[user].op == op<"product">() || graph_[user].op == op<"scatter">()) return true;
        const Facts& facts = facts_.at(user.index);
        switch (row(graph_[user].op).index_op) {
            case IndexOp::add:
            case IndexOp::sub: return facts.addresses;
            case IndexOp::mul: {
                const NodeId other = graph_.operand(user, 1 - operand);
                const auto found = facts_.find(other.index);
                return facts.addresses && !(found != facts_.end() && found->second.differs_by_lane);
            }
            case IndexOp::minimum: return facts.ends_loops;
            default: break;
        }
        if (graph_[user].op != op<"for">() || operand != loop_end || facts.depth > 0) return false;
        const std::string_view kind = graph_.attributes(user).text("kind");
        return kind == "parallel" || (kind == "vector" && *value >= many_turns);
    }

private:
    struct Facts {
        int depth = 0;
        bool differs_by_lane = false;  // or by turn of a fold
        bool addresses = true;         // it is used for nothing but positions in buffers
        bool ends_loops = true;        // it is used for nothing but where loops end
    };

    void visit(const Region& region, int depth, bool lanes) {
        for (NodeId p : graph_.params(region)) facts_[p.index] = {depth, lanes};
        for (NodeId id : graph_.body(region)) {
            Facts facts{depth};
            for (NodeId o : graph_.operands_of(id)) {
                const auto found = facts_.find(o.index);
                facts.differs_by_lane |= found != facts_.end() && found->second.differs_by_lane;
            }
            facts_[id.index] = facts;
            order_.push_back(id);
            const bool fold = graph_[id].op == op<"fold">();
            for (unsigned k = 0; k < graph_[id].regions; ++k)
                visit(graph_.region_of(id, k), depth + 1, fold || graph_.attributes(id).text("kind") == "vector");
        }
        for (NodeId r : graph_.results(region)) use(r, false, false);
    }
    void judge(NodeId id) {
        const Facts facts = facts_.at(id.index);
        const auto operands = graph_.operands_of(id);
        const IndexOp made = row(graph_[id].op).index_op;
        const bool moves = graph_.type(id).kind == Type::Kind::index &&
                           (made == IndexOp::add || made == IndexOp::sub || made == IndexOp::mul);
        for (size_t k = 0; k < operands.size(); ++k) {
            const bool position = (is_memory_access(graph_, id) && k == access_position) ||
                                  graph_[id].op == op<"product">() || graph_[id].op == op<"scatter">();
            use(operands[k], position || (moves && facts.addresses), graph_[id].op == op<"for">() && k == loop_end);
        }
    }
    void use(NodeId value, bool addresses, bool ends_loops) {
        const auto found = facts_.find(value.index);
        if (found == facts_.end()) return;
        found->second.addresses &= addresses;
        found->second.ends_loops &= ends_loops;
    }

    const Graph& graph_;
    std::unordered_map<uint32_t, Facts> facts_;  // by node
    std::vector<NodeId> order_;                  // a user comes after what it uses
};

class FormReader {
public:
    FormReader(const Graph& g, NodeId kernel) : graph_(g), context_(*g.context), extents_(g, g.region_of(kernel)) {
        form_.hash.mix(g[kernel].operands.count);
        form_.hash.mix(uint64_t(g.attributes(kernel).integer_or("updates", -1)));
        region(g.region_of(kernel));
    }
    KernelForm take(std::span<const InPlace> in_place) {
        for (const InPlace& pair : in_place) form_.hash.mix(uint64_t(pair.operand) << 32 | pair.result);
        return std::move(form_);
    }

private:
    enum Tag : uint64_t { value, literal, constant_size, parameter };

    void region(const Region& r) {
        StableHash& hash = form_.hash;
        hash.mix(r.params.count);
        for (NodeId p : graph_.params(r)) define(p);
        for (NodeId id : graph_.body(r)) {
            if (is_extent(graph_, id)) continue;  // they count where they are used
            hash.mix(row(graph_[id].op).name);
            hash.mix(context_, graph_[id].attr);
            const auto operands = graph_.operands_of(id);
            hash.mix(operands.size());
            for (size_t k = 0; k < operands.size(); ++k) use(operands[k], id, k);
            hash.mix(graph_[id].regions);
            for (unsigned k = 0; k < graph_[id].regions; ++k) region(graph_.region_of(id, k));
            define(id);
        }
        const auto results = graph_.results(r);
        hash.mix(results.size());
        for (NodeId id : results) use(id, r.yield, 0);
    }
    void define(NodeId id) {
        form_.hash.mix(context_, graph_[id].type);
        numbers_.emplace(id.index, numbers_.size());
    }
    void use(NodeId id, NodeId user, size_t k) {
        StableHash& hash = form_.hash;
        if (is_extent(graph_, id)) {
            assert(user && "a region gives scalars");
            const SizeId size = graph_.attributes(id).size("value");
            const bool varies = extents_.is_parameter(user, k);
            form_.uses.push_back(varies ? parameter_of(size) : -1);
            hash.mix(varies ? parameter : constant_size);
            if (varies) hash.mix(uint64_t(form_.uses.back()));
            else hash.mix(context_, size);
        } else if (graph_[id].op == op<"constant">()) {  // literals stand outside the body
            hash.mix(literal);
            hash.mix(context_, graph_[id].type);
            hash.mix(context_, graph_[id].attr);
        } else {
            hash.mix(value);
            hash.mix(numbers_.at(id.index));
        }
    }
    // What has symbols is one parameter wherever it is used; constants may be equal by chance.
    int32_t parameter_of(SizeId size) {
        std::vector<SizeId>& all = form_.parameters;
        if (!context_.as_constant(size))
            if (const auto found = std::find(all.begin(), all.end(), size); found != all.end())
                return int32_t(found - all.begin());
        all.push_back(size);
        return int32_t(all.size() - 1);
    }

    const Graph& graph_;
    const Context& context_;
    const ExtentUses extents_;
    KernelForm form_;
    std::unordered_map<uint32_t, uint64_t> numbers_;  // by node: in the order of the region
};

// Goes through the region as FormReader does.
class StandingKernel {
public:
    StandingKernel(const Graph& g, NodeId kernel, const KernelForm& form)
        : graph_(g), kernel_(kernel), form_(form), context_(*g.context), builder_(context_) {}

    GraphRef build() {
        std::vector<int64_t> hints;
        for (const SizeSymbol& s : graph_.symbols) hints.push_back(s.hint);
        for (SizeId size : form_.parameters)
            builder_.symbol(NodeId::none(), defined_around, context_.evaluate(size, hints));
        std::vector<NodeId> operands;
        for (NodeId o : graph_.operands_of(kernel_))
            operands.push_back(builder_.parameter(without_sizes(graph_[o].type)));
        Builder::StampScope scope(builder_, stamp_of(kernel_));
        const Region& region = graph_.region_of(kernel_);
        const RegionId opened = open(region);
        for (size_t k = 0; k < form_.parameters.size(); ++k)
            parameters_.push_back(extent(context_.symbol(uint32_t(k))));
        fill(region);
        std::vector<TypeId> results;
        for (NodeId p : graph_.params(region).subspan(operands.size())) {
            const Type& buffer = graph_.type(p);
            results.push_back(context_.tensor(buffer.dtype, {}, buffer.device));
        }
        const NodeId made =
            builder_.emit_typed(op<"kernel">(), results.size() == 1 ? results[0] : context_.tuple(results), operands,
                                context_.attr(record()), opened, 1);
        return builder_.finish({made}, context_.name(name_));
    }

private:
    Stamp stamp_of(NodeId id) const { return {graph_.origins[id.index], {}, graph_[id].flags}; }
    TypeId without_sizes(TypeId id) const { return context_.tensor(context_[id].dtype, {}, context_[id].device); }
    NodeId extent(SizeId size) {
        return builder_.emit_typed(op<"extent">(), context_.index(), {},
                                   context_.attr({{context_.name("value"), AttrValue(size)}}));
    }
    // The first of its ops, and the hash.
    Record record() {
        name_ += (name_.empty() ? "kernel_" : "_") + form_.hash.text().substr(0, 16);
        Record out{{context_.name("name"), AttrValue(context_.name(name_))}};
        if (const AttrValue* updates = graph_.attributes(kernel_).find("updates"))
            out.push_back({context_.name("updates"), *updates});
        return out;
    }
    void note_op(const Row& r) {
        const bool told = r.lowering == Lowering::scalar;
        if (!told || ops_ == 4 || name_.ends_with(r.name)) return;
        name_ += (name_.empty() ? "" : "_") + std::string(r.name);
        ++ops_;
    }

    RegionId open(const Region& region) {
        const RegionId opened = builder_.open_region();
        for (NodeId p : graph_.params(region)) {
            Builder::StampScope scope(builder_, stamp_of(p));
            image_[p.index] = builder_.parameter(graph_[p].type, graph_.names[p.index]);
        }
        return opened;
    }
    void fill(const Region& region) {
        for (NodeId id : graph_.body(region)) node(id);
        std::vector<NodeId> results;
        for (NodeId r : graph_.results(region)) results.push_back(operand(r));
        builder_.close_region(results);
    }
    void node(NodeId id) {
        Builder::StampScope scope(builder_, stamp_of(id));
        if (is_extent(graph_, id)) {  // as far as it is a constant
            const SizeId size = graph_.attributes(id).size("value");
            if (context_.as_constant(size)) image_[id.index] = extent(size);
            return;
        }
        if (graph_.type(id).kind == Type::Kind::scalar) note_op(row(graph_[id].op));
        std::vector<NodeId> operands;
        for (NodeId o : graph_.operands_of(id)) operands.push_back(operand(o));
        RegionId first;
        for (unsigned k = 0; k < graph_[id].regions; ++k) {
            const RegionId opened = open(graph_.region_of(id, k));
            if (k == 0) first = opened;
            fill(graph_.region_of(id, k));
        }
        const NodeId made =
            builder_.emit_typed(graph_[id].op, graph_[id].type, operands, graph_[id].attr, first, graph_[id].regions);
        builder_.set_name(made, graph_.names[id.index]);
        image_[id.index] = made;
    }
    NodeId operand(NodeId id) {
        if (is_extent(graph_, id))
            if (const int32_t parameter = form_.uses[next_use_++]; parameter >= 0)
                return parameters_[size_t(parameter)];
        if (graph_[id].op == op<"constant">() && !image_.contains(id.index)) image_[id.index] = literal(id);
        return image_.at(id.index);
    }
    NodeId literal(NodeId id) {
        const AttrValue& value = *graph_.attributes(id).find("value");
        const DType dtype = graph_.type(id).dtype;
        if (const double* x = std::get_if<double>(&value.value)) return builder_.literal(*x, dtype);
        if (const int64_t* i = std::get_if<int64_t>(&value.value)) return builder_.literal(*i, dtype);
        return builder_.literal(std::get<bool>(value.value), dtype);
    }

    const Graph& graph_;
    const NodeId kernel_;
    const KernelForm& form_;
    Context& context_;
    Builder builder_;
    std::unordered_map<uint32_t, NodeId> image_;  // by node
    std::vector<NodeId> parameters_;
    size_t next_use_ = 0;
    std::string name_;
    int ops_ = 0;
};

class StageReader {
public:
    StageReader(const KernelSource& source, const KernelInfo& info)
        : source_(source), info_(info), graph_(*source.graph) {
        for (NodeId p : graph_.params(graph_.region_of(source.kernel)))
            buffers_.emplace(p.index, uint32_t(buffers_.size()));
        for (const KernelScratch& s : info.scratch) buffers_.emplace(s.node.index, uint32_t(buffers_.size()));
    }
    std::optional<StageForm> read(const KernelStage& stage) {
        if (!stage.loop) return std::nullopt;
        node(stage.nodes[0]);
        for (uint32_t buffer : form_.buffers) form_.hash.mix(memory_of(buffer));
        return stands_alone_ ? std::optional(std::move(form_)) : std::nullopt;
    }

private:
    enum Tag : uint64_t { value, literal, constant_size, extent, buffer, outside };

    void node(NodeId id) {
        StableHash& hash = form_.hash;
        hash.mix(row(graph_[id].op).name);
        hash.mix(*graph_.context, graph_[id].attr);
        hash.mix(*graph_.context, graph_[id].type);
        hash.mix(graph_.operands_of(id).size());
        for (NodeId operand : graph_.operands_of(id)) use(operand);
        for (unsigned k = 0; k < graph_[id].regions; ++k) {
            const Region& region = graph_.region_of(id, k);
            for (NodeId p : graph_.params(region)) define(p);
            hash.mix(region.body.count);
            for (NodeId inner : graph_.body(region)) {
                node(inner);
                define(inner);
            }
            for (NodeId result : graph_.results(region)) use(result);
        }
    }
    void define(NodeId id) { numbers_.emplace(id.index, numbers_.size()); }
    void use(NodeId id) {
        StableHash& hash = form_.hash;
        if (const auto found = buffers_.find(id.index); found != buffers_.end()) {
            hash.mix(buffer);
            hash.mix(number_in(form_.buffers, found->second));
        } else if (const auto known = numbers_.find(id.index); known != numbers_.end()) {
            hash.mix(value);
            hash.mix(known->second);
        } else if (graph_[id].op == op<"constant">()) {
            hash.mix(literal);
            hash.mix(*graph_.context, graph_[id].type);
            hash.mix(*graph_.context, graph_[id].attr);
        } else if (is_extent(graph_, id)) {
            const SizeId size = graph_.attributes(id).size("value");
            const auto symbolic = std::find(info_.extents.begin(), info_.extents.end(), size);
            hash.mix(symbolic == info_.extents.end() ? constant_size : extent);
            if (symbolic == info_.extents.end()) hash.mix(*graph_.context, size);
            else hash.mix(number_in(form_.extents, uint32_t(symbolic - info_.extents.begin())));
        } else if (is_static_index(graph_, id)) {
            hash.mix(outside);
            node(id);
        } else stands_alone_ = false;
    }
    static uint64_t number_in(std::vector<uint32_t>& list, uint32_t what) {
        const auto found = std::find(list.begin(), list.end(), what);
        if (found != list.end()) return uint64_t(found - list.begin());
        list.push_back(what);
        return list.size() - 1;
    }
    // What it may overlap: an operand with the buffers that are only read, or with the result that takes its place.
    uint64_t memory_of(uint32_t number) const {
        if (number >= info_.operands) return number < info_.first_scratch() ? 1 : uint64_t(-1);
        for (const InPlace& pair : source_.in_place) {
            const auto result = std::find(form_.buffers.begin(), form_.buffers.end(), info_.operands + pair.result);
            if (pair.operand == number && result != form_.buffers.end())
                return 2 + uint64_t(result - form_.buffers.begin());
        }
        return 0;
    }

    const KernelSource& source_;
    const KernelInfo& info_;
    const Graph& graph_;
    StageForm form_;
    bool stands_alone_ = true;
    std::unordered_map<uint32_t, uint32_t> buffers_;  // by node
    std::unordered_map<uint32_t, uint64_t> numbers_;  // the same
};

}  // namespace

std::optional<StageForm> stage_form(const KernelSource& source, const KernelInfo& info, const KernelStage& stage) {
    return StageReader(source, info).read(stage);
}

KernelForm kernel_form(const Graph& g, NodeId kernel, std::span<const InPlace> in_place) {
    return FormReader(g, kernel).take(in_place);
}

KernelSource standing_kernel(const Graph& g, NodeId kernel, std::vector<InPlace> in_place, const KernelForm& form) {
    GraphRef graph = StandingKernel(g, kernel, form).build();
    const NodeId node = graph->results()[0];
    return {std::move(graph), node, std::move(in_place)};
}

}  // namespace tenon
