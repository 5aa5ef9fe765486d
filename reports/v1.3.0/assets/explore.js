// A reader's own choice of pooled rows on the page of a finding: lists to choose by, the result in words, a sketch.
// The numbers are pooling.js's. What is chosen stands in the query of the address; the page is whole without this file.
"use strict";
(() => {
  const { pool, samplesOf } = window.POOLING;
  const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);
  const make = (tag, text, attributes) => {
    const node = document.createElement(tag);
    if (text !== undefined) node.textContent = text;
    Object.entries(attributes || {}).forEach(([name, value]) => node.setAttribute(name, value));
    return node;
  };
  const draw = (tag, attributes, text) => {
    const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
    Object.entries(attributes).forEach(([name, value]) => node.setAttribute(name, value));
    if (text !== undefined) node.textContent = text;
    return node;
  };

  // The rows of each question come column by column, as in every explorer.
  const named = (data) => {
    const row = ([sample, label, place, n, z, v, ...chosen]) => ({ sample, label, place, n, z, v, chosen });
    return { ...data, questions: data.questions.map((one) => ({ ...one, rows: window.TABLES.decode(one.rows).map(row) })) };
  };

  document.querySelectorAll("[data-pool]").forEach((place) => {
    const script = make("script", undefined, { src: place.dataset.pool });
    script.onload = () => explore(place, named(window.POOL), JSON.parse(place.dataset.words));
    document.head.append(script);
  });

  function explore(place, data, say) {
    const show = (number, digits = 3) => {
      const text = number.toFixed(digits).replace("-", "−");
      return (Number(number.toFixed(digits)) === 0 ? text.replace("−", "") : text).replace(".", say.point);
    };
    const count = (number) => String(Math.round(number)).replace(/\B(?=(\d{3})+$)/g, say.group);
    const between = (ends) => `[${ends.map((end) => show(end)).join(say.point === "," ? "; " : ", ")}]`;
    const fill = (text, values) => text.replace(/%(\w+)%/g, (_, name) => values[name]);
    const question = () => data.questions.find((one) => one.id === asked.value);
    const form = make("form", undefined, { class: "filters", "aria-label": say.form });
    const asked = make("select", undefined, { name: "question" });
    data.questions.forEach((one) => asked.append(make("option", say.questions[one.id], { value: one.id })));
    const lists = data.choices.map((name) => make("select", undefined, { name }));
    const field = (text, control) => {
      const label = make("label", text);
      label.append(control);
      label.hidden = control.options.length < 2;
      form.append(label);
      return label;
    };
    field(say.question, asked);
    const labels = lists.map((list, i) => field(say.choices[data.choices[i]], list));
    const reset = make("button", say.reset, { type: "reset" });
    form.append(reset);
    const output = make("output", undefined, { "aria-live": "polite", class: "pooled" });
    const picture = make("div");
    const listed = make("details");
    place.append(form, output, picture, listed);

    const cell = (row, i) => row.chosen[i];
    const fits = (row, except) => lists.every((list, i) => i === except || list.value === "*" || cell(row, i) === list.value);

    // The options of a question: each value with the samples that it would leave; a choice without a choice is hidden.
    const options = (wanted) => {
      const rows = question().rows;
      lists.forEach((list, i) => {
        const values = [...new Set(rows.map((row) => cell(row, i)))];
        const named = (value) => (value === "" ? say.missing : say.values[value] || value);
        values.sort((a, b) => (a === "") - (b === "") || named(a).localeCompare(named(b), document.documentElement.lang));
        list.replaceChildren(make("option", say.all, { value: "*" }), ...values.map((value) => make("option", named(value), { value })));
        list.value = values.includes(wanted[i]) ? wanted[i] : "*";
        labels[i].hidden = values.length < 2;
      });
    };
    const counted = () => {
      const rows = question().rows;
      lists.forEach((list, i) => [...list.options].forEach((option) => {
        const left = rows.filter((row) => fits(row, i) && (option.value === "*" || cell(row, i) === option.value));
        option.dataset.name = option.dataset.name || option.textContent;
        option.textContent = `${option.dataset.name} (${new Set(left.map((row) => row.sample)).size})`;
      }));
    };

    const told = (result, rows, samples) => {
      const values = {
        samples: count(result.k), rows: count(rows.length), persons: count(sum(samples.map((one) => one.n))),
        r: result.k ? show(result.r) : "", interval: result.k ? between(result.interval) : "",
        further: result.further ? between(result.further) : "",
        tau: result.further ? show(Math.sqrt(result.tau2)) : "", share: result.further ? show(result.I2, 0) : "",
      };
      const key = ["none", "one", "two"][result.k] || "several";
      const lines = [fill(say.results[key], values)];
      if (result.k > 1) lines.push(fill(result.tau2 > 0 ? say.results.further : say.results.boundary, values));
      return lines;
    };

    const sketch = (result, samples, whole) => {
      const width = Math.min(720, Math.max(280, document.getElementById("main").clientWidth));
      const all = [...samples.map((one) => Math.tanh(one.y)), ...(result.interval || []), ...whole.interval, 0];
      const [low, high] = [Math.min(...all) - 0.02, Math.max(...all) + 0.02];
      const x = (r) => 8 + ((r - low) / (high - low)) * (width - 16);
      const svg = draw("svg", { viewBox: `0 0 ${width} 108`, width, height: 108, class: "figure", role: "img", "aria-label": output.textContent });
      svg.append(draw("path", { d: `M${x(0)} 4V88`, class: "zero" }));
      const most = Math.max(...samples.map((one) => one.n), 1);
      samples.forEach((one) => {
        const dot = draw("circle", { cx: x(Math.tanh(one.y)), cy: 20, r: 3 + 5 * Math.sqrt(one.n / most), class: "effect", "fill-opacity": 0.45 });
        dot.append(draw("title", {}, `${one.label}: ${show(Math.tanh(one.y))}`));
        svg.append(dot);
      });
      const diamond = (found, y, css) => {
        const [a, b, c] = [found.interval[0], found.r, found.interval[1]].map((r) => x(Math.max(low, Math.min(high, r))));
        svg.append(draw("path", { d: `M${a} ${y}L${b} ${y - 7}L${c} ${y}L${b} ${y + 7}Z`, class: css }));
      };
      if (result.k) diamond(result, 50, "summary");
      diamond(whole, 74, "printed");
      const step = [0.05, 0.1, 0.2, 0.5].find((one) => (high - low) / one <= 8) || 1;
      for (let i = Math.ceil(low / step); i * step <= high; i += 1) {
        if (x(i * step) < 16 || x(i * step) > width - 16) continue; // its digits would be cut by the edge
        svg.append(draw("text", { x: x(i * step), y: 103, class: "tick", "text-anchor": "middle" }, show(i * step, 2)));
      }
      return [svg, make("p", say.legend, { class: "note" })];
    };

    const names = ["question", ...data.choices];
    const remember = () => {
      const query = new URLSearchParams(location.search);
      names.forEach((name, i) => {
        const control = i ? lists[i - 1] : asked;
        const plain = i ? control.value === "*" : data.questions.length < 2 || control.selectedIndex === 0;
        // Deleted first: one choice has one address, in whatever order it was made.
        query.delete(name);
        if (!plain) query.set(name, control.value || "-");
      });
      const text = query.toString();
      // Some browsers do not let a page from disk change its address: the choice then works and is not remembered.
      try {
        history.replaceState(null, "", `${location.pathname}${text ? `?${text}` : ""}${location.hash}`);
      } catch (_) {
        return;
      }
    };

    const apply = () => {
      const rows = question().rows.filter((row) => fits(row, -1));
      const samples = samplesOf(rows, data.rho);
      const result = pool(samples);
      const whole = pool(samplesOf(question().rows, data.rho));
      counted();
      output.replaceChildren(...told(result, rows, samples).map((line) => make("p", line)));
      output.dataset.result = JSON.stringify(result);
      picture.replaceChildren(...(whole.k ? sketch(result, samples, whole) : []));
      const items = samples.sort((a, b) => b.y - a.y).map((one) => {
        const item = make("li");
        const name = one.place ? make("a", one.label, { href: `${document.body.dataset.root}${one.place}` }) : make("span", one.label);
        item.append(name, ` ${show(Math.tanh(one.y))}`);
        return item;
      });
      const list = make("ul");
      list.append(...items);
      listed.replaceChildren(make("summary", fill(say.list, { samples: result.k })), list);
      listed.hidden = !result.k;
      remember();
    };

    const query = new URLSearchParams(location.search);
    const wanted = data.choices.map((name) => (query.get(name) === "-" ? "" : query.get(name)));
    // An address that holds a choice leads to it, also where the section is folded.
    if (names.some((name) => query.has(name)) && place.closest("details")) place.closest("details").open = true;
    if ([...asked.options].some((option) => option.value === query.get("question"))) asked.value = query.get("question");
    options(wanted);
    asked.addEventListener("change", () => {
      options(lists.map((list) => list.value));
      apply();
    });
    lists.forEach((list) => list.addEventListener("change", apply));
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("reset", (event) => {
      event.preventDefault();
      asked.selectedIndex = 0;
      options([]);
      apply();
    });
    apply();
  }
})();
