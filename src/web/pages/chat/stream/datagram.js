// The datagrams of a stream from the server (S2): `tag u32 | sequence u64 | entries`, each entry
// `size u16 | kind u8 | body`. Invalid bytes end a datagram. The entries before them still count.
//
// Numbers of entries are plain numbers: a room that sends a million entries a second would need 285
// years to reach 2^53. Larger ones, which only a hostile server sends, lose their last digits, and
// count as far away (S10).

export const HEADER_SIZE = 12;
// The bytes of an entry's size and kind.
export const ENTRY_OVERHEAD = 3;
// The most bytes of a datagram with stream delivery, in either direction (S2).
export const MAX_PACKED = 1150;
// The most bytes of any datagram from the server (W23).
export const MAX_DOWNSTREAM = 4094;
// The most bytes of a message that the server joins from parts (S16).
export const MAX_TEXT = 4096;

// The codes of notices and asides (S4).
export const Code = Object.freeze({
  JOINED: 1,
  LEFT: 2,
  TIMED_OUT: 3,
  KICKED: 4,
  ROOM_CLOSED: 5,
  NEW_HOST: 6,
  REMOVED: 7,
  RATE_LIMITED: 8,
  REFUSED: 9,
  ANSWER: 10,
  STATE: 12,
  SERVER_STOPPING: 13,
});

// Returns `{tag, sequence, entries}`, or null if the bytes are too few for a header. Names and texts
// are views of the datagram.
export function parseDatagram(bytes) {
  if (bytes.length < HEADER_SIZE) {
    return null;
  }
  const view = viewOf(bytes);
  const sequence = view.getUint32(4) * 2 ** 32 + view.getUint32(8);
  return { tag: view.getUint32(0), sequence, entries: parseEntries(bytes, HEADER_SIZE) };
}

function parseEntries(bytes, start) {
  const entries = [];
  for (let at = start; ; ) {
    const entry = parseEntry(bytes.subarray(at));
    if (!entry) {
      return entries;
    }
    entries.push(entry);
    at += entry.bytes.length;
  }
}

// Parses the first entry of these bytes. Returns null if there is none, or an invalid one. Its `bytes`
// include its size, and `numbers` says how many numbers it takes.
export function parseEntry(bytes) {
  const end = bytes.length < 2 ? 0 : 2 + viewOf(bytes).getUint16(0);
  if (end < ENTRY_OVERHEAD || end > bytes.length) {
    return null;
  }
  const body = parseBody(bytes[2], bytes.subarray(ENTRY_OVERHEAD, end));
  return body && { ...body, bytes: bytes.subarray(0, end) };
}

function parseBody(kind, body) {
  switch (kind) {
    case 0:
      return parseMessage("message", body);
    case 1:
      return parseNotice(body);
    case 2:
      return parseAside(body);
    case 3:
      return parseMessage("part", body);
    case 4:
      return body.length < 4 ? null : { kind: "gone", numbers: viewOf(body).getUint32(0) };
    default:
      return { kind: "unknown", numbers: 0 };
  }
}

function parseMessage(kind, body) {
  const names = splitName(body, 8);
  if (!names) {
    return null;
  }
  const view = viewOf(body);
  return { kind, numbers: 1, member: view.getUint32(0), id: view.getUint32(4), ...names };
}

function parseNotice(body) {
  const names = splitName(body, 5);
  if (!names) {
    return null;
  }
  return { kind: "notice", numbers: 1, code: body[0], member: viewOf(body).getUint32(1), ...names };
}

function parseAside(body) {
  if (body.length < 9) {
    return null;
  }
  const view = viewOf(body);
  const [expected, id] = [view.getUint32(1), view.getUint32(5)];
  return { kind: "aside", numbers: 0, code: body[0], expected, id, text: body.subarray(9) };
}

// Splits `size u8 | name | text`, which begins at `at`. Returns null if the bytes are too few.
function splitName(body, at) {
  const start = at + 1;
  if (body.length < start || body.length < start + body[at]) {
    return null;
  }
  const end = start + body[at];
  return { name: body.subarray(start, end), text: body.subarray(end) };
}

// Returns a view of bytes that may be a part of a larger buffer.
export function viewOf(bytes) {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
