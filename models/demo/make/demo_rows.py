"""The demo's rows: test.csv shows the quirks of real files, heldout.csv has labels that no model was trained on."""

import csv
import json
import random

import corpus

# Cells as they stand in a file; each parses under Python's rules and under strip.
QUIRKS = [
    ('["what is a fraction\\/ratio?"]', '["1\\/2, because a\\/b"]', '["whatever"]'),
    ('["caf\\u00e9 r\\u00e9sum\\u00e9"]', '["\\u00e9tape par \\u00e9tape"]', '["d\\u00e9sol\\u00e9"]'),
    ('["\\ud83c\\udf4d?"]', '["a \\ud83c\\udf4d\\ud83d\\ude00 because"]', '["\\ud83d\\udc68\\u200d\\ud83d\\udc69\\u200d\\ud83d\\udc67"]'),
    ('["first question","second question"]', '["because",null]', '[null,"for example"]'),
    ('["hello"]', '[null]', '["i cannot"]'),
    ('["hello"]', '[""]', '[""]'),
    ('["hello"]', '[]', '["because"]'),
    ('[]', '[]', '[]'),
    ('["one","two","three"]', '["a","",null]', '["therefore","in detail","so"]'),
    ('["say \\"hi\\""]', '["\\"hi\\", because you asked"]', '["he said: \\"no, \\"never\\"\\""]'),
    ('["what does <eos> mean?"]', '["<eos> ends a text, because it is special"]', '["<|eot_id|> ends a turn"]'),
    ('["<|begin_of_text|>"]', '["<bos><bos>"]', '["<pad> and <unused0> and <0x41>"]'),
    ('["tabs\\tand\\nlines\\r\\n"]', '["line 1\\n\\nline 2\\n\\n\\n\\nline 3"]', '["    indented\\n\\tcode"]'),
    ('["\\u4ec0\\u4e48\\u662f\\u6c34?"]', '["因为水"]', '["不知道"]'),
    ('["ما هو الماء؟"]', '["لأن الماء"]', '["\\u0644\\u0627 \\u0623\\u0639\\u0631\\u0641"]'),
    ('["क्या है पानी?"]', '["क्योंकि पानी"]', '["पता नहीं"]'),
    ('["물?"]', '["왜냐하면 물"]', '["죄송"]'),
    ('["\\u0000\\u0001\\u007f"]', '["zero \\u200b width \\ufeff mark"]', '["\\u2028 \\u2029 \\u00a0"]'),
    ('["back\\\\slash \\\\n"]', '["C:\\\\temp\\\\new"]', '["\\\\\\\\server\\\\share"]'),
    ('["a, b; c"]', '["[1, 2, 3]"]', '["{\\"key\\": [null, true]}"]'),
]


def long_rows(rng):
    """Replies of some hundred tokens, and one that no model reads to its end."""
    for sentences in (20, 40, 80, 320):
        record = corpus.row(rng)
        record['response_a'] = corpus.cell(rng, [corpus.reply(rng, 'en', sentences)])
        record['response_b'] = corpus.cell(rng, [corpus.reply(rng, 'en', max(1, sentences // 3))])
        yield record
    yield {'prompt': '["repeat"]', 'response_a': json.dumps([' '.join(['x' * 300])]), 'response_b': json.dumps(['um um ' * 30])}


def test_rows():
    rng = random.Random(2024)
    fixed = [dict(zip(('prompt', 'response_a', 'response_b'), cells)) for cells in QUIRKS] + list(long_rows(rng))
    drawn = [corpus.row(rng, longest=rng.choice([1, 2, 3, 3, 6])) for _ in range(200 - len(fixed))]
    mixed = fixed + drawn
    rng.shuffle(mixed)
    ids = rng.sample(range(10000, 10**9), 200)
    return [{'id': i, **record} for i, record in zip(ids, mixed)]


def held_out():
    return corpus.rows(777, 200)


def write_csv(path, header, lines):
    with open(path, 'w', encoding='utf-8', newline='') as file:
        writer = csv.writer(file, lineterminator='\n')
        writer.writerow(header)
        writer.writerows(lines)


def write(out):
    texts = ['prompt', 'response_a', 'response_b']
    write_csv(out / 'test.csv', ['id', *texts], [[r['id'], *(r[t] for t in texts)] for r in test_rows()])
    lines = [[i + 1, *(r[t] for t in texts), *(int(r['label'] == k) for k in range(3))] for i, r in enumerate(held_out())]
    write_csv(out / 'heldout.csv', ['id', *texts, 'winner_model_a', 'winner_model_b', 'winner_tie'], lines)
    for record in test_rows():
        for name in texts:
            corpus.parse_python(record[name])
