"""Peer: merged transformers in bf16 and f16 under torch.compile at one fixed shape, the best that Python offers.

Each shape costs a minute of compilation, so the rows cannot be scored as they are: the figure is that of full batches
of 24 x 704 tokens without any padding.  usage: transformers_compiled.py cpu|cuda:N ROWS FACTS_JSON
"""

import json
import sys
import time

from rows import need, random_model, say, synchronize

need('torch', 'transformers')
import torch  # noqa: E402

BATCH, LENGTH, REPEATS = 24, 704, 9


@torch.no_grad()
def measure(facts, device, name, dtype):
    model = torch.compile(random_model(facts, dtype, device), dynamic=False)
    ids = torch.randint(300, 100_000, (BATCH, LENGTH), device=device)
    mask = torch.ones_like(ids)
    started = time.perf_counter()
    for _ in range(3):
        model(input_ids=ids, attention_mask=mask, use_cache=False)
    synchronize(device)
    compiled = time.perf_counter() - started
    times = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        model(input_ids=ids, attention_mask=mask, use_cache=False)
        synchronize(device)
        times.append(time.perf_counter() - started)
    say(peer='torch.compile', mode=f'{name} sdpa, merged, fixed {BATCH} x {LENGTH}, {compiled:.0f} s to compile',
        tokensPerSecond=BATCH * LENGTH / sorted(times)[REPEATS // 2])


def main():
    device, facts = sys.argv[1], json.loads(sys.argv[3])
    if device == 'cpu':
        sys.exit('it is measured on GPUs only')
    torch.set_float32_matmul_precision('high')
    for name, dtype in (('bf16', torch.bfloat16), ('f16', torch.float16)):
        measure(facts, device, name, dtype)
        torch.compiler.reset()


main()
