#!/bin/bash
# The shape of the house: no folder whose own source files pass 5,000 lines, no source file over 500 lines and no class
# with more than 40 public members that is not plain data, unless the comment at the head of the file says why ("Over 500
# lines: …", "Over 40 members: …"). No type is defined twice under one name. Run: bash tests/includes/shape.sh
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
failed=0
complain() {
    echo "failed: $*"
    failed=1
}

# says_why FILE WORDS: its first comment does
says_why() { awk '!/^\/\/|^#/ { exit } { print }' "$1" | grep -q "$2"; }

folders="runtime ir jit frontend embedding include grammar tests bench"
files=$(find $folders -type f \( -name '*.cpp' -o -name '*.h' -o -name '*.inc' -o -name '*.cuh' -o -name '*.re' -o -name '*.yy' \) | sort)
counts=$(xargs wc -l <<<"$files" | grep -v ' total$')
while read -r lines file; do
    (( lines <= 500 )) || says_why "$file" "Over 500 lines: " || complain "$file has $lines lines"
done <<<"$counts"
while read -r folder lines; do
    complain "the files of $folder/ have $lines lines"
done < <(awk '{ sub(/\/[^\/]*$/, "", $2); lines[$2] += $1 } END { for (f in lines) if (lines[f] > 5000) print f, lines[f] }' <<<"$counts")

while read -r file class count; do
    says_why "$file" "Over 40 members: " || complain "$class of $file has $count public members"
done < <(grep -v '\.\(re\|yy\)$' <<<"$files" | LC_ALL=C xargs awk -v most=40 -f tests/includes/classes.awk)
while read -r name first second; do
    complain "$first and $second both define $name"
done < <(find runtime ir jit frontend -name '*.h' -o -name '*.cpp' | LC_ALL=C sort | xargs awk -f tests/includes/one_definition.awk)
exit $failed
