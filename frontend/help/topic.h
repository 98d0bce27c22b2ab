// What can be looked up by name: one topic a built-in row, library function, statement, annotation key, pass, op, …
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tenon {

struct Topic {
    std::string name;                 ///< what is looked up: "softmax", "while", "std.nn"
    std::string signature;            ///< how it is written: "softmax(x: tensor, dim: int = -1)"
    std::string tag;                  ///< what it is: "method of str", "statement", "std.nn"
    std::string about;                ///< what it means; lines as they are shown
    std::string section;              ///< the heading in docs/reference.md
    std::string part;                 ///< a heading below it, or empty
    std::vector<std::string> owners;  ///< "str" of its methods, "std.nn" of Linear: `str.strip`, `std.nn.Linear`
};

using Topics = std::vector<Topic>;

}  // namespace tenon
