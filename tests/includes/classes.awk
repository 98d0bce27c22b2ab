# Counts the public functions that each class of a header declares: prints "NAME COUNT" of those with more than `most`.
function strip(text) { sub(/\/\/.*/, "", text); gsub(/"([^"\\]|\\.)*"/, "\"\"", text); gsub(/'([^'\\]|\\.)'/, "0", text); return text }
FNR == 1 { depth = 0; levels = 0; pending = "" }
{
    line = strip($0)
    if (match(line, /^[ \t]*(template *<.*> *)?(class|struct) +[A-Za-z_:]+/) && line !~ /;[ \t]*$/ && line !~ /^[ \t]*(friend|enum)/) {
        head = substr(line, RSTART, RLENGTH); n = split(head, words, " "); pending = words[n]
        access = head ~ /class / ? "private" : "public"
    }
    # At the depth of a class's members?
    if (levels > 0 && depth == at[levels]) {
        if (line ~ /^[ \t]*public:/) section[levels] = "public"
        else if (line ~ /^[ \t]*(private|protected):/) section[levels] = "private"
        else if (section[levels] == "public" && line ~ /\(/ && line !~ /^[ \t]*(static_assert|friend|using|assert)/ && !open_statement) count[levels]++
        open_statement = line !~ /[;{}:,]?[ \t]*$/ ? 1 : (line ~ /[;}{]/ || line ~ /:[ \t]*$/ ? 0 : (line ~ /[^ \t]/ ? 1 : open_statement))
    }
    for (i = 1; i <= length(line); i++) {
        c = substr(line, i, 1)
        if (c == "{") {
            depth++
            if (pending != "") { levels++; name[levels] = pending; at[levels] = depth; section[levels] = access; count[levels] = 0; pending = ""; open_statement = 0 }
        } else if (c == "}") {
            if (levels > 0 && depth == at[levels]) { if (count[levels] > most) print FILENAME, name[levels], count[levels]; levels--; open_statement = 0 }
            depth--
        } else if (c == ";" && pending != "") pending = ""
    }
}
