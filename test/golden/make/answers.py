"""Makes golden/models and golden/answers.json: tiny F32 models with weights large enough to tell right from wrong, and what
transformers answers in f32, LoRA unmerged, one row at a time. Wrong variants are computed too and must be far off.

  python test/golden/make/answers.py
"""

import copy
import json
import sys
from pathlib import Path

import torch
from peft import LoraConfig, TaskType, get_peft_model
from tokenizers import Tokenizer

GOLDEN = Path(__file__).resolve().parent.parent
DEMO = GOLDEN.parent.parent / 'models' / 'demo'
sys.path.insert(0, str(DEMO / 'make'))

import corpus  # noqa: E402
import demo_rows  # noqa: E402
import gguf_files  # noqa: E402
import train  # noqa: E402

TOLERANCE = {'gemma2': 2e-3, 'llama': 1e-5}
SIXTEEN_BIT = 5e-3
SHAPE = {'hidden_size': 64, 'intermediate_size': 128, 'num_attention_heads': 4, 'num_key_value_heads': 2, 'head_dim': 16}


def scramble(model, gain, head_gain):
    """Weights whose layers all matter: unit gain, keys and queries louder, norms off one."""
    for name, parameter in model.named_parameters():
        if name.endswith('norm.weight'):
            parameter.data += torch.randn_like(parameter) * 0.2
        elif 'embed_tokens' in name:
            parameter.data = torch.randn_like(parameter) * 0.5
        else:
            loud = gain if 'q_proj' in name or 'k_proj' in name else head_gain if 'score' in name else 1.0
            parameter.data = torch.randn_like(parameter) * loud / parameter.shape[1] ** 0.5


def with_lora(model, rank, alpha, modules, layers=None):
    torch.manual_seed(len(modules) + rank)
    wrapped = get_peft_model(model, LoraConfig(task_type=TaskType.SEQ_CLS, r=rank, lora_alpha=alpha, lora_dropout=0.0,
                                               target_modules=modules, layers_to_transform=layers))
    for name, parameter in wrapped.named_parameters():
        if 'lora_A' in name or 'lora_B' in name:
            size = parameter.shape[1] if 'lora_A' in name else 4 * rank
            parameter.data = torch.randn_like(parameter) / size ** 0.5
    return wrapped.eval()


def inner(model):
    """(decoder, head) of a classifier, with or without PEFT around it."""
    whole = model.base_model.model if hasattr(model, 'peft_config') else model
    head = whole.score
    return whole.model, head.modules_to_save['default'] if hasattr(head, 'modules_to_save') else head


@torch.no_grad()
def logits(model, rows, head=None, at=-1):
    """(rows, labels), one row at a time: no padding, so that nothing but the row itself counts."""
    decoder, own = inner(model)
    return torch.stack([(head or own)(decoder(input_ids=torch.tensor([ids])).last_hidden_state[0, at]) for ids in rows])


def sequences(folder, style):
    """Token ids of rows short and long, from one token on."""
    tokenizer = Tokenizer.from_file(str(DEMO / folder / 'tokenizer.json'))
    texts = [''.join(corpus.parts(r, style)) for r in demo_rows.test_rows()]
    ids = sorted((tokenizer.encode(t).ids for t in texts), key=len)
    chosen = ids[:3] + ids[10:180:7] + ids[-14:-10]
    return [chosen[-1][:1], chosen[-1][:2], chosen[-1][:5], *[row[:500] for row in chosen]]


def switch_soft_cap(model, on):
    """In transformers the soft-cap exists only where attention is computed in the open (eager)."""
    model.config._attn_implementation = 'eager' if on else 'sdpa'


class Case:
    def __init__(self, name, architecture, rows):
        self.tree = {'name': name, 'architecture': architecture, 'attentionSoftCap': architecture == 'gemma2'}
        self.rows = rows
        self.tolerance = TOLERANCE[architecture]

    def files(self, base, adapter, head):
        self.tree |= {'base': base, 'adapter': adapter, 'head': head}
        return self

    def answer(self, found):
        self.right = found.softmax(-1)
        self.tree |= {'logits': found.tolist(), 'probabilities': self.right.tolist()}
        spread = (self.right.max(0).values - self.right.min(0).values).min().item()
        print(f"{self.tree['name']}: probabilities spread over {spread:.2f}, largest logit {found.abs().max():.1f}")
        assert spread > 0.25 and torch.isfinite(found).all()
        return self

    def steady(self, model, **how):
        """What amplifies rounding further tells nothing of engines that compute in 16 bits."""
        off = (logits(in_f16(model), self.rows, **how).softmax(-1) - self.right).abs().max().item()
        print(f'    in f16: off by {off:.4f}')
        assert off < SIXTEEN_BIT / 2, (self.tree['name'], 'in f16', off)
        return self

    def wrong(self, what, found, times=100):
        """A mistake that the test must be able to see."""
        off = (found.softmax(-1) - self.right).abs().max().item()
        print(f'    {what}: off by {off:.3f}')
        assert off > times * self.tolerance, (self.tree['name'], what, off)
        return self


def cross_talk(model, rows):
    """Each row read after another one, as if a batch had no borders."""
    return logits(model, [other + row for other, row in zip(rows[1:] + rows[:1], rows)])


def scaled(model, factor):
    for module in model.modules():
        if hasattr(module, 'lora_A'):
            module.scaling['default'] *= factor


def in_f16(model):
    """The model with weights, inputs and outputs of all products of its layers rounded to f16, LoRA merged; the rest in f32."""
    model = copy.deepcopy(model)
    if hasattr(model, 'peft_config'):
        model.merge_adapter()
    decoder, _ = inner(model)
    for name, module in decoder.named_modules():
        if isinstance(module, torch.nn.Linear) and 'lora_' not in name:
            module.weight.data = module.weight.data.half().float()
            module.register_forward_pre_hook(lambda _, given: (given[0].half().float(), *given[1:]))
            module.register_forward_hook(lambda _, given, made: made.half().float())
    return model


def common_mistakes(case, model, rank, alpha):
    scaled(model, rank / alpha)
    case.wrong('no alpha', logits(model, case.rows))
    scaled(model, alpha / rank)
    with model.disable_adapter():
        _, head = inner(model)
        decoder = model.base_model.model.model
        case.wrong('no adapter', torch.stack([head(decoder(input_ids=torch.tensor([r])).last_hidden_state[0, -1]).detach() for r in case.rows]))
    case.wrong('rows see each other', cross_talk(model, case.rows))
    longer = [r for r in case.rows if len(r) > 1]
    right, case.right = case.right, case.right[-len(longer):]
    case.wrong('last but one token', logits(model, longer, at=-2))
    case.right = right


def write_base(folder, config, model, tokenizer):
    path = GOLDEN / 'models' / folder
    path.mkdir(parents=True, exist_ok=True)
    state = {k.removeprefix('model.'): v for k, v in model.state_dict().items() if k != 'score.weight'}
    gguf_files.write_base(path / 'base.gguf', f'golden-{folder}', config, state, DEMO / tokenizer / 'tokenizer.json')
    return f'{folder}/base.gguf'


def write_head(file, config, head):
    labels = train.LABELS[:head.weight.shape[0]]
    bias = None if head.bias is None else head.bias.detach().numpy()
    gguf_files.write_head(GOLDEN / 'models' / file, config, labels, head.weight.detach().numpy(), bias)
    return file


def write_adapter(file, config, model, alpha):
    gguf_files.write_adapter(GOLDEN / 'models' / file, config, train.lora_pairs(model), alpha)
    return file


def golden_gemma(folder, seed, changes):
    torch.manual_seed(seed)
    tokenizer = Tokenizer.from_file(str(DEMO / 'gemma' / 'tokenizer.json'))
    config = train.gemma_config(tokenizer.get_vocab_size(), **SHAPE | {
        'query_pre_attn_scalar': 16, 'attn_logit_softcapping': 8.0} | changes)
    model = train.build(config, attn_implementation='eager').eval()
    scramble(model, 2.0, 2.5)
    return config, model, write_base(folder, config, model, 'gemma'), write_head(f'{folder}/head.gguf', config, model.score)


def gemma_cases(rows):
    config, model, base, head = golden_gemma('gemma', 11, {'num_hidden_layers': 3})
    yield Case('Gemma without an adapter', 'gemma2', rows).files(base, None, head).answer(logits(model, rows)).steady(model)
    wrapped = with_lora(model, 4, 16, ['q_proj', 'k_proj', 'v_proj'], [1, 2])
    adapter = write_adapter('gemma/adapter.gguf', config, wrapped, 16)
    capped = Case('Gemma with LoRA on some layers', 'gemma2', rows).files(base, adapter, head).answer(logits(wrapped, rows)).steady(wrapped)
    common_mistakes(capped, wrapped, 4, 16)
    switch_soft_cap(wrapped, on=False)
    free = Case('Gemma without the attention soft-cap', 'gemma2', rows).files(base, adapter, head)
    free.tree['attentionSoftCap'] = False
    free.answer(logits(wrapped, rows)).steady(wrapped)
    capped.wrong('no soft-cap', logits(wrapped, rows))
    yield from (capped, free)


def window_case(rows):
    config, model, base, head = golden_gemma('gemma-window', 12, {'num_hidden_layers': 2, 'sliding_window': 16})
    case = Case('Gemma with a window smaller than the text', 'gemma2', rows).files(base, None, head).answer(logits(model, rows)).steady(model)
    wide = golden_gemma('gemma-window', 12, {'num_hidden_layers': 2, 'sliding_window': 4096})[1]
    case.wrong('no window', logits(wide, rows))
    near = golden_gemma('gemma-window', 12, {'num_hidden_layers': 2, 'sliding_window': 17})[1]
    case.wrong('a window one too wide', logits(near, rows), times=50)
    golden_gemma('gemma-window', 12, {'num_hidden_layers': 2, 'sliding_window': 16})
    return case


def llama_model():
    torch.manual_seed(21)
    tokenizer = Tokenizer.from_file(str(DEMO / 'llama' / 'tokenizer.json'))
    ids = [tokenizer.token_to_id(t) for t in ('<|begin_of_text|>', '<|eot_id|>')]
    config = train.llama_config(tokenizer.get_vocab_size(), *ids, **SHAPE | {'num_hidden_layers': 3})
    model = train.build(config, attn_implementation='sdpa').eval()
    scramble(model, 1.3, 1.25)
    return config, model


LLAMA_ADAPTERS = {
    'o and v': ('adapter-ov', 16, 32, ['o_proj', 'v_proj']),
    'q and k': ('adapter-qk', 4, 8, ['q_proj', 'k_proj']),
    'every projection': ('adapter-all', 4, 6, ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj']),
}


def misplaced(model, config):
    """The q and k adapters as they act when B's rows are not moved with the weights'."""
    for name, module in model.named_modules():
        for target in ('q_proj', 'k_proj'):
            if name.endswith(target) and hasattr(module, 'lora_B'):
                heads = gguf_files.heads_of(config, f'self_attn.{target}')
                b = module.lora_B['default'].weight
                out = b.shape[0]
                b.data = b.data.reshape(heads, out // heads // 2, 2, -1).swapaxes(1, 2).reshape(b.shape).contiguous()


def llama_cases(rows):
    config, model = llama_model()
    base, head = write_base('llama', config, model, 'llama'), write_head('llama/head.gguf', config, model.score)
    yield Case('Llama without an adapter', 'llama', rows).files(base, None, head).answer(logits(model, rows)).steady(model)
    two = torch.nn.Linear(64, 2, bias=True)
    torch.nn.init.normal_(two.weight, std=0.15)
    two.bias.data = torch.tensor([0.7, -0.4])
    biased = Case('Llama with a head of two labels and a bias', 'llama', rows)
    biased.files(base, None, write_head('llama/head-two.gguf', config, two)).answer(logits(model, rows, head=two)).steady(model, head=two)
    two.bias.data.zero_()
    yield biased.wrong('no bias', logits(model, rows, head=two))
    for what, (file, rank, alpha, modules) in LLAMA_ADAPTERS.items():
        wrapped = with_lora(llama_model()[1], rank, alpha, modules)
        adapter = write_adapter(f'llama/{file}.gguf', config, wrapped, alpha)
        case = Case(f'Llama with LoRA on {what}', 'llama', rows).files(base, adapter, head).answer(logits(wrapped, rows)).steady(wrapped)
        common_mistakes(case, wrapped, rank, alpha)
        if 'q_proj' in modules:
            misplaced(wrapped, config)
            case.wrong('q and k rows not moved', logits(wrapped, rows))
        yield case


def main():
    torch.set_num_threads(1)
    rows = {'gemma2': sequences('gemma', corpus.GEMMA), 'llama': sequences('llama', corpus.LLAMA)}
    cases = [*gemma_cases(rows['gemma2']), window_case(rows['gemma2']), *llama_cases(rows['llama'])]
    tree = {'rows': rows, 'cases': [case.tree for case in cases]}
    lines = json.dumps(tree, separators=(',', ':')).replace('{"name"', '\n{"name"').replace('],[', '],\n[')
    (GOLDEN / 'answers.json').write_text(lines + '\n', 'utf-8')


if __name__ == '__main__':
    main()
