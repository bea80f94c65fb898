#include "engine/adapter.h"

#include <cmath>
#include <map>

#include "engine/stop.h"
#include "error.h"

namespace pairscore {
namespace {

bool ends_with(const std::string & text, const std::string & end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

void require_text(const GgufFile & file, const std::string & key, const std::string & expected) {
  const std::string received = file.text(key).value_or("nothing");
  if (received != expected) {
    throw Error(Code::model_mismatch, "Expected " + key + " of " + file.path() + " to be \"" + expected +
                                          "\" but received \"" + received + "\"");
  }
}

void require_floating(const GgufFile & file, const TensorInfo & tensor) {
  const bool floating = tensor.type == GGML_TYPE_F32 || tensor.type == GGML_TYPE_F16 || tensor.type == GGML_TYPE_BF16;
  if (floating) return;
  throw Error(Code::model_mismatch, "Expected tensor " + tensor.name + " of " + file.path() +
                                        " to be f32, f16 or bf16 but received " + ggml_type_name(tensor.type));
}

void require_finite(const GgufFile & file, const TensorInfo & tensor) {
  for (float value : file.read_f32(tensor)) {
    if (!std::isfinite(value)) {
      throw Error(Code::model_values, "Expected finite values in tensor " + tensor.name + " of " + file.path() +
                                          " but received " + std::to_string(value));
    }
  }
}

}  // namespace

Adapter::Adapter(const std::string & path, const GgufFile & base) : file_(path) {
  check_header(base);
  match_pairs(base);
  for (const LoraPair & pair : pairs_) {
    throw_if_stopped();
    check_pair(pair, base);
  }
}

void Adapter::check_header(const GgufFile & base) {
  require_text(file_, "general.type", "adapter");
  require_text(file_, "adapter.type", "lora");
  require_text(file_, "general.architecture", base.text("general.architecture").value_or(""));
  // An activated LoRA takes effect only after its invocation tokens, which a scored text does not hold.
  if (file_.has("adapter.alora.invocation_tokens")) {
    throw Error(Code::model_mismatch,
                "Expected a plain LoRA in " + file_.path() + " but received an activated one (aLoRA)");
  }
  const std::optional<float> alpha = file_.f32("adapter.lora.alpha");
  // llama.cpp reads a missing alpha as scale 1: the file loads and scores badly.
  if (!alpha || !std::isfinite(*alpha) || *alpha == 0) {
    throw Error(Code::model_mismatch, "Expected adapter.lora.alpha of " + file_.path() +
                                          " to be a number other than 0 but received " +
                                          (alpha ? std::to_string(*alpha) : "nothing"));
  }
  alpha_ = *alpha;
}

void Adapter::match_pairs(const GgufFile & base) {
  std::map<std::string, LoraPair> pairs;
  for (const TensorInfo & tensor : file_.tensors()) {
    const bool is_a = ends_with(tensor.name, ".lora_a");
    if (!is_a && !ends_with(tensor.name, ".lora_b")) {
      throw Error(Code::model_mismatch,
                  "Expected tensors named *.lora_a and *.lora_b in " + file_.path() + " but received " + tensor.name);
    }
    const std::string base_name = tensor.name.substr(0, tensor.name.size() - 7);
    LoraPair & pair = pairs.try_emplace(base_name, LoraPair{base_name, nullptr, nullptr, 0}).first->second;
    (is_a ? pair.a : pair.b) = &tensor;
  }
  if (pairs.empty())
    throw Error(Code::model_mismatch, "Expected LoRA tensors in " + file_.path() + " but it holds none");
  for (auto & [name, pair] : pairs) {
    if (!pair.a || !pair.b) {
      throw Error(Code::model_mismatch,
                  "Expected both lora_a and lora_b for " + name + " in " + file_.path() + " but received one");
    }
    if (!base.find(name)) {
      throw Error(Code::model_mismatch, "Expected tensor " + name + ", which " + file_.path() + " adapts, in " +
                                            base.path() + " but it is not there: the adapter belongs to another base");
    }
    pair.scale = alpha_ / static_cast<float>(pair.rank());
    pairs_.push_back(pair);
  }
}

void Adapter::check_pair(const LoraPair & pair, const GgufFile & base) const {
  const TensorInfo & weight = *base.find(pair.base_name);
  if (pair.base_name == "token_embd.weight" || weight.ne[1] == 1) {
    throw Error(Code::model_mismatch,
                "Expected LoRA on linear layers only but " + file_.path() + " adapts " + pair.base_name);
  }
  const bool fits = pair.a->ne[0] == weight.ne[0] && pair.b->ne[1] == weight.ne[1] && pair.a->ne[1] == pair.b->ne[0] &&
                    pair.a->ne[2] == 1 && pair.b->ne[2] == 1;
  if (!fits) {
    throw Error(Code::model_mismatch, "Expected LoRA shapes for " + pair.base_name + " " + shape_text(weight) +
                                          " but " + file_.path() + " has a " + shape_text(*pair.a) + " and b " +
                                          shape_text(*pair.b));
  }
  require_floating(file_, *pair.a);
  require_floating(file_, *pair.b);
  require_finite(file_, *pair.a);
  require_finite(file_, *pair.b);
}

}  // namespace pairscore
