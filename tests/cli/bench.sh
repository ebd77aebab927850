# Guards `mien bench`: what is measured and told, as JSON and as tables; precisions that the processor or the model lacks;
# wrong input. Never how long anything takes: only that a time is there.
source "$(dirname "$0")/tap.bash"

# A figure is there when it was run, and no run took less than the best one.
figure='fine = lambda f: f["runs"] >= 3 and 0 < f["best"] <= f["median"]'
rate='rate = lambda f: f["runs"] >= 3 and 0 < f["median"] <= f["best"]'
# told 'python expression over the object `d`'
told() { python3 -c 'import json,sys
(line,) = open(sys.argv[1])
d = json.loads(line)
exec(sys.argv[3]); exec(sys.argv[4])
assert eval(sys.argv[2]), d' "$work/out" "$1" "$figure" "$rate"; }
short=(--seconds 0.01)
python3 - "$work" <<'PYTHON'
import struct, sys
rows = bytes((x * y) % 251 for y in range(120) for x in range(480))
open(sys.argv[1] + "/small.bmp", "wb").write(
    b"BM" + struct.pack("<IIIIiiHHIIiiII", 54 + len(rows), 0, 54, 40, 160, 120, 1, 24, 0, len(rows), 0, 0, 0, 0) + rows)
PYTHON

run "$MIEN" bench "${short[@]}" --json
cp "$work/out" "$work/first"
check "without a picture everything is measured" status_is 0
check "… and nothing said beside it" err_lines 0
check "the one picture is mien's own, and says so" told \
  'len(d["pictures"]) == 1 and d["pictures"][0]["synthetic"] and d["pictures"][0]["file"] is None'
check "… with nobody in it, so that a face is given" told 'd["pictures"][0]["faces"] == 0 and d["pictures"][0]["face_given"]'
check "every step of it has its time" told \
  'all(fine(d["pictures"][0]["ms"][step]) for step in ("decode", "detect", "classify", "total"))'
check "both models are measured in every precision" told \
  '[(x["name"], x["precision"]) for x in d["classify"]] == [(m, p) for m in ("mien-wide", "mien-small") for p in ("f32", "bf16", "int8")]'
check "… each with its time" told 'all(fine(x["ms"]) for x in d["classify"])'
check "so is the face network" told \
  '[x["precision"] for x in d["detect"]] == ["f32", "bf16", "int8"] and all(fine(x["ms"]) for x in d["detect"])'
check "all threads together are measured" told \
  'd["throughput"]["threads"] >= 1 and rate(d["throughput"]["pictures_per_second"]) and rate(d["throughput"]["frames_per_second"])'
check "pictures are worked on in the default's precision" told \
  'd["model"]["name"] == "mien-wide" and d["model"]["precision"] == "int8" and d["preset"] == "default"'
check "memory is told" told '0 < d["peak_memory_bytes"]["one_session"] <= d["peak_memory_bytes"]["all_sessions"]'
check "the program and the processor are told" told \
  'd["version"] and d["processor"]["name"] and d["processor"]["count"] >= 1 and d["load_ms"] > 0 and d["first_picture_ms"] > 0'
check "a precision runs as what the processor has" told \
  'all(x["runs_as"] == x["precision"] or ("avx512_bf16" if x["precision"] == "bf16" else "avx512_vnni") not in d["processor"]["instructions"] for x in d["classify"] + d["detect"])'

run env MIEN_CPU=avx2 "$MIEN" bench "${short[@]}" --json --model mien-small --threads 3
check "without the instructions every precision runs as f32" told \
  'len(d["classify"]) == 3 and {x["runs_as"] for x in d["classify"] + d["detect"] + [d["model"], d["detector"]]} == {"f32"}'
check "… and they are not listed" told 'd["processor"]["instructions"] in ([], ["sse4.1"], ["sse4.1", "avx2"])'
check "the first model works on the pictures" told 'd["model"]["name"] == "mien-small"'
check "threads are as many as asked for" told 'd["throughput"]["threads"] == 3'
check "the picture is the same every time" told \
  'd["pictures"][0]["bytes"] == json.load(open("'"$work"'/first"))["pictures"][0]["bytes"]'

run env MIEN_CPU=avx2 "$MIEN" bench "${short[@]}" --model mien-small
check "people get tables" status_is 0
check "… that say what the processor lacks" out_has "It has no instructions for bf16 (AVX-512 BF16): bf16 runs as f32."
check "… and int8" out_has "It has no instructions for int8 (AVX-512 VNNI): int8 runs as f32."
check "… in the row as well" out_has "ran as f32"
check "… that the picture is synthetic" out_has "synthetic"
for heading in "One picture on one thread" "Classifying one face" "Detecting in 1280×720" "frames of 640×480" "Memory at most"; do
  check "… and have: $heading" out_has "$heading"
done

run "$MIEN" bench "${short[@]}" --json --precision f32 --precision auto --model mien-small "$work/small.bmp"
check "precisions may be chosen" told '[x["precision"] for x in d["classify"] + d["detect"]] == ["f32", "f32"]'
check "… for the pictures too" told 'd["model"]["precision"] == "f32"'
check "a picture of one's own is measured, whatever its format" told \
  '[(x["file"], x["synthetic"], x["width"], x["height"]) for x in d["pictures"]] == [("'"$work"'/small.bmp", False, 160, 120)]'
check "… and nobody is given where nobody is" told 'd["pictures"][0]["faces"] == 0 and not d["pictures"][0]["face_given"]'

run "$MIEN" bench "${short[@]}" --json --preset neo --precision f32 --model mien-small "$work/small.bmp"
check "a preset that uses a cascade is measured" told 'd["detector"]["kind"] == "cascade" and fine(d["pictures"][0]["ms"]["detect"])'
check "… and has no network to compare" told 'd["detect"] == []'

python3 - "$work" <<'PYTHON'
import sys
model = open("models/emotion-small.onnx", "rb").read()
open(sys.argv[1] + "/plain.onnx", "wb").write(model.replace(b"mien.int8.ranges", b"xien.int8.ranges"))
PYTHON
run "$MIEN" bench "${short[@]}" --json --model mien-small --model "$work/plain.onnx" "$work/small.bmp"
check "a model without ranges is no failure" status_is 0
check "… and says of int8 why not" told 'd["classify"][5]["name"].endswith("plain.onnx") and "ranges" in d["classify"][5]["not_measured"]'

echo "no picture" >"$work/text.jpg"
mkdir "$work/empty"
refused() { # NAME STATUS MESSAGE ARGUMENT…
  run "$MIEN" bench "${@:4}"
  check "$1 is refused" status_is "$2"
  check "… in one line with the command's name" err_lines 1
  check "… that says: $3" err_has "mien bench: $3"
}
refused "a file that is no picture" 1 "$work/text.jpg: not a picture" --json "$work/text.jpg"
check "… before anything is printed" test ! -s "$work/out"
refused "a missing picture" 1 "$work/nowhere.jpg: cannot open" "$work/nowhere.jpg"
refused "a folder without pictures" 1 "$work/empty: no pictures in this folder" "$work/empty"
refused "an unknown model" 1 "nope: no such file, nor a model that ships" --model nope
refused "… also as the second one" 1 "nope: no such file, nor a model that ships" --model mien-small --model nope
refused "no time" 2 "--seconds 0: expected seconds" --seconds 0
refused "a time that is no number" 2 "--seconds soon: expected seconds" --seconds soon
refused "no thread" 2 "--threads 0: expected a number from 1 to 64" --threads 0

photo=$SHARED/photos/human_group-1.jpg
if [ -r "$photo" ]; then
  run "$MIEN" detect --json "$photo"
  cp "$work/out" "$work/detected"
  run "$MIEN" bench "${short[@]}" --json --threads 1 --precision int8 --model mien-small "$photo" "$SHARED/photos/astronaut.png"
  check "several pictures are measured, each by name" told \
    '[x["file"] for x in d["pictures"]] == ["'"$photo"'", "'"$SHARED"'/photos/astronaut.png"]'
  check "… with the faces that detect finds" told \
    'd["pictures"][0]["faces"] == len(json.load(open("'"$work"'/detected"))["faces"]) > 1 and not d["pictures"][0]["face_given"]'
else
  skip "several pictures" "../shared/photos is not here"
fi
done_testing
