// Owns the language of the page, and the clock that writes in it.

import { pickLanguage, readSetting, writeSetting } from "../../common/settings.js";
import { makeTranslator, translateElements } from "../../common/texts.js";
import { makeClock } from "../text/clock.js";
import { ENGLISH } from "./english.js";
import { JAPANESE } from "./japanese.js";

const TABLES = { en: ENGLISH, ja: JAPANESE };

// The language and what depends on it. `t` looks up a text.
export const speech = { language: "en", t: null, clock: null };

export function startLanguage() {
  showLanguage(pickLanguage(Object.keys(TABLES), readSetting("language"), navigator.languages ?? []));
}

// Shows the page in another language and stores the choice.
export function chooseLanguage(language) {
  writeSetting("language", language);
  showLanguage(language);
}

function showLanguage(language) {
  speech.language = language;
  speech.t = makeTranslator(TABLES[language], language);
  speech.clock = makeClock(language);
  document.documentElement.lang = language;
  translateElements(document, speech.t);
}
