"""Peer: transformers + PEFT in 16-bit, LoRA beside the weights and merged; bitsandbytes 4-bit and int8 where installed.

usage: transformers_prefill.py cpu|cuda:N ROWS FACTS_JSON        prints one JSON object a mode
"""

import gc
import json
import sys
import time

from rows import lora_targets, need, random_model, read_rows, say, synchronize

need('torch', 'transformers')
import torch  # noqa: E402

BATCHES = (8, 24)
ADAPTED_BATCHES = (8,)  # beside the weights it is slower at every size


def padded(rows, device):
    width = max(map(len, rows))
    ids = torch.zeros(len(rows), width, dtype=torch.long)
    mask = torch.zeros(len(rows), width, dtype=torch.long)
    for i, row in enumerate(rows):
        ids[i, :len(row)] = torch.tensor(row)
        mask[i, :len(row)] = 1
    return ids.to(device), mask.to(device)


@torch.no_grad()
def tokens_per_second(model, rows, batch, device):
    groups = [padded(rows[i:i + batch], device) for i in range(0, len(rows), batch)]
    for ids, mask in (groups[0], groups[len(groups) // 2], groups[-1]):
        model(input_ids=ids, attention_mask=mask, use_cache=False)
    synchronize(device)
    started = time.perf_counter()
    for ids, mask in groups:
        model(input_ids=ids, attention_mask=mask, use_cache=False)
    synchronize(device)
    return sum(map(len, rows)) / (time.perf_counter() - started)


def report(model, rows, device, mode, batches=BATCHES):
    for batch in batches:
        try:
            speed = tokens_per_second(model, rows, batch, device)
            say(peer='transformers', mode=f'{mode}, batch {batch}', tokensPerSecond=speed)
        except torch.cuda.OutOfMemoryError as error:
            say(peer='transformers', mode=f'{mode}, batch {batch}', skipped=str(error)[:120])


def with_lora(model, facts):
    from peft import LoraConfig, TaskType, get_peft_model
    config = LoraConfig(r=16, lora_alpha=32, bias='none', inference_mode=True, task_type=TaskType.SEQ_CLS,
                        target_modules=lora_targets(facts))
    return get_peft_model(model, config).eval()


def measure_16_bit(facts, rows, device, dtype):
    name = str(dtype).removeprefix('torch.')
    model = random_model(facts, dtype, device)
    try:
        adapted = with_lora(model, facts).to(device)
        report(adapted, rows, device, f'{name} sdpa, PEFT LoRA', ADAPTED_BATCHES)
        model = adapted.merge_and_unload()
    except ImportError as error:
        say(peer='transformers', mode=f'{name} sdpa, PEFT LoRA', skipped=str(error))
    report(model, rows, device, f'{name} sdpa, merged')


def quantized(model, bits):
    """Swaps linear layers for bitsandbytes' own, as transformers does when it loads such a model."""
    import bitsandbytes as bnb
    for parent in list(model.modules()):
        for name, layer in list(parent.named_children()):
            if type(layer) is not torch.nn.Linear or name == 'score':
                continue
            shape = (layer.in_features, layer.out_features)
            if bits == 4:
                swap = bnb.nn.Linear4bit(*shape, bias=False, compute_dtype=torch.float16, quant_type='nf4')
                swap.weight = bnb.nn.Params4bit(layer.weight.data.cpu(), requires_grad=False, quant_type='nf4')
            else:
                swap = bnb.nn.Linear8bitLt(*shape, bias=False, has_fp16_weights=False)
                swap.weight = bnb.nn.Int8Params(layer.weight.data.cpu(), requires_grad=False)
            setattr(parent, name, swap)
    return model


def measure_bitsandbytes(facts, rows, device):
    try:
        import bitsandbytes  # noqa: F401
    except ImportError as error:
        return say(peer='transformers', mode='bitsandbytes', skipped=str(error))
    for bits in (4, 8):
        mode = f'bitsandbytes {bits}-bit, PEFT LoRA'
        try:
            model = with_lora(quantized(random_model(facts, torch.float16, device), bits), facts).to(device)
            report(model, rows, device, mode, batches=(4, 8))
        except Exception as error:
            say(peer='transformers', mode=mode, skipped=f'{type(error).__name__}: {error}'[:160])
        free_memory(device)


def free_memory(device):
    gc.collect()
    if device != 'cpu':
        torch.cuda.empty_cache()


def main():
    device, path, facts = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
    rows = read_rows(path)
    # float16 is no faster than bfloat16 anywhere that was measured, and draws more power.
    measure_16_bit(facts, rows, device, torch.bfloat16)
    free_memory(device)
    if device != 'cpu':
        measure_bitsandbytes(facts, rows, device)


main()
