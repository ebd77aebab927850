"""OpenCV's cascade as a peer of bench_cascade, on one thread: grey pictures come in on standard input, rectangles and the
time they took go out. Argument: the cascade's XML file.

in   "width height runs scale_factor min_neighbors min_size\n", then width × height bytes
out  "ns1 ns2 … ; x y w h  x y w h …\n"
"""
import sys
import time

import cv2
import numpy

cv2.setNumThreads(0)
cv2.ocl.setUseOpenCL(False)
cascade = cv2.CascadeClassifier(sys.argv[1])
stdin = sys.stdin.buffer
print("OpenCV", cv2.__version__, flush=True)
while line := stdin.readline():
    fields = line.split()
    width, height, runs = (int(f) for f in fields[:3])
    factor, neighbors, side = float(fields[3]), int(fields[4]), int(fields[5])
    grey = numpy.frombuffer(stdin.read(width * height), numpy.uint8).reshape(height, width)
    times = []
    for _ in range(runs):
        start = time.perf_counter_ns()
        found = cascade.detectMultiScale(grey, factor, neighbors, minSize=(side, side))
        times.append(time.perf_counter_ns() - start)
    rectangles = "  ".join(" ".join(str(int(v)) for v in rectangle) for rectangle in found)
    print(" ".join(map(str, times)), ";", rectangles, flush=True)
