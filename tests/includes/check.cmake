# The rooms of the house and the one way between them. Run: cmake -P tests/includes/check.cmake
#
# A room is a folder, and its files may include its own and those of rooms that stand above it here. A new folder is a new
# line. LLVM's and CUDA's headers stay behind their seams.
cmake_minimum_required(VERSION 3.25)
get_filename_component(root ${CMAKE_CURRENT_LIST_DIR}/../.. ABSOLUTE)

set(rooms
    runtime             # memory, tensors, files, threads
    ir/scalar           # what each scalar op computes, for every engine
    ir/scalar/programs  # the same as programs that emitters read
    ir                  # graphs, types, sizes, rows
    ir/build            # making graphs
    ir/text             # graphs as text, checked
    ir/differentiate    # gradients and batches of graphs
    ir/ops              # the rows
    ir/passes           # tensor-level graphs to better ones
    ir/control          # gradients of conds and loops, whose regions are taken apart as graphs are
    ir/fusion           # which nodes become one kernel
    ir/schedule         # kernels as loop nests
    ir/pipeline         # the order of all passes
    jit/routines        # vector routines of the block interpreter
    jit/contract        # blocks and panels of matrix products
    jit/library         # what all engines call: products, indexed reads and writes, sorting, random numbers
    jit/blocks          # programs of the block interpreter
    jit/control         # regions turn by turn
    jit                 # kernels, the plan of a run
    jit/interpreter     # kernels as programs of blocks
    jit/convolution     # products whose one matrix is gathered from images
    jit/llvm
    jit/cuda
    frontend/syntax     # text to tree (and grammar/)
    frontend/resolve    # names to slots
    frontend/values     # what a script's variables hold
    frontend/compile    # graphs that run, and where they are found
    frontend/history    # what leads from a value to its leaves: entries, paths through graphs
    frontend/record     # ops of tensors: run, captured, kept for backward
    frontend/replay     # recorded graphs gone through again: backward, the op that failed
    frontend/ops        # operations as a script means them
    frontend/autograd   # backward and gradients as a script means them
    frontend/regions    # functions of a script as regions of a graph
    frontend/evaluate   # the tree walk, modules, the session
    frontend/graphs     # graphs as values
    frontend/methods    # methods of lists, dicts, strs and models; the tables of built-ins
    frontend/builtins   # built-in functions, and methods of tensors
    frontend/help       # what there is, told from the tables above
    frontend/tool       # the program
    embedding)          # Tenon inside a C++ program: what <tenon/tenon.h> stands on
# Folders whose files count as another room's.
set(room_of_grammar frontend/syntax)

set(broken 0)
macro(report file line reason)
    string(STRIP "${line}" shown)
    message("${file}: ${shown}\n    ${reason}")
    math(EXPR broken "${broken} + 1")
endmacro()

# The place of a folder in the table, -1 for none.
function(rank_of folder result)
    string(REPLACE "/" "_" name "${folder}")
    if(room_of_${name})
        set(folder ${room_of_${name}})
    endif()
    list(FIND rooms "${folder}" rank)
    set(${result} ${rank} PARENT_SCOPE)
endfunction()

file(GLOB_RECURSE files RELATIVE ${root} ${root}/runtime/* ${root}/ir/* ${root}/jit/* ${root}/frontend/* ${root}/embedding/* ${root}/grammar/*)
list(FILTER files INCLUDE REGEX "\\.(h|cpp|inc|def|cuh|re|yy)$")
foreach(file IN LISTS files)
    cmake_path(GET file PARENT_PATH folder)
    rank_of(${folder} own)
    if(own LESS 0)
        report(${file} "" "${folder}/ is no room of tests/includes/check.cmake: say there what it may include")
    endif()
    file(STRINGS ${root}/${file} includes REGEX "^[ \t]*#[ \t]*include")
    foreach(line IN LISTS includes)
        if(line MATCHES "[<\"]((runtime|ir|jit|frontend|embedding|grammar)/[^\">]*)[\">]")
            set(included ${CMAKE_MATCH_1})
            cmake_path(GET included PARENT_PATH folder)
            rank_of(${folder} other)
            if(other LESS 0)
                report(${file} "${line}" "${folder}/ is no room of tests/includes/check.cmake")
            elseif(other GREATER own)
                list(GET rooms ${own} own_name)
                list(GET rooms ${other} other_name)
                report(${file} "${line}" "${own_name}/ stands below ${other_name}/ and may not include it")
            endif()
        endif()
        if(line MATCHES "\"\\.\\.?/")
            report(${file} "${line}" "includes are written from the root of the repository")
        endif()
        if(line MATCHES "[<\"]llvm(-c)?/" AND NOT file MATCHES "^jit/llvm/")
            report(${file} "${line}" "LLVM's headers are for jit/llvm/ only")
        endif()
        if(line MATCHES "jit/llvm/" AND NOT file MATCHES "^jit/llvm/")
            report(${file} "${line}" "jit/llvm/ is loaded by dlopen: include the engine's seam instead")
        endif()
        if(line MATCHES "[<\"](cuda|nvrtc|cublas|cudnn|nccl)[A-Za-z_]*\\.h" AND NOT file MATCHES "^(jit|runtime)/cuda")
            report(${file} "${line}" "CUDA's headers are for jit/cuda/ and the CUDA device of runtime/ only")
        endif()
        if(line MATCHES "[<\"]frontend/tool/main")
            report(${file} "${line}" "nothing includes the program")
        endif()
    endforeach()
endforeach()

if(broken)
    message(FATAL_ERROR "${broken} includes point the wrong way")
endif()
