# Nothing outside ir/ops asks which op a node has, but for the few that are structure: what differs from op to op is a
# column of the row. Run: cmake -P tests/includes/ops.cmake
cmake_minimum_required(VERSION 3.25)
get_filename_component(root ${CMAKE_CURRENT_LIST_DIR}/../.. ABSOLUTE)

# Rows that stand for structure, and those of loop nests: passes and engines are written around them.
set(structure param constant tensor yield tuple get call fusion kernel for fold load store scratch product scatter extent position number)

set(broken 0)
macro(check file pattern)
    file(STRINGS ${root}/${file} lines REGEX "${pattern}")
    foreach(line IN LISTS lines)
        string(REGEX MATCHALL "${pattern}" found "${line}")
        foreach(comparison IN LISTS found)
            if(comparison MATCHES "\"([a-z_0-9]+)\"" AND NOT CMAKE_MATCH_1 IN_LIST structure)
                string(STRIP "${line}" shown)
                message("${file}: ${shown}\n    asks for the op ${CMAKE_MATCH_1}: make what it needs to know a column of ir/row.h")
                math(EXPR broken "${broken} + 1")
            endif()
        endforeach()
    endforeach()
endmacro()

file(GLOB_RECURSE files RELATIVE ${root} ${root}/ir/*.cpp ${root}/ir/*.h ${root}/jit/*.cpp ${root}/jit/*.h ${root}/jit/*.inc
     ${root}/frontend/*.cpp ${root}/frontend/*.h)
list(FILTER files EXCLUDE REGEX "^ir/ops/")
foreach(file IN LISTS files)
    check(${file} "[=!]= *(tenon::)?(op<|find_op[(]|require_op[(])\"[a-z_0-9]+\"")
    check(${file} "op<\"[a-z_0-9]+\">[(][)] *[=!]=[^=]")
    check(${file} "[^_a-z]is[a-z_]*[(][^()\"]*, *\"[a-z_0-9]+\"[)]")  # is(op, "add")
    # a row's name, or the op that a fold is by
    check(${file} "row[(][^;\"]*[)][.](name|fold) *[=!]= *\"[a-z_0-9]+\"")
    check(${file} "(fold_|plan|info|fold)[.](op|fold|name) *[=!]= *\"[a-z_0-9]+\"")
    check(${file} "Op [a-z_]+ = *(tenon::)?(op<|find_op[(]|require_op[(])\"[a-z_0-9]+\"")
endforeach()
if(broken)
    message(FATAL_ERROR "${broken} comparisons of ops outside ir/ops")
endif()
