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

/// Writes a file that replaces another when finished.
class FileWriter {
public:
    void write(std::span<const std::byte> bytes);
    void write(std::string_view text) { write(std::as_bytes(std::span(text.data(), text.size()))); }

private:
    friend void write_file(const std::string& path, FunctionRef<void(FileWriter&)> body);
    FileWriter(int descriptor, const std::string& path) : descriptor_(descriptor), path_(path) {}

    int descriptor_;
    const std::string& path_;
};

/// Throws Error "io" for a path that no file can have: to the system it would end at its first NUL.
void check_path(const std::string& path);

/// Lets `body` write a new file in the folder of `path`, makes it durable and renames it to `path`. If anything fails,
/// or is interrupted, the old file stays and the new one is removed. Where `path` is a symbolic link, it is the file it
/// leads to that is replaced. Throws Error "io", and what `body` throws.
void write_file(const std::string& path, FunctionRef<void(FileWriter&)> body);

/// The same for libraries that write by name: `body` gets the name of an empty file to fill.
void replace_file(const std::string& path, FunctionRef<void(const std::string& temporary)> body);

}  // namespace tenon
