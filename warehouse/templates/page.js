// What the reader looks at: series and region from the address, language and colours from the buttons.

const PAPER = 330; // pixels of a column of charts on A4

const catalogue = new Map(Object.keys(figures.series).map((key) => [key, new Series(key)]));
const view = { series: null, code: figures.region, map: "leader", most: MOST_CHANGES };
const list = { wanted: "", column: 0, isDown: false };

const at = (id) => document.getElementById(id);

function address(series, code) {
  return `#${series.key}/${code}`;
}

// The address is election/contest/stage/region; whatever else it says means the beginning.
function readAddress() {
  const words = location.hash.slice(1).split("/");
  const key = words.slice(0, 3).join("/");
  view.series = catalogue.get(key) || view.series || [...catalogue.values()][0];
  const isKnown = catalogue.has(key) && Object.hasOwn(view.series.tallies, words[3]);
  view.code = isKnown ? words[3] : figures.region;
  view.most = MOST_CHANGES;
}

function show() {
  speakAll();
  const { series, code } = view;
  showPlace(series, code);
  if (!series) return;
  showProgress(series.standing(code));
  fill("standings", standingsTable(series, code));
  showCharts();
  at("map").hidden = series.children(code).length === 0;
  if (!at("map").hidden) fill("map", tileMap(series, code, view.map));
  showRegions();
  showChanges();
  fill("findings", findingsTable(series, code));
}

// What stands in the HTML in one language, said in the one that was chosen.
function speakAll() {
  for (const node of document.querySelectorAll("[data-say]")) {
    node.textContent = speech.say(node.dataset.say, JSON.parse(node.dataset.with || "{}"));
  }
  for (const node of document.querySelectorAll("[data-moment]")) {
    node.textContent = speech.moment(Number(node.dataset.moment) || null);
  }
  for (const node of document.querySelectorAll("[data-level]")) {
    node.textContent = speech.say("shallower", { level: speech.say(node.dataset.level) });
  }
  at("written-ago").textContent = ` (${speech.ago(figures.written)})`;
  at("search").placeholder = speech.say("search_hint");
  at("path").setAttribute("aria-label", speech.say("path"));
  at("contests").setAttribute("aria-label", speech.say("contests"));
  for (const group of document.querySelectorAll(".choice")) {
    const isLanguage = group.dataset.name === "language";
    group.setAttribute("aria-label", speech.say(isLanguage ? "language" : "map_by"));
    const chosen = isLanguage ? speech.language : view.map;
    for (const button of group.children) button.setAttribute("aria-pressed", button.value === chosen);
  }
}

// Name and path of the region, and the contests that it votes in.
function showPlace(series, code) {
  at("place").replaceChildren(isolated(nameOf(code)));
  const above = series ? lineage(code).slice(0, -1).map((one) => element("li", {}, linked(series, one))) : [];
  at("path").replaceChildren(element("ol", {}, above, element("li", {}, speech.say(levelOf(code)))));
  if (!series) return;
  const contest = speech.say(series.contestType);
  document.title = `${speech.say("title", { place: nameOf(code), contest })} · realcount`;
  const choices = [...catalogue.values()].map((other) => {
    const target = Object.hasOwn(other.tallies, code) ? code : figures.region;
    const current = other === series ? "true" : null;
    return element("li", {}, element("a", { href: address(other, target), "aria-current": current }, other.label));
  });
  at("contests").replaceChildren(element("ul", {}, choices));
}

function showProgress(standing) {
  const { stations, total, summed } = standing;
  const progress = total > 0 && [
    element("p", {}, speech.say("reported_of", { reported: stations, total })),
    bar(standing.progress),
    summed && note(speech.say("summed", { units: summed })),
  ];
  at("progress").replaceChildren(...shown([progress]));
  at("votes-of").textContent = standing.at ? speech.say("votes_of", { at: standing.at }) : "";
  at("fetched-at").textContent = standing.seen ? speech.say("fetched_at", { at: standing.seen }) : "";
  if (at("digest")) at("digest").textContent = standing.digest || "–";
}

// Charts are drawn at the width they are shown in, so that their texts keep their size.
function showCharts(column) {
  if (!view.series) return;
  at("trends").hidden = false;
  const place = document.querySelector("#trends .filled");
  const [first] = getComputedStyle(place).gridTemplateColumns.split(" ");
  const width = column || Math.max(260, Math.floor(parseFloat(first) || place.clientWidth));
  const drawings = charts(view.series, view.code, width);
  fill("trends", drawings);
  at("trends").hidden = drawings.length === 0;
}

function showRegions() {
  const [count, ...nodes] = regionsTable(view.series, view.code, list, (column) => {
    list.isDown = column === list.column ? !list.isDown : column > 0;
    list.column = column;
    showRegions();
    document.querySelectorAll("#regions .sort")[column].focus();
  });
  fill("regions", nodes);
  at("regions").hidden = count === 0 && !list.wanted;
  at("found").textContent = list.wanted ? speech.say("found", { units: count }) : "";
}

function showChanges() {
  const more = () => {
    view.most += MOST_CHANGES;
    showChanges();
  };
  fill("changes", changesTable(view.series, view.code, view.most, more));
}

function begin() {
  document.documentElement.classList.add("alive");
  speech.begin();
  readAddress();
  show();
  window.addEventListener("hashchange", () => {
    if (location.hash === "#content") return;
    readAddress();
    at("search").value = list.wanted = "";
    show();
    window.scrollTo(0, 0);
    at("content").focus({ preventScroll: true });
  });
  at("search").addEventListener("input", (event) => {
    list.wanted = event.target.value.trim();
    if (view.series) showRegions();
  });
  for (const group of document.querySelectorAll(".choice")) {
    group.addEventListener("click", (event) => {
      const value = event.target.closest("button")?.value;
      if (!value) return;
      if (group.dataset.name === "language") speech.speak(value);
      else view.map = value;
      show();
    });
  }
  let width = window.innerWidth; // phones resize the window's height whenever their bars come and go
  window.addEventListener("resize", () => {
    if (window.innerWidth === width) return;
    width = window.innerWidth;
    showCharts();
  });
  window.addEventListener("beforeprint", () => showCharts(PAPER));
  window.addEventListener("afterprint", () => showCharts());
}

begin();
