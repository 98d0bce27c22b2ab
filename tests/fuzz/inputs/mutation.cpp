#include "tests/fuzz/inputs/mutation.h"

#include <algorithm>
#include <cctype>
#include <vector>

namespace tenon::fuzz {

namespace {

// A piece of a text: where it begins, and how long it is (at most `longest`).
struct Piece {
    size_t begin, size;
};
Piece piece_of(std::string_view text, size_t longest, Random& random) {
    if (text.empty()) return {0, 0};
    const size_t begin = random.below(text.size());
    return {begin, 1 + random.below(std::min(longest, text.size() - begin))};
}

// Words, numbers, runs of blanks, and everything else by itself.
std::vector<std::string> words_of(std::string_view text) {
    const auto kind = [](char c) {
        const auto byte = static_cast<unsigned char>(c);
        return std::isalnum(byte) || c == '_' ? 'w' : c == ' ' ? ' ' : byte >= 0x80 ? 'u' : 'x';
    };
    std::vector<std::string> words;
    for (size_t at = 0; at < text.size();) {
        size_t end = at + 1;
        if (kind(text[at]) != 'x')
            while (end < text.size() && kind(text[end]) == kind(text[at])) ++end;
        words.emplace_back(text.substr(at, end - at));
        at = end;
    }
    return words;
}

constexpr const char* numbers[] = {"0",
                                   "1",
                                   "-1",
                                   "2",
                                   "3",
                                   "7",
                                   "64",
                                   "1000",
                                   "2147483648",
                                   "4294967296",
                                   "9223372036854775807",
                                   "9223372036854775808",
                                   "-9223372036854775808",
                                   "99999999999999999999",
                                   "1e308",
                                   "1e999",
                                   "0.5",
                                   "-0.0",
                                   "nan",
                                   "inf",
                                   "1e-45",
                                   "0x10"};
constexpr const char* signs[] = {"(",  ")",  "[",  "]", "{",  "}",    ",",        ":",    "=",    "+",
                                 "-",  "*",  "/",  "@", ".",  "\"",   "'",        "\n",   "#",    "->",
                                 "==", "**", "//", "%", "\\", "\xff", "\xc3\xa9", "\x1b", "f\"{", "\"\"\""};

bool is_number(const std::string& word) { return std::isdigit(static_cast<unsigned char>(word[0])); }
bool is_name(const std::string& word) { return std::isalpha(static_cast<unsigned char>(word[0])) || word[0] == '_'; }

}  // namespace

std::string mutate_bytes(std::string data, std::string_view other, Random& random) {
    constexpr size_t longest = 32;
    for (int k = random.between(1, 4); k > 0; --k) {
        const Piece piece = piece_of(data, longest, random);
        switch (random.below(8)) {
            case 0:
                if (!data.empty()) data[piece.begin] = static_cast<char>(data[piece.begin] ^ (1 << random.below(8)));
                break;
            case 1:
                if (!data.empty()) data[piece.begin] = static_cast<char>(random.pick({0, 1, 0x7f, 0x80, 0xff, 0x20}));
                break;
            case 2: data.insert(piece.begin, 1, static_cast<char>(random.below(256))); break;
            case 3: data.erase(piece.begin, piece.size); break;
            case 4: data.insert(random.below(data.size() + 1), data.substr(piece.begin, piece.size)); break;
            case 5: data.resize(random.below(data.size() + 1)); break;
            case 6: {
                const Piece from = piece_of(other, longest, random);
                data.replace(piece.begin, piece.size, other.substr(from.begin, from.size));
                break;
            }
            default:  // a number of some width, where there may be one
                for (size_t i = piece.begin, width = size_t{1} << random.below(4); i < data.size() && width-- > 0; ++i)
                    data[i] = static_cast<char>(random.pick({0, 0xff, 0xff, 0x7f, 0x01}));
        }
    }
    return data;
}

std::string mutate_words(std::string_view text, std::string_view other, Random& random) {
    constexpr size_t longest = 8;
    std::vector<std::string> words = words_of(text);
    const std::vector<std::string> lent = words_of(other);
    const auto run = [&](const std::vector<std::string>& from) {
        const size_t begin = random.below(from.size());
        const size_t size = 1 + random.below(std::min(longest, from.size() - begin));
        return std::vector<std::string>(from.begin() + static_cast<ptrdiff_t>(begin),
                                        from.begin() + static_cast<ptrdiff_t>(begin + size));
    };
    // A word of the wanted sort from a random place on; any word where there is none.
    const auto some = [&](auto wanted) {
        const size_t begin = random.below(words.size());
        for (size_t k = 0; k < words.size(); ++k)
            if (const size_t at = (begin + k) % words.size(); wanted(words[at])) return at;
        return begin;
    };
    for (int k = random.between(1, 3); k > 0 && !words.empty() && !lent.empty(); --k) {
        const size_t at = random.below(words.size());
        const auto place = words.begin() + static_cast<ptrdiff_t>(at);
        switch (random.below(9)) {
            case 0: words[some(is_number)] = numbers[random.below(std::size(numbers))]; break;
            case 1: words[some(is_name)] = words[some(is_name)]; break;
            case 2: words[some(is_name)] = lent[random.below(lent.size())]; break;
            case 3: words.erase(place); break;
            case 4: std::swap(words[at], words[random.below(words.size())]); break;
            case 5: words.insert(place, signs[random.below(std::size(signs))]); break;
            case 6: {
                const std::vector<std::string> again = run(words);
                words.insert(words.begin() + static_cast<ptrdiff_t>(at), again.begin(), again.end());
                break;
            }
            case 7: {
                const std::vector<std::string> more = run(lent);
                words.insert(place, more.begin(), more.end());
                break;
            }
            default: {  // a line more often, or not at all
                const auto is_end = [](const std::string& word) { return word == "\n"; };
                const auto begin = std::find_if(place, words.end(), is_end);
                if (begin == words.end()) break;
                const auto end = std::find_if(begin + 1, words.end(), is_end);
                if (random.chance(0.5)) {
                    words.erase(begin, end);
                } else {
                    const std::vector<std::string> line(begin, end);
                    words.insert(end, line.begin(), line.end());
                }
            }
        }
    }
    std::string out;
    for (const std::string& word : words) out += word;
    return out;
}

}  // namespace tenon::fuzz
