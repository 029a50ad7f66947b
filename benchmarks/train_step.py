"""Times one training step of p2pnet-lite on 32 crops of 128 x 128, and the assignment's part of it.

Run it on an otherwise idle machine: python benchmarks/train_step.py
"""

import time
from statistics import median

import numpy as np
import torch

from crowdpoint.config import load_recipe
from crowdpoint.methods.p2pnet.assignment import assign
from crowdpoint.methods.p2pnet.config import P2PNetRecipe
from crowdpoint.methods.p2pnet.loss import p2pnet_loss
from crowdpoint.methods.p2pnet.network import P2PNet
from crowdpoint.points import Points

CROPS, SIDE, HEADS, STEPS = 32, 128, 20, 20


def main() -> None:
    """Prints medians over `STEPS` steps after three to warm up."""
    torch.manual_seed(0)
    recipe = load_recipe("p2pnet-lite")
    assert isinstance(recipe, P2PNetRecipe)
    network = P2PNet(recipe.model).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4)
    images = (torch.rand(CROPS, 3, SIDE, SIDE) * 255).contiguous(memory_format=torch.channels_last)
    places = np.random.default_rng(0).uniform(0, SIDE, (CROPS, HEADS, 2))
    heads = [Points(xy, image_size=(SIDE, SIDE)) for xy in places]
    steps, assignments = [], []
    for _ in range(3 + STEPS):
        start = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=recipe.run.precision == "bf16"):
            proposals = network.raw(images)
        terms = p2pnet_loss(proposals, heads, recipe)
        torch.stack(list(terms.values())).sum().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad()
        steps.append(time.perf_counter() - start)
        start = time.perf_counter()
        scores = proposals.logits.detach().softmax(dim=-1)[..., 1].numpy()
        for points, score, wanted in zip(proposals.points.detach().numpy(), scores, heads, strict=True):
            assign(points, score, wanted.xy, recipe.assignment)
        assignments.append(time.perf_counter() - start)
    step, assignment = median(steps[3:]), median(assignments[3:])
    print(f"{CROPS} crops of {SIDE} x {SIDE}, {HEADS} heads each, {torch.get_num_threads()} threads")
    print(f"step        {step:.3f} s")
    print(f"assignment  {assignment:.4f} s one image after the other, {assignment / step:.1%} of a step")


if __name__ == "__main__":
    main()
