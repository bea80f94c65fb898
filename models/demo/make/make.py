"""Makes models/demo: tokenizers, both models, their files and manifests, and the two CSV files.

  python models/demo/make/make.py [--steps 900] [--out models/demo]
"""

import argparse
import random
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import safetensors.torch
import torch

import corpus
import demo_rows
import train
import train_tokenizers

ROOT = Path(__file__).resolve().parents[3]

GEMMA_LORA = {'r': 16, 'lora_alpha': 32, 'lora_dropout': 0.0, 'target_modules': ['q_proj', 'k_proj', 'v_proj'],
              'layers_to_transform': [1, 2]}
LLAMA_LORA = {'r': 16, 'lora_alpha': 32, 'lora_dropout': 0.0, 'target_modules': ['o_proj', 'v_proj']}


def checkpoint(plan, wrapped, folder):
    """What a training run leaves: the base as a Hugging Face folder, and PEFT's own folder of adapter and head."""
    base, adapter = folder / 'base', folder / 'adapter'
    base.mkdir()
    plan['config'].save_pretrained(base)
    state = {f'model.{name}': tensor.contiguous() for name, tensor in train.base_state(wrapped).items()}
    safetensors.torch.save_file(state, base / 'model.safetensors', {'format': 'pt'})
    wrapped.save_pretrained(adapter)
    return base, adapter


def import_model(plan, wrapped, out):
    """pairscore's own importer makes the model's folder, as it does for users. Run `npm run prepare` before."""
    tokenizer = out / plan['folder']
    with tempfile.TemporaryDirectory() as scratch:
        base, adapter = checkpoint(plan, wrapped, Path(scratch))
        for name in ('tokenizer.json', 'tokenizer_config.json'):
            shutil.copy(tokenizer / name, base)
        made = Path(scratch) / plan['folder']
        subprocess.run(['node', str(ROOT / 'dist' / 'cli' / 'main.js'), 'import', '--base', str(base), '--adapter', str(adapter),
                        '--template', plan['folder'], '--type', plan['quantization'], '--name', plan['name'], '--out', str(made)],
                       check=True, stdout=subprocess.DEVNULL)
        for name in ('base.gguf', 'adapter.gguf', 'head.gguf', 'manifest.json'):
            shutil.copy(made / name, tokenizer)


def make_model(plan, steps, out):
    """Trains one model and writes its folder. Returns the trained model and its encoded held-out rows."""
    torch.manual_seed(plan['seed'])
    pad, config = plan['pad'], plan['config']
    started = time.time()
    rows = train.encode(plan['tokenizer'], plan['style'], corpus.rows(plan['seed'] + 100, 24000))
    # The soft-cap is on for a Gemma only where attention is computed in the open.
    model = train.build(config, attn_implementation='eager' if config.model_type == 'gemma2' else 'sdpa')
    train.warm_up(model, rows, pad, steps)
    wrapped = train.adapt(model, rows, pad, steps * 2 // 3, plan['lora'])
    import_model(plan, wrapped, out)
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
         'tokenizer': gemma, 'style': corpus.GEMMA, 'pad': 0, 'lora': GEMMA_LORA, 'quantization': 'Q4_K_M'},
        {'seed': 2, 'name': 'demo-llama', 'folder': 'llama', 'config': train.llama_config(llama.get_vocab_size(), bos, eot),
         'tokenizer': llama, 'style': corpus.LLAMA, 'pad': eot, 'lora': LLAMA_LORA, 'quantization': 'Q8_0'},
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
