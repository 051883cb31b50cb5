// Owns the fixed patterns of a QR code: finders, timing, alignment, format and version (ISO/IEC 18004, 6.3, 7.9, 7.10).

// The centres of the alignment patterns of versions 2 to 10 (annex E), beside 6 and the last one.
const CENTRES = [[], [18], [22], [26], [30], [34], [22, 38], [24, 42], [26, 46], [28, 50]];

// A square of modules. `dark` holds 0 or 1, `isFixed` is 1 where a pattern stands.
export class QrGrid {
  constructor(version) {
    this.version = version;
    this.size = 17 + 4 * version;
    this.dark = new Uint8Array(this.size ** 2);
    this.isFixed = new Uint8Array(this.size ** 2);
  }

  get(x, y) {
    return this.dark[y * this.size + x];
  }

  fix(x, y, isDark) {
    if (x >= 0 && y >= 0 && x < this.size && y < this.size) {
      this.dark[y * this.size + x] = isDark ? 1 : 0;
      this.isFixed[y * this.size + x] = 1;
    }
  }
}

// Draws all patterns. The places of the format are reserved, and get their value with the mask.
export function drawPatterns(grid) {
  const last = grid.size - 7;
  for (let at = 0; at < grid.size; at += 1) {
    grid.fix(6, at, at % 2 === 0);
    grid.fix(at, 6, at % 2 === 0);
  }
  [[3, 3], [last + 3, 3], [3, last + 3]].forEach(([x, y]) => drawRings(grid, x, y, 4, [0, 1, 3]));
  const centres = grid.version === 1 ? [] : [6, ...CENTRES[grid.version - 1]];
  for (const x of centres) {
    for (const y of centres) {
      const meetsFinder = (x === 6 && y === 6) || (x === 6 && y === last) || (x === last && y === 6);
      if (!meetsFinder) {
        drawRings(grid, x, y, 2, [0, 2]);
      }
    }
  }
  drawFormat(grid, 0);
  drawVersion(grid);
}

// Draws a square around a centre. `rings` holds the distances that are dark.
function drawRings(grid, centreX, centreY, radius, rings) {
  for (let y = -radius; y <= radius; y += 1) {
    for (let x = -radius; x <= radius; x += 1) {
      grid.fix(centreX + x, centreY + y, rings.includes(Math.max(Math.abs(x), Math.abs(y))));
    }
  }
}

// Draws both copies of the format: level M, whose number is 0, and the mask.
export function drawFormat(grid, mask) {
  const bits = ((mask << 10) | remainderOf(mask, 10, 0x537)) ^ 0x5412;
  const { size } = grid;
  for (let bit = 0; bit < 15; bit += 1) {
    const isDark = (bits >> bit) & 1;
    // The copy around the upper left finder leaves out the timing patterns in row 6 and column 6.
    const down = bit < 6 ? bit : bit + 1;
    const along = bit < 9 ? 15 - bit : 14 - bit;
    grid.fix(...(bit < 8 ? [8, down] : [bit === 8 ? 7 : along, 8]), isDark);
    grid.fix(...(bit < 8 ? [size - 1 - bit, 8] : [8, size - 15 + bit]), isDark);
  }
  grid.fix(8, size - 8, 1);
}

// Draws both copies of the version, which codes from version 7 on have.
function drawVersion(grid) {
  if (grid.version < 7) {
    return;
  }
  const bits = (grid.version << 12) | remainderOf(grid.version, 12, 0x1f25);
  for (let bit = 0; bit < 18; bit += 1) {
    const [far, near] = [grid.size - 11 + (bit % 3), Math.floor(bit / 3)];
    grid.fix(far, near, (bits >> bit) & 1);
    grid.fix(near, far, (bits >> bit) & 1);
  }
}

// Returns the remainder of a BCH code.
function remainderOf(value, degree, generator) {
  let rest = value;
  for (let step = 0; step < degree; step += 1) {
    rest = (rest << 1) ^ ((rest >> (degree - 1)) * generator);
  }
  return rest;
}
