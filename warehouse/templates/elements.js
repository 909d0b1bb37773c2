// Elements are made one by one and text is only ever text: the page's policy forbids every way to parse markup.

const SVG = "http://www.w3.org/2000/svg";

function element(name, attributes = {}, ...children) {
  return furnished(document.createElement(name), attributes, children);
}

function drawn(name, attributes = {}, ...children) {
  return furnished(document.createElementNS(SVG, name), attributes, children);
}

function furnished(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value == null || value === false) continue;
    if (typeof value === "function") node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...shown(children));
  return node;
}

// What is to be shown: lists flattened, and nothing of what is not there.
function shown(children) {
  return children.flat(Infinity).filter((child) => child != null && child !== false && child !== "");
}

// Put these in the place of what a section shows.
function fill(id, ...children) {
  document.querySelector(`#${id} .filled`).replaceChildren(...shown(children));
}

const note = (...children) => element("p", { class: "note" }, children);
const row = (...cells) => element("tr", {}, cells);
const headed = (...children) => element("th", { scope: "row" }, children);
const cell = (...children) => element("td", {}, children);
const figure = (text, kind = "") => element("td", { class: `figure ${kind}`.trim() }, text);

// Names may run from right to left; they turn nothing around them.
function isolated(text, attributes) {
  return element("bdi", attributes, text);
}

function linked(series, code) {
  return element("a", { href: address(series, code) }, isolated(nameOf(code)));
}

const numberOf = (pair) => String(pair.number ?? "?");
const titleOf = (pair) => pair.name || pair.id;
const lookOf = (pair) => `paint-${pair.paint} hatch-${pair.place % 6}`;

function chip(pair) {
  const label = speech.say("ballot_number", { number: numberOf(pair) });
  return element("span", { class: `chip ${lookOf(pair)}`, role: "img", "aria-label": label }, numberOf(pair));
}

// A bar with the pair's colour and pattern, and a mark at half, which some contests must be won by; without a pair, of
// progress. `share` is 0 to 1.
function bar(share, pair) {
  const width = `${(100 * Math.min(Math.max(share || 0, 0), 1)).toFixed(3)}%`;
  const shape = { x: 0, y: 0, width, height: "100%" };
  const hatch = pair && pair.place % 6;
  return drawn(
    "svg",
    { class: pair ? `bar paint-${pair.paint}` : "bar", "aria-hidden": "true", focusable: "false" },
    drawn("rect", { ...shape, class: pair ? "mark" : "done" }),
    hatch ? drawn("rect", { ...shape, fill: `url(#hatch-${hatch})` }) : null,
    pair && drawn("line", { class: "half", x1: "50%", x2: "50%", y1: 0, y2: "100%" }),
  );
}

// A table in a frame of its own that scrolls where it must; heads are elements, or [text, class].
function table(name, heads, rows, attributes = {}) {
  const head = heads.map((one) => (one instanceof Node ? one : element("th", { scope: "col", class: one[1] }, one[0])));
  return element(
    "div",
    { class: "wide", tabindex: 0, role: "region", "aria-label": name },
    element("table", attributes, element("thead", {}, row(head)), element("tbody", {}, rows)),
  );
}
