# Guards the program's front door: help, version, unknown commands, exit statuses.
source "$(dirname "$0")/tap.bash"

run "$MIEN" --help
check "help exits with 0" status_is 0
check "help names the commands" out_has "detect"
check "help says what a label is" out_has "not what a person feels"
run "$MIEN" --version
check "version exits with 0" status_is 0
check "version is printed" out_has "mien "
run "$MIEN"
check "no command is wrong usage" status_is 2
run "$MIEN" frobnicate
check "an unknown command is wrong usage" status_is 2
check "an unknown command is named" err_has "frobnicate"
for command in detect video serve train eval bench; do
  run "$MIEN" "$command" --help
  check "$command --help exits with 0" status_is 0
  check "$command --help says how to use it" out_has "usage: mien $command"
  run "$MIEN" "$command" --no-such-option
  check "$command refuses an unknown option" status_is 2
done

run "$MIEN" help detect
check "help COMMAND is COMMAND --help" out_has "usage: mien detect"
run "$MIEN" help frobnicate
check "help for an unknown command is wrong usage" status_is 2
run "$MIEN" serve --port 0 --help
check "serve --help may stand anywhere" out_has "usage: mien serve"

# A page that was written by hand names the options that the program takes, all of them and no others. (mien-train.1 leaves the
# settings to --help; the other pages are made of it.)
options_of() { grep -o -e '--[a-z][a-z-]*' | sort -u | grep -vx -e --help; }
{ "$MIEN" eval --help; "$MIEN" eval --faces --help; } | options_of >"$work/eval.help"
"$MIEN" video --help | options_of >"$work/video.help"
"$MIEN" train --help | options_of >"$work/train.help"
for command in eval video train; do
  sed 's/\\-/-/g' "docs/man/mien-$command.1" | options_of >"$work/$command.man"
  check "mien-$command.1 names no option that there is not" bash -c 'test -z "$(comm -13 "$0" "$1" | tee /dev/stderr)"' \
    "$work/$command.help" "$work/$command.man"
done
for command in eval video; do
  check "mien-$command.1 names every option" bash -c 'test -z "$(comm -23 "$0" "$1" | tee /dev/stderr)"' \
    "$work/$command.help" "$work/$command.man"
done

# What looks at pictures takes the same options, says so, and refuses alike.
for command in detect video bench; do
  run "$MIEN" "$command" --help
  for option in preset model precision detector cascade min-face; do
    check "$command --help names --$option" out_has "  --$option "
  done
  for wrong in "preset blue" "precision f64" "min-face 0" "min-face ten"; do
    run "$MIEN" "$command" --${wrong% *} "${wrong#* }" picture
    check "$command --$wrong is wrong usage" status_is 2
    check "$command --$wrong is said in one line" err_lines 1
    check "$command --$wrong is said with the command" err_has "mien $command: "
  done
done

run bash -c '"$0" --help >/dev/full' "$MIEN"
check "help that cannot be written is a failure" status_is 1
check "… and says so" err_has "standard output cannot be written"
run bash -c '"$0" --help >&-' "$MIEN"
check "so is a closed standard output" status_is 1
run "$MIEN" detect --no-such-option
check "a message names the program and the command" err_has "mien detect:"
done_testing
