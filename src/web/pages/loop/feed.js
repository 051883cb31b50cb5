// Owns the connection to the server: figures come as server-sent events. It ends while the tab is hidden, so that the server
// measures nothing for it, and is made again after a loss.

// Milliseconds until the next attempt after the browser has given up.
const RETRY = 2000;

export class Feed extends EventTarget {
  #source = null;
  #timer = 0;
  #url;

  constructor(url) {
    super();
    this.#url = url;
    document.addEventListener("visibilitychange", () => this.#follow());
    this.#follow();
  }

  #follow() {
    if (document.hidden) {
      this.#close();
      this.#tell("hidden");
    } else if (!this.#source) {
      this.#open();
    }
  }

  #open() {
    this.#close();
    this.#tell("connecting");
    const source = new EventSource(this.#url);
    source.addEventListener("message", (message) => {
      this.#tell("live");
      this.dispatchEvent(new CustomEvent("figures", { detail: JSON.parse(message.data) }));
    });
    source.addEventListener("error", () => {
      this.#tell("lost");
      // After an answer that is no stream of events, the browser does not try again.
      if (source.readyState === EventSource.CLOSED) {
        this.#close();
        this.#timer = setTimeout(() => this.#follow(), RETRY);
      }
    });
    this.#source = source;
  }

  #close() {
    clearTimeout(this.#timer);
    this.#source?.close();
    this.#source = null;
  }

  #tell(state) {
    this.dispatchEvent(new CustomEvent("state", { detail: state }));
  }
}
