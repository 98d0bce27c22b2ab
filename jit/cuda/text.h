// CUDA C++ text under construction.
#pragma once
#include <cstdint>
#include <string>

namespace tenon::cuda_engine {

/// Lines of code, with fresh names.
class Writer {
public:
    void line(const std::string& text) { text_ += std::string(size_t(depth_) * 4, ' ') + text + "\n"; }
    void open(const std::string& text) {
        line(text);
        ++depth_;
    }
    void close(const std::string& text = "}") {
        --depth_;
        line(text);
    }
    /// `const float t3 = expression;`; returns "t3".
    std::string define(const std::string& type, const std::string& expression) {
        const std::string name = fresh();
        line("const " + type + " " + name + " = " + expression + ";");
        return name;
    }
    std::string fresh() { return "t" + std::to_string(next_++); }
    const std::string& text() const { return text_; }

private:
    std::string text_;
    int depth_ = 0;
    int next_ = 0;
};

/// Of a type by its name in kernels.cuh: "f32", "i64", "u8", "bool".
std::string literal(float);
std::string literal(double);
std::string literal(const std::string& type, int64_t value);

}  // namespace tenon::cuda_engine
