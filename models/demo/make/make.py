"""Makes models/demo: tokenizers, both models, their files and manifests, and the two CSV files.

  LLAMA_QUANTIZE=path/to/llama-quantize python models/demo/make/make.py [--steps 900] [--out models/demo]
"""

import argparse
import hashlib
import json
import os
import random
import subprocess
import tempfile
import time
from pathlib import Path

import torch

import corpus
import demo_rows
import gguf_files
import train
import train_tokenizers

GEMMA_LORA = {'r': 16, 'lora_alpha': 32, 'lora_dropout': 0.0, 'target_modules': ['q_proj', 'k_proj', 'v_proj'],
              'layers_to_transform': [1, 2]}
LLAMA_LORA = {'r': 16, 'lora_alpha': 32, 'lora_dropout': 0.0, 'target_modules': ['o_proj', 'v_proj']}


def manifest(folder, facts):
    names = ['base.gguf', 'adapter.gguf', 'head.gguf', 'tokenizer.json', 'tokenizer_config.json']
    digest = {n: hashlib.sha256((folder / n).read_bytes()).hexdigest() for n in names}
    files = {'base': 'base.gguf', 'adapter': 'adapter.gguf', 'head': 'head.gguf', 'tokenizer': '.', 'sha256': digest}
    template = dict(zip(('prompt', 'responseA', 'responseB'), facts['style']['template']))
    tree = {'name': facts['name'], 'architecture': facts['architecture'], **files, 'parser': facts['parser'],
            'nullText': '', 'joiner': ' ', 'template': template, 'maxLength': 2048, 'truncation': 'right',
            'bos': facts['bos'], 'eos': facts['eos'], 'specialTokensInText': 'parse', 'attentionSoftCap': facts['softCap'],
            'labels': train.LABELS, 'adapterTensors': facts['pairs']}
    (folder / 'manifest.json').write_text(json.dumps(tree, indent=2, ensure_ascii=False) + '\n', 'utf-8')


def quantize(source, target, kind):
    subprocess.run([os.environ['LLAMA_QUANTIZE'], str(source), str(target), kind], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def make_model(plan, steps, out):
    """Trains one model and writes its folder. Returns the trained model and its encoded held-out rows."""
    torch.manual_seed(plan['seed'])
    pad, config, folder = plan['pad'], plan['config'], out / plan['folder']
    started = time.time()
    rows = train.encode(plan['tokenizer'], plan['style'], corpus.rows(plan['seed'] + 100, 24000))
    # The soft-cap is on for a Gemma only where attention is computed in the open.
    model = train.build(config, attn_implementation='eager' if config.model_type == 'gemma2' else 'sdpa')
    train.warm_up(model, rows, pad, steps)
    wrapped = train.adapt(model, rows, pad, steps * 2 // 3, plan['lora'])
    pairs = train.lora_pairs(wrapped)
    with tempfile.TemporaryDirectory() as scratch:
        plain = Path(scratch) / 'base-f32.gguf'
        gguf_files.write_base(plain, plan['name'], config, train.base_state(wrapped), folder / 'tokenizer.json')
        quantize(plain, folder / 'base.gguf', plan['quantization'])
    gguf_files.write_adapter(folder / 'adapter.gguf', config, pairs, plan['lora']['lora_alpha'])
    head = wrapped.base_model.model.score.modules_to_save['default'].weight.detach().numpy()
    gguf_files.write_head(folder / 'head.gguf', config, train.LABELS, head)
    manifest(folder, plan | {'pairs': len(pairs), 'architecture': config.model_type})
    held = train.encode(plan['tokenizer'], plan['style'], demo_rows.held_out(), longest=100000)
    print(f"{plan['name']}: {len(rows)} rows, {time.time() - started:.0f} s, held-out log loss "
          f"{train.log_loss(wrapped, held, pad):.4f}", flush=True)
    return wrapped, held


@torch.no_grad()
def probabilities(model, rows, pad):
    return torch.cat([train.classify(model, [row], pad)[0].softmax(-1) for row in rows])


def plans(out):
    texts = list(corpus.corpus(1, 3000))
    gemma, llama = train_tokenizers.gemma(texts, 1000), train_tokenizers.llama(texts, 1200)
    train_tokenizers.save(gemma, train_tokenizers.GEMMA_CONFIG, out / 'gemma')
    train_tokenizers.save(llama, train_tokenizers.LLAMA_CONFIG, out / 'llama')
    bos, eot = llama.token_to_id('<|begin_of_text|>'), llama.token_to_id('<|eot_id|>')
    return [
        {'seed': 1, 'name': 'demo-gemma', 'folder': 'gemma', 'config': train.gemma_config(gemma.get_vocab_size()),
         'tokenizer': gemma, 'style': corpus.GEMMA, 'parser': 'python', 'pad': 0, 'bos': 2, 'eos': 1, 'softCap': True,
         'lora': GEMMA_LORA, 'quantization': 'Q4_K_M'},
        {'seed': 2, 'name': 'demo-llama', 'folder': 'llama', 'config': train.llama_config(llama.get_vocab_size(), bos, eot),
         'tokenizer': llama, 'style': corpus.LLAMA, 'parser': 'strip', 'pad': eot, 'bos': bos, 'eos': None,
         'softCap': False, 'lora': LLAMA_LORA, 'quantization': 'Q8_0'},
    ]


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument('--steps', type=int, default=900, help='training steps of each base; its adapter gets two thirds of that')
    arguments.add_argument('--out', type=Path, default=Path(__file__).resolve().parent.parent)
    chosen = arguments.parse_args()
    torch.set_num_threads(1)
    random.seed(0)
    demo_rows.write(chosen.out)
    trained = [(plan, *make_model(plan, chosen.steps, chosen.out)) for plan in plans(chosen.out)]
    mean = sum(probabilities(model, held, plan['pad']) for plan, model, held in trained) / len(trained)
    label = torch.tensor([row[1] for row in trained[0][2]])
    print(f'ensemble: held-out log loss {torch.nn.functional.nll_loss(mean.log(), label).item():.4f}')


if __name__ == '__main__':
    main()
