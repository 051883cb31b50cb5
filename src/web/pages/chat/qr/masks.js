// Owns the masks of a QR code, and the choice among them (ISO/IEC 18004, 7.8).

const QR_MASKS = [
  (x, y) => (x + y) % 2,
  (x, y) => y % 2,
  (x) => x % 3,
  (x, y) => (x + y) % 3,
  (x, y) => (Math.floor(x / 3) + Math.floor(y / 2)) % 2,
  (x, y) => ((x * y) % 2) + ((x * y) % 3),
  (x, y) => (((x * y) % 2) + ((x * y) % 3)) % 2,
  (x, y) => (((x + y) % 2) + ((x * y) % 3)) % 2,
];

export const QR_MASK_COUNT = QR_MASKS.length;

// Inverts the modules of a mask. A second call takes it back.
export function applyMask(grid, mask) {
  for (let y = 0; y < grid.size; y += 1) {
    for (let x = 0; x < grid.size; x += 1) {
      const at = y * grid.size + x;
      if (!grid.isFixed[at] && QR_MASKS[mask](x, y) === 0) {
        grid.dark[at] ^= 1;
      }
    }
  }
}

// Returns the penalty of a grid: runs, squares, false finders, and a share of dark modules far from half.
export function penaltyOf(grid) {
  const { size } = grid;
  const line = (read) => Array.from({ length: size }, (_, at) => read(at)).join("");
  let penalty = 0;
  for (let at = 0; at < size; at += 1) {
    penalty += linePenalty(line((x) => grid.get(x, at))) + linePenalty(line((y) => grid.get(at, y)));
  }
  for (let y = 1; y < size; y += 1) {
    for (let x = 1; x < size; x += 1) {
      const sum = grid.get(x, y) + grid.get(x - 1, y) + grid.get(x, y - 1) + grid.get(x - 1, y - 1);
      penalty += sum === 0 || sum === 4 ? 3 : 0;
    }
  }
  const dark = grid.dark.reduce((sum, module) => sum + module, 0);
  return penalty + 10 * Math.floor((Math.abs(dark * 2 - size * size) * 10) / (size * size));
}

function linePenalty(line) {
  const runs = (line.match(/0{5,}|1{5,}/g) ?? []).reduce((sum, run) => sum + run.length - 2, 0);
  const finders = line.match(/(?=00001011101|10111010000)/g) ?? [];
  return runs + finders.length * 40;
}
