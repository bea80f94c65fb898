"""Peers of the CUDA engine in one process a model: merged 16-bit transformers, SDPA, plain and under torch.compile at a fixed shape.

usage: peers.py gemma|llama GO_FILE     builds and compiles first, then waits for GO_FILE to exist, then times.
"""
import os, sys, time
import torch
which, go = sys.argv[1:3]
dev = 'cuda:0'
gemma = which == 'gemma'
D, L, H, KV, HD, F, V = (3584, 42, 16, 8, 256, 14336, 256000) if gemma else (4096, 32, 32, 8, 128, 14336, 128256)
from transformers import Gemma2Config, Gemma2ForSequenceClassification, LlamaConfig, LlamaForSequenceClassification
kw = dict(hidden_size=D, num_hidden_layers=L, num_attention_heads=H, num_key_value_heads=KV, head_dim=HD, intermediate_size=F, vocab_size=V, num_labels=3, pad_token_id=0)
config = Gemma2Config(**kw) if gemma else LlamaConfig(rope_theta=500000.0, **kw)
config.use_cache = False


def timed(f, n=5):
    for _ in range(2):
        f()
    torch.cuda.synchronize()
    times = []
    for _ in range(n):
        start, stop = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record(); f(); stop.record(); torch.cuda.synchronize()
        times.append(start.elapsed_time(stop) / 1e3)
    return sorted(times)[n // 2]


with torch.device(dev), torch.no_grad():
    torch.set_default_dtype(torch.bfloat16)
    model = (Gemma2ForSequenceClassification if gemma else LlamaForSequenceClassification)._from_config(config, attn_implementation='sdpa').eval()
    torch.set_default_dtype(torch.float32)
    batches = {(b, 704): torch.randint(5, V, (b, 704)) for b in (8, 24)}
    run = lambda m, ids: m(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False)
    compiled = torch.compile(model, dynamic=False)
    started = time.time()
    run(compiled, batches[24, 704])
    torch.cuda.synchronize()
    print(f'# {which}: compiled in {time.time() - started:.0f} s', flush=True)
    open(go + '.' + which, 'w').close()
    while not os.path.exists(go):
        time.sleep(0.2)
    while gemma is False and os.path.exists(go + '.gemma'):  # one after the other
        time.sleep(0.2)
    for (b, s), ids in batches.items():
        print(f'transformers {which} bf16 SDPA merged {b} x {s}: {b * s / timed(lambda: run(model, ids)):.0f} tokens/s', flush=True)
    ids = batches[24, 704]
    print(f'transformers {which} bf16 SDPA merged, torch.compile, 24 x 704: {24 * 704 / timed(lambda: run(compiled, ids)):.0f} tokens/s', flush=True)
if gemma:
    os.remove(go + '.gemma')
