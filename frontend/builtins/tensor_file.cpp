// Tensors, weights and graphs in files, and a digest of them in their place.
#define XXH_INLINE_ALL
#include <fmt/format.h>
#include <xxhash.h>

#include "frontend/methods/tables.h"
#include "frontend/builtins/tensor.h"
#include "frontend/values/models.h"
#include "frontend/values/structure.h"
#include "frontend/graphs/graph_values.h"
#include "runtime/diagnostic.h"
#include "runtime/file.h"
#include "runtime/npy.h"
#include "runtime/npz.h"
#include "runtime/safetensors.h"

namespace tenon {

namespace {

constexpr std::string_view graph_header = "tenon graph 1\n";

bool ends_with(const std::string& path, std::string_view suffix) {
    return path.size() >= suffix.size() && path.ends_with(suffix);
}

[[noreturn]] void unknown_format(const std::string& path, std::string_view formats) {
    throw_error("io", fmt::format("what kind of file is `{}`?", path), fmt::format("names end in {}", formats));
}

NamedTensors read_tensors(const Allocator& allocator, const std::string& path, std::string_view formats) {
    if (ends_with(path, ".npz")) return read_npz(allocator, path);
    if (ends_with(path, ".safetensors")) return read_safetensors(allocator, path);
    unknown_format(path, formats);
}

// What a value holds, by name.
NamedTensors tensors_of(TensorCall& c, const Value& value) {
    NamedTensors named;
    auto add = [&](std::string name, const Value& tensor) {
        named.emplace_back(std::move(name), c.d.elements(tensor.as<TensorObject>(), "a file is written").contiguous());
    };
    if (const auto* dict = value.try_as<DictObject>()) {
        for (const DictObject::Entry& entry : dict->entries()) {
            if (!entry.key.is<StringObject>() || !entry.value.is_tensor()) {
                throw_error(
                    "type", "a dict that is saved holds tensors under str keys",
                    fmt::format("here {} holds {}", with_article(entry.key.kind()), with_article(entry.value.kind())));
            }
            add(text_of(entry.key), entry.value);
        }
        return named;
    }
    for (const NamedTensor& held : named_tensors(value)) add(held.name, held.tensor);
    if (named.empty())
        throw_error("type", fmt::format("{} holds no tensors to save", with_article(value.kind())),
                    "models, tensors, dicts of tensors and graphs can be saved");
    return named;
}

Value save(Evaluator& e, Arguments& a) {  // value, path
    TensorCall c(e, a);
    const std::string& path = a.text(1, "path");
    if (const auto* graph = a[0].is(Kind::graph) ? dynamic_cast<GraphObject*>(&a[0].object()) : nullptr) {
        const std::string text = std::string(graph_header) + print(*graph->graph, {.origins = false, .locate = {}});
        write_file(path, [&](FileWriter& file) { file.write(text); });
        return {};
    }
    if (a[0].is_tensor() && ends_with(path, ".npy")) {
        write_npy(path, c.d.elements(*c.tensor(0), "a file is written").contiguous());
        return {};
    }
    const NamedTensors named =
        a[0].is_tensor() ? NamedTensors{{"tensor", c.d.elements(*c.tensor(0), "a file is written").contiguous()}}
                         : tensors_of(c, a[0]);
    if (ends_with(path, ".npz")) write_npz(path, named);
    else if (ends_with(path, ".safetensors")) write_safetensors(path, named);
    else unknown_format(path, ".safetensors or .npz, .npy for one tensor, .graph for a graph");
    return {};
}

Value load(Evaluator& e, Arguments& a) {
    TensorCall c(e, a);
    const std::string& path = a.text(0, "path");
    const Allocator& allocator = c.tracer.allocator();
    if (ends_with(path, ".npy")) return make_ref<TensorObject>(read_npy(allocator, path));
    if (ends_with(path, ".graph")) {
        const std::string text = read_text(path);
        if (!text.starts_with(graph_header))
            throw_error("io", fmt::format("`{}` is no graph of this version", path),
                        "graphs are saved with save(g, path)");
        return make_ref<GraphObject>(
            read_graph(e, "# " + text, a.span, path));  // the header is a comment to the reader
    }
    auto dict = make_ref<DictObject>();
    for (auto& [name, tensor] : read_tensors(allocator, path, ".safetensors, .npz, .npy or .graph"))
        dict->set(name, make_ref<TensorObject>(std::move(tensor)));
    return dict;
}

// Copies tensors into a model's params and buffers of the same names, types and shapes.
Value load_into(Evaluator& e, Arguments& a) {  // model, path or dict
    TensorCall c(e, a);
    auto given = make_ref<DictObject>();
    if (const auto* dict = a[1].try_as<DictObject>()) {
        for (const DictObject::Entry& entry : dict->entries()) given->set(entry.key, entry.value);
    } else {
        for (auto& [name, tensor] : read_tensors(c.tracer.allocator(), a.text(1, "path"), ".safetensors or .npz"))
            given->set(name, make_ref<TensorObject>(std::move(tensor)));
    }
    const std::vector<NamedTensor> held = named_tensors(a[0]);
    for (const NamedTensor& tensor : held) {
        const Value* found = given->find(tensor.name);
        if (!found)
            throw_error("key", fmt::format("there is no `{}` among the loaded tensors", tensor.name),
                        "was the file saved from another model?");
        const auto& from = found->as<TensorObject>();
        const auto& to = tensor.tensor.as<TensorObject>();
        if (from.shape() != to.shape()) {
            throw_error("shape", fmt::format("`{}` is {} in the model but {} in the file", tensor.name,
                                             describe_type(to), describe_type(from)));
        }
    }
    const Dispatcher::GradMode mode(c.d, false);
    for (const NamedTensor& tensor : held)
        ops::assign(c.d, tensor.tensor.ref<TensorObject>(), Value(*given->find(tensor.name)).ref<TensorObject>());
    return a[0];
}

Value state(Evaluator& e, Arguments& a) {
    TensorCall c(e, a);
    auto dict = make_ref<DictObject>();
    for (const NamedTensor& held : named_tensors(a[0]))
        dict->set(held.name, ops::detach(c.d, held.tensor.ref<TensorObject>()));
    return dict;
}

// XXH3's 64 bits of dtypes, ranks, sizes and elements, in the order of the leaves: equal for equal bits, and for nothing
// else that is likely. Names, strides and histories leave no trace in it.
class Digest {
public:
    void add(const Tensor& tensor) {
        const Tensor whole = tensor.contiguous();
        const std::string_view dtype = name_of(whole.dtype);
        XXH3_64bits_update(&state_, dtype.data(), dtype.size());
        const auto rank = static_cast<int64_t>(whole.rank());
        XXH3_64bits_update(&state_, &rank, sizeof rank);
        XXH3_64bits_update(&state_, whole.shape.data(), whole.rank() * sizeof(int64_t));
        XXH3_64bits_update(&state_, whole.bytes(), whole.element_bytes());
    }
    std::string text() const { return fmt::format("{:016x}", XXH3_64bits_digest(&state_)); }

private:
    static XXH3_state_t begun() {
        XXH3_state_t state;
        XXH3_INITSTATE(&state);
        XXH3_64bits_reset(&state);
        return state;
    }
    XXH3_state_t state_ = begun();
};

Value digest(Evaluator& e, Arguments& a) {
    TensorCall c(e, a);
    Digest digest;
    auto add = [&](TensorObject& tensor) { digest.add(c.d.elements(tensor, "a digest reads it")); };
    for_each_leaf(a[0], [&](const Value& leaf) {
        if (leaf.is_tensor()) return add(leaf.as<TensorObject>());
        if (!leaf.is(Kind::model))
            throw_error("type", fmt::format("a digest is of tensors, not of {}", with_article(leaf.kind())),
                        "give a tensor, a model, or lists, tuples and dicts of these");
        for (const NamedTensor& held : named_tensors(leaf)) add(held.tensor.as<TensorObject>());
    });
    return make_text(digest.text());
}

constexpr KindSet holders = kinds(Kind::model, Kind::list, Kind::tuple);

const Builtin tensor_file_table[] = {
    {"save", "value, path", any_kind, save, breaks_graph,
     "writes a model's, list's or dict's tensors (.safetensors, .npz), a tensor (also .npy) or a graph (.graph)"},
    {"load", "model, from", holders, load_into, breaks_graph,
     "copies the tensors of a file or dict into the params and buffers of these names"},
    {"load", "path", any_kind, load, breaks_graph,
     "the tensors of a .safetensors or .npz file as a dict, a .npy file's tensor, a .graph file's graph"},
    {"digest", "value", any_kind, digest, breaks_graph,
     "16 hex digits of the bits of a tensor, of a model's params and buffers, or of all in a list, tuple or dict"},
    {"state_dict", "model", holders, state, 0,
     "the params and buffers by name, without history; they share the model's memory"},
    {"load_state_dict", "model, from", holders, load_into, breaks_graph,
     "copies the tensors of a file or dict into the params and buffers of these names"},
};

}  // namespace

std::span<const Builtin> tensor_file_builtins() { return tensor_file_table; }

}  // namespace tenon
