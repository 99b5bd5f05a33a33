#!/usr/bin/env python3
"""Compares arms of the drift experiment scene by scene: quartiles over scenes overlap, since scenes differ, but every arm
has the same ones. Prints in how many scenes an arm is closer to the picture (PSNR of still regions) than the control, and
the median difference in dB.

  compare_arms.py CONTROL.json ARM.json…      reports of svi-worker eval-drift (arms.sh leaves them in WORK/reports)
"""

import json
import pathlib
import statistics
import sys


def load(path):
    """{clip: [dB of each scene]}; nothing where a scene has no still region."""
    by_clip = {}
    for scene in json.loads(pathlib.Path(path).read_text())["scenes"]:
        for clip in scene["clips"]:
            by_clip.setdefault(clip["clip"], []).append(clip["drift"].get("static_psnr"))
    return by_clip


def main():
    control = load(sys.argv[1])
    clips = sorted(control)
    print(f"| against {pathlib.Path(sys.argv[1]).stem} | " + " | ".join(f"clip {c}" for c in clips) + " |")
    print("| --- |" + " --- |" * len(clips))
    for path in sys.argv[2:]:
        arm = load(path)
        cells = []
        for clip in clips:
            pairs = [(a, b) for a, b in zip(arm[clip], control[clip]) if a is not None and b is not None]
            better = sum(a > b for a, b in pairs)
            cells.append(f"{better} of {len(pairs)}, {statistics.median(a - b for a, b in pairs):+.1f} dB")
        print(f"| {pathlib.Path(path).stem} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
