#include "runtime/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <system_error>
#include <utility>

#include "runtime/diagnostic.h"
#include "runtime/interrupt.h"

namespace tenon {

namespace {

constexpr size_t most_at_once = size_t{8} << 20;      // between two looks for an interrupt
constexpr uint64_t disk_part = uint64_t{4} << 20;     // what is given to the disk at once; two are on their way
constexpr uint64_t kept_pages = uint64_t{32} << 20;   // of what was written: the system takes time to let go of more

[[noreturn]] void throw_system_error(std::string_view verb, const std::string& path) {
    std::string reason = std::generic_category().message(errno);
    throw_error("io", fmt::format("cannot {} {}: {}", verb, path, reason));
}

std::string folder_of(const std::string& path) {
    size_t slash = path.rfind('/');
    return slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}

// A file descriptor that closes itself.
class Descriptor {
public:
    explicit Descriptor(int number) : number_(number) {}
    ~Descriptor() {
        if (number_ >= 0) ::close(number_);
    }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    int number() const { return number_; }
    int close() { return ::close(std::exchange(number_, -1)); }

private:
    int number_;
};

// Where a path leads: links that lead nowhere yet included.
std::string follow_links(std::string path) {
    constexpr int most = 40;  // as many as the system follows
    for (int k = 0; k < most; ++k) {
        char target[PATH_MAX];
        const ssize_t length = readlink(path.c_str(), target, sizeof target);
        if (length < 0) return path;
        const std::string next(target, static_cast<size_t>(length));
        path = next.starts_with('/') ? next : folder_of(path) + "/" + next;
    }
    errno = ELOOP;
    throw_system_error("write", path);
}

}  // namespace

void check_path(const std::string& path) {
    if (path.find('\0') == std::string::npos) return;
    throw_error("io", fmt::format("there is no file {}: a path has no NUL in it", path));
}

FileReader::FileReader(const std::string& path) : descriptor_(-1), path_(path) {
    check_path(path);
    // Not blocking: opening a named pipe must not wait for a writer.
    Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (file.number() < 0) throw_system_error("open", path);
    struct stat status;
    if (fstat(file.number(), &status) != 0) throw_system_error("open", path);
    if (!S_ISREG(status.st_mode)) throw_error("io", fmt::format("cannot open {}: it is not a regular file", path));
    size_ = static_cast<uint64_t>(status.st_size);
    descriptor_ = dup(file.number());
    if (descriptor_ < 0) throw_system_error("open", path);
}

FileReader::~FileReader() { ::close(descriptor_); }

size_t FileReader::read_some(std::span<std::byte> bytes) {
    for (;;) {
        check_interrupt();
        const ssize_t got = ::read(descriptor_, bytes.data(), std::min(bytes.size(), most_at_once));
        if (got >= 0) return static_cast<size_t>(got);
        if (errno != EINTR) throw_system_error("read", path_);
    }
}

void FileReader::read(std::span<std::byte> bytes) {
    while (!bytes.empty()) {
        const size_t got = read_some(bytes);
        if (got == 0)
            throw_error("io", fmt::format("{} ends too early: {} more bytes were expected", path_, bytes.size()));
        bytes = bytes.subspan(got);
    }
}

std::string read_text(const std::string& path, uint64_t limit) {
    FileReader file(path);
    auto check = [&](uint64_t size) {
        if (size <= limit) return;
        throw_error("io", fmt::format("{} has {} bytes, more than the {} that are read at once", path, size, limit));
    };
    check(file.size());
    std::string text(file.size(), '\0');
    file.read(std::as_writable_bytes(std::span(text)));
    if (!text.empty()) return text;
    for (size_t got = 1; got > 0;) {
        const size_t before = text.size();
        text.resize(before + 4096);
        got = file.read_some(std::as_writable_bytes(std::span(text)).subspan(before));
        text.resize(before + got);
        check(text.size());
    }
    return text;
}

void FileWriter::write(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
        check_interrupt();
        const ssize_t put =
            ::pwrite(descriptor_, bytes.data(), std::min(bytes.size(), most_at_once), static_cast<off_t>(position_));
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) throw_system_error("write", path_);
        bytes = bytes.subspan(static_cast<size_t>(put));
        position_ += static_cast<uint64_t>(put);
        size_ = std::max(size_, position_);
        keep_pace();
    }
}

void FileWriter::seek(uint64_t position) {
    assert(position <= size_);
    position_ = position;
}

// False where the file system cannot do that. An error of the disk is told once, so it has to be heard here.
bool FileWriter::to_disk(uint64_t begin, unsigned how) {
    while (sync_file_range(descriptor_, static_cast<off_t>(begin), static_cast<off_t>(disk_part), how) != 0) {
        if (errno == EINVAL || errno == ENOSYS || errno == ESPIPE || errno == ENOTSUP) return false;
        if (errno != EINTR) throw_system_error("write", path_);
        check_interrupt();
    }
    return true;
}

void FileWriter::keep_pace() {
    constexpr unsigned begin = SYNC_FILE_RANGE_WRITE;
    constexpr unsigned wait = SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
    while (paced_ && size_ - on_its_way_ >= disk_part) {
        check_interrupt();
        paced_ = to_disk(on_its_way_, begin) && (on_its_way_ < disk_part || to_disk(on_its_way_ - disk_part, wait));
        on_its_way_ += disk_part;
        if (on_its_way_ > kept_pages + disk_part)
            static_cast<void>(posix_fadvise(descriptor_, static_cast<off_t>(on_its_way_ - kept_pages - disk_part),
                                            static_cast<off_t>(disk_part), POSIX_FADV_DONTNEED));
    }
}

void FileWriter::make_durable() {
    check_interrupt();
    // Some file systems (and pipes) have nothing to synchronise and say EINVAL.
    if (fsync(descriptor_) != 0 && errno != EINVAL && errno != ENOTSUP) throw_system_error("write", path_);
}

void write_file(const std::string& asked, FunctionRef<void(FileWriter&)> body) {
    check_path(asked);
    const std::string path = follow_links(asked);
    struct stat status;
    bool exists = stat(path.c_str(), &status) == 0;
    if (exists && !S_ISREG(status.st_mode)) {
        throw_error("io", fmt::format("cannot write {}: it exists and is not a regular file", path));
    }
    std::string temporary;
    int number = -1;
    for (int attempt = 0; number < 0; ++attempt) {
        temporary = fmt::format("{}.{}-{}.tmp", path, getpid(), attempt);
        number = open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (number < 0 && (errno != EEXIST || attempt == 100)) throw_system_error("write", path);
    }
    Descriptor file(number);
    if (exists) static_cast<void>(!fchmod(number, status.st_mode & 0777));  // its mode is kept where that can be done
    try {
        FileWriter writer(number, path);
        body(writer);
        writer.make_durable();
        if (file.close() != 0 || rename(temporary.c_str(), path.c_str()) != 0) throw_system_error("write", path);
    } catch (...) {
        unlink(temporary.c_str());
        throw;
    }
    Descriptor folder(open(folder_of(path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (folder.number() >= 0)
        fsync(folder.number());  // the new name survives a crash too, where the system can do that
}

}  // namespace tenon
