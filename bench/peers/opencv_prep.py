"""OpenCV's image operations as a peer of bench_prep, on one thread: the same lines for the pictures that it saved.
Argument: the folder with picture.jpg and picture.png."""
import sys
import time

import cv2
import numpy

RUNS = 15
cv2.setNumThreads(0)
cv2.ocl.setUseOpenCL(False)
jpeg = numpy.fromfile(sys.argv[1] + "/picture.jpg", numpy.uint8)
png = numpy.fromfile(sys.argv[1] + "/picture.png", numpy.uint8)
colour = cv2.imdecode(png, cv2.IMREAD_COLOR)
grey = cv2.cvtColor(colour, cv2.COLOR_BGR2GRAY)
height, width = grey.shape
target = numpy.zeros_like(grey)
clahe = cv2.createCLAHE(2.0, (8, 8))


def shrink(scale, how):
    to = numpy.zeros((int(height / scale + 0.5), int(width / scale + 0.5)), numpy.uint8)
    return lambda: cv2.resize(grey, (to.shape[1], to.shape[0]), dst=to, interpolation=how)


operations = {
    "grey": lambda: cv2.cvtColor(colour, cv2.COLOR_BGR2GRAY, dst=target),
    "resize_exact_1.1": shrink(1.1, cv2.INTER_LINEAR_EXACT),
    "resize_exact_2.6": shrink(2.6, cv2.INTER_LINEAR_EXACT),
    "resize_linear_1.1": shrink(1.1, cv2.INTER_LINEAR),
    "resize_half": shrink(2, cv2.INTER_LINEAR),
    "gaussian_3": lambda: cv2.GaussianBlur(grey, (3, 3), 0, dst=target),
    "gaussian_9": lambda: cv2.GaussianBlur(grey, (9, 9), 0, dst=target),
    "equalise": lambda: cv2.equalizeHist(grey, dst=target),
    "clahe": lambda: clahe.apply(grey, target),
    "median_3": lambda: cv2.medianBlur(grey, 3, dst=target),
    "median_5": lambda: cv2.medianBlur(grey, 5, dst=target),
    "bilateral_5": lambda: cv2.bilateralFilter(grey, 5, 40, 40, dst=target),
    "decode_jpeg": lambda: cv2.imdecode(jpeg, cv2.IMREAD_COLOR),
    "decode_png": lambda: cv2.imdecode(png, cv2.IMREAD_COLOR),
}
for name, run in operations.items():
    times = []
    for _ in range(RUNS):
        start = time.perf_counter()
        run()
        times.append((time.perf_counter() - start) * 1e3)
    times.sort()
    print(name, f"{times[0]:.4f} {times[RUNS // 2]:.4f}")
