# What holds for every file: language, flags of the numeric contract, warnings, cache and linker.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

# The binary, the test binaries and tenon_llvm.so stand side by side: the engine is looked up beside the program.
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})
set(CMAKE_LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})
set(CMAKE_BUILD_RPATH_USE_ORIGIN ON)
set(CMAKE_INSTALL_RPATH $ORIGIN)
# Built as installed: a path that installing writes over another would be as long as both, filled up with empty entries, and
# to the loader an empty entry is the current folder.
set(CMAKE_INSTALL_RPATH_USE_LINK_PATH ON)
set(CMAKE_BUILD_WITH_INSTALL_RPATH ON)

if(NOT CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
    message(FATAL_ERROR "tenon builds for x86-64; this is ${CMAKE_SYSTEM_PROCESSOR}")
endif()

# An fma only where a definition writes it: contraction would make bits depend on the compiler's mood.
add_compile_options(-march=x86-64-v3 -ffp-contract=off)
add_compile_options(
    -Wall -Wextra
    -Wno-missing-field-initializers    # designated initialisers leave members out on purpose
    -Wno-psabi                         # vector types are never part of an ABI here
    -ffile-prefix-map=${CMAKE_SOURCE_DIR}/=)
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
    # False in g++ 12: on string `+` at -O3, and on the moved-from alternatives of a variant.
    add_compile_options(-Wno-restrict -Wno-maybe-uninitialized)
endif()

if(TENON_SANITIZE)
    add_compile_options(-fsanitize=${TENON_SANITIZE} -fno-sanitize-recover=all)
    add_link_options(-fsanitize=${TENON_SANITIZE})
    add_compile_definitions(TENON_SANITIZED)    # slower, and with more addresses, stack and care for its end than others
endif()

find_program(CCACHE ccache)
if(CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
    # Relative paths and no working directory in the key: build folders share their results.
    set(launcher ${CMAKE_COMMAND} -E env
        CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
        CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1 ${CCACHE})
    set(CMAKE_C_COMPILER_LAUNCHER ${launcher})
    set(CMAKE_CXX_COMPILER_LAUNCHER ${launcher})
    if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
        add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-fpch-preprocess>)
    endif()
endif()

find_program(MOLD mold)
if(MOLD)
    add_link_options(-fuse-ld=mold)
endif()
add_link_options(-Wl,--as-needed)

find_package(Threads REQUIRED)
find_package(fmt REQUIRED)
find_package(nlohmann_json REQUIRED)
