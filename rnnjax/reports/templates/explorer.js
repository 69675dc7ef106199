"use strict";
// The reader predicts the best cell of the grid; then it is shown, a choice at a time. Without this, all of it is.
(() => {
  const root = document.querySelector(".explorer");
  const part = name => root.querySelector(name);
  const predict = part(".predict"), revealed = part(".revealed"), outcome = part(".outcome");
  const guesses = [...predict.querySelectorAll("select")];
  const choices = [...root.querySelectorAll(".choose select")];
  const rows = [...root.querySelectorAll(".cells tbody tr")];
  const ranked = rows.filter(row => row.dataset.rank);
  const best = ranked.find(row => row.dataset.rank === "1");

  const place = row => row.dataset.at.split(" ");
  const words = row => place(row).map((value, i) => {
    const name = guesses[i].parentElement.firstChild.textContent.trim();
    return `${name} ${guesses[i].options[value].textContent}`;
  }).join(", ");
  const measured = row => row.querySelector(".number")?.textContent.replace(/\s+/g, " ").trim() ?? "nothing";

  function verdict(row) {
    if (!row) return "There is no such cell.";
    const own = `Your guess, ${words(row)}: ${measured(row)}.`;
    if (!row.dataset.rank) return `${own} Not every run of it ended with a number, so it has no place.`;
    if (row === best) return `${own} It is the best of ${ranked.length}.`;
    const near = "tied" in row.dataset ? "; the two are not told apart" : "";
    return `${own} Place ${row.dataset.rank} of ${ranked.length}${near}.`;
  }

  function filter() {
    const wanted = choices.map(select => select.value);
    rows.forEach(row => { row.hidden = !wanted.every((value, i) => place(row)[i] === value); });
  }

  function reveal(guess) {
    const found = rows.find(row => place(row).join(" ") === guess?.join(" "));
    const known = best && best !== found ? ` Best: ${words(best)}: ${measured(best)}.` : "";
    outcome.textContent = guess ? verdict(found) + known : known.trim();
    const start = guess ?? (best ? place(best) : []);
    choices.forEach((select, i) => { select.value = start[i] ?? "0"; });
    predict.hidden = true;
    revealed.hidden = false;
    filter();
    outcome.focus();
  }

  root.classList.add("live");
  predict.hidden = part(".choose").hidden = false;
  revealed.hidden = true;
  choices.forEach(select => select.addEventListener("change", filter));
  part(".guess").addEventListener("click", () => reveal(guesses.map(select => select.value)));
  part(".skip").addEventListener("click", () => reveal(null));
})();
