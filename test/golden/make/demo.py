"""Makes golden/tokens.json and golden/demo-answers.json: what transformers makes of the demo's rows and of its very weights,
dequantised, in f32, LoRA unmerged.

  python test/golden/make/demo.py
"""

import csv
import json
import math
import sys
from pathlib import Path

import gguf
import numpy as np
import torch
from peft import LoraConfig, TaskType, get_peft_model
from transformers import PreTrainedTokenizerFast

GOLDEN = Path(__file__).resolve().parent.parent
DEMO = GOLDEN.parent.parent / 'models' / 'demo'
sys.path.insert(0, str(DEMO / 'make'))

import corpus  # noqa: E402
import gguf_files  # noqa: E402
import train  # noqa: E402

STYLES = {'gemma': corpus.GEMMA, 'llama': corpus.LLAMA}
SHORT = [2, 5, 16, 33]


def read_rows(name):
    with open(DEMO / name, encoding='utf-8', newline='') as file:
        return list(csv.DictReader(file))


def reference_tokenizer(folder):
    return PreTrainedTokenizerFast(tokenizer_file=str(DEMO / folder / 'tokenizer.json'))


def whole(tokenizer, parts, length, side='right'):
    tokenizer.truncation_side = side
    return tokenizer(''.join(parts), max_length=length, truncation=True, padding=False).input_ids


def spread(tokenizer, parts, length):
    """spread_max_length of the reference notebook: each part alone, with its special tokens."""
    tokenizer.truncation_side = 'right'
    cut = tokenizer(parts, max_length=length // 3, truncation=True, padding=False).input_ids
    return [token for ids in cut for token in ids]


def tensors(path):
    return {t.name: gguf.quants.dequantize(t.data, t.tensor_type) for t in gguf.GGUFReader(path).tensors}


def unpermute(weight, heads):
    return weight.reshape(heads, weight.shape[0] // heads // 2, 2, -1).swapaxes(1, 2).reshape(weight.shape)


def load_base(model, path):
    """Puts a GGUF's weights back under transformers' names."""
    found, config = tensors(path), model.config
    state = {k.removeprefix('model.'): v for k, v in model.state_dict().items() if k != 'score.weight'}
    for name, target in zip(state, gguf_files.base_tensors(config, state)):
        value = found.pop(target[0])
        heads = gguf_files.heads_of(config, name.removesuffix('.weight').split('.', 2)[-1])
        if config.model_type == 'llama' and heads:
            value = unpermute(value, heads)
        if config.model_type == 'gemma2' and name.endswith('norm.weight'):
            value = value - 1
        state[name].copy_(torch.tensor(np.ascontiguousarray(value)))
    assert not found, found.keys()


def load_adapter(model, path, lora):
    wrapped = get_peft_model(model, LoraConfig(task_type=TaskType.SEQ_CLS, **lora))
    found = tensors(path)
    for name, module in wrapped.named_modules():
        if hasattr(module, 'lora_A'):
            layer, target = name.split('.layers.')[1].split('.', 1)
            for letter, part in (('a', module.lora_A), ('b', module.lora_B)):
                value = found.pop(f'blk.{layer}.{gguf_files.MODULES[target]}.weight.lora_{letter}')
                part['default'].weight.data = torch.from_numpy(value.copy())
    assert not found, found.keys()
    return wrapped.eval()


def open_reference(folder):
    from make import GEMMA_LORA, LLAMA_LORA
    tokenizer = reference_tokenizer(folder)
    size = tokenizer.backend_tokenizer.get_vocab_size()
    ids = [tokenizer.convert_tokens_to_ids(t) for t in ('<|begin_of_text|>', '<|eot_id|>')]
    gemma = folder == 'gemma'
    config = train.gemma_config(size) if gemma else train.llama_config(size, *ids)
    model = train.build(config, attn_implementation='eager' if gemma else 'sdpa').eval()
    with torch.no_grad():
        load_base(model.model, DEMO / folder / 'base.gguf')
        model.score.weight.copy_(torch.from_numpy(tensors(DEMO / folder / 'head.gguf')['score.weight'].copy()))
    return tokenizer, load_adapter(model, DEMO / folder / 'adapter.gguf', GEMMA_LORA if gemma else LLAMA_LORA)


@torch.no_grad()
def predict(model, rows):
    whole_model = model.base_model.model
    head = whole_model.score.modules_to_save['default']
    found = [head(whole_model.model(input_ids=torch.tensor([ids])).last_hidden_state[0, -1]).softmax(-1) for ids in rows]
    return torch.stack(found).double()


def swapped(rows):
    return [r | {'response_a': r['response_b'], 'response_b': r['response_a']} for r in rows]


def answers(folder, rows, labelled):
    tokenizer, model = open_reference(folder)
    style = STYLES[folder]

    def run(records, make):
        return predict(model, [make(tokenizer, corpus.parts(r, style)) for r in records])

    def cut(length):
        return lambda t, parts: whole(t, parts, length)

    plain = run(rows, cut(2048))
    return {
        'plain': plain,
        'tta': (plain + run(swapped(rows), cut(2048))[:, [1, 0, 2]]) / 2,
        'spread': run(rows, lambda t, parts: spread(t, parts, 96)),
        'short': run(rows, cut(33)),
        'heldout': run(labelled, cut(2048)),
    }


def token_cases(folder, rows):
    tokenizer, style = reference_tokenizer(folder), STYLES[folder]
    for i, row in enumerate(rows):
        parts = corpus.parts(row, style)
        full = whole(tokenizer, parts, 2048)
        # Long rows show nothing more when they are written out whole.
        if len(full) > 260:
            continue
        yield {'model': folder, 'row': i, 'maxLength': 2048, 'truncation': 'right', 'spread': False, 'ids': full}
        if i % 4:
            continue
        for length in SHORT:
            for side in ('right', 'left'):
                yield {'model': folder, 'row': i, 'maxLength': length, 'truncation': side, 'spread': False,
                       'ids': whole(tokenizer, parts, length, side)}
        for length in (2046, 96, 30, 6):
            yield {'model': folder, 'row': i, 'maxLength': length, 'truncation': 'right', 'spread': True,
                   'ids': spread(tokenizer, parts, length)}


def lines(values):
    return '[\n' + ',\n'.join(json.dumps(v, separators=(',', ':')) for v in values) + '\n]'


def main():
    torch.set_num_threads(1)
    rows, labelled = read_rows('test.csv'), read_rows('heldout.csv')
    cases = [case for folder in STYLES for case in token_cases(folder, rows)]
    (GOLDEN / 'tokens.json').write_text(lines(cases) + '\n', 'utf-8')
    print(len(cases), 'token cases')
    found = {folder: answers(folder, rows, labelled) for folder in STYLES}
    found['ensemble'] = {k: (found['gemma'][k] + found['llama'][k]) / 2 for k in found['gemma']}
    label = torch.tensor([[int(r[name]) for name in train.LABELS].index(1) for r in labelled])
    loss = {who: torch.nn.functional.nll_loss(v['heldout'].log(), label).item() for who, v in found.items()}
    print('held-out log loss', loss, 'uniform', math.log(3))
    body = ',\n'.join(f'"{who}": {{' + ',\n'.join(f'"{k}": {lines(np.round(v.numpy(), 8).tolist())}' for k, v in kinds.items() if k != 'heldout')
                      + '}' for who, kinds in found.items())
    (GOLDEN / 'demo-answers.json').write_text(f'{{"heldoutLogLoss": {json.dumps(loss)},\n{body}}}\n', 'utf-8')


if __name__ == '__main__':
    main()
