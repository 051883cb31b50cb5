// Owns the dialog that enters a room: name, password, the options of a new room, and why the server refused.

import { speech } from "../texts/language.js";
import { showText } from "./elements.js";
import { STATUS, textOfStatus } from "./request_texts.js";

export class EnterDialog {
  #dialog = document.getElementById("enter-dialog");
  #fields = Object.fromEntries(
    ["room", "name", "password", "history", "capacity", "hidden"].map((name) => [name, document.getElementById(`enter-${name}`)]),
  );
  #submit = document.getElementById("enter-submit");
  #operation = "join";
  #isBusy = false;
  #attempt;

  // `attempt(request)` enters a room, and rejects with a RequestError.
  constructor(attempt) {
    this.#attempt = attempt;
    this.#dialog.querySelector("form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#send();
    });
    this.#dialog.querySelector(".cancel").addEventListener("click", () => this.#dialog.close());
  }

  // Opens the dialog. `status` is that of an attempt before, which the server has refused.
  open(operation, { room, username, password = "" }, status = null) {
    this.#operation = operation;
    [this.#fields.room.value, this.#fields.name.value, this.#fields.password.value] = [room, username, password];
    this.#isBusy = false;
    this.#showMode();
    this.#showError(status === null ? "" : textOfStatus(status, { room, hadPassword: password !== "" }));
    if (!this.#dialog.open) {
      this.#dialog.showModal();
    }
    this.#focusFor(status);
  }

  #showMode() {
    const isJoin = this.#operation === "join";
    const { room } = this.#fields;
    document.getElementById("enter-title").textContent = isJoin ? speech.t("joinTitle", { room: room.value }) : speech.t("createTitle");
    room.parentElement.hidden = isJoin;
    document.getElementById("enter-options").hidden = isJoin;
    document.getElementById("enter-password-note").hidden = isJoin;
    this.#submit.textContent = speech.t(this.#isBusy ? "busy" : this.#operation);
    this.#submit.disabled = this.#isBusy;
    this.#dialog.setAttribute("aria-busy", String(this.#isBusy));
  }

  #showError(text) {
    showText(document.getElementById("enter-error"), text);
    Object.values(this.#fields).forEach((field) => field.removeAttribute("aria-invalid"));
  }

  // Marks the field that the server refused, and puts the focus into it, else into the first empty one.
  #focusFor(status) {
    const { room, name, password } = this.#fields;
    const refused = { [STATUS.wrongPassword]: password, [STATUS.badRoom]: room, [STATUS.badName]: name, [STATUS.nameTaken]: name }[status];
    refused?.setAttribute("aria-invalid", "true");
    const empty = [room, name].find((field) => field.value === "");
    const target = refused ?? empty ?? password;
    target.focus();
    target.select();
  }

  async #send() {
    const request = this.#readRequest();
    if (this.#isBusy) {
      return;
    }
    if (request.username === "" || request.room === "") {
      this.#showError(speech.t(request.room === "" ? "roomNeeded" : "nameNeeded"));
      this.#focusFor(request.room === "" ? STATUS.badRoom : STATUS.badName);
      return;
    }
    this.#isBusy = true;
    this.#showMode();
    this.#showError("");
    // A reader who closes the dialog meanwhile does not want the room any more.
    const result = await this.#attempt(request, () => this.#dialog.open);
    this.#isBusy = false;
    if (result.status === 0 && result.isEntered) {
      this.#dialog.close();
    } else if (this.#dialog.open) {
      this.open(operationAfter(this.#operation, result.status), request, result.status);
    }
  }

  #readRequest() {
    const { room, name, password, history, capacity, hidden } = this.#fields;
    const request = { operation: this.#operation, room: room.value.trim(), username: name.value.trim(), password: password.value };
    if (this.#operation === "create") {
      request.history = Math.min(1024, Math.max(0, history.valueAsNumber || 0));
      request.hidden = hidden.checked;
      if (capacity.valueAsNumber >= 1) {
        request.capacity = Math.floor(capacity.valueAsNumber);
      }
    }
    return request;
  }
}

// A room that exists can be joined, and one that does not can be created.
export function operationAfter(operation, status) {
  if (status === STATUS.notFound) {
    return "create";
  }
  return status === STATUS.exists ? "join" : operation;
}
