// Standings, regions, changes and findings as tables.

const MOST_ROWS = 80;
const MOST_CHANGES = 25;

function standingsTable(series, code) {
  const standing = series.standing(code);
  const children = series.children(code);
  if (!standing.ranked.length) return element("p", {}, speech.say(children.length ? "own_contests" : "no_votes"));
  const heads = [[speech.say("pair")], [speech.say("votes"), "figure"], [speech.say("margin"), "figure rare"]];
  const rows = standing.ranked.map((pair, rank) => standingRow(standing, pair, rank));
  return [
    standing.withdrawn && withdrawal(standing),
    standing.whole > 0 && standing.ranked.length > 1 && lead(standing),
    table(speech.say("standings"), heads, rows, { class: "standings" }),
  ];
}

function withdrawal({ withdrawn }) {
  const badge = element("span", { class: "badge withdrawn" }, `⊘ ${speech.say("withdrawal")}`);
  return note(badge, " ", speech.say("withdrawn", { at: withdrawn }));
}

function lead({ leader, margin, whole }) {
  if (!leader) return element("p", {}, speech.say("tied"));
  return element("p", {}, chip(leader), " ", speech.say("ahead", { votes: margin, points: (100 * margin) / whole }));
}

function standingRow({ ranked, whole }, pair, rank) {
  const rival = ranked[rank ? 0 : 1];
  const margin = pair.votes == null || rival?.votes == null ? null : pair.votes - rival.votes;
  return row(
    headed(element("span", { class: "pair" }, chip(pair), isolated(titleOf(pair))), bar(pair.votes / whole, pair)),
    element(
      "td",
      { class: "figure" },
      element("div", { class: "share" }, speech.percent(pair.votes, whole)),
      element("div", {}, speech.number(pair.votes)),
    ),
    figure(speech.signed(margin), "rare"),
  );
}

// Columns of the table of regions, and by what they sort; the first sorts by name. Small screens lack the rare ones.
const COLUMNS = [
  { name: "region", kind: "" },
  { name: "leads", kind: "", value: ({ leader, whole }) => (leader ? leader.votes / whole : null) },
  { name: "margin", kind: "figure", value: ({ margin }) => margin },
  { name: "valid_votes", kind: "figure rare", value: ({ whole }) => whole || null },
  { name: "stations", kind: "figure", value: ({ progress }) => progress },
  { name: "updated", kind: "figure rare", value: ({ at }) => at },
];

// The regions right below, or those of all below that are searched for: how many, and the table.
function regionsTable(series, code, { wanted, column, isDown }, sort) {
  const codes = wanted ? matching(series, code, wanted) : [...series.children(code)];
  codes.sort(order(series, COLUMNS[column].value, isDown));
  const heads = COLUMNS.map(({ name, kind }, place) => {
    const label = speech.say(name);
    const action = { class: "sort", onclick: () => sort(place), "aria-label": speech.say("sort_by", { column: label }) };
    const direction = place === column && (isDown ? "descending" : "ascending");
    const button = element("button", { type: "button", ...action }, label);
    return element("th", { scope: "col", class: kind, "aria-sort": direction }, button);
  });
  const rows = codes.slice(0, MOST_ROWS).map((unit) => regionRow(series, unit, wanted ? code : null));
  const rest = codes.length - rows.length;
  return [
    codes.length,
    rows.length > 0 && table(speech.say("regions"), heads, rows),
    rest > 0 && note(speech.say("more_units", { units: rest })),
  ];
}

// What has no value comes last in either direction.
function order(series, value, isDown) {
  if (!value) return isDown ? (one, other) => byName(other, one) : byName;
  return (one, other) => {
    const [first, second] = [value(series.standing(one)), value(series.standing(other))];
    if (first == null || second == null) return (first == null) - (second == null);
    return (isDown ? second - first : first - second) || byName(one, other);
  };
}

// Names written as people write them, in any case and without accents, or the beginning of a code.
function matching(series, code, wanted) {
  const plain = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
  const words = plain(wanted).split(/\s+/).filter(Boolean);
  return series.within(code).filter((unit) => {
    const name = plain(nameOf(unit));
    return words.every((word) => name.includes(word) || unit.startsWith(word));
  });
}

function regionRow(series, code, from) {
  const standing = series.standing(code);
  const { leader, stations, total } = standing;
  const above = from && lineage(parentOf(code)).filter((one) => one.length > from.length).map(nameOf);
  const title = total ? speech.say("reported_of", { reported: stations, total }) : null;
  return element(
    "tr",
    { "data-code": code },
    headed(linked(series, code), above?.length ? element("div", { class: "soft" }, isolated(above.join(" › "))) : null),
    cell(leader && leading(leader, standing.whole)),
    figure(speech.signed(leader && standing.margin)),
    figure(speech.number(standing.whole || null), "rare"),
    element("td", { class: "figure progress", title }, speech.percent(stations, total), bar(standing.progress)),
    figure(standing.at ? `${speech.day(standing.at)} ${speech.clock(standing.at)}` : "", "rare"),
  );
}

function leading(leader, whole) {
  const name = isolated(titleOf(leader), { class: "clipped rare", title: titleOf(leader) });
  return element("span", { class: "pair" }, chip(leader), element("span", {}, name, speech.percent(leader.votes, whole)));
}

// The latest steps of the regions right below, or of a region that has none.
function changesTable(series, code, most, more) {
  const children = series.children(code);
  const units = children.some((child) => series.steps(child)) ? children : [code];
  const changes = units.flatMap((unit) => changesOf(series, unit));
  if (!changes.length) return note(speech.say("no_changes"));
  changes.sort((one, other) => other.at - one.at || byName(one.code, other.code));
  const heads = [
    [speech.say("time"), "figure"],
    [speech.say("region")],
    [speech.say("kind")],
    [speech.say("stations"), "figure rare"],
    [speech.say("change")],
  ];
  const rows = changes.slice(0, most).map((change) =>
    row(
      figure(`${speech.day(change.at)} ${speech.clock(change.at)}`, "when"),
      headed(linked(series, change.code)),
      cell(element("span", { class: "badge" }, speech.say(change.kind))),
      figure(speech.signed(change.stations), "rare"),
      cell(change.moved.filter((pair) => pair.delta).map(moved)),
    ),
  );
  const button = { type: "button", class: "more", onclick: more };
  return [
    table(speech.say("changes"), heads, rows, { class: "changes" }),
    changes.length > most && element("button", button, speech.say("more")),
  ];
}

function moved(pair) {
  return element("span", { class: "moved" }, chip(pair), ` ${speech.signed(pair.delta)}`);
}

function findingsTable(series, code) {
  const isHere = (finding) => finding.series === series.key && (code === "0" || finding.unit_code.startsWith(code));
  const here = figures.findings.filter(isHere);
  if (!here.length) return note(speech.say("no_findings"));
  const open = here.filter((finding) => finding.resolved == null).length;
  const all = Math.max(figures.findings[0].findings, here.length);
  const heads = ["rule", "region", "expected", "found_value", "since"].map((name) => [speech.say(name)]);
  const rows = here.slice(0, MOST_ROWS).map((finding) => findingRow(series, finding));
  const isCut = here.length > MOST_ROWS || all > figures.findings.length;
  return [
    element("p", {}, speech.say("findings_count", { open, closed: here.length - open })),
    table(speech.say("findings"), heads, rows, { class: "findings" }),
    isCut && note(speech.say("findings_shown", { shown: rows.length, all })),
  ];
}

function findingRow(series, finding) {
  const place = series.pairs(finding.unit_code).findIndex((pair) => pair.id === finding.candidate_id);
  const pair = place >= 0 && { ...series.pairs(finding.unit_code)[place], place };
  const title = figures.rules[finding.rule]?.[speech.language];
  const state = finding.resolved == null ? speech.say("open") : speech.say("resolved", { at: finding.resolved });
  return element(
    "tr",
    { class: finding.resolved == null ? null : "resolved" },
    headed(
      element("span", { class: `badge ${finding.severity}` }, finding.rule),
      title && ` ${title}`,
      element("div", { class: "soft" }, speech.say(finding.severity)),
    ),
    cell(linked(series, finding.unit_code), pair && [" ", chip(pair)]),
    cell(isolated(finding.expected ?? "")),
    cell(isolated(finding.found ?? "")),
    cell(speech.moment(finding.first_seen), element("div", { class: "soft" }, state)),
  );
}
