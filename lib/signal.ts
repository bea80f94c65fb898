/** What ends a call early. Alone in its file, so that the package's types need no others. */

/** As much of an AbortSignal as is used: any realm's will do, and the types ask for neither DOM's nor Node's. */
export interface Signal {
  readonly aborted: boolean;
  /** Becomes the error's cause. */
  readonly reason: unknown;
  addEventListener(type: 'abort', listener: () => void, options?: { readonly once?: boolean }): void;
}
