#include "tests/jit/random_kernels.h"

#include <cmath>
#include <cstring>

#include <fmt/format.h>

#include "ir/row.h"

namespace tenon {

namespace {

class Generator {
public:
    Generator(Context& context, uint64_t seed) : context_(context), random_(seed), builder_(context) {}

    RandomKernel make() {
        for (int64_t& size : sizes_) size = pick<int64_t>({1, 2, 3, 7, 8, 10, 16, 31, 33, 40, 65});
        if (chance(3)) sizes_[1] = pick<int64_t>({0, 64, 129, 1000, 1024, 1025, 1060, 2100, 5000});
        if (chance(4)) sizes_[0] = pick<int64_t>({0, 64, 129, 200, 4100});
        if (sizes_[0] * sizes_[1] > 200000) sizes_[0] = 3;
        operands_ = 2 + draw(4);
        results_ = 1 + draw(4);
        RandomKernel out;
        std::vector<NodeId> tensors;
        for (size_t k = 0; k < operands_ + results_; ++k) {
            out.dtypes.push_back(chance(2) ? DType::f32 : chance(3) ? DType::f64 : DType(draw(dtype_count)));
            // Room for every position below: a whole matrix, every other element of it, a scalar at the front.
            out.elements.push_back(2 * sizes_[0] * sizes_[1] + 2 * sizes_[1] + 8);
        }
        dtypes_ = out.dtypes;
        const std::vector<SizeId> shape = {context_.constant(8)};
        for (size_t k = 0; k < operands_; ++k)
            tensors.push_back(builder_.parameter(context_.tensor(dtypes_[k], shape)));
        std::vector<TypeId> types;
        for (size_t k = 0; k < results_; ++k) types.push_back(context_.tensor(dtypes_[operands_ + k], shape));
        const RegionId region = builder_.open_region();
        for (DType d : dtypes_) buffers_.push_back(builder_.parameter(context_.buffer(d)));
        body();
        builder_.close_region({});
        const TypeId type = results_ == 1 ? types[0] : context_.tuple(types);
        const NodeId kernel =
            builder_.emit_typed(op<"kernel">(), type, tensors, text_attr({{"name", "random"}}), region, 1);
        std::vector<NodeId> kept;
        out.source.graph = builder_.finish(std::span(&kernel, 1), {}, false, &kept);
        out.source.kernel = kept[kernel.index];
        out.info = analyse_kernel(*out.source.graph, out.source.kernel);
        for (SizeId size : out.info.extents) out.extents.push_back(context_.evaluate(size, sizes_));
        for (uint32_t k = 0; k < operands_ * results_; ++k) {
            const InPlace pair{uint32_t(k % operands_), uint32_t(k / operands_)};
            if (dtypes_[pair.operand] != dtypes_[operands_ + pair.result] || !out.source.in_place.empty()) continue;
            if (can_run_in_place(*out.source.graph, out.source.kernel, pair)) out.source.in_place.push_back(pair);
        }
        return out;
    }

private:
    size_t draw(size_t below) { return std::uniform_int_distribution<size_t>(0, below - 1)(random_); }
    bool chance(size_t one_in) { return draw(one_in) == 0; }
    template <class T>
    T pick(std::initializer_list<T> values) {
        return values.begin()[draw(values.size())];
    }
    AttrId text_attr(std::initializer_list<std::pair<const char*, const char*>> entries) {
        Record record;
        for (auto [key, value] : entries) record.push_back({context_.name(key), context_.name(value)});
        return context_.attr(record);
    }

    // ---- structure: the sizes are a matrix of rows and columns ----

    void body() {
        symbolic_[0] = chance(2);
        symbolic_[1] = chance(2);
        for (size_t k = draw(4); k-- > 0;)
            shared_.push_back(chance(3) ? fold(extent(1), "lanes", {}) : expression({zero()}, 3));
        for (size_t k = 1 + draw(3); k-- > 0;) {
            switch (draw(4)) {
                case 0: elementwise(); break;
                case 1: rows_of_folds(); break;
                case 2: columns_of_folds(); break;
                case 3: loop(zero(), extent(1), "vector", 1, [&](NodeId j) { write(j, expression({j}, 6)); }); break;
            }
        }
    }

    // A flat loop in steps, each a vector loop.
    void elementwise() {
        const NodeId count = index("mul", extent(0), extent(1));
        const int64_t step = pick<int64_t>({16, 60, 1024, 4096});
        loop(zero(), count, chance(4) ? "serial" : "parallel", step, [&](NodeId i) {
            const NodeId end = index("minimum", index("add", i, constant(step)), count);
            loop(i, end, "vector", 1, [&](NodeId p) {
                write(p, expression({p, index("floor_divide", p, extent(1)), index("remainder", p, extent(1))}, 8));
            });
        });
    }

    // Each row folded over its columns, and a loop over the row that uses the results.
    void rows_of_folds() {
        loop(zero(), extent(0), chance(3) ? "serial" : "parallel", 1, [&](NodeId i) {
            const NodeId begin = index("mul", i, extent(1));
            const size_t mark = shared_.size();
            for (size_t k = 1 + draw(2); k-- > 0;) shared_.push_back(fold(extent(1), "lanes", {i, begin}));
            if (chance(3)) store_at(i, shared_.back());
            else {
                const size_t result = draw(results_);
                loop(zero(), extent(1), "vector", 1, [&](NodeId j) {
                    const NodeId p = index("add", begin, j);
                    store_at(p, expression({p, j, i}, 5), result);
                });
                // A second loop, over what the first one wrote.
                if (chance(2))
                    loop(zero(), extent(1), "vector", 1, [&](NodeId j) {
                        const NodeId p = index("add", begin, j);
                        const NodeId before = load(operands_ + result, p);
                        store_at(p, apply({before, before, expression({p, j}, 2)}), result);
                    });
            }
            shared_.resize(mark);
        });
    }

    // Each column folded over the rows.
    void columns_of_folds() {
        loop(zero(), extent(1), "vector", 1, [&](NodeId j) {
            const size_t mark = shared_.size();
            shared_.push_back(fold(extent(0), "rows", {j}));
            write(j, expression({j}, 4));
            shared_.resize(mark);
        });
    }

    void loop(NodeId low, NodeId high, const char* kind, int64_t step, const auto& inside) {
        const RegionId region = builder_.open_region();
        const NodeId i = builder_.parameter(context_.index());
        inside(i);
        builder_.close_region({});
        Record record = {{context_.name("kind"), context_.name(kind)}, {context_.name("step"), step}};
        builder_.emit_typed(op<"for">(), context_.none(), {low, high}, context_.attr(record), region, 1);
    }

    // Over `count`: lanes run along a row that starts at around[1], rows down the column around[0].
    NodeId fold(NodeId count, const char* order, std::vector<NodeId> around) {
        const bool rows = std::string_view(order) == "rows";
        const NodeId width = extent(1);  // an outer node: regions of folds hold what is theirs
        const RegionId region = builder_.open_region();
        const NodeId k = builder_.parameter(context_.index());
        std::vector<NodeId> positions = {k};
        if (rows) positions = {index("add", index("mul", k, width), around[0]), around[0], k};
        else if (!around.empty()) positions = {index("add", around[1], k), k};
        NodeId value = expression(positions, 2);
        DType dtype = dtype_of(value);
        std::vector<const char*> ops = {"add", "add", "mul", "maximum", "minimum"};
        if (dtype == DType::boolean) ops = {"logical_and", "logical_or"};
        const char* fold_op = ops[draw(ops.size())];
        if ((dtype == DType::f16 || dtype == DType::bf16)) value = cast(value, dtype = DType::f32);
        if (builder_.is_literal(value))
            value = load(0, positions[0]), dtype = dtypes_[0] == DType::boolean ? DType::boolean : dtype;
        if (dtype_of(value) != dtype) value = cast(value, dtype);
        builder_.close_region({value});
        return builder_.emit_typed(op<"fold">(), context_.scalar(dtype), {zero(), count},
                                   text_attr({{"op", fold_op}, {"order", order}}), region, 1);
    }

    // ---- positions ----

    NodeId constant(int64_t value) { return builder_.literal(value, DType::i64); }
    NodeId zero() { return emit_extent(context_.constant(0)); }
    NodeId emit_extent(SizeId size) {
        return builder_.emit_typed(op<"extent">(), context_.index(), std::initializer_list<NodeId>{},
                                   context_.attr({{context_.name("value"), size}}));
    }
    NodeId extent(int which) {
        return emit_extent(symbolic_[which] ? context_.symbol(uint32_t(which)) : context_.constant(sizes_[which]));
    }
    NodeId index(std::string_view name, NodeId a, NodeId b) {
        return builder_.emit_typed(require_op(name), context_.index(), {a, b});
    }

    NodeId load(size_t buffer, NodeId position) { return builder_.emit(op<"load">(), {buffers_[buffer], position}); }
    NodeId load_somewhere(std::span<const NodeId> positions) {
        NodeId p = positions[draw(positions.size())];
        switch (draw(8)) {
            case 0: p = index("mul", p, constant(2)); break;
            case 1:  // backwards, from one past the end
                if (sizes_[0] && sizes_[1]) p = index("sub", index("mul", extent(0), extent(1)), p);
                break;
            case 2: p = zero(); break;
            case 3: p = index("minimum", p, constant(5)); break;
            default: break;
        }
        return load(draw(operands_), p);
    }
    void write(NodeId position, NodeId value) { store_at(position, value, draw(results_)); }
    void store_at(NodeId position, NodeId value) { write(position, value); }
    void store_at(NodeId position, NodeId value, size_t which) {
        const DType to = dtypes_[operands_ + which];
        if (dtype_of(value) != to) value = cast(value, to);
        builder_.emit(op<"store">(), {buffers_[operands_ + which], position, value});
    }

    // ---- scalars ----

    DType dtype_of(NodeId id) const { return builder_.type(id).dtype; }
    NodeId cast(NodeId x, DType to) {
        return builder_.emit(op<"cast">(), {x}, context_.attr({{context_.name("dtype"), to}}));
    }
    NodeId literal(DType d) {
        if (d == DType::boolean) return builder_.literal(chance(2), DType::boolean);
        if (is_float(d)) return builder_.literal(pick({0.0, 1.0, -0.5, 2.0, 3.25, -7.0, 0.1}), d);
        return builder_.literal(pick<int64_t>({0, 1, 2, 3, 7}), d);
    }

    // A value of `size` ops or so on what can be loaded, shared scalars and literals.
    NodeId expression(const std::vector<NodeId>& positions, size_t size) {
        std::vector<NodeId> made = {load_somewhere(positions)};
        if (!shared_.empty()) made.push_back(shared_[draw(shared_.size())]);
        if (chance(8)) made.push_back(builder_.emit(op<"number">(), {positions[0]}));
        for (size_t k = 1 + draw(size); k-- > 0;) {
            if (chance(3)) made.push_back(load_somewhere(positions));
            made.push_back(apply(made));
        }
        return made.back();
    }
    NodeId apply(const std::vector<NodeId>& made) {
        static const std::vector<Op> ops = [] {
            std::vector<Op> found;
            for (const Row& r : all_rows())
                if (r.lowering == Lowering::scalar && r.name != "cast") found.push_back(find_op(r.name));
            return found;
        }();
        Op o = chance(2) ? require_op(pick({"add", "sub", "mul", "maximum", "where", "div", "exp"}))
                         : ops[draw(ops.size())];
        const Row& r = row(o);
        const size_t arity = size_t(r.min_operands);
        NodeId data = chance(3) ? made[draw(made.size())] : made.back();  // a chain with branches
        if (!admits(r.dtypes, dtype_of(data))) {
            std::vector<DType> admitted;
            for (int d = 0; d < dtype_count; ++d)
                if (admits(r.dtypes, DType(d))) admitted.push_back(DType(d));
            if (admits(r.dtypes, DType::f32)) admitted.insert(admitted.end(), 5, DType::f32);
            data = cast(data, admitted[draw(admitted.size())]);
        }
        const DType dtype = dtype_of(data);
        std::vector<NodeId> operands = {data};
        while (operands.size() < arity - size_t(r.conditions)) {
            if (chance(4)) operands.push_back(literal(dtype));
            else {
                NodeId other = made[draw(made.size())];
                for (NodeId m : made)
                    if (!chance(4) && m != data && dtype_of(m) == dtype) other = m;
                operands.push_back(dtype_of(other) == dtype ? other : cast(other, dtype));
            }
        }
        if (r.conditions) {
            const NodeId condition = made[draw(made.size())];
            operands.insert(operands.begin(),
                            dtype_of(condition) == DType::boolean ? condition : cast(condition, DType::boolean));
        }
        return builder_.emit(o, operands);
    }

    Context& context_;
    std::mt19937_64 random_;
    Builder builder_;
    int64_t sizes_[2] = {};
    bool symbolic_[2] = {};
    size_t operands_ = 0, results_ = 0;
    std::vector<DType> dtypes_;
    std::vector<NodeId> buffers_, shared_;
};

template <class T>
void fill(std::mt19937_64& random, std::byte* out, int64_t n, DType dtype, bool negative_zeros) {
    static const double special[] = {0.0,    -0.0,   INFINITY, -INFINITY, NAN,  1.0,    -1.0,    0.5, 1e-40,
                                     -3e-42, 5e-324, 1e30,     -1e30,     88.0, -104.0, 65504.0, 1e-7};
    std::normal_distribution<double> normal(0, 1);
    const bool hostile = random() % 3 == 0;  // one NaN is enough to hide the order of a sum
    for (int64_t k = 0; k < n; ++k) {
        double real = hostile && random() % 8 == 0 ? special[random() % std::size(special)] : normal(random);
        if (hostile && random() % 16 == 0) real = std::bit_cast<float>(uint32_t(random()));
        if (negative_zeros) real = -0.0;
        T value;
        if constexpr (std::is_same_v<T, double>) value = real;
        else if constexpr (std::is_integral_v<T>) value = random() % 4 ? T(int64_t(random() % 17) - 5) : T(random());
        else value = T(float(real));
        if (dtype == DType::boolean) value = T(random() & 1);
        std::memcpy(out + k * int64_t(sizeof(T)), &value, sizeof value);
    }
}

bool is_nan(const std::byte* p, DType d) {
    const auto read = [&]<class T>(T) {
        T value;
        std::memcpy(&value, p, sizeof value);
        return value;
    };
    switch (d) {
        case DType::f64: return std::isnan(read(double()));
        case DType::f32: return std::isnan(read(float()));
        case DType::f16: return std::isnan(float(Half::from_bits(read(uint16_t()))));
        case DType::bf16: return std::isnan(float(BFloat16::from_bits(read(uint16_t()))));
        default: return false;
    }
}

}  // namespace

RandomKernel random_kernel(Context& context, uint64_t seed) { return Generator(context, seed).make(); }

KernelMemory::KernelMemory(const RandomKernel& kernel, uint64_t seed) : scalars_(kernel.info.scalars.size()) {
    std::mt19937_64 random(seed);
    for (size_t k = 0; k < kernel.dtypes.size(); ++k) place_.push_back(k);
    for (const InPlace& pair : kernel.source.in_place) place_[kernel.info.operands + pair.result] = pair.operand;
    for (size_t k = 0; k < kernel.dtypes.size(); ++k) {
        const DType d = kernel.dtypes[k];
        auto& buffer = buffers_.emplace_back(size_t(kernel.elements[k]) * size_of(d));
        if (k >= kernel.info.operands) continue;  // results: zeros, so that what is not written is equal
        switch (d) {
            case DType::f64: fill<double>(random, buffer.data(), kernel.elements[k], d, seed == 0); break;
            case DType::f32: fill<float>(random, buffer.data(), kernel.elements[k], d, seed == 0); break;
            case DType::f16: fill<Half>(random, buffer.data(), kernel.elements[k], d, seed == 0); break;
            case DType::bf16: fill<BFloat16>(random, buffer.data(), kernel.elements[k], d, seed == 0); break;
            case DType::i64: fill<int64_t>(random, buffer.data(), kernel.elements[k], d, seed == 0); break;
            case DType::i32: fill<int32_t>(random, buffer.data(), kernel.elements[k], d, seed == 0); break;
            case DType::i16: fill<int16_t>(random, buffer.data(), kernel.elements[k], d, seed == 0); break;
            case DType::i8: fill<int8_t>(random, buffer.data(), kernel.elements[k], d, seed == 0); break;
            case DType::u8:
            case DType::boolean: fill<uint8_t>(random, buffer.data(), kernel.elements[k], d, seed == 0); break;
        }
    }
}

uint32_t KernelMemory::run(const RandomKernel& kernel, const CompiledKernel& code, uint64_t seed) {
    std::mt19937_64 random(seed);
    std::vector<void*> pointers;
    for (size_t k : place_) pointers.push_back(buffers_[k].data());
    uint32_t faults = 0;
    const KernelCall call = {pointers.data(), kernel.extents.data(), scalars_.data(), &faults};
    for (size_t k = 0; k < kernel.info.stages.size(); ++k) {
        const KernelStage& stage = kernel.info.stages[k];
        const int64_t trips = stage_trips(*kernel.source.graph, stage, kernel.info, kernel.extents);
        int64_t done = 0;
        while (done < trips) {
            const int64_t next = stage.parallel ? done + 1 + int64_t(random() % uint64_t(trips - done)) : trips;
            code.run(k, call, done, next);
            done = next;
        }
    }
    return faults;
}

std::string difference(const RandomKernel& kernel, const KernelMemory& expected, const KernelMemory& found) {
    for (size_t k = kernel.info.operands; k < kernel.dtypes.size(); ++k) {
        const size_t size = size_of(kernel.dtypes[k]);
        for (int64_t i = 0; i < kernel.elements[k]; ++i) {
            const std::byte *a = expected.buffer(k).data() + size_t(i) * size,
                            *b = found.buffer(k).data() + size_t(i) * size;
            if (std::memcmp(a, b, size) == 0 || (is_nan(a, kernel.dtypes[k]) && is_nan(b, kernel.dtypes[k]))) continue;
            std::string bytes[2];
            for (size_t j = size; j-- > 0;) {
                bytes[0] += fmt::format("{:02x}", unsigned(a[j]));
                bytes[1] += fmt::format("{:02x}", unsigned(b[j]));
            }
            return fmt::format("result {} ({}) at {}: expected {}, found {}", k - kernel.info.operands,
                               name_of(kernel.dtypes[k]), i, bytes[0], bytes[1]);
        }
    }
    return {};
}

}  // namespace tenon
