# tenon_folder(NAME SOURCES... LINK LIBRARIES...): the static library of one folder, tenon_NAME.
# tenon_program(NAME SOURCES... LINK LIBRARIES...): an executable that a module opened by dlopen can look back into.

set(TENON_STANDARD_HEADERS
    <algorithm> <array> <atomic> <cmath> <cstdint> <cstring> <functional> <limits> <map> <memory> <mutex> <optional>
    <span> <string> <string_view> <tuple> <type_traits> <unordered_map> <utility> <variant> <vector> <fmt/format.h>)

# tenon_compile_together(TARGET SOURCES...): the sources of one room are compiled a handful at a time, so that the headers they share
# are read and the templates they share are made once for all of them. Names of one room must therefore differ, those in anonymous
# namespaces too. A source with options of its own is compiled by itself, and a generated one.
function(tenon_compile_together target)
    if(NOT TENON_UNITY)
        return()
    endif()
    set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_MODE GROUP)
    set(rooms "")
    foreach(source IN LISTS ARGN)
        cmake_path(ABSOLUTE_PATH source BASE_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR} OUTPUT_VARIABLE path)
        get_source_file_property(options ${source} COMPILE_OPTIONS)
        if(options OR path MATCHES "^${CMAKE_BINARY_DIR}/")
            continue()
        endif()
        cmake_path(GET path PARENT_PATH room)
        cmake_path(RELATIVE_PATH room BASE_DIRECTORY ${CMAKE_SOURCE_DIR})
        string(MAKE_C_IDENTIFIER ${room} room)
        list(APPEND rooms ${room})
        list(APPEND sources_of_${room} ${source})
    endforeach()
    list(REMOVE_DUPLICATES rooms)
    foreach(room IN LISTS rooms)
        # Groups of equal length, so that the last one is not a single file.
        list(LENGTH sources_of_${room} count)
        math(EXPR groups "(${count} + ${TENON_UNITY_FILES} - 1) / ${TENON_UNITY_FILES}")
        set(index 0)
        foreach(source IN LISTS sources_of_${room})
            math(EXPR group "${index} * ${groups} / ${count}")
            set_source_files_properties(${source} PROPERTIES UNITY_GROUP ${room}_${group})
            math(EXPR index "${index} + 1")
        endforeach()
    endforeach()
endfunction()

function(tenon_folder name)
    cmake_parse_arguments(PARSE_ARGV 1 folder "" "" "SOURCES;LINK")
    if(NOT folder_SOURCES)
        set(empty ${CMAKE_CURRENT_BINARY_DIR}/empty.cpp)
        file(GENERATE OUTPUT ${empty} CONTENT "")
        set(folder_SOURCES ${empty})
    endif()
    add_library(tenon_${name} STATIC ${folder_SOURCES})
    target_include_directories(tenon_${name} PUBLIC
        $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}> $<BUILD_INTERFACE:${CMAKE_BINARY_DIR}/generated>)
    # Among the installed libraries it is tenon::tenon that says how these are linked.
    list(TRANSFORM folder_LINK REPLACE "^(tenon_.*)$" "$<BUILD_INTERFACE:\\1>")
    target_link_libraries(tenon_${name} PUBLIC ${folder_LINK})
    tenon_compile_together(tenon_${name} ${folder_SOURCES})
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
    if(TENON_SANITIZE)
        target_sources(${name} PRIVATE ${CMAKE_SOURCE_DIR}/cmake/sanitizers.cpp)
    endif()
    target_link_libraries(${name} PRIVATE ${program_LINK})
    # tenon_llvm.so links nothing of ours: the program gives it every symbol of these folders, used here or not.
    set_target_properties(${name} PROPERTIES
        ENABLE_EXPORTS ON
        LINK_LIBRARY_OVERRIDE "WHOLE_ARCHIVE,tenon_runtime,tenon_ir,tenon_jit")
endfunction()
