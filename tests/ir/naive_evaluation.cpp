#include "tests/ir/naive_evaluation.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <stdexcept>
#include <string>
#include <unordered_map>

#include "ir/loops.h"
#include "ir/row.h"

namespace tenon::naive {

int64_t numel(std::span<const int64_t> shape) {
    int64_t n = 1;
    for (int64_t s : shape) n *= s;
    return n;
}
Array of_shape(std::vector<int64_t> shape) {
    Array a{std::move(shape), {}};
    a.data.resize(size_t(numel(a.shape)));
    return a;
}

namespace {

double rounded(DType dtype, double x) {
    switch (dtype) {
        case DType::f32: return double(float(x));
        case DType::f16: return double(float(Half(float(x))));
        case DType::boolean: return x != 0;
        case DType::i64: return std::trunc(x);
        default: return x;
    }
}

double scalar(std::string_view o, DType dtype, std::span<const double> x) {
    const auto y = [&]() -> double {
        if (o == "neg") return -x[0];
        if (o == "exp") return std::exp(x[0]);
        if (o == "tanh") return std::tanh(x[0]);
        if (o == "sqrt") return std::sqrt(x[0]);
        if (o == "rsqrt") return 1 / std::sqrt(x[0]);
        if (o == "square") return x[0] * x[0];
        if (o == "relu") return x[0] < 0 ? 0 : x[0];
        if (o == "cast") return x[0];
        if (o == "add") return x[0] + x[1];
        if (o == "sub") return x[0] - x[1];
        if (o == "mul") return x[0] * x[1];
        if (o == "div") return x[0] / x[1];
        if (o == "maximum") return x[0] > x[1] ? x[0] : x[1];
        if (o == "minimum") return x[0] < x[1] ? x[0] : x[1];
        if (o == "less") return x[0] < x[1];
        if (o == "where") return x[0] != 0 ? x[1] : x[2];
        if (o == "floor_divide") return std::floor(x[0] / x[1]);
        if (o == "remainder") return x[0] - x[1] * std::floor(x[0] / x[1]);
        throw std::runtime_error("the naive evaluator knows no " + std::string(o));
    }();
    return rounded(dtype, y);
}

double identity(std::string_view fold) {
    const double inf = std::numeric_limits<double>::infinity();
    return fold == "add" ? 0 : fold == "mul" ? 1 : fold == "maximum" ? -inf : inf;
}

double literal(const Graph& g, NodeId id) {
    const AttrValue& v = *g.attributes(id).find("value");
    if (const bool* b = std::get_if<bool>(&v.value)) return *b;
    if (const int64_t* i = std::get_if<int64_t>(&v.value)) return double(*i);
    return std::get<double>(v.value);
}

// Calls f(position) for each position of a shape, row-major.
void each(std::span<const int64_t> shape, const std::function<void(const std::vector<int64_t>&)>& f) {
    std::vector<int64_t> at(shape.size());
    for (int64_t k = 0, n = numel(shape); k < n; ++k) {
        f(at);
        for (size_t d = shape.size(); d-- > 0;) {
            if (++at[d] < shape[d]) break;
            at[d] = 0;
        }
    }
}
double& element(Array& a, std::span<const int64_t> at) {
    int64_t p = 0;
    for (size_t d = 0; d < a.shape.size(); ++d) p = p * a.shape[d] + at[d];
    return a.data.at(size_t(p));
}
double element(const Array& a, std::span<const int64_t> at) { return element(const_cast<Array&>(a), at); }

class TensorLevel {
public:
    TensorLevel(const Graph& g, std::span<const Array> inputs) : graph_(g) {
        for (const auto& s : g.symbols)
            for (size_t k = 0; k < inputs.size(); ++k)
                if (g.params()[k] == s.definer) symbols_.push_back(inputs[k].shape[size_t(s.dim)]);
        for (size_t k = 0; k < inputs.size(); ++k) values_[g.params()[k]] = inputs[k];
    }
    std::vector<Array> region(const Region& r) {
        for (NodeId id : graph_.body(r)) node(id);
        std::vector<Array> out;
        for (NodeId id : graph_.results(r)) out.push_back(value(id));
        return out;
    }

private:
    const Array& value(NodeId id) {
        if (graph_[id].op == op<"constant">()) values_[id] = {{}, {literal(graph_, id)}};
        return values_.at(id);
    }
    std::vector<int64_t> shape(NodeId id) const {
        std::vector<int64_t> out;
        for (SizeId s : graph_.type(id).sizes) out.push_back(graph_.context->evaluate(s, symbols_));
        return out;
    }
    int64_t size(SizeId s) const { return graph_.context->evaluate(s, symbols_); }

    // Where an element of a movement's result lies in its operand.
    std::vector<int64_t> source(NodeId id, const std::vector<int64_t>& at) const {
        const std::string_view o = row(graph_[id].op).name;
        const Attributes a = graph_.attributes(id);
        const std::vector<int64_t> from = shape(graph_.operand(id, 0)), to = shape(id);
        std::vector<int64_t> out(from.size());
        if (o == "expand") {
            for (size_t d = 0; d < from.size(); ++d) out[d] = from[d] == 1 ? 0 : at[d + to.size() - from.size()];
        } else if (o == "permute") {
            const auto axes = a.integers("axes");
            for (size_t d = 0; d < axes.size(); ++d) out[size_t(axes[d])] = at[d];
        } else if (o == "reshape") {
            int64_t p = 0;
            for (size_t d = 0; d < to.size(); ++d) p = p * to[d] + at[d];
            for (size_t d = from.size(); d-- > 0; p /= from[d]) out[d] = p % from[d];
        } else if (o == "slice") {
            const auto starts = a.sizes("starts");
            const auto steps = a.integers("steps");
            for (size_t d = 0; d < from.size(); ++d) out[d] = size(starts[d]) + at[d] * steps[d];
        } else if (o == "flip") {
            out = at;
            for (int64_t axis : a.integers("axes")) out[size_t(axis)] = from[size_t(axis)] - 1 - at[size_t(axis)];
        } else out = at;
        return out;
    }
    // Values and positions along an axis, stable.
    std::vector<Array> sorted(NodeId id, const Array& x) const {
        const Attributes a = graph_.attributes(id);
        const size_t axis = size_t(a.integer("axis"));
        std::vector<int64_t> shape = x.shape;
        const int64_t size = shape[axis];
        shape[axis] = a.integer_or("count", size);
        std::vector<Array> out{of_shape(shape), of_shape(shape)};
        std::vector<int64_t> lines = shape;
        lines[axis] = 1;
        each(lines, [&](std::vector<int64_t> at) {
            const auto element_at = [&](int64_t k) {
                at[axis] = k;
                return element(x, at);
            };
            std::vector<int64_t> order;
            for (int64_t k = 0; k < size; ++k) order.push_back(k);
            std::stable_sort(order.begin(), order.end(), [&](int64_t p, int64_t q) {
                return a.flag("descending") ? element_at(p) > element_at(q) : element_at(p) < element_at(q);
            });
            for (int64_t k = 0; k < shape[axis]; ++k) {
                const double value = element_at(order[size_t(k)]);
                at[axis] = k;
                element(out[0], at) = value;
                element(out[1], at) = double(order[size_t(k)]);
            }
        });
        return out;
    }
    void node(NodeId id) {
        const Row& r = row(graph_[id].op);
        if (r.name == "fusion") {
            const Region& region_of = graph_.region_of(id);
            for (size_t k = 0; k < graph_.params(region_of).size(); ++k)
                values_[graph_.params(region_of)[k]] = value(graph_.operand(id, k));
            tuples_[id] = region(region_of);
            values_[id] = tuples_[id][0];
            return;
        }
        if (r.name == "tuple") {
            for (NodeId o : graph_.operands_of(id)) tuples_[id].push_back(value(o));
            return;
        }
        if (r.name == "sort") {
            tuples_[id] = sorted(id, value(graph_.operand(id, 0)));
            return;
        }
        if (r.name == "get") {
            values_[id] = tuples_.at(graph_.operand(id, 0)).at(size_t(graph_.attributes(id).integer("index")));
            return;
        }
        std::vector<Array> in;
        for (NodeId o : graph_.operands_of(id)) in.push_back(value(o));
        Array out = of_shape(shape(id));
        const DType dtype = graph_.type(id).dtype;
        if (r.lowering == Lowering::movement) {
            each(out.shape, [&](const auto& at) { element(out, at) = element(in[0], source(id, at)); });
        } else if (r.lowering == Lowering::scalar) {
            each(out.shape, [&](const auto& at) {
                std::vector<double> x;
                for (const Array& a : in) {
                    std::vector<int64_t> mine(at.end() - ptrdiff_t(a.shape.size()), at.end());
                    for (size_t d = 0; d < mine.size(); ++d)
                        if (a.shape[d] == 1) mine[d] = 0;
                    x.push_back(element(a, mine));
                }
                element(out, at) = scalar(r.name, dtype, x);
            });
        } else if (r.lowering == Lowering::reduce) {
            std::vector<bool> gone(in[0].shape.size());
            for (int64_t a : graph_.attributes(id).integers("axes"))
                gone[size_t(a < 0 ? a + int64_t(gone.size()) : a)] = true;
            const bool keep = graph_.attributes(id).flag("keepdim");
            for (double& x : out.data) x = identity(r.fold);
            each(in[0].shape, [&](const auto& at) {
                std::vector<int64_t> to;
                for (size_t d = 0; d < gone.size(); ++d) {
                    if (!gone[d]) to.push_back(at[d]);
                    else if (keep) to.push_back(0);
                }
                const double x[] = {element(out, to), element(in[0], at)};
                element(out, to) = scalar(r.fold, DType::f64, x);
            });
            for (double& x : out.data) x = rounded(dtype, x);
        } else if (r.name == "full") {
            for (double& x : out.data) x = in[0].data[0];
        } else if (r.name == "iota") {
            each(out.shape, [&](const auto& at) { element(out, at) = at.empty() ? 0 : double(at.back()); });
        } else if (r.name == "size") {
            out.data = {double(size(graph_.attributes(id).size("value")))};
        } else if (r.name == "cat") {
            const size_t axis = size_t(graph_.attributes(id).integer("axis"));
            int64_t offset = 0;
            for (const Array& a : in) {
                each(a.shape, [&](auto at) {
                    const double x = element(a, at);
                    at[axis] += offset;
                    element(out, at) = x;
                });
                offset += a.shape[axis];
            }
        } else if (r.name == "pad") {
            const Attributes a = graph_.attributes(id);
            const auto starts = a.sizes("starts");
            const auto steps = a.integers("steps");
            each(in[0].shape, [&](const auto& at) {
                std::vector<int64_t> to;
                for (size_t d = 0; d < at.size(); ++d) to.push_back(size(starts[d]) + at[d] * steps[d]);
                element(out, to) = 0.0 + element(in[0], at);
            });
        } else if (r.name == "update") {
            out = in[0];
            each(in[2].shape, [&](const auto& at) {
                std::vector<int64_t> to = at;
                for (NodeId view = graph_.operand(id, 1); view != graph_.operand(id, 0); view = graph_.operand(view, 0))
                    to = source(view, to);
                element(out, to) = element(in[2], at);
            });
        } else if (r.name == "matmul") {
            const bool ta = graph_.attributes(id).flag("transpose_a"), tb = graph_.attributes(id).flag("transpose_b");
            const int64_t k = in[0].shape[ta ? 0 : 1];
            each(out.shape, [&](const auto& at) {
                double sum = 0;
                for (int64_t i = 0; i < k; ++i) {
                    const int64_t a[] = {ta ? i : at[0], ta ? at[0] : i}, b[] = {tb ? at[1] : i, tb ? i : at[1]};
                    sum += element(in[0], a) * element(in[1], b);
                }
                element(out, at) = rounded(dtype, sum);
                if (in.size() < 3) return;
                const auto skipped = ptrdiff_t(at.size() - in[2].shape.size());
                std::vector<int64_t> from(at.begin() + skipped, at.end());
                for (size_t d = 0; d < from.size(); ++d)
                    if (in[2].shape[d] == 1) from[d] = 0;
                element(out, at) = rounded(dtype, element(out, at) + element(in[2], from));
            });
        } else throw std::runtime_error("the naive evaluator knows no " + std::string(r.name));
        values_[id] = std::move(out);
    }

    const Graph& graph_;
    std::unordered_map<NodeId, Array> values_;
    std::unordered_map<NodeId, std::vector<Array>> tuples_;
    std::vector<int64_t> symbols_;

    friend std::vector<Array> tenon::naive::run_loops(const Graph&, std::span<const Array>);
};

// ---- loops ---------------------------------------------------------------------------------------------------------
struct Buffer {
    std::vector<double> data;
    std::vector<bool> written;
    bool result = false;
};

class LoopLevel {
public:
    LoopLevel(const Graph& g, std::span<const int64_t> symbols)
        : graph_(g), symbols_(symbols), values_(g.nodes.size()) {}
    std::vector<Buffer> kernel(NodeId id, std::span<const std::vector<double>> inputs,
                               std::span<const int64_t> result_sizes) {
        const Region& r = graph_.region_of(id);
        const auto params = graph_.params(r);
        std::vector<Buffer> buffers(params.size());
        for (size_t k = 0; k < params.size(); ++k) {
            if (k < inputs.size()) buffers[k].data = inputs[k];
            else {
                buffers[k].result = true;
                buffers[k].data.resize(size_t(result_sizes[k - inputs.size()]));
                buffers[k].written.resize(buffers[k].data.size());
            }
            buffer_of_[params[k]] = &buffers[k];
        }
        const int64_t updates = graph_.attributes(id).integer_or("updates", -1);
        if (updates >= 0) {
            buffers[inputs.size()].data = buffers[size_t(updates)].data;
            buffers[inputs.size()].written.assign(buffers[inputs.size()].data.size(), true);
            buffers[size_t(updates)].data.clear();  // not to be loaded from
        }
        body(r);
        buffers.erase(buffers.begin(), buffers.begin() + ptrdiff_t(inputs.size()));
        return buffers;
    }

private:
    void body(const Region& r) {
        for (NodeId id : graph_.body(r)) node(id);
    }
    double value(NodeId id) const {
        return graph_[id].op == op<"constant">() ? literal(graph_, id) : values_[id.index];
    }
    Buffer& buffer(NodeId id) { return *buffer_of_.at(id); }
    static size_t check(const Buffer& b, double position) {
        if (position < 0 || position >= double(b.data.size()))
            throw std::runtime_error("a position outside its buffer");
        return size_t(position);
    }
    void product(NodeId id) {
        using namespace product_operand;
        const auto operands = graph_.operands_of(id);
        const auto at = [&](size_t k) { return value(operands[k]); };
        const Buffer &left = buffer(operands[a]), &right = buffer(operands[b]);
        Buffer& to = buffer(operands[c]);
        const auto read = [](const Buffer& from, double position) {
            const size_t p = check(from, position);
            if (from.result && !from.written[p]) throw std::runtime_error("an element read before it is written");
            return from.data[p];
        };
        for (double i = 0; i < at(m); ++i) {
            for (double j = 0; j < at(n); ++j) {
                const double place = at(c_at) + i * at(c_row) + j;
                double sum = graph_.attributes(id).flag("accumulate") ? read(to, place) : 0;
                for (double p = 0; p < at(k); ++p)
                    sum += read(left, at(a_at) + i * at(a_row) + p * at(a_column)) *
                           read(right, at(b_at) + p * at(b_row) + j);
                const size_t where = check(to, place);
                to.data[where] = rounded(graph_.type(operands[c]).dtype, sum);
                to.written.at(where) = true;
            }
        }
    }
    void scatter(NodeId id) {
        using namespace scatter_operand;
        const auto operands = graph_.operands_of(id);
        const auto number = [&](size_t k) { return value(operands[k]); };
        Buffer& target = buffer(operands[to]);
        for (double i = 0; i < number(m); ++i) {
            for (double j = 0; j < number(n); ++j) {
                const double from = number(at) + i * number(scatter_operand::line) + j;
                const Buffer &where = buffer(operands[places]), &what = buffer(operands[terms]);
                const size_t place = check(target, where.data[check(where, from)]);
                target.data[place] =
                    rounded(graph_.type(operands[to]).dtype, target.data[place] + what.data[check(what, from)]);
            }
        }
    }
    void node(NodeId id) {
        const std::string_view o = row(graph_[id].op).name;
        const auto operands = graph_.operands_of(id);
        double& out = values_[id.index];
        if (o == "for" || o == "fold") {
            const Region& r = graph_.region_of(id);
            const int64_t low = int64_t(value(operands[0])), high = int64_t(value(operands[1]));
            double& variable = values_[graph_.params(r)[0].index];
            if (o == "fold") {
                const std::string_view by = graph_.attributes(id).text("op");
                double sum = identity(by);
                for (int64_t i = low; i < high; ++i) {
                    variable = double(i);
                    body(r);
                    const double x[] = {sum, value(graph_.results(r)[0])};
                    sum = scalar(by, DType::f64, x);
                }
                out = rounded(graph_.type(id).dtype, sum);
                return;
            }
            const int64_t step = graph_.attributes(id).integer("step");
            std::vector<int64_t> turns;
            for (int64_t i = low; i < high; i += step) turns.push_back(i);
            if (graph_.attributes(id).text("kind") != "serial") std::reverse(turns.begin(), turns.end());
            for (int64_t i : turns) {
                variable = double(i);
                body(r);
            }
        } else if (o == "scratch") {
            Buffer& b = scratch_[id];
            b.result = true;
            b.data.assign(size_t(value(operands[0])), 0);
            b.written.assign(b.data.size(), false);
            buffer_of_[id] = &b;
        } else if (o == "product") {
            product(id);
        } else if (o == "scatter") {
            scatter(id);
        } else if (o == "load") {
            const Buffer& b = buffer(operands[0]);
            const size_t p = check(b, value(operands[1]));
            if (b.result && !b.written[p]) throw std::runtime_error("an element read before it is written");
            out = b.data[p];
        } else if (o == "store") {
            Buffer& b = buffer(operands[0]);
            const size_t p = check(b, value(operands[1]));
            b.data[p] = value(operands[2]);
            b.written.at(p) = true;
        } else if (o == "extent") {
            out = double(graph_.context->evaluate(graph_.attributes(id).size("value"), symbols_));
        } else if (o == "position" || o == "number") {
            out = value(operands[0]);
        } else {
            std::vector<double> x;
            for (NodeId v : operands) x.push_back(value(v));
            const Type& t = graph_.type(id);
            out = scalar(o, t.kind == Type::Kind::index ? DType::i64 : t.dtype, x);
        }
    }

    const Graph& graph_;
    std::span<const int64_t> symbols_;
    std::vector<double> values_;
    std::unordered_map<NodeId, Buffer*> buffer_of_;
    std::unordered_map<NodeId, Buffer> scratch_;
};

}  // namespace

std::vector<Array> evaluate(const Graph& g, std::span<const Array> inputs) {
    return TensorLevel(g, inputs).region(g.main());
}

std::vector<Array> run_loops(const Graph& g, std::span<const Array> inputs) {
    TensorLevel whole(g, inputs);
    for (NodeId id : g.body()) {
        if (g[id].op != op<"kernel">()) {
            whole.node(id);
            continue;
        }
        std::vector<std::vector<double>> in;
        for (NodeId o : g.operands_of(id)) in.push_back(whole.value(o).data);
        const Type& type = g.type(id);
        std::vector<TypeId> types = type.elements;
        if (type.kind != Type::Kind::tuple) types = {g[id].type};
        std::vector<int64_t> sizes;
        std::vector<Array> out;
        for (TypeId t : types) {
            std::vector<int64_t> shape;
            for (SizeId s : (*g.context)[t].sizes) shape.push_back(whole.size(s));
            sizes.push_back(numel(shape));
            out.push_back({shape, {}});
        }
        std::vector<Buffer> results = LoopLevel(g, whole.symbols_).kernel(id, in, sizes);
        for (size_t k = 0; k < out.size(); ++k) {
            for (bool written : results[k].written)
                if (!written) throw std::runtime_error("an element that no nest writes");
            out[k].data = results[k].data;
        }
        whole.values_[id] = out[0];
        whole.tuples_[id] = std::move(out);
    }
    std::vector<Array> results;
    for (NodeId r : g.results()) results.push_back(whole.value(r));
    return results;
}

}  // namespace tenon::naive
