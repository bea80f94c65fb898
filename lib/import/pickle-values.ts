/** What a pickle of tensors may hold. Nothing here has behaviour: reading a pickle runs nothing. */

export class PickleMark {
  readonly kind = 'mark';
}

export class PickleTuple {
  readonly kind = 'tuple';
  constructor(readonly items: readonly PickleValue[]) {}
}

export class PickleList {
  readonly kind = 'list';
  readonly items: PickleValue[] = [];
}

export class PickleDict {
  readonly kind = 'dict';
  readonly entries = new Map<PickleValue, PickleValue>();
}

/** A name on the allow-list. */
export class PickleGlobal {
  readonly kind = 'global';
  constructor(readonly name: string) {}
}

export class PickleStorage {
  readonly kind = 'storage';
  constructor(
    readonly type: string,
    readonly key: string,
    readonly elements: number,
  ) {}
}

export class PickleTensor {
  readonly kind = 'tensor';
  constructor(
    readonly storage: PickleStorage,
    readonly offset: number,
    readonly shape: readonly number[],
    readonly strides: readonly number[],
  ) {}
}

export type PickleValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | PickleMark
  | PickleTuple
  | PickleList
  | PickleDict
  | PickleGlobal
  | PickleStorage
  | PickleTensor;
