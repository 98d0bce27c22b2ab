// What `tenon help NAME` and `:help NAME` say, and docs/reference.md, which is all of it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "frontend/help/topic.h"

namespace tenon {

class BuiltinTable;

class Help {
public:
    explicit Help(const BuiltinTable& builtins);

    /// Everything of that name ("softmax", "str.strip", "std.nn.Linear"), and the names that belong to it ("str",
    /// "std.nn"); empty where there is nothing.
    std::string about(std::string_view name) const;
    /// What to say of a name that is not there: "did you mean `softmax`?"; may be empty.
    std::string suggestion(std::string_view name) const;
    /// docs/reference.md. Throws Error "internal", which names what nothing tells of: a row, word or library function.
    std::string reference() const;

private:
    void check() const;

    Topics topics_;
};

}  // namespace tenon
