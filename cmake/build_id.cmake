# Run at build time: writes OUTPUT, a header with a number that two parts of one build have in common and others have not. It is made of
# the texts of the files that LIST names and of the lines that begin with "=" there (how they are compiled), so that equal sources
# give equal builds. The header stays as it is where the number is the same.
file(STRINGS "${LIST}" lines)
set(facts "")
foreach(line IN LISTS lines)
    if(line MATCHES "^=")
        string(APPEND facts "${line}\n")
    else()
        file(SHA256 "${ROOT}/${line}" hash)
        string(APPEND facts "${line} ${hash}\n")
    endif()
endforeach()
string(SHA256 id "${facts}")
string(SUBSTRING ${id} 0 16 id)
file(CONFIGURE OUTPUT "${OUTPUT}" CONTENT "#define TENON_BUILD_ID \"${id}\"\n")
