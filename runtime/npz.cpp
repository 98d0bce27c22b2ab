#include "runtime/npz.h"

#include <fmt/format.h>
#include <zip.h>

#include <algorithm>
#include <cerrno>
#include <exception>
#include <memory>
#include <unordered_set>
#include <utility>

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

Archive open_archive(const std::string& path) {
    int code = 0;
    // Checked against the headers that stand before the entries: two readers must not see two archives.
    Archive archive(zip_open(path.c_str(), ZIP_RDONLY | ZIP_CHECKCONS, &code));
    if (!archive && code == ZIP_ER_NOENT)  // of a file that was opened before
        throw_error("io", fmt::format("cannot open {}: it is no zip archive, or damaged", path));
    if (!archive) {
        zip_error_t error;
        zip_error_init_with_code(&error, code);
        std::string reason = zip_error_strerror(&error);
        zip_error_fini(&error);
        throw_error("io", fmt::format("cannot open {}: {}", path, reason));
    }
    return archive;
}

// An archive that is made in a file. What the file throws waits until libzip, which is no C++, has returned.
class NewArchive {
public:
    NewArchive(FileWriter& file, const std::string& path) : file_(file), path_(path) {
        zip_error_init(&error_);
        zip_source_t* const source = zip_source_function_create(answer, this, &error_);
        if (!source) fail();
        archive_.reset(zip_open_from_source(source, ZIP_CREATE | ZIP_TRUNCATE, &error_));
        if (archive_) return;
        zip_source_free(source);
        fail();
    }
    NewArchive(const NewArchive&) = delete;
    ~NewArchive() {
        archive_.reset();
        zip_error_fini(&error_);
    }

    /// The bytes are read when the archive is finished.
    void add(std::string name, std::span<zip_buffer_fragment_t> parts, bool compressed) {
        zip_source_t* source = zip_source_buffer_fragment(archive_.get(), parts.data(), parts.size(), 0);
        if (!source) fail();
        name += extension;
        const zip_int64_t index = zip_file_add(archive_.get(), name.c_str(), source, ZIP_FL_ENC_UTF_8);
        if (index < 0) {
            zip_source_free(source);
            fail();
        }
        const auto entry = static_cast<zip_uint64_t>(index);
        zip_set_file_compression(archive_.get(), entry, compressed ? ZIP_CM_DEFLATE : ZIP_CM_STORE, 0);
        constexpr zip_uint16_t january_1_1980 = (1 << 5) | 1;  // as NumPy: the same tensors make the same file
        zip_file_set_dostime(archive_.get(), entry, 0, january_1_1980, 0);
    }
    void finish() {
        if (zip_close(archive_.get()) != 0) {
            if (thrown_) std::rethrow_exception(std::exchange(thrown_, {}));
            fail();
        }
        static_cast<void>(archive_.release());
    }

private:
    [[noreturn]] void fail() {
        const char* const reason = archive_ ? zip_strerror(archive_.get()) : zip_error_strerror(&error_);
        throw_error("io", fmt::format("cannot write {}: {}", path_, reason));
    }
    zip_int64_t refuse(int code, int system) {
        zip_error_set(&error_, code, system);
        return -1;
    }
    zip_int64_t write(std::span<const std::byte> bytes) {
        if (thrown_) return refuse(ZIP_ER_WRITE, EIO);
        try {
            file_.write(bytes);
            return static_cast<zip_int64_t>(bytes.size());
        } catch (...) {
            thrown_ = std::current_exception();
            return refuse(ZIP_ER_WRITE, EIO);
        }
    }
    static zip_int64_t answer(void* archive, void* data, zip_uint64_t length, zip_source_cmd_t command) {
        NewArchive& self = *static_cast<NewArchive*>(archive);
        switch (command) {
            case ZIP_SOURCE_SUPPORTS:
                return zip_source_make_command_bitmap(
                    ZIP_SOURCE_OPEN, ZIP_SOURCE_READ, ZIP_SOURCE_CLOSE, ZIP_SOURCE_STAT, ZIP_SOURCE_ERROR,
                    ZIP_SOURCE_FREE, ZIP_SOURCE_SEEK, ZIP_SOURCE_TELL, ZIP_SOURCE_BEGIN_WRITE, ZIP_SOURCE_COMMIT_WRITE,
                    ZIP_SOURCE_ROLLBACK_WRITE, ZIP_SOURCE_WRITE, ZIP_SOURCE_SEEK_WRITE, ZIP_SOURCE_TELL_WRITE,
                    ZIP_SOURCE_REMOVE, ZIP_SOURCE_SUPPORTS, -1);
            case ZIP_SOURCE_ERROR: return zip_error_to_data(&self.error_, data, length);
            case ZIP_SOURCE_STAT: return self.refuse(ZIP_ER_READ, ENOENT);  // there is no archive to be read
            case ZIP_SOURCE_WRITE: return self.write({static_cast<const std::byte*>(data), length});
            case ZIP_SOURCE_TELL_WRITE: return static_cast<zip_int64_t>(self.file_.position());
            case ZIP_SOURCE_SEEK_WRITE: {
                const zip_int64_t to = zip_source_seek_compute_offset(self.file_.position(), self.file_.size(), data,
                                                                      length, &self.error_);
                if (to < 0) return -1;
                self.file_.seek(static_cast<uint64_t>(to));
                return 0;
            }
            case ZIP_SOURCE_BEGIN_WRITE:  // what becomes of the file is its writer's business
            case ZIP_SOURCE_COMMIT_WRITE:
            case ZIP_SOURCE_ROLLBACK_WRITE:
            case ZIP_SOURCE_FREE: return 0;
            default: return self.refuse(ZIP_ER_OPNOTSUPP, 0);
        }
    }

    FileWriter& file_;
    const std::string& path_;
    zip_error_t error_;
    std::exception_ptr thrown_;
    Archive archive_;
};

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
    const Archive archive = open_archive(path);
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
    write_file(path, [&](FileWriter& file) {
        NewArchive archive(file, path);
        for (size_t i = 0; i < tensors.size(); ++i) {
            zip_buffer_fragment_t parts[] = {
                {reinterpret_cast<zip_uint8_t*>(headers[i].data()), headers[i].size()},
                {reinterpret_cast<zip_uint8_t*>(data[i].bytes()), data[i].element_bytes()},
            };
            archive.add(tensors[i].first, parts, compressed);
        }
        archive.finish();
    });
}

}  // namespace tenon
