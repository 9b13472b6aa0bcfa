"""A second opinion of our own: an encoder that learns CIFAR-10's pictures without labels and without ImageNet.

After Coates, Ng and Lee, "An analysis of single-layer networks in unsupervised feature learning" (AISTATS 2011):
6x6 patches, contrast-normalised and ZCA-whitened, k-means, triangle activation, sums over the four quadrants; then the
leading principal components of the training pictures' features, whitened, so that a distance is not all contrast and
sharpness, the first components. Minutes on one core; the file goes to the folder asked
for and works as `--second-opinion torchscript:FILE`.

    python -m benchmarks.patch_encoder cifar10-jpeg.zip WORK/patch-encoder.pt
"""

import argparse
import time
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks.recording import environment, write
from fidprobe.training.data import read_pictures
from fidprobe.training.probe import linear_probe

PATCH = 6  # pixels
STRIDE = 2
CENTROIDS = 500
DIMENSIONS = 256  # after the projection
PATCHES = 200_000
ROUNDS = 15  # of Lloyd's algorithm
CONTRAST = 10.0  # added to a patch's variance, in squared 8-bit steps (Coates et al.)
WHITENING = 0.1  # added to the eigenvalues of normalised patches (Coates et al.)
COMPONENTS_OF = 20_000  # pictures that the principal components are taken of
BATCH = 250  # pictures


class PatchEncoder(nn.Module):
    """Pictures float32 [n, 3, 32, 32] in 0..255 -> features [n, d].

    Args:
        mean: Of normalised patches, [108].
        whitening: [108, 108].
        centroids: Of whitened patches, [k, 108].
        stride: Between patches, in pixels.
        patch: Their side, in pixels.
        contrast: Added to a patch's variance.
    """

    mean: Tensor
    whitening: Tensor
    centroids: Tensor
    centre: Tensor
    projection: Tensor

    def __init__(
        self, mean: Tensor, whitening: Tensor, centroids: Tensor, stride: int, patch: int, contrast: float
    ) -> None:
        super().__init__()
        self.input_size: int = 32
        self.stride, self.patch, self.contrast = stride, patch, contrast
        self.register_buffer("mean", mean)
        self.register_buffer("whitening", whitening)
        self.register_buffer("centroids", centroids)
        self.register_buffer("centre", torch.zeros(4 * len(centroids)))
        self.register_buffer("projection", torch.zeros(4 * len(centroids), 0))

    @torch.jit.export
    def pooled(self, images: Tensor) -> Tensor:
        """Triangle activations, averaged over each quadrant, [n, 4 k]."""
        # A few pictures at a time: their activations then stay in the processor's cache.
        return torch.cat([self.block(part) for part in images.split(8)])

    def block(self, images: Tensor) -> Tensor:
        """`pooled` at once."""
        patches = nn.functional.unfold(images, self.patch, stride=self.stride)  # [n, 108, places]
        n, places = patches.shape[0], patches.shape[2]
        rows = normalised(patches.transpose(1, 2).reshape(n * places, -1), self.contrast)
        rows = (rows - self.mean) @ self.whitening
        products = rows.square().sum(1, keepdim=True) - 2 * (rows @ self.centroids.t())
        distances = (products + self.centroids.square().sum(1)).clamp_min(0).sqrt()
        active = (distances.mean(1, keepdim=True) - distances).clamp_min(0)
        side = (images.shape[3] - self.patch) // self.stride + 1
        grid = active.reshape(n, places // side, side, -1)
        half = (side + 1) // 2
        top, bottom = grid[:, :half], grid[:, half:]
        quarters = [top[:, :, :half], top[:, :, half:], bottom[:, :, :half], bottom[:, :, half:]]
        return torch.cat([quarter.mean(dim=(1, 2)) for quarter in quarters], 1)

    def forward(self, images: Tensor) -> Tensor:
        """The projected features."""
        return (self.pooled(images) - self.centre) @ self.projection


def normalised(patches: Tensor, contrast: float) -> Tensor:
    """Each row without its mean, divided by its standard deviation."""
    centred = patches - patches.mean(1, keepdim=True)
    return centred / (centred.square().mean(1, keepdim=True) + contrast).sqrt()


def random_patches(pictures: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Patches from random places of random pictures, float32 [count, 3 * 6 * 6]."""
    which = torch.randint(len(pictures), (count,), generator=generator)
    places = torch.randint(pictures.shape[2] - PATCH + 1, (2, count), generator=generator)
    reach = torch.arange(PATCH)
    rows, columns = ((place[:, None] + reach) for place in places)
    cut = pictures.permute(0, 2, 3, 1)[which[:, None, None], rows[:, :, None], columns[:, None, :]]
    return cut.permute(0, 3, 1, 2).reshape(count, -1).float()


def k_means(rows: Tensor, k: int, generator: torch.Generator) -> Tensor:
    """Lloyd's algorithm from random rows; an empty cluster starts anew at a random row."""
    centroids = rows[torch.randperm(len(rows), generator=generator)[:k]].clone()
    for _ in range(ROUNDS):
        sums, counts = torch.zeros_like(centroids), torch.zeros(k)
        for part in rows.split(20_000):
            nearest = (centroids.square().sum(1) - 2 * part @ centroids.T).argmin(1)
            sums.index_add_(0, nearest, part)
            counts += torch.bincount(nearest, minlength=k)
        empty = counts == 0
        centroids = sums / counts.clamp_min(1)[:, None]
        centroids[empty] = rows[torch.randint(len(rows), (int(empty.sum()),), generator=generator)]
    return centroids


def trained(pictures: Tensor, seed: int = 0) -> PatchEncoder:
    """An encoder, still without its projection."""
    generator = torch.Generator().manual_seed(seed)
    rows = normalised(random_patches(pictures, PATCHES, generator), CONTRAST)
    mean = rows.mean(0)
    values, vectors = torch.linalg.eigh(torch.cov(rows.T.double()))
    whitening = (vectors * (values.clamp_min(0) + WHITENING).rsqrt()) @ vectors.T
    centroids = k_means((rows - mean) @ whitening.float(), CENTROIDS, generator)
    return PatchEncoder(mean, whitening.float(), centroids, STRIDE, PATCH, CONTRAST)


def pooled_features(encoder: PatchEncoder, pictures: Tensor) -> Tensor:
    """Features before the projection of uint8 pictures, [n, 4 k]."""
    with torch.inference_mode():
        return torch.cat([encoder.pooled(batch.float()) for batch in pictures.split(BATCH)])


def some(pictures: Tensor) -> Tensor:
    """A random part of the pictures, for the principal components."""
    order = torch.randperm(len(pictures), generator=torch.Generator().manual_seed(2))
    return pictures[order[:COMPONENTS_OF]]


def project(encoder: PatchEncoder, features: Tensor) -> None:
    """Give the encoder the leading principal components of these features, each of variance 1."""
    encoder.centre = features.mean(0)
    values, vectors = torch.linalg.eigh(torch.cov((features - encoder.centre).T).double())
    whitened = vectors[:, -DIMENSIONS:] * values[-DIMENSIONS:].rsqrt()
    encoder.projection = whitened.flip(1).float().contiguous()


def main() -> None:
    """Train, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cifar", type=Path, help="zip of train/<class>/NNNN.jpg and test/<class>/NNNN.jpg")
    parser.add_argument("encoder", type=Path, help="where to write the TorchScript file")
    results = Path(__file__).parent / "results"
    parser.add_argument("--output", type=Path, default=results / "patch_encoder.json")
    args = parser.parse_args()
    learnt, tested_on = (read_pictures(f"{args.cifar}/{part}") for part in ("train", "test"))
    train, labels, test, answers = learnt.images, learnt.labels, tested_on.images, tested_on.labels
    begun = time.perf_counter()
    encoder = trained(train).eval()
    print(f"{CENTROIDS} centroids after {time.perf_counter() - begun:.0f} s", flush=True)
    project(encoder, pooled_features(encoder, some(train)))
    seconds = time.perf_counter() - begun
    args.encoder.parent.mkdir(parents=True, exist_ok=True)
    torch.jit.save(torch.jit.script(encoder), args.encoder)
    begun = time.perf_counter()
    tested = pooled_features(encoder, test)
    speed = len(test) / (time.perf_counter() - begun)
    print(f"trained in {seconds:.0f} s; {speed:.0f} images a second", flush=True)
    features = pooled_features(encoder, train)
    accuracy = {"before_projection": linear_probe(features, labels, tested, answers)}

    def projected(rows: Tensor) -> Tensor:
        return (rows - encoder.centre) @ encoder.projection

    accuracy["after_projection"] = linear_probe(projected(features), labels, projected(tested), answers)
    basis = torch.linalg.qr(encoder.projection)[0]
    kept = float((features @ basis).var(0).sum() / features.var(0).sum())
    print(f"linear probe: {accuracy}; the projection keeps {kept:.1%} of the variance")
    settings = {
        "patch": PATCH,
        "stride": STRIDE,
        "centroids": CENTROIDS,
        "dimensions": DIMENSIONS,
        "patches": PATCHES,
        "rounds": ROUNDS,
    }
    found = {"probe_accuracy": accuracy, "variance_kept": kept, "images_per_second": speed, "seconds": seconds}
    write(args.output, {"environment": environment(), "settings": settings, **found})


if __name__ == "__main__":
    main()
