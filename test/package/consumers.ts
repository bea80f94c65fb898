/** Small programs of users, to be compiled against the packed types under the settings that users have. */

const USE = `
  const answer: Preference = await scorePair({ prompt: 'p', responseA: ['a', null], responseB: 'b' }, { signal });
  const scorer: Scorer = await openScorer({ tta: true, compute: 'auto' });
  for await (const { winnerTie } of scorer.scorePairs([], { signal })) answer.winnerTie === winnerTie;
  const { tokens } = await scorer.scoreRecords([], { signal });
  // @ts-expect-error a reply is no number
  await scorer.scorePair({ prompt: 'p', responseA: 1, responseB: 'b' });
  // @ts-expect-error a scorer is opened, not constructed
  new Scorer();
  await scorer.close();
  return answer.winnerModelA + tokens;
`;

const IMPORT = `import { openScorer, scorePair, type Preference, type Scorer, type Signal } from 'pairscore';`;

const BARE = `${IMPORT}
export async function use(signal: Signal): Promise<number> {${USE}}
// @ts-expect-error no library here declares it: nothing of the package may
Symbol.asyncDispose;
// @ts-expect-error nor this
type Missing = AbortSignal;
`;

const WITH_ABORT_SIGNAL = `${IMPORT}
export async function use({ signal }: AbortController): Promise<number> {${USE}}
`;

const AWAIT_USING = `import { openScorer } from 'pairscore';
export async function use(): Promise<number> {
  await using scorer = await openScorer();
  const closing: PromiseLike<void> = scorer[Symbol.asyncDispose]();
  // @ts-expect-error it takes no argument and is no any
  scorer[Symbol.asyncDispose](1);
  await closing;
  return scorer.models.length;
}
`;

const NODE16 = { module: 'node16' } as const;
const BUNDLER = { module: 'esnext', moduleResolution: 'bundler' } as const;
const LIB = ['es2022'] as const;

interface Consumer {
  readonly name: string;
  readonly file: string;
  readonly text: string;
  readonly options: Readonly<Record<string, unknown>>;
}

/** `types`: @types packages; every other declaration comes from `lib`. */
export const TYPE_CONSUMERS: readonly Consumer[] = [
  { name: 'an ES module, node16, no types packages', file: 'bare.mts', text: BARE, options: { ...NODE16, lib: LIB } },
  { name: 'CommonJS, node16, no types packages', file: 'bare.cts', text: BARE, options: { ...NODE16, lib: LIB } },
  { name: 'a bundler, no types packages', file: 'bare.ts', text: BARE, options: { ...BUNDLER, lib: LIB } },
  {
    name: "a browser's AbortSignal",
    file: 'dom.ts',
    text: WITH_ABORT_SIGNAL,
    options: { ...BUNDLER, lib: [...LIB, 'dom'] },
  },
  {
    name: "Node's AbortSignal",
    file: 'node.mts',
    text: WITH_ABORT_SIGNAL,
    options: { ...NODE16, lib: LIB, types: ['node'] },
  },
  {
    name: 'await using, by lib esnext.disposable',
    file: 'using.mts',
    text: AWAIT_USING,
    options: { ...NODE16, lib: [...LIB, 'esnext.disposable'] },
  },
  {
    name: 'await using in CommonJS, by lib esnext',
    file: 'using.cts',
    text: AWAIT_USING,
    options: { ...NODE16, lib: ['esnext'] },
  },
  {
    name: "await using, by Node's types",
    file: 'using-node.mts',
    text: AWAIT_USING,
    options: { ...NODE16, lib: LIB, types: ['node'] },
  },
];
