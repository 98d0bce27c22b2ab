// What is made wrong: the project's own scripts, files of tensors, and the graphs of those scripts at every level.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::fuzz {

enum class Input : uint8_t { checked_script, script, graph, npy, npz, safetensors };
constexpr int input_count = 6;
std::string_view name_of(Input input);

/// The well-formed inputs of each sort. Throws where the sources of the project are not there.
class Corpus {
public:
    Corpus();
    const std::vector<std::string>& of(Input input) const { return texts_[static_cast<size_t>(input)]; }

private:
    void add(Input input, std::string text) { texts_[static_cast<size_t>(input)].push_back(std::move(text)); }
    void add_scripts();
    void add_graphs_of(const std::string& script);
    void add_files();

    std::array<std::vector<std::string>, input_count> texts_;
};

}  // namespace tenon::fuzz
