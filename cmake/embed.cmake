# tenon_embed(OUT HEADER FUNCTION FILES...): a source that defines `std::span<const EmbeddedFile> FUNCTION()`, declared in HEADER, holding
# the text of each file under its name without extension; its path is put in OUT.
function(tenon_embed out header function)
    set(source ${CMAKE_BINARY_DIR}/generated/embedded/${function}.cpp)
    string(REPLACE ";" "|" files "${ARGN}")
    add_custom_command(
        OUTPUT ${source}
        COMMAND ${CMAKE_COMMAND} -DOUTPUT=${source} -DHEADER=${header} -DFUNCTION=${function} "-DFILES=${files}"
                -P ${CMAKE_SOURCE_DIR}/cmake/embed_files.cmake
        DEPENDS ${ARGN} ${CMAKE_SOURCE_DIR}/cmake/embed_files.cmake
        COMMENT "Embedding ${function}"
        VERBATIM)
    set(${out} ${source} PARENT_SCOPE)
endfunction()
