// Owns the start of the page, and connects its parts.

import { showTheme, storedTheme } from "../common/settings.js";
import { RequestError } from "./session/request_error.js";
import { Server } from "./session/server.js";
import { speech, startLanguage } from "./texts/language.js";
import { notifyMention } from "./ui/attention.js";
import { EnterDialog, operationAfter } from "./ui/enter_dialog.js";
import { Home } from "./ui/home.js";
import { startMemberPanel, toggleMembers } from "./ui/member_panel.js";
import { RoomView } from "./ui/room_view.js";
import { Rooms } from "./ui/rooms.js";
import { startSettingsDialog } from "./ui/settings_dialog.js";
import { openShareDialog, startShareDialog } from "./ui/share_dialog.js";
import { startShortcuts } from "./ui/shortcuts.js";

// The entries from before that the reader sees, as far as the room shows them.
const HISTORY_WANTED = 200;

// The address keeps its room until that has been tried.
let isStarted = false;

showTheme(storedTheme());
startLanguage();

const chatServer = new Server(location.href);
const openRooms = new Rooms(handleShown);
const enterDialog = new EnterDialog(enterRoom);
const homePanel = new Home(chatServer, {
  join: joinRoom,
  create: (room) => enterDialog.open("create", { room, username: homePanel.name }),
  isOpen: (room) => openRooms.find(room) !== null,
});
const roomActions = {
  onChange: () => openRooms.update(),
  onMention: (view, entry) => notifyMention(view.name, entry, () => openRooms.show(view)),
  isWatched: () => document.visibilityState === "visible" && document.hasFocus(),
  join: (room) => joinRoom(room, false),
  leave: leaveRoom,
  close: (view) => openRooms.remove(view),
  enterAgain,
};

startMemberPanel();
startShareDialog();
startSettingsDialog(updateTexts);
startShortcuts({
  step: (count) => openRooms.step(count),
  showUnread: () => openRooms.showUnread(),
  focusComposer: () => openRooms.shown?.focusComposer(),
  toggleMembers,
});
document.getElementById("panels").addEventListener("click", ({ target }) => {
  if (target.closest(".share-room") !== null) {
    openShareDialog(openRooms.shown.name);
  }
});
for (const [target, type] of [[globalThis, "focus"], [document, "visibilitychange"]]) {
  target.addEventListener(type, () => openRooms.shown?.markRead());
}
globalThis.addEventListener("hashchange", openAddress);
openRooms.show(null);
isStarted = true;
openAddress();

// Follows the shown panel with the list of rooms, the address and the focus.
function handleShown(view) {
  homePanel.setShown(view === null);
  if (view === null) {
    homePanel.draw();
    homePanel.focus();
  } else {
    view.focusComposer();
  }
  if (isStarted) {
    history.replaceState(null, "", view === null ? location.pathname : `#${encodeURIComponent(view.name)}`);
  }
}

// Opens the room of the address `/#room`.
function openAddress() {
  const room = roomOfAddress();
  if (room !== "") {
    joinRoom(room, false);
  }
}

function roomOfAddress() {
  const written = location.hash.slice(1);
  try {
    return decodeURIComponent(written);
  } catch {
    return written;
  }
}

// Opens a room: its tab if there is one, else by a join, with the dialog if something is missing.
async function joinRoom(room, hasPassword) {
  const open = openRooms.find(room);
  if (open !== null && open.membership.state !== "ended") {
    openRooms.show(open);
    return;
  }
  const request = { operation: "join", room, username: homePanel.name, password: "" };
  if (hasPassword || request.username === "") {
    enterDialog.open("join", request);
    return;
  }
  homePanel.showProgress(speech.t("joining", { room }));
  const { status, isEntered } = await enterRoom(request, () => true);
  homePanel.showProgress("");
  if (!isEntered) {
    enterDialog.open(operationAfter("join", status), request, status);
  }
}

// Sends a request, and opens the room if the server grants it. Returns its status; an answer that is not wanted any
// more is given up.
async function enterRoom(request, isWanted) {
  let membership;
  try {
    membership = await chatServer.enter({ history: HISTORY_WANTED, ...request });
  } catch (error) {
    if (!(error instanceof RequestError)) {
      throw error;
    }
    return { status: error.status, isEntered: false };
  }
  if (!isWanted()) {
    membership.leave();
    return { status: 0, isEntered: false };
  }
  homePanel.name = membership.name;
  homePanel.clearSearch();
  showMembership(membership, request);
  return { status: 0, isEntered: true };
}

function showMembership(membership, request) {
  const known = openRooms.find(membership.room);
  if (known === null) {
    openRooms.add(new RoomView(membership, request, roomActions));
  } else {
    known.attach(membership, request);
    openRooms.show(known);
  }
}

// Enters the room of an ended membership again. A room that was closed is created.
async function enterAgain(view) {
  const isClosed = view.endReason === "closed";
  const request = { ...view.request, operation: isClosed ? "create" : "join" };
  const { status, isEntered } = await enterRoom(request, () => true);
  if (!isEntered) {
    enterDialog.open(operationAfter(request.operation, status), request, status);
  }
}

// Leaves a room. A host whose room may close for others is asked first.
async function leaveRoom(view) {
  if (view.membership.state === "ended") {
    openRooms.remove(view);
  } else if (!view.isHost || view.memberCount < 2 || (await confirmLeave())) {
    view.membership.leave();
  }
}

function confirmLeave() {
  const dialog = document.getElementById("leave-dialog");
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "leave"), { once: true });
  });
}

function updateTexts() {
  homePanel.draw();
  openRooms.views.forEach((view) => view.updateTexts());
  openRooms.update();
}
