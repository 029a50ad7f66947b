"""Times I-SSIM for all heads at once against a plain loop over people: python benchmarks/issim.py.

Forward and backward, in CPU time of one thread, which a busy machine changes little. Each way runs in
its own process, whose growth in resident memory is the peak reported. Loss and gradients must be equal to
1e-5. The loop's time follows the heads alone, the other's the pixels too: the fewer heads on a map, the less
there is to gain. "At least 20 times faster at 1,000 heads" is about one map that holds them all.
"""

import argparse
import multiprocessing
import resource
import sys
import time
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from crowdpoint.methods.fidtm.ssim import LAMBDA1, LAMBDA2, independent_ssim_loss
from crowdpoint.methods.fidtm.targets import fidt_map
from crowdpoint.points import Points


def plain_loop(predicted: Tensor, target: Tensor, heads: Sequence[Tensor], window: int = 30) -> Tensor:
    """FIDTM, Eq. 7, one person after the other."""
    terms = []
    for e, g, image_heads in zip(predicted[:, 0], target[:, 0], heads, strict=True):
        for column, row in image_heads.long().tolist():
            top, left = row - window // 2, column - window // 2
            part = slice(max(top, 0), top + window), slice(max(left, 0), left + window)
            mean_e, mean_g = e[part].mean(), g[part].mean()
            variances = e[part].var(correction=0) + g[part].var(correction=0)
            covariance = ((e[part] - mean_e) * (g[part] - mean_g)).mean()
            luminance = (2 * mean_e * mean_g + LAMBDA1) / (mean_e**2 + mean_g**2 + LAMBDA1)
            terms.append(1 - luminance * (2 * covariance + LAMBDA2) / (variances + LAMBDA2))
    return torch.stack(terms).mean()


TOLERANCE = 1e-5
"""Of the loss, and of the largest gradient: how far apart the ways may be."""

WAYS: dict[str, Callable[[Tensor, Tensor, Sequence[Tensor]], Tensor]] = {
    "plain loop": plain_loop,
    "all at once": independent_ssim_loss,
}


def measure(way: str, images: int, heads: int, side: int, repeats: int) -> tuple[float, float, float, Tensor]:
    """Seconds (the fastest run), peak MiB, the loss and its gradient."""
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    each = heads // images
    crowd = [torch.rand(each, 2, generator=generator) * side for _ in range(images)]
    maps = [fidt_map(Points(xy.numpy(), image_size=(side, side))) for xy in crowd]
    target = torch.stack([torch.from_numpy(found) for found in maps])[:, None]
    predicted = target + 0.05 * torch.randn(target.shape, generator=generator)
    predicted.requires_grad_()
    warm = predicted.detach()[..., :64, :64].requires_grad_()
    WAYS[way](warm, target[..., :64, :64], [xy[:1] / side * 64 for xy in crowd]).backward()  # type: ignore[no-untyped-call]
    before, taken = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, []
    for _ in range(repeats):
        predicted.grad = None
        start = time.process_time()
        loss = WAYS[way](predicted, target, crowd)
        loss.backward()  # type: ignore[no-untyped-call]
        taken.append(time.process_time() - start)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert predicted.grad is not None
    return min(taken), grown, loss.item(), predicted.grad


def main() -> None:
    """Prints a row for each way and batch; exits with an error if loss or gradients differ."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, nargs="+", default=[1, 4], help="images in the batch")
    parser.add_argument("--heads", type=int, default=1000, help="heads in the whole batch")
    parser.add_argument("--side", type=int, default=512, help="pixels")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    spawn = multiprocessing.get_context("spawn")
    print(f"{options.heads} heads, maps of {options.side}x{options.side}, fastest of {options.repeats}")
    for images in options.images:
        found = {}
        for way in WAYS:
            with spawn.Pool(1) as pool:
                arguments = (way, images, options.heads, options.side, options.repeats)
                found[way] = pool.apply(measure, arguments)
            seconds, peak, loss, _ = found[way]
            print(f"{images:3} images, {way:>11}: {1000 * seconds:9.1f} ms {peak:7.0f} MiB  loss {loss:.7f}")
        loop, fast = found["plain loop"], found["all at once"]
        errors = (
            abs(loop[2] - fast[2]) / loop[2],
            float((loop[3] - fast[3]).abs().max() / loop[3].abs().max()),
        )
        agreement = f"the loss to {errors[0]:.1e}, gradients to {errors[1]:.1e} of the largest"
        if not all(error <= TOLERANCE for error in errors):  # nor may one be NaN
            sys.exit(f"expected equal to {TOLERANCE}, found {agreement}")
        print(f"{loop[0] / fast[0]:26.0f} times faster, equal: {agreement}")


if __name__ == "__main__":
    main()
