// Owns the experiments: what to start beside the page, and what to look at.

export const EXPERIMENTS = [
  {
    title: "A flood",
    command: "cargo bench --bench fanout -- --connect 127.0.0.1 \\\n  --scenario flood_text --seconds 2",
    watch: "Ten seconds without it, then ten with it, three times. “Read datagrams” gets hot and reaches its slice. The rest "
      + "stays in the kernel until the next turn, and messages beyond the budget of a member are dropped as “rate limited”. The "
      + "other steps still run in every turn: quiet rooms do not notice.",
  },
  {
    title: "A slow reader",
    command: "reactor-chat-client --carry\n# join a busy room, then press Ctrl-Z",
    watch: "Its connection counts as “not reading”. Its messages fill its outbox and then wait, or are dropped as “full connection”. "
      + "“Deliver” and “flush” take no longer: nobody waits for it.",
  },
  {
    title: "Thousands of joins",
    command: "cargo bench --bench fanout -- --connect 127.0.0.1 \\\n  --scenario joins --seconds 20",
    watch: "“Accept”, “read connections”, “flush” and “reap” get hot together: each join is a connection that lives for a few turns. "
      + "If many connect at once, “accept” reaches its budget, and the rest waits in the kernel. No step outlasts its slice, so "
      + "members who talk are served in between.",
  },
];
