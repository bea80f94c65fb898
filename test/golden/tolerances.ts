/** What "equal to transformers" means: the largest |Δp| that a right engine may show. README.md says why. */

export const TOLERANCES = {
  /** The same F32 weights, F32 keys and values. */
  llama: 1e-5,
  /** ggml's gelu on the CPU is a table of 16-bit floats. */
  gemma2: 2e-3,
  /** ggml's quantised products round activations to 8 bits too. */
  quantised: { largest: 0.03, mean: 0.005 },
  /** 16-bit products on a GPU, of the same weights. */
  sixteenBit: 5e-3,
  /**
   * Full-size synthetic models against libllama in f32: of all logits, relative to them, and the largest |Δp|. At most twice
   * what an H200 gave, or what transformers itself is off in that type (test/gpu/full_size.py) where that is less.
   */
  fullSize: {
    mean: 2.5e-3, // of |Δp|, whichever the type
    f16: { gemma2: { relative: 2e-3, moved: 1.1e-3 }, llama: { relative: 3.4e-3, moved: 8.4e-4 } },
    bf16: { gemma2: { relative: 1e-2, moved: 2.4e-3 }, llama: { relative: 2.6e-2, moved: 5.4e-3 } },
  },
} as const;
