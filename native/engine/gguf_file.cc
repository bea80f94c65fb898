#include "engine/gguf_file.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include "engine/log.h"
#include "error.h"

namespace pairscore {
namespace {

uint64_t regular_file_size(const std::string & path) {
  struct stat status;
  if (stat(path.c_str(), &status) != 0) {
    throw Error(Code::model_file,
                "Expected a readable GGUF file at " + path + " but received: " + std::strerror(errno));
  }
  if (!S_ISREG(status.st_mode)) {
    throw Error(Code::model_file, "Expected a regular file at " + path);
  }
  return static_cast<uint64_t>(status.st_size);
}

}  // namespace

std::string shape_text(const TensorInfo & tensor) {
  int dims = 4;
  while (dims > 1 && tensor.ne[dims - 1] == 1) dims--;
  std::string text = "[";
  for (int i = 0; i < dims; i++) text += (i ? ", " : "") + std::to_string(tensor.ne[i]);
  return text + "]";
}

GgufFile::GgufFile(const std::string & path) : path_(path), bytes_(regular_file_size(path)) {
  LogCapture log;
  gguf_.reset(gguf_init_from_file(path.c_str(), {/*no_alloc=*/true, /*ctx=*/nullptr}));
  if (!gguf_) {
    throw Error(Code::model_file, "Expected a GGUF file at " + path + " but it cannot be read as one" + log.reason());
  }
  read_tensors();
}

void GgufFile::read_tensors() {
  const uint64_t data = gguf_get_data_offset(gguf_.get());
  const int64_t count = gguf_get_n_tensors(gguf_.get());
  tensors_.reserve(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; i++) {
    TensorInfo tensor;
    tensor.name = gguf_get_tensor_name(gguf_.get(), i);
    tensor.type = gguf_get_tensor_type(gguf_.get(), i);
    std::memcpy(tensor.ne, gguf_get_tensor_ne(gguf_.get(), i), sizeof tensor.ne);
    tensor.offset = data + gguf_get_tensor_offset(gguf_.get(), i);
    tensor.bytes = gguf_get_tensor_size(gguf_.get(), i);
    if (tensor.offset > bytes_ || tensor.bytes > bytes_ - tensor.offset) {
      throw Error(Code::model_file, "Expected " + path_ + " to hold tensor " + tensor.name + " up to byte " +
                                        std::to_string(tensor.offset + tensor.bytes) + " but the file ends at byte " +
                                        std::to_string(bytes_) + ": it is truncated");
    }
    tensors_.push_back(std::move(tensor));
  }
}

int64_t GgufFile::find_key(const std::string & key, gguf_type type) const {
  const int64_t id = gguf_find_key(gguf_.get(), key.c_str());
  if (id < 0) return id;
  const gguf_type found = gguf_get_kv_type(gguf_.get(), id);
  if (found != type) {
    throw Error(Code::model_file, "Expected key " + key + " in " + path_ + " to be of type " + gguf_type_name(type) +
                                      " but received " + gguf_type_name(found));
  }
  return id;
}

std::optional<std::string> GgufFile::text(const std::string & key) const {
  const int64_t id = find_key(key, GGUF_TYPE_STRING);
  if (id < 0) return std::nullopt;
  return gguf_get_val_str(gguf_.get(), id);
}

std::optional<uint32_t> GgufFile::u32(const std::string & key) const {
  const int64_t id = find_key(key, GGUF_TYPE_UINT32);
  if (id < 0) return std::nullopt;
  return gguf_get_val_u32(gguf_.get(), id);
}

std::optional<float> GgufFile::f32(const std::string & key) const {
  const int64_t id = find_key(key, GGUF_TYPE_FLOAT32);
  if (id < 0) return std::nullopt;
  return gguf_get_val_f32(gguf_.get(), id);
}

std::optional<std::vector<std::string>> GgufFile::texts(const std::string & key) const {
  if (!has(key)) return std::nullopt;
  const size_t count = array_length(key, GGUF_TYPE_STRING);
  const int64_t id = gguf_find_key(gguf_.get(), key.c_str());
  std::vector<std::string> values;
  values.reserve(count);
  for (size_t i = 0; i < count; i++) values.emplace_back(gguf_get_arr_str(gguf_.get(), id, i));
  return values;
}

bool GgufFile::has(const std::string & key) const { return gguf_find_key(gguf_.get(), key.c_str()) >= 0; }

size_t GgufFile::array_length(const std::string & key, gguf_type element) const {
  const int64_t id = find_key(key, GGUF_TYPE_ARRAY);
  if (id < 0) throw Error(Code::model_file, "Expected key " + key + " in " + path_ + " but it is missing");
  const gguf_type found = gguf_get_arr_type(gguf_.get(), id);
  if (found != element) {
    throw Error(Code::model_file, "Expected key " + key + " in " + path_ + " to be an array of " +
                                      gguf_type_name(element) + " but received an array of " + gguf_type_name(found));
  }
  return gguf_get_arr_n(gguf_.get(), id);
}

const TensorInfo * GgufFile::find(const std::string & name) const {
  const int64_t id = gguf_find_tensor(gguf_.get(), name.c_str());
  return id < 0 ? nullptr : &tensors_[static_cast<size_t>(id)];
}

std::vector<float> GgufFile::read_f32(const TensorInfo & tensor) const {
  std::vector<char> raw(tensor.bytes);
  std::ifstream file(path_, std::ios::binary);
  file.seekg(static_cast<std::streamoff>(tensor.offset));
  file.read(raw.data(), static_cast<std::streamsize>(raw.size()));
  if (!file)
    throw Error(Code::model_file, "Expected to read tensor " + tensor.name + " of " + path_ + " but the read failed");

  std::vector<float> values(static_cast<size_t>(tensor.elements()));
  if (tensor.type == GGML_TYPE_F32) {
    std::memcpy(values.data(), raw.data(), raw.size());
    return values;
  }
  const ggml_type_traits * traits = ggml_get_type_traits(tensor.type);
  if (!traits->to_float) {
    throw Error(Code::model_file, "Expected tensor " + tensor.name + " of " + path_ +
                                      " in a floating type but received " + ggml_type_name(tensor.type));
  }
  traits->to_float(raw.data(), values.data(), tensor.elements());
  return values;
}

}  // namespace pairscore
