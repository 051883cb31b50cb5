// Owns the line at the bottom: how messages travel, the round trip, and what was repaired.

import { formatRoundTrip } from "../text/clock.js";
import { speech } from "../texts/language.js";
import { showText } from "./elements.js";

// Shows the figures of a membership in a room.
export function showStatus(room, membership) {
  const { state, path, rtt, repairs, gone } = membership;
  const line = room.querySelector(".status-line");
  const isOpen = state === "open";
  line.dataset.state = state;
  line.dataset.path = path;
  showText(line.querySelector(".status-path"), speech.t(isOpen ? pathText(path) : "pathNone"));
  const time = isOpen && rtt !== null ? speech.t("roundTrip", { time: formatRoundTrip(rtt, speech.language) }) : "";
  showText(line.querySelector(".status-rtt"), time);
  const counts = [speech.t("repairs", { count: repairs }), gone > 0 ? speech.t("lost", { count: gone }) : ""];
  showText(line.querySelector(".status-repairs"), counts.filter((text) => text !== "").join(" · "));
}

// Over plain http on a network, a browser has no WebTransport: it exists in secure contexts only.
function pathText(path) {
  if (path === "webtransport") {
    return "pathWebtransport";
  }
  if (!globalThis.isSecureContext) {
    return "pathInsecure";
  }
  return "WebTransport" in globalThis ? "pathWebsocket" : "pathUnsupported";
}
