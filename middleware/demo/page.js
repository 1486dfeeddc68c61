// Controls the page: it searches with reformulation and, if the query was rewritten, also as
// typed. It keeps the address up to date and handles the keyboard.

import { readReformulation, readTimings } from "./reading.js";
import { announcement, exampleItems, make, resultLists, verdict } from "./view.js";

const RETRY_MS = 1500;
const SHOWN_HEADERS = ["Query-Reformulation", "Server-Timing", "Content-Type"];

const form = document.getElementById("search");
const box = document.getElementById("q");
const statusLine = document.getElementById("status");
const verdictBar = document.getElementById("verdict");
const results = document.getElementById("results");
const welcome = document.getElementById("welcome");

let words = { outcomes: {}, reasons: {}, sources: {} };
let running = null; // the AbortController of the current search
let shown = null; // the query that the page shows
let retry = null; // the timer of a repeated search

async function json(path) {
  const response = await fetch(path);
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
  return response.json();
}

/** Call the search API; return the results and what the headers tell. */
async function ask(query, { asTyped = false, signal }) {
  const url = `/search?q=${encodeURIComponent(query)}`;
  const headers = asTyped ? { "Query-Reformulation-Control": "off" } : {};
  const response = await fetch(url, { headers, signal, cache: "no-store" });
  const type = response.headers.get("Content-Type") ?? "";
  const content = type.includes("json") ? await response.json() : null;
  if (!response.ok || !Array.isArray(content?.hits)) {
    const said = content?.error?.message ?? content?.error ?? "";
    throw new Error(`the search API answered ${response.status} ${said}`.trim());
  }
  return {
    content,
    url: new URL(url, location.href).href,
    reformulation: readReformulation(response.headers.get("Query-Reformulation")),
    timings: readTimings(response.headers.get("Server-Timing")),
    raw: SHOWN_HEADERS.map((name) => [name, response.headers.get(name)]).filter(([, v]) => v),
  };
}

async function search(query, { quiet = false } = {}) {
  running?.abort();
  clearTimeout(retry);
  running = new AbortController();
  const { signal } = running;
  if (!quiet) {
    document.body.setAttribute("aria-busy", "true");
    statusLine.textContent = "Searching";
  }
  try {
    const answer = await ask(query, { signal });
    const rewritten = answer.reformulation?.outcome === "rewritten";
    const plain = rewritten ? await ask(query, { asTyped: true, signal }) : null;
    show(query, answer, plain, quiet);
  } catch (error) {
    if (!signal.aborted) fail(error);
  } finally {
    if (!signal.aborted) document.body.removeAttribute("aria-busy");
  }
}

function show(query, answer, plain, quiet) {
  const loading = answer.reformulation?.reason === "not_ready";
  if (loading) retry = setTimeout(() => search(query, { quiet: true }), RETRY_MS);
  if (loading && quiet) return; // nothing has changed
  const again = async () => {
    await search(query);
    verdictBar.focus(); // the focused button was removed
  };
  verdictBar.replaceChildren(...verdict(query, answer, words, { onRetry: again }));
  results.replaceChildren(...resultLists(answer, plain));
  results.dataset.columns = plain ? "2" : "1";
  verdictBar.hidden = false;
  welcome.hidden = true;
  statusLine.textContent = announcement(answer, plain, words);
}

function fail(error) {
  const unreachable = error instanceof TypeError;
  const said = unreachable
    ? "The server does not answer. Is querylift demo still running?"
    : `That went wrong: ${error.message}.`;
  verdictBar.hidden = true;
  welcome.hidden = true;
  results.replaceChildren(make("p", { class: "failure" }, said));
  statusLine.textContent = said;
}

function clear() {
  running?.abort();
  clearTimeout(retry);
  verdictBar.hidden = true;
  results.replaceChildren();
  welcome.hidden = false;
  statusLine.textContent = "";
}

function asked() {
  return new URLSearchParams(location.search).get("q") ?? "";
}

/** Search for the query in the address, after a deep link or a step in the history. */
function follow() {
  const query = asked();
  shown = query;
  box.value = query;
  document.title = query ? `${query} – Querylift demo` : "Querylift demo";
  if (query.trim()) return search(query);
  clear();
}

function go(query) {
  const address = query ? `/?q=${encodeURIComponent(query)}` : "/";
  if (address !== location.pathname + location.search) history.pushState(null, "", address);
  return follow();
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  go(box.value);
});

document.getElementById("examples").addEventListener("click", (event) => {
  const link = event.target.closest("a[data-query]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  go(link.dataset.query);
});

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest?.("input, textarea, [contenteditable]");
  if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
    event.preventDefault();
    box.focus();
    box.select();
  }
});

addEventListener("popstate", () => {
  if (asked() !== shown) follow(); // not for a step within the same page
});

async function start() {
  try {
    words = await json("/demo/vocabulary.json");
    const about = await json("/demo/examples.json");
    const size = about.documents ? `${about.documents.toLocaleString("en")} documents. ` : "";
    document.getElementById("collection").textContent = size + about.collection;
    const nav = document.getElementById("examples");
    nav.querySelector("ul").replaceChildren(...exampleItems(about.examples));
    nav.hidden = about.examples.length === 0;
  } catch (error) {
    fail(error);
    return;
  }
  await follow();
}

start();
