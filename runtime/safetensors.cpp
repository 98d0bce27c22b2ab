#include "runtime/safetensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>
#include <unordered_set>
#include <vector>

#include "runtime/diagnostic.h"
#include "runtime/file.h"

namespace tenon {

namespace {

using Json = nlohmann::json;

constexpr uint64_t longest_safetensors_header = 100'000'000;  // the format's own limit
constexpr size_t highest_safetensors_rank = 64;
constexpr std::string_view metadata_key = "__metadata__";

struct Code {
    std::string_view text;
    DType dtype;
};
constexpr Code codes[] = {{"F64", DType::f64}, {"F32", DType::f32},     {"F16", DType::f16}, {"BF16", DType::bf16},
                          {"I64", DType::i64}, {"I32", DType::i32},     {"I16", DType::i16}, {"I8", DType::i8},
                          {"U8", DType::u8},   {"BOOL", DType::boolean}};

struct Record {
    std::string name, dtype;
    Dims shape;
    std::vector<uint64_t> offsets;
    bool has_shape = false, has_offsets = false;
};

// {"name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, "__metadata__": {"key": "text"}}
// Read as events: nothing is built that the file does not pay for, nothing nests deeper than the format does, and a
// name that occurs twice is seen.
class HeaderReader : public Json::json_sax_t {
public:
    std::vector<Record> records;
    FileMetadata metadata;
    std::string problem;

    bool start_object(size_t) override {
        ++depth_;
        if (depth_ > 2 || in_array_) return reject("it nests too deep");
        return true;
    }
    bool end_object() override {
        if (depth_-- == 2 && !in_metadata_) {
            const Record& record = records.back();
            if (record.dtype.empty() || !record.has_shape || record.offsets.size() != 2) {
                return reject(fmt::format("the record of '{}' is incomplete", record.name));
            }
        }
        return true;
    }
    bool key(std::string& text) override {
        if (depth_ == 1) {
            if (!names_.insert(text).second) return reject(fmt::format("'{}' occurs twice", text));
            in_metadata_ = text == metadata_key;
            if (!in_metadata_) records.push_back({text, {}, {}, {}, false, false});
        }
        key_ = text;
        return true;
    }
    bool string(std::string& text) override {
        if (depth_ != 2 || in_array_) return reject("a text is where none belongs");
        if (in_metadata_) return metadata.emplace(key_, text).second || reject(fmt::format("'{}' occurs twice", key_));
        if (key_ != "dtype" || !records.back().dtype.empty() || text.empty()) return reject_field();
        records.back().dtype = text;
        return true;
    }
    bool start_array(size_t) override {
        if (depth_ != 2 || in_metadata_ || in_array_) return reject("a list is where none belongs");
        Record& record = records.back();
        bool expected = (key_ == "shape" && !std::exchange(record.has_shape, true)) ||
                        (key_ == "data_offsets" && !std::exchange(record.has_offsets, true));
        in_array_ = true;
        return expected || reject_field();
    }
    bool end_array() override {
        in_array_ = false;
        return true;
    }
    bool number_unsigned(uint64_t value) override {
        if (!in_array_) return reject("a number is where none belongs");
        Record& record = records.back();
        if (key_ == "shape") {
            if (value > INT64_MAX || record.shape.size() == highest_safetensors_rank) return reject_field();
            record.shape.push_back(static_cast<int64_t>(value));
        } else {
            if (record.offsets.size() == 2) return reject_field();
            record.offsets.push_back(value);
        }
        return true;
    }
    bool null() override { return reject("null is where a value belongs"); }
    bool boolean(bool) override { return reject("a bool is where none belongs"); }
    bool number_integer(int64_t) override { return reject("a negative number is where none belongs"); }
    bool number_float(double, const std::string&) override { return reject("a fraction is where none belongs"); }
    bool binary(Json::binary_t&) override { return reject("it is no JSON"); }
    bool parse_error(size_t position, const std::string&, const nlohmann::detail::exception&) override {
        return reject(fmt::format("it is no JSON at byte {}", position));
    }

private:
    bool reject(std::string why) {
        if (problem.empty()) problem = std::move(why);
        return false;
    }
    bool reject_field() { return reject(fmt::format("the field '{}' of '{}' is damaged", key_, records.back().name)); }

    int depth_ = 0;
    bool in_array_ = false, in_metadata_ = false;
    std::string key_;
    std::unordered_set<std::string> names_;
};

struct Layout {
    std::vector<Record> records;
    std::vector<DType> dtypes;
    std::vector<size_t> by_offset;  // the data of all tensors, in this order, is the rest of the file, without gaps
};

Layout check_layout(std::vector<Record> records, uint64_t data_size, const std::string& path) {
    auto fail = [&](std::string_view reason) { throw_error("io", fmt::format("cannot read {}: {}", path, reason)); };
    Layout layout;
    for (const Record& record : records) {
        auto code =
            std::find_if(std::begin(codes), std::end(codes), [&](const Code& c) { return c.text == record.dtype; });
        if (code == std::end(codes)) {
            throw_error("io",
                        fmt::format("cannot read {}: '{}' has the dtype {}, which does not exist here", path,
                                    record.name, record.dtype),
                        "convert it to F32 or another dtype of f64 f32 f16 bf16 i64 i32 i16 i8 u8 bool");
        }
        layout.dtypes.push_back(code->dtype);
        std::optional<int64_t> count = try_numel(record.shape);
        uint64_t bytes = 0;
        bool fits = count && !__builtin_mul_overflow(static_cast<uint64_t>(*count), size_of(code->dtype), &bytes) &&
                    record.offsets[0] <= record.offsets[1] && record.offsets[1] - record.offsets[0] == bytes;
        if (!fits) {
            fail(fmt::format("'{}' of shape {} and dtype {} does not fit its bytes {} to {}", record.name,
                             shape_to_string(record.shape), record.dtype, record.offsets[0], record.offsets[1]));
        }
    }
    layout.by_offset.resize(records.size());
    std::iota(layout.by_offset.begin(), layout.by_offset.end(), size_t{0});
    std::stable_sort(layout.by_offset.begin(), layout.by_offset.end(),
                     [&](size_t a, size_t b) { return records[a].offsets < records[b].offsets; });
    uint64_t end = 0;
    for (size_t i : layout.by_offset) {
        if (records[i].offsets[0] != end)
            fail(fmt::format("the data of '{}' overlaps or leaves a gap", records[i].name));
        end = records[i].offsets[1];
    }
    if (end != data_size) fail(fmt::format("its tensors are {} bytes, but it has {}", end, data_size));
    layout.records = std::move(records);
    return layout;
}

}  // namespace

NamedTensors read_safetensors(const Allocator& allocator, const std::string& path, FileMetadata* metadata) {
    FileReader file(path);
    auto fail = [&](std::string_view reason) { throw_error("io", fmt::format("cannot read {}: {}", path, reason)); };
    uint64_t length = 0;
    if (file.size() < sizeof(length)) fail("it is not in the .safetensors format");
    file.read(std::as_writable_bytes(std::span(&length, 1)));
    uint64_t rest = file.size() - sizeof(length);
    if (length > longest_safetensors_header || length > rest)
        fail("it is not in the .safetensors format, or ends too early");
    std::string text(length, '\0');
    file.read(std::as_writable_bytes(std::span(text)));
    if (!text.starts_with('{')) fail("it is not in the .safetensors format");
    if (text.find('\0') != std::string::npos) fail("its header is damaged: there is a NUL in it");  // JSON ends there
    HeaderReader header;
    if (!Json::sax_parse(text, &header)) fail("its header is damaged: " + header.problem);

    Layout layout = check_layout(std::move(header.records), rest - length, path);
    NamedTensors tensors(layout.records.size());
    for (size_t i : layout.by_offset) {
        Tensor tensor = Tensor::empty(allocator, layout.dtypes[i], layout.records[i].shape);
        std::span<std::byte> data(tensor.storage->data, tensor.element_bytes());
        file.read(data);
        if (tensor.dtype == DType::boolean) {  // any byte but 0 and 1 is no bool in C++
            for (std::byte& b : data) b = b == std::byte{0} ? b : std::byte{1};
        }
        tensors[i] = {std::move(layout.records[i].name), std::move(tensor)};
    }
    if (metadata) *metadata = std::move(header.metadata);
    return tensors;
}

void write_safetensors(const std::string& path, const NamedTensors& tensors, const FileMetadata& metadata) {
    auto quoted = [&](const std::string& text) {
        try {
            return Json(text).dump();
        } catch (const Json::exception&) {
            throw_error("io", fmt::format("cannot write {}: a name in it is no UTF-8 text", path));
        }
    };
    std::string header = "{";
    auto add = [&](const std::string& key, const std::string& value) {
        if (header.size() > 1) header += ',';
        header += quoted(key) + ":" + value;
    };
    if (!metadata.empty()) {
        std::string entries;
        for (const auto& [key, value] : metadata) {
            entries += (entries.empty() ? "" : ",") + quoted(key) + ":" + quoted(value);
        }
        add(std::string(metadata_key), "{" + entries + "}");
    }
    uint64_t end = 0;
    std::unordered_set<std::string_view> names{metadata_key};
    for (const auto& [name, tensor] : tensors) {
        if (!names.insert(name).second) {
            throw_error("key", fmt::format("cannot write {}: the name '{}' is taken", path, name));
        }
        auto code =
            std::find_if(std::begin(codes), std::end(codes), [&](const Code& c) { return c.dtype == tensor.dtype; });
        uint64_t begin = std::exchange(end, end + tensor.element_bytes());
        std::string shape = shape_to_string(tensor.shape);
        std::erase(shape, ' ');
        add(name, fmt::format(R"({{"dtype":"{}","shape":{},"data_offsets":[{},{}]}})", code->text, shape, begin, end));
    }
    header += '}';
    header.resize((header.size() + 7) / 8 * 8, ' ');  // so that the data begins at a multiple of 8
    auto length = static_cast<uint64_t>(header.size());
    if (length > longest_safetensors_header)
        throw_error("io", fmt::format("cannot write {}: it has too many tensors", path));
    write_file(path, [&](FileWriter& file) {
        file.write(std::as_bytes(std::span(&length, 1)));
        file.write(header);
        for (const auto& [name, tensor] : tensors) {
            Tensor data = tensor.contiguous();
            file.write(std::span<const std::byte>(data.bytes(), data.element_bytes()));
        }
    });
}

}  // namespace tenon
