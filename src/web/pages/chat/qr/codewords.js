// Owns the bytes of a QR code: a text in byte mode, versions 1 to 10, correction level M (ISO/IEC 18004, 7.4 to 7.6).

import { correctionOf } from "./correction.js";

// For each version: all bytes, the correction bytes of a block, and the blocks (table 9 of the standard).
const VERSIONS = [
  [26, 10, 1],
  [44, 16, 1],
  [70, 26, 1],
  [100, 18, 2],
  [134, 24, 2],
  [172, 16, 4],
  [196, 18, 4],
  [242, 22, 4],
  [292, 22, 5],
  [346, 26, 5],
];

// Returns {version, codewords}, or null if the text has more than 213 bytes.
export function encodeQrText(text) {
  const bytes = new TextEncoder().encode(text);
  // The header has 4 bits for the mode, and 8 for the size, from version 10 on 16.
  const headerBits = (version) => (version < 10 ? 12 : 20);
  const fits = ([all, correction, blocks], index) => {
    return headerBits(index + 1) + bytes.length * 8 <= (all - correction * blocks) * 8;
  };
  const version = VERSIONS.findIndex(fits) + 1;
  if (version === 0) {
    return null;
  }
  const [all, correction, blocks] = VERSIONS[version - 1];
  const data = fillData(bytes, headerBits(version), all - correction * blocks);
  return { version, codewords: interleave(data, correction, blocks) };
}

// Writes mode, size, bytes and padding.
function fillData(bytes, headerBits, size) {
  const bits = [];
  const write = (value, count) => {
    for (let bit = count - 1; bit >= 0; bit -= 1) {
      bits.push((value >> bit) & 1);
    }
  };
  write(4, 4);
  write(bytes.length, headerBits - 4);
  bytes.forEach((byte) => write(byte, 8));
  write(0, Math.min(4, size * 8 - bits.length));
  write(0, (8 - (bits.length % 8)) % 8);
  for (let pad = 0xec; bits.length < size * 8; pad ^= 0xec ^ 0x11) {
    write(pad, 8);
  }
  return Uint8Array.from({ length: size }, (_, at) => parseInt(bits.slice(at * 8, at * 8 + 8).join(""), 2));
}

// Cuts the data into blocks, and takes a byte of each in turn, first of the data, then of the corrections.
function interleave(data, correction, count) {
  const short = Math.floor(data.length / count);
  const longer = data.length % count;
  const blocks = [];
  for (let at = 0; at < data.length; ) {
    const size = blocks.length < count - longer ? short : short + 1;
    blocks.push(data.subarray(at, at + size));
    at += size;
  }
  const corrections = blocks.map((block) => correctionOf(block, correction));
  const column = (rows, at) => rows.filter((row) => at < row.length).map((row) => row[at]);
  const columns = (rows, size) => Array.from({ length: size }, (_, at) => column(rows, at)).flat();
  return [...columns(blocks, short + 1), ...columns(corrections, correction)];
}
