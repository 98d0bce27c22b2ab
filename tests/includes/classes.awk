# Counts the public members that each class has: functions (each overload), nested types and names, constants and fields,
# its own and those of its public bases. Prints "FILE CLASS COUNT" of those with more than `most`. Not counted: what is
# deleted, `override`s (the base has them), friends; and plain data, a struct of nothing but fields, names and constructors.
#
# Reads declaration by declaration: `text` is the one under way, without comments, strings and the bodies of functions.

function strip(line,    cut) {
    gsub(/\\./, "", line)
    gsub(/"[^"]*"/, "0", line)
    gsub(/[0-9]'[0-9]/, "0", line)
    gsub(/'[^']*'/, "0", line)
    sub(/\/\/.*/, "", line)
    return line
}
# A declaration without what may stand before it, and without template arguments.
function bare(d,    before) {
    gsub(/\[\[[^]]*\]\]/, "", d)
    gsub(/[ \t]+/, " ", d)
    gsub(/operator *(<=>|<<=?|>>=?|<=?|>=?)/, "operator", d)
    gsub(/->/, "", d)
    do { before = d; gsub(/<[^<>()]*>/, "", d); gsub(/<[^<>]*>/, "", d) } while (d != before)
    sub(/^ +/, "", d)
    while (sub(/^(template|requires *\([^()]*\)|requires [A-Za-z_:]+) +/, "", d)) { }
    return d
}
function commas(d,    before) {  # beside those within brackets
    do { before = d; gsub(/\([^()]*\)/, "", d); gsub(/\{[^{}]*\}/, "", d); gsub(/\[[^][]*\]/, "", d) } while (d != before)
    return gsub(/,/, "", d)
}
# What the declaration adds to the class at hand.
function declare(d,    own) {
    d = bare(d)
    if (access[top] != "public" || d ~ /^ *$/) return
    if (d ~ /^(friend|static_assert|public|private|protected)/ || d ~ /= *delete/ || d ~ /\) *(const)? *(noexcept)? *override/) return
    own = d ~ /^(class|struct|union|enum|using|typedef) / ? 1 : index(d, "(") && d !~ /^[^(]*=/ ? 1 : commas(d) + 1
    members[class[top]] += own
    if (d !~ /^(class|struct|union|enum|using|typedef) / && index(d, "(") && d !~ /^[^(]*[^=!<>]=[^=]/ && d !~ /^((constexpr|explicit|inline) )*[A-Za-z_]+ *\(/ && d !~ /operator/)
        functions[class[top]]++
}
function open_class(d,    head, k, n, parts, list) {
    d = bare(d)
    head = d
    sub(/ final/, "", head)
    list = ""
    if (match(head, /[^:]:[^:]/)) { list = substr(head, RSTART + 2); head = substr(head, 1, RSTART) }
    n = split(head, parts, " ")
    class[top] = FILENAME " " parts[n]
    if (class[top] in opened) class[top] = class[top] "#" opened[class[top]]++  # a specialisation is a class of its own
    else opened[class[top]] = 2
    access[top] = d ~ /^class/ ? "private" : "public"
    order[++classes] = class[top]
    n = split(list, parts, ",")
    for (k = 1; k <= n; k++) {
        if (access[top] == "private" && parts[k] !~ /public/) continue
        sub(/^ *(virtual|public)* */, "", parts[k]); gsub(/public|virtual| /, "", parts[k])
        bases[class[top]] = bases[class[top]] " " parts[k]
    }
}
FNR == 1 { delete opened; top = 0; text = ""; body = 0; in_comment = 0; class[0] = ""; access[0] = "" }
{
    line = $0
    if (continued || line ~ /^[ \t]*#/) { continued = line ~ /\\$/; next }
    if (in_raw) { if (!index(line, raw_end)) next; line = substr(line, index(line, raw_end) + length(raw_end)); in_raw = 0 }
    if (match(line, /R"[a-z]*\(/)) {
        raw_end = ")" substr(line, RSTART + 2, RLENGTH - 3) "\""
        rest = substr(line, RSTART + RLENGTH)
        if (index(rest, raw_end)) line = substr(line, 1, RSTART - 1) "0" substr(rest, index(rest, raw_end) + length(raw_end))
        else { line = substr(line, 1, RSTART - 1) "0"; in_raw = 1 }
    }
    line = strip(line) " "
    while (match(line, /[;{}:]/)) {
        text = text substr(line, 1, RSTART - 1)
        c = substr(line, RSTART, 1)
        line = substr(line, RSTART + 1)
        if (body > 0) {  # of a function or an initialiser, within which nothing is declared that counts
            body += c == "{" ? 1 : c == "}" ? -1 : 0
            if (body > 0) { text = kept; continue }
            text = kept
            if (line ~ /^ *$/ || line !~ /^ *[,;{)]/) { if (class[top] != "") declare(text); text = "" }
            continue
        }
        if (c == ":") {
            if (class[top] != "" && text ~ /^ *(public|private|protected) *$/) { gsub(/ /, "", text); access[top] = text; text = "" }
            else text = text c
        } else if (c == ";") {
            if (class[top] != "" && text !~ /^ *$/) declare(text)
            text = ""
        } else if (c == "{") {
            d = bare(text)
            if (d ~ /^(class|struct|union) / && d !~ /[()=]/) {
                if (class[top] != "" && d !~ /^union *$/) declare(text)
                top++; open_class(text); text = ""
            } else if (class[top] == "" && (d ~ /^(inline )?namespace/ || d ~ /^extern/)) {
                top++; class[top] = ""; access[top] = ""; text = ""
            } else { body = 1; kept = text }
        } else {  # }
            if (top > 0) top--
            closed = 1
            text = ""
            if (line ~ /^ *;/) sub(/^ *;/, "", line)
        }
    }
    text = text line
}
END {
    for (k = 1; k <= classes; k++) { split(order[k], at, " "); by_name[at[2]] = by_name[at[2]] == "" ? order[k] : by_name[at[2]] }
    for (k = 1; k <= classes; k++) {
        c = order[k]; total = 0; n = 1; line_of[1] = c
        split(c, at, " ")
        any = 0
        for (i = 1; i <= n; i++) {
            total += members[line_of[i]]; any += functions[line_of[i]]
            m = split(bases[line_of[i]], parents, " ")
            for (j = 1; j <= m; j++) {
                split(line_of[i], place, " ")
                parent = (place[1] " " parents[j]) in members ? place[1] " " parents[j] : by_name[parents[j]]
                if (parent != "" && n < 20) line_of[++n] = parent
            }
        }
        if (total > most && any > 0) print c, total
    }
}
