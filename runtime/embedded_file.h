// A text file that the build put into the binary.
#pragma once
#include <span>
#include <string_view>

namespace tenon {

struct EmbeddedFile {
    std::string_view name;  // without folder and extension: "nn"
    std::string_view text;
};

}  // namespace tenon
