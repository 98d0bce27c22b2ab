# Run by tenon_embed at build time: writes OUTPUT from HEADER, FUNCTION and FILES (separated by `|`).
string(REPLACE "|" ";" files "${FILES}")
set(rows "")
set(count 0)
foreach(file IN LISTS files)
    file(READ "${file}" text)
    get_filename_component(name "${file}" NAME_WE)
    string(APPEND rows "    {\"${name}\", R\"embedded_text(${text})embedded_text\"},\n")
    math(EXPR count "${count} + 1")
endforeach()
file(WRITE "${OUTPUT}" "#include \"${HEADER}\"

#include <array>

namespace tenon {

static constexpr std::array<EmbeddedFile, ${count}> files = {{
${rows}}};

std::span<const EmbeddedFile> ${FUNCTION}() { return files; }

}  // namespace tenon
")
