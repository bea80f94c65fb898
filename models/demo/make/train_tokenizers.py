"""Two small tokenizers with the real ones' machinery: Gemma's (BPE with byte fallback, which SentencePiece's merges by
score equal) and Llama-3's (byte-level BPE)."""

import json

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

GEMMA_HTML = ['<table>', '<tr>', '<td>', '</table>', '</tr>', '</td>', '<strong>', '<em>', '<b>', '<i>', '<code>',
              '</strong>', '</em>', '</b>', '</i>', '</code>']
LLAMA_PATTERN = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
                 r"|\s*[\r\n]+|\s+(?!\S)|\s+")


def runs(char, shortest):
    return [char * n for n in range(shortest, 32)]


def all_splits(scores, vocab):
    """Every way to build each piece from two others, best score first: what transformers makes of a SentencePiece model."""
    merges = []
    for piece, score in scores.items():
        local = [(piece[:i], piece[i:], score) for i in range(1, len(piece)) if piece[:i] in vocab and piece[i:] in vocab]
        merges += sorted(local, key=lambda m: (vocab[m[0]], vocab[m[1]]))
    merges.sort(key=lambda m: (m[2], len(m[0]), len(m[1])), reverse=True)
    return [(left, right) for left, right, _ in merges]


def gemma(texts, pieces):
    learner = Tokenizer(models.BPE())
    learner.normalizer = normalizers.Replace(' ', '▁')
    # Words keep the space before them; line ends and tabs are tokens of their own.
    learner.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(r'[\n\t]+'), 'isolated'),
        pre_tokenizers.Split(Regex(r'▁*[^▁]+|▁+'), 'isolated')])
    learner.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=pieces, min_frequency=2, show_progress=False))
    learned = [p for p, _ in sorted(learner.get_vocab().items(), key=lambda item: item[1])]

    special = ['<pad>', '<eos>', '<bos>', '<unk>']
    user = ['<mask>', '<2mass>', '[@BOS@]', *[f'<unused{i}>' for i in range(4)]]
    turns = ['<start_of_turn>', '<end_of_turn>']
    fixed = [*special, *user, *turns, *runs('\n', 1), *runs('▁', 2), *GEMMA_HTML, *[f'<0x{b:02X}>' for b in range(256)]]
    merged = [p for p in learned if len(p) > 1 and p not in fixed and '▁▁' not in p]
    singles = [p for p in learned if len(p) == 1 and p not in fixed and p != '\t']
    singles += [c for c in map(chr, range(33, 127)) if c not in singles]
    ordered = [*fixed, *merged, *singles, *runs('\t', 1), '<unused4>']
    vocab = {piece: i for i, piece in enumerate(ordered)}
    assert len(vocab) == len(ordered)
    # As in Gemma's own model: user-defined pieces score 0 and win, the others by rank.
    scores = {p: 0.0 for p in runs('\n', 2) + runs('▁', 2) + runs('\t', 2)} | {p: -float(i) for i, p in enumerate(merged)}

    whole = Tokenizer(models.BPE(vocab, all_splits(scores, vocab), unk_token='<unk>', fuse_unk=True, byte_fallback=True))
    whole.normalizer = normalizers.Replace(' ', '▁')
    whole.pre_tokenizer = pre_tokenizers.Split(' ', 'merged_with_previous')
    whole.decoder = decoders.Sequence([decoders.Replace('▁', ' '), decoders.ByteFallback(), decoders.Fuse()])
    whole.add_special_tokens([AddedToken(t, normalized=False, special=True) for t in special + turns])
    whole.add_tokens([AddedToken(t, normalized=False) for t in
                      user + runs('\n', 1) + runs('▁', 2) + GEMMA_HTML + runs('\t', 2) + ['<unused4>']])
    whole.post_processor = processors.TemplateProcessing(
        single='<bos> $A <eos>', pair='<bos> $A <eos> <bos>:1 $B:1 <eos>:1',
        special_tokens=[('<bos>', vocab['<bos>']), ('<eos>', vocab['<eos>'])])
    return whole


def llama(texts, pieces):
    whole = Tokenizer(models.BPE(ignore_merges=True))
    whole.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(LLAMA_PATTERN), 'isolated'),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    whole.decoder = decoders.ByteLevel()
    whole.train_from_iterator(texts, trainers.BpeTrainer(
        vocab_size=pieces, min_frequency=2, show_progress=False, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    names = ['<|begin_of_text|>', '<|end_of_text|>', *[f'<|reserved_special_token_{i}|>' for i in range(4)],
             '<|start_header_id|>', '<|end_header_id|>', '<|reserved_special_token_4|>', '<|eot_id|>']
    whole.add_special_tokens([AddedToken(t, normalized=False, special=True) for t in names])
    bos = '<|begin_of_text|>'
    whole.post_processor = processors.Sequence([
        processors.ByteLevel(trim_offsets=False),
        processors.TemplateProcessing(single=f'{bos} $A', pair=f'{bos} $A {bos}:1 $B:1',
                                      special_tokens=[(bos, whole.token_to_id(bos))])])
    return whole


GEMMA_CONFIG = {
    'tokenizer_class': 'GemmaTokenizerFast', 'bos_token': '<bos>', 'eos_token': '<eos>', 'pad_token': '<pad>',
    'unk_token': '<unk>', 'add_bos_token': True, 'add_eos_token': True, 'clean_up_tokenization_spaces': False,
    'model_max_length': 8192,
}
LLAMA_CONFIG = {
    'tokenizer_class': 'PreTrainedTokenizerFast', 'bos_token': '<|begin_of_text|>', 'eos_token': '<|eot_id|>',
    'pad_token': '<|eot_id|>', 'add_eos_token': True, 'clean_up_tokenization_spaces': True,
    'model_input_names': ['input_ids', 'attention_mask'], 'model_max_length': 8192,
}


def save(tokenizer, config, folder):
    folder.mkdir(parents=True, exist_ok=True)
    tree = json.loads(tokenizer.to_str())
    # One merge a string, no indentation: a third of the size.
    (folder / 'tokenizer.json').write_text(json.dumps(tree, ensure_ascii=False, separators=(',', ':')) + '\n', 'utf-8')
    (folder / 'tokenizer_config.json').write_text(json.dumps(config, indent=2) + '\n', 'utf-8')
