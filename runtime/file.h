// Files in memory, and files that are either the old one or the new one, never half of each.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "runtime/function_ref.h"

namespace tenon {

/// A file mapped read-only. Throws Error "io".
class MappedFile {
public:
    explicit MappedFile(const std::string& path);
    ~MappedFile();
    MappedFile(const MappedFile&) = delete;
    MappedFile& operator=(const MappedFile&) = delete;

    std::span<const std::byte> bytes() const { return {data_, size_}; }

private:
    const std::byte* data_ = nullptr;
    size_t size_ = 0;
};

/// Writes to a file that replaces `path` when finished.
class FileWriter {
public:
    void write(std::span<const std::byte> bytes);
    void write(std::string_view text) { write(std::as_bytes(std::span(text.data(), text.size()))); }

private:
    friend void write_file(const std::string&, FunctionRef<void(FileWriter&)>);
    FileWriter(int descriptor, const std::string& path) : descriptor_(descriptor), path_(path) {}

    int descriptor_;
    const std::string& path_;
};

/// Lets `body` write a new file in the folder of `path`, makes it durable and renames it to `path`. If anything fails
/// the old file stays and the new one is removed. Throws Error "io", and what `body` throws.
void write_file(const std::string& path, FunctionRef<void(FileWriter&)> body);

}  // namespace tenon
