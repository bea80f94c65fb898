"""Full-size parity: the CUDA engine on synthetic Gemma-2 9B / Llama-3 8B files against transformers on the same weights.

usage: full_size.py FOLDER PREFILL_BINARY
FOLDER holds base.gguf, adapter.gguf and head.gguf as the bench writes them (npm run bench -- --synthetic). Loads the same
weights into transformers in f32 (blocks dequantised here, in torch, independently of ggml), and prints each one's relative
logit error against f32 and the largest difference of a probability. Fails where ours is further off in a 16-bit type than
transformers is in the same one (Llama: by the nearer of eager and SDPA; Gemma: eager). Python needs torch, transformers and gguf.
"""
import subprocess, sys, tempfile, time
import numpy as np
import torch
import gguf
from gguf import GGMLQuantizationType as T
from transformers import Gemma2Config, Gemma2ForSequenceClassification, LlamaConfig, LlamaForSequenceClassification
folder, prefill = sys.argv[1:3]

base, lora, head = (f'{folder}/{name}.gguf' for name in ('base', 'adapter', 'head'))
reader = gguf.GGUFReader(base)
tensors = {t.name: t for t in reader.tensors}
adapter_file = gguf.GGUFReader(lora)
adapter = {t.name: t for t in adapter_file.tensors}
arch = bytes(reader.fields['general.architecture'].parts[-1]).decode()
gemma = arch == 'gemma2'


def fact(name, file=reader):
    return file.fields[name].parts[-1][0].item()


D, L, H, KV, F = (fact(f'{arch}.{name}') for name in
                  ('embedding_length', 'block_count', 'attention.head_count', 'attention.head_count_kv', 'feed_forward_length'))
HD, V = int(tensors['blk.0.attn_q.weight'].shape[1]) // H, int(tensors['token_embd.weight'].shape[1])
alpha = fact('adapter.lora.alpha', adapter_file)
dev = 'cuda:0'


def half(b):
    return b.contiguous().view(torch.float16).float()


def dequantize(data, kind, rows, columns):
    b = torch.from_numpy(np.array(data, copy=True)).to(dev).view(torch.uint8)
    if kind == T.F32:
        return b.view(torch.float32).reshape(rows, columns)
    if kind == T.F16:
        return b.view(torch.float16).float().reshape(rows, columns)
    if kind == T.Q8_0:
        b = b.reshape(-1, 34)
        return (half(b[:, :2]) * b[:, 2:].view(torch.int8).float()).reshape(rows, columns)
    if kind == T.Q4_K:
        b = b.reshape(-1, 144)
        d, low, s = half(b[:, 0:2]), half(b[:, 2:4]), b[:, 4:16]
        sc = torch.cat([s[:, 0:4] & 63, (s[:, 8:12] & 15) | (s[:, 0:4] >> 6 << 4)], 1).float()
        mn = torch.cat([s[:, 4:8] & 63, (s[:, 8:12] >> 4) | (s[:, 4:8] >> 6 << 4)], 1).float()
        q = b[:, 16:].reshape(-1, 4, 32)
        q = torch.stack([q & 15, q >> 4], 2).reshape(-1, 8, 32).float()
        return ((d * sc)[:, :, None] * q - (low * mn)[:, :, None]).reshape(rows, columns)
    if kind == T.Q6_K:
        b = b.reshape(-1, 210)
        out = torch.empty(b.shape[0], 256, device=dev)
        for n in range(2):
            ql, qh, sc = b[:, n * 64:n * 64 + 64], b[:, 128 + n * 32:160 + n * 32], b[:, 192 + n * 8:200 + n * 8].view(torch.int8).float()
            for quarter in range(4):
                low = ql[:, (quarter & 1) * 32:(quarter & 1) * 32 + 32]
                low = low >> 4 if quarter >= 2 else low & 15
                q = (low | ((qh >> (2 * quarter)) & 3) << 4).float() - 32
                scale = sc[:, 2 * quarter:2 * quarter + 2].repeat_interleave(16, 1)
                out[:, n * 128 + quarter * 32:n * 128 + quarter * 32 + 32] = half(b[:, 208:210]) * scale * q
        return out.reshape(rows, columns)
    raise ValueError(kind)


def weight(name, heads=0):
    t = tensors[name]
    rows, columns = (int(t.shape[1]), int(t.shape[0])) if len(t.shape) == 2 else (1, int(t.shape[0]))
    w = dequantize(t.data, t.tensor_type, rows, columns)
    if name + '.lora_a' in adapter:
        a = torch.from_numpy(adapter[name + '.lora_a'].data.astype(np.float32)).to(dev)
        b = torch.from_numpy(adapter[name + '.lora_b'].data.astype(np.float32)).to(dev)
        w = w + alpha / a.shape[0] * (b.double() @ a.double()).float()
    if heads and not gemma:  # llama.cpp interleaves the halves of Llama's q and k
        w = w.view(heads, HD // 2, 2, columns).transpose(1, 2).reshape(rows, columns)
    return w if len(t.shape) == 2 else w[0]


kw = dict(hidden_size=D, num_hidden_layers=L, num_attention_heads=H, num_key_value_heads=KV, head_dim=HD, intermediate_size=F, vocab_size=V, num_labels=3,
          pad_token_id=0, max_position_embeddings=8192)
config = Gemma2Config(query_pre_attn_scalar=HD, **kw) if gemma else LlamaConfig(rope_theta=500000.0, rms_norm_eps=1e-5, **kw)
config.use_cache = False
config._attn_implementation = 'eager'
if not gemma:
    config.rope_parameters = {'rope_type': 'default', 'rope_theta': 500000.0}
with torch.device(dev):
    model = (Gemma2ForSequenceClassification if gemma else LlamaForSequenceClassification)._from_config(config, attn_implementation='eager')
model.eval()
names = {'self_attn.q_proj': ('attn_q', H), 'self_attn.k_proj': ('attn_k', KV), 'self_attn.v_proj': ('attn_v', 0), 'self_attn.o_proj': ('attn_output', 0),
         'mlp.gate_proj': ('ffn_gate', 0), 'mlp.up_proj': ('ffn_up', 0), 'mlp.down_proj': ('ffn_down', 0)}


norms = {'input_layernorm': 'attn_norm', 'post_attention_layernorm': 'ffn_norm'}
if gemma:
    norms = {'input_layernorm': 'attn_norm', 'post_attention_layernorm': 'post_attention_norm',
             'pre_feedforward_layernorm': 'ffn_norm', 'post_feedforward_layernorm': 'post_ffw_norm'}


@torch.no_grad()
def fill():
    model.model.embed_tokens.weight.copy_(weight('token_embd.weight'))
    model.model.norm.weight.copy_(weight('output_norm.weight') - float(gemma))  # Gemma's are 1 + w
    score = {t.name: t for t in gguf.GGUFReader(head).tensors}['score.weight']
    model.score.weight.copy_(torch.from_numpy(score.data.astype(np.float32).reshape(3, D)).to(dev))
    for i, layer in enumerate(model.model.layers):
        for theirs, ours in norms.items():
            getattr(layer, theirs).weight.copy_(weight(f'blk.{i}.{ours}.weight') - float(gemma))
        for theirs, (ours, heads) in names.items():
            module = layer
            for part in theirs.split('.'):
                module = getattr(module, part)
            module.weight.copy_(weight(f'blk.{i}.{ours}.weight', heads))


started = time.time()
fill()
print(f'# {arch}: weights into transformers in {time.time() - started:.0f} s', flush=True)

rng = np.random.default_rng(5)
rows = [rng.integers(5, V, n).tolist() for n in (1, 40, 133, 300, 481, 704, 1024, 2048)]
ids_file = tempfile.NamedTemporaryFile('w', suffix='.txt')
ids_file.writelines(' '.join(map(str, row)) + '\n' for row in rows)
ids_file.flush()


def transformers_logits():
    out = []
    with torch.no_grad():
        for row in rows:
            ids = torch.tensor([row], device=dev)
            out.append(model(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False).logits[0].float().cpu())
    return torch.stack(out)


def report(name, logits):
    error = ((logits - exact).norm() / exact.norm()).item()
    each = ((logits - exact).norm(dim=1) / exact.norm(dim=1)).max().item()
    probability = (logits.softmax(1) - exact.softmax(1)).abs().max().item()
    print(f'{arch} {name:28s} relative logit error {error:.2e} (worst row {each:.2e}), largest probability difference {probability:.2e}', flush=True)
    return error


exact = transformers_logits()
buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
exact_norms = {name: parameter.detach().clone() for name, parameter in model.named_parameters() if 'norm' in name}
print('# logits of f32, first rows', exact[:3].tolist())
allowed, faults = {}, []
for dtype in (torch.bfloat16, torch.float16):
    model = model.to(dtype)
    fill()  # each type rounds the f32 weights, not those of the type before
    # As in a checkpoint: frequencies of RoPE are kept in f32, and the w of Gemma's 1 + w lose nothing to the type that they were saved in.
    for name, buffer in buffers.items():
        owner, _, leaf = name.rpartition('.')
        setattr(model.get_submodule(owner), leaf, buffer)
    if gemma:
        for name, parameter in model.named_parameters():
            if 'norm' in name:
                parameter.data = exact_norms[name]
    kind = {torch.bfloat16: 'bf16', torch.float16: 'f16'}[dtype]
    for attention in ('eager',) if gemma else ('eager', 'sdpa'):  # SDPA leaves out Gemma's soft-cap
        model.set_attn_implementation(attention)
        error = report(f'transformers {kind} {attention}', transformers_logits())
        allowed[kind] = min(allowed.get(kind, error), error)
del model
torch.cuda.empty_cache()
for compute, weights in (('bf16', 'resident'), ('f16', 'resident'), ('bf16', 'streamed'), ('fp8', 'resident')):
    done = subprocess.run([prefill, base, lora, head, compute, weights, '8192', f'@{ids_file.name}'], capture_output=True, text=True)
    if done.returncode:
        print(f'{arch} {compute} {weights} failed: {done.stderr}')
        if compute in allowed:  # fp8 is not on every GPU, and said, not held
            faults.append(f'{compute} {weights} failed')
        continue
    logits = torch.tensor([[float(x) for x in line.split()] for line in done.stdout.splitlines()])
    error = report(f'pairscore {compute} {weights}', logits)
    if not error <= allowed.get(compute, float('inf')):  # NaN is a fault too
        faults.append(f'{compute} {weights}: expected at most {allowed.get(compute)}, as transformers, but received {error}')
if faults:
    sys.exit(f'{arch}: ' + '; '.join(faults))
