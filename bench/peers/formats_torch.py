"""Networks exported by PyTorch at several operator sets, with PyTorch's answers: formats_torch.py FOLDER

Each file FOLDER/torch_<net>_<set>.onnx has its answers to the two fixed pictures of bench_formats beside it as .json. The
networks use what real ones do: squeeze and excitation, inverted residuals, splits, padding, resizing, slices, arithmetic.
"""
import json
import sys
import warnings

import numpy
import torch
import torch.nn as nn
import torch.nn.functional as F


class Excite(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.down = nn.Linear(channels, 4)
        self.up = nn.Linear(4, channels)

    def forward(self, x):
        batch, channels = x.shape[:2]
        gate = F.adaptive_avg_pool2d(x, 1).view(batch, channels)
        gate = torch.sigmoid(self.up(F.relu(self.down(gate))))
        return x * gate.view(batch, channels, 1, 1)


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, 2, 1)
        self.norm = nn.BatchNorm2d(16)
        self.excite = Excite(16)
        self.depthwise = nn.Conv2d(16, 16, 3, 1, 1, groups=16, bias=False)
        self.slope = nn.PReLU(16)
        self.logits = nn.Linear(16, 7)

    def forward(self, x):
        x = F.silu(self.norm(self.stem(x)))
        x = self.slope(F.hardswish(self.depthwise(x + self.excite(x))))
        x = F.max_pool2d(x, 3, 2, 1, ceil_mode=True)
        x = F.avg_pool2d(x, 2, 2, ceil_mode=True, count_include_pad=False)
        return F.softmax(self.logits(F.dropout(x.mean([2, 3]), 0.3, self.training)), 1)


class Moves(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(1, 8, 5, padding=2)
        self.second = nn.Conv2d(8, 4, 3, dilation=2, padding=2)

    def forward(self, x):
        x = F.relu6(self.first(F.pad((x - 0.485) / 0.229, (1, 0, 2, 1))))
        left, right = x.chunk(2, 1)
        x = F.interpolate(torch.cat([right, left], 1), scale_factor=2, mode="nearest")
        x = self.second(x)[:, 1:, 2:-1, 3:] * 2 + 1
        y = F.elu(x).clamp(-0.5, 2)
        y = 1 - (F.leaky_relu(y, 0.2) - torch.tanh(y))
        y = y.permute(0, 2, 3, 1).reshape(x.shape[0], -1, 3)
        return F.softmax(y, -1), x.amax((2, 3))


def plain():
    return nn.Sequential(
        nn.Conv2d(1, 6, 3), nn.BatchNorm2d(6), nn.ELU(), nn.MaxPool2d(2), nn.Conv2d(6, 8, 3, stride=2, bias=False),
        nn.Hardsigmoid(), nn.Flatten(), nn.Dropout(), nn.Linear(72, 12), nn.BatchNorm1d(12), nn.Sigmoid(),
        nn.Linear(12, 7, bias=False))


class Inverted(nn.Module):
    def __init__(self):
        super().__init__()
        self.expand = nn.Sequential(nn.Conv2d(3, 18, 1, bias=False), nn.BatchNorm2d(18), nn.ReLU6())
        self.depthwise = nn.Sequential(
            nn.Conv2d(18, 18, 3, 2, 1, groups=18, bias=False), nn.BatchNorm2d(18), nn.ReLU6())
        self.project = nn.Sequential(nn.Conv2d(18, 6, 1, bias=False), nn.BatchNorm2d(6))
        self.grouped = nn.Conv2d(6, 12, 3, 1, 1, groups=3)
        self.logits = nn.Linear(6, 5)

    def forward(self, x):
        x = self.project(self.depthwise(self.expand(x)))
        value, gate = torch.split(self.grouped(x), [6, 6], 1)
        x = F.adaptive_avg_pool2d(x + value * torch.sigmoid(gate), (1, 1))
        return self.logits(torch.flatten(x, 1)).unsqueeze(2).squeeze(2)


def settle(net):
    """Statistics and scales that are not the identity."""
    for module in net.modules():
        if isinstance(module, (nn.BatchNorm2d, nn.BatchNorm1d)):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
            module.weight.data.uniform_(0.5, 1.5)
            module.bias.data.normal_()
    return net.eval()


def export(folder, name, net, shape):
    count = int(numpy.prod(shape))
    pictures = torch.tensor(numpy.array([(i * 7919) % 1000 / 500 - 1 for i in range(count)], "f4").reshape(shape))
    answers = net(pictures)
    answers = answers if isinstance(answers, tuple) else (answers,)
    outputs = [{"shape": list(a.shape), "values": a.detach().numpy().ravel().tolist()} for a in answers]
    for opset in (9, 11, 13, 16):
        path = f"{folder}/torch_{name}_{opset}"
        torch.onnx.export(net, pictures, path + ".onnx", opset_version=opset, input_names=["x"],
                          dynamic_axes={"x": {0: "N"}})
        with open(path + ".json", "w") as file:
            json.dump({"outputs": outputs}, file)


def main():
    warnings.filterwarnings("ignore")
    torch.manual_seed(1)
    with torch.no_grad():
        export(sys.argv[1], "residual", settle(Residual()), (2, 3, 21, 17))
        export(sys.argv[1], "moves", settle(Moves()), (2, 1, 9, 10))
        export(sys.argv[1], "plain", settle(plain()), (2, 1, 18, 18))
        export(sys.argv[1], "inverted", settle(Inverted()), (2, 3, 15, 16))


main()
