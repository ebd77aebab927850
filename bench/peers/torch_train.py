"""Trains the network `baseline` with PyTorch on random pictures, augmented as its recipe says: images a second as JSON.
Arguments: threads, batch, steps."""
import json
import sys
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

threads, batch, steps = (int(a) for a in sys.argv[1:])
torch.set_num_threads(threads)
torch.manual_seed(1)


def stage(i, o):
    return [nn.Conv2d(i, o, 3, padding=1), nn.BatchNorm2d(o, eps=1e-3, momentum=0.01), nn.ReLU(), nn.MaxPool2d(2)]


net = nn.Sequential(*stage(1, 32), *stage(32, 64), *stage(64, 128), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.3),
                    nn.Linear(128, 256), nn.SiLU(), nn.Linear(256, 7)).to(memory_format=torch.channels_last)
optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
pictures = torch.randint(0, 256, (4096, 1, 48, 48), dtype=torch.uint8)
labels = torch.randint(0, 7, (4096,))


def augmented(rows):
    x = pictures[rows].float() / 255
    n = len(rows)
    angle = (torch.rand(n) - 0.5) * 20 * 3.14159265 / 180
    zoom, flip = 1 + (torch.rand(n) - 0.5) * 0.2, (torch.rand(n) < 0.5).float() * -2 + 1
    dx, dy = (torch.rand(n) - 0.5) * 0.4, (torch.rand(n) - 0.5) * 0.4
    c, s = angle.cos() * zoom, angle.sin() * zoom
    theta = torch.stack([torch.stack([c * flip, -s, dx], 1), torch.stack([s * flip, c, dy], 1)], 1)
    grid = F.affine_grid(theta, x.shape, align_corners=False)
    return F.grid_sample(x, grid, padding_mode="border", align_corners=False).contiguous(memory_format=torch.channels_last)


def run(count):
    for _ in range(count):
        rows = torch.randint(0, len(pictures), (batch,))
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(net(augmented(rows)), labels[rows]).backward()
        optimizer.step()


run(3)
wall, processor = time.perf_counter(), time.process_time()
run(steps)
wall, processor = time.perf_counter() - wall, time.process_time() - processor
print(json.dumps({"wall": steps * batch / wall, "processor": steps * batch / processor * threads}))
