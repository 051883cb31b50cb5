// Owns the invitation to a room: its address, and the address as a QR code.

import { makeQrCode, qrPath } from "../qr/qr_code.js";
import { speech } from "../texts/language.js";
import { showText } from "./elements.js";

// The light margin that a QR code needs, in modules (ISO/IEC 18004, 9.1).
const QUIET_ZONE = 4;

const LOCAL_NAMES = /^(localhost|127\.[0-9.]+|\[::1\])$/;

// Returns the address that opens a room.
function addressOfRoom(room) {
  return `${location.origin}/#${encodeURIComponent(room)}`;
}

export function startShareDialog() {
  const address = document.getElementById("share-address");
  const copy = document.getElementById("share-copy");
  address.addEventListener("focus", () => address.select());
  copy.addEventListener("click", async () => {
    // Browsers have no clipboard over plain http on a network: there the reader copies the selected text.
    address.select();
    await navigator.clipboard?.writeText(address.value);
    copy.textContent = speech.t(navigator.clipboard ? "copied" : "copy");
  });
}

export function openShareDialog(room) {
  const address = addressOfRoom(room);
  document.getElementById("share-address").value = address;
  document.getElementById("share-copy").textContent = speech.t("copy");
  const isLocal = LOCAL_NAMES.test(location.hostname);
  const isDrawn = drawCode(address);
  const warnings = [isDrawn ? "" : speech.t("shareLong"), isLocal ? speech.t("shareLocal") : ""];
  showText(document.getElementById("share-warning"), warnings.filter((text) => text !== "").join(" "));
  document.getElementById("share-dialog").showModal();
}

// Draws the code. Returns false if the text is too long for one.
function drawCode(text) {
  const svg = document.getElementById("share-code");
  const grid = makeQrCode(text);
  svg.toggleAttribute("hidden", grid === null);
  if (grid === null) {
    return false;
  }
  const side = grid.size + 2 * QUIET_ZONE;
  svg.setAttribute("viewBox", `${-QUIET_ZONE} ${-QUIET_ZONE} ${side} ${side}`);
  const [ground, modules] = svg.children;
  Object.entries({ x: -QUIET_ZONE, y: -QUIET_ZONE, width: side, height: side }).forEach(([name, value]) => ground.setAttribute(name, value));
  modules.setAttribute("d", qrPath(grid));
  return true;
}
