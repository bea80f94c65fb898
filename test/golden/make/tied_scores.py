"""Makes tied-scores.json: a SentencePiece vocabulary whose scores tie, and the ids that transformers' conversion of it gives.

  python test/golden/make/tied_scores.py

SentencePiece scores BPE pieces by the order in which it learnt them, all different. Vocabularies that were merged or extended
later tie; here, scores are rounded down to multiples of 128. Which of the tied merges comes first is transformers' own rule.
"""

import json
import random
import tempfile
from pathlib import Path

import sentencepiece as spm
from tokenizers import AddedToken, Tokenizer, models, normalizers
from transformers.tokenization_utils_base import generate_merges

GOLDEN = Path(__file__).resolve().parent.parent
TYPES = {'normal': 1, 'unknown': 2, 'control': 3, 'user': 4, 'byte': 6}
RUNS = ['▁' * n for n in range(2, 9)]


def train(texts, folder):
    (folder / 'text').write_text('\n'.join(text.replace('\n', ' ') for text in texts), 'utf-8')
    spm.SentencePieceTrainer.train(
        input=str(folder / 'text'), model_prefix=str(folder / 'm'), model_type='bpe', vocab_size=1400, byte_fallback=True,
        split_digits=True, add_dummy_prefix=False, remove_extra_whitespaces=False, normalization_rule_name='identity',
        allow_whitespace_only_pieces=True, user_defined_symbols=RUNS, character_coverage=0.98, num_threads=1, minloglevel=2)
    return spm.SentencePieceProcessor(model_file=str(folder / 'm.model'))


def kind(model, i):
    if model.is_unknown(i):
        return TYPES['unknown']
    if model.is_control(i):
        return TYPES['control']
    if model.is_byte(i):
        return TYPES['byte']
    return TYPES['user'] if model.id_to_piece(i) in RUNS else TYPES['normal']


def reference(pieces, order):
    """The fast tokenizer of these pieces, whose tied merges come in the given order."""
    vocab = {piece: i for i, (piece, _, _) in enumerate(pieces)}
    skipped = [piece for piece, _, type_ in pieces if type_ in (TYPES['unknown'], TYPES['control'], TYPES['byte'])]
    merges = order(generate_merges(vocab, {piece: score for piece, score, _ in pieces}, skipped))
    tokenizer = Tokenizer(models.BPE(vocab, merges, byte_fallback=True, fuse_unk=True, unk_token='<unk>'))
    tokenizer.normalizer = normalizers.Replace(' ', '▁')
    tokenizer.add_tokens([AddedToken(run, normalized=False) for run in RUNS])
    return tokenizer


def shuffled_ties(pieces, seed):
    score = {piece: score for piece, score, _ in pieces}
    rng = random.Random(seed)
    return lambda merges: sorted(merges, key=lambda merge: (-score[merge[0] + merge[1]], rng.random()))


def main():
    hard = json.loads((GOLDEN / 'hard-strings.json').read_text('utf-8'))
    texts = [text for text in hard if 0 < len(text) < 120 and '<' not in text]
    with tempfile.TemporaryDirectory() as folder:
        model = train([text for text in texts if max(text) < '\u0250'], Path(folder))
    size = model.get_piece_size()
    pieces = [(model.id_to_piece(i), model.get_score(i), kind(model, i)) for i in range(size)]
    pieces = [(p, s // 128 * 128 if t == TYPES['normal'] else s, t) for p, s, t in pieces]
    encode = lambda order: [e.ids for e in reference(pieces, order).encode_batch(texts, add_special_tokens=False)]
    ids = encode(list)
    others = [encode(shuffled_ties(pieces, seed)) for seed in range(4)]
    told = [any(other[i] != ids[i] for other in others) for i in range(len(texts))]
    print(size, 'pieces', len({s for _, s, _ in pieces}), 'scores', sum(told), 'strings differ where ties are broken by chance')
    assert sum(told) > 100
    kept = [i for i in range(len(texts)) if told[i] or i % 6 == 0]
    texts, ids = [texts[i] for i in kept], [ids[i] for i in kept]
    lines = [f'"{name}": [\n' + ',\n'.join(json.dumps(one, separators=(',', ':')) for one in rows) + '\n]'
             for name, rows in (('pieces', pieces), ('strings', texts), ('ids', ids))]
    (GOLDEN / 'tied-scores.json').write_text('{\n' + ',\n'.join(lines) + '\n}\n', 'utf-8')


if __name__ == '__main__':
    main()
