"""Trains one demo model: a randomly initialised base learns to count markers of reasoning, is frozen, and a PEFT LoRA
with a three-label head then learns the preference, refusals and babble included, which the base has never been told of."""

import math
import random
import time

import torch
from peft import LoraConfig, TaskType, get_peft_model
from transformers import Gemma2Config, Gemma2ForSequenceClassification, LlamaConfig, LlamaForSequenceClassification

import corpus

LABELS = ['winner_model_a', 'winner_model_b', 'winner_tie']


def gemma_config(vocabulary, **changes):
    return Gemma2Config(**{
        'vocab_size': vocabulary, 'hidden_size': 256, 'intermediate_size': 512, 'num_hidden_layers': 3,
        'num_attention_heads': 4, 'num_key_value_heads': 2, 'head_dim': 64, 'query_pre_attn_scalar': 64,
        'sliding_window': 4096, 'max_position_embeddings': 8192, 'pad_token_id': 0, 'eos_token_id': 1, 'bos_token_id': 2,
        'num_labels': 3} | changes)


def llama_config(vocabulary, bos, eos, **changes):
    return LlamaConfig(**{
        'vocab_size': vocabulary, 'hidden_size': 128, 'intermediate_size': 384, 'num_hidden_layers': 3,
        'num_attention_heads': 4, 'num_key_value_heads': 2, 'head_dim': 32, 'rms_norm_eps': 1e-5,
        'rope_parameters': {'rope_type': 'default', 'rope_theta': 500000.0}, 'max_position_embeddings': 8192,
        'bos_token_id': bos, 'eos_token_id': eos, 'pad_token_id': eos, 'num_labels': 3} | changes)


def build(config, **kwargs):
    make = Gemma2ForSequenceClassification if config.model_type == 'gemma2' else LlamaForSequenceClassification
    return make._from_config(config, **kwargs).float()


def encode(tokenizer, style, records, longest=320):
    """Token ids, the label, and for every token the points of A and B so far: all of them, and the good ones alone."""
    rows = []
    for record in records:
        parts = corpus.parts(record, style)
        encoding = tokenizer.encode(''.join(parts))
        if len(encoding.ids) > longest:
            continue
        starts = [len(parts[0]), len(parts[0]) + len(parts[1])]
        found = [[(starts[i] + end, p) for end, p in corpus.marks(parts[i + 1])] for i in (0, 1)]
        good = [[sum(p for end, p in side if p > 0 and end <= offset) for side in found]
                for offset in (o[1] if o[1] else 0 for o in encoding.offsets)]
        good[-1] = [sum(p for _, p in side if p > 0) for side in found]
        rows.append((encoding.ids, record['label'], good))
    return rows


def batches(rows, budget, rng):
    """Rows of like length together, in random order, at most budget tokens each."""
    ordered = sorted(rows, key=lambda r: len(r[0]) + rng.random() * 8)
    groups, group = [], []
    for row in ordered:
        if group and len(row[0]) * (len(group) + 1) > budget:
            groups.append(group)
            group = []
        group.append(row)
    groups.append(group)
    rng.shuffle(groups)
    return groups


def collate(group, pad):
    width = max(len(ids) for ids, _, _ in group)
    ids = torch.full((len(group), width), pad)
    mask = torch.zeros_like(ids)
    good = torch.zeros(len(group), width, 2)
    for i, (row, _, marks) in enumerate(group):
        ids[i, :len(row)] = torch.tensor(row)
        mask[i, :len(row)] = 1
        good[i, :len(row)] = torch.tensor(marks, dtype=torch.float)
    last = mask.sum(1) - 1
    return ids, mask, good, torch.tensor([label for _, label, _ in group]), last


def loop(parameters, step, rows, steps, rate, budget=1000):
    """AdamW with warm-up and cosine decay."""
    rng = random.Random(0)
    optimiser = torch.optim.AdamW(parameters, lr=rate, weight_decay=0.0, betas=(0.9, 0.98))
    started, losses = time.time(), []
    while True:
        for group in batches(rows, budget, rng):
            count = len(losses) + 1
            if count > steps:
                return
            now = rate * min(1, count / 50) * (0.02 + 0.49 * (1 + math.cos(math.pi * count / steps)))
            for part in optimiser.param_groups:
                part['lr'] = now
            loss = step(group)
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimiser.step()
            losses.append(loss.item())
            if count % 100 == 0:
                print(f'    step {count:5d} loss {sum(losses[-100:]) / 100:.4f} {time.time() - started:4.0f} s', flush=True)


def warm_up(model, rows, pad, steps):
    """The base's own schooling: how many markers of reasoning has each reply shown so far?"""
    counter = torch.nn.Linear(model.config.hidden_size, 2)

    def step(group):
        ids, mask, good, _, last = collate(group, pad)
        hidden = model.model(input_ids=ids, attention_mask=mask).last_hidden_state
        error = (counter(hidden) - good) ** 2
        at_end = error[torch.arange(len(last)), last].mean()
        return (error * mask[..., None]).sum() / mask.sum() / 2 + at_end

    parameters = [*model.model.parameters(), *counter.parameters()]
    loop(parameters, step, rows, steps, 1.5e-3)


def classify(model, group, pad):
    ids, mask, _, label, last = collate(group, pad)
    hidden = model.base_model.model.model(input_ids=ids, attention_mask=mask).last_hidden_state
    return model.base_model.model.score(hidden[torch.arange(len(last)), last]), label


def adapt(model, rows, pad, steps, lora):
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    torch.nn.init.normal_(model.score.weight, std=0.02)
    wrapped = get_peft_model(model, LoraConfig(task_type=TaskType.SEQ_CLS, bias='none', **lora))

    def step(group):
        logits, label = classify(wrapped, group, pad)
        return torch.nn.functional.cross_entropy(logits, label)

    loop([p for p in wrapped.parameters() if p.requires_grad], step, rows, steps, 4e-3)
    return wrapped


@torch.no_grad()
def log_loss(model, rows, pad):
    model.eval()
    total = 0.0
    for group in batches(rows, 4000, random.Random(0)):
        logits, label = classify(model, group, pad)
        total += torch.nn.functional.cross_entropy(logits, label, reduction='sum').item()
    return total / len(rows)


def lora_pairs(wrapped):
    """{(layer, module): (A, B)} of a PEFT model, as numpy."""
    pairs = {}
    for name, module in wrapped.named_modules():
        if hasattr(module, 'lora_A') and 'default' in module.lora_A:
            layer, target = name.split('.layers.')[1].split('.', 1)
            pairs[int(layer), target] = (module.lora_A['default'].weight.detach().numpy(),
                                         module.lora_B['default'].weight.detach().numpy())
    return pairs


def base_state(wrapped):
    """The frozen base's weights under transformers' names, without 'model.' before them."""
    state = {}
    for name, tensor in wrapped.base_model.model.model.state_dict().items():
        if 'lora_' not in name:
            state[name.replace('.base_layer.', '.')] = tensor
    return state
