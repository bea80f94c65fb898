#include "kernels/weight.h"

#include <vector>

namespace pairscore {
namespace {

void dequantize_row(Quant quant, const uint8_t * row, int64_t columns, float * out) {
  visit_quant(quant, [&](auto tag) {
    for (int64_t c = 0; c < columns; c += 8) {
      float values[8];
      dequantize8<decltype(tag)::value>(row, c, values);
      for (int i = 0; i < 8; i++) out[c + i] = values[i];
    }
  });
}

}  // namespace

void expand_weight_reference(const ExpandArgs & args, float * target) {
  const uint8_t * source = static_cast<const uint8_t *>(args.source);
  const int64_t width = placed_count(args.columns, args.column_heads);
  std::vector<float> row(static_cast<size_t>(args.columns));
  for (int64_t r = 0; r < args.rows; r++) {
    dequantize_row(args.quant, source + r * quant_row_bytes(args.quant, args.columns), args.columns, row.data());
    for (int64_t c = 0; c < args.columns; c++) {
      double sum = 0;
      for (int k = 0; args.lora_a && k < args.rank; k++)
        sum += static_cast<double>(args.lora_b[r * args.rank + k]) * args.lora_a[k * args.columns + c];
      target[placed(r, args.row_heads) * width + placed(c, args.column_heads)] =
          static_cast<float>(row[static_cast<size_t>(c)] + args.scale * sum);
    }
  }
}

void embed_reference(const EmbedArgs & args) {
  const uint8_t * table = static_cast<const uint8_t *>(args.table);
  for (int64_t i = 0; i < args.count; i++) {
    float * row = args.out + i * args.columns;
    dequantize_row(args.quant, table + args.tokens[i] * quant_row_bytes(args.quant, args.columns), args.columns, row);
    for (int64_t c = 0; c < args.columns; c++) row[c] *= args.scale;
  }
}

}  // namespace pairscore
