# Guards training over several processes: two give what one gives, within rounding, for the same global batch.
source "$(dirname "$0")/tap.bash"
if ! command -v mpirun >/dev/null; then
  skip "two processes train as one does" "no mpirun on this machine"
  done_testing
  exit
fi
awk 'BEGIN { print "emotion,pixels,Usage"
  for (n = 0; n < 140; n++) { c = n % 7; p = ""
    for (k = 0; k < 64; k++) p = p (k ? " " : "") (int(k / 8 / (c + 1) + k % 8 * (c % 2)) % 2 * 120 + (n * 37 + k * 11) % 60)
    print c "," p "," (n % 5 == 4 ? "PublicTest" : "Training") } }' >"$work/data.csv"
train=("$MIEN" train --arch mien-tiny --data "$work/data.csv" --batch 32 --microbatch 8 --threads 1 --precision f32 --epochs 2 --lr 0.01)
together=(env OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_btl_vader_single_copy_mechanism=none mpirun --oversubscribe -n 2)

run "${train[@]}" --out "$work/one"
check "one process trains" status_is 0
run "${together[@]}" "${train[@]}" --out "$work/two"
if grep -q "built without MPI" "$work/err"; then
  skip "two processes train as one does" "built without MPI"
  done_testing
  exit
fi
check "two processes train" status_is 0
check "only one of them prints" test "$(grep -c '^epoch' "$work/out")" -eq 2
check "both ways give the same losses" python3 -c '
import json, sys
one, two = ([json.loads(l) for l in open(f)] for f in sys.argv[1:])
assert len(one) == len(two) == 2
for a, b in zip(one, two):
    assert abs(a["loss"] - b["loss"]) < 1e-3 and abs(a["validation"]["loss"] - b["validation"]["loss"]) < 1e-3, (a, b)
' "$work/one/log.jsonl" "$work/two/log.jsonl"
run "${together[@]}" "$MIEN" train --resume --out "$work/two" --epochs 3
check "two processes resume" status_is 0
run "${together[@]}" "${train[@]}" --data "$work/absent.csv" --out "$work/three"
check "a failure ends both" test "$status" -ne 0
check "a failure is named" err_has "absent.csv"
done_testing
