/** What "equal to transformers" means: the largest |Δp| that a right engine may show. README.md says why. */

export const TOLERANCES = {
  /** The same F32 weights, F32 keys and values. */
  llama: 1e-5,
  /** ggml's gelu on the CPU is a table of 16-bit floats. */
  gemma2: 2e-3,
  /** ggml's quantised products round activations to 8 bits too. */
  quantised: { largest: 0.03, mean: 0.005 },
} as const;
