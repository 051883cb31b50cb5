// Owns the making of a QR code: from a text to a square of modules, and to the path of an SVG.

import { encodeQrText } from "./codewords.js";
import { QR_MASK_COUNT, applyMask, penaltyOf } from "./masks.js";
import { QrGrid, drawFormat, drawPatterns } from "./patterns.js";

// Returns the grid of a text, or null if it has more than 213 bytes.
export function makeQrCode(text) {
  const encoded = encodeQrText(text);
  if (encoded === null) {
    return null;
  }
  const grid = new QrGrid(encoded.version);
  drawPatterns(grid);
  placeBits(grid, encoded.codewords);
  const penalties = Array.from({ length: QR_MASK_COUNT }, (_, mask) => tryMask(grid, mask));
  const best = penalties.indexOf(Math.min(...penalties));
  applyMask(grid, best);
  drawFormat(grid, best);
  return grid;
}

function tryMask(grid, mask) {
  applyMask(grid, mask);
  drawFormat(grid, mask);
  const penalty = penaltyOf(grid);
  applyMask(grid, mask);
  return penalty;
}

// Fills the free modules in columns of two, from the lower right corner, upwards and downwards in turn.
function placeBits(grid, codewords) {
  let bit = 0;
  let isUpward = true;
  for (let right = grid.size - 1; right > 0; right -= 2) {
    // Column 6 is a timing pattern.
    right = right === 6 ? 5 : right;
    for (let step = 0; step < grid.size; step += 1) {
      const y = isUpward ? grid.size - 1 - step : step;
      for (const x of [right, right - 1]) {
        const at = y * grid.size + x;
        if (!grid.isFixed[at]) {
          grid.dark[at] = (codewords[bit >> 3] >> (7 - (bit & 7))) & 1;
          bit += 1;
        }
      }
    }
    isUpward = !isUpward;
  }
}

// Returns the path of the dark modules, in units of a module.
export function qrPath(grid) {
  const squares = [];
  for (let y = 0; y < grid.size; y += 1) {
    for (let x = 0; x < grid.size; x += 1) {
      if (grid.get(x, y)) {
        squares.push(`M${x} ${y}h1v1h-1z`);
      }
    }
  }
  return squares.join("");
}
