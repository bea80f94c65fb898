declare module 'node-gyp-build' {
  interface Load {
    (root: string): unknown;
    /** The path of the binary that load would take. */
    path(root: string): string;
  }
  const load: Load;
  export = load;
}
