// One line at a time from a person (with history and completion) or from a pipe.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace tenon {

class LineEditor {
public:
    /// What could stand where `prefix` stands.
    using Complete = std::function<std::vector<std::string>(std::string_view prefix)>;

    explicit LineEditor(Complete complete);
    ~LineEditor();
    LineEditor(const LineEditor&) = delete;
    LineEditor& operator=(const LineEditor&) = delete;

    bool is_terminal() const;
    enum class Result { line, end, interrupted };
    /// `line` is without its newline. Ctrl-C gives `interrupted`, Ctrl-D on an empty line `end`.
    Result read(const char* prompt, std::string& line);
    /// What the arrow keys find later, here and in the next sessions.
    void remember(const std::string& entry);

private:
    struct Terminal;
    std::unique_ptr<Terminal> terminal_;  // null in a pipe
};

}  // namespace tenon
