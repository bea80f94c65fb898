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
   * Logits of full-size synthetic models, relative to all of them, against libllama in f32: twice what our bf16 and f16 together
   * are off transformers in f32 there (test/gpu/full_size.py), a quarter to a seventh of what transformers in bf16 is off.
   */
  fullSize: { gemma2: 8e-3, llama: 1.8e-2 },
} as const;
