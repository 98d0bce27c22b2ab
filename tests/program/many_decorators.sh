# What a script writes a thousand times costs a thousand times as much, not the square of that.
program=$1
script=$(mktemp --suffix=.model)
trap 'rm -f "$script"' EXIT
{ yes '@checkpoint' | head -50000; echo 'fn f(x) = x'; echo 'print("made")'; } > "$script"
said=$(timeout 20 "$program" run "$script" 2>&1)
[ "$said" = made ] || { echo "50,000 decorators: ${said:-no end in 20 s}"; exit 1; }
