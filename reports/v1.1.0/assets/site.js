// Search, filters, sorting and the explorer. Pages are whole without it.
"use strict";
(() => {
  const root = document.body.dataset.root;
  const fold = (text) => text.toLowerCase().normalize("NFD").replace(/[\u0300-\u036f]/g, "");
  const make = (tag, text, attributes) => {
    const node = document.createElement(tag);
    if (text !== undefined) node.textContent = text;
    for (const [name, value] of Object.entries(attributes || {})) node.setAttribute(name, value);
    return node;
  };
  const load = (source) =>
    new Promise((done, failed) => {
      const script = make("script", undefined, { src: source });
      script.onload = done;
      script.onerror = failed;
      document.head.append(script);
    });

  document.querySelectorAll("[data-noscript]").forEach((note) => note.remove());

  // Search over works, claims, estimates and pages; the index is read when it is first needed.
  const input = document.getElementById("search");
  const found = document.getElementById("found");
  if (input) {
    input.parentElement.hidden = false;
    let ready;
    const show = async () => {
      ready = ready || load(`${root}assets/search-index.js`);
      await ready;
      const words = fold(input.value).split(/\s+/).filter(Boolean);
      found.replaceChildren();
      found.hidden = words.length === 0;
      if (found.hidden) return;
      const hits = window.SEARCH.filter((entry) => {
        const text = (entry.folded = entry.folded || fold(`${entry[0]} ${entry[1]}`));
        return words.every((word) => text.includes(word));
      }).slice(0, 12);
      for (const [title, about, path] of hits) {
        const link = make("a", title, { href: `${root}${path}` });
        link.append(make("small", about));
        const item = make("li");
        item.append(link);
        found.append(item);
      }
      if (!hits.length) found.append(make("li", input.dataset.none));
    };
    input.addEventListener("input", show);
    input.addEventListener("focus", show);
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape") found.hidden = true;
      if (event.key === "/" && !/INPUT|SELECT|TEXTAREA/.test(document.activeElement.tagName)) {
        event.preventDefault();
        input.focus();
      }
      if (event.key === "ArrowDown" && document.activeElement === input) {
        const first = found.querySelector("a");
        if (first) {
          event.preventDefault();
          first.focus();
        }
      }
    });
    document.addEventListener("click", (event) => {
      if (!event.target.closest(".search")) found.hidden = true;
    });
  }

  // Tables sort by their headers.
  const value = (cell) => cell.dataset.value || (cell.querySelector(".verdict") || cell).textContent.trim();
  const number = (text) => {
    const plain = text.replace(/−/g, "-").replace(/[\s,%]/g, "").replace(/^(-?)\./, "$10.");
    return /^-?\d/.test(plain) ? parseFloat(plain) : NaN;
  };
  const order = (a, b) => {
    const [x, y] = [number(a), number(b)];
    if (!Number.isNaN(x) && !Number.isNaN(y)) return x - y;
    if (Number.isNaN(x) !== Number.isNaN(y)) return Number.isNaN(x) ? 1 : -1;
    return a.localeCompare(b);
  };
  const sortable = (table) => {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      const button = make("button", head.textContent, { type: "button" });
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") === "ascending";
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const rows = [...table.tBodies[0].rows];
        rows.sort((a, b) => order(value(a.cells[column]), value(b.cells[column])) * (down ? -1 : 1));
        table.tBodies[0].append(...rows);
      });
    });
  };
  document.querySelectorAll("table[data-table]").forEach(sortable);

  // Filters: a text field and a list for each marked column, for all tables of a group and the strip.
  const labelled = (text, control) => {
    const label = make("label", text);
    label.append(control);
    return label;
  };
  document.querySelectorAll("[data-filters]").forEach((bar) => {
    const tables = [...document.querySelectorAll(`table[data-group="${bar.dataset.filters}"]`)];
    if (!tables.length) return;
    const words = bar.dataset;
    const text = make("input", undefined, { type: "search" });
    bar.append(labelled(words.text, text));
    const lists = [];
    tables[0].querySelectorAll("th[data-filter]").forEach((head) => {
      const list = make("select");
      const options = new Map();
      tables.forEach((table) => [...table.tBodies[0].rows].forEach((row) => {
        const cell = row.cells[head.cellIndex];
        options.set(value(cell), cell.dataset.key || value(cell));
      }));
      list.append(make("option", words.all, { value: "" }));
      [...options.keys()].sort((a, b) => a.localeCompare(b)).forEach((name) => list.append(make("option", name, { value: options.get(name) })));
      lists.push([head.cellIndex, list]);
      bar.append(labelled(head.textContent, list));
    });
    const count = make("output");
    bar.append(count);
    const apply = () => {
      const wanted = fold(text.value).split(/\s+/).filter(Boolean);
      let shown = 0;
      let all = 0;
      tables.forEach((table) => [...table.tBodies[0].rows].forEach((row) => {
        const folded = (row.folded = row.folded || fold(row.textContent));
        const fits = wanted.every((word) => folded.includes(word)) &&
          lists.every(([column, list]) => !list.value || (row.cells[column].dataset.key || value(row.cells[column])) === list.value);
        row.hidden = !fits;
        shown += fits;
        all += 1;
      }));
      count.textContent = `${shown} / ${all}`;
      const keys = lists.map(([, list]) => list.value).filter(Boolean);
      document.querySelectorAll("[data-strip] [data-key]").forEach((mark) => {
        const has = mark.dataset.key.split(" ");
        mark.classList.toggle("hidden", !keys.every((key) => has.includes(key)));
      });
    };
    text.addEventListener("input", apply);
    lists.forEach(([, list]) => list.addEventListener("change", apply));
    const verdict = decodeURIComponent(location.hash.slice(1));
    lists.forEach(([, list]) => {
      if ([...list.options].some((option) => option.value === verdict)) list.value = verdict;
    });
    window.addEventListener("hashchange", () => {
      const name = decodeURIComponent(location.hash.slice(1));
      lists.forEach(([, list]) => {
        if ([...list.options].some((option) => option.value === name)) list.value = name;
      });
      apply();
    });
    bar.hidden = false;
    apply();
  });

  // Marks of a figure say what they are when pointed at or focused, and can be found by name.
  document.querySelectorAll("figure[data-tips]").forEach((figure) => {
    const marks = [...figure.querySelectorAll("svg title")].map((title) => [title.closest("a") || title.parentNode, title.textContent]);
    const tip = make("div", "", { class: "tip" });
    tip.hidden = true;
    figure.append(tip);
    marks.forEach(([mark, name]) => {
      mark.setAttribute("aria-label", name);
      mark.querySelectorAll("title").forEach((title) => title.remove());
      const show = () => {
        const [here, box] = [mark.getBoundingClientRect(), figure.getBoundingClientRect()];
        tip.textContent = name;
        tip.hidden = false;
        const left = Math.min(here.left - box.left + 10, box.width - tip.offsetWidth - 4);
        Object.assign(tip.style, { left: `${Math.max(0, left)}px`, top: `${here.bottom - box.top + 6}px` });
      };
      const hide = () => { tip.hidden = true; };
      mark.addEventListener("mouseenter", show);
      mark.addEventListener("mouseleave", hide);
      mark.addEventListener("focus", show);
      mark.addEventListener("blur", hide);
    });
    if (!figure.dataset.text) return;
    const find = make("input", undefined, { type: "search" });
    const bar = make("div", undefined, { class: "filters" });
    bar.append(labelled(figure.dataset.text, find));
    figure.prepend(bar);
    find.addEventListener("input", () => {
      const wanted = fold(find.value);
      marks.forEach(([mark, name]) => mark.classList.toggle("faint", !fold(name).includes(wanted)));
    });
  });

  // The explorer: all correlations, filtered and sorted here, a hundred at a time.
  const explorer = document.querySelector("[data-explorer]");
  if (explorer) explore(explorer);

  async function explore(place) {
    await load(place.dataset.script);
    const { words, rows } = window.ROWS;
    const names = place.dataset.columns.split(",");
    const say = JSON.parse(place.dataset.words);
    const cell = (coded) => (Array.isArray(coded) ? words[coded[0]] : coded === null ? "" : coded);
    const table = rows.map((row) => row.map(cell));
    const bar = make("div", undefined, { class: "filters" });
    const text = make("input", undefined, { type: "search" });
    bar.append(labelled(say.search, text));
    const lists = ["work", "unit", "var_a", "var_b", "country", "reading"].map((name) => {
      const column = names.indexOf(name);
      const list = make("select");
      list.append(make("option", say.all, { value: "" }));
      [...new Set(table.map((row) => row[column]))].filter((v) => v !== "").sort().forEach((v) => list.append(make("option", v, { value: v })));
      bar.append(labelled(name, list));
      return [column, list];
    });
    const count = make("output");
    const save = make("button", say.download, { type: "button" });
    bar.append(count, save);
    const scroll = make("div", undefined, { class: "scroll", tabindex: "0", role: "region", "aria-label": say.table });
    const grid = make("table", undefined, { class: "numbers" });
    const head = make("tr");
    const body = make("tbody");
    const more = make("button", say.next, { type: "button" });
    const bottom = make("div", undefined, { class: "filters" });
    bottom.append(more);
    let shown = 100;
    let current = table;
    let sorted = [-1, 1];
    names.forEach((name, column) => {
      const th = make("th", undefined, { scope: "col" });
      const button = make("button", name, { type: "button" });
      button.addEventListener("click", () => {
        sorted = [column, sorted[0] === column ? -sorted[1] : 1];
        [...head.cells].forEach((other) => other.removeAttribute("aria-sort"));
        th.setAttribute("aria-sort", sorted[1] > 0 ? "ascending" : "descending");
        apply();
      });
      th.append(button);
      head.append(th);
    });
    const thead = make("thead");
    thead.append(head);
    grid.append(thead, body);
    scroll.append(grid);
    place.append(bar, scroll, bottom);
    const draw = () => {
      body.replaceChildren(...current.slice(0, shown).map((row) => {
        const tr = make("tr");
        names.forEach((name, column) => {
          const td = make(column ? "td" : "th", column ? row[column] : undefined);
          if (!column) td.append(make("a", row[0], { href: `${root}${row[names.length]}#${row[0]}` }));
          if (typeof row[column] === "number") td.className = "right";
          tr.append(td);
        });
        return tr;
      }));
      count.textContent = `${current.length} ${say.shown} ${table.length}`;
      more.hidden = shown >= current.length;
    };
    const apply = () => {
      const wanted = fold(text.value).split(/\s+/).filter(Boolean);
      current = table.filter((row) => lists.every(([column, list]) => !list.value || String(row[column]) === list.value) &&
        (!wanted.length || wanted.every((word) => fold(row.join(" ")).includes(word))));
      if (sorted[0] >= 0) current.sort((a, b) => order(String(a[sorted[0]]), String(b[sorted[0]])) * sorted[1]);
      draw();
    };
    const quoted = (v) => (/[",\n]/.test(v) ? `"${String(v).replace(/"/g, '""')}"` : v);
    save.addEventListener("click", () => {
      const lines = [names, ...current.map((row) => row.slice(0, names.length))].map((row) => row.map(quoted).join(","));
      const link = make("a", "", { href: URL.createObjectURL(new Blob([lines.join("\n") + "\n"], { type: "text/csv" })), download: "rows.csv" });
      link.click();
      URL.revokeObjectURL(link.href);
    });
    text.addEventListener("input", apply);
    lists.forEach(([, list]) => list.addEventListener("change", apply));
    more.addEventListener("click", () => {
      shown += 200;
      draw();
    });
    apply();
  }
})();
