// Builds the page's elements. Foreign text becomes text nodes only, never markup.

import { compareRanks, diffWords } from "./diff.js";

const WORTH_ANOTHER_TRY = new Set(["timeout", "predicted_late", "overloaded"]);
const counted = new Intl.NumberFormat("en");

/** Make an element: `make("p", { class: "note" }, "text", childNode, …)`. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** The list of examples as links, which also work without this script. */
export function exampleItems(examples) {
  return examples.map(({ label, query, hint }) =>
    make(
      "li",
      {},
      make(
        "a",
        { href: `/?q=${encodeURIComponent(query)}`, title: hint, "data-query": query },
        make("b", {}, label),
        " ",
        make("span", {}, query),
      ),
    ),
  );
}

/**
 * The bar with the decision on the query: outcome, reason, changed words, times.
 * `answer` is the answer to the request with reformulation.
 */
export function verdict(typed, answer, words, { onRetry }) {
  const { reformulation } = answer;
  if (!reformulation) {
    return [make("p", { class: "sentence" }, "This answer carries no word on reformulation.")];
  }
  const { outcome, reason } = reformulation;
  const known = words.outcomes[outcome] ?? { title: outcome, sentence: "" };
  const loading = reason === "not_ready";
  const head = make(
    "div",
    { class: "outcome" },
    make(
      "h2",
      { class: "badge", "data-outcome": loading ? "loading" : outcome },
      loading ? "Getting ready" : known.title,
    ),
    make(
      "p",
      { class: "sentence" },
      loading
        ? `${capitalized(words.reasons[reason] ?? "")}: these are the results as typed. ` +
            "The search is repeated by itself until the model is in."
        : sentence(known.sentence, words.reasons[reason]),
    ),
  );
  const parts = [head];
  if (outcome === "rewritten") {
    parts.push(changes(typed, reformulation.query ?? typed));
    const below = make("a", { href: "#as-rewritten" }, "Results as rewritten");
    parts.push(make("p", { class: "jump" }, "Further down: ", below));
  }
  parts.push(facts(answer, words));
  if (WORTH_ANOTHER_TRY.has(reason)) {
    const again = make("button", { type: "button", class: "again" }, "Search again");
    again.addEventListener("click", onRetry);
    const why = "A rewrite that comes too late is finished for the next who asks: ";
    parts.push(make("p", { class: "note" }, why, again));
  }
  parts.push(headers(answer));
  return parts;
}

/** The results as typed and, if the query was rewritten, also as rewritten. */
export function resultLists(answer, plain) {
  if (!plain) {
    return [column("as-typed", "Results", answer, (hit) => row(hit, null))];
  }
  const { moves, gone } = compareRanks(
    plain.content.hits.map((hit) => hit.id),
    answer.content.hits.map((hit) => hit.id),
  );
  const left = column("as-typed", "As typed", plain, (hit) =>
    row(hit, gone.has(hit.id) ? note("gone", "–", "drops out", "drops out") : null),
  );
  const right = column("as-rewritten", "As rewritten", answer, (hit) =>
    row(hit, moved(moves.get(hit.id))),
  );
  return [left, right];
}

/** Outcome and counts in one sentence, for screen readers. */
export function announcement(answer, plain, words) {
  const { outcome, reason } = answer.reformulation ?? {};
  const title = words.outcomes[outcome]?.title ?? "Answered";
  const why = words.reasons[reason];
  const found = `${matches(answer)}${plain ? `, ${matches(plain)} as typed` : ""}`;
  return `${title}${why ? `: ${why}` : ""}. ${found}.`;
}

function capitalized(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function sentence(start, why) {
  if (!why) return start;
  return `${start}: ${why}.`;
}

function changes(typed, sent) {
  const runs = diffWords(typed, sent);
  const any = [...runs.typed, ...runs.sent].some((run) => run.changed);
  const shown = (list, tag, label) =>
    list.flatMap(({ text, changed }) => [
      changed ? make(tag, {}, make("span", { class: "hidden" }, `${label} `), text) : text,
      " ",
    ]);
  return make(
    "dl",
    { class: "changes" },
    make("dt", {}, "Typed"),
    make("dd", {}, ...shown(runs.typed, "del", "removed:")),
    make("dt", {}, "Sent"),
    make("dd", {}, ...shown(runs.sent, "ins", "added:")),
    ...(any ? [] : [make("dd", { class: "note" }, "Only letter case or punctuation differs.")]),
  );
}

function facts({ reformulation, timings }, words) {
  const { outcome, reason, source } = reformulation;
  const list = make("dl", { class: "facts" });
  const add = (term, ...description) =>
    list.append(make("div", {}, make("dt", {}, term), make("dd", {}, ...description)));
  add("Outcome", make("code", {}, reason ? `${outcome};reason=${reason}` : outcome));
  if (source) add("Answer from", make("code", {}, source), `: ${words.sources[source] ?? ""}`);
  const rewrite = reformulation.ms ?? timings.reformulate ?? null;
  // A skipped query is decided by its text alone, without a rewrite.
  const work = outcome === "skipped" ? "Decision took" : "Rewrite took";
  if (rewrite !== null) add(work, duration(rewrite));
  if (timings.upstream !== undefined) add("Search took", duration(timings.upstream));
  return list;
}

function headers({ url, raw }) {
  const lines = raw.map(([name, value]) => `${name}: ${value}\n`);
  return make(
    "details",
    {},
    make("summary", {}, "What a program sees"),
    make("pre", {}, make("code", {}, `$ curl -i '${url.replaceAll("'", "%27")}'\n`, ...lines)),
  );
}

function column(id, title, answer, item) {
  const { hits } = answer.content;
  const heading = make(
    "header",
    {},
    make("h2", { id: `${id}-title` }, title),
    make("p", {}, matches(answer)),
  );
  const list = hits.length
    ? make("ol", { class: "hits" }, ...hits.map(item))
    : make("p", { class: "nothing" }, "Nothing matches. Try other words.");
  return make("section", { id, class: "column", "aria-labelledby": `${id}-title` }, heading, list);
}

function row(hit, mark) {
  const snippet = hit.snippet.map(({ text, match }) => (match ? make("mark", {}, text) : text));
  const start = hit.snippet.map(({ text }) => text).join("").slice(0, 24);
  const repeated = hit.summary.startsWith(start) || start.startsWith(hit.summary);
  return make(
    "li",
    { "data-mark": mark?.dataset.kind },
    make(
      "h3",
      {},
      make("span", { class: "title" }, ...breakable(hit.title)),
      hit.signature ? make("span", { class: "signature" }, hit.signature) : null,
      mark,
    ),
    repeated ? null : make("p", { class: "summary" }, hit.summary),
    make("p", { class: "snippet" }, ...snippet),
    make("p", { class: "source" }, hit.kind, " · ", ...breakable(hit.source)),
  );
}

function moved(move) {
  if (!move || move.kind === "same") return null;
  if (move.kind === "new") return note("new", "+", "new", "new in this list");
  const sign = move.kind === "up" ? "↑" : "↓";
  return note(move.kind, sign, String(move.by), `${move.kind} ${move.by}`);
}

function note(kind, sign, text, aloud) {
  return make(
    "span",
    { class: "move", "data-kind": kind, title: aloud },
    make("span", { "aria-hidden": "true" }, `${sign} ${text}`),
    make("span", { class: "hidden" }, aloud),
  );
}

/** Long names may wrap after a dot, a slash or an underscore. */
function breakable(name) {
  return name.split(/(?<=[./_])/).flatMap((part, at) => (at ? [make("wbr"), part] : [part]));
}

function matches({ content }) {
  return `${counted.format(content.total)} ${content.total === 1 ? "match" : "matches"}`;
}

function duration(ms) {
  const digits = ms < 10 ? 1 : 0;
  return make("span", { class: "ms" }, `${ms.toFixed(digits)} ms`);
}
