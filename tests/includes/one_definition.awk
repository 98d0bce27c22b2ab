# Types that two files define under one qualified name: to the linker they are one, and a program that has both is
# broken without a word. Prints NAME FILE FILE. Nested types and those of unnamed namespaces are none.
FNR == 1 { depth = 0 }
/^(inline )?namespace( [A-Za-z_:]+)? *\{/ {
    if ($0 ~ /\}/) next
    name = $0
    sub(/^(inline )?namespace */, "", name)
    sub(/ *\{.*/, "", name)
    space[++depth] = name == "" ? FILENAME : name
    next
}
/^\} *\/\/ namespace/ { if (depth > 0) depth--; next }
/^(struct|class|enum class|enum) [A-Za-z_0-9]+( final)? *(:[^;:][^;]*)?\{/ {
    name = $0
    sub(/^(struct|class|enum class|enum) /, "", name)
    sub(/[^A-Za-z_0-9].*/, "", name)
    for (k = depth; k > 0; --k) name = space[k] "::" name
    if (name in file && file[name] != FILENAME) print name, file[name], FILENAME
    else file[name] = FILENAME
}
