# Guards `mien eval --faces`: its table, JSON and page, wrong usage, missing pictures, the pictures of mistakes, ranges
# for eight bits.
source "$(dirname "$0")/tap.bash"

printf 'BM\x46\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0\2\0\0\0\2\0\0\0\1\0\x18\0\0\0\0\0\x10\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\377\377\377\0\0\0\0\0\0\0\0\377\377\377\0\0' >"$work/tiny.bmp"
printf 'file,x,y,width,height,ignore\ntiny.bmp,0,0,40,40,0\ntiny.bmp,0,0,50,50,1\n' >"$work/faces.csv"

run "$MIEN" eval --faces "$work/faces.csv" --images "$work" --preset faceml --preset neo --json
check "two presets are measured" status_is 0
check "… each is an object" json '[x["detector"] for x in d] == ["faceml", "neo"] and d[0]["pictures"] == 1'
check "… that counts the missed face" json \
  '[(f["faces"], f["hits"], f["recall"]) for f in d[0]["figures"] if f["size"] == "32+"] == [(1, 0, 0.0)] * 2'
run "$MIEN" eval --faces "$work/faces.csv" --images "$work" --preset faceml
check "the table names the detector" out_has "faceml"
printf 'nowhere.jpg,0,0,40,40,0\n' >>"$work/faces.csv"
run "$MIEN" eval --faces "$work/faces.csv" --images "$work" --preset faceml --mistakes "$work/mistakes"
check "a missing picture is named" err_has "nowhere.jpg"
check "… and the status says so" status_is 1
check "a picture with a missed face is written" test -s "$work/mistakes/1_tiny.bmp.jpg"

run "$MIEN" eval --faces --help
check "the help of face detectors needs no file" out_has "detector FILE"
run "$MIEN" eval --faces "$work/faces.csv"
check "no folder of images is wrong usage" status_is 2
run "$MIEN" eval --faces "$work/faces.csv" --images "$work" --preset nonsense
check "an unknown preset is wrong usage" status_is 2
echo "x,y" >"$work/other.csv"
run "$MIEN" eval --faces "$work/other.csv" --images "$work" --preset faceml
check "another table is refused" status_is 1
check "… with the missing column" err_has '"file"'
run "$MIEN" eval --faces "$work/faces.csv" --images "$work" --preset faceml --calibrate "$work/own.onnx"
check "a cascade has nothing to calibrate" status_is 1
run "$MIEN" eval --faces "$work/faces.csv" --images "$work" --precision f16
check "an unknown precision is wrong usage" status_is 2
echo "not a model" >"$work/model.onnx"
run "$MIEN" eval --faces "$work/faces.csv" --images "$work" --detector "$work/model.onnx"
check "a foreign detector is refused by name" err_has "model.onnx"

photos=$SHARED/photos
if [ -r "$photos/annotations.csv" ] && [ -r "$SHARED/models/version-RFB-320.onnx" ]; then
  grep -E '^(file|dlib)' "$photos/annotations.csv" >"$work/dlib.csv"
  run "$MIEN" eval --faces "$work/dlib.csv" --images "$photos" --preset faceml --detector "$SHARED/models/version-RFB-320.onnx" --json
  check "photographs are measured" status_is 0
  check "the network finds more than the cascade" json \
    '[f["recall"] for f in d[1]["figures"]][0] > [f["recall"] for f in d[0]["figures"]][0] > 0.5'
  check "… by its threshold, with a curve beyond it" json \
    'd[1]["threshold"] == 0.5 and d[1]["curve"][-1][0] < 0.5 and d[1]["best"]["f1"] >= max(f["f1"] for f in d[1]["figures"] if f["iou"] == 0.4 and f["size"] == "32+") - 1e-6'
  run "$MIEN" eval --faces "$work/dlib.csv" --images "$photos" --every 4 --detector "$SHARED/models/version-RFB-320.onnx" --min-score 1 --report "$work/page.html" --json
  check "a threshold is obeyed" json 'd[0]["threshold"] == 1 and d[0]["figures"][0]["recall"] < 0.2 and d[0]["pictures"] < 5'
  check "a page shows what was missed" grep -q "data:image/jpeg;base64" "$work/page.html"
  run "$MIEN" eval --faces "$work/dlib.csv" --images "$photos" --detector "$SHARED/models/version-RFB-320.onnx" --precision int8
  check "eight bits without ranges are refused" err_has "ranges for eight bits"
  run "$MIEN" eval --faces "$work/dlib.csv" --images "$photos" --detector "$SHARED/models/version-RFB-320.onnx" --calibrate "$work/own.onnx"
  check "ranges are found" status_is 0
  run "$MIEN" eval --faces "$work/dlib.csv" --images "$photos" --every 4 --detector "$work/own.onnx" --precision int8 --json
  check "… and a network runs in eight bits" json '[f["recall"] for f in d[0]["figures"]][0] > 0.5'
else
  skip "photographs are measured" "the shared photographs or models are not here"
fi
done_testing
