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
for command in detect serve train eval; do
  run "$MIEN" "$command" --help
  check "$command --help exits with 0" status_is 0
  check "$command --help says how to use it" out_has "usage: mien $command"
  run "$MIEN" "$command" --no-such-option
  check "$command refuses an unknown option" status_is 2
done
done_testing
