// Owns the banner of a room that is not connected: why, and what the reader can do.

import { speech } from "../texts/language.js";
import { showText } from "./elements.js";
import { textOfStatus } from "./request_texts.js";

// Shows the state of a membership. `detail` has the reason of S4's code, and for a refused rejoin its status.
export function showBanner(room, state, detail) {
  const banner = room.querySelector(".banner");
  const isEnded = state === "ended";
  banner.hidden = state === "open";
  banner.dataset.state = state;
  showText(banner.querySelector("p"), textOfState(state, detail));
  const again = banner.querySelector(".rejoin-room");
  again.hidden = !isEnded || detail.reason === "removed";
  again.textContent = speech.t(detail.reason === "closed" ? "createAgain" : "joinAgain");
  banner.querySelector(".close-room").hidden = !isEnded;
}

function textOfState(state, { reason, status, room }) {
  if (state === "open") {
    return "";
  }
  const word = (reason || (state === "ended" ? "left" : "connection")).replace(/^./, (letter) => letter.toUpperCase());
  const why = reason === "refused" ? textOfStatus(status, { room }) : "";
  return speech.t(`${state === "ended" ? "ended" : "reconnect"}${word}`, { why });
}
