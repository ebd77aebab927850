# Guards `mien train` and `mien eval` from the command line: a run from data to figures, its files, stopping and resuming,
# a full disk, and that wrong input is named.
source "$(dirname "$0")/tap.bash"

# seven classes of stripes, 8 x 8, 20 rows each; every fifth row is for validation
awk 'BEGIN { print "emotion,pixels,Usage"
  for (n = 0; n < 140; n++) { c = n % 7; p = ""
    for (k = 0; k < 64; k++) p = p (k ? " " : "") (int(k / 8 / (c + 1) + k % 8 * (c % 2)) % 2 * 120 + (n * 37 + k * 11) % 60)
    print c "," p "," (n % 5 == 4 ? "PublicTest" : "Training") } }' >"$work/data.csv"
train=("$MIEN" train --arch mien-tiny --data "$work/data.csv" --batch 16 --microbatch 8 --threads 2 --precision f32 --warmup 0)

run "$MIEN" train --help
check "help tells the defaults" out_has "times over the training rows [30]"
run "$MIEN" train --list
check "the list says what a network is" out_has "mien-wide: residual, 15 convolutions of 32 to 384 channels, 325 M multiply-adds"
# a model carries its description to who sees no list
check "a description needs no other network's" bash -c '! grep "^[a-z]" "$0" | cut -d: -f2- | grep mien-' "$work/out"
check "… and no number of ours" bash -c '! grep -i "source [0-9]" "$0"' "$work/out"
run "$MIEN" train
check "no data is wrong usage" status_is 2
run "${train[@]}" --lr fast
check "a wrong value is wrong usage" status_is 2
check "a wrong value is named" err_has "lr: 'fast' is not a number"
run "${train[@]}" --arch nonsense
check "an unknown architecture is wrong usage" status_is 2
check "the architectures are listed" err_has "baseline"
printf 'epochs = 2\nlearning = 1\n' >"$work/bad.conf"
run "${train[@]}" --config "$work/bad.conf"
check "an unknown setting in a file is named with its line" err_has "line 2: no setting is called 'learning'"
run "$MIEN" train --data "$work/absent.csv" --out "$work/none"
check "absent data fails" status_is 1
check "absent data is named" err_has "absent.csv"

run "${train[@]}" --out "$work/unmade" --show-samples "$work/samples.png"
check "samples are drawn" status_is 0
check "the sheet is a PNG" test "$(head -c 4 "$work/samples.png" | tail -c 3)" = PNG
run "${train[@]}" --show-samples "$work/mixed.png" --mixup 1
check "mixed pictures are drawn mixed" bash -c '! cmp -s "$0" "$1"' "$work/samples.png" "$work/mixed.png"
check "drawing samples begins no run" test ! -e "$work/unmade"

run "${train[@]}" --epochs 2 --out "$work/run"
check "a run ends well" status_is 0
check "it says where the model is" out_has "$work/run/best.onnx"
check "the command in the model is the one that was given" bash -c 'grep -a -q "mien train --arch" "$0" && ! grep -a -q "mien mien" "$0"' "$work/run/best.onnx"
check "each epoch has a line" test "$(grep -c '^epoch' "$work/out")" -eq 2
for file in config.txt log.jsonl checkpoint.bin best.onnx; do
  check "the run leaves $file" test -s "$work/run/$file"
done
check "the log is JSON, one line for each epoch" python3 -c 'import json,sys; assert len([json.loads(l) for l in open(sys.argv[1])]) == 2' "$work/run/log.jsonl"
run "${train[@]}" --epochs 2 --out "$work/run"
check "a run is not replaced unasked" status_is 2
run "${train[@]}" --epochs 9 --lr 0 --patience 1 --progress 0.001 --out "$work/early"
check "the first lines tell the settings" out_has "settings: epochs 9, batch 16, sgd, learning rate 0 (cosine), f32, threads: 2"
check "a file gets lines of progress with speed and time" grep -qE '^epoch 1/9 step [0-9]+/7  [0-9]+ images/s  [0-9]+:[0-9]{2}:[0-9]{2} left' "$work/err"
check "progress is plain text where there is no terminal" bash -c '! grep -q "[[:cntrl:]]" "$0"' "$work/err"
check "a run that ends early says why" out_has "no later epoch was better than epoch"
run "${train[@]}" --epochs 1 --progress 0 --out "$work/silent"
check "progress can be left out" test ! -s "$work/err"
run "${train[@]}" --epochs 1 --progress often --out "$work/silent"
check "a wrong pace is wrong usage" status_is 2
run "$MIEN" train --config "$work/run/config.txt" --out "$work/again" --quiet
figures() { sed 's/,"seconds".*//' "$1/log.jsonl"; }
check "a run's own configuration repeats it" test "$(figures "$work/run")" = "$(figures "$work/again")"

run "$MIEN" train --arch mien-tiny --data "$work/data.csv" --batch 50 --epochs 1 --precision f32 --threads 2 --out "$work/fifty"
check "any batch will do" status_is 0
check "its microbatch divides it" grep -qx "microbatch = 25" "$work/fifty/config.txt"

mkfifo "$work/lines"
exec 3<>"$work/lines" # held open, so that the run never writes to a closed pipe
"${train[@]}" --epochs 500 --out "$work/stopped" >&3 2>"$work/err" &
pid=$!
grep -m 1 '^epoch 2/' <&3 >/dev/null
kill -INT "$pid"
status=0
wait "$pid" || status=$?
check "a stopped run says so by its exit status" status_is 1
check "a stopped run says how to go on" err_has "mien train --resume --out $work/stopped"
run "$MIEN" train --resume --out "$work/stopped" --epochs 4
check "a stopped run goes on" status_is 0
check "it says what is otherwise now" out_has "from here on epochs = 4 (it was 500)"
check "and how many pictures there are" out_has "mien-tiny: 112 pictures to train on, 28 to validate on"

cp "$work/stopped/checkpoint.bin" "$work/older.bin"
run bash -c 'trap "" XFSZ; ulimit -f 64; exec "$@"' - "$MIEN" train --resume --out "$work/stopped" --epochs 600
check "a full disk fails" status_is 1
check "a full disk is said" err_has "cannot write"
check "the older checkpoint stays" cmp "$work/older.bin" "$work/stopped/checkpoint.bin"
check "nothing half-written stays" test -z "$(find "$work/stopped" -name 'checkpoint.bin.*')"

run "$MIEN" eval --data "$work/data.csv" --model "$work/run/best.onnx"
check "eval prints a table" out_has "true \\ said"
run "$MIEN" eval --data "$work/data.csv" --split PublicTest --model "$work/run/best.onnx" --json
check "eval --json has the promised fields" json \
  'all(k in d[0] for k in ("model","data","split","count","top1","macro_f1","per_class","confusion")) and d[0]["count"] == 28 and d[0]["models"][0]["top1"] == d[0]["top1"]'
run "$MIEN" eval --data "$work/data.csv" --model "$work/run/best.onnx" --model "$work/stopped/best.onnx" --ensemble \
  --tta flip --json --report "$work/report.html"
check "several models give a list" json 'len(d[0]["models"]) == 3 and d[0]["models"][2]["model"] == "ensemble"'
check "the report is a page" grep -q "</html>" "$work/report.html"
run "$MIEN" eval --data "$work/data.csv" --model "$work/run/best.onnx" --predictions "$work/answers.csv" --bootstrap 0 --json
check "figures can be computed again from the answers" python3 -c 'import csv, json, math, sys
d = json.load(open(sys.argv[1])); rows = list(csv.DictReader(open(sys.argv[2]))); names = list(d["per_class"])
right = sum(r["truth"] == r["said"] for r in rows)
loss = -sum(math.log(max(float(r[r["truth"]]), 1e-12)) for r in rows) / len(rows)
brier = sum((float(r[c]) - (c == r["truth"])) ** 2 for r in rows for c in names) / len(rows)
bins = [[0, 0] for _ in range(15)]
for r in rows:
    p = float(r[r["said"]]); bin = bins[min(14, int(p * 15))]; bin[0] += p; bin[1] += r["truth"] == r["said"]
ece = sum(abs(a - b) for a, b in bins) / len(rows)
f1 = []
for c in names:
    true, said = sum(r["truth"] == c for r in rows), sum(r["said"] == c for r in rows)
    if true: f1.append(2 * sum(r["truth"] == r["said"] == c for r in rows) / (true + said))
for name, value in dict(count=len(rows), top1=right / len(rows), loss=loss, brier=brier, ece=ece, macro_f1=sum(f1) / len(f1)).items():
    assert abs(d[name] - value) < 1e-6, (name, d[name], value)' "$work/out" "$work/answers.csv"
check "without resampling there is no interval" json '"top1_interval" not in d[0]'
cp "$work/data.csv" "$work/$(printf 'b\351d.csv')"
run "$MIEN" eval --data "$work/$(printf 'b\351d.csv')" --model "$work/run/best.onnx" --json
check "a name that is not UTF-8 loses no figures" json 'd[0]["data"].endswith("b\ufffdd.csv") and len(d[0]["models"]) == 1'
{ cat "$work/data.csv"; sed -n 2p "$work/data.csv" | sed 's/Training/PublicTest/'; } >"$work/twice.csv"
run "$MIEN" eval --data "$work/twice.csv" --duplicates --json
check "duplicates are JSON as well" json 'any(p["across_splits"] and p["pictures"][1]["row"] == 140 for p in d[0]["duplicates"][0]["pairs"])'
for what in "--tta flip" "--output 1" "--data $work/twice.csv" "--model mien-small"; do
  run "$MIEN" eval --data "$work/data.csv" --model "$work/run/best.onnx" --calibrate "$work/wrong.onnx" $what
  check "to calibrate with $what is wrong usage" status_is 2
done
run "$MIEN" eval --data "$work/data.csv" --model "$work/run/best.onnx" --calibrate "$work/calibrated.onnx" --json
check "a model is calibrated" status_is 0
run "$MIEN" eval --data "$work/data.csv" --model "$work/calibrated.onnx" --json
check "a calibrated model works" status_is 0
run "${train[@]}" --epochs 1 --teachers "$work/calibrated.onnx" --distill-precision int8 --out "$work/pupil"
check "a teacher answers in eight bits" status_is 0
run "${train[@]}" --epochs 1 --votes-weight 0.5 --out "$work/voteless"
check "a share of votes that are not there is wrong usage" status_is 2
run "${train[@]}" --epochs 1 --init mien-small --out "$work/strange"
check "a model of another network is no beginning" err_has "init: of the"
run "${train[@]}" --arch mien-small --epochs 1 --init mien-small --out "$work/tuned"
check "a model that ships is a beginning" status_is 0
cp "$work/tuned/best.onnx" "$work/earlier.onnx"
run "${train[@]}" --arch mien-small --epochs 1 --overwrite --out "$work/tuned" --data "$work/data.csv" --checkpoint-minutes 0.001
check "a checkpoint rarer than never is refused" status_is 2
check "and the run that was there stays" cmp "$work/earlier.onnx" "$work/tuned/best.onnx"
run "${train[@]}" --epochs 1 --teachers "$work/run/best.onnx" --distill-precision int8 --out "$work/unready"
check "a teacher without ranges is refused, and the way out is told" err_has "eval --calibrate"

# every other row has a majority of 6 to 3, the rest a draw of 5 to 5
awk -F, 'NR == 1 { print "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"; next }
  { print $3 ",row" NR ".png," (NR % 2 ? "6,3,0,0,0,0,0,0,1,0" : "5,5,0,0,0,0,0,0,0,0") }' "$work/data.csv" >"$work/votes.csv"
votes=(--votes "$work/votes.csv")
run "${train[@]}" "${votes[@]}" --epochs 1 --votes-head 1 --out "$work/two"
check "a second output learns votes" status_is 0
run "$MIEN" eval --data "$work/data.csv" "${votes[@]}" --model "$work/two/best.onnx" --truth majority --json
check "a majority has more than half" json 'd[0]["count"] == 14'
check "the output that learnt votes is measured by them" json 'd[0]["manner"].endswith(", output 1")'
run "$MIEN" eval --data "$work/data.csv" "${votes[@]}" --model "$work/two/best.onnx" --truth plurality --output 0 --json
check "the largest vote counts draws as well" json 'd[0]["count"] == 28 and "output" not in d[0]["manner"]'
run "$MIEN" eval --data "$work/data.csv" --model "$work/two/best.onnx" --truth majority
check "a majority needs votes" err_has "no votes"
run "$MIEN" eval --data "$work/data.csv" --model "$work/two/best.onnx" --truth most
check "an unknown truth is wrong usage" status_is 2
check "an unknown truth is named" err_has "--truth: 'most' is none of labels, majority, plurality"

run "$MIEN" eval --data "$work/data.csv" --model "$work/data.csv"
check "a file that is no model fails" status_is 1
check "a file that is no model is named" err_has "data.csv"
run "$MIEN" eval --data "$work/data.csv" --split PrivateTest --model mien-small
check "a split without rows fails" status_is 1
check "the splits that are there are named" err_has "there are rows of Training, PublicTest"
run "$MIEN" eval --data "$work/data.csv" --model mien-small --bootstrap 0
check "a model that ships is measured by its name" out_has "mien-small on"

mkdir -p "$work/own/angry" "$work/own/happiness" "$work/own/fear"
for n in 1 2 3 4; do cp "$work/samples.png" "$work/own/angry/$n.png"; cp "$work/samples.png" "$work/own/happiness/$n.png"; done
echo "no picture" >"$work/own/angry/notes.txt"
own=("$MIEN" train --arch mien-tiny --data "$work/own" --precision f32 --epochs 1 --batch 4 --out "$work/own-run")
run "${own[@]}"
check "a file that is no picture is left out" status_is 0
check "and named" err_has "left out: $work/own/angry/notes.txt"
check "a class without pictures is named" err_has "labelled fear"
run "$MIEN" eval --data "$work/own" --split all --model "$work/own-run/best.onnx" --bootstrap 0 --json
check "eval leaves it out as well" json 'd[0]["count"] == 8'
run "${own[@]}" --overwrite --votes "$work/data.csv"
check "a folder has no order that votes could follow" err_has "a folder has none"
printf 'path,label\nown/angry/1.png,angry\nown/absent.png,happy\nown/angry/2.png,angry\n' >"$work/own.csv"
run "${own[@]}" --overwrite --data "$work/own.csv" --votes "$work/data.csv"
check "votes are not given to the rows behind one that is left out" err_has "1 pictures were left out"
mkdir "$work/own/bored"
run "${own[@]}" --overwrite
check "an unknown class fails" status_is 1
check "the classes there are are named" err_has "'bored' is not an emotion (angry, disgust, fear, happy, sad, surprise, neutral"

run "$MIEN" eval --data "$work/data.csv"
check "eval without a model is wrong usage" status_is 2
done_testing
