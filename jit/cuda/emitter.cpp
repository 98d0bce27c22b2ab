#include "jit/cuda/emitter.h"

#include <algorithm>
#include <map>
#include <unordered_map>

#include <fmt/format.h>

#include "ir/loops.h"
#include "ir/row.h"
#include "ir/text/text.h"
#include "jit/cuda/nvrtc.h"
#include "jit/cuda/scalar.h"
#include "jit/cuda/text.h"
#include "jit/literal.h"
#include "runtime/diagnostic.h"

namespace tenon {

using namespace cuda_engine;

namespace {

[[noreturn]] void refuse(std::string message) { throw_error("internal", std::move(message)); }

std::string identifier(std::string name) {
    for (char& c : name)
        if (!isalnum(static_cast<unsigned char>(c))) c = '_';
    return name;
}

bool contains_lane_fold(const Graph& g, NodeId id) {
    if (g[id].op == op<"fold">() && g.attributes(id).text("order") == "lanes") return true;
    for (unsigned k = 0; k < g[id].regions; ++k)
        for (NodeId inner : g.body(g.region_of(id, k)))
            if (contains_lane_fold(g, inner)) return true;
    return false;
}

class KernelEmitter {
public:
    KernelEmitter(const KernelSource& source, const KernelInfo& info, const std::string& name)
        : graph_(*source.graph), info_(info), kernel_(source.kernel), name_(name),
          aliased_(info.operands + info.results) {
        for (uint32_t k = 0; NodeId p : graph_.params(graph_.region_of(kernel_))) buffers_.emplace(p.index, k++);
        for (uint32_t k = 0; NodeId id : info.scalars) slots_.emplace(id.index, k++);
        for (const InPlace& pair : source.in_place)
            aliased_[pair.operand] = aliased_[info.operands + pair.result] = true;
    }

    CudaSource emit() {
        CudaSource out;
        std::string stages;
        for (size_t k = 0; k < info_.stages.size(); ++k) {
            out.stages.push_back(stage(info_.stages[k], fmt::format("{}_{}", name_, k)));
            stages += "\n" + writer_.text();
        }
        out.text = "#include \"kernels.cuh\"\n\nnamespace tenon {\n\n";
        for (const auto& [unused, text] : functions_) out.text += text + "\n";
        out.text += "}    // namespace tenon\n\nusing namespace tenon;\n" + stages;
        return out;
    }

private:
    // ---- stages ----

    CudaStage stage(const KernelStage& stage, const std::string& name) {
        writer_ = Writer();
        values_.clear();
        in_vector_ = in_fold_ = false;
        CudaStage out{name, 256, CudaStage::one};
        const bool vector = stage.loop && graph_.attributes(stage.nodes[0]).text("kind") == "vector";
        if (std::any_of(stage.nodes.begin(), stage.nodes.end(),
                        [&](NodeId id) { return contains_lane_fold(graph_, id); }))
            out.threads = 32;
        out.grid = vector ? CudaStage::elements : stage.parallel ? CudaStage::iterations : CudaStage::one;
        writer_.open(fmt::format("extern \"C\" __global__ void __launch_bounds__({}) {}({}) {{", out.threads, name,
                                 parameters()));
        if (!stage.loop) {
            for (NodeId id : stage.nodes) {
                node(id);
                if (const auto slot = slots_.find(id.index); slot != slots_.end()) store_slot(id, slot->second);
            }
        } else {
            const std::string low = position(stage.low), i = variable(graph_.region_of(stage.nodes[0]));
            const std::string by = vector ? "i64(gridDim.x) * blockDim.x" : stage.parallel ? "gridDim.x" : "1";
            const std::string first = vector           ? "i64(blockIdx.x) * blockDim.x + threadIdx.x"
                                      : stage.parallel ? "blockIdx.x"
                                                       : "0";
            writer_.open(fmt::format("for (i64 turn = begin + {}; turn < end; turn += {}) {{", first, by));
            writer_.line(fmt::format("const i64 {} = {} + turn * {};", i, low, stage.step));
            in_vector_ = vector;
            region(graph_.region_of(stage.nodes[0]));
            if (!vector) writer_.line("__syncthreads();");
            writer_.close();
        }
        writer_.close();
        return out;
    }

    std::string parameters() const {
        std::string list;
        for (uint32_t k = 0; NodeId p : graph_.params(graph_.region_of(kernel_))) {
            // A result may be read too, so only what nobody writes is const.
            list += fmt::format("{}{}* {}b{}, ", k < info_.operands && !aliased_[k] ? "const " : "",
                                memory_type(graph_.type(p).dtype), aliased_[k] ? "" : "__restrict__ ", k);
            ++k;
        }
        for (size_t k = 0; k < info_.extents.size(); ++k) list += fmt::format("i64 n{}, ", k);
        return list + "u64* scalars, i64 begin, i64 end, u32* faults";
    }

    // ---- names ----

    // Names of the graph, marked so that none is a word of C++.
    std::string variable_name(NodeId id) const { return fmt::format("{}_", graph_.name_of(id)); }
    std::string variable(const Region& r) {
        const NodeId i = graph_.params(r)[0];
        return values_[i.index] = variable_name(i);
    }
    void define(NodeId id, const std::string& type, const std::string& expression) {
        const std::string name = variable_name(id);
        writer_.line(fmt::format("const {} {} = {};", type, name, expression));
        values_[id.index] = name;
    }
    std::string need(const std::string& key, const std::string& text) {
        if (text.empty()) refuse(fmt::format("no scalar definition of {}", key));
        if (known_.emplace(key, true).second) functions_.emplace_back(key, text);
        return key;
    }
    std::string scalar_call(std::string_view op, DType dtype) {
        for (const auto& [helper, of] : helpers_of(op, dtype)) scalar_call(helper, of);
        return need(scalar_function_name(op, dtype), scalar_function(op, dtype));
    }

    // ---- nodes ----

    void region(const Region& r) {
        for (NodeId id : graph_.body(r)) node(id);
    }

    void node(NodeId id) {
        if (is_static_index(graph_, id)) return;
        const Op o = graph_[id].op;
        const Type& type = graph_.type(id);
        if (o == op<"load">()) define(id, register_type(type.dtype), load(id));
        else if (o == op<"store">()) store(id);
        else if (o == op<"scratch">()) scratch(id);
        else if (o == op<"product">()) product(id);
        else if (o == op<"scatter">()) refuse("a scatter, whose terms are added one after the other");
        else if (o == op<"for">()) inner_loop(id);
        else if (o == op<"fold">()) fold(id);
        else if (o == op<"position">() || o == op<"number">()) define(id, "i64", value(graph_.operand(id, 0)));
        else if (type.kind == Type::Kind::index) define(id, "i64", position_of(id));
        else if (row(o).converts) {
            const DType from = graph_.type(graph_.operand(id, 0)).dtype;
            define(id, register_type(type.dtype),
                   fmt::format("{}({})", need(cast_function_name(from, type.dtype), cast_function(from, type.dtype)),
                               value(graph_.operand(id, 0))));
        } else elementwise(id);
    }

    void elementwise(NodeId id) {
        const auto operands = graph_.operands_of(id);
        const Type& data = graph_.type(operands[size_t(row(graph_[id].op).conditions)]);
        const DType dtype = data.kind == Type::Kind::index ? DType::i64 : data.dtype;
        const std::string_view name = row(graph_[id].op).name;
        std::string list;
        for (NodeId operand : operands) list += (list.empty() ? "" : ", ") + value(operand);
        if (const std::string fault = fault_function(name, dtype); !fault.empty()) {
            const std::string call = need(scalar_function_name(name, dtype) + "_fault", fault);
            writer_.line(fmt::format("if ({}({})) atomicOr(faults, 1u);", call, list));
        }
        define(id, register_type(graph_.type(id).dtype), fmt::format("{}({})", scalar_call(name, dtype), list));
    }

    std::string value(NodeId id) {
        if (graph_[id].op == op<"constant">()) return literal(id);
        if (graph_.type(id).kind == Type::Kind::index) return position(id);
        if (const auto found = values_.find(id.index); found != values_.end()) return found->second;
        if (const auto slot = slots_.find(id.index); slot != slots_.end())
            return fmt::format("*reinterpret_cast<const {}*>(scalars + {})", register_type(graph_.type(id).dtype),
                               slot->second);
        // Made of literals alone, it belongs to no stage.
        if (graph_.type(id).kind != Type::Kind::tensor)
            refuse(fmt::format("{} is used before it is computed", row(graph_[id].op).name));
        node(id);
        return values_.at(id.index);
    }
    std::string literal(NodeId id) const {
        const Literal value = literal_of(graph_, id);
        return constant_of(graph_.type(id).dtype, value.real, value.integer);
    }
    void store_slot(NodeId id, uint32_t slot) {
        const Type& type = graph_.type(id);
        const std::string held = type.kind == Type::Kind::index ? "i64" : register_type(type.dtype);
        writer_.line(fmt::format("if (threadIdx.x == 0) *reinterpret_cast<{}*>(scalars + {}) = {};", held, slot,
                                 values_.at(id.index)));
    }

    // ---- positions ----

    std::string position(NodeId id) {
        if (graph_[id].op == op<"constant">()) return literal(id);
        if (const auto found = values_.find(id.index); found != values_.end()) return found->second;
        if (is_static_index(graph_, id)) return position_of(id);
        const auto slot = slots_.find(id.index);
        if (slot == slots_.end()) refuse("a position is used before it is computed");
        return fmt::format("i64(scalars[{}])", slot->second);
    }
    std::string position_of(NodeId id) {
        const std::string_view name = row(graph_[id].op).name;
        if (name == "extent") {
            const SizeId size = graph_.attributes(id).size("value");
            if (const auto known = graph_.context->as_constant(size)) return fmt::format("i64({})", *known);
            return fmt::format("n{}",
                               std::find(info_.extents.begin(), info_.extents.end(), size) - info_.extents.begin());
        }
        const auto operands = graph_.operands_of(id);
        std::vector<std::string> p;
        for (NodeId operand : operands) p.push_back(value(operand));
        switch (row(graph_[id].op).index_op) {
            case IndexOp::add: return fmt::format("({} + {})", p[0], p[1]);
            case IndexOp::sub: return fmt::format("({} - {})", p[0], p[1]);
            case IndexOp::mul: return fmt::format("({} * {})", p[0], p[1]);
            case IndexOp::minimum: return fmt::format("smaller({}, {})", p[0], p[1]);
            case IndexOp::maximum: return fmt::format("larger({}, {})", p[0], p[1]);
            case IndexOp::floor_divide:
            case IndexOp::remainder: return fmt::format("{}_position({}, {})", name, p[0], p[1]);
            case IndexOp::none: break;
        }
        std::string list = p[0];
        for (size_t k = 1; k < p.size(); ++k) list += ", " + p[k];
        return fmt::format("{}({})", scalar_call(name, DType::i64), list);
    }

    // ---- memory ----

    // An iteration is a block's.
    void scratch(NodeId id) {
        const uint32_t number = buffers_.try_emplace(id.index, uint32_t(buffers_.size())).first->second;
        const KernelInfo no_sizes;
        if (!has_constants_only(graph_.operand(id, 0))) refuse("shared memory of a size that is not constant");
        writer_.line(fmt::format("__shared__ {} b{}[{}];", memory_type(graph_.type(id).dtype), number,
                                 evaluate_index(graph_, graph_.operand(id, 0), no_sizes, {})));
    }
    bool has_constants_only(NodeId index) const {
        if (graph_[index].op == op<"extent">())
            return graph_.context->as_constant(graph_.attributes(index).size("value")).has_value();
        const auto operands = graph_.operands_of(index);
        return std::all_of(operands.begin(), operands.end(), [this](NodeId o) { return has_constants_only(o); });
    }

    // The threads of a block share the elements; each is one chain.
    void product(NodeId id) {
        using namespace product_operand;
        if (in_vector_ || in_fold_) refuse("a product inside a vector loop or a fold");
        std::string at[count];
        for (size_t o = 0; o < count; ++o)
            at[o] = is_buffer(o) ? fmt::format("b{}", buffers_.at(graph_.operand(id, o).index))
                                 : position(graph_.operand(id, o));
        const std::string type = memory_type(graph_.type(graph_.operand(id, c)).dtype);
        const std::string element =
            fmt::format("{}[{} + x / {} * {} + x % {}]", at[c], at[c_at], at[n], at[c_row], at[n]);
        writer_.open(fmt::format("for (i64 x = threadIdx.x; x < {} * {}; x += blockDim.x) {{", at[m], at[n]));
        writer_.line(fmt::format("{} sum = {};", type, graph_.attributes(id).flag("accumulate") ? element : "0"));
        writer_.open(fmt::format("for (i64 p = 0; p < {}; ++p) {{", at[k]));
        writer_.line(fmt::format("sum = {}({}[{} + x / {} * {} + p * {}], {}[{} + p * {} + x % {}], sum);",
                                 type == "float" ? "fmaf" : "fma", at[a], at[a_at], at[n], at[a_row], at[a_column],
                                 at[b], at[b_at], at[b_row], at[n]));
        writer_.close();
        writer_.line(fmt::format("{} = sum;", element));
        writer_.close();
        writer_.line("__syncthreads();    // what follows may read what was written");
    }

    std::string element(NodeId access) {
        return fmt::format("b{}[{}]", buffers_.at(graph_.operand(access, 0).index),
                           position(graph_.operand(access, 1)));
    }
    std::string load(NodeId id) {
        const DType dtype = graph_.type(id).dtype;
        if (dtype == DType::f16 || dtype == DType::bf16) return fmt::format("from_{}({})", name_of(dtype), element(id));
        return dtype == DType::boolean ? element(id) + " != 0" : element(id);
    }
    void store(NodeId id) {
        const DType dtype = graph_.type(graph_.operand(id, 0)).dtype;
        std::string stored = value(graph_.operand(id, 2));
        if (dtype == DType::f16 || dtype == DType::bf16) stored = fmt::format("to_{}({})", name_of(dtype), stored);
        if (in_vector_ || in_fold_) return writer_.line(fmt::format("{} = {};", element(id), stored));
        // Outside vector loops all threads of a block compute the same; one of them writes, all may read.
        writer_.line(fmt::format("if (threadIdx.x == 0) {} = {};", element(id), stored));
        writer_.line("__syncthreads();");
    }

    // ---- loops and folds ----

    void inner_loop(NodeId id) {
        const Attributes attributes = graph_.attributes(id);
        if (in_vector_ || in_fold_) refuse("a loop inside a vector loop or a fold");
        const bool vector = attributes.text("kind") == "vector";
        const std::string low = position(graph_.operand(id, 0)), high = position(graph_.operand(id, 1)),
                          i = variable(graph_.region_of(id));
        if (vector)
            writer_.open(
                fmt::format("for (i64 {0} = {1} + threadIdx.x; {0} < {2}; {0} += blockDim.x) {{", i, low, high));
        else
            writer_.open(fmt::format("for (i64 {0} = {1}; {0} < {2}; {0} += {3}) {{", i, low, high,
                                     attributes.integer_or("step", 1)));
        in_vector_ = vector;
        region(graph_.region_of(id));
        in_vector_ = false;
        writer_.close();
        writer_.line("__syncthreads();    // what follows may read what was written");
    }

    static std::string identity(std::string_view name, DType dtype) {
        const Literal start = fold_identity(name, dtype);
        return constant_of(dtype, start.real, start.integer);
    }

    void fold(NodeId id) {
        const Attributes attributes = graph_.attributes(id);
        const DType dtype = graph_.type(id).dtype;
        const std::string_view by = attributes.text("op"), order = attributes.text("order");
        if (order == "lanes" && in_vector_) refuse("a fold over lanes inside a vector loop");
        const std::string type = register_type(dtype), start = identity(by, dtype),
                          low = position(graph_.operand(id, 0)), high = position(graph_.operand(id, 1)),
                          combine = scalar_call(by, dtype);
        const Region& r = graph_.region_of(id);
        const std::string i = variable(r), name = variable_name(id);
        const bool sum = begins_below_zero(fold_identity(by, dtype), dtype);  // an empty one is +0.0
        writer_.open(fmt::format("const {} {} = {}fold_{}({}, {}, {}, [&](i64 {}) -> {} {{", type, name,
                                 sum ? fmt::format("{} >= {} ? {} : ", low, high, constant_of(dtype, 0, 0)) : "", order,
                                 start, low, high, i, type));
        const bool outer = in_fold_;
        in_fold_ = true;
        region(r);
        writer_.line(fmt::format("return {};", value(graph_.results(r)[0])));
        in_fold_ = outer;
        writer_.close(fmt::format("}}, [](auto x, auto y) {{ return {}(x, y); }});", combine));
        const auto body = graph_.body(r);
        if (std::any_of(body.begin(), body.end(), [&](NodeId n) { return graph_[n].op == op<"store">(); }))
            writer_.line("__syncthreads();    // what follows may read what was written");
        values_[id.index] = name;
    }

    const Graph& graph_;
    const KernelInfo& info_;
    NodeId kernel_;
    std::string name_;
    std::vector<bool> aliased_;  // by buffer
    std::unordered_map<uint32_t, uint32_t> buffers_, slots_;
    std::unordered_map<uint32_t, std::string> values_;  // by node, in the stage at hand
    std::map<std::string, bool> known_;
    std::vector<std::pair<std::string, std::string>> functions_;  // device functions, in the order needed
    Writer writer_;
    bool in_vector_ = false, in_fold_ = false;
};

}  // namespace

CudaSource emit_cuda(const KernelSource& source, const KernelInfo& info, const std::string& name) {
    return KernelEmitter(source, info, name).emit();
}

namespace {

// Each kernel: its loops as a comment, then what `translate` makes of its CUDA C++.
template <class F>
std::string dump_kernels(std::span<const KernelSource> kernels, const std::function<std::string(Span)>& locate,
                         F&& translate) {
    std::string out;
    for (const KernelSource& source : kernels) {
        const Attributes attributes = source.graph->attributes(source.kernel);
        const std::string loops = print_nest(*source.graph, source.kernel, {.locate = locate});
        for (size_t begin = 0; begin < loops.size();) {
            const size_t end = loops.find('\n', begin);
            out += "// " + loops.substr(begin, end - begin) + "\n";
            begin = end + 1;
        }
        const std::string name = identifier(attributes.has("name") ? std::string(attributes.text("name")) : "kernel");
        out += translate(emit_cuda(source, analyse_kernel(*source.graph, source.kernel), name).text, name) + "\n";
    }
    return out;
}

}  // namespace

std::string dump_cuda(std::span<const KernelSource> kernels, const std::function<std::string(Span)>& locate) {
    return dump_kernels(kernels, locate, [](const std::string& text, const std::string&) { return text; });
}

std::string dump_ptx(std::span<const KernelSource> kernels, const std::function<std::string(Span)>& locate) {
    std::string reason;
    const std::unique_ptr<Nvrtc> nvrtc = Nvrtc::open(reason);
    if (!nvrtc)
        throw_error("io", "PTX needs NVRTC, NVIDIA's compiler: " + reason, "`--stage cuda` shows its source");
    return dump_kernels(kernels, locate, [&](const std::string& text, const std::string& name) {
        return nvrtc->ptx(text, name, "compute_80");
    });
}

}  // namespace tenon
