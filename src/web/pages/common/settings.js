// Owns what the reader has chosen, theme and language among it. It is kept in localStorage, which a browser may refuse.

const SETTINGS_PREFIX = "reactor-chat.";

// Returns the stored text, or null.
export function readSetting(key) {
  try {
    return globalThis.localStorage.getItem(SETTINGS_PREFIX + key);
  } catch {
    return null;
  }
}

// Stores a text. Without storage the choice lasts as long as the page.
export function writeSetting(key, value) {
  try {
    globalThis.localStorage.setItem(SETTINGS_PREFIX + key, value);
  } catch {
    // Storage is refused or full.
  }
}

export const THEMES = ["auto", "light", "dark"];

export function storedTheme() {
  const theme = readSetting("theme");
  return THEMES.includes(theme) ? theme : "auto";
}

// Shows a theme and stores it. "auto" follows the system.
export function chooseTheme(theme) {
  showTheme(theme);
  writeSetting("theme", theme);
}

export function showTheme(theme) {
  if (theme === "auto") {
    delete document.documentElement.dataset.theme;
  } else {
    document.documentElement.dataset.theme = theme;
  }
}

// Returns the language of the page: the stored one, else the first of the reader's languages that exists.
export function pickLanguage(available, stored, wanted) {
  const languages = [stored ?? "", ...wanted].map((tag) => tag.toLowerCase().split("-")[0]);
  return languages.find((language) => available.includes(language)) ?? available[0];
}
