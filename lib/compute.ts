/** How a GPU computes, in the words of options, flags and the addon alike. */

/** What a GPU multiplies in, or 'ggml': libllama's engine on any device. */
export type Compute = 'auto' | 'bf16' | 'f16' | 'fp8' | 'ggml';

/** 16-bit copies ('resident') or quantised weights, expanded a layer at a time ('streamed'). */
export type WeightStorage = 'auto' | 'resident' | 'streamed';
