// A map without geometry: provinces roughly in their places, and below them tiles grouped by parent.

const MOST_NAMED = 160; // tiles; more of them are too small for names
const LIMITS = [0.25, 0.75, 0.95, 0.999, 1]; // of progress, between the six shades

function tileMap(series, code, mode) {
  const children = series.children(code);
  const map = code === "0" ? provinceGrid(series, mode) : groups(series, code, mode);
  const codes = [...map.querySelectorAll("a.tile")].map((node) => node.dataset.code);
  const isManyContests = new Set(codes.map((one) => series.tallies[one].standing.contest)).size > 1;
  roving(map);
  return [
    note(
      `${speech.say(code === "0" ? "map_note_grid" : "map_note_groups")} ${speech.say("map_keys")}`,
      mode === "leader" && isManyContests && ` ${speech.say("own_pairs")}`,
    ),
    mode === "progress" ? shades() : !isManyContests && children.length > 0 && leaders(series, codes),
    map,
  ];
}

// What is no province, such as the votes from abroad, gets a row of its own.
function provinceGrid(series, mode) {
  const { grid, abbreviations } = figures.provinces;
  const others = series.children("0").filter((code) => !Object.hasOwn(abbreviations, code));
  const map = element("div", { class: "tiles provinces" });
  [...grid.map((line) => line.trim().split(/\s+/)), others].forEach((codes, row) => {
    codes.forEach((code, column) => {
      if (code === ".") return;
      const node = tile(series, code, mode, abbreviations[code]);
      node.style.gridArea = `${row + 1} / ${column + 1}`;
      map.append(node);
    });
  });
  return map;
}

// A region's grandchildren under their parents where the page has them, else its children.
function groups(series, code, mode) {
  const children = [...series.children(code)].sort(byName);
  const grandchildren = children.flatMap((child) => series.children(child));
  if (!grandchildren.length) {
    const tiles = element("div", { class: "tiles" }, children.map((child) => tile(series, child, mode)));
    return element("div", { class: "groups single" }, element("div", { class: "group" }, tiles));
  }
  const size = grandchildren.length > MOST_NAMED ? "groups many" : "groups";
  return element("div", { class: size }, children.map((child) => group(series, child, mode)));
}

function group(series, code, mode) {
  const parts = [...series.children(code)].sort();
  const tiles = element("div", { class: "tiles" }, (parts.length ? parts : [code]).map((one) => tile(series, one, mode)));
  tiles.style.setProperty("--columns", Math.max(3, Math.ceil(Math.sqrt(parts.length * 1.6)))); // wider than high
  return element("div", { class: "group" }, element("h3", {}, linked(series, code)), tiles);
}

function tile(series, code, mode, abbreviation) {
  const name = nameOf(code);
  if (!Object.hasOwn(series.tallies, code)) return element("span", { class: "tile none", title: name }, abbreviation);
  const { number, look, said } = (mode === "leader" ? ledTile : reportedTile)(series.standing(code));
  const label = `${name}: ${said}`;
  return element(
    "a",
    { class: `tile ${look}`, href: address(series, code), "aria-label": label, title: label, "data-code": code },
    element("b", {}, number),
    element("span", { class: "clipped" }, isolated(name)),
    abbreviation && element("span", { class: "short" }, abbreviation),
  );
}

function ledTile({ leader, whole }) {
  if (!leader) return { number: "–", look: "none", said: speech.say("no_leader") };
  const said = `${numberOf(leader)} ${titleOf(leader)}, ${speech.percent(leader.votes, whole)}`;
  return { number: numberOf(leader), look: lookOf(leader), said };
}

function reportedTile({ progress, stations, total }) {
  if (progress == null) return { number: "–", look: "none", said: "–" };
  const shade = LIMITS.filter((limit) => progress >= limit).length;
  return { number: String(Math.floor(100 * progress)), look: `step-${shade}`, said: speech.percent(stations, total) };
}

function shades() {
  const [quarter, most, nearly, last] = LIMITS.map((limit) => speech.share(limit));
  const texts = [`< ${quarter}`, `${quarter}–${most}`, `${most}–${nearly}`, `${nearly}–${last}`, `≥ ${last}`, "100%"];
  const key = (text, shade) => element("span", {}, element("span", { class: `key step-${shade}` }), text);
  return element("p", { class: "legend" }, texts.map(key));
}

// Who leads in how many of the tiles.
function leaders(series, codes) {
  const led = grouped(codes.map((code) => series.standing(code).leader).filter(Boolean), (leader) => leader.id);
  const key = ([leader, ...others]) =>
    element("span", {}, chip(leader), " ", isolated(titleOf(leader)), ` (${speech.number(1 + others.length)})`);
  return element("p", { class: "legend" }, [...led.values()].map(key));
}

// One stop for the tabulator; arrows go to the tile that lies next in their direction.
function roving(map) {
  const tiles = [...map.querySelectorAll("a.tile")];
  tiles.forEach((node, place) => node.setAttribute("tabindex", place ? -1 : 0));
  const directions = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  map.addEventListener("keydown", (event) => {
    if (!Object.hasOwn(directions, event.key) || !event.target.matches("a.tile")) return;
    event.preventDefault();
    const next = nearestTile(tiles, event.target, directions[event.key]);
    if (!next) return;
    event.target.setAttribute("tabindex", -1);
    next.setAttribute("tabindex", 0);
    next.focus();
  });
}

function nearestTile(tiles, from, [across, down]) {
  const centre = (node) => {
    const box = node.getBoundingClientRect();
    return [box.left + box.width / 2, box.top + box.height / 2];
  };
  const [x, y] = centre(from);
  const ways = tiles.map((node) => {
    const [dx, dy] = [centre(node)[0] - x, centre(node)[1] - y];
    const ahead = dx * across + dy * down;
    return { node, ahead, away: ahead + 3 * Math.abs(dx * down + dy * across) }; // aside counts as far
  });
  return ways.filter((way) => way.ahead > 1).sort((one, other) => one.away - other.away)[0]?.node;
}
