// Filters, sorting and the explorer. Pages are whole without it.
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
  // The button lies over the words of its head: browsers repeat words on every sheet of paper, but no buttons.
  const sorter = (head) => {
    const button = make("button", "", { type: "button", "aria-label": head.textContent });
    head.append(button);
    head.classList.add("sorts");
    return button;
  };
  const sortable = (table) => {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      const button = sorter(head);
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

  // The state of filters stands in the address, so that what is seen can be sent. From disk some browsers refuse that.
  const asked = new URLSearchParams(location.search);
  const keep = (state) => {
    for (const [name, value] of Object.entries(state)) value ? asked.set(name, value) : asked.delete(name);
    const query = asked.toString();
    try { history.replaceState(null, "", (query ? `?${query}` : location.pathname) + location.hash); } catch { /* shown all the same */ }
  };
  const labelled = (text, control) => {
    const label = make("label", text);
    label.append(control);
    return label;
  };
  const chooser = (name, all, options) => {
    const chosen = asked.get(name);
    const list = make("select", undefined, { name });
    list.append(make("option", all, { value: "" }));
    options.forEach(([key, name]) => list.append(make("option", name, { value: key })));
    list.value = options.some(([key]) => key === chosen) ? chosen : "";
    return list;
  };
  const byName = (a, b) => a[1].localeCompare(b[1]);

  // Filters of the tables of a page: a text field, and a list for each marked column.
  document.querySelectorAll("[data-filters]").forEach((bar) => {
    const tables = [...document.querySelectorAll(`table[data-group="${bar.dataset.filters}"]`)];
    if (!tables.length) return;
    const words = bar.dataset;
    const rows = tables.flatMap((table) => [...table.tBodies[0].rows]);
    const text = make("input", undefined, { type: "search" });
    text.value = asked.get("q") || "";
    bar.append(labelled(words.text, text));
    const lists = [...tables[0].querySelectorAll("th[data-filter]")].map((head) => {
      const column = head.cellIndex;
      const options = new Map(rows.map((row) => [value(row.cells[column]), value(row.cells[column])]));
      const list = chooser(head.dataset.filter, words.all, [...options].sort(byName));
      bar.append(labelled(head.textContent, list));
      return [head.dataset.filter, column, list];
    });
    const count = make("output");
    bar.append(count);
    const apply = () => {
      const wanted = fold(text.value).split(/\s+/).filter(Boolean);
      let shown = 0;
      rows.forEach((row) => {
        const folded = (row.folded = row.folded || fold(row.textContent));
        const fits = wanted.every((word) => folded.includes(word)) &&
          lists.every(([, column, list]) => !list.value || value(row.cells[column]) === list.value);
        row.hidden = !fits;
        shown += fits;
      });
      count.textContent = `${shown} / ${rows.length}`;
      keep({ q: text.value, ...Object.fromEntries(lists.map(([name, , list]) => [name, list.value])) });
    };
    text.addEventListener("input", apply);
    lists.forEach(([, , list]) => list.addEventListener("change", apply));
    bar.hidden = false;
    apply();
  });

  // A drawing saved as PNG, at three times its size, in the colours it is shown in.
  const LOOKS = ["fill", "fill-opacity", "stroke", "stroke-width", "stroke-dasharray", "stroke-opacity", "font-family", "font-size",
    "font-weight", "paint-order", "text-anchor", "visibility"];
  document.querySelectorAll("[data-png]").forEach((place) => {
    const svg = document.querySelector("figure.only-wide svg");
    const button = make("button", place.dataset.text, { type: "button" });
    place.append(button);
    button.addEventListener("click", () => {
      const copy = svg.cloneNode(true);
      const [, , width, height] = svg.getAttribute("viewBox").split(" ").map(Number);
      copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
      copy.setAttribute("width", 3 * width);
      copy.setAttribute("height", 3 * height);
      // As attributes: an image of its own reads no style sheet of the page.
      const shown = [svg, ...svg.querySelectorAll("*")];
      [copy, ...copy.querySelectorAll("*")].forEach((node, i) => {
        const style = getComputedStyle(shown[i]);
        LOOKS.forEach((look) => node.setAttribute(look, style.getPropertyValue(look)));
      });
      const source = URL.createObjectURL(new Blob([new XMLSerializer().serializeToString(copy)], { type: "image/svg+xml" }));
      const image = new Image();
      image.onload = () => {
        const canvas = make("canvas", undefined, { width: 3 * width, height: 3 * height });
        const context = canvas.getContext("2d");
        context.fillStyle = getComputedStyle(svg).backgroundColor;
        context.fillRect(0, 0, canvas.width, canvas.height);
        context.drawImage(image, 0, 0, canvas.width, canvas.height);
        canvas.toBlob((blob) => {
          const link = make("a", "", { href: URL.createObjectURL(blob), download: place.dataset.png });
          link.click();
          [source, link.href].forEach((address) => URL.revokeObjectURL(address));
        });
      };
      image.src = source;
    });
  });

  // Marks of a figure say what they are when pointed at or focused, and can be found by name.
  document.querySelectorAll("figure[data-tips]").forEach((figure) => {
    const marks = [...figure.querySelectorAll("svg title")].map((title) => [title.closest("a") || title.parentNode, title.textContent]);
    const tip = make("div", "", { class: "tip" });
    tip.hidden = true;
    figure.append(tip);
    marks.forEach(([mark, name]) => {
      mark.setAttribute("aria-label", name);
      if (!mark.matches("a")) mark.setAttribute("role", "img"); // a shape without a role may bear no name
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

  // The rows of a table that a script holds column by column (search.py, script_table): every cell, or one value for all
  // rows, or texts with the number of that of each row. Also what explore.js reads.
  const cellOf = (column, i) => (Array.isArray(column) ? column[i] : column.at ? column.of[column.at[i]] : column.same);
  const decode = ({ k, columns }) => Array.from({ length: k }, (_, i) => columns.map((column) => cellOf(column, i) ?? ""));
  window.TABLES = { decode };

  // An explorer: a table kept in scripts, filtered and sorted here, a hundred rows at a time. Only the scripts that can
  // hold what is asked for are read. Where the page holds the first rows itself (data-still), they stand until somebody
  // asks for others.
  document.querySelectorAll("[data-explorer]").forEach((place) => explore(place, JSON.parse(place.dataset.explorer)));

  async function explore(place, { name, columns, link, hidden, words: say, labels: spoken }) {
    await load(place.dataset.script);
    const { labels: own, parts } = window[name];
    const labels = spoken || own;
    const still = document.querySelector("[data-still]");
    const shownAs = (key, column) => (labels[columns[column].name] || {})[key] || String(key);
    const written = (value, column) => (typeof value === "number" ? String(value).replace("-", "−").replace(".", say.point) : shownAs(value, column));
    const split = (key, column) => (columns[column].many ? String(key).split(" ") : [String(key)]);
    parts.filter((part) => !part.script).forEach((part) => {
      part.table = decode(part);
      part.holds = Object.fromEntries(columns.map(({ name: key }, i) => [key, [...new Set(part.table.flatMap((row) => split(row[i], i)))]]));
    });
    const read = async (part) => {
      if (!part.table) {
        await load(root + part.script);
        part.table = decode(window[part.name]);
      }
      return part.table;
    };
    const held = (part, column) => part.holds[columns[column].name];
    const total = parts.reduce((sum, part) => sum + part.k, 0);
    const bar = make("div", undefined, { class: "filters" });
    const text = make("input", undefined, { type: "search" });
    text.value = asked.get("q") || "";
    bar.append(labelled(say.search, text));
    const lists = columns.flatMap(({ name: key, head, list: listed }, column) => {
      if (!listed) return [];
      const options = [...new Set(parts.flatMap((part) => held(part, column)))].filter(Boolean);
      const list = chooser(key, say.all, options.map((option) => [option, shownAs(option, column)]).sort(byName));
      bar.append(labelled(head, list));
      return [[key, column, list]];
    });
    const count = make("output");
    const save = make("button", say.download, { type: "button" });
    bar.append(count, save);
    const scroll = make("div", undefined, { class: "scroll", tabindex: "0", role: "region", "aria-label": say.search });
    const grid = make("table", undefined, { class: "numbers" });
    const head = make("tr");
    const body = make("tbody");
    const more = make("button", say.next, { type: "button" });
    const bottom = make("div", undefined, { class: "filters" });
    bottom.append(more);
    let shown = 100;
    let sorted = (asked.get("sort") || "").match(/^(-?)(\w+)$/) || ["", "", ""];
    sorted = [columns.findIndex((column) => column.name === sorted[2]), sorted[1] ? -1 : 1];
    const visible = columns.map((column, number) => number).filter((number) => !hidden.includes(columns[number].name));
    visible.forEach((column) => {
      const th = make("th", columns[column].head, { scope: "col" });
      sorter(th).addEventListener("click", () => {
        sorted = [column, sorted[0] === column ? -sorted[1] : 1];
        apply();
      });
      head.append(th);
    });
    const thead = make("thead");
    thead.append(head);
    grid.append(thead, body);
    scroll.append(grid);
    place.append(bar, scroll, bottom);
    const cell = (row, column) => {
      const linked = columns[column].name === link;
      const td = make(linked ? "th" : "td", linked ? undefined : written(row[column], column), linked ? { scope: "row" } : {});
      if (linked) td.append(make("a", row[column], { href: `${root}${row[columns.length]}${row[columns.length].includes("#") ? "" : `#${row[column]}`}` }));
      if (columns[column].name === "verdict") td.replaceChildren(make("span", shownAs(row[column], column), { class: `verdict v-${row[column].toLowerCase().replace(/_/g, "-")}` }));
      if (typeof row[column] === "number") td.className = "right";
      return td;
    };
    const fits = (row, wanted) => lists.every(([, column, list]) => !list.value || split(row[column], column).includes(list.value)) &&
      (!wanted.length || ((folded) => wanted.every((word) => folded.includes(word)))(fold(visible.map((column) => written(row[column], column)).join(" "))));
    // The rows that fit, in their order: all of them, or no more than are shown.
    const gather = async (most) => {
      const wanted = fold(text.value).split(/\s+/).filter(Boolean);
      const able = parts.filter((part) => lists.every(([, column, list]) => !list.value || held(part, column).includes(list.value)));
      let found = [];
      for (const part of able) {
        if (found.length >= most) break;
        found = found.concat((await read(part)).filter((row) => fits(row, wanted)));
      }
      const [by, way] = sorted;
      const blank = (row) => row[by] === "";
      return by < 0 ? found : found.sort((a, b) => blank(a) - blank(b) || order(shownAs(a[by], by), shownAs(b[by], by)) * way);
    };
    let turn = 0;
    const apply = async () => {
      const mine = (turn += 1);
      const [by, way] = sorted;
      [...head.cells].forEach((th, number) => (visible[number] === by ? th.setAttribute("aria-sort", way > 0 ? "ascending" : "descending") : th.removeAttribute("aria-sort")));
      const state = { q: text.value, ...Object.fromEntries(lists.map(([key, , list]) => [key, list.value])) };
      state.sort = by >= 0 ? (way < 0 ? "-" : "") + columns[by].name : "";
      keep(state);
      const whole = Object.values(state).some(Boolean);
      const idle = still && !whole;
      if (still) [still.hidden, scroll.hidden, bottom.hidden] = [!idle, idle, idle];
      count.textContent = idle ? "" : say.loading;
      if (idle) return;
      const found = await gather(whole ? Infinity : shown);
      if (mine !== turn) return; // something else was asked for meanwhile
      const fitting = whole ? found.length : total;
      body.replaceChildren(...found.slice(0, shown).map((row) => {
        const tr = make("tr");
        tr.append(...visible.map((column) => cell(row, column)));
        return tr;
      }));
      count.textContent = `${fitting} ${say.shown} ${total}`;
      more.hidden = shown >= fitting;
    };
    const quoted = (v) => (/[",\n]/.test(v) ? `"${String(v).replace(/"/g, '""')}"` : v);
    save.addEventListener("click", async () => {
      const lines = [columns.map((column) => column.name), ...(await gather(Infinity)).map((row) => row.slice(0, columns.length))];
      const file = new Blob([`${lines.map((row) => row.map(quoted).join(",")).join("\n")}\n`], { type: "text/csv" });
      const anchor = make("a", "", { href: URL.createObjectURL(file), download: `${name.toLowerCase()}.csv` });
      anchor.click();
      URL.revokeObjectURL(anchor.href);
    });
    text.addEventListener("input", apply);
    lists.forEach(([, , list]) => list.addEventListener("change", apply));
    more.addEventListener("click", () => {
      shown += 200;
      apply();
    });
    apply();
  }

  // A link into a folded part opens it, in browsers that do not do so themselves; paper shows what is folded.
  const reveal = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    for (let part = target.closest("details"); part; part = part.parentElement.closest("details")) part.open = true;
    const own = target.querySelector(":scope > details");
    if (own) own.open = true;
    target.scrollIntoView();
  };
  window.addEventListener("hashchange", reveal);
  if (location.hash) reveal();
  const contents = document.getElementById("contents");
  if (contents) contents.addEventListener("click", () => contents.matches(":popover-open") && contents.hidePopover());
})();
