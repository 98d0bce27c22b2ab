// The textual form of a graph. parse(print(g)) == g (tests/graphs has what it looks like); numbering and spelling are canonical.
//
//   graph f(x: f32[n] {pp_stage: 0}) -> f32[n] {
//       sin = sin(x)                    : f32[n]  {pp_stage: 0}  @3:40
//       sum = sum(sin, axes: [0])       : f32[]
//       return sum
//   }
// Literals stand in place of operands (`mul(x, 2)`), with a dtype where it is not that of the node's first data operand
// (`where(less, 1:f32, 0:f32)`). A node with regions prints them in braces after its type. `recompute` and `no_grad`
// are flags after the metadata. Captured tensors print `const #k`. After the types of the results the head says which
// dimensions symbols are, where that is not the first that is just one (`where n = x.0`), and what is known of them
// (`given n*m == 4*k`).
#pragma once
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "ir/graph.h"

namespace tenon {

struct PrintOptions {
    bool origins = true;                      // "@3:40  d sin"
    std::function<std::string(Span)> locate;  // "3:40"; without it spans are left out
};
std::string print(const Graph&, const PrintOptions& = {});
std::string print_node(const Graph&, NodeId, const PrintOptions& = {});  // one line
std::string print_nest(const Graph&, NodeId, const PrintOptions& = {});  // with its regions, which are more lines
std::string print_type(const Context&, TypeId, const std::vector<std::string>& symbol_names);
std::string print_record(const Context&, const Record&,
                         const std::vector<std::string>& symbol_names = {});  // "a: 1, b: \"x\""

// Throws Error kind "graph" with a span into `text` (source number `source`; its nodes' origins are there, if it is not
// 0). Captured tensors `const #k` are taken from `tensors`.
GraphRef parse_graph(Context&, std::string_view text, uint32_t source = 0, std::span<const Tensor> tensors = {});

// The first node that breaks a rule of graphs, and how.
struct Fault {
    NodeId node;
    std::string message, help;
};
enum class Symbols : uint8_t {
    defined,   // each is a dimension of an input, or a data-dependent node's
    borrowed,  // a part of a graph may lack the definers of some
};
std::optional<Fault> find_fault(const Graph&, Symbols = Symbols::defined);
// Throws Error kind "internal" naming node and rule broken.
void verify(const Graph&, Symbols = Symbols::defined);

}  // namespace tenon
