"""Makes hard-strings.json and the ids that the real Gemma-2 and Llama-3 tokenizers (npm @lenml/tokenizer-*) give them.

  python test/golden/make/hard_strings.py [--check]     --check also compares with transformers' own tokenizer classes
"""

import argparse
import json
import random
from pathlib import Path

from tokenizers import Tokenizer

GOLDEN = Path(__file__).resolve().parent.parent
PACKAGES = GOLDEN.parent.parent / 'node_modules' / '@lenml'
NAMES = {'gemma2': 'tokenizer-gemma2', 'llama3': 'tokenizer-llama3'}

SPECIAL = ['<eos>', '<bos>', '<pad>', '<unk>', '<mask>', '<2mass>', '[@BOS@]', '<start_of_turn>', '<end_of_turn>', '<unused7>',
           '<0x0A>', '<b>', '</b>', '<table>', '<code>', '<|begin_of_text|>', '<|end_of_text|>', '<|eot_id|>',
           '<|start_header_id|>user<|end_header_id|>', '<|reserved_special_token_5|>', '<|eot_id', 'eos>', '<EOS>', '< eos >',
           '<|im_end|>', '</s>', '[INST]', '<eos><eos>', '<eo<eos>s>', '<s>']
LATIN = """the of and to in is that it was for on are as with his they at be this from have or by one had not but what all
    were when we there can an your which their said if do will each about how up out them then she many some so these would
    other into has more two like him see time could no make than first been its who now people my made over did down only
    antidisestablishmentarianism supercalifragilistic HTTPServer camelCase snake_case SCREAMING iPhone O'Reilly don't I'VE
    we'll they'd you're naïve café résumé Übergröße façade coöperate Zürich smørrebrød żółć""".split()
OTHER = {
    'cjk': list('的一是在不了有和人这中大为上个国我以要他时来用们生到作地于出就分对成会可主发年动同工也能下过子说产种面而方后多定行学法所民得经十三之进着等部度家电力里如水化高自二理起小物现实加量都两体制机当使点从业本去把性好应开它合还因由其些然前外天政四日那社义事平形相全表间样与关各重新线内数正心反你明看原又么利比或但质气第向道命此变条只没结解问意建月公无系军很情者最立代想已通并提直题党程展五果料象员革位入常文总次品式活设及管特件长求老头基资边流路级少图山统接知较将组见计别她手角期根论运农指几九区强放决西被干做必战先回则任取据处队南给色光门即保治北造百规热领七海口东导器压志世金增争济阶油思术极交受联什认六共权收证改清己美再采转更单风切打白教速花带安场身车例真务具万每目至达走积示议声报斗完类八离华名确才科张信马节话米整空元况今集温传土许步群广石记需段研界拉林律叫且究观越织装影算低持音众书布复容儿须际商非验连断深难近矿千周委素技备半办青省列习响约支般史感劳便团往酸历市克何除消构府称太准精值号率族维划选标写存候毛亲快效斯院查江型眼王按格养易置派层片始却专状育厂京识适属圆包火住调满县局照参红细引听该铁价严龘靐齉爩'),
    'kana': list('あいうえおかきくけこさしすせそたちつてとなにぬねのはひふへほまみむめもやゆよらりるれろわをんアイウエオカキクケコガギグゲゴパピプペポヴー々〆〇㍿'),
    'hangul': list('가나다라마바사아자차카타파하한국어대한민국안녕하세요감사합니다뷁쀍꿹'),
    'arabic': list('ابتثجحخدذرزسشصضطظعغفقكلمنهويءآأؤإئىةًٌٍَُِّْـ') + ['السلام', 'عليكم', 'ﷺ', 'لا', '١٢٣'],
    'hebrew': ['שלום', 'עולם', 'בְּרֵאשִׁית', 'א', 'ב'],
    'indic': ['नमस्ते', 'दुनिया', 'क्ष', 'ज्ञ', 'தமிழ்', 'తెలుగు', 'বাংলা', 'ਪੰਜਾਬੀ', 'ಕನ್ನಡ', 'മലയാളം', '१२३', '௧௨'],
    'thai': ['สวัสดี', 'ครับ', 'ภาษาไทย', 'กำ', 'น้ำ', '๑๒๓', 'ລາວ', 'ខ្មែរ', 'မြန်မာ', 'བོད'],
    'cyrillic': ['привет', 'мир', 'ёлка', 'Їжак', 'съешь', 'ЩЪЫЬ', 'ѣ', 'ᲀ'],
    'greek': ['καλημέρα', 'κόσμε', 'Ἀθῆναι', 'ς', 'Ω', 'ΐ'],
    'rare': ['𐍈', '𓀀', '𒀀', '𝔘𝔫𝔦', '𝟙𝟚', 'ᚠᛇᚻ', 'ꙮ', 'ⴰⵣ', '𞤀', '🄰', 'Ⅷ', '②', '½', 'ﬁ', 'ﬃ', 'Å', 'ſ', "'ſ", 'K', 'ǅ', 'ʰ', '〇', '٣', '߃',
             '𑁧', 'ª', 'º', '²', '¼', '№', '™', '℃', 'ⓐ', '𖿠', '㊗', 'ㆍ', 'ꟲ', '𐞀', '𞥐', '𝼀'],
    'combining': ['e\u0301', 'n\u0303', 'Z\u0351\u0343\u0319a\u0336l\u0321\u0322go', 'a\u0308\u0323', '\u0301', '\u20dd', '\u0e33', '\u3099', 'x\ufe0f'],
}
EMOJI = ['😀', '😂', '🍍', '❤️', '❤', '👍', '👍🏽', '👨‍👩‍👧‍👦', '🏳️‍🌈', '🇩🇪', '🇺🇸🇬🇧', '1️⃣', '☺', '☺️', '🧑🏿‍🚀', '🫠', '🥹', '🪿', '🫨', '🏴󠁧󠁢󠁥󠁮󠁧󠁿', '⌚', '♾️', '🤷‍♀️', '\U0001fae9']
SPACES = [' ', '  ', '   ', '\t', '\n', '\r\n', '\r', '\n\n', '\v', '\f', '\u00a0', '\u1680', '\u2003', '\u2009', '\u200a', '\u2028', '\u2029',
          '\u202f', '\u205f', '\u3000', '\u0085', '\u180e', '\u200b', '\u200c', '\u200d', '\u2060', '\ufeff', '\x1c', '\x1f', '\u00ad']
PUNCTUATION = list('.,;:!?\'"`´‘’“”«»„()[]{}<>/\\|-–—_=+*&^%$#@~§¶•…·¿¡') + ['...', '!!!', '?!', '--', '->', '=>', '::', '//', '/*', '*/', '```', '"""',
               "'''", '\\n', '\\/', '\\u00e9', '&amp;', '://', "'s", "'S", "'Re", "'LL", "'d", "'x", "''s", '’s']
CODE = ['def f(x):\n    return x + 1\n', 'for (int i = 0; i < n; ++i) {\n\tsum += a[i];\n}\n', 'SELECT * FROM t WHERE id = 7;', '<div class="a">b</div>',
        '{"k": [1, 2.5, null, true]}', 'let s = `a ${b}`;', '#include <vector>\n', 'x=>x**2', '\\begin{align} a &= b^{2} \\end{align}',
        'if x:\n        y()\n    else:\n\t\tz()\n', 'λ x. x', '0xDEADBEEF 1e-5 1_000', '| a | b |\n|---|---|\n| 1 | 2 |\n', 'https://example.org/a?b=c&d=%20#e']
REPLACED = '\ufffd'


def digits(rng):
    return ''.join(rng.choice('0123456789') for _ in range(rng.randint(1, 14)))


def atom(rng):
    kind = rng.random()
    if kind < 0.30:
        return rng.choice(LATIN)
    if kind < 0.45:
        pool = OTHER[rng.choice(list(OTHER))]
        return ''.join(rng.choice(pool) for _ in range(rng.randint(1, 4)))
    if kind < 0.53:
        return ''.join(rng.choice(EMOJI) for _ in range(rng.randint(1, 3)))
    if kind < 0.65:
        return ''.join(rng.choice(PUNCTUATION) for _ in range(rng.randint(1, 3)))
    if kind < 0.73:
        return digits(rng)
    if kind < 0.80:
        return rng.choice(SPECIAL)
    if kind < 0.88:
        return rng.choice(SPACES) * rng.choice([1, 1, 2, 3, 5])
    if kind < 0.92:
        return REPLACED * rng.choice([1, 3, 6])
    return rng.choice(CODE)


def mixed(rng):
    glue = rng.choice([' ', ' ', '', '  ', '\n', None])
    atoms = [atom(rng) for _ in range(rng.randint(1, 12))]
    return ''.join(a + (rng.choice(SPACES) if glue is None else glue) for a in atoms)


def scalar(rng, top):
    """Any character that UTF-8 can hold."""
    while True:
        c = rng.randrange(top)
        if not 0xD800 <= c < 0xE000:
            return chr(c)


def runs(rng):
    text = ''
    for _ in range(rng.randint(1, 5)):
        text += rng.choice([' ', ' ', '\n', '\t', '\r\n', '\u00a0', '\u3000', '-', '=', 'a', '.', '#', '😀', '0']) * rng.choice([1, 2, 3, 7, 15, 16, 17, 30, 31, 32, 33, 63, 64, 65])
        text += rng.choice(['', '', 'x', ' y', '1', '.'])
    return text


def fixed():
    singles = SPECIAL + EMOJI + SPACES + PUNCTUATION + CODE + [s for pool in OTHER.values() for s in pool[:60]]
    around = [f'{before}{s}{after}' for s in SPACES + SPECIAL for before, after in ((' ', 'a'), ('a', ' '), ('.', '\n'), ('\n', '.'))]
    counted = [c * n for c in ' \n\t' for n in range(1, 70)]
    controls = [f'a{chr(c)}b{chr(c)}{chr(c)} c' for c in [*range(0x20), *range(0x7f, 0xa1)]]
    words = ['a' * 1000, 'ab' * 500, 'Donaudampfschifffahrtsgesellschaft' * 12, 'x' * 4000 + ' y', '的' * 500, '🍍' * 200, 'ñ' * 300, '0' * 301, '!' * 200]
    # To tokenizer.json literal U+2581 are tokens of their own, matched before spaces become U+2581; llama.cpp's converter
    # stores those tokens as runs of spaces.
    marks = ['▁' * n for n in range(1, 40)] + [a + '▁' * n + b for n in (1, 2, 3, 16, 31, 32) for a, b in
             ((' ', ''), ('', ' '), (' ', ' '), ('a', 'b'), ('  ', 'x'), ('x', '   y'), ('\n', '\n'), ('<b>', '</b>'), ('1', '. '))]
    mixed_marks = ['▁ ▁', '▁▁ ▁▁', ' ▁ ▁▁ ▁▁▁ ', '▁\n▁▁\n', '▁the▁▁cat ▁▁▁sat', 'the▁ cat ▁ sat', '▁▁的▁▁', '▁'.join('abc'), '▁ ' * 20]
    return ['', *singles, *around, *counted, *controls, *words, *marks, *mixed_marks]


def strings():
    rng = random.Random(20240627)
    found = dict.fromkeys(fixed())
    for make, count in ((mixed, 1300), (runs, 250)):
        for _ in range(count):
            found[make(rng)] = None
    for top, count in ((0x250, 120), (0x3000, 160), (0x10000, 160), (0x20000, 120), (0x110000, 40)):
        for _ in range(count):
            found[''.join(scalar(rng, top) + rng.choice(['', '', ' ']) for _ in range(rng.randint(1, 8)))] = None
    return list(found)


def check_classes(name, texts, expected):
    from transformers import GemmaTokenizer, PreTrainedTokenizerFast
    folder = PACKAGES / NAMES[name] / 'models'
    other = (GemmaTokenizer if name == 'gemma2' else PreTrainedTokenizerFast).from_pretrained(folder)
    found = other(texts, add_special_tokens=False)['input_ids']
    wrong = [t for t, a, b in zip(texts, found, expected) if a != b]
    print(f'{name}: transformers disagrees on {len(wrong)} strings', [repr(t[:40]) for t in wrong[:5]])


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument('--check', action='store_true')
    chosen = arguments.parse_args()
    texts = strings()
    (GOLDEN / 'hard-strings.json').write_text('[\n' + ',\n'.join(json.dumps(t) for t in texts) + '\n]\n', 'utf-8')
    for name, package in NAMES.items():
        tokenizer = Tokenizer.from_file(str(PACKAGES / package / 'models' / 'tokenizer.json'))
        ids = [e.ids for e in tokenizer.encode_batch(texts, add_special_tokens=False)]
        (GOLDEN / f'hard-strings.{name}.json').write_text('[\n' + ',\n'.join(json.dumps(i, separators=(',', ':')) for i in ids) + '\n]\n', 'utf-8')
        print(name, len(texts), 'strings', sum(map(len, ids)), 'tokens')
        if chosen.check:
            check_classes(name, texts, ids)


if __name__ == '__main__':
    main()
