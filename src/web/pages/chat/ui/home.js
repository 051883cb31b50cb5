// Owns the home panel: the reader's name, and the list of rooms.

import { readSetting, writeSetting } from "../../common/settings.js";
import { foldText } from "../text/fold.js";
import { speech } from "../texts/language.js";
import { make, makeIcon, placeChildren, showText } from "./elements.js";

// The list is read again after this time while it is shown, in milliseconds, and sooner if the server did not answer.
const ROOMS_PAUSE = 10_000;
const RETRY_PAUSE = 3_000;

// More rows would make the page slow. The field above finds the others.
const MOST_ROWS = 200;

export class Home {
  #server;
  #page;
  #rooms = null;
  #failed = false;
  #rows = new Map();
  #timer = null;
  #isShown = false;
  #name = document.getElementById("own-name");
  #find = document.getElementById("find-room");
  #list = document.getElementById("room-list");

  // `page` has join(room, hasPassword), create(room) and isOpen(room).
  constructor(server, page) {
    this.#server = server;
    this.#page = page;
    this.#name.value = readSetting("name") ?? "";
    document.getElementById("server-name").textContent = location.host;
    document.getElementById("name-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#find.focus();
    });
    document.getElementById("find-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#joinTyped();
    });
    document.getElementById("create-room").addEventListener("click", () => page.create(this.#find.value.trim()));
    this.#find.addEventListener("input", () => this.draw());
    this.#list.addEventListener("click", ({ target }) => this.#handleClick(target.closest("button")));
    document.addEventListener("visibilitychange", () => this.setShown(this.#isShown));
  }

  get name() {
    return this.#name.value.trim();
  }

  // Keeps the name that a server has taken.
  set name(name) {
    this.#name.value = name;
    writeSetting("name", name);
  }

  // Shows what is going on, such as a join.
  showProgress(text) {
    showText(document.getElementById("home-status"), text);
    document.getElementById("join-room").disabled = text !== "";
  }

  setShown(isShown) {
    this.#isShown = isShown;
    clearTimeout(this.#timer);
    if (isShown && !document.hidden) {
      this.#refresh();
    }
  }

  focus() {
    (this.name === "" ? this.#name : this.#find).focus();
  }

  clearSearch() {
    this.#find.value = "";
  }

  async #refresh() {
    clearTimeout(this.#timer);
    try {
      this.#rooms = await this.#server.list("");
      this.#failed = false;
    } catch {
      this.#failed = true;
    }
    this.draw();
    clearTimeout(this.#timer);
    if (this.#isShown && !document.hidden) {
      this.#timer = setTimeout(() => this.#refresh(), this.#failed ? RETRY_PAUSE : ROOMS_PAUSE);
    }
  }

  draw() {
    const wanted = foldText(this.#find.value.trim());
    const rooms = this.#rooms ?? [];
    const fitting = rooms.filter(({ room }) => foldText(room).includes(wanted));
    const shown = fitting.slice(0, MOST_ROWS);
    this.#rows = new Map(shown.map((info) => [info.room, this.#drawRow(this.#rows.get(info.room) ?? make("li"), info)]));
    placeChildren(this.#list, [...this.#rows.values()]);
    document.getElementById("room-count").textContent = rooms.length > 0 ? new Intl.NumberFormat(speech.language).format(rooms.length) : "";
    showText(document.getElementById("list-state"), this.#stateText(rooms.length, fitting.length));
  }

  #stateText(all, fitting) {
    if (this.#failed) {
      return speech.t("noServer");
    }
    if (this.#rooms === null) {
      return speech.t("loading");
    }
    if (fitting > MOST_ROWS) {
      return speech.t("moreRooms", { count: fitting - MOST_ROWS });
    }
    return all === 0 ? speech.t("noRooms") : fitting === 0 ? speech.t("noMatch") : "";
  }

  #drawRow(row, info) {
    const isOpen = this.#page.isOpen(info.room);
    const state = JSON.stringify([info, isOpen, speech.language]);
    if (row.dataset.state === state) {
      return row;
    }
    row.dataset.state = state;
    const { room, members, capacity } = info;
    const count = capacity > 0 && capacity < 10_000 ? speech.t("memberLimit", { count: members, limit: capacity }) : speech.t("memberCount", { count: members });
    const about = make("span", { class: "room-marks soft small" }, ...markOf(info.sealed, "shield", "isSealed"), ...markOf(info.password, "lock", "hasPassword"), count);
    const button = row.firstElementChild ?? make("button", { class: "room-row", type: "button", "data-room": room });
    button.replaceChildren(make("span", { class: "room-title" }, make("bdi", {}, room)), about, make("span", { class: "go small" }, speech.t(isOpen ? "open" : "join")));
    button.dataset.password = String(info.password);
    row.replaceChildren(button);
    return row;
  }

  #handleClick(button) {
    if (button !== null) {
      this.#page.join(button.dataset.room, button.dataset.password === "true");
    }
  }

  #joinTyped() {
    const room = this.#find.value.trim();
    if (room === "") {
      this.#find.focus();
      return;
    }
    const info = this.#rooms?.find((known) => known.room === room.normalize("NFC"));
    this.#page.join(room, info?.password ?? false);
  }
}

function markOf(isTrue, icon, key) {
  return isTrue ? [make("span", { class: "room-mark", title: speech.t(key) }, makeIcon(icon), make("span", { class: "visually-hidden" }, `${speech.t(key)},`))] : [];
}
