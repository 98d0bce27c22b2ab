# tenon_folder(NAME SOURCES... LINK LIBRARIES...): the static library of one folder, tenon_NAME.
# tenon_program(NAME SOURCES... LINK LIBRARIES...): an executable that a module opened by dlopen can look back into.

set(TENON_STANDARD_HEADERS
    <algorithm> <array> <atomic> <cmath> <cstdint> <cstring> <functional> <limits> <map> <memory> <mutex> <optional>
    <span> <string> <string_view> <tuple> <type_traits> <unordered_map> <utility> <variant> <vector> <fmt/format.h>)

function(tenon_folder name)
    cmake_parse_arguments(PARSE_ARGV 1 folder "" "" "SOURCES;LINK")
    if(NOT folder_SOURCES)
        set(empty ${CMAKE_CURRENT_BINARY_DIR}/empty.cpp)
        file(GENERATE OUTPUT ${empty} CONTENT "")
        set(folder_SOURCES ${empty})
    endif()
    add_library(tenon_${name} STATIC ${folder_SOURCES})
    target_include_directories(tenon_${name} PUBLIC ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR}/generated)
    target_link_libraries(tenon_${name} PUBLIC ${folder_LINK})
    if(TENON_PCH)
        if(name STREQUAL runtime)
            target_precompile_headers(tenon_${name} PRIVATE ${TENON_STANDARD_HEADERS})
        else()
            target_precompile_headers(tenon_${name} REUSE_FROM tenon_runtime)
        endif()
    endif()
endfunction()

function(tenon_program name)
    cmake_parse_arguments(PARSE_ARGV 1 program "" "" "SOURCES;LINK")
    add_executable(${name} ${program_SOURCES})
    target_link_libraries(${name} PRIVATE ${program_LINK})
    # tenon_llvm.so links nothing of ours: the program gives it every symbol of these folders, used here or not.
    set_target_properties(${name} PROPERTIES
        ENABLE_EXPORTS ON
        LINK_LIBRARY_OVERRIDE "WHOLE_ARCHIVE,tenon_runtime,tenon_ir,tenon_jit")
endfunction()
