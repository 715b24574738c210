"use strict";
// The page is complete without this: it adds quick tips, sorting, copying and the readout of the task table.
(() => {
  const tip = document.getElementById("tip");

  const show = (mark) => {
    const [head, ...rest] = mark.dataset.tip.split("\n");
    const title = document.createElement("b");
    title.textContent = head;
    tip.replaceChildren(title, rest.join("\n"));
    tip.hidden = false;
    const at = mark.querySelector(".shape").getBoundingClientRect();
    const left = at.right + 12 + tip.offsetWidth > innerWidth ? at.left - 12 - tip.offsetWidth : at.right + 12;
    tip.style.left = Math.max(8, left) + "px";
    tip.style.top = Math.max(8, Math.min(at.top, innerHeight - tip.offsetHeight - 8)) + "px";
  };
  for (const mark of document.querySelectorAll(".mark")) {
    mark.querySelector("title").remove(); // the browser's own tip, slow and plain
    for (const event of ["pointerenter", "focus"]) mark.addEventListener(event, () => show(mark));
    for (const event of ["pointerleave", "blur"]) mark.addEventListener(event, () => { tip.hidden = true; });
  }

  const value = (cell) => cell.dataset.v ?? cell.textContent.trim();
  const sort = (button) => {
    const head = button.closest("th");
    const body = head.closest("table").tBodies[0];
    const column = head.cellIndex;
    const before = head.getAttribute("aria-sort");
    const down = before ? before === "ascending" : head.dataset.first === "down";
    const rows = [...body.rows].map((row) => [value(row.cells[column]), row]);
    rows.sort(([a], [b]) => {
      if (a === "" || b === "") return (a === "") - (b === ""); // what is not known comes last either way
      const order = isNaN(a) || isNaN(b) ? a.localeCompare(b, "en", { numeric: true }) : a - b;
      return down ? -order : order;
    });
    for (const other of head.parentNode.cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    body.append(...rows.map(([, row]) => row));
  };
  for (const button of document.querySelectorAll("th button")) button.addEventListener("click", () => sort(button));

  for (const button of document.querySelectorAll(".copy")) {
    const text = document.getElementById(button.dataset.copies);
    button.hidden = false;
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(text.textContent);
        button.textContent = "Copied";
      } catch {
        getSelection().selectAllChildren(text); // no clipboard here: leave it selected
        button.textContent = "Selected, press Ctrl+C";
      }
    });
  }

  const tasks = document.getElementById("task-cells");
  if (tasks) {
    const readout = document.getElementById("readout");
    tasks.addEventListener("pointerover", (event) => {
      const cell = event.target.closest("td.h");
      if (!cell) return;
      const row = cell.parentNode;
      const name = tasks.tHead.rows[0].cells[cell.cellIndex].textContent.trim();
      const answer = cell.dataset.answer === undefined ? "" : ` · answer ${cell.dataset.answer}`;
      readout.textContent = `${row.cells[0].textContent} · ${name} · score ${cell.dataset.v ? cell.textContent : "missing"}${answer}`;
    });
  }
})();
