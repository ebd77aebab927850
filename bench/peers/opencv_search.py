"""OpenCV's cascade as a peer of bench_detector's searches, on one thread: PICTURE CASCADE.xml; one JSON line with the best
and the median milliseconds for the picture at 640 × 480, already grey, as the preset faceml asks (1.1, 5, from 30 pixels).
"""
import json
import statistics
import sys
import time

import cv2

cv2.setNumThreads(0)
cv2.ocl.setUseOpenCL(False)
grey = cv2.cvtColor(cv2.resize(cv2.imread(sys.argv[1]), (640, 480)), cv2.COLOR_BGR2GRAY)
cascade = cv2.CascadeClassifier(sys.argv[2])
times = []
begin = time.perf_counter()
while len(times) < 6 or time.perf_counter() - begin < 2:
    start = time.perf_counter_ns()
    cascade.detectMultiScale(grey, 1.1, 5, minSize=(30, 30))
    times.append((time.perf_counter_ns() - start) / 1e6)
times = times[3:]  # the first ones warm up, as ours do
print(json.dumps({"file": f"OpenCV {cv2.__version__}, cascade", "what": "search", "best_ms": min(times),
                  "median_ms": statistics.median(times), "runs": len(times)}))
