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

function firstDirection(head) {
  return head.classList.contains("num") ? "descending" : "ascending";
}

function sortTable(table, heads, head, direction) {
  heads.forEach((each) => each.removeAttribute("aria-sort"));
  head.setAttribute("aria-sort", direction);
  sortBy(table, heads.indexOf(head), direction === "ascending" ? 1 : -1);
}

for (const table of document.querySelectorAll("table[data-sortable]")) {
  const heads = [...(table.tHead?.rows[0]?.cells ?? [])];
  for (const head of heads) {
    if (!head.textContent.trim()) continue; // a column of links
    const button = document.createElement("button");
    button.type = "button";
    button.className = "sort";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const first = firstDirection(head);
      const other = first === "descending" ? "ascending" : "descending";
      sortTable(table, heads, head, head.getAttribute("aria-sort") === first ? other : first);
      table.dispatchEvent(new CustomEvent("sorted", { detail: head }));
    });
  }
}

// The view of the leaderboard is in its address: sort, hidden columns, and rows shown on request.  A link to it shows
// the same, and the back button undoes one step.
const VIEW = ["sort", "hide", "builtin", "paper"];

function followView(board) {
  const heads = [...board.tHead.rows[0].cells];
  const original = [...board.tBodies[0].rows];
  const toggles = [...document.querySelectorAll("input.toggle[name]")];
  const boxes = columnBoxes(board, heads);
  let view = new URLSearchParams(location.search);

  function show() {
    for (const toggle of toggles) toggle.checked = view.get(toggle.name) === "show";
    const hidden = new Set((view.get("hide") ?? "").split(","));
    heads.forEach((head, index) => {
      const box = boxes.get(head);
      const away = Boolean(box) && hidden.has(head.dataset.column);
      if (box) box.checked = !away;
      for (const row of board.rows) row.cells[index].hidden = away;
    });
    const sort = view.get("sort") ?? "";
    const head = heads.find((each) => each.dataset.column === sort.replace(/^-/, ""));
    if (head) {
      sortTable(board, heads, head, sort.startsWith("-") ? "descending" : "ascending");
    } else {
      heads.forEach((each) => each.removeAttribute("aria-sort"));
      board.tBodies[0].append(...original);
    }
  }

  function remember(name, value) {
    value ? view.set(name, value) : view.delete(name);
    const query = view.toString();
    try { history.pushState(null, "", query ? `?${query}` : location.pathname); } catch { /* a page from a folder */ }
  }

  function keepView(params) {
    for (const name of VIEW) view.has(name) ? params.set(name, view.get(name)) : params.delete(name);
  }

  board.addEventListener("sorted", ({ detail: head }) => {
    remember("sort", `${head.getAttribute("aria-sort") === "descending" ? "-" : ""}${head.dataset.column}`);
  });
  for (const toggle of toggles) {
    toggle.addEventListener("change", () => remember(toggle.name, toggle.checked ? "show" : ""));
  }
  for (const box of boxes.values()) {
    box.addEventListener("change", () => {
      remember("hide", heads.filter((head) => boxes.get(head)?.checked === false).map((head) => head.dataset.column).join(","));
      show();
    });
  }
  for (const link of document.querySelectorAll("a[data-view]")) {
    link.addEventListener("click", () => {
      const target = new URL(link.href);
      keepView(target.searchParams);
      link.href = target.href;
    });
  }
  document.querySelector("form[data-view]")?.addEventListener("formdata", ({ formData }) => {
    for (const [name, value] of [...formData]) if (!value) formData.delete(name);
    keepView(formData);
  });
  addEventListener("popstate", () => {
    view = new URLSearchParams(location.search);
    show();
  });
  show();
}

function columnBoxes(board, heads) {
  const boxes = new Map();
  const details = document.createElement("details");
  const place = document.createElement("div");
  const summary = document.createElement("summary");
  details.className = "columns";
  summary.textContent = "Columns";
  details.append(summary, place);
  for (const head of heads) {
    if (head.dataset.column === "model") continue;
    const label = document.createElement("label");
    const box = document.createElement("input");
    box.type = "checkbox";
    boxes.set(head, box);
    label.append(box, ` ${head.textContent.trim().replace(/\s+/g, " ")}`);
    place.append(label);
  }
  board.parentElement.before(details);
  return boxes;
}

for (const board of document.querySelectorAll("table[data-board]")) followView(board);

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

// Without its classes, a chart looks as its attributes say: dark on white, at any place.
function standalone(chart) {
  const copy = chart.cloneNode(true);
  for (const element of [copy, ...copy.querySelectorAll("*")]) element.removeAttribute("class");
  return new XMLSerializer().serializeToString(copy);
}

const PNG_SCALE = 4;

function savePng(chart, name) {
  const image = new Image();
  image.onload = () => {
    const canvas = document.createElement("canvas");
    canvas.width = PNG_SCALE * image.width;
    canvas.height = PNG_SCALE * image.height;
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

// A transcript as one principal saw it.  The server does the same for ?as=NAME; an export has only this script.
for (const form of document.querySelectorAll("form[data-see-as]")) {
  const transcript = form.closest(".transcript");
  const choice = form.elements.namedItem("as");
  const seeAs = (name) => {
    if (name) transcript.dataset.as = name; else delete transcript.dataset.as;
    for (const lane of transcript.querySelectorAll(".lane")) lane.classList.toggle("seen", lane.dataset.who === name);
    if (name) for (const turn of transcript.querySelectorAll("details.fold")) turn.open = true;
    form.querySelector("[role=status]").textContent = name ? `Only what ${name} saw.` : "";
  };
  form.hidden = false;
  form.querySelector("button").hidden = true;
  const asked = new URLSearchParams(location.search).get("as");
  if (asked && [...choice.options].some((option) => option.value === asked)) choice.value = asked;
  seeAs(choice.value);
  choice.addEventListener("change", () => {
    seeAs(choice.value);
    const address = choice.value ? `?as=${encodeURIComponent(choice.value)}` : location.pathname;
    try { history.replaceState(null, "", address); } catch { /* a page from a file may not change its address */ }
  });
}

for (const button of document.querySelectorAll("button[data-open-all]")) {
  button.hidden = false;
  button.addEventListener("click", () => {
    for (const turn of document.querySelectorAll("details.fold")) turn.open = true;
    button.parentElement.hidden = true;
  });
}

// A link to a folded turn opens it.
function openTarget() {
  const turn = location.hash && document.getElementById(location.hash.slice(1))?.querySelector("details.fold");
  if (turn) turn.open = true;
}
addEventListener("hashchange", openTarget);
openTarget();

const leaks = [...document.querySelectorAll(".rule-fired[id]")];
for (const hint of document.querySelectorAll("[data-keys]")) hint.hidden = leaks.length === 0;
if (leaks.length > 0) {
  addEventListener("keydown", (event) => {
    const step = { n: 1, p: -1 }[event.key];
    if (!step || event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea")) return;
    const here = leaks.findIndex((leak) => `#${leak.id}` === location.hash);
    const next = here < 0 ? (step > 0 ? 0 : leaks.length - 1) : Math.min(Math.max(here + step, 0), leaks.length - 1);
    location.hash = leaks[next].id;
  });
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
