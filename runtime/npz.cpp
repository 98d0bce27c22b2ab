#include "runtime/npz.h"

#include <fmt/format.h>
#include <zip.h>

#include <algorithm>
#include <memory>
#include <unordered_set>

#include "runtime/diagnostic.h"
#include "runtime/file.h"
#include "runtime/interrupt.h"
#include "runtime/npy.h"

namespace tenon {

namespace {

constexpr std::string_view extension = ".npy";
// Deflate turns one byte into at most 1032; an entry that claims more is made up.
constexpr uint64_t largest_expansion = 1032;

struct Discard {
    void operator()(zip_t* archive) const { zip_discard(archive); }
    void operator()(zip_file_t* file) const { zip_fclose(file); }
};
constexpr size_t most_of_an_entry = size_t{8} << 20;  // between two looks for an interrupt

using Archive = std::unique_ptr<zip_t, Discard>;
using Entry = std::unique_ptr<zip_file_t, Discard>;

Archive open_archive(const std::string& path, int flags, const std::string& shown) {
    int code = 0;
    Archive archive(zip_open(path.c_str(), flags, &code));
    if (!archive && code == ZIP_ER_NOENT && (flags & ZIP_CREATE) == 0)  // of a file that was opened before
        throw_error("io", fmt::format("cannot open {}: it is no zip archive, or damaged", shown));
    if (!archive) {
        zip_error_t error;
        zip_error_init_with_code(&error, code);
        std::string reason = zip_error_strerror(&error);
        zip_error_fini(&error);
        throw_error("io", fmt::format("cannot open {}: {}", shown, reason));
    }
    return archive;
}

void read_entry(zip_file_t* entry, std::span<std::byte> bytes, const std::string& name) {
    while (!bytes.empty()) {
        check_interrupt();
        zip_int64_t got = zip_fread(entry, bytes.data(), std::min(bytes.size(), most_of_an_entry));
        if (got < 0) throw_error("io", fmt::format("cannot read {}: {}", name, zip_file_strerror(entry)));
        if (got == 0) throw_error("io", fmt::format("cannot read {}: it ends too early", name));
        bytes = bytes.subspan(static_cast<size_t>(got));
    }
}

// The checksum is compared when the end is reached, so the end has to be read.
void expect_end(zip_file_t* entry, const std::string& name) {
    std::byte more;
    zip_int64_t got = zip_fread(entry, &more, 1);
    if (got == 0) return;
    throw_error("io",
                fmt::format("cannot read {}: {}", name, got < 0 ? zip_file_strerror(entry) : "it has too many bytes"));
}

}  // namespace

NamedTensors read_npz(const Allocator& allocator, const std::string& path) {
    uint64_t left = FileReader(path).size();  // compressed bytes that entries may still claim: overlaps are refused
    // Checked against the headers that stand before the entries: two readers must not see two archives.
    Archive archive = open_archive(path, ZIP_RDONLY | ZIP_CHECKCONS, path);
    NamedTensors tensors;
    std::unordered_set<std::string> names;
    zip_int64_t count = zip_get_num_entries(archive.get(), 0);
    for (zip_int64_t i = 0; i < count; ++i) {
        auto index = static_cast<zip_uint64_t>(i);
        zip_stat_t status;
        constexpr zip_uint64_t needed = ZIP_STAT_NAME | ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE;
        if (zip_stat_index(archive.get(), index, 0, &status) != 0 || (status.valid & needed) != needed) {
            throw_error("io", fmt::format("cannot read {}: {}", path, zip_strerror(archive.get())));
        }
        std::string name = status.name, shown = fmt::format("{} in {}", name, path);
        if (!name.ends_with(extension)) throw_error("io", fmt::format("cannot read {}: it is not a .npy file", shown));
        name.resize(name.size() - extension.size());
        if (!names.insert(name).second) throw_error("io", fmt::format("cannot read {}: the name occurs twice", shown));
        if (status.comp_size > left || status.size / largest_expansion > status.comp_size) {
            throw_error("io", fmt::format("cannot read {}: the archive is damaged", shown));
        }
        left -= status.comp_size;
        Entry entry(zip_fopen_index(archive.get(), index, 0));
        if (!entry) throw_error("io", fmt::format("cannot read {}: {}", shown, zip_strerror(archive.get())));
        auto read = [&](std::span<std::byte> bytes) { read_entry(entry.get(), bytes, shown); };
        Tensor tensor = read_npy(allocator, status.size, read, shown);
        expect_end(entry.get(), shown);
        tensors.emplace_back(std::move(name), std::move(tensor));
    }
    return tensors;
}

void write_npz(const std::string& path, const NamedTensors& tensors, bool compressed) {
    if (tensors.empty()) {  // libzip would delete an archive without entries
        std::string end_of_directory("PK\5\6");
        end_of_directory.resize(22, '\0');
        return write_file(path, [&](FileWriter& file) { file.write(end_of_directory); });
    }
    for (const auto& [name, tensor] : tensors) {
        if (name.find('\0') != std::string::npos)
            throw_error("io", fmt::format("cannot write {}: the name '{}' has a NUL in it", path, name));
    }
    // libzip reads its sources when the archive is closed: headers and data stay alive until then.
    std::vector<std::string> headers;
    std::vector<Tensor> data;
    for (const auto& [name, tensor] : tensors) {
        headers.push_back(npy_header(tensor));
        data.push_back(tensor.contiguous());
    }
    replace_file(path, [&](const std::string& temporary) {
        Archive archive = open_archive(temporary, ZIP_CREATE | ZIP_TRUNCATE, path);
        auto fail = [&] { throw_error("io", fmt::format("cannot write {}: {}", path, zip_strerror(archive.get()))); };
        for (size_t i = 0; i < tensors.size(); ++i) {
            zip_buffer_fragment_t parts[] = {
                {reinterpret_cast<zip_uint8_t*>(headers[i].data()), headers[i].size()},
                {reinterpret_cast<zip_uint8_t*>(data[i].bytes()), data[i].element_bytes()},
            };
            zip_source_t* source = zip_source_buffer_fragment(archive.get(), parts, 2, 0);
            if (!source) fail();
            std::string name = tensors[i].first + std::string(extension);
            zip_int64_t index = zip_file_add(archive.get(), name.c_str(), source, ZIP_FL_ENC_UTF_8);
            if (index < 0) {
                zip_source_free(source);
                fail();
            }
            auto entry = static_cast<zip_uint64_t>(index);
            zip_set_file_compression(archive.get(), entry, compressed ? ZIP_CM_DEFLATE : ZIP_CM_STORE, 0);
            constexpr zip_uint16_t january_1_1980 = (1 << 5) | 1;  // as NumPy: the same tensors make the same file
            zip_file_set_dostime(archive.get(), entry, 0, january_1_1980, 0);
        }
        const auto interrupted = [](zip_t*, void*) { return interrupt::is_wanted() ? 1 : 0; };
        zip_register_cancel_callback_with_state(archive.get(), interrupted, nullptr, nullptr);
        if (zip_close(archive.get()) != 0) {
            check_interrupt();
            fail();
        }
        archive.release();
    });
}

}  // namespace tenon
