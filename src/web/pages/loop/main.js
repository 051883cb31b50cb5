// Owns the life of the picture: figures come in, and go to its parts unless it is frozen.

import { THEMES, chooseTheme, showTheme, storedTheme } from "../common/settings.js";
import { make, write } from "./elements.js";
import { History } from "./numbers.js";
import { Picture, verdict } from "./picture.js";
import { Strips } from "./strips.js";
import { Groups, headline } from "./groups.js";
import { EXPERIMENTS } from "./experiments.js";
import { Feed } from "./feed.js";

const STATE_WORDS = {
  connecting: "Connecting",
  live: "Live",
  frozen: "Frozen",
  hidden: "Paused",
  lost: "No connection to the server. Trying again",
};

const find = (id) => document.getElementById(id);
const history = new History();
const parts = {
  picture: new Picture(find("sources"), find("turn")),
  strips: new Strips(document),
  groups: new Groups(find("groups")),
};
let isFrozen = false;
let state = "connecting";

function showState() {
  const shown = isFrozen && state !== "lost" ? "frozen" : state;
  write(find("state"), STATE_WORDS[shown]);
  find("state").dataset.state = shown;
  document.body.classList.toggle("stale", shown !== "live");
}

function show(figures) {
  history.push(figures);
  if (isFrozen) {
    return;
  }
  write(find("verdict"), verdict(figures));
  showHeadline(headline(figures, history));
  Object.values(parts).forEach((part) => part.show(figures, history));
  const seconds = Math.round(figures.watched / 1000);
  const viewers = Math.max(1, figures.gauges.viewers);
  write(find("watched"), `Watched for ${seconds.toLocaleString("en")} s, by ${viewers} viewer${viewers === 1 ? "" : "s"} now.`);
}

function showHeadline(numbers) {
  const list = find("headline");
  if (list.children.length === 0) {
    list.append(...numbers.map(([, words]) => make("li", "", make("strong", ""), words)));
  }
  numbers.forEach(([number], index) => write(list.children[index].firstChild, number));
}

function freeze() {
  isFrozen = !isFrozen;
  find("freeze").setAttribute("aria-pressed", String(isFrozen));
  showState();
}

function showExperiments() {
  find("experiments").append(...EXPERIMENTS.map(({ title, command, watch }) =>
    make("li", "", make("h3", "", title), make("pre", "", command), make("p", "", watch))));
}

function nameTheme() {
  write(find("theme"), `Theme: ${storedTheme()}`);
}

find("freeze").addEventListener("click", freeze);
document.addEventListener("keydown", (event) => {
  // On a control, the key has a meaning already.
  if (event.key === " " && !event.repeat && !event.target.closest("button, input, summary, a")) {
    event.preventDefault();
    freeze();
  }
});
find("theme").addEventListener("click", () => {
  chooseTheme(THEMES[(THEMES.indexOf(storedTheme()) + 1) % THEMES.length]);
  nameTheme();
});

showTheme(storedTheme());
nameTheme();
showExperiments();
const feed = new Feed("/events");
feed.addEventListener("state", (event) => {
  state = event.detail;
  showState();
});
feed.addEventListener("figures", (event) => show(event.detail));
