// Owns the texts for the status of a refused request (W10).

import { speech } from "../texts/language.js";

export const STATUS = { exists: 1, notFound: 2, wrongPassword: 3, badRoom: 4, badName: 5, nameTaken: 6 };

const LAST_STATUS = 12;

// Returns the reader's text for a status.
export function textOfStatus(status, { room, hadPassword = true }) {
  if (status === STATUS.wrongPassword && !hadPassword) {
    return speech.t("status3Needed");
  }
  return status <= LAST_STATUS ? speech.t(`status${status}`, { room }) : speech.t("statusUnknown", { status });
}
