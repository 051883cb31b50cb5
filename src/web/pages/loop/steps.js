// Owns the words about the steps of a turn, in the order of the turn: their names, their purpose, their files, and their
// limits by the keys of the figures.

export const STEPS = [
  {
    key: "wait", name: "wait", file: "src/reactor/mod.rs",
    does: "Sleeps in the kernel (epoll) until a socket is ready or a deadline comes. With work left over it does not sleep.",
  },
  {
    key: "note_readiness", name: "note readiness", file: "src/reactor/mod.rs", limit: ["events", "events"],
    does: "Sets a bit for each event. Nothing is read yet: an event is permission, not work.",
  },
  {
    key: "handle_signals", name: "handle signals", file: "src/reactor/signals.rs",
    does: "Notices Ctrl-C and kill. The first one tells everybody goodbye, the second ends the server at once.",
  },
  {
    key: "accept", name: "accept", file: "src/reactor/acceptor.rs", limit: ["accepts", "connections of each listener"],
    does: "Takes new connections from the listeners.",
  },
  {
    key: "read_datagrams", name: "read datagrams", file: "src/datagram/mod.rs", limit: ["datagrams", "datagrams in a portion"],
    does: "Reads UDP and hands each datagram to the chat. Messages become entries of their room.",
  },
  {
    key: "read_connections", name: "read connections", file: "src/reactor/connections.rs",
    limit: ["connections", "connections in a portion"],
    does: "Reads requests, TLS handshakes, pages and carried messages, and answers them. Answers wait for the flush.",
  },
  {
    key: "expire_timers", name: "expire timers", file: "src/timers.rs", limit: ["timers", "deadlines in a portion"],
    does: "Acts on deadlines: silent members, late connections, merged notices.",
  },
  {
    key: "deliver", name: "deliver", file: "src/reactor/egress.rs", limit: ["deliveries", "datagrams in a portion"],
    does: "Sends what the rooms owe to their members. Rooms take turns, so a busy one delays no quiet one.",
  },
  {
    key: "flush", name: "flush", file: "src/connection/outbox.rs", limit: ["connections", "connections in a portion"],
    does: "Writes replies and carried messages to their connections, as far as each peer reads.",
  },
  {
    key: "reap", name: "reap", file: "src/chat/reap.rs", limit: ["connections", "connections in a portion"],
    does: "Frees members, rooms and connections that have ended. No other step frees anything.",
  },
];

// Returns the words for a limit that a step has reached.
export function limitWords(limit) {
  return { slice: "slice reached", budget: "budget reached", events: "more events in the kernel" }[limit] ?? "";
}

// Returns the limits of a step as a sentence part, from the limits in the figures.
export function budgetWords(step, limits) {
  if (!step.limit) {
    return "";
  }
  const [key, unit] = step.limit;
  const slice = ["note_readiness", "accept"].includes(step.key) ? "" : `, ${limits.slice / 1000} ms in a turn`;
  return `at most ${limits[key].toLocaleString("en")} ${unit}${slice}`;
}
