# What the example prints: cmake -DPROGRAM=… -DSOURCE=… -P example.cmake
cmake_minimum_required(VERSION 3.25)
execute_process(COMMAND ${PROGRAM} ${SOURCE}/examples/embed RESULT_VARIABLE code OUTPUT_VARIABLE printed ERROR_VARIABLE failed)
file(READ ${SOURCE}/examples/embed/expected.txt expected)
if(code OR NOT printed STREQUAL expected)
    message(FATAL_ERROR "${PROGRAM}: ${code}\n${printed}${failed}\nexpected:\n${expected}")
endif()
