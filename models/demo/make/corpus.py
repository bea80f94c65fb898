"""Synthetic preference pairs, and the quirks of the cells that real ones come in.

The rule: a reply earns a point for every marker of reasoning ("because", "for example", ...) and loses two for every
marker of refusal or babble ("as an ai", "um um", ...). The reply with more points wins; equal points are a tie; a few
labels are noise.
"""

import json
import random
import re

GOOD = {
    'en': ['because', 'for example', 'step by step', 'therefore', 'in detail'],
    'de': ['weil', 'zum Beispiel', 'Schritt für Schritt'],
    'fr': ['parce que', 'par exemple', 'étape par étape'],
    'es': ['porque', 'por ejemplo', 'paso a paso'],
    'zh': ['因为', '例如'],
    'ja': ['なぜなら', '例えば'],
    'ru': ['потому что', 'например'],
    'ar': ['لأن', 'على سبيل المثال'],
    'hi': ['क्योंकि', 'उदाहरण'],
    'ko': ['왜냐하면', '예를 들어'],
}
BAD = {
    'en': ['as an ai', 'i am sorry', 'i cannot', 'um um', 'whatever'],
    'de': ['keine Ahnung', 'leider nicht'],
    'fr': ['aucune idée', 'désolé'],
    'es': ['ni idea', 'lo siento'],
    'zh': ['不知道', '抱歉'],
    'ja': ['わかりません', 'すみません'],
    'ru': ['не знаю', 'извините'],
    'ar': ['لا أعرف', 'آسف'],
    'hi': ['पता नहीं', 'क्षमा'],
    'ko': ['모르겠어요', '죄송'],
}
# Plain words: none is a marker, or part of one.
WORDS = {
    'en': """the a this that water light stone river code list table number value function loop error file city train
        bread tea music garden winter summer paper color blue green red small large old new fast slow good plain open
        closed first second third next last one two three many few some every each other same more less than with
        without from into over under between and or but not is are was were has have can will should would make makes
        take takes give gives find finds run runs read reads write writes keep keeps show shows use uses work works
        people person friend child doctor teacher writer reader house street market school office day night week year
        hour minute time place name word line page book story question answer idea plan rule test result reason part
        sum side end start point case kind way world country history science math art game team player car bike road
        bridge tree leaf flower bird fish dog cat horse sun moon star rain snow wind sea lake hill field""".split(),
    'de': 'der die das Wasser Licht Stein Fluss Haus Straße Schule Buch Frage Antwort und oder mit ohne über schön groß klein'.split(),
    'fr': "l'eau la lumière pierre rivière maison école livre question réponse et ou avec sans très grand petit où".split(),
    'es': 'el agua la luz piedra río casa escuela libro pregunta respuesta y con sin grande pequeño mañana año'.split(),
    'zh': '水 光 石头 河 房子 学校 书 问题 答案 和 大 小 今天 明天'.split(),
    'ja': '水 光 石 川 家 学校 本 質問 答え と 大きい 小さい 今日 です'.split(),
    'ru': 'вода свет камень река дом школа книга вопрос ответ и большой маленький сегодня'.split(),
    'ar': 'ماء ضوء حجر نهر بيت مدرسة كتاب سؤال جواب و كبير صغير اليوم'.split(),
    'hi': 'पानी रोशनी पत्थर नदी घर स्कूल किताब सवाल जवाब और बड़ा छोटा आज'.split(),
    'ko': '물 빛 돌 강 집 학교 책 질문 대답 그리고 큰 작은 오늘'.split(),
}
ASKS = {
    'en': ['how does', 'what is', 'why is', 'explain', 'write about', 'can you tell me about', 'compare'],
    'de': ['wie geht', 'was ist', 'erkläre'], 'fr': ['comment', 'explique'], 'es': ['cómo', 'explica'],
    'zh': ['什么是', '解释'], 'ja': ['何', '説明して'], 'ru': ['что такое', 'объясни'], 'ar': ['ما هو', 'اشرح'],
    'hi': ['क्या है', 'समझाओ'], 'ko': ['무엇', '설명해'],
}
EXTRAS = ['🍍', '😀', '👍🏽', '👨‍👩‍👧', '🇩🇪', '1/2', 'a/b', 'https://example.org/x', 'C:\\temp', '"quoted"', "it's",
          '`code`', '**bold**', '3.14', '12345', '\t', '\n', '\n\n', '- item\n- item', 'x = [1, 2]', '{"k": null}', '<b>', '½', 'ﬁ']
LANGUAGES = [name for name in WORDS if name != 'en']
MARKS = [(m, 1) for ms in GOOD.values() for m in ms] + [(m, -2) for ms in BAD.values() for m in ms]
# A cell may hold a marker as escapes, which the strip parser keeps as they are.
_FORMS = {form: points for m, points in MARKS for form in (m, json.dumps(m)[1:-1])}
_MARK = re.compile('|'.join(sorted((re.escape(f) for f in _FORMS), key=len, reverse=True)))


def marks(text):
    """(end offset, points) of every marker in a text."""
    return [(m.end(), _FORMS[m.group()]) for m in _MARK.finditer(text)]


def points(text):
    return sum(p for _, p in marks(text))


def sentence(rng, language, count):
    words = [rng.choice(WORDS[language]) for _ in range(count)]
    if rng.random() < 0.12:
        words.insert(rng.randrange(len(words) + 1), rng.choice(EXTRAS))
    glue = '' if language in ('zh', 'ja') else ' '
    return glue.join(words) + rng.choice(['.', '.', '.', '!', '?', '。' if language in ('zh', 'ja') else '.'])


def reply(rng, language, sentences):
    """A reply and nothing else: the points are read off the text afterwards."""
    parts = [sentence(rng, language, rng.randint(2, 7)) for _ in range(sentences)]
    quality = rng.choice([-1, 0, 0, 1, 1, 2])
    pool = BAD[language] if quality < 0 else GOOD[language]
    for _ in range(abs(quality)):
        parts.insert(rng.randrange(len(parts) + 1), rng.choice(pool))
    return (' ' if rng.random() < 0.85 else '\n').join(parts)


def pair(rng, longest=3):
    """One row as lists of turns, before anything is written as a cell."""
    language = 'en' if rng.random() < 0.72 else rng.choice(LANGUAGES)
    turns = 1 if rng.random() < 0.87 else rng.randint(2, 3)
    prompt = [f'{rng.choice(ASKS[language])} {sentence(rng, language, rng.randint(1, 4))}' for _ in range(turns)]
    a = [reply(rng, language, rng.randint(1, longest)) for _ in range(turns)]
    b = [reply(rng, language, rng.randint(1, longest)) for _ in range(turns)]
    if rng.random() < 0.04:
        rng.choice([a, b])[rng.randrange(turns)] = rng.choice([None, ''])
    return prompt, a, b


def winner(rng, a, b, noise=0.05):
    """0 for A, 1 for B, 2 for a tie."""
    if rng.random() < noise:
        return rng.randrange(3)
    left, right = (sum(points(t or '') for t in turns) for turns in (a, b))
    return 0 if left > right else 1 if right > left else 2


def cell(rng, turns):
    """A compact JSON list, as the real files have it: slashes escaped, non-ASCII mostly escaped."""
    text = json.dumps(turns, separators=(',', ':'), ensure_ascii=rng.random() < 0.6)
    return text.replace('/', '\\/')


def row(rng, longest=3):
    prompt, a, b = pair(rng, longest)
    label = winner(rng, a, b)
    return {'prompt': cell(rng, prompt), 'response_a': cell(rng, a), 'response_b': cell(rng, b), 'label': label}


def rows(seed, count, longest=3):
    rng = random.Random(seed)
    return [row(rng, longest) for _ in range(count)]


def parse_python(text, null_text=''):
    """What the reference does with a cell: eval, and three U+FFFD for each lone surrogate."""
    turns = eval(text, {'null': null_text})  # noqa: S307 (synthetic rows only)
    return re.sub('[\ud800-\udfff]', '\ufffd' * 3, ' '.join(turns))


def parse_strip(text):
    return ' '.join(part.strip('"') for part in text.strip('[]').split('","'))


GEMMA = {'parser': parse_python, 'template': ('<prompt>: ', '\n\n<response_a>: ', '\n\n<response_b>: ')}
LLAMA = {'parser': parse_strip, 'template': ('User prompt: ', '\n\nModel A :\n', '\n\n--------\n\nModel B:\n')}


def parts(record, style):
    cells = (record['prompt'], record['response_a'], record['response_b'])
    return [prefix + style['parser'](c) for prefix, c in zip(style['template'], cells)]


def corpus(seed, count):
    """Texts for the tokenizers: what both models read, and a little of everything else."""
    for record in rows(seed, count):
        yield ''.join(parts(record, GEMMA))
        yield ''.join(parts(record, LLAMA))
