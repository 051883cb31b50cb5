// Owns one open room: its panel, its membership, and what has not been read yet.

import { translateElements } from "../../common/texts.js";
import { Roster } from "../text/roster.js";
import { findMentions } from "../text/mentions.js";
import { parseSlash } from "../text/slash.js";
import { speech } from "../texts/language.js";
import { announce } from "./announcer.js";
import { showBanner } from "./banner.js";
import { Composer } from "./composer.js";
import { textOfEntry } from "./lines.js";
import { LogView } from "./log_view.js";
import { MemberView } from "./member_view.js";
import { PendingView } from "./pending_view.js";
import { showStatus } from "./status_line.js";

let roomPanels = 0;

export class RoomView {
  panel;
  membership;
  // The request that entered the room, for another try.
  request;
  unread = 0;
  mentions = 0;
  // The reason of an ended membership.
  endReason = "";
  #page;
  #log;
  #members;
  #pending;
  #composer;
  #roster = new Roster();
  #isShown = false;
  #queryTimer = null;

  // `page` has onChange(), onMention(room, entry), leave(room), close(room), enterAgain(room), join(name) and isWatched().
  constructor(membership, request, page) {
    this.#page = page;
    this.panel = document.getElementById("room-template").content.cloneNode(true).firstElementChild;
    roomPanels += 1;
    this.panel.id = `room-${roomPanels}`;
    this.#log = new LogView(this.panel);
    this.#pending = new PendingView(this.panel, () => this.#log.keepEnd());
    this.#composer = new Composer(this.panel.querySelector(".room-foot"), this);
    this.#members = new MemberView(this.panel, this.#roster, (action, name) => this.#actOnMember(action, name));
    this.panel.querySelector(".rejoin-room").addEventListener("click", () => page.enterAgain(this));
    this.panel.querySelector(".close-room").addEventListener("click", () => page.close(this));
    this.panel.querySelector(".leave-room").addEventListener("click", () => page.leave(this));
    this.attach(membership, request);
    this.updateTexts();
  }

  get name() {
    return this.membership.room;
  }

  get isHost() {
    return this.#roster.host === this.membership.name;
  }

  // The number of members, those that are not known by name included.
  get memberCount() {
    return this.#roster.names.size + this.#roster.more;
  }

  // Follows a membership, which replaces an ended one.
  attach(membership, request) {
    this.membership = membership;
    this.request = { ...request, username: membership.name };
    this.#roster.reset();
    this.#roster.add(membership.name);
    this.#log.me = membership.name;
    const handle = (type, handler) => membership.addEventListener(type, ({ detail }) => handler(detail));
    handle("entry", (entry) => this.#handleEntry(entry));
    handle("settled", () => this.#pending.show(membership));
    handle("state", (detail) => this.#handleState(detail.reason));
    handle("figures", () => showStatus(this.panel, membership));
    handle("rejoined", (detail) => this.#handleRejoin(detail));
    handle("ended", (detail) => this.#handleEnd(detail));
    this.#handleState("");
    this.#queryMembers();
  }

  // Sends a line of the reader. The page executes some commands itself.
  send(text) {
    const command = parseSlash(text);
    if (command?.name === "leave") {
      this.#page.leave(this);
    } else if (command?.name === "join") {
      this.#page.join(command.room);
    } else {
      this.membership.send(text);
      this.#pending.show(this.membership);
      this.#log.scrollToEnd();
    }
  }

  // The other members, for completion.
  names() {
    return [...this.#roster.names].filter((name) => name !== this.membership.name);
  }

  scrollPages(pages) {
    this.#log.scrollPages(pages);
  }

  scrollToEnd() {
    this.#log.scrollToEnd();
  }

  focusComposer() {
    this.#composer.focus();
  }

  // Shows or hides the panel.
  setShown(isShown) {
    this.#isShown = isShown;
    this.panel.hidden = !isShown;
    this.#log.setVisible(isShown);
    if (isShown) {
      this.#members.draw();
      this.markRead();
    }
  }

  // The reader sees the room now.
  markRead() {
    if (this.#isRead() && (this.unread > 0 || this.mentions > 0)) {
      [this.unread, this.mentions] = [0, 0];
      this.#page.onChange();
    }
  }

  updateTexts() {
    translateElements(this.panel, speech.t);
    this.panel.querySelector(".room-name").textContent = this.name;
    this.#composer.setHint(speech.t("writeHere", { room: this.name }));
    this.#members.draw();
    showStatus(this.panel, this.membership);
  }

  #isRead() {
    return this.#isShown && this.#page.isWatched();
  }

  #handleEntry(entry) {
    entry.isMention = entry.kind === "message" && !entry.own && findMentions(entry.text, this.membership.name).length > 0;
    if (entry.kind === "notice") {
      this.#roster.note(entry.code, entry.name);
      this.#updateMembers();
    } else if (entry.kind === "message" && !entry.isHistory && !this.#roster.names.has(entry.name)) {
      this.#roster.add(entry.name);
      this.#updateMembers();
    }
    if (entry.kind === "aside" && entry.text === "") {
      return;
    }
    if (!entry.isHistory && !entry.own) {
      this.#countUnread(entry);
    }
    this.#log.push(entry);
  }

  #countUnread(entry) {
    const isRead = this.#isRead();
    if (entry.kind === "message" && !isRead) {
      if (this.unread === 0) {
        this.#log.pushMarker();
      }
      this.unread += 1;
      this.mentions += entry.isMention ? 1 : 0;
      this.#page.onChange();
    }
    if (entry.isMention && !isRead) {
      this.#page.onMention(this, entry);
    }
    if (this.#isShown || entry.isMention) {
      announce(textOfEntry(entry));
    }
  }

  #handleState(reason) {
    showStatus(this.panel, this.membership);
    showBanner(this.panel, this.membership.state, { reason });
    this.#composer.setEnabled(this.membership.state !== "ended");
    this.#pending.show(this.membership);
    this.#page.onChange();
  }

  #handleRejoin({ sameRoom }) {
    this.#roster.reset();
    this.#log.me = this.membership.name;
    const text = speech.t(sameRoom ? "rejoined" : "newRoom");
    this.#log.push({ kind: "aside", code: 0, text, at: Date.now(), isHistory: false });
    this.#queryMembers();
  }

  #handleEnd({ reason, status }) {
    clearTimeout(this.#queryTimer);
    this.endReason = reason;
    if (reason === "left") {
      this.#page.close(this);
      return;
    }
    this.#handleState("");
    showBanner(this.panel, "ended", { reason, status, room: this.name });
    announce(this.panel.querySelector(".banner p").textContent);
  }

  #actOnMember(action, name) {
    if (action === "mention") {
      this.#composer.insertName(name);
    } else {
      this.membership.send(`/${action} ${name}`);
      this.focusComposer();
    }
  }

  #updateMembers() {
    this.#members.update(this.membership.name);
    this.#queryMembers();
  }

  // Requests the list of members, if notices have left it incomplete.
  #queryMembers() {
    const delay = this.#roster.queryDelay(Date.now());
    if (delay === null || this.membership.state === "ended") {
      return;
    }
    clearTimeout(this.#queryTimer);
    this.#queryTimer = setTimeout(() => this.#queryNow(), delay);
  }

  async #queryNow() {
    this.#roster.noteQuery(Date.now());
    try {
      this.#roster.learn(await this.membership.ask("/who"));
      this.#updateMembers();
    } catch {
      // The membership has ended, or the server takes no commands now. Notices go on.
    }
  }
}
