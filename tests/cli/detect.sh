# Guards `mien detect`: its table and JSON, folders and standard input, bad pictures beside good ones, annotated copies.
source "$(dirname "$0")/tap.bash"

# A 2×2 picture without faces, written byte by byte (BMP, 24 bits).
printf 'BM\x46\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0\2\0\0\0\2\0\0\0\1\0\x18\0\0\0\0\0\x10\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\377\377\377\0\0\0\0\0\0\0\0\377\377\377\0\0' >"$work/tiny.bmp"
: >"$work/empty.jpg"
echo "this is text" >"$work/text.jpg"
head -c 200 "$work/tiny.bmp" | head -c 60 >"$work/cut.bmp"

run "$MIEN" detect --json "$work/tiny.bmp"
check "a picture without faces is no error" status_is 0
check "… and has an empty list" json 'd[0]["faces"] == [] and d[0]["width"] == 2 and d[0]["height"] == 2'
check "… and all four times" json 'set(d[0]["timing_ms"]) == {"decode","detect","classify","total"}'

run "$MIEN" detect --json "$work/empty.jpg" "$work/tiny.bmp" "$work/text.jpg" "$work/cut.bmp" "$work/nowhere.png"
check "bad files set the exit status" status_is 1
check "… the good one is answered" json 'len(d) == 1 and d[0]["file"].endswith("tiny.bmp")'
check "… each bad one is one line" err_lines 4
for name in empty.jpg text.jpg cut.bmp nowhere.png; do check "… $name is named" err_has "$name"; done

mkdir -p "$work/folder/below"
cp "$work/tiny.bmp" "$work/folder/a.bmp"; cp "$work/tiny.bmp" "$work/folder/below/b.BMP"; echo x >"$work/folder/notes.txt"
run "$MIEN" detect --json "$work/folder"
check "a folder stands for its pictures, also those below" json '[x["file"].split("/")[-1] for x in d] == ["a.bmp","b.BMP"]'

run bash -c '"$0" detect --json - <"$1"' "$MIEN" "$work/tiny.bmp"
check "- is standard input" json 'd[0]["file"] == "-"'

run "$MIEN" detect
check "no file is wrong usage" status_is 2
run "$MIEN" detect --preset nonsense "$work/tiny.bmp"
check "an unknown preset is wrong usage" status_is 2
check "… and the known ones are listed" err_has "history-api"
run "$MIEN" detect --jobs 0 "$work/tiny.bmp"
check "a number out of range is wrong usage" status_is 2
run "$MIEN" detect --max-pixels 3 "$work/tiny.bmp"
check "the limit on pixels holds" status_is 1
echo "not a model" >"$work/model.onnx"
run "$MIEN" detect --model "$work/model.onnx" "$work/tiny.bmp"
check "a foreign model is refused" status_is 1
check "… with its name and reason" err_has "model.onnx: not an ONNX model"
run "$MIEN" detect --detector "$work/model.onnx" "$work/tiny.bmp"
check "a foreign detector is named once" err_has "detect: $work/model.onnx: not an ONNX model"
run "$MIEN" detect --detector "$(dirname "$0")/../../models/emotion.onnx" "$work/tiny.bmp"
check "an emotion model is no detector" err_has "emotion.onnx: this model reads emotions"
run "$MIEN" detect --model "$(dirname "$0")/../fuzz/corpus/keras_archive/packed.keras" "$work/tiny.bmp"
check "a .keras archive is taken as a model" status_is 0
cascade=/usr/share/opencv4/haarcascades/haarcascade_frontalface_default.xml
head -c 40000 "$cascade" >"$work/half.xml"
run "$MIEN" detect --preset neo --cascade "$work/half.xml" "$work/tiny.bmp"
check "a cascade cut in half is refused" status_is 1
check "… with its name" err_has "half.xml"
# copies of pictures whose names are alike: "a-2" is one's stem and would be another's number
other() { LC_ALL=C sed 's/\xff/\x80/' "$work/tiny.bmp"; }
mkdir -p "$work/x" "$work/y"; cp "$work/tiny.bmp" "$work/x/a.bmp"; cp "$work/tiny.bmp" "$work/y/a.png"; other >"$work/a-2.bmp"
for jobs in 1 4; do
  run "$MIEN" detect --jobs $jobs --annotate "$work/alike$jobs" "$work/x/a.bmp" "$work/y/a.png" "$work/a-2.bmp" "$work/tiny.bmp"
  check "pictures of like names are all drawn, $jobs at a time" status_is 0
  check "… each in a file of its own" test "$(ls "$work/alike$jobs" | xargs)" = "a-1.jpg a-2.jpg a-6.jpg tiny.jpg"
done
run "$MIEN" detect --annotate "$work/single" "$work/a-2.bmp"
check "… where a name that is nobody else's stays" cmp "$work/single/a-2.jpg" "$work/alike1/a-2.jpg"
check "… whichever was first" diff -r "$work/alike1" "$work/alike4"
cp "$work/single/a-2.jpg" "$work/alike1/a-2.jpg"; cp "$work/single/a-2.jpg" "$work/x/a-2.jpg"
run "$MIEN" detect --annotate "$work/alike1" "$work/x/a.bmp" "$work/y/a.png" "$work/x/a-2.jpg" "$work/alike1/a-2.jpg"
check "no copy takes an original's name" cmp "$work/single/a-2.jpg" "$work/alike1/a-2.jpg"

# a machine without opencv-data
without() {
  run env LD_PRELOAD="${MIEN_BUILD:-build}/tests/tools/missing_file.so" MISSING_FILE=haarcascade_frontalface_default.xml \
    ASAN_OPTIONS="${ASAN_OPTIONS:-}:verify_asan_link_order=0" timeout 60 "$@"
}
without "$MIEN" detect "$work/tiny.bmp"
check "mien's own way needs no cascade" status_is 0
without "$MIEN" detect --preset faceml "$work/tiny.bmp"
check "a preset that needs a missing cascade fails" status_is 1
check "… and says what to install" err_has "haarcascade_frontalface_default.xml is missing: install opencv-data"
without "$MIEN" serve --port 0
check "without a cascade no server starts" status_is 1
check "… and it says what to install" err_has "haarcascade_frontalface_default.xml is missing: install opencv-data"
run bash -c '"$0" detect --json "$1" >/dev/full' "$MIEN" "$work/tiny.bmp"
check "an answer that cannot be written is a failure" status_is 1
cp "$work/tiny.bmp" "$work/a name with é.bmp"; cp "$work/tiny.bmp" "$work/"$'bytes\xff\xfe.bmp'
run "$MIEN" detect --json "$work/a name with é.bmp" "$work/"$'bytes\xff\xfe.bmp'
check "any file name is taken" status_is 0
check "… and is valid JSON" json '[x["file"].split("/")[-1] for x in d] == ["a name with é.bmp", "bytes\ufffd\ufffd.bmp"]'

mkdir -p "$work/tree/below"; cp "$work/tiny.bmp" "$work/tree/below/a.bmp"; ln -s .. "$work/tree/below/loop"
run "$MIEN" detect --json "$work/tree"
check "a link back up a folder is not followed round" status_is 0
check "… and each picture is answered once" json 'len(d) == 1'
ln -s nowhere.jpg "$work/tree/b.jpg"
run "$MIEN" detect --json "$work/tree"
check "a link to nowhere in a folder is told of" err_has "b.jpg: cannot open"
check "… and loses nothing" json 'len(d) == 1'
run bash -c '"$0" detect --json - - <"$1"' "$MIEN" "$work/tiny.bmp"
check "standard input is read once" err_has "read once"
check "… and answered" json 'len(d) == 1'

photos=$SHARED/photos
if [ -r "$photos/astronaut.png" ]; then
  run "$MIEN" detect --json "$photos/astronaut.png" "$photos/human_group-1.jpg"
  check "photographs are analysed" status_is 0
  check "the astronaut has one face" json 'len(d[0]["faces"]) == 1 and 140 < d[0]["faces"][0]["box"][0] < 220'
  check "probabilities sum to 1" json 'all(abs(sum(f["probabilities"].values()) - 1) < 1e-4 for x in d for f in x["faces"])'
  check "confidence is the largest probability" json \
    'all(abs(max(f["probabilities"].values()) - f["confidence"]) < 1e-5 and f["probabilities"][f["emotion"]] == f["confidence"] for x in d for f in x["faces"])'
  check "boxes lie inside the picture" json \
    'all(f["box"][0] >= 0 and f["box"][1] >= 0 and f["box"][0]+f["box"][2] <= x["width"] and f["box"][1]+f["box"][3] <= x["height"] for x in d for f in x["faces"])'
  for preset in neo faceml history-api; do
    run "$MIEN" detect --json --preset $preset "$photos/astronaut.png"
    check "preset $preset finds the astronaut" json 'len(d[0]["faces"]) == 1'
  done
  if [ -r "$SHARED/models/version-RFB-320.onnx" ]; then
    run "$MIEN" detect --model "$SHARED/models/version-RFB-320.onnx" "$photos/astronaut.png"
    check "a face network is no emotion model" err_has "version-RFB-320.onnx: this model finds faces"
    cp "$SHARED/models/version-RFB-320.onnx" "$work/own.onnx"; echo '{"detector": {"style": "haar"}}' >"$work/own.onnx.json"
    run "$MIEN" detect --detector "$work/own.onnx" "$photos/astronaut.png"
    check "an unknown style beside a model is named" err_has 'detector.style "haar"'
    echo '{"detector": {"style": "rfb", "min_score": 0.7}, "crop": {"scale": 0.9}}' >"$work/own.onnx.json"
    run "$MIEN" detect --json --detector "$work/own.onnx" "$photos/astronaut.png"
    check "a style stated beside a model is used" json 'len(d[0]["faces"]) == 1'
  fi
  run "$MIEN" detect --annotate "$work/marked" "$photos/astronaut.png"
  check "the table names the expression" out_has "%"
  check "an annotated copy is written" test -s "$work/marked/astronaut.jpg"
  cp "$photos/human_group-1.jpg" "$work/own.jpg"; before=$(cksum <"$work/own.jpg")
  run "$MIEN" detect --annotate "$work" "$work/own.jpg"
  check "the original is never overwritten" test "$before" = "$(cksum <"$work/own.jpg")"
else
  skip "photographs are analysed" "../shared/photos is not here"
fi
done_testing
