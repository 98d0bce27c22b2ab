#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "runtime/diagnostic.h"
#include "runtime/file.h"
#include "runtime/npy.h"
#include "runtime/npz.h"
#include "runtime/safetensors.h"

namespace tenon {
namespace {

namespace fs = std::filesystem;

class FilesTest : public testing::Test {
protected:
    void SetUp() override {
        std::string name = (fs::temp_directory_path() / "tenon-files-XXXXXX").string();
        ASSERT_NE(mkdtemp(name.data()), nullptr);
        folder = name;
    }
    void TearDown() override { fs::remove_all(folder); }

    std::string path(const std::string& name) const { return (folder / name).string(); }
    std::string put(const std::string& name, const std::string& bytes) const {
        std::ofstream(path(name), std::ios::binary) << bytes;
        return path(name);
    }
    static std::string get(const std::string& name) { return read_text(name); }
    size_t files_in_folder() const {
        return static_cast<size_t>(std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
    }

    Tensor sample(DType dtype, const Dims& shape) {
        Tensor t = Tensor::empty(allocator, dtype, shape);
        std::vector<double> values(static_cast<size_t>(t.numel()));
        for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<double>(i * 7 % 50) / 4 - 3;
        copy_strided(t, Tensor::from(allocator, std::span<const double>(values), shape));
        return t;
    }
    static void expect_equal(const Tensor& a, const Tensor& b) {
        ASSERT_EQ(a.dtype, b.dtype);
        ASSERT_EQ(a.shape, b.shape);
        Tensor x = a.contiguous(), y = b.contiguous();
        EXPECT_EQ(std::memcmp(x.bytes(), y.bytes(), x.element_bytes()), 0);
    }
    static Diagnostic error(std::function<void()> action) {
        try {
            action();
        } catch (const Error& caught) { return caught.diagnostic; }
        ADD_FAILURE() << "no error";
        return {};
    }

    // Reads every prefix of a file and many files with bytes changed. Nothing but an Error may come of it, and no more
    // memory may be asked for than the file could justify.
    void attack(const std::string& name, const std::function<void(const std::string&)>& read, size_t allowed,
                bool truncation_is_seen = true) {
        std::string good = get(path(name));
        read(path(name));
        for (size_t length = 0; length < good.size(); ++length) {
            std::string file = put("cut", good.substr(0, length));
            if (truncation_is_seen) {
                EXPECT_EQ(error([&] { read(file); }).kind, "io") << "cut to " << length;
            } else {
                try_read(file, read);
            }
        }
        std::mt19937 random(7);
        for (int round = 0; round < 3000; ++round) {
            std::string bad = good;
            int changes = 1 + static_cast<int>(random() % 3);
            for (int c = 0; c < changes; ++c) {
                size_t at = random() % std::min(bad.size(), size_t{400});
                switch (random() % 4) {
                    case 0: bad[at] = static_cast<char>(random()); break;
                    case 1: bad[at] = static_cast<char>(bad[at] ^ (1 << (random() % 8))); break;
                    case 2: bad[at] = "0123456789[]{}(),:\"'"[random() % 20]; break;
                    default: bad.erase(at, 1 + random() % 4); break;
                }
                if (bad.empty()) break;
            }
            try_read(put("bad", bad), read);
        }
        EXPECT_LE(allocator.statistics().peak, allowed);
    }
    static void try_read(const std::string& file, const std::function<void(const std::string&)>& read) {
        try {
            read(file);
        } catch (const Error& caught) {
            EXPECT_EQ(caught.diagnostic.kind, "io") << caught.diagnostic.message;
            EXPECT_FALSE(caught.diagnostic.message.empty());
        }
    }

    fs::path folder;
    Allocator allocator;
};

const Dims shapes[] = {{}, {0}, {5}, {2, 3}, {4, 0, 2}, {2, 3, 4, 1}};

TEST_F(FilesTest, NpyComesBack) {
    for (int i = 0; i < dtype_count; ++i) {
        auto dtype = static_cast<DType>(i);
        for (const Dims& shape : shapes) {
            Tensor t = sample(dtype, shape);
            if (dtype == DType::bf16) {
                EXPECT_EQ(error([&] { write_npy(path("a.npy"), t); }).kind, "dtype");
                continue;
            }
            write_npy(path("a.npy"), t);
            expect_equal(read_npy(allocator, path("a.npy")), t);
        }
    }
    Tensor t = sample(DType::f32, {3, 4});
    write_npy(path("a.npy"), t.transpose(0, 1));
    expect_equal(read_npy(allocator, path("a.npy")), t.transpose(0, 1));
    EXPECT_EQ(files_in_folder(), 1u);
}

std::string npy(const std::string& dict, const std::string& data, int version = 1) {
    std::string header = dict + "\n", text = "\x93NUMPY";
    text += static_cast<char>(version);
    text += '\0';
    for (int i = 0; i < (version == 1 ? 2 : 4); ++i) text += static_cast<char>(header.size() >> (8 * i));
    return text + header + data;
}

TEST_F(FilesTest, NpyAsOthersWriteIt) {
    EXPECT_EQ(npy_header(sample(DType::f32, {3})).substr(10),
              "{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }"
              "                                                            \n");
    for (const Dims& shape : shapes) EXPECT_EQ(npy_header(sample(DType::f64, shape)).size() % 64, 0u);

    std::string big_endian("\x3f\x80\x00\x00\xc0\x00\x00\x00", 8);
    Tensor t =
        read_npy(allocator, put("a", npy("{'descr': '>f4', 'fortran_order': False, 'shape': (2,), }", big_endian)));
    EXPECT_EQ(std::get<double>(t.read_scalar(0)), 1.0);
    EXPECT_EQ(std::get<double>(t.read_scalar(1)), -2.0);

    std::string columns = "\1\2\3\4\5\6";
    t = read_npy(allocator, put("a", npy("{\"shape\":(2, 3),\"fortran_order\":True,\"descr\":\"|i1\"}", columns, 3)));
    EXPECT_TRUE(t.is_contiguous());
    EXPECT_EQ(std::get<int64_t>(t.read_scalar(0, 2)), 5);
    EXPECT_EQ(std::get<int64_t>(t.read_scalar(1, 0)), 2);

    t = read_npy(allocator,
                 put("a", npy("{'descr':'|b1','fortran_order':False,'shape':(2L,)}", std::string("\0\7", 2), 2)));
    EXPECT_EQ(*reinterpret_cast<uint8_t*>(t.bytes() + 1), 1);
}

TEST_F(FilesTest, NpyRefusesWhatItDoesNotHold) {
    auto message = [&](const std::string& dict, const std::string& data = "12345678") {
        Diagnostic d = error([&] { read_npy(allocator, put("a.npy", npy(dict, data))); });
        EXPECT_EQ(d.kind, "io");
        return d.message;
    };
    EXPECT_NE(
        message("{'descr': '<c8', 'fortran_order': False, 'shape': (1,), }").find("'<c8', which is not a dtype here"),
        std::string::npos);
    EXPECT_NE(message("{'descr': '<u8', 'fortran_order': False, 'shape': (1,), }").find("not a dtype"),
              std::string::npos);
    EXPECT_NE(message("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }").find("structured"),
              std::string::npos);
    EXPECT_NE(
        message("{'descr': '<f8', 'fortran_order': False, 'shape': (4611686018427387904, 4), }").find("does not fit"),
        std::string::npos);
    EXPECT_NE(message("{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999999999999,), }").find("too large"),
              std::string::npos);
    EXPECT_NE(
        message("{'descr': '<f8', 'fortran_order': False, 'shape': (0, 9223372036854775807, 9), }", "").find("not fit"),
        std::string::npos);
    message("{'descr': '<f8', 'fortran_order': False, 'shape': (2,), }");
    message("{'descr': '<f8', 'fortran_order': False, 'shape': (-1,), }");
    message("{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }");
    message("{'descr': '<f8', 'fortran_order': False, }");
    message("{'descr': '<f8', 'descr': '<f8', 'fortran_order': False, 'shape': (1,), }");
    message("{'descr': '<f8', 'fortran_order': False, 'shape': (1,), } x");
    message("{'descr': '<f8', 'fortran_order': False, 'shape': (" + std::string(300, '1') + "),}");
    message("{'descr': '<f8', 'fortran_order': False, 'shape': (" + [] {
        std::string ones;
        for (int i = 0; i < 100; ++i) ones += "1,";
        return ones;
    }() + "),}");
    error([&] { read_npy(allocator, path("absent.npy")); });
    error([&] { read_npy(allocator, folder.string()); });
    error([&] { read_npy(allocator, "/dev/null"); });
}

TEST_F(FilesTest, NpyUnderAttack) {
    write_npy(path("a.npy"), sample(DType::i16, {2, 3}));
    attack("a.npy", [&](const std::string& file) { read_npy(allocator, file); }, 1 << 12);
}

NamedTensors named(std::initializer_list<std::pair<const char*, Tensor>> list) {
    NamedTensors result;
    for (const auto& [name, tensor] : list) result.emplace_back(name, tensor);
    return result;
}

void expect_same(const NamedTensors& a, const NamedTensors& b,
                 const std::function<void(const Tensor&, const Tensor&)>& equal) {
    ASSERT_EQ(a.size(), b.size());
    for (size_t i = 0; i < a.size(); ++i) {
        EXPECT_EQ(a[i].first, b[i].first);
        equal(a[i].second, b[i].second);
    }
}

TEST_F(FilesTest, NpzComesBack) {
    NamedTensors tensors = named({{"x", sample(DType::f32, {100, 8})},
                                  {"labels", sample(DType::i64, {7})},
                                  {"a/b.c", sample(DType::boolean, {})},
                                  {"größe", sample(DType::f16, {0, 3})},
                                  {"t", sample(DType::f64, {3, 4}).transpose(0, 1)}});
    for (bool compressed : {false, true}) {
        write_npz(path("a.npz"), tensors, compressed);
        expect_same(read_npz(allocator, path("a.npz")), tensors, expect_equal);
        EXPECT_EQ(files_in_folder(), 1u);
    }
    size_t deflated = fs::file_size(path("a.npz"));
    write_npz(path("a.npz"), tensors);
    EXPECT_LT(deflated, fs::file_size(path("a.npz")));
    std::string first = get(path("a.npz"));
    write_npz(path("a.npz"), tensors);
    EXPECT_EQ(get(path("a.npz")), first) << "the same tensors make the same file";
    write_npz(path("empty.npz"), {});
    EXPECT_TRUE(read_npz(allocator, path("empty.npz")).empty());
    EXPECT_EQ(
        error([&] { write_npz(path("twice.npz"), named({{"x", tensors[0].second}, {"x", tensors[1].second}})); }).kind,
        "io");
    EXPECT_FALSE(fs::exists(path("twice.npz")));
}

TEST_F(FilesTest, NpzOfTheDigits) {
    std::string digits = std::string(TENON_SOURCE_DIR) + "/examples/data/digits.npz";
    if (!fs::exists(digits)) GTEST_SKIP() << "skipped: the digits are not there";
    NamedTensors tensors = read_npz(allocator, digits);
    ASSERT_EQ(tensors.size(), 2u);
    EXPECT_EQ(tensors[0].second.shape, (Dims{1797, 64}));
    EXPECT_EQ(tensors[1].second.dtype, DType::i64);
}

TEST_F(FilesTest, NpzUnderAttack) {
    for (bool compressed : {false, true}) {
        write_npz(path("a.npz"), named({{"x", sample(DType::f32, {3})}, {"y", sample(DType::u8, {2, 2})}}), compressed);
        attack("a.npz", [&](const std::string& file) { read_npz(allocator, file); }, 1 << 16);
    }
    EXPECT_EQ(error([&] { read_npz(allocator, put("a.npz", "PK\5\6 no archive at all")); }).kind, "io");
}

TEST_F(FilesTest, SafetensorsComesBack) {
    NamedTensors tensors;
    for (int i = 0; i < dtype_count; ++i) {
        for (const Dims& shape : shapes) {
            tensors.emplace_back("layer \"" + std::to_string(tensors.size()) + "\"",
                                 sample(static_cast<DType>(i), shape));
        }
    }
    FileMetadata metadata{{"format", "pt"}, {"note", "a\nb"}}, read_back;
    write_safetensors(path("a.safetensors"), tensors, metadata);
    expect_same(read_safetensors(allocator, path("a.safetensors"), &read_back), tensors, expect_equal);
    EXPECT_EQ(read_back, metadata);
    write_safetensors(path("a.safetensors"), {});
    EXPECT_TRUE(read_safetensors(allocator, path("a.safetensors"), &read_back).empty());
    EXPECT_TRUE(read_back.empty());

    Tensor t = sample(DType::f32, {2});
    EXPECT_EQ(error([&] { write_safetensors(path("b"), named({{"x", t}, {"x", t}})); }).kind, "key");
    EXPECT_EQ(error([&] { write_safetensors(path("b"), named({{"__metadata__", t}})); }).kind, "key");
    EXPECT_EQ(error([&] { write_safetensors(path("b"), named({{"\xff", t}})); }).kind, "io");
    EXPECT_EQ(files_in_folder(), 1u);
}

std::string safetensors(const std::string& header, const std::string& data) {
    std::string text;
    for (int i = 0; i < 8; ++i) text += static_cast<char>(header.size() >> (8 * i));
    return text + header + data;
}

TEST_F(FilesTest, SafetensorsRefusesWhatItDoesNotHold) {
    auto read = [&](const std::string& header, const std::string& data) {
        return read_safetensors(allocator, put("a", safetensors(header, data)));
    };
    NamedTensors out_of_order = read(R"({"b":{"dtype":"U8","shape":[1],"data_offsets":[1,2]},
                                         "a":{"data_offsets":[0,1],"shape":[],"dtype":"I8"}})",
                                     "\1\2");
    EXPECT_EQ(out_of_order[0].first, "b");
    EXPECT_EQ(std::get<int64_t>(out_of_order[0].second.read_scalar(0)), 2);

    const char* const headers[] = {
        R"({"a":{"dtype":"F8_E4M3","shape":[4],"data_offsets":[0,4]}})",
        R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,5]}})",
        R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}})",
        R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})",
        R"({"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}})",
        R"({"a":{"dtype":"F32","shape":[18446744073709551615],"data_offsets":[0,4]}})",
        R"({"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})",
        R"({"a":{"dtype":"F32","shape":[1.0],"data_offsets":[0,4]}})",
        R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4,8]}})",
        R"({"a":{"dtype":"F32","shape":[1]}})",
        R"({"a":{"dtype":"F32","shape":[1],"shape":[1],"data_offsets":[0,4]}})",
        R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
        R"({"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},"b":{"dtype":"U8","shape":[2],"data_offsets":[2,4]}})",
        R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"U8","shape":[2],"data_offsets":[2,4]}})",
        R"({"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]}})",
        R"({"a":{"dtype":{"x":1},"shape":[4],"data_offsets":[0,4]}})",
        R"({"a":{"dtype":"U8","shape":[[4]],"data_offsets":[0,4]}})",
        R"({"a":[{"dtype":"U8","shape":[4],"data_offsets":[0,4]}]})",
        R"({"a":null})",
        R"({"a":4})",
        R"({"a":"b"})",
        R"({"a":{}})",
        R"({"__metadata__":{"x":1}})",
        R"({"__metadata__":{"x":["y"]}})",
        R"({"__metadata__":"x"})",
        R"({"__metadata__":{"x":"y"},"__metadata__":{}})",
        R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}} x)",
        R"(["a"])",
        R"( {})",
        "{\"\xff\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]}}",
        "",
    };
    for (const char* header : headers) EXPECT_EQ(error([&] { read(header, "abcd"); }).kind, "io") << header;
    EXPECT_EQ(error([&] { read(std::string(200000, '['), "abcd"); }).kind, "io");
    EXPECT_EQ(error([&] { read("{\"a\":" + std::string(200000, '['), "abcd"); }).kind, "io");
    std::string many = R"({"a":{"dtype":"U8","shape":[1)";
    for (int i = 0; i < 100; ++i) many += ",1";
    EXPECT_EQ(error([&] { read(many + R"(],"data_offsets":[0,1]}})", "a"); }).kind, "io");
    EXPECT_EQ(error([&] { read_safetensors(allocator, put("a", "\xff\xff\xff\xff\xff\xff\xff\x7f{}")); }).kind, "io");
}

TEST_F(FilesTest, SafetensorsUnderAttack) {
    write_safetensors(path("a"), named({{"x", sample(DType::f32, {3})}, {"y", sample(DType::boolean, {2, 2})}}),
                      {{"k", "v"}});
    attack("a", [&](const std::string& file) { read_safetensors(allocator, file); }, 1 << 12);
}

TEST_F(FilesTest, AWriterGoesBackToWhatItHasWritten) {
    std::string text(9'500'000, 'x');  // several of the parts that go to the disk
    for (size_t k = 0; k < text.size(); ++k) text[k] = static_cast<char>('a' + k % 23);
    const std::string file = path("a");
    write_file(file, [&](FileWriter& writer) {
        writer.write("head");
        writer.write(text);
        EXPECT_EQ(writer.position(), text.size() + 4);
        writer.seek(0);
        writer.write("HEAD");
        EXPECT_EQ(writer.position(), 4u);
        EXPECT_EQ(writer.size(), text.size() + 4);
        writer.seek(writer.size());
        writer.write("tail");
    });
    EXPECT_EQ(get(file), "HEAD" + text + "tail");
}

TEST_F(FilesTest, AFailedWriteKeepsTheOldFile) {
    std::string file = put("a", "old");
    chmod(file.c_str(), 0640);
    EXPECT_THROW(write_file(file,
                            [](FileWriter& writer) {
                                writer.write("new, but not");
                                throw_error("user", "stop");
                            }),
                 Error);
    EXPECT_EQ(get(file), "old");
    EXPECT_EQ(files_in_folder(), 1u);
    write_file(file, [](FileWriter& writer) { writer.write("new"); });
    EXPECT_EQ(get(file), "new");
    struct stat status;
    ASSERT_EQ(stat(file.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0640u);
    EXPECT_EQ(files_in_folder(), 1u);
    EXPECT_EQ(error([&] { write_file(path("absent/a"), [](FileWriter&) {}); }).kind, "io");
    EXPECT_EQ(error([&] { write_file(folder.string(), [](FileWriter&) {}); }).kind, "io");
    EXPECT_EQ(error([&] { read_text(file, 2); }).kind, "io");
}

}  // namespace
}  // namespace tenon
