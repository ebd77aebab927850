"""A twin of the service behind the preset neo as its document describes it, for bench/run.d/server: Flask, OpenCV's cascade,
and mien's own network through cv2.dnn, so that both servers do the same work. Run by gunicorn with two workers, one thread
each:

    MODEL=models/emotion.onnx gunicorn --workers 2 --bind 127.0.0.1:PORT neo_twin:app
"""
import os
import time

import cv2
import numpy
from flask import Flask, jsonify, request

cv2.setNumThreads(1)
CASCADE = cv2.CascadeClassifier(os.environ.get("CASCADE", "/usr/share/opencv4/haarcascades/haarcascade_frontalface_default.xml"))
NET = cv2.dnn.readNetFromONNX(os.environ["MODEL"])
LOGITS = "logits" if "logits" in NET.getUnconnectedOutLayersNames() else NET.getUnconnectedOutLayersNames()[0]
CLASSES = {"happy": 3, "sad": 4, "neutral": 6}
app = Flask(__name__)


def plausible(box, grey):
    """The false-positive filter: shape, size, contrast, inside the picture."""
    x, y, w, h = box
    if w < 30 or h < 30 or not 0.6 <= w / h <= 1.4 or x < 0 or y < 0 or x + w > grey.shape[1] or y + h > grey.shape[0]:
        return False
    return grey[y:y + h, x:x + w].var() >= 100


def covered(kept, other):
    """How much of a kept face another one covers, counting the pixels at both ends as the service does."""
    w = min(kept[0] + kept[2], other[0] + other[2]) - max(kept[0], other[0]) + 1
    h = min(kept[1] + kept[3], other[1] + other[3]) - max(kept[1], other[1]) + 1
    return max(w, 0) * max(h, 0) / ((kept[2] + 1) * (kept[3] + 1))


def find(grey):
    smooth = cv2.equalizeHist(cv2.GaussianBlur(grey, (3, 3), 0))
    found = [tuple(int(v) for v in box) for box in CASCADE.detectMultiScale(smooth, 1.1, 4, minSize=(30, 30))]
    kept = []
    for box in found:
        if plausible(box, smooth) and all(covered(other, box) <= 0.3 for other in kept):
            kept.append(box)
    return kept


def judge(grey, box):
    x, y, w, h = box
    face = cv2.resize(grey[y:y + h, x:x + w], (48, 48))
    NET.setInput(cv2.dnn.blobFromImage(face, 1 / 255))
    logits = NET.forward(LOGITS).ravel()
    scores = numpy.exp(logits - logits.max())
    some = {name: float(scores[index]) for name, index in CLASSES.items()}
    return {name: score / sum(some.values()) for name, score in some.items()}


@app.get("/health")
def health():
    return jsonify(status="healthy", model_loaded=True)


@app.post("/predict_file")
def predict_file():
    begin = time.perf_counter()
    if "file" not in request.files:
        return jsonify(error="No file uploaded"), 400
    picture = cv2.imdecode(numpy.frombuffer(request.files["file"].read(), numpy.uint8), cv2.IMREAD_COLOR)
    if picture is None:
        return jsonify(error="Invalid image"), 400
    grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    faces = []
    for number, (x, y, w, h) in enumerate(find(grey), 1):
        scores = judge(grey, (x, y, w, h))
        best = max(scores, key=scores.get)
        faces.append({"face_id": number, "emotion": best, "confidence": round(100 * scores[best], 2),
                      "coordinates": {"x": x, "y": y, "width": w, "height": h},
                      "all_probabilities": {name: round(100 * score, 2) for name, score in scores.items()}})
    return jsonify(success=bool(faces), faces_count=len(faces), faces=faces,
                   processing_time_ms=round((time.perf_counter() - begin) * 1e3, 2))
