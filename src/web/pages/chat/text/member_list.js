// Owns the reading of an answer to `/who` (W28), in both languages of the server.

const HOST_MARKS = [" (host)", "（ホスト）"];
const CLEAR_MARKS = [" (unencrypted)", "（暗号化なし）"];
const COUNT_ENDINGS = [/ and ([1-9][0-9]*) more$/, / ほか([1-9][0-9]*)人$/];

// Returns {names, host, inClear, more}, or null if the text is no list of members. `host` is null if the list was cut
// before it, `inClear` has the names that are marked as unencrypted, and `more` counts the members that did not fit.
export function parseMembers(text) {
  // No name contains this.
  if (text.includes(": ")) {
    return null;
  }
  const count = COUNT_ENDINGS.map((ending) => ending.exec(text)).find((match) => match !== null);
  const listed = count ? text.slice(0, count.index) : text;
  const list = { names: [], host: null, inClear: [], more: count ? Number(count[1]) : 0 };
  for (const entry of listed === "" ? [] : listed.split(", ")) {
    const [behindClear, isInClear] = withoutMark(entry, CLEAR_MARKS);
    const [name, isHost] = withoutMark(behindClear, HOST_MARKS);
    if (name === "" || (isHost && list.host !== null)) {
      return null;
    }
    list.names.push(name);
    list.host = isHost ? name : list.host;
    if (isInClear) {
      list.inClear.push(name);
    }
  }
  return list.host !== null || list.more > 0 ? list : null;
}

function withoutMark(entry, marks) {
  const mark = marks.find((ending) => entry.endsWith(ending));
  return mark === undefined ? [entry, false] : [entry.slice(0, -mark.length), true];
}
