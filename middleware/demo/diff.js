// Compares two queries, and two lists of results.

/**
 * Split both texts into runs of equal or changed words, by a longest common subsequence.
 * Returns `{ typed, sent }`, each a list of `{ text, changed }`. Letter case and
 * punctuation around a word don't count as changes.
 */
export function diffWords(typed, sent) {
  const before = typed.split(/\s+/).filter(Boolean);
  const after = sent.split(/\s+/).filter(Boolean);
  const lengths = commonLengths(before.map(core), after.map(core));
  const runs = { typed: [], sent: [] };
  let i = 0;
  let j = 0;
  while (i < before.length || j < after.length) {
    const both = i < before.length && j < after.length;
    if (both && core(before[i]) === core(after[j])) {
      push(runs.typed, before[i++], false);
      push(runs.sent, after[j++], false);
    } else if (j >= after.length || (both && lengths[i + 1][j] >= lengths[i][j + 1])) {
      push(runs.typed, before[i++], true);
    } else {
      push(runs.sent, after[j++], true);
    }
  }
  return runs;
}

/**
 * Compare the ranks of the new list with the old one: a map from id to
 * `{ kind: "new" | "up" | "down" | "same", by }`, and the set of ids that are gone.
 */
export function compareRanks(oldIds, newIds) {
  const places = new Map(oldIds.map((id, place) => [id, place]));
  const moves = new Map();
  newIds.forEach((id, place) => {
    const old = places.get(id);
    if (old === undefined) moves.set(id, { kind: "new", by: 0 });
    else if (old === place) moves.set(id, { kind: "same", by: 0 });
    else moves.set(id, { kind: old > place ? "up" : "down", by: Math.abs(old - place) });
  });
  return { moves, gone: new Set(oldIds.filter((id) => !moves.has(id))) };
}

// Not all symbols: "c++" and "c" are different words.
const SENTENCE_SIGNS = /^[.,;:!?"'()[\]…“”‘’«»]+|[.,;:!?"'()[\]…“”‘’«»]+$/g;

function core(word) {
  const bare = word.toLowerCase().replace(SENTENCE_SIGNS, "");
  return bare || word;
}

function commonLengths(before, after) {
  const table = Array.from({ length: before.length + 1 }, () =>
    new Uint16Array(after.length + 1),
  );
  for (let i = before.length - 1; i >= 0; i--) {
    for (let j = after.length - 1; j >= 0; j--) {
      table[i][j] =
        before[i] === after[j]
          ? table[i + 1][j + 1] + 1
          : Math.max(table[i + 1][j], table[i][j + 1]);
    }
  }
  return table;
}

function push(runs, word, changed) {
  const last = runs.at(-1);
  if (last && last.changed === changed) last.text += ` ${word}`;
  else runs.push({ text: word, changed });
}
