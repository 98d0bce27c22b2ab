#include "tests/fuzz/script.h"

#include <algorithm>
#include <cstddef>

namespace tenon::fuzz {

namespace {

using Kind = Statement::Kind;

void write(const Statements& statements, size_t depth, Marks marks, std::string& out) {
    const std::string indent(4 * depth, ' ');
    for (const Statement& s : statements) {
        bool is_mark = s.kind == Kind::mark || s.kind == Kind::mark_block;
        if (is_mark && marks == Marks::removed) {
            write(s.body, depth, marks, out);
            continue;
        }
        out += indent + s.text;
        if (s.kind == Kind::block || s.kind == Kind::mark_block) {
            out += " {\n";
            write(s.body, depth + 1, marks, out);
            out += indent + "}";
            if (!s.joint.empty()) {
                out += " " + s.joint + " {\n";
                write(s.otherwise, depth + 1, marks, out);
                out += indent + "}";
            }
        }
        out += "\n";
    }
}

size_t size_of(const Statements& statements) {
    size_t size = 0;
    for (const Statement& s : statements) size += 1 + size_of(s.body) + size_of(s.otherwise);
    return size;
}

// Calls `found` with each smaller form of `whole` that differs from it somewhere inside `part`.
template <class Found> void shrink(const Statements& whole, Statements& part, const Found& found) {
    for (size_t k = 0; k < part.size(); ++k) {
        Statement kept = part[k];
        part.erase(part.begin() + static_cast<std::ptrdiff_t>(k));
        found(whole);
        if (!kept.body.empty() && !kept.text.starts_with("fn ") && !kept.text.starts_with("model ")) {
            part.insert(part.begin() + static_cast<std::ptrdiff_t>(k), kept.body.begin(), kept.body.end());
            found(whole);
            part.erase(part.begin() + static_cast<std::ptrdiff_t>(k),
                       part.begin() + static_cast<std::ptrdiff_t>(k + kept.body.size()));
        }
        part.insert(part.begin() + static_cast<std::ptrdiff_t>(k), kept);
        shrink(whole, part[k].body, found);
        shrink(whole, part[k].otherwise, found);
    }
}

}  // namespace

std::string text_of(const Statements& script, Marks marks) {
    std::string out;
    write(script, 0, marks, out);
    return out;
}

bool has_marks(const Statements& script) {
    return std::any_of(script.begin(), script.end(), [](const Statement& s) {
        return s.kind == Kind::mark || s.kind == Kind::mark_block || has_marks(s.body) || has_marks(s.otherwise);
    });
}

std::vector<Statements> smaller_ones(const Statements& script) {
    std::vector<Statements> all;
    Statements changing = script;
    shrink(changing, changing, [&](const Statements& smaller) { all.push_back(smaller); });
    std::stable_sort(all.begin(), all.end(),
                     [](const Statements& a, const Statements& b) { return size_of(a) < size_of(b); });
    return all;
}

}  // namespace tenon::fuzz
