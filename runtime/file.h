// Files read with every length checked, and files that are either the old one or the new one, never half of each.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "runtime/function_ref.h"

namespace tenon {

/// Reads a regular file from front to back. Every function throws Error "io".
/// (Not a mapping: a file that somebody truncates while it is read must not end the process.)
class FileReader {
public:
    explicit FileReader(const std::string& path);
    ~FileReader();
    FileReader(const FileReader&) = delete;
    FileReader& operator=(const FileReader&) = delete;

    /// As the system tells it: 0 of files that are made when they are read (/proc).
    uint64_t size() const { return size_; }
    /// Fills `bytes` with what comes next; a file that ends before is an error.
    void read(std::span<std::byte> bytes);
    /// As much of that as there is at once; 0 at the end.
    size_t read_some(std::span<std::byte> bytes);

private:
    int descriptor_;
    uint64_t size_ = 0;
    std::string path_;
};

/// The whole of a file. Throws Error "io", also when it is larger than `limit`.
std::string read_text(const std::string& path, uint64_t limit = uint64_t{1} << 32);

/// Writes a file that replaces another when finished. What is written goes to the disk meanwhile, so that there is never
/// much that the end, or an interrupt, would have to wait for: a system writes dirty pages before it lets go of them.
class FileWriter {
public:
    FileWriter(const FileWriter&) = delete;
    FileWriter& operator=(const FileWriter&) = delete;

    /// At the position, which moves behind it: at first the beginning.
    void write(std::span<const std::byte> bytes);
    void write(std::string_view text) { write(std::as_bytes(std::span(text.data(), text.size()))); }

    uint64_t position() const { return position_; }
    uint64_t size() const { return size_; }
    /// Up to `size()`.
    void seek(uint64_t position);

private:
    friend void write_file(const std::string& path, FunctionRef<void(FileWriter&)> body);
    FileWriter(int descriptor, const std::string& path) : descriptor_(descriptor), path_(path) {}
    bool to_disk(uint64_t begin, unsigned how);
    void keep_pace();
    void make_durable();

    int descriptor_;
    const std::string& path_;
    uint64_t position_ = 0, size_ = 0;
    uint64_t on_its_way_ = 0;  // what the disk has been told to take, from the beginning
    bool paced_ = true;        // as far as the file system can do that
};

/// Throws Error "io" for a path that no file can have: to the system it would end at its first NUL.
void check_path(const std::string& path);

/// Lets `body` write a new file in the folder of `path`, makes it durable and renames it to `path`. If anything fails,
/// or is interrupted, the old file stays and the new one is removed. Where `path` is a symbolic link, it is the file it
/// leads to that is replaced. Throws Error "io", and what `body` throws.
void write_file(const std::string& path, FunctionRef<void(FileWriter&)> body);

}  // namespace tenon
