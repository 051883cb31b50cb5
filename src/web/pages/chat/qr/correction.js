// Owns the error correction of QR codes: Reed-Solomon codes over GF(256) (ISO/IEC 18004, 7.5).

// The field's polynomial is x^8 + x^4 + x^3 + x^2 + 1.
function multiplyInField(a, b) {
  let product = 0;
  for (let bit = 7; bit >= 0; bit -= 1) {
    product = (product << 1) ^ ((product >> 7) * 0x11d);
    product ^= ((b >> bit) & 1) * a;
  }
  return product;
}

// Returns the generator polynomial of a degree, without its leading 1.
function makeGenerator(degree) {
  const generator = new Uint8Array(degree);
  generator[degree - 1] = 1;
  let root = 1;
  for (let step = 0; step < degree; step += 1) {
    for (let at = 0; at < degree; at += 1) {
      generator[at] = multiplyInField(generator[at], root) ^ (generator[at + 1] ?? 0);
    }
    root = multiplyInField(root, 2);
  }
  return generator;
}

// Returns the `count` correction bytes of a block.
export function correctionOf(block, count) {
  const generator = makeGenerator(count);
  const rest = new Uint8Array(count);
  for (const byte of block) {
    const factor = byte ^ rest[0];
    rest.copyWithin(0, 1);
    rest[count - 1] = 0;
    generator.forEach((coefficient, at) => (rest[at] ^= multiplyInField(coefficient, factor)));
  }
  return rest;
}
