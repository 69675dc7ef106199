"use strict";
// Filters the ledger. Without this, all of it is shown.
(() => {
  const filters = document.querySelector(".filters");
  const rows = [...document.querySelectorAll(".ledger tbody tr")];
  const texts = new Map(rows.map(row => [row, row.textContent.replace(/\s+/g, " ").toLowerCase()]));
  const verdicts = [...filters.querySelectorAll("[data-verdict]")];
  const pressed = button => button.getAttribute("aria-pressed") === "true";
  const press = (button, on) => button.setAttribute("aria-pressed", String(on));
  const field = name => filters.querySelector(`[name=${name}]`);

  function apply() {
    const chosen = verdicts.filter(pressed).map(button => button.dataset.verdict);
    const words = field("words").value.toLowerCase().split(/\s+/).filter(Boolean);
    const wanted = row =>
      (!chosen.length || chosen.includes(row.dataset.verdict)) &&
      ["study", "document"].every(name => [row.dataset[name], ""].includes(field(name).value)) &&
      words.every(word => texts.get(row).includes(word));
    rows.forEach(row => { row.hidden = !wanted(row); });
    const shown = rows.filter(row => !row.hidden).length;
    filters.querySelector(".count").textContent = `${shown} of ${rows.length} statements`;
  }

  verdicts.forEach(button => button.addEventListener("click", () => {
    press(button, !pressed(button));
    apply();
  }));
  filters.addEventListener("input", apply);
  filters.querySelector(".reset").addEventListener("click", () => {
    verdicts.forEach(button => { press(button, false); });
    ["study", "document", "words"].forEach(name => { field(name).value = ""; });
    apply();
  });
  filters.hidden = false;
  apply();
})();
