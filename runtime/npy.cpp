#include "runtime/npy.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <optional>

#include "runtime/diagnostic.h"
#include "runtime/file.h"

namespace tenon {

namespace {

constexpr std::string_view magic = "\x93NUMPY";
constexpr uint64_t longest_npy_header = 10'000;  // NumPy's own, like the next
constexpr size_t highest_npy_rank = 64;

static_assert(std::endian::native == std::endian::little);

struct Header {
    std::string descr;
    bool fortran_order = false;
    Dims shape;
};

// The header is a Python dict literal with three keys: {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }
class HeaderParser {
public:
    /// `longs`: sizes may be those of Python 2, `3L`.
    HeaderParser(std::string_view text, std::string_view name, bool longs) : rest_(text), name_(name), longs_(longs) {}

    Header parse() {
        Header header;
        bool has_descr = false, has_order = false, has_shape = false;
        expect('{');
        while (!accept('}')) {
            std::string key = string();
            expect(':');
            if (key == "descr" && !has_descr) {
                has_descr = true;
                if (peek() == '[') fail("structured arrays are not tensors");
                header.descr = string();
            } else if (key == "fortran_order" && !has_order) {
                has_order = true;
                header.fortran_order = boolean();
            } else if (key == "shape" && !has_shape) {
                has_shape = true;
                header.shape = shape();
            } else {
                fail(fmt::format("its header has an unexpected key '{}'", key));
            }
            if (!accept(',') && peek() != '}') fail("its header is damaged");
        }
        if (peek() != '\0') fail("its header is damaged");
        if (!has_descr || !has_order || !has_shape) fail("its header is incomplete");
        return header;
    }

private:
    [[noreturn]] void fail(const std::string& reason) const {
        throw_error("io", fmt::format("cannot read {}: {}", name_, reason));
    }

    char peek() {
        size_t start = rest_.find_first_not_of(" \t\r\n");
        rest_.remove_prefix(start == std::string_view::npos ? rest_.size() : start);
        return rest_.empty() ? '\0' : rest_[0];
    }
    bool accept(char c) {
        if (peek() != c) return false;
        rest_.remove_prefix(1);
        return true;
    }
    void expect(char c) {
        if (!accept(c)) fail(fmt::format("its header is damaged: '{}' was expected", c));
    }

    std::string string() {
        char quote = peek();
        if (quote != '\'' && quote != '"') fail("its header is damaged: a string was expected");
        size_t end = rest_.find(quote, 1);
        if (end == std::string_view::npos) fail("its header is damaged: a string does not end");
        std::string text(rest_.substr(1, end - 1));
        rest_.remove_prefix(end + 1);
        bool is_plain = std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~' && c != '\\'; });
        if (!is_plain || text.size() > 64) fail("its header is damaged: a string has unexpected characters");
        return text;
    }
    bool boolean() {
        peek();
        for (bool value : {true, false}) {
            std::string_view word = value ? "True" : "False";
            if (!rest_.starts_with(word)) continue;
            rest_.remove_prefix(word.size());
            return value;
        }
        fail("its header is damaged: True or False was expected");
    }
    int64_t size() {
        int64_t value = 0;
        if (peek() < '0' || peek() > '9') fail("its header is damaged: a size was expected");
        if (rest_.size() > 1 && rest_[0] == '0' && rest_[1] >= '0' && rest_[1] <= '9')
            fail("its header is damaged: a size begins with 0");
        while (!rest_.empty() && rest_[0] >= '0' && rest_[0] <= '9') {
            if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, rest_[0] - '0', &value)) {
                fail("a size in its header is too large");
            }
            rest_.remove_prefix(1);
        }
        if (longs_ && !rest_.empty() && rest_[0] == 'L') rest_.remove_prefix(1);
        return value;
    }
    Dims shape() {
        Dims sizes;
        expect('(');
        while (!accept(')')) {
            sizes.push_back(size());
            if (sizes.size() > highest_npy_rank) fail("its shape has too many dimensions");
            if (accept(',')) continue;
            if (peek() != ')') fail("its header is damaged");
            if (sizes.size() == 1) fail("its header is damaged: its shape is a number");  // `(6)`; one size is `(6,)`
        }
        return sizes;
    }

    std::string_view rest_, name_;
    bool longs_;
};

struct ElementType {
    DType dtype;
    bool swapped;
};

ElementType element_type(const std::string& descr, std::string_view name) {
    struct Code {
        std::string_view text;
        DType dtype;
    };
    static constexpr Code codes[] = {{"f8", DType::f64}, {"f4", DType::f32}, {"f2", DType::f16},
                                     {"i8", DType::i64}, {"i4", DType::i32}, {"i2", DType::i16},
                                     {"i1", DType::i8},  {"u1", DType::u8},  {"b1", DType::boolean}};
    bool has_order = !descr.empty() && std::string_view("<>=|").find(descr[0]) != std::string_view::npos;
    std::string_view code = std::string_view(descr).substr(has_order ? 1 : 0);
    for (const Code& known : codes) {
        if (code == known.text) return {known.dtype, descr[0] == '>' && size_of(known.dtype) > 1};
    }
    throw_error("io", fmt::format("cannot read {}: its elements are '{}', which is not a dtype here", name, descr),
                "convert it with .astype() in NumPy; there are float64 to float16, int64 to int8, uint8 and bool");
}

std::string_view code_of(DType dtype) {
    static constexpr std::string_view codes[dtype_count] = {"<f8", "<f4", "<f2", "",    "<i8",
                                                            "<i4", "<i2", "|i1", "|u1", "|b1"};
    return codes[static_cast<size_t>(dtype)];
}

template <class Bits> void swap_bytes(std::span<std::byte> bytes) {
    for (size_t i = 0; i < bytes.size(); i += sizeof(Bits)) std::reverse(&bytes[i], &bytes[i] + sizeof(Bits));
}

void swap_elements(std::span<std::byte> bytes, size_t element) {
    if (element == 2) swap_bytes<uint16_t>(bytes);
    if (element == 4) swap_bytes<uint32_t>(bytes);
    if (element == 8) swap_bytes<uint64_t>(bytes);
}

}  // namespace

Tensor read_npy(const Allocator& allocator, uint64_t size, FunctionRef<void(std::span<std::byte>)> read,
                std::string_view name) {
    auto fail = [&](std::string_view reason) { throw_error("io", fmt::format("cannot read {}: {}", name, reason)); };
    auto take = [&](char* to, uint64_t count) {
        if (count > size) fail("it ends too early");
        size -= count;
        read(std::as_writable_bytes(std::span(to, count)));
    };

    unsigned char start[8];
    take(reinterpret_cast<char*>(start), sizeof(start));
    if (std::memcmp(start, magic.data(), magic.size()) != 0) fail("it is not in the .npy format");
    if (start[6] < 1 || start[6] > 3 || start[7] != 0)
        fail(fmt::format("version {}.{} of the .npy format is not known", start[6], start[7]));
    unsigned char length_bytes[4] = {};
    take(reinterpret_cast<char*>(length_bytes), start[6] == 1 ? 2 : 4);
    uint32_t length;
    std::memcpy(&length, length_bytes, sizeof(length));
    if (length > size) fail("it ends too early");
    if (length > longest_npy_header) fail("its header is too long");
    std::string text(length, '\0');
    take(text.data(), length);
    if (text.find('\0') != std::string::npos) fail("its header is damaged");
    Header header = HeaderParser(text, name, start[6] < 3).parse();

    auto [dtype, swapped] = element_type(header.descr, name);
    std::optional<int64_t> count = try_numel(header.shape);
    uint64_t needed = 0;
    if (!count || __builtin_mul_overflow(static_cast<uint64_t>(*count), size_of(dtype), &needed) || needed != size) {
        fail(fmt::format("an array of shape {} and dtype {} does not fit its {} bytes of data",
                         shape_to_string(header.shape), name_of(dtype), size));
    }
    if (header.fortran_order) std::reverse(header.shape.begin(), header.shape.end());
    Tensor result = Tensor::empty(allocator, dtype, header.shape);
    std::span<std::byte> data(result.storage->data, needed);
    read(data);
    if (swapped) swap_elements(data, size_of(dtype));
    if (dtype == DType::boolean) {  // any byte but 0 and 1 is no bool in C++
        for (std::byte& b : data) b = b == std::byte{0} ? b : std::byte{1};
    }
    if (header.fortran_order) {
        std::reverse(result.shape.begin(), result.shape.end());
        std::reverse(result.strides.begin(), result.strides.end());
        result = result.contiguous();
    }
    return result;
}

Tensor read_npy(const Allocator& allocator, const std::string& path) {
    FileReader file(path);
    return read_npy(allocator, file.size(), [&](std::span<std::byte> bytes) { file.read(bytes); }, path);
}

std::string npy_header(const Tensor& tensor) {
    std::string_view code = code_of(tensor.dtype);
    if (code.empty()) {
        throw_error("dtype", fmt::format("the .npy format has no {}", name_of(tensor.dtype)),
                    "cast to f32, or save as .safetensors");
    }
    std::string shape = fmt::format("({}{})", fmt::join(tensor.shape, ", "), tensor.rank() == 1 ? "," : "");
    std::string description = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': {}, }}", code, shape);
    constexpr size_t before = 10;  // magic, version, length
    size_t total = (before + description.size() + 1 + 63) / 64 * 64;
    description.resize(total - before - 1, ' ');
    description += '\n';
    auto length = static_cast<uint16_t>(description.size());
    std::string header(magic);
    header += {'\x01', '\x00', static_cast<char>(length & 0xff), static_cast<char>(length >> 8)};
    return header + description;
}

void write_npy(const std::string& path, const Tensor& tensor) {
    std::string header = npy_header(tensor);
    Tensor data = tensor.contiguous();
    write_file(path, [&](FileWriter& file) {
        file.write(header);
        file.write(std::span<const std::byte>(data.bytes(), data.element_bytes()));
    });
}

}  // namespace tenon
