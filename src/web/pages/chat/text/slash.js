// Owns the commands that the page itself understands. All others go to the server.

// Returns {name: "leave"}, {name: "join", room}, or null for a line that goes to the server.
export function parseSlash(line) {
  const [word, ...rest] = line.trim().split(/\s+/u);
  const command = word.toLowerCase();
  const argument = rest.join(" ");
  if (["/exit", "/leave", "/quit"].includes(command) && argument === "") {
    return { name: "leave" };
  }
  if (command === "/join" && argument !== "" && line.startsWith("/")) {
    return { name: "join", room: argument.replace(/^#/, "") };
  }
  return null;
}
