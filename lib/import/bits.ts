/** Roundings to 16-bit floats, to the nearest and ties to even, as bit patterns. */

const floats = new Float32Array(1);
const words = new Uint32Array(floats.buffer);

export function brainBits(value: number): number {
  floats[0] = value;
  const word = words[0] ?? 0;
  if ((word & 0x7fffffff) > 0x7f800000) return (word >>> 16) | 0x40;
  return ((word + 0x7fff + ((word >>> 16) & 1)) >>> 16) & 0xffff;
}

export function halfBits(value: number): number {
  floats[0] = value;
  const word = words[0] ?? 0;
  const sign = (word >>> 16) & 0x8000;
  const magnitude = Math.abs(floats[0]);
  if (Number.isNaN(magnitude)) return sign | 0x7e00;
  if (magnitude >= 65520) return sign | 0x7c00;
  if (magnitude < 2 ** -14) return sign | roundEven(magnitude * 2 ** 24);
  const exponent = ((word >>> 23) & 0xff) - 127;
  const fraction = roundEven((magnitude / 2 ** exponent - 1) * 1024);
  return sign | (((exponent + 15) << 10) + fraction);
}

function roundEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest > 0.5 || (rest === 0.5 && floor % 2 === 1)) return floor + 1;
  return floor;
}
