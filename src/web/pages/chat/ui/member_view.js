// Owns the list of members of a room, and what can be done with each.

import { hueOf } from "../text/fold.js";
import { speech } from "../texts/language.js";
import { make, makeIcon, placeChildren, showText } from "./elements.js";

// More names would make the list slow. The rest is counted.
const MOST_LISTED = 500;

// The least time between two drawings, in milliseconds.
const DRAW_PAUSE = 200;

export class MemberView {
  #room;
  #list;
  #roster;
  #me = "";
  #rows = new Map();
  #open = null;
  #timer = null;
  #act;

  // Calls `act(action, name)` with the action "mention", "host", "kick" or "ban".
  constructor(room, roster, act) {
    this.#room = room;
    this.#list = room.querySelector(".member-list");
    this.#roster = roster;
    this.#act = act;
    this.#list.addEventListener("click", ({ target }) => this.#handleClick(target.closest("button")));
  }

  // Draws the list soon.
  update(me) {
    this.#me = me;
    this.#timer ??= setTimeout(() => {
      this.#timer = null;
      this.draw();
    }, DRAW_PAUSE);
  }

  draw() {
    const { names, host, more } = this.#roster;
    const order = new Intl.Collator(speech.language).compare;
    const sorted = [...names].sort((a, b) => (b === host) - (a === host) || order(a, b)).slice(0, MOST_LISTED);
    const total = names.size + more;
    this.#rows = new Map(sorted.map((name) => [name, this.#drawRow(this.#rows.get(name) ?? make("li"), name)]));
    placeChildren(this.#list, [...this.#rows.values()]);
    this.#room.querySelectorAll(".member-count").forEach((count) => (count.textContent = total > 0 ? String(total) : ""));
    this.#room.querySelector(".show-members").setAttribute("aria-label", speech.t("showMembers", { count: total }));
    const rest = total - sorted.length;
    showText(this.#room.querySelector(".member-rest"), rest > 0 ? speech.t("moreMembers", { count: rest }) : "");
  }

  // Draws the row of a member if something about it has changed.
  #drawRow(row, name) {
    const marks = [name === this.#me && "you", name === this.#roster.host && "host", this.#roster.inClear.has(name) && "unencrypted"];
    const actions = name !== this.#open ? [] : this.#actionsFor(name);
    const state = JSON.stringify([marks, actions, speech.language, name === this.#open]);
    if (row.dataset.state !== state) {
      const hadFocus = row.contains(document.activeElement);
      row.dataset.state = state;
      row.replaceChildren(this.#makeHead(name, marks), ...this.#makeActions(name, actions));
      if (hadFocus) {
        row.querySelector("button").focus();
      }
    }
    return row;
  }

  #actionsFor(name) {
    const isHost = this.#roster.host === this.#me;
    return name === this.#me ? [] : ["mention", ...(isHost ? ["host", "kick", "ban"] : [])];
  }

  #makeHead(name, marks) {
    const shown = [make("span", { class: "member-name", "data-hue": hueOf(name), title: name }, make("bdi", {}, name))];
    for (const mark of marks.filter((word) => word !== false)) {
      shown.push(make("span", { class: `mark ${mark}` }, ...(mark === "host" ? [makeIcon("host")] : []), speech.t(mark)));
    }
    if (name === this.#me) {
      return make("p", { class: "member" }, ...shown);
    }
    return make("button", { class: "member quiet", type: "button", "aria-expanded": String(name === this.#open), "data-name": name }, ...shown);
  }

  #makeActions(name, actions) {
    if (actions.length === 0) {
      return [];
    }
    const labels = { mention: "mention", host: "passHost", kick: "kick", ban: "ban" };
    const buttons = actions.map((action) => {
      const look = action === "kick" || action === "ban" ? "danger" : "";
      return make("button", { type: "button", class: `small ${look}`, "data-action": action, "data-name": name }, speech.t(labels[action]));
    });
    return [make("div", { class: "member-actions" }, ...buttons)];
  }

  #handleClick(button) {
    if (button === null) {
      return;
    }
    const { name, action } = button.dataset;
    if (action === undefined) {
      this.#open = this.#open === name ? null : name;
      this.draw();
    } else {
      this.#open = null;
      this.draw();
      this.#act(action, name);
    }
  }
}
