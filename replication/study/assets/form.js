"use strict";
// The form of a study. `SCHEMA` (columns, words, texts) is put in front of this file when the form is made.
// Three parts: checks of single cells and rows, the reader of pasted matrices, and the page. The first two touch no
// page, so that they can be tried alone.

// ---- checks that need no other data -------------------------------------------------------------------------------
const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?$/;
const WHOLE = /^\d{1,15}$/;
const KEY = /^[A-Za-z][A-Za-z0-9_.-]{0,79}$/;
const PRINTED = /^[<>≤≥]?\s*[-+−–]?(\d{1,3}(,\d{3})+(\.\d+)?|\d+\.?\d*|\.\d+)\s*%?$/;
const EITHER = /^[<>≤≥]?[-+]?[1-9]\d{0,2},\d{3}$/;
const COMMA = /^[<>≤≥]?[-+]?(0*,\d+|\d+,\d{1,2}|\d+,\d{4,}|\d{4,},\d+|0\d*,\d+)$/;
const DATE = /^(\d{1,2}[./-]\d{1,2}[./-]\d{2,4}|\d{4}-\d{2}-\d{2}.*|\d{1,2}[. -]{1,2}[a-zæøåä]{3,}\.?.*)$/i;

/** What is wrong with a cell, as [severity, key of the text, value]; null where nothing is. */
function checkCell(column, text) {
  if (text === "") return column.required && column.name !== "since" ? ["error", "needed"] : null;
  if (["number", "integer", "printed"].includes(column.kind)) {
    if (EITHER.test(text) && column.kind !== "integer") {
      return ["error", "two_readings", text.replace(",", ".") + " / " + text.replace(",", "")];
    }
    if (COMMA.test(text)) return ["error", "decimal_comma", text.replace(",", ".")];
    if (DATE.test(text)) return ["error", "a_date"];
    if (column.kind === "integer" && !WHOLE.test(text)) return ["error", "whole"];
    if (column.kind === "number" && !NUMBER.test(text)) return ["error", "number"];
    if (column.kind === "printed" && !PRINTED.test(text)) return ["error", "number"];
    const value = Number(text);
    if (column.low !== null && value < column.low) return ["error", "at_least", column.low];
    if (column.high !== null && value > column.high) return ["error", "at_most", column.high];
  }
  if (column.kind === "key" && !KEY.test(text)) return ["error", "key"];
  if (column.kind === "word" && !(column.vocabulary in SCHEMA.words && text in SCHEMA.words[column.vocabulary])) {
    return ["error", "word"];
  }
  return null;
}

/** Half of the last digit of a number as printed: .35 stands for .345 to .355. */
function half(text) {
  const decimals = text.replace(/^[^.]*\.?/, "").length;
  return 0.5 * Math.pow(10, -decimals);
}

/** What does not fit together in a row of effects: [column, severity, key, value]. */
function checkEffect(row, samples) {
  const found = [];
  const value = Number(row.value), n = Number(row.n), low = Number(row.ci_low), high = Number(row.ci_high);
  const bounded = ["r", "partial_r"].includes(row.statistic);
  if (row.value && bounded && Math.abs(value) >= 1) found.push(["value", "error", "correlation"]);
  const sample = samples.find((other) => other.sample_id === row.sample_id);
  if (row.sample_id && !sample) found.push(["sample_id", "error", "no_sample"]);
  if (sample && sample.n && n > Number(sample.n)) found.push(["n", "error", "above_sample", sample.n]);
  if (row.var_a && row.var_a === row.var_b && row.measure_a === row.measure_b) found.push(["var_b", "error", "itself"]);
  if (row.ci_low && row.ci_high && row.value) {
    if (low > high) found.push(["ci_low", "error", "ends_swapped"]);
    else if (value + half(row.value) < low || value - half(row.value) > high) found.push(["ci_low", "error", "outside"]);
    else if (row.statistic === "r" && n > 3 && Math.abs(low) < 1 && Math.abs(high) < 1) {
      // the 95 % interval of Fisher's z is 2 x 1.96 / sqrt(n - 3) wide; three times as wide or half is asked about
      const ratio = (Math.atanh(high) - Math.atanh(low)) / (2 * 1.959963984540054 / Math.sqrt(n - 3));
      if (ratio > 3 || ratio < 0.5) found.push(["ci_low", "warning", "width", row.n]);
    }
  }
  if (row.statistic === "r" && row.var_a && row.var_b && NUMBER.test(row.value || "")) {
    const sign = SCHEMA.valence[row.var_a] * SCHEMA.valence[row.var_b];
    if (sign * value < -0.1) found.push(["value", "warning", "sign"]);
  }
  if (row.value && !row.locator && ["table", "text", "abstract"].includes(row.reading)) {
    found.push(["locator", "warning", "where"]);
  }
  return found;
}

// ---- matrices as articles print them ------------------------------------------------------------------------------
const STATISTICS = {
  m: "mean", mean: "mean", means: "mean", mw: "mean", mittelwert: "mean", gjennomsnitt: "mean", "gj.snitt": "mean",
  sd: "sd", "s.d.": "sd", "s.d": "sd", std: "sd", "std.dev.": "sd", sa: "sd",
  "α": "reliability", alpha: "reliability", reliability: "reliability", "ω": "reliability", omega: "reliability", n: "n",
};
const CELL = /^[-+−–‐‑]?(\d+[.,]?\d*|[.,]\d+)([*†‡§]+|[a-d])?$/;
const DIAGONAL = /^([-−–—‐‑]{1,3}|1([.,]0+)?|\((\d*[.,]\d+|\d+)\))$/;

// "n.s." behind a number is a mark as stars are; as a cell of its own it would end the row's numbers.
const NOT_SIGNIFICANT = /(?<=\d) *\(?n\.? ?s\.?\)?(?!\w)/gi;
const DECIMAL = /(?<![\w.,])[-+]?\d*[.,]\d+(?![\w.])/;

function cellsOf(line) {
  const mark = ["\t", "|", ";"].find((one) => line.includes(one));
  const cells = line.split(mark || /\s+/).map((cell) => cell.trim());
  return mark ? cells : cells.filter((cell) => cell !== ""); // a mark's empty cells count
}

function plainNumber(cell) {
  return cell.replace(/[−–‐‑]/g, "-").replace(/[*†‡§]+|(?<=\d)[a-d]$/g, "").replace(/^\(|\)$/g, "");
}

/** {labels, pairs: {"0,1": "-.35"}, beside: {"0,mean": "3.42"}}, or an Error whose message says what does not fit. */
function readMatrix(text) {
  const lines = text.replace(NOT_SIGNIFICANT, "").split(/\r?\n/).map((line) => line.trimEnd())
    .filter((line) => line.trim() !== "");
  const head = header(lines);
  const given = lines.slice(head.skip).map((line) => labelled(line, head.width));
  const rows = keptRows(given, head.before.length + head.after.length);
  if (rows.length < 2) throw new Error(say("matrix_rows"));
  const numbers = rows.flatMap((row) => row.cells.map(plainNumber));
  const comma = numbers.some((cell) => COMMA.test(cell)) && !numbers.some((cell) => /\.\d/.test(cell));
  const k = rows.length;
  const split = rows.map((row) => splitRow(row, head));
  const upper = split.every((part, i) => part.middle.length === k - 1 - i);
  const pairs = {}, beside = {};
  split.forEach((part, i) => {
    for (const [name, cell] of Object.entries(part.statistics)) beside[i + "," + name] = pointed(cell, comma);
    for (const [j, cell] of across(i, rows[i].label, part.middle, k, upper)) {
      const place = Math.min(i, j) + "," + Math.max(i, j), said = pointed(cell, comma);
      if (Math.abs(Number(said)) > 1 || Number.isNaN(Number(said))) throw new Error(rows[i].label + ": " + cell);
      if (place in pairs && Number(pairs[place]) !== Number(said)) throw new Error(pairs[place] + " ≠ " + said);
      pairs[place] = said;
    }
  });
  // Of a matrix with gaps: a label with a decimal in it ends in a word that stood among the numbers of its row.
  const cut = Object.keys(pairs).length < k * (k - 1) / 2 && rows.find((row) => DECIMAL.test(row.label));
  if (cut) throw new Error(cut.label + ": " + say("matrix_word"));
  return { labels: rows.map((row, i) => row.label || String(i + 1)), pairs, beside };
}

function header(lines) {
  for (let place = 0; place < Math.min(3, lines.length); place++) {
    const cells = cellsOf(lines[place]);
    const numbered = cells.findIndex((cell) => /^\(?\d{1,2}[.)]?$/.test(cell));
    const count = cells.filter((cell) => /^\(?\d{1,2}[.)]?$/.test(cell)).length;
    const named = cells.map((cell, i) => [i, STATISTICS[cell.toLowerCase()]]).filter((pair) => pair[1]);
    if (named.length + count > 1 && !cells.some((cell) => /[.,]\d/.test(cell))) {
      const first = numbered < 0 ? cells.length : numbered;
      const side = (before) => named.filter(([i]) => (i < first) === before).map((pair) => pair[1]);
      return { before: side(true), after: side(false), skip: place + 1, width: cells.length };
    }
  }
  return { before: [], after: [], skip: 0, width: 0 };
}

function labelled(line, width) {
  const cells = cellsOf(line.replace(/^\s*\(?\d{1,2}[.)]?\s+(?=\D)|^\s*\(?\d{1,2}[.)](?=\S)/, ""));
  let first = cells.length;
  while (first && (cells[first - 1] === "" || CELL.test(cells[first - 1]) || DIAGONAL.test(cells[first - 1]))) first--;
  if (/[\t|;]/.test(line)) while (cells.length < width) cells.push("");
  const numbers = cells.slice(first);
  return { label: cells.slice(0, first).filter((cell) => cell).join(" "), cells: numbers.some((cell) => cell) ? numbers : [] };
}

function keptRows(rows, statistics) {
  const numbered = rows.filter((row) => row.cells.length);
  if (!numbered.length) return numbered;
  const undivided = !numbered.some((row) => row.cells.some((cell) => DIAGONAL.test(cell)));
  const one = statistics + 1, filled = (row) => row.cells.filter((cell) => cell !== "").length;
  if (undivided && !rows[0].cells.length && filled(numbered[0]) === one) return [rows[0], ...numbered];
  if (undivided && !rows[rows.length - 1].cells.length && filled(numbered[numbered.length - 1]) === one) {
    return [...numbered, rows[rows.length - 1]];
  }
  return numbered;
}

function splitRow(row, head) {
  const end = row.cells.length - head.after.length;
  if (row.cells.length && end < head.before.length) throw new Error(row.label + ": " + say("matrix_row"));
  const middle = row.cells.slice(head.before.length, end).filter((cell) => cell !== ""), statistics = {};
  head.before.forEach((name, i) => { if (row.cells[i]) statistics[name] = row.cells[i]; });
  head.after.forEach((name, i) => { if (row.cells[end + i]) statistics[name] = row.cells[end + i]; });
  const inside = middle.find((cell) => cell.startsWith("("));
  if (inside) statistics.reliability = inside;
  return { middle, statistics };
}

function across(i, label, middle, k, upper) {
  const diagonal = middle.findIndex((cell) => DIAGONAL.test(cell));
  const left = diagonal < 0 ? (upper ? [] : middle) : middle.slice(0, diagonal);
  const right = diagonal < 0 ? (upper ? middle : []) : middle.slice(diagonal + 1);
  if (![0, i].includes(left.length) || ![0, k - 1 - i].includes(right.length)) {
    throw new Error(label + ": " + say("matrix_row"));
  }
  return [...left.map((cell, j) => [j, cell]), ...right.map((cell, j) => [i + 1 + j, cell])];
}

function pointed(cell, comma) {
  const text = plainNumber(cell);
  if (!comma && EITHER.test(text)) throw new Error(text + ": " + say("two_readings"));
  return comma || COMMA.test(text) ? text.replace(",", ".") : text;
}

// ---- the page -----------------------------------------------------------------------------------------------------
const TABLES = Object.keys(SCHEMA.tables);
let language = "en";
let study = { work: {}, tables: Object.fromEntries(TABLES.map((name) => [name, []])) };

/** A text of the page in its language. */
function say(key, value) {
  const text = SCHEMA.texts[language][key] || SCHEMA.texts.en[key] || key;
  return value === undefined ? text : text.replaceAll("{}", value);
}

function element(tag, attributes, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== false && value !== undefined) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children);
  return made;
}

let serial = 0;
/** A labelled field of a row; what is typed goes to the row at once and is checked at once. */
function field(table, row, column, after) {
  const id = "f" + ++serial, note = id + "n";
  const change = (event) => { row[column.name] = event.target.value.trim(); after(); };
  let input;
  if (column.kind === "word") {
    input = element("select", { id, onchange: change }, element("option", { value: "" }, ""));
    for (const [word, meaning] of Object.entries(SCHEMA.words[column.vocabulary])) {
      input.append(element("option", { value: word }, word === meaning ? word : word + " – " + meaning));
    }
  } else {
    const mode = ["number", "integer"].includes(column.kind) ? "decimal" : undefined;
    input = element("input", { id, inputmode: mode, oninput: change, autocomplete: "off" });
    if (column.name === "sample_id" && table !== "samples") input.setAttribute("list", "samples");
  }
  input.value = row[column.name] || "";
  input.setAttribute("aria-describedby", note + " " + id + "m");
  const name = say("column_" + column.name) === "column_" + column.name ? column.name : say("column_" + column.name);
  const message = element("small", { id: id + "m", "aria-live": "polite" });
  const box = element("label", { for: id }, element("span", {}, name + (column.required ? " *" : "")), input,
    element("small", { id: note }, column.meaning), message);
  box.update = (found) => {
    input.setAttribute("aria-invalid", found && found[0] === "error" ? "true" : "false");
    message.className = found ? found[0] : "";
    message.textContent = found ? say(found[1], found[2]) : "";
  };
  return box;
}

function rowCard(table, row, index) {
  const columns = SCHEMA.tables[table].filter((column) => !["since", "until"].includes(column.name));
  const boxes = {};
  const check = () => {
    const crossed = table === "effects" ? checkEffect(row, study.tables.samples) : [];
    for (const column of columns) {
      const own = row[column.name] || column.required ? checkCell(column, row[column.name] || "") : null;
      const other = crossed.find((found) => found[0] === column.name);
      boxes[column.name].update(own && row[column.name] ? own : other ? other.slice(1) : null);
    }
    keep();
  };
  for (const column of columns) boxes[column.name] = field(table, row, column, check);
  const part = (usual) => columns.filter((c) => c.usual === usual).map((c) => boxes[c.name]);
  const card = element("section", { class: "card", "aria-label": say("table_" + table) + " " + (index + 1) },
    element("div", { class: "fields" }, ...part(true)),
    element("details", {}, element("summary", {}, say("more")), element("div", { class: "fields" }, ...part(false))),
    element("button", { type: "button", onclick: () => { study.tables[table].splice(index, 1); draw(); } }, say("remove")));
  check();
  return card;
}

function tableSection(table) {
  const rows = study.tables[table];
  const add = () => { rows.push(newRow(table)); draw(); focusLast(table); };
  return element("section", { id: "table-" + table }, element("h2", {}, say("table_" + table)),
    element("p", {}, say("about_" + table)), ...rows.map((row, index) => rowCard(table, row, index)),
    element("button", { type: "button", onclick: add }, say("add_" + table)));
}

function newRow(table) {
  const samples = study.tables.samples, key = study.work.key || "study";
  if (table === "samples") return { sample_id: key + "_s" + (samples.length + 1), unit: "student" };
  const only = samples.length === 1 ? samples[0].sample_id : "";
  return table === "effects" ? { sample_id: only, statistic: "r", n: samples.length === 1 ? samples[0].n || "" : "" }
    : table === "descriptives" ? { sample_id: only } : {};
}

function focusLast(table) {
  const cards = document.querySelectorAll("#table-" + table + " .card");
  const first = cards.length && cards[cards.length - 1].querySelector("input, select");
  if (first) first.focus();
}

function matrixSection() {
  const area = element("textarea", { id: "matrix", spellcheck: "false", placeholder: say("matrix_example") });
  const message = element("p", { role: "alert", class: "error" }), result = element("div");
  const read = () => {
    result.replaceChildren();
    message.textContent = "";
    try { result.append(assignment(readMatrix(area.value))); } catch (error) { message.textContent = error.message; }
  };
  return element("section", {}, element("h2", {}, say("matrix")), element("p", {}, say("about_matrix")),
    element("label", { for: "matrix" }, element("span", {}, say("matrix_paste")), area), message,
    element("button", { type: "button", onclick: read }, say("matrix_read")), result);
}

/** A row for each variable of a matrix, in which one says what it is, and the button that makes the rows. */
function assignment(matrix) {
  const common = { sample_id: newRow("effects").sample_id, n: newRow("effects").n, reading: "table" };
  const shared = SCHEMA.tables.effects.filter((c) => ["sample_id", "n", "locator", "source", "reading"].includes(c.name));
  const means = matrix.labels.map(() => ({ construct: "", measure: "", informant: "" }));
  const choose = (label, words, change) => element("select", { "aria-label": label, onchange: change },
    element("option", { value: "" }, say("leave_out")), ...Object.keys(words).map((w) => element("option", { value: w }, w)));
  const lines = matrix.labels.map((label, i) => element("tr", {}, element("th", { scope: "row" }, label),
    element("td", {}, choose(say("construct") + ": " + label, SCHEMA.words.construct, (e) => { means[i].construct = e.target.value; })),
    element("td", {}, element("input", { "aria-label": say("measure") + ": " + label, oninput: (e) => { means[i].measure = e.target.value.trim(); } })),
    element("td", {}, choose(say("informant") + ": " + label, SCHEMA.words.informant, (e) => { means[i].informant = e.target.value; }))));
  const make = () => { addMatrix(matrix, means, common); draw(); focusLast("effects"); };
  return element("div", { class: "card" },
    element("p", { role: "status" }, say("matrix_found", Object.keys(matrix.pairs).length)),
    element("div", { class: "wide" }, element("table", {}, element("thead", {}, element("tr", {},
      ...["variable", "construct", "measure", "informant"].map((key) => element("th", { scope: "col" }, say(key))))),
    element("tbody", {}, ...lines))),
    element("div", { class: "fields" }, ...shared.map((column) => field("effects", common, column, () => {}))),
    element("button", { type: "button", onclick: make }, say("matrix_add")));
}

function addMatrix(matrix, means, common) {
  const side = (variable) => SCHEMA.sides[variable.construct];
  for (const [place, value] of Object.entries(matrix.pairs)) {
    let [a, b] = place.split(",").map((i) => means[i]);
    if (!a.construct || !b.construct) continue;
    if (side(a) === "outcome" && side(b) === "exposure") [a, b] = [b, a];
    const flags = side(a) === side(b) ? { outcome: "out_x_out", exposure: "rel_x_rel" }[side(a)] || "" : "";
    study.tables.effects.push({ ...common, var_a: a.construct, var_b: b.construct, statistic: "r", value, flags,
      measure_a: a.measure, measure_b: b.measure, informant_a: a.informant, informant_b: b.informant });
  }
  means.forEach((variable, i) => {
    const said = {};
    for (const name of ["n", "mean", "sd", "reliability"]) if (matrix.beside[i + "," + name]) said[name] = matrix.beside[i + "," + name];
    if (variable.construct && Object.keys(said).some((name) => name !== "n")) {
      study.tables.descriptives.push({ ...common, ...said, variable: variable.construct, measure: variable.measure || matrix.labels[i] });
    }
  });
}

/** Every message of the whole study; saving is possible with them, for `study check` says them again. */
function allProblems() {
  const found = [];
  for (const table of TABLES) {
    study.tables[table].forEach((row, i) => {
      const place = say("table_" + table) + " " + (i + 1);
      for (const column of SCHEMA.tables[table]) {
        if (["since", "until", "effect_id", "claim_id", "direction_id"].includes(column.name)) continue;
        const own = checkCell(column, row[column.name] || "");
        if (own) found.push([own[0], place + ", " + column.name + ": " + say(own[1], own[2])]);
      }
      if (table === "effects") {
        for (const [column, severity, key, value] of checkEffect(row, study.tables.samples)) {
          found.push([severity, place + ", " + column + ": " + say(key, value)]);
        }
      }
    });
  }
  for (const name of ["key", "author", "title", "year"]) if (!study.work[name]) found.push(["error", say("work") + ", " + name + ": " + say("needed")]);
  return found;
}

function saved() {
  const filled = (row) => Object.fromEntries(Object.entries(row).filter(([, cell]) => cell !== ""));
  const tables = Object.fromEntries(TABLES.filter((name) => study.tables[name].length).map((name) => [name, study.tables[name].map(filled)]));
  return JSON.stringify({ format: SCHEMA.format, work: filled(study.work), tables }, null, 1) + "\n";
}

function save() {
  const list = document.getElementById("problems");
  list.replaceChildren(...allProblems().map(([severity, text]) => element("li", { class: severity }, text)));
  const address = URL.createObjectURL(new Blob([saved()], { type: "application/json" }));
  const name = (KEY.test(study.work.key || "") ? study.work.key : "study") + ".json";
  element("a", { href: address, download: name }).click();
  document.getElementById("saved").textContent = say("saved", name);
}

function open(event) {
  const file = event.target.files[0];
  if (!file) return;
  file.text().then((text) => {
    const read = JSON.parse(text);
    if (read.format !== SCHEMA.format) throw new Error(say("other_format"));
    study = { work: read.work || {}, tables: Object.fromEntries(TABLES.map((name) => [name, (read.tables || {})[name] || []])) };
    draw();
  }).catch((error) => { document.getElementById("saved").textContent = say("not_read") + " " + error.message; });
}

/** A draft in this browser, so that a closed window loses nothing; where that is not allowed, nothing is kept. */
function keep() {
  try { localStorage.setItem("study-draft", saved()); } catch { /* a browser that keeps nothing for files */ }
}

function workSection() {
  const columns = SCHEMA.work;
  const boxes = columns.map((column) => field("work", study.work, column, () => {
    columns.forEach((other, i) => boxes[i].update(study.work[other.name] ? checkCell(other, study.work[other.name]) : null));
    keep();
  }));
  return element("section", {}, element("h2", {}, say("work")), element("div", { class: "fields" }, ...boxes));
}

function draw() {
  document.documentElement.lang = language;
  document.title = say("title");
  const choice = element("select", { id: "language", onchange: (e) => { language = e.target.value; draw(); } },
    ...Object.keys(SCHEMA.texts).map((code) => element("option", { value: code, selected: code === language }, SCHEMA.texts[code].language)));
  document.getElementById("main").replaceChildren(
    element("h1", {}, say("title")), element("p", {}, say("intro")),
    element("div", { class: "bar" }, element("label", { for: "language" }, say("choose_language"), choice),
      element("label", { for: "open" }, say("open"), element("input", { id: "open", type: "file", accept: ".json", onchange: open }))),
    workSection(), tableSection("samples"), matrixSection(), ...TABLES.filter((name) => name !== "samples").map(tableSection),
    element("h2", {}, say("finish")), element("p", {}, say("about_finish")),
    element("button", { type: "button", id: "save", onclick: save }, say("save")),
    element("p", { id: "saved", role: "status" }), element("ul", { id: "problems" }),
    element("datalist", { id: "samples" }, ...study.tables.samples.map((row) => element("option", { value: row.sample_id || "" }))));
  keep();
}

function start() {
  language = (navigator.language || "en").match(/^(nb|nn|no)/) ? "nb" : "en";
  try {
    const draft = JSON.parse(localStorage.getItem("study-draft") || "null");
    if (draft && draft.format === SCHEMA.format) {
      study = { work: draft.work || {}, tables: Object.fromEntries(TABLES.map((name) => [name, (draft.tables || {})[name] || []])) };
    }
  } catch { /* no draft, or none that can be read: the form starts empty */ }
  draw();
}

start();
