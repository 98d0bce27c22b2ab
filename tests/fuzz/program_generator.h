// The parts of a program, chosen at random. Its pieces are spread over program_*.cpp by what they write.
#pragma once

#include <fmt/format.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/fuzz/generator.h"
#include "tests/fuzz/random.h"
#include "tests/fuzz/script.h"

namespace tenon::fuzz {

/// A dimension is told by the expression that gives its size: "n", "3", "n * m". Equal texts are equal sizes.
using Shape = std::vector<std::string>;

struct Variable {
    std::string name;
    std::string dtype;
    Shape shape;
    bool is_leaf = false;  ///< requires a gradient, so that nothing is to be written into it

    bool is_float() const { return dtype[0] == 'f' || dtype[0] == 'b'; }
    bool is_bool() const { return dtype == "bool"; }
    size_t rank() const { return shape.size(); }
};

/// How often each kind of statement is chosen.
struct Weights {
    int value = 10, write = 2, view = 2, host = 2, branch = 1, loop = 1, decision = 1, mark = 1, print = 0, attempt = 1,
        derivative = 1, map = 1, random = 1, call = 1;
};

Weights weights_of(Profile profile);

class ProgramGenerator {
public:
    ProgramGenerator(uint64_t seed, Profile profile)
        : random_(seed * profile_count + static_cast<uint64_t>(profile)), profile_(profile),
          weights_(weights_of(profile)) {}

    Statements program();

private:
    using Scope = std::vector<Variable>;
    /// An expression, and what it gives.
    struct Made {
        std::string text;
        std::string dtype;
        Shape shape;
    };
    struct Parameter {
        std::string name, dtype;
        Shape shape;
    };

    std::string fresh(std::string_view stem) { return fmt::format("{}{}", stem, ++count_); }
    /// A variable of the scope that is as wanted, null where there is none. The pointer is good until the scope grows.
    const Variable* some(const Scope& scope, const auto& wanted) {
        std::vector<const Variable*> found;
        for (const Variable& v : scope)
            if (wanted(v)) found.push_back(&v);
        if (found.empty()) return nullptr;
        // What was made last is used most: programs are chains with side branches.
        if (random_.chance(0.5)) return found.back();
        return found[random_.below(found.size())];
    }

    // program_values.cpp
    const Variable* some_float(const Scope& scope, size_t least_rank = 0);
    static Shape without(Shape shape, size_t dim);
    static std::string promoted(const std::string& a, const std::string& b);
    /// The shape of `a` with `b`; none where they do not broadcast for all sizes.
    static std::optional<Shape> broadcast(const Shape& a, const Shape& b);
    Made unary(const Variable& a);
    std::optional<Made> binary(const Scope& scope, const Variable& a);
    std::optional<Made> reduction(const Variable& a);
    std::optional<Made> along(const Variable& a);
    /// The same elements elsewhere: a view, where `in_memory` is asked for only such as share memory.
    std::optional<Made> movement(const Variable& a, bool in_memory);
    static std::string reversed_dims(size_t rank);
    static std::string minus_ones(size_t rank);
    std::optional<Made> product(const Scope& scope, const Variable& a);
    /// What is done to images, with `a` as images of one channel: it keeps the shape.
    std::optional<Made> image(const Variable& a);
    std::optional<Made> cast(const Variable& a);
    std::optional<Made> made(const Scope& scope);
    /// A number of the host: a literal, a parameter, a size, a sum kept in a list.
    std::string number(const Scope& scope);
    void define(Statements& out, Scope& scope, const Made& m);
    std::string literal();

    // program_statements.cpp
    void value(Statements& out, Scope& scope);
    /// Two variables that are the results of one op.
    void results(Statements& out, Scope& scope);
    void write(Statements& out, Scope& scope);
    void view(Statements& out, Scope& scope);
    void host(Statements& out, Scope& scope);
    /// Statements in a block that may not run: what they make is not seen outside.
    Statements inner(const Scope& scope, int depth, int least = 1, int most = 3);
    void branch(Statements& out, Scope& scope, int depth);
    void loop(Statements& out, Scope& scope, int depth);
    void decision(Statements& out, Scope& scope, int depth);
    std::string checkpoint();
    void marked(Statements& out, Scope& scope, int depth);
    void print(Statements& out, Scope& scope);
    void show(Statements& out, const Variable& a);
    void attempt(Statements& out, Scope& scope, int depth);
    void random_numbers(Statements& out, Scope& scope);
    void call(Statements& out, Scope& scope);
    /// Statements that a checkpoint or `no_compile` may hold.
    void plain_statement(Statements& out, Scope& scope, int);
    void statement(Statements& out, Scope& scope, int depth);

    // program_derivatives.cpp
    /// A pure expression of `z`, of the same shape, for the functions that are differentiated and mapped.
    std::string pure(std::string z, int most = 3);
    void derivative(Statements& out, Scope& scope, int depth);
    /// The name of a function with a gradient of its own, which keeps the shape.
    std::string own_gradient(Statements& out);
    /// Hooks of a leaf; `is_added`: its `.grad` is added to.
    void hooks(Statements& out, const std::string& leaf, bool is_added);
    std::string turns(const std::string& x, const std::string& scaled);
    std::string sides(const std::string& x, const std::string& scaled);
    void map(Statements& out, Scope& scope);

    // program_functions.cpp
    /// A function of one float tensor of any shape, which gives one of the same shape.
    void helper();
    void function_with_calls();
    std::string elements(const std::string& dtype, const std::vector<int>& sizes);
    void calls(const std::string& name, const std::vector<Parameter>& parameters, size_t results);
    static std::vector<std::string> inputs_of(const Statements& lines);
    static Shape concrete(Shape shape, int n, int m);

    // program_training.cpp
    void training();

    // program_smooth.cpp
    std::string smooth_expression(const std::vector<std::string>& names, int depth);
    void smooth_program();

    Random random_;
    Profile profile_;
    Weights weights_;
    Statements program_;
    std::vector<std::string> helpers_;  ///< names of functions that keep the shape
    int count_ = 0;                     ///< of names
    bool in_function_ = false;          ///< where the parameter k is there
};

}  // namespace tenon::fuzz
