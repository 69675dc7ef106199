"use strict";
// Opens folded parts that a link points to, and all of them for printing; sorts tables by a column; searches split
// tables by column and row.
(() => {
  const folds = () => [...document.querySelectorAll("details")];

  function reveal() {
    const id = decodeURIComponent(location.hash.slice(1));
    const target = id && document.getElementById(id);
    if (!target) return;
    for (let part = target.closest("details"); part; part = part.parentElement.closest("details")) part.open = true;
    if (target.matches("tr")) target.querySelector("details").open = true;
    target.scrollIntoView();
  }
  addEventListener("hashchange", reveal);
  reveal();

  let closed = [];
  addEventListener("beforeprint", () => {
    closed = folds().filter(part => !part.open);
    closed.forEach(part => { part.open = true; });
  });
  addEventListener("afterprint", () => closed.forEach(part => { part.open = false; }));

  const words = input => input.value.toLowerCase().split(/\s+/).filter(Boolean);
  const matches = (text, wanted) => wanted.every(word => text.toLowerCase().includes(word));

  function search(box) {
    const columns = words(box.querySelector("[name=columns]")), rows = words(box.querySelector("[name=rows]"));
    let found = 0, all = 0;
    box.querySelectorAll(".part").forEach(part => {
      const heads = [...part.querySelectorAll("thead th")];
      const shown = heads.map((head, i) => i === 0 || matches(head.textContent, columns));
      const count = shown.filter(Boolean).length - 1;
      found += count;
      all += heads.length - 1;
      part.hidden = count === 0;
      part.open = count > 0 && columns.length + rows.length > 0;
      part.querySelectorAll("tr").forEach(row => {
        [...row.cells].forEach((cell, i) => { cell.hidden = !shown[i]; });
        row.hidden = row.parentElement.tagName === "TBODY" && !matches(row.cells[0].textContent, rows);
      });
    });
    box.querySelector("[role=status]").textContent = `${found} of ${all} columns`;
  }

  const key = cell => {
    const text = (cell.querySelector(".estimate") ?? cell).textContent.trim();
    const number = Number(text.replaceAll(",", ""));
    return text === "" || text === "–" ? null : Number.isNaN(number) ? text : number;
  };
  const compare = (a, b) => (typeof a === typeof b ? (a < b ? -1 : a > b ? 1 : 0) : typeof a === "number" ? -1 : 1);

  function sort(table, head, i) {
    const sign = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
    [...head.parentElement.cells].forEach(other => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
    const rows = [...table.tBodies[0].rows].map(row => [key(row.cells[i]), row]);
    rows.sort(([a], [b]) => (a === null || b === null ? (a === null) - (b === null) : sign * compare(a, b))); // missing last
    table.tBodies[0].append(...rows.map(([, row]) => row));
  }

  document.querySelectorAll("table.arms").forEach(table => {
    [...table.tHead.rows[0].cells].forEach((head, i) => {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "sort";
      button.title = "sort by this column";
      button.append(...head.childNodes);
      button.onclick = () => sort(table, head, i);
      head.append(button);
    });
  });

  document.querySelectorAll(".parts").forEach(box => {
    box.querySelector(".search").hidden = false;
    box.addEventListener("input", () => search(box));
  });
})();
