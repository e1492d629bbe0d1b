// Optional features: sort tables, switch the theme, save charts and tables, refresh the live page.
"use strict";

const root = document.documentElement;

function stored(name) {
  try { return localStorage.getItem(name); } catch { return null; }
}

const theme = stored("theme");
if (theme === "dark" || theme === "light") root.dataset.theme = theme;

for (const button of document.querySelectorAll("[data-theme-switch]")) {
  button.hidden = false;
  button.addEventListener("click", () => {
    const dark = root.dataset.theme
      ? root.dataset.theme === "dark"
      : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    try { localStorage.setItem("theme", root.dataset.theme); } catch { /* the choice lasts for this page only */ }
  });
}

function cellValue(row, index) {
  const cell = row.cells[index];
  return cell.dataset.value ?? cell.textContent.trim();
}

function sortBy(table, index, direction) {
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const numeric = rows.every((row) => cellValue(row, index) === "" || !Number.isNaN(Number(cellValue(row, index))));
  const compare = numeric
    ? (a, b) => Number(cellValue(a, index)) - Number(cellValue(b, index))
    : (a, b) => cellValue(a, index).localeCompare(cellValue(b, index), undefined, { numeric: true });
  rows.sort((a, b) => direction * compare(a, b));
  body.append(...rows);
}

for (const table of document.querySelectorAll("table[data-sortable]")) {
  const heads = [...(table.tHead?.rows[0]?.cells ?? [])];
  heads.forEach((head, index) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "sort";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const first = head.classList.contains("num") ? "descending" : "ascending";
      const other = first === "descending" ? "ascending" : "descending";
      const now = head.getAttribute("aria-sort") === first ? other : first;
      heads.forEach((each) => each.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", now);
      sortBy(table, index, now === "ascending" ? 1 : -1);
    });
  });
}

for (const box of document.querySelectorAll("textarea[data-submit]")) {
  box.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) box.form.requestSubmit();
  });
}

function save(name, type, parts) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob(parts, { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

// A saved chart has no stylesheet, so its computed styles become attributes.
const STYLE_PROPERTIES = ["fill", "stroke", "stroke-width", "stroke-dasharray", "stroke-linecap", "opacity", "font-size", "font-family"];

function standalone(chart) {
  const copy = chart.cloneNode(true);
  const originals = [chart, ...chart.querySelectorAll("*")];
  [copy, ...copy.querySelectorAll("*")].forEach((element, index) => {
    const style = getComputedStyle(originals[index]);
    for (const name of STYLE_PROPERTIES) element.setAttribute(name, style.getPropertyValue(name));
    element.removeAttribute("class");
  });
  const [, , width, height] = chart.getAttribute("viewBox").split(" ");
  const background = document.createElementNS("http://www.w3.org/2000/svg", "rect");
  background.setAttribute("width", width);
  background.setAttribute("height", height);
  background.setAttribute("fill", getComputedStyle(document.body).backgroundColor);
  copy.prepend(background);
  copy.setAttribute("width", width);
  copy.setAttribute("height", height);
  return new XMLSerializer().serializeToString(copy);
}

function savePng(chart, name) {
  const image = new Image();
  image.onload = () => {
    const canvas = document.createElement("canvas");
    canvas.width = 2 * image.width;
    canvas.height = 2 * image.height;
    canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
    canvas.toBlob((blob) => save(`${name}.png`, "image/png", [blob]));
  };
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(standalone(chart))}`;
}

function csv(table) {
  const quoted = (text) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  return [...table.rows]
    .map((row) => [...row.cells].map((cell) => quoted(cell.dataset.value ?? cell.textContent.trim())).join(","))
    .join("\n") + "\n";
}

function addButtons(place, choices) {
  const line = document.createElement("div");
  line.className = "downloads";
  for (const [label, act] of choices) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = label;
    button.addEventListener("click", act);
    line.append(button);
  }
  place.append(line);
}

for (const figure of document.querySelectorAll("figure[data-chart]")) {
  const chart = figure.querySelector("svg.chart");
  const name = figure.dataset.chart;
  addButtons(figure, [
    ["SVG", () => save(`${name}.svg`, "image/svg+xml", [standalone(chart)])],
    ["PNG", () => savePng(chart, name)],
  ]);
}
for (const table of document.querySelectorAll("table[data-csv]")) {
  addButtons(table.parentElement, [["CSV", () => save(`${table.dataset.csv}.csv`, "text/csv", [csv(table)])]]);
}

// A live page refreshes itself.  Only its content is replaced, so that the reader keeps the scroll position.
for (const place of document.querySelectorAll("[data-refresh]")) {
  setInterval(async () => {
    if (document.hidden || place.contains(document.activeElement)) return;
    try {
      const response = await fetch(location.href);
      if (!response.ok) return;
      const fresh = new DOMParser().parseFromString(await response.text(), "text/html").querySelector("[data-refresh]");
      if (fresh) place.replaceChildren(...fresh.childNodes);
    } catch { /* try again at the next refresh */ }
  }, 1000 * Number(place.dataset.refresh));
}
