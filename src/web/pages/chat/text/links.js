// Owns the search for links in a text. Only http and https become links.

// The characters of RFC 3986 alone: so a link ends where a sentence in Japanese goes on, and has no look-alike letters.
const LINK_PATTERN = /\bhttps?:\/\/[A-Za-z0-9\-._~:/?#[\]@!$&'()*+,;=%]+/gi;

const CLOSERS = { ")": "(", "]": "[" };

// Returns the links of a text as {start, end, href}, in order.
export function findLinks(text) {
  const found = [];
  for (const match of text.matchAll(LINK_PATTERN)) {
    const shown = trimLink(match[0]);
    const href = checkLink(shown);
    if (href !== null) {
      found.push({ start: match.index, end: match.index + shown.length, href });
    }
  }
  return found;
}

// Cuts off what belongs to the sentence around a link: marks at its end, and brackets that it does not open.
function trimLink(link) {
  let end = link.length;
  for (;;) {
    const last = link[end - 1];
    const opener = CLOSERS[last];
    const isOdd = opener !== undefined && countOf(link.slice(0, end), last) > countOf(link.slice(0, end), opener);
    if (!isOdd && !".,;:!?'*".includes(last)) {
      return link.slice(0, end);
    }
    end -= 1;
  }
}

function countOf(text, character) {
  return text.split(character).length - 1;
}

// Returns the address behind a link, or null. A user name in it can pose as the host, as in https://bank.example@evil.example.
function checkLink(link) {
  if (!URL.canParse(link)) {
    return null;
  }
  const url = new URL(link);
  const isWeb = url.protocol === "https:" || url.protocol === "http:";
  return isWeb && url.username === "" && url.password === "" ? url.href : null;
}
