// Owns the open rooms, their tabs, and which of them is shown.

import { speech } from "../texts/language.js";
import { showAttention } from "./attention.js";
import { make } from "./elements.js";

export class Rooms {
  #tabs = document.getElementById("tabs");
  #home = { tab: document.getElementById("tab-home"), panel: document.getElementById("home") };
  // Each has a view and its tab, in the order of the tabs.
  #open = [];
  #shown = null;
  #onShow;

  // Calls `onShow(view)` when another panel is shown. The view is null for the home panel.
  constructor(onShow) {
    this.#onShow = onShow;
    this.#tabs.addEventListener("click", ({ target }) => this.#handleClick(target.closest("[role=tab]")));
    this.#tabs.addEventListener("keydown", (event) => this.#handleKey(event));
  }

  get shown() {
    return this.#shown;
  }

  get views() {
    return this.#open.map(({ view }) => view);
  }

  find(name) {
    return this.views.find((view) => view.name === name) ?? null;
  }

  add(view) {
    const tab = make("button", { class: "tab", role: "tab", type: "button", id: `tab-${view.panel.id}`, "aria-controls": view.panel.id });
    tab.append(make("span", { class: "tab-name" }, make("bdi", {}, view.name)), make("span", { class: "badge", hidden: "" }));
    view.panel.setAttribute("aria-labelledby", tab.id);
    this.#open.push({ view, tab });
    this.#tabs.append(tab);
    document.getElementById("panels").append(view.panel);
    this.show(view);
  }

  remove(view) {
    const at = this.#open.findIndex((entry) => entry.view === view);
    if (at < 0) {
      return;
    }
    const [{ tab }] = this.#open.splice(at, 1);
    tab.remove();
    view.panel.remove();
    if (this.#shown === view) {
      this.show(this.#open[Math.min(at, this.#open.length - 1)]?.view ?? null);
    }
    this.update();
  }

  // Shows a room, or with null the home panel.
  show(view) {
    this.#shown = view;
    this.#home.panel.hidden = view !== null;
    this.#home.tab.setAttribute("aria-selected", String(view === null));
    this.#home.tab.tabIndex = view === null ? 0 : -1;
    for (const { view: other, tab } of this.#open) {
      other.setShown(other === view);
      tab.setAttribute("aria-selected", String(other === view));
      tab.tabIndex = other === view ? 0 : -1;
      if (other === view) {
        tab.scrollIntoView({ block: "nearest", inline: "nearest" });
      }
    }
    this.update();
    this.#onShow(view);
  }

  // Shows the room that is so many tabs behind the shown one.
  step(count) {
    const all = [null, ...this.views];
    this.show(all.at((all.indexOf(this.#shown) + count) % all.length));
  }

  // Shows the next room with unread messages, one with a mention first.
  showUnread() {
    const view = this.views.find(({ mentions }) => mentions > 0) ?? this.views.find(({ unread }) => unread > 0);
    if (view !== undefined) {
      this.show(view);
    }
  }

  // Draws badges, title and icon.
  update() {
    for (const { view, tab } of this.#open) {
      drawTab(tab, view);
    }
    const sum = (key) => this.views.reduce((total, view) => total + view[key], 0);
    showAttention(this.#shown?.name ?? "", sum("unread"), sum("mentions"));
  }

  #handleClick(tab) {
    if (tab !== null) {
      this.show(this.#open.find((entry) => entry.tab === tab)?.view ?? null);
    }
  }

  // The keys of a tab list, for a vertical and a horizontal one.
  #handleKey(event) {
    const steps = { ArrowUp: -1, ArrowLeft: -1, ArrowDown: 1, ArrowRight: 1 };
    if (event.altKey || event.ctrlKey || event.metaKey || steps[event.key] === undefined) {
      return;
    }
    event.preventDefault();
    this.step(steps[event.key]);
    this.#tabs.querySelector("[aria-selected=true]").focus();
  }
}

function drawTab(tab, { name, unread, mentions, membership }) {
  const badge = tab.querySelector(".badge");
  tab.dataset.state = membership.state;
  badge.hidden = unread === 0;
  badge.classList.toggle("is-mention", mentions > 0);
  const shown = unread > 99 ? "99+" : String(unread);
  if (badge.textContent !== shown) {
    badge.replaceChildren(shown);
  }
  const words = [name, ...(unread > 0 ? [speech.t("unread", { count: unread })] : []), ...(mentions > 0 ? [speech.t("unreadMention")] : [])];
  tab.setAttribute("aria-label", words.join(", "));
  tab.title = name;
}
