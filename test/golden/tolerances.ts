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
   * Logits of full-size synthetic models, relative to all of them, against libllama in f32: a quarter of what transformers in
   * bf16 is off there, 3.2e-2 and 1.4e-1 (test/gpu/full_size.py; our bf16 1.8e-3 and 1.9e-2, our f16 4e-4 and 3e-3).
   */
  fullSize: { gemma2: 8e-3, llama: 3.5e-2 },
} as const;
