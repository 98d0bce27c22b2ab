// Graphs for machines and as pictures; ir/text/text.h has the form for people.
#pragma once
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "ir/graph.h"

namespace tenon {

struct SourcePlace {  // counted from 1
    std::string file;
    uint32_t line = 0, column = 0;
};

// {"stage": …, "graphs": […]}; a graph is
//   {"name", "symbols": [{"name", "definer", "dimension", "hint"}], "equalities": [[size, size]], "parameters": […],
//    "nodes": […], "results": […]}
// a node, or parameter,
//   {"name", "op", "operands", "type", "attributes", "metadata", "flags", "origin", "regions"}
// where what is empty is left out. An operand is {"node": name}, {"literal": number, "dtype"} or {"tensor": number}; a
// type is {"text": "f32[n]", "kind", "dtype", "shape", "device"} or, of a tuple, {…, "elements"}; an origin is {"file",
// "line", "column", "rule", "differentiated", "path"}; a region is {"parameters", "nodes", "results"}. Sizes are
// numbers, or text where they are symbolic; infinities and nan are text.
std::string print_json(std::string_view stage, std::span<const GraphRef> graphs,
                       const std::function<SourcePlace(Span)>& locate = {});

// For Graphviz: a cluster a graph, within it one a call, fusion, kernel and loop. Colours tell how an op is computed.
// Edges that enter a cluster lead to its parameters, edges that leave it begin at what it yields or writes.
std::string print_dot(std::string_view stage, std::span<const GraphRef> graphs,
                      const std::function<std::string(Span)>& locate = {});

}  // namespace tenon
