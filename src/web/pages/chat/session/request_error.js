// The failure of a request.

// A request that the server refused, or did not answer. `status` is that of W10, or 0 without an answer.
export class RequestError extends Error {
  // True if the reply travelled in cleartext.
  isExposed = false;

  constructor(status, message) {
    super(message);
    [this.name, this.status] = ["RequestError", status];
  }
}
