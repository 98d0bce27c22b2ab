# What cannot be written is an error: a script whose output is lost has not succeeded.
program=$1
script=$(mktemp --suffix=.model)
trap 'rm -f "$script"' EXIT
echo 'for i in range(3) { print(i) }' > "$script"
[ -w /dev/full ] || { echo "skipped: there is no /dev/full"; exit 77; }
message=$("$program" run "$script" 2>&1 > /dev/full)
code=$?
[ $code = 1 ] || { echo "exit code $code instead of 1 on a full device"; exit 1; }
case $message in *"cannot write to the standard output"*) ;; *) echo "no word of it: $message"; exit 1 ;; esac
"$program" run "$script" > /dev/null 2>&1 >&-
[ $? = 1 ] || { echo "a closed standard output is no error"; exit 1; }
"$program" run "$script" > /dev/null || { echo "fails without reason"; exit 1; }
