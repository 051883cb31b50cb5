// The requests of the page as JSON, and their replies (H6).

import { MAX_TEXT } from "../stream/datagram.js";
import { SECOND } from "../stream/round_trip.js";
import { RequestError } from "./request_error.js";

// The status of a room that does not exist, and of a token that is dead (W10).
export const NOT_FOUND = 2;
// The most earlier entries that a member may ask for (W6).
export const MAX_HISTORY = 1024;
// The most rooms of a list. A server that lists for ever must not fill the memory.
const MAX_ROOMS = 10_000;
// The last entry of a stream that can be counted: far below 2^53, so that sums are exact.
const MAX_NEXT = 2 ** 52;
const MAX_U32 = 2 ** 32 - 1;

// Returns a create or join request. Keys without a value are left out.
export function entryRequest({ operation, room, username, password, history, capacity, hidden }) {
  const limits = operation === "create" ? { capacity, hidden } : {};
  return JSON.stringify({ operation, room, username, password, delivery: "stream", history, ...limits });
}

export function resumeRequest(room, token) {
  return JSON.stringify({ operation: "resume", room, token });
}

// Returns the object of a reply. Throws a RequestError unless it grants the request.
export function grantedReply(text) {
  const reply = parseObject(text);
  if (!Number.isInteger(reply?.status)) {
    throw new RequestError(0, "the reply is unreadable");
  }
  if (reply.status !== 0) {
    throw new RequestError(reply.status, `the server refused with status ${reply.status}`);
  }
  return reply;
}

// Returns the completion in a reply to create, join or resume (S1). Throws a RequestError if a number of it
// can't be one.
export function completionOf(reply) {
  const { token, member, tag, next, expected } = reply;
  const life = reply.life ?? tag;
  const isValid =
    typeof token === "string" &&
    [member, tag, life, expected].every((number) => isCount(number, MAX_U32)) &&
    isCount(next, MAX_NEXT);
  if (!isValid) {
    throw new RequestError(0, "the completion is unreadable");
  }
  const keepAlive = isCount(reply.keep_alive, MAX_U32) ? reply.keep_alive : 0;
  return { token, member, tag, life, next, expected, keepAlive: keepAlive * SECOND };
}

// Collects all pages of the list of rooms (W10). `request` sends a request and returns the reply.
export async function collectRooms(prefix, request) {
  const rooms = [];
  for (let after = ""; ; ) {
    const reply = await request(JSON.stringify({ operation: "list", room: prefix, after }));
    const page = (Array.isArray(reply.rooms) ? reply.rooms : []).filter(isRoom);
    rooms.push(...page.slice(0, MAX_ROOMS - rooms.length));
    const last = page.at(-1);
    if (!last?.more || last.room === after || rooms.length === MAX_ROOMS) {
      return rooms;
    }
    after = last.room;
  }
}

function isRoom(entry) {
  return typeof entry?.room === "string" && entry.room.length <= MAX_TEXT && isCount(entry.members, MAX_U32);
}

function isCount(value, most) {
  return Number.isInteger(value) && value >= 0 && value <= most;
}

function parseObject(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
