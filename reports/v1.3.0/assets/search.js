// Search: the index of the page's language is read when it is first needed. A word finds what begins with it, its
// synonyms, a number in either notation, and, where nothing else is found, what differs by one slip of a finger.
"use strict";
(() => {
  const box = document.querySelector(".search");
  if (!box) return;
  // Made here and not in each page: without this script there is nothing to type into.
  const input = Object.assign(document.createElement("input"), { type: "search", id: "search", autocomplete: "off", placeholder: box.dataset.text });
  const found = Object.assign(document.createElement("ul"), { id: "found", hidden: true });
  input.setAttribute("aria-label", box.dataset.text);
  input.setAttribute("aria-controls", "found");
  box.append(input, found);
  const root = document.body.dataset.root;
  const most = 12;
  let index;

  const letters = (text) => text.toLowerCase().normalize("NFD").replace(/[\u0300-\u036f]/g, "").replace(/æ/g, "ae").replace(/ø/g, "o").replace(/[−–]/g, "-");
  // 0,34, 0.34 and .34 are one number; 29,438 and 29 438 are another. A sign may be left out.
  const numbers = (text) => text
    .replace(/(\d)[\u00a0\u202f ,](?=\d{3}(?!\d))/g, (whole, digit, at) => (digit === "0" && !/\d/.test(text[at - 1] || "") ? whole : digit))
    .replace(/(^|[^\d])0?[.,](\d)/g, "$1.$2")
    .replace(/(\d),(\d)/g, "$1.$2");
  const fold = (text) => numbers(letters(text));
  const split = (text) => fold(text).split(/[^\p{L}\p{N}.\-²]+/u).map((word) => word.replace(/^[-.]+(?!\d)|[.\-]+$/g, "")).filter(Boolean);

  // Whether two words differ by one letter that is missing, added, wrong or changed places with the next.
  const slip = (a, b) => {
    if (Math.abs(a.length - b.length) > 1 || a === b) return false;
    let i = 0;
    while (i < a.length && a[i] === b[i]) i += 1;
    if (a.length === b.length) {
      return a.slice(i + 1) === b.slice(i + 1) || (a[i] === b[i + 1] && a[i + 1] === b[i] && a.slice(i + 2) === b.slice(i + 2));
    }
    return a.length < b.length ? a.slice(i) === b.slice(i + 1) : a.slice(i + 1) === b.slice(i);
  };

  const prepare = ({ texts, entries, same }) => {
    const words = texts.map(split);
    const unsigned = (list) => list.concat(list.filter((word) => /^-[.\d]/.test(word)).map((word) => word.slice(1)));
    const folded = words.map((list) => ` ${unsigned(list).join(" ")}`);
    return {
      texts,
      entries: entries.map(([title, about, page, place]) => ({ line: [title, about, page, place], title: `${folded[title]} `, text: `${folded[title]} ${folded[about]} ` })),
      same: same.map((group) => group.map(fold)),
      vocabulary: [...new Set(words.flat())].filter((word) => word.length > 3 && !/\d/.test(word)),
    };
  };

  // What a word may stand for: itself, its synonyms (given as stems), and words one slip away if it begins no word.
  const meanings = (word) => {
    const begins = (stem) => stem === word || (word.length > 3 && stem.startsWith(word)) || (stem.length > 3 && word.startsWith(stem));
    // A code of three letters stands for a country as a whole word only.
    const kin = index.same.filter((group) => group.some(begins)).flat().map((stem) => ` ${stem}${stem.length > 3 ? "" : " "}`);
    if (kin.length || word.length < 4 || /\d/.test(word) || index.entries.some(({ text }) => text.includes(` ${word}`))) return { word, kin, near: [] };
    const slips = (other) => slip(word, other) || (Math.min(word.length, other.length) > 4 && (slip(word, other.slice(0, word.length)) || slip(word.slice(0, other.length), other)));
    const groups = index.same.filter((group) => group.some(slips)).flat();
    return { word, kin, near: [...index.vocabulary.filter(slips), ...groups] };
  };

  // The best place of a word in an entry: a whole word of the title, the beginning of one, the description, then inside.
  // A synonym is a stem, so that a word which begins with it is as good as the whole word.
  const rank = ({ title, text }, { word, kin, near }) => {
    if (title.includes(` ${word} `) || kin.some((stem) => title.includes(stem))) return 8;
    if (title.includes(` ${word}`)) return 7;
    if (text.includes(` ${word} `)) return 6;
    if (near.some((other) => title.includes(` ${other}`))) return 5;
    if (text.includes(` ${word}`) || kin.some((stem) => text.includes(stem))) return 4;
    if (near.some((other) => text.includes(` ${other}`))) return 3;
    return word.length > 3 && text.includes(word) ? 1 : 0;
  };

  const search = (asked) => {
    const wanted = split(asked).map(meanings);
    if (!wanted.length) return null;
    const scored = index.entries.map((entry) => {
      const ranks = wanted.map((meaning) => rank(entry, meaning));
      return [ranks.every(Boolean) ? ranks.reduce((sum, one) => sum + one, 0) : 0, entry];
    });
    return scored.filter(([score]) => score).sort((a, b) => b[0] - a[0]).slice(0, most).map(([, entry]) => entry);
  };

  const load = () => new Promise((done, failed) => {
    const script = document.createElement("script");
    script.src = `${root}assets/search-index${document.documentElement.lang === "en" ? "" : `-${document.documentElement.lang}`}.js`;
    script.onload = () => done(prepare(window.SEARCH));
    script.onerror = failed;
    document.head.append(script);
  });

  const item = ({ line: [title, about, page, place] }) => {
    const [row, link, small] = ["li", "a", "small"].map((tag) => document.createElement(tag));
    link.href = `${root}${index.texts[page]}${place ? `#${place}` : ""}`;
    link.textContent = index.texts[title];
    small.textContent = index.texts[about];
    link.append(small);
    row.append(link);
    return row;
  };

  let loading;
  const show = async () => {
    loading = loading || load();
    index = await loading;
    const hits = search(input.value);
    found.hidden = !hits;
    if (!hits) return;
    const none = document.createElement("li");
    none.textContent = box.dataset.none;
    found.replaceChildren(...(hits.length ? hits.map(item) : [none]));
  };

  box.hidden = false;
  input.addEventListener("input", show);
  input.addEventListener("focus", show);
  document.addEventListener("keydown", (event) => {
    const links = [...found.querySelectorAll("a")];
    const at = links.indexOf(document.activeElement);
    if (event.key === "Escape") found.hidden = true;
    if (event.key === "/" && !/INPUT|SELECT|TEXTAREA/.test(document.activeElement.tagName)) {
      event.preventDefault();
      input.focus();
    }
    if ((event.key === "ArrowDown" || event.key === "ArrowUp") && (at >= 0 || document.activeElement === input) && links.length) {
      event.preventDefault();
      const next = at + (event.key === "ArrowDown" ? 1 : -1);
      (next < 0 ? input : links[Math.min(next, links.length - 1)]).focus();
    }
  });
  document.addEventListener("click", (event) => {
    if (!event.target.closest(".search")) found.hidden = true;
  });
})();
