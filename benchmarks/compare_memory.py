"""Peak memory of an audit of 50,000 images beside torch-fidelity's metrics of the same images.

Both see the same small pictures through the same small network of 2048 features and ten classes, so that what is
measured is the work around the network. fidprobe audits with its own choice of metrics and a second space;
torch-fidelity computes FID, KID, the Inception Score, precision and recall. Neither runs beside the other.
"""

import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.comparison import OURS, Aim, Timing, Work, keep
from benchmarks.memory import measured
from benchmarks.small_network import save_small_network

SIDE = 32

PEER = """
import numpy as np, torch, torch_fidelity
from torch_fidelity.feature_extractor_base import FeatureExtractorBase
network = torch.jit.load("network.pt")
class Small(FeatureExtractorBase):
    def __init__(self, name, features_list, **kwargs):
        super().__init__(name, features_list)
    @staticmethod
    def get_provided_features_list():
        return "features", "logits"
    @staticmethod
    def get_default_feature_layer_for_metric(metric):
        return "logits" if metric == "isc" else "features"
    @staticmethod
    def can_be_compiled():
        return False
    def forward(self, x):
        found = dict(zip(("features", "logits"), network(x.float())))
        return tuple(found[name] for name in self.features_list)
class Pictures(torch.utils.data.Dataset):
    def __init__(self, path):
        self.pixels = np.load(path, mmap_mode="r")
    def __len__(self):
        return len(self.pixels)
    def __getitem__(self, i):
        return torch.from_numpy(self.pixels[i].copy()).permute(2, 0, 1)
torch_fidelity.register_feature_extractor("small", Small)
print(torch_fidelity.calculate_metrics(
    input1=Pictures("made.npy"), input2=Pictures("real.npy"), feature_extractor="small", cuda=False, verbose=False,
    isc=True, fid=True, kid=True, prc=True, kid_subset_size=min(1000, len(Pictures("real.npy"))), cache=False,
))
"""


def pictures(count: int, spread: float, seed: int) -> npt.NDArray[np.uint8]:
    """Noise about coarse patches, [count, 32, 32, 3]."""
    rng = np.random.default_rng(seed)
    found = np.empty((count, SIDE, SIDE, 3), np.uint8)
    for at in range(0, count, 1000):
        part = found[at : at + 1000]
        coarse = rng.normal(128, 50, (len(part), 4, 4, 3)).repeat(SIDE // 4, 1).repeat(SIDE // 4, 2)
        part[:] = (coarse + rng.normal(0, spread, part.shape)).clip(0, 255)
    return found


def measure(small: bool) -> dict[str, Any]:
    """Run both, each in a process of its own, and keep the record."""
    images, dim = (100, 64) if small else (50_000, 2048)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for side, spread, seed in (("real", 30, 0), ("made", 36, 1)):
            np.save(folder / f"{side}.npy", pictures(images, spread, seed))
        save_small_network(folder / "network.pt", side=SIDE, dim=dim)
        (folder / "peer.py").write_text(PEER)
        ours = measured(
            folder, ("audit", "real.npy", "made.npy", "-e", "torchscript:network.pt", "-s", "random", "-o", "out", "-q")
        )
        theirs = measured(folder, ("peer.py",), program=(), may_be_killed=True)
    peer = "torch-fidelity" + (", until the system ended it for lack of memory" if "killed" in theirs else "")
    rows = {
        OURS: Timing((ours["seconds"],), value=ours["resident_bytes"] / 2**30),
        peer: Timing((theirs["seconds"],), value=theirs["resident_bytes"] / 2**30),
    }
    title = f"audit of 2 x {images:,} images, {dim} dimensions (values: peak of resident memory, GiB)"
    aims = [
        Aim("fidprobe's peak over torch-fidelity's", ours["resident_bytes"] / theirs["resident_bytes"], most=0.5),
    ]
    facts = {"anonymous GiB": {OURS: ours["anonymous_bytes"] / 2**30, peer: theirs["anonymous_bytes"] / 2**30}}
    versions = {"torch-fidelity": version("torch-fidelity")}
    return keep(
        "memory", [Work(title, rows, aims, facts=facts)], inputs={"images": images}, versions=versions, small=small
    )
