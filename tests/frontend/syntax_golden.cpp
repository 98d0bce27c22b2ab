// Scripts that are not valid, and what is said about them. TENON_BLESS=1 accepts what is said now.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

#include "tests/frontend/syntax_support.h"

namespace tenon::syntax_tests {

TEST(SyntaxErrors, SayWhatTheySaidBefore) {
    bool bless = std::getenv("TENON_BLESS") != nullptr;
    std::vector<std::filesystem::path> all = scripts(folder("errors"));
    EXPECT_GE(all.size(), 30u);
    for (const auto& path : all) {
        Looked script(read(path), path.filename().string());
        std::string said = script.errors();
        EXPECT_FALSE(script.diagnostics.empty()) << path << " has no error";
        auto expected = std::filesystem::path(path).replace_extension(".expected");
        if (bless) std::ofstream(expected, std::ios::binary) << said;
        EXPECT_EQ(said, read(expected)) << path;
    }
}

TEST(SyntaxErrors, PointIntoTheirText) {
    for (const auto& path : scripts(folder("errors"))) {
        Looked script(read(path), path.filename().string());
        for (const Diagnostic& diagnostic : script.diagnostics) {
            ASSERT_EQ(diagnostic.span.source, 1u) << path;
            EXPECT_LE(diagnostic.span.begin, diagnostic.span.end) << path;
            EXPECT_LE(diagnostic.span.end, script.sources.text(1).size()) << path;
            EXPECT_FALSE(diagnostic.message.empty()) << path;
        }
    }
}

}  // namespace tenon::syntax_tests
