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
for command in detect video serve train eval; do
  run "$MIEN" "$command" --help
  check "$command --help exits with 0" status_is 0
  check "$command --help says how to use it" out_has "usage: mien $command"
  run "$MIEN" "$command" --no-such-option
  check "$command refuses an unknown option" status_is 2
done

# What looks at pictures takes the same options, says so, and refuses alike.
for command in detect video; do
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
