# Guards `mien video`: frames as JSON lines, the summary of people, the interval, bad files. Skips where mien was built
# without FFmpeg.
source "$(dirname "$0")/tap.bash"

# avi OUT FRAME… : the JPEG files as a video of ten frames a second.
avi() {
  python3 - "$@" <<'PYTHON'
import struct, sys
frames = [open(f, "rb").read() for f in sys.argv[2:]]
def size(jpeg):
    at = 2
    while not (0xC0 <= jpeg[at + 1] <= 0xC2):
        at += 2 + struct.unpack(">H", jpeg[at + 2:at + 4])[0]
    height, width = struct.unpack(">HH", jpeg[at + 5:at + 9])
    return width, height
def chunk(name, body):
    return name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)
width, height = size(frames[0])
main = struct.pack("<14I", 100000, 0, 0, 0, len(frames), 0, 1, 0, width, height, 0, 0, 0, 0)
stream = b"vidsMJPG" + struct.pack("<12I", 0, 0, 0, 1, 10, 0, len(frames), 0, 0, 0, 0, 0)
form = struct.pack("<IIIHH4s5I", 40, width, height, 1, 24, b"MJPG", 0, 0, 0, 0, 0)
header = chunk(b"LIST", b"hdrl" + chunk(b"avih", main) + chunk(b"LIST", b"strl" + chunk(b"strh", stream) + chunk(b"strf", form)))
movie = chunk(b"LIST", b"movi" + b"".join(chunk(b"00dc", f) for f in frames))
open(sys.argv[1], "wb").write(chunk(b"RIFF", b"AVI " + header + movie))
PYTHON
}

run "$MIEN" video
check "no file is wrong usage" status_is 2
run "$MIEN" video --every never clip.mp4
check "an interval that is no number is wrong usage" status_is 2
run "$MIEN" video --help
check "help explains" out_has "--every"

echo "not a video" >"$work/text.mp4"
run "$MIEN" video "$work/text.mp4"
check "a file that is no video is refused" status_is 1
if grep -q "built without video" "$work/err"; then
  skip "frames of a video" "mien was built without video"
  done_testing
  exit 0
fi
check "… in one line" err_lines 1
check "… with its name" err_has "text.mp4"
run "$MIEN" video "$work/nowhere.mp4"
check "a missing file is refused" status_is 1

python3 - "$work" <<'PYTHON'
import struct, sys
# Two frames of 32 × 32 in one colour each; a clear code before every pixel keeps LZW's codes at three bits.
def frame(colour):
    bits = "".join(format(code, "03b")[::-1] for _ in range(1024) for code in (4, colour)) + "101"
    data = bytes(int(bits[i:i + 8].ljust(8, "0")[::-1], 2) for i in range(0, len(bits), 8))
    blocks = b"".join(bytes([len(data[i:i + 255])]) + data[i:i + 255] for i in range(0, len(data), 255))
    return b"!\xf9\x04\0\x0a\0\0\0," + struct.pack("<4HB", 0, 0, 32, 32, 0) + b"\2" + blocks + b"\0"
head = b"GIF89a" + struct.pack("<HHBBB", 32, 32, 0x80, 0, 0) + bytes(6)
open(sys.argv[1] + "/two.gif", "wb").write(head + frame(0) + frame(1) + b";")
PYTHON
run "$MIEN" video --json "$work/two.gif"
check "a GIF that moves is a video" json '[(x["width"], round(x["time"], 3)) for x in d] == [(32, 0), (32, 0.1)]'
head -c 100 "$work/two.gif" >"$work/none.gif"
run "$MIEN" video "$work/none.gif"
check "a video without one whole frame is refused" status_is 1
check "… and told of" err_has "none.gif"
printf '\211PNG\r\n\032\n' >"$work/picture.mp4"
run "$MIEN" video "$work/picture.mp4"
check "what is no video says what would be" err_has "Matroska"

photo=$SHARED/photos/human_group-1.jpg
if [ -r "$photo" ]; then
  avi "$work/clip.avi" "$photo" "$photo" "$photo" "$photo" "$photo"
  run "$MIEN" detect --json "$photo"
  cp "$work/out" "$work/still"
  run "$MIEN" video --json "$work/clip.avi"
  check "a video is analysed" status_is 0
  check "… every frame of it" json '[round(x["time"], 3) for x in d] == [0, 0.1, 0.2, 0.3, 0.4]'
  check "… with the faces that its frames have as pictures" json \
    'abs(len(d[0]["faces"]) - len(json.loads(open("'"$work"'/still").read())["faces"])) <= 1 and len(d[0]["faces"]) > 0'
  check "… and one number a person all the way" json \
    'all(sorted(f["id"] for f in x["faces"]) == sorted(f["id"] for f in d[0]["faces"]) for x in d)'
  check "smoothed probabilities sum to 1" json 'all(abs(sum(f["smoothed"].values()) - 1) < 1e-4 for x in d for f in x["faces"])'
  run "$MIEN" video --json --every 0.2 "$work/clip.avi"
  check "--every leaves frames out" json '[round(x["time"], 3) for x in d] == [0, 0.2, 0.4]'
  run "$MIEN" video "$work/clip.avi"
  check "the summary has a line a person" out_has "person 1"
  check "… and counts frames" out_has "5 frames"
else
  skip "a real video" "../shared is not here"
fi
done_testing
