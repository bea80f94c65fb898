// What an engine chooses when it opens: its device, types, paths and limits, by what was asked for and what the device has.
#pragma once

#include <string>

#include "engine/cuda/cuda_engine.h"
#include "engine/cuda/device.h"
#include "engine/cuda/packing.h"
#include "engine/cuda/shape.h"
#include "engine/cuda/weights.h"

namespace pairscore {

// Of "cuda:N". Throws Error{device_unknown}.
int parse_device(const std::string & name);

cudaDeviceProp properties_of(int device);

// Throws Error{usage} where the device lacks what was asked for.
Element choose_compute(const CudaOptions & options, const cudaDeviceProp & device);

// What takes the rows whose activations, or the model whose weights, compute has no range for; compute itself where nothing
// is safer.
Element choose_safer(const CudaOptions & options, const cudaDeviceProp & device, Element compute);

bool suits_f16(const WeightRange & range);

AttentionPath choose_attention(const CudaOptions & options, const cudaDeviceProp & device, const ModelShape & shape);
BatchLimits choose_limits(const EngineSpec & spec, const cudaDeviceProp & device);

// Batches of a call that share one expansion of streamed weights.
size_t choose_group(const EngineSpec & spec, const BatchLimits & limits);

const char * compute_name(Element element);

}  // namespace pairscore
