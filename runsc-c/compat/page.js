/* SPDX-License-Identifier: Apache-2.0 */
/* Filter, sort and fold. Without it the page shows everything. */
"use strict";
(() => {
  const list = document.getElementById("programs");
  const rows = [...list.querySelectorAll("details.p")];
  const query = document.getElementById("query");
  const toggles = [...document.querySelectorAll("[data-verdict]")];
  const sorters = [...document.querySelectorAll("[data-sort]")];
  const order = ["fail", "timeout", "differ", "pass", "skip"];

  function filter() {
    const words = query.value.toLowerCase().split(/\s+/).filter(Boolean);
    const on = new Set(toggles.filter(t => t.getAttribute("aria-pressed") === "true").map(t => t.dataset.verdict));
    let shown = 0;
    for (const row of rows) {
      const text = row.dataset.text;
      row.hidden = !row.dataset.verdicts.split(" ").some(v => on.has(v)) || !words.every(w => text.includes(w));
      shown += !row.hidden;
    }
    document.getElementById("shown").textContent = `${shown} of ${rows.length} programs`;
    document.getElementById("empty").hidden = shown > 0;
  }

  function key(row, by) {
    if (by === "name" || by === "suite")
      return by === "name" ? row.dataset.name : Number(row.dataset.index);
    if (by === "verdict")
      return Math.min(...row.dataset.verdicts.split(" ").map(v => order.indexOf(v)));
    return Number(row.dataset[by]);
  }

  function sort(by, descending) {
    const sign = descending ? -1 : 1;
    rows.sort((a, b) => {
      const x = key(a, by), y = key(b, by);
      return sign * (x < y ? -1 : x > y ? 1 : 0) || a.dataset.index - b.dataset.index;
    });
    list.append(...rows);
    for (const s of sorters) {
      if (s.dataset.sort === by)
        s.setAttribute("aria-sort", descending ? "descending" : "ascending");
      else
        s.removeAttribute("aria-sort");
    }
  }

  /* An opened program shows where the traces part. */
  for (const row of rows) {
    row.addEventListener("toggle", () => {
      for (const at of row.querySelectorAll("tr.at")) {
        const box = at.closest(".scroll");
        box.scrollTop = at.offsetTop - box.clientHeight / 3;
      }
    });
  }
  query.addEventListener("input", filter);
  for (const t of toggles) {
    t.addEventListener("click", () => {
      t.setAttribute("aria-pressed", String(t.getAttribute("aria-pressed") !== "true"));
      filter();
    });
  }
  for (const s of sorters)
    s.addEventListener("click", () => sort(s.dataset.sort, s.getAttribute("aria-sort") === "ascending"));
  document.getElementById("open").addEventListener("click", () => {
    const shown = rows.filter(r => !r.hidden);
    const open = !shown.every(r => r.open);
    for (const r of shown)
      r.open = open;
  });
  document.addEventListener("keydown", e => {
    if (e.key === "/" && document.activeElement !== query) {
      e.preventDefault();
      query.focus();
    } else if (e.key === "Escape" && document.activeElement === query) {
      query.value = "";
      filter();
    }
  });
  document.querySelector(".tools").hidden = false;
  if (location.hash) {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target && target.matches("details"))
      target.open = true;
  }
  filter();
})();
