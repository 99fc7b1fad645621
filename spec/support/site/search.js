"use strict";
// The search box: every word asked for must be in an entry's title or text. INDEX, a list of
// {title, url, kind, text}, stands above, so that pages work from file:// too.

function wordsOf(question) {
  return question.toLowerCase().split(/[\s()]+/).filter(Boolean);
}

// How well an entry answers one word; 0 where it doesn't.
function scoreOfWord(entry, word) {
  const title = entry.title.toLowerCase();
  const last = title.split(/[.:]/).pop();
  if (title === word || last === word) return 100;
  if (title.startsWith(word) || last.startsWith(word)) return 50;
  if (title.includes(word)) return 30;
  const text = " " + entry.text.toLowerCase();
  if (text.includes(" " + word)) return 5;
  return text.includes(word) ? 1 : 0;
}

function scoreOf(entry, words) {
  let sum = 0;
  for (const word of words) {
    const score = scoreOfWord(entry, word);
    if (score === 0) return 0;
    sum += score;
  }
  return sum + (entry.kind === "guide" ? 1 : 0);
}

// The entries that answer a question, the best first.
function search(index, question, limit) {
  const words = wordsOf(question);
  if (words.length === 0) return [];
  return index
    .map((entry) => ({ entry, score: scoreOf(entry, words) }))
    .filter((hit) => hit.score > 0)
    .sort((a, b) => b.score - a.score || a.entry.title.length - b.entry.title.length)
    .slice(0, limit)
    .map((hit) => hit.entry);
}

// The part of a text around the first word that is found in it.
function excerpt(text, words) {
  const places = words.map((word) => text.toLowerCase().indexOf(word)).filter((at) => at >= 0);
  const from = Math.max(0, (places.length ? Math.min(...places) : 0) - 40);
  const start = from === 0 ? 0 : text.indexOf(" ", from) + 1;
  return (start > 0 ? "… " : "") + text.slice(start, start + 140) + (text.length > start + 140 ? " …" : "");
}

function itemOf(entry, words) {
  const item = document.createElement("li");
  const link = document.createElement("a");
  const note = document.createElement("span");
  link.href = entry.url;
  link.textContent = entry.title;
  note.textContent = " " + entry.kind + " — " + excerpt(entry.text, words);
  item.append(link, note);
  return item;
}

function start() {
  const box = document.getElementById("search");
  const list = document.getElementById("results");
  function show() {
    const hits = search(INDEX, box.value, 20);
    const words = wordsOf(box.value);
    list.replaceChildren(...hits.map((entry) => itemOf(entry, words)));
    if (hits.length === 0 && words.length > 0) list.textContent = "Nothing found.";
    list.hidden = words.length === 0;
  }
  box.addEventListener("input", show);
  box.addEventListener("keydown", (event) => {
    const first = list.querySelector("a");
    if (event.key === "Enter" && first) window.location.href = first.href;
    if (event.key === "Escape") { box.value = ""; show(); }
  });
  list.addEventListener("click", () => { list.hidden = true; });
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && document.activeElement !== box) { event.preventDefault(); box.focus(); }
  });
}

if (typeof document === "undefined") module.exports = { INDEX, search, excerpt };
else document.addEventListener("DOMContentLoaded", start);
