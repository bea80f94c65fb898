#include "engine/head.h"

#include <cmath>

#include "error.h"

namespace pairscore {
namespace {

std::vector<float> read_finite(const GgufFile & file, const TensorInfo & tensor) {
  if (tensor.type != GGML_TYPE_F32) {
    throw Error(Code::model_mismatch, "Expected " + tensor.name + " of " + file.path() + " in f32 but received " +
                                          ggml_type_name(tensor.type));
  }
  std::vector<float> values = file.read_f32(tensor);
  for (float value : values) {
    if (!std::isfinite(value)) {
      throw Error(Code::model_values, "Expected finite values in " + tensor.name + " of " + file.path() +
                                          " but received " + std::to_string(value));
    }
  }
  return values;
}

}  // namespace

Head::Head(const std::string & path, const GgufFile & base) {
  const GgufFile file(path);
  const std::string architecture = base.text("general.architecture").value_or("");
  const uint32_t hidden = base.u32(architecture + ".embedding_length").value_or(0);
  const std::string for_architecture = file.text("pairscore.head.architecture").value_or("nothing");
  const uint32_t for_hidden = file.u32("pairscore.head.hidden_size").value_or(0);
  if (for_architecture != architecture || for_hidden != hidden) {
    throw Error(Code::model_mismatch, "Expected the head " + path + " for architecture " + architecture +
                                          " with hidden size " + std::to_string(hidden) + " but it was made for " +
                                          for_architecture + " with " + std::to_string(for_hidden));
  }

  const TensorInfo * weight = file.find("score.weight");
  if (!weight) throw Error(Code::model_mismatch, "Expected tensor score.weight in " + path + " but it is not there");
  if (weight->ne[0] != hidden || weight->ne[1] < 2 || weight->ne[1] > 1024 || weight->ne[2] != 1 ||
      weight->ne[3] != 1) {
    throw Error(Code::model_mismatch, "Expected score.weight of " + path + " with shape [" + std::to_string(hidden) +
                                          ", labels] but received " + shape_text(*weight));
  }
  hidden_ = static_cast<int32_t>(hidden);
  labels_ = static_cast<int32_t>(weight->ne[1]);
  weight_ = read_finite(file, *weight);

  bias_.assign(static_cast<size_t>(labels_), 0.0f);
  if (const TensorInfo * bias = file.find("score.bias")) {
    if (bias->elements() != labels_) {
      throw Error(Code::model_mismatch, "Expected score.bias of " + path + " with shape [" + std::to_string(labels_) +
                                            "] but received " + shape_text(*bias));
    }
    bias_ = read_finite(file, *bias);
  }

  names_ = file.texts("pairscore.head.labels").value_or(std::vector<std::string>{});
  if (!names_.empty() && names_.size() != static_cast<size_t>(labels_)) {
    throw Error(Code::model_mismatch, "Expected " + std::to_string(labels_) + " label names in " + path +
                                          " but received " + std::to_string(names_.size()));
  }
}

void Head::apply(const float * hidden, float * logits) const {
  for (int32_t label = 0; label < labels_; label++) {
    const float * row = weight_.data() + static_cast<size_t>(label) * static_cast<size_t>(hidden_);
    double sum = bias_[static_cast<size_t>(label)];
    for (int32_t i = 0; i < hidden_; i++) sum += static_cast<double>(row[i]) * hidden[i];
    logits[label] = static_cast<float>(sum);
  }
}

}  // namespace pairscore
