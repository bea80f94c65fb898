"""Rows of token ids as the bench writes them, and models of given dimensions with random weights."""

import json
import sys


def read_rows(path):
    """One row a line, the longest first: as everybody batches who has thought about it."""
    with open(path) as file:
        rows = [[int(i) for i in line.split()] for line in file]
    return sorted(rows, key=len, reverse=True)


def say(**facts):
    print(json.dumps(facts), flush=True)


def need(*modules):
    """Ends the program with a reason where a module is missing."""
    for name in modules:
        try:
            __import__(name)
        except ImportError as error:
            sys.exit(f'{name} is not installed: {error}')


def config_of(facts):
    from transformers import Gemma2Config, LlamaConfig
    common = dict(hidden_size=facts['hidden'], num_hidden_layers=facts['layers'], num_attention_heads=facts['heads'],
                  num_key_value_heads=facts['kvHeads'], head_dim=facts['headDim'], num_labels=3, pad_token_id=0,
                  intermediate_size=facts['feedForward'], vocab_size=128256)
    config = Gemma2Config(**common) if facts['architecture'] == 'gemma2' else LlamaConfig(**common)
    config.use_cache = False
    return config


def random_model(facts, dtype, device, attention='sdpa'):
    """The classifier on its device. The vocabulary is one for all: it costs no time in a prefill."""
    import torch
    from transformers import Gemma2ForSequenceClassification, LlamaForSequenceClassification
    kind = Gemma2ForSequenceClassification if facts['architecture'] == 'gemma2' else LlamaForSequenceClassification
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device(device):
            return kind._from_config(config_of(facts), attn_implementation=attention).eval()
    finally:
        torch.set_default_dtype(before)


def lora_targets(facts):
    return ['q_proj', 'k_proj', 'v_proj'] if facts['architecture'] == 'gemma2' else ['o_proj', 'v_proj']


def torch_device(device):
    return device if device != 'cpu' else 'cpu'


def synchronize(device):
    import torch
    if device != 'cpu':
        torch.cuda.synchronize(device)
