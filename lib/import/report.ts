import type { ImportPlan } from './import-model';

/** Where one key of a source went. */
export interface KeyFate {
  readonly source: string;
  readonly key: string;
  readonly fate: 'adapter' | 'head' | 'base' | 'ignored';
  /** Name in the file written, or the reason why it was ignored. */
  readonly detail: string;
  readonly shape: readonly number[];
  readonly dtype: string;
}

export interface ImportReport {
  readonly out: string;
  readonly written: boolean;
  readonly architecture: string;
  readonly base: {
    readonly source: string;
    readonly plan: string;
    readonly bytes: number;
    readonly layers: number;
    readonly hidden: number;
    readonly vocabulary: number;
  };
  readonly adapters: readonly { readonly source: string; readonly weight: number; readonly pairs: number }[];
  /** What is written: one adapter, or none where it was merged. */
  readonly lora: {
    readonly file: string | null;
    readonly pairs: number;
    readonly parameters: number;
    readonly ranks: readonly number[];
    readonly scales: readonly number[];
    readonly layers: readonly number[];
    readonly modules: readonly string[];
  };
  readonly head: {
    readonly shape: readonly [labels: number, hidden: number];
    readonly bias: boolean;
    readonly labels: readonly string[];
  };
  readonly tokenizer: {
    readonly source: string;
    readonly tokens: number;
    readonly bos: number | null;
    readonly eos: number | null;
    /** 'agrees', 'not compared', or how the base's own tokenizer differs from tokenizer.json. */
    readonly native: string;
  };
  readonly notes: readonly string[];
  readonly keys: readonly KeyFate[];
}

export function reportOf(plan: ImportPlan, native: string): ImportReport {
  const { options, base, pairs, head } = plan;
  return {
    out: options.out,
    written: !options.dryRun,
    architecture: base.shape.architecture,
    base: {
      source: base.path,
      plan: base.plan,
      bytes: base.outputBytes,
      layers: base.shape.layers,
      hidden: base.shape.hidden,
      vocabulary: base.shape.vocabulary,
    },
    adapters: plan.adapters.map(({ source, weight, value }) => ({ source, weight, pairs: value.pairs.length })),
    lora: {
      file: hasAdapter(plan) ? 'adapter.gguf' : null,
      pairs: pairs.length,
      parameters: pairs.reduce((sum, pair) => sum + pair.a.length + pair.b.length, 0),
      ranks: distinct(pairs.map(({ rank }) => rank)),
      scales: distinct(pairs.map(({ scale }) => scale)),
      layers: distinct(pairs.map(({ layer }) => layer)),
      modules: distinct(pairs.map(({ linear }) => linear)),
    },
    head: { shape: [head.labels, base.shape.hidden], bias: head.bias !== null, labels: plan.labels },
    tokenizer: {
      source: plan.tokenizer.folder,
      tokens: plan.tokenizer.tokens.length,
      bos: plan.tokenizer.bos,
      eos: plan.tokenizer.eos,
      native,
    },
    notes: plan.notes,
    keys: [...baseFates(plan), ...plan.adapters.flatMap(({ value }) => value.fates)],
  };
}

/** Whether an adapter file is written: not where it is merged into the base, nor where there is none. */
export function hasAdapter(plan: Pick<ImportPlan, 'options' | 'pairs'>): boolean {
  return !plan.options.merge && plan.pairs.length > 0;
}

/** A head in the base folder gives way to the adapters'. */
function baseFates({ base, adapters }: ImportPlan): readonly KeyFate[] {
  if (adapters.every(({ value }) => value.head === null)) return base.fates;
  return base.fates.map((fate) =>
    fate.fate === 'head' ? { ...fate, fate: 'ignored', detail: 'the adapter has a head of its own' } : fate,
  );
}

function distinct<T>(values: readonly T[]): readonly T[] {
  return [...new Set(values)];
}
