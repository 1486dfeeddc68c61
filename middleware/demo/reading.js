// Reads the response headers with the decision and the times.

/**
 * Parse a structured-field item whose value is a token, with its parameters (RFC 9651).
 * Returns null if the header is missing or malformed.
 */
export function parseItem(header) {
  if (!header) return null;
  const rest = header.trim();
  const name = /^[A-Za-z*][\w!#$%&'*+\-.^`|~:/]*/.exec(rest);
  if (!name) return null;
  const parameters = {};
  const pattern = /;\s*([a-z*][a-z0-9_.*-]*)(?:=(?:"((?:[^"\\]|\\["\\])*)"|([^\s;"]+)))?/y;
  pattern.lastIndex = name[0].length;
  let end = name[0].length;
  for (let found = pattern.exec(rest); found; found = pattern.exec(rest)) {
    const [, key, quoted, bare] = found;
    parameters[key] = quoted !== undefined ? quoted.replace(/\\(["\\])/g, "$1") : (bare ?? true);
    end = pattern.lastIndex;
  }
  return end === rest.length ? { value: name[0], parameters } : null;
}

/** The decision on a query, from the header `Query-Reformulation`; null without the header. */
export function readReformulation(header) {
  const item = parseItem(header);
  if (!item) return null;
  const { reason = null, src = null, dur, q } = item.parameters;
  return { outcome: item.value, reason, source: src, ms: number(dur), query: decoded(q) };
}

/** The durations of a `Server-Timing` header in milliseconds, by name. */
export function readTimings(header) {
  const timings = {};
  for (const entry of (header ?? "").split(",")) {
    const [name, ...parameters] = entry.split(";").map((part) => part.trim());
    for (const parameter of parameters) {
      const ms = /^dur=(.+)$/i.exec(parameter);
      if (name && ms) timings[name] = number(ms[1]);
    }
  }
  return timings;
}

function number(text) {
  const value = Number.parseFloat(text);
  return Number.isFinite(value) ? value : null;
}

function decoded(text) {
  if (typeof text !== "string") return null;
  try {
    return decodeURIComponent(text);
  } catch {
    return null; // not percent-encoded UTF-8
  }
}
