"""Exports the classifiers of the benchmark that the repository does not ship: `export.py FOLDER NAME...`.

Weights are random: what a network costs does not depend on them.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "zoo"))

from architectures import TORCHVISION, Architecture, script
from exporting import build, export, pictures

MODELS: list[Architecture] = script(17, 224, "densenet121", "mobilenet_v3_large", "resnet50", batch=1, **TORCHVISION)


def main() -> None:
    folder, *names = sys.argv[1:]
    for architecture in MODELS:
        if architecture.name in names:
            model = build(architecture)
            export(architecture, model, Path(folder) / f"{architecture.name}.onnx", pictures(architecture, 1))


if __name__ == "__main__":
    main()
