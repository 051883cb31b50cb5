// Owns the dialog for language, colours and notifications.

import { chooseTheme, storedTheme } from "../../common/settings.js";
import { chooseLanguage, speech } from "../texts/language.js";
import { canNotify, chooseNotifications, wantsNotifications } from "./attention.js";
import { showText } from "./elements.js";

// Calls `onLanguage()` when the page has another language.
export function startSettingsDialog(onLanguage) {
  const dialog = document.getElementById("settings-dialog");
  const language = document.getElementById("choose-language");
  const theme = document.getElementById("choose-theme");
  const notify = document.getElementById("choose-notify");
  document.getElementById("open-settings").addEventListener("click", () => {
    [language.value, theme.value, notify.checked] = [speech.language, storedTheme(), wantsNotifications()];
    showNotifyNote();
    dialog.showModal();
  });
  language.addEventListener("change", () => {
    chooseLanguage(language.value);
    showNotifyNote();
    onLanguage();
  });
  theme.addEventListener("change", () => chooseTheme(theme.value));
  notify.addEventListener("change", async () => {
    notify.checked = await chooseNotifications(notify.checked);
    showNotifyNote();
  });
}

function showNotifyNote() {
  document.getElementById("choose-notify").disabled = !canNotify();
  const isDenied = canNotify() && Notification.permission === "denied";
  showText(document.getElementById("notify-note"), canNotify() ? (isDenied ? speech.t("notifyDenied") : "") : speech.t("notifyInsecure"));
}
