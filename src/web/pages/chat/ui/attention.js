// Owns what draws the reader's attention to the page: its title, its icon, and notifications.

import { readSetting, writeSetting } from "../../common/settings.js";
import { speech } from "../texts/language.js";

// Each change of the title goes through the browser's own process, so a fast room changes it a few times a second.
const TITLE_PAUSE = 250;

const MOST_NOTIFIED_CHARACTERS = 200;

let titleTimer = null;
let wantedTitle = "";
let wantedIcon = "";

// Shows the unread messages of all rooms in title and icon. `room` is the open room's name, or "".
export function showAttention(room, unread, mentions) {
  const count = mentions > 0 ? `(@${mentions}) ` : unread > 0 ? `(${unread}) ` : "";
  wantedTitle = `${count}${room === "" ? "" : `${room} – `}reactor-chat`;
  wantedIcon = pageIcon(mentions > 0 ? "#d33" : unread > 0 ? "#e8a020" : "");
  if (titleTimer === null) {
    writeTitle();
    titleTimer = setTimeout(() => {
      titleTimer = null;
      writeTitle();
    }, TITLE_PAUSE);
  }
}

function writeTitle() {
  if (document.title !== wantedTitle) {
    document.title = wantedTitle;
  }
  const icon = document.getElementById("page-icon");
  if (icon.getAttribute("href") !== wantedIcon) {
    icon.setAttribute("href", wantedIcon);
  }
}

function pageIcon(dot) {
  const circle = dot === "" ? "" : `<circle cx='24' cy='8' r='8' fill='${dot}'/>`;
  const bubble = "<path d='M3 5h26v18H14l-7 6v-6H3z' fill='#0a7d7d'/>";
  const svg = `<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32'>${bubble}${circle}</svg>`;
  return `data:image/svg+xml,${encodeURIComponent(svg)}`;
}

export function canNotify() {
  return globalThis.isSecureContext && "Notification" in globalThis;
}

export function wantsNotifications() {
  return canNotify() && Notification.permission === "granted" && readSetting("notify") === "yes";
}

// Asks the browser for permission if the reader wants notifications. Returns true if they appear from now on.
export async function chooseNotifications(isWanted) {
  const isGranted = isWanted && canNotify() && (await Notification.requestPermission()) === "granted";
  writeSetting("notify", isGranted ? "yes" : "no");
  return isGranted;
}

// Shows a notification about a message, and calls `open` when the reader clicks it.
export function notifyMention(room, entry, open) {
  if (!wantsNotifications()) {
    return;
  }
  const title = speech.t("notifyTitle", { name: entry.name, room });
  try {
    const notification = new Notification(title, { body: entry.text.slice(0, MOST_NOTIFIED_CHARACTERS), tag: room });
    notification.addEventListener("click", () => {
      globalThis.focus();
      notification.close();
      open();
    });
  } catch {
    // Chromium on Android has the class, but its constructor throws.
  }
}
