# TAP for shell tests: check NAME COMMAND…, skip NAME WHY, done_testing. $MIEN is the program, $work a folder that goes away.
set -u
MIEN=${MIEN:-build/mien}
SHARED=${MIEN_SHARED:-../shared}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tap_count=0

# check NAME COMMAND…: passes when the command succeeds; its output is shown only when it does not.
check() {
  local name=$1; shift
  tap_count=$((tap_count + 1))
  if "$@" >"$work/.out" 2>&1; then
    echo "ok $tap_count - $name"
  else
    echo "not ok $tap_count - $name"
    sed 's/^/# /' "$work/.out"
  fi
}
skip() {
  tap_count=$((tap_count + 1))
  echo "ok $tap_count - $1 # SKIP $2"
  echo "# skipped: $2"
}
# run COMMAND…: keeps what it printed in $work/out and $work/err and its exit status in $status.
run() {
  status=0
  "$@" >"$work/out" 2>"$work/err" </dev/null || status=$?
}
status_is() { [ "$status" -eq "$1" ] || { echo "exit status $status, expected $1"; cat "$work/out" "$work/err"; return 1; }; }
out_has() { grep -qF -- "$1" "$work/out" || { echo "standard output lacks: $1"; cat "$work/out"; return 1; }; }
err_has() { grep -qF -- "$1" "$work/err" || { echo "standard error lacks: $1"; cat "$work/err"; return 1; }; }
err_lines() { [ "$(wc -l <"$work/err")" -eq "$1" ] || { echo "standard error has not $1 lines:"; cat "$work/err"; return 1; }; }
# json 'python expression over the list of parsed lines `d`'
json() { python3 -c 'import json,sys
d=[json.loads(l) for l in open(sys.argv[1])]
assert eval(sys.argv[2]), d' "$work/out" "$1"; }
done_testing() { echo "1..$tap_count"; }
