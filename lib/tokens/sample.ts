/** Excerpts of a run's texts on which tokenizers are likely to differ, and strings on which they have differed. */

import { splitsCharacter } from './boundaries';
import { Pace } from './pace';

/** Part of a text. */
export interface Excerpt {
  /** Index of the text, or null for a string of this file. */
  readonly text: number | null;
  /** Where the excerpt starts in the text. */
  readonly from: number;
  readonly content: string;
}

/** What hurts, and how many excerpts of it are taken. */
const FEATURES: readonly (readonly [RegExp, number])[] = [
  [/^/, 4],
  [/ {3,}/, 3],
  [/\s{33,}/, 2],
  [/\n[ \t]+/, 3],
  [/\n{2,}|\r/, 3],
  [/\p{Extended_Pictographic}/u, 4],
  [/[\u{10000}-\u{10ffff}]/u, 3],
  [/<\|?\/?[a-z_0-9]+\|?>|\[@BOS@\]/i, 4],
  [/\ufffd{3}/, 3],
  [/\\\//, 2],
  [/\\[nu"]/, 2],
  [/[\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7a3]/, 4],
  [/[\u0400-\u04ff]/, 2],
  [/[\u0590-\u08ff\u0900-\u0e7f]/, 3],
  [/\p{M}/u, 3],
  [/\d{4,}/, 3],
  [/['\u2019][a-z]/i, 2],
  [/[^\s]{60,}/, 3],
  [/([^\s])\1{15,}/, 3],
  // eslint-disable-next-line no-control-regex
  [/[\0-\x08\x0b-\x1f\x7f-\x9f]/, 3],
  [/[\u00a0\u1680\u2000-\u200f\u2028-\u202f\u205f-\u2064\u3000\ufeff]/, 3],
  [/\u2581/, 2],
  [/[{}();=]{2,}/, 2],
];

const SCANNED = 4000;
const BEFORE = 200;
const LENGTH = 700;
/** No more of a text is looked at, in UTF-16 units. */
export const LOOKED_AT = SCANNED + LENGTH + 1;

export class Sampler {
  private readonly missing = FEATURES.map(([, count]) => count);

  /** Whether anything is left to look for. */
  get isDone(): boolean {
    return this.missing.every((count) => count === 0);
  }

  /** At most one excerpt a text: around the first of the missing features that it has. */
  async choose(texts: readonly string[]): Promise<readonly Excerpt[]> {
    const excerpts: Excerpt[] = [];
    const pace = new Pace();
    for (const [index, text] of texts.entries()) {
      if (this.isDone) break;
      const excerpt = this.look(text, index);
      if (excerpt) excerpts.push(excerpt);
      if (pace.isOver) await pace.turn();
    }
    return excerpts;
  }

  private look(text: string, index: number): Excerpt | null {
    const scanned = text.slice(0, SCANNED);
    for (let feature = FEATURES.length - 1; feature >= 0; feature--) {
      const count = this.missing[feature] ?? 0;
      const at = count > 0 ? scanned.search(FEATURES[feature]?.[0] ?? /^/) : -1;
      if (at < 0) continue;
      this.missing[feature] = count - 1;
      return excerptAt(text, index, at);
    }
    return null;
  }
}

function excerptAt(text: string, index: number, at: number): Excerpt {
  const whole = (place: number): number => (splitsCharacter(text, place) ? place + 1 : place);
  const from = whole(Math.max(at - BEFORE, 0));
  return { text: index, from, content: text.slice(from, whole(from + LENGTH)) };
}

const HARD_STRINGS: readonly string[] = [
  '',
  ' ',
  '  a',
  'a  ',
  "Hello, world! It\u2019s 9:41, isn\u2019t it? WE\u2019RE I'LL you'Ve 's'S",
  '\n\n\n \n\t\n  x\r\n\r\ny\t\t\tz',
  ' '.repeat(70),
  '\n'.repeat(40),
  '\t'.repeat(33),
  'x' + ' '.repeat(33) + 'y' + '\n'.repeat(33) + ' z',
  '\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd',
  'https:\\/\\/example.com\\/a?b=1&c=%20d',
  '{"a":[1,2,{"b":null}],"c":"\\u00e9\\n"}',
  '1234567890 3.14159265 1,000,000 0x7fff 2024-01-02',
  '\u{1f468}\u200d\u{1f469}\u200d\u{1f467}\u{1f3fd} \u{1f1e9}\u{1f1ea} \u2764\ufe0f \u{1f34d}\u{20000}',
  '\u4f60\u597d\uff0c\u4e16\u754c\u3002\u3053\u3093\u306b\u3061\u306f \uc548\ub155\ud558\uc138\uc694',
  '\u041f\u0440\u0438\u0432\u0435\u0442 \u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627 \u0928\u092e\u0938\u094d\u0924\u0947 \u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35',
  "e\u0301 \u00e9 n\u0303 \u1e9b\u0323 \u0130I\u0131\u017f '\u017f \ufb01",
  '\u2581\u2581\u2581a \u2581b\u2581 c',
  '\u0000\u0001\u007f\u0085\u00a0\u200b\u2028\u3000\ufeff',
  'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',
  '----------------------------------------------------------------=================******####',
  'for (int i=0;i<n;++i){\n    if (!(a[i]<b)) return f(x)->y; // done\n}\n',
  '<b>bold</b><table><tr><td>1</td></tr></table><code>x</code>',
  'antidisestablishmentarianism Donaudampfschifffahrtsgesellschaft pneumonoultramicroscopic',
];

/** The fixed strings, and the special tokens' inside words. */
export function hardStrings(specialTexts: readonly string[]): readonly Excerpt[] {
  const special = specialTexts.slice(0, 40).map((text) => `a${text}b ${text}\n${text}${text.slice(0, -1)}`);
  return [...HARD_STRINGS, ...special].map((content) => ({ text: null, from: 0, content }));
}
