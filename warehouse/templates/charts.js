// How the count went: four charts of one region, each with a line that reads its values and a table of them.

const HEIGHT = 200;
const DASHES = [null, "7 3", "2 3", "10 3 2 3", "4 2", "12 4"];
const KINDS = ["new", "raised", "lowered", "unknown"];
const HATCHES = { raised: 1, lowered: 3 };

function charts(series, code, width) {
  const steps = series.steps(code);
  if (!steps) return [];
  const history = historyOf(series, code, steps);
  return [sharesChart, marginChart, stationsChart, splitChart].map((chart) => chart(history, width)).filter(Boolean);
}

// The steps from the first station on, and those with votes: stations go on after a withdrawal.
function historyOf(series, code, steps) {
  const all = steps.at.map((minutes, step) => ({
    at: minutes * 60,
    stations: steps.stations[step],
    votes: steps.votes[step],
    ...Object.fromEntries(KINDS.map((kind) => [kind, steps[kind][step]])),
  }));
  const hasVotes = (step) => Boolean(step.votes?.some((given) => given > 0));
  const first = all.findIndex((step) => step.stations > 0 || hasVotes(step));
  const counted = all.slice(Math.max(first, 0));
  const voted = counted.filter(hasVotes).map((step) => ({ ...step, ...ledBy(step.votes) }));
  const standing = series.standing(code);
  const times = counted.map((step) => step.at);
  const until = Math.max(standing.withdrawn || times.at(-1), voted.at(-1)?.at || 0);
  return { counted, voted, times, until, standing, pairs: series.pairs(code) };
}

function ledBy(votes) {
  const order = votes.map((given, place) => [given || 0, place]).sort((one, other) => other[0] - one[0]);
  const whole = order.reduce((sum, [given]) => sum + given, 0);
  return { whole, leader: order[0][1], lead: order[0][0] - (order[1]?.[0] || 0) };
}

function sharesChart({ voted, pairs, standing, until, times }, width) {
  if (!voted.length || pairs.length < 2) return null;
  const shares = voted.map((step) => step.votes.map((given) => (100 * (given || 0)) / step.whole));
  const percent = (step, place) => speech.percent(step.votes[place] || 0, step.whole);
  const [lowest, highest] = [Math.min(...shares.flat()), Math.max(...shares.flat())];
  const room = Math.max((highest - lowest) * 0.06, 0.5);
  const [low, high] = [Math.max(0, lowest - room), Math.min(100, highest + room)];
  const plot = new Plot(width, times, [{ low, high, height: HEIGHT, label: (value) => speech.share(value / 100) }]);
  pairs.forEach((pair, place) => {
    const d = plot.stepped(voted.map((step, number) => [step.at, shares[number][place]]), until);
    plot.add("path", { class: `line paint-${pair.paint}`, d, "stroke-dasharray": DASHES[place % 6] });
  });
  const last = voted.at(-1);
  plot.labelled(
    pairs.map((pair, place) => ({
      y: plot.y(shares.at(-1)[place]),
      text: `${numberOf(pair)} · ${percent(last, place)}`,
      paint: pair.paint,
    })),
  );
  plot.gone(standing.withdrawn);
  return framed(plot, "share_over_time", voted, {
    told: (step) => pairs.map((pair, place) => `${numberOf(pair)}: ${percent(step, place)}`),
    heads: pairs.map((pair) => `${numberOf(pair)} ${titleOf(pair)}`),
    values: (step) => pairs.map((_, place) => percent(step, place)),
  });
}

function marginChart({ voted, pairs, standing, until, times }, width) {
  if (!voted.length || pairs.length < 2) return null;
  const high = Math.max(...voted.map((step) => step.lead), 1) * 1.08;
  const plot = new Plot(width, times, [{ low: 0, high, height: HEIGHT, label: shortened }]);
  voted.forEach((step, number) => {
    const [x, y] = [plot.x(step.at), plot.y(step.lead)];
    const ends = plot.x(voted[number + 1]?.at ?? until);
    const { paint } = pairs[step.leader];
    const block = { x, y, width: Math.max(ends - x, 0.5), height: Math.max(plot.y(0) - y, 0) };
    plot.patterned(block, `lead paint-${paint}`, step.leader % 6);
    if (step.leader === voted[number - 1]?.leader) return;
    plot.add("text", { class: `label paint-${paint}`, x: x + 2, y: y - 5 }, numberOf(pairs[step.leader]));
  });
  const last = voted.at(-1);
  plot.labelled([{ y: plot.y(last.lead), text: speech.signed(last.lead), paint: pairs[last.leader].paint }]);
  plot.gone(standing.withdrawn);
  const values = (step) => [numberOf(pairs[step.leader]), speech.signed(step.lead)];
  return framed(plot, "margin_over_time", voted, {
    told: (step) => [values(step).join(": ")],
    heads: [speech.say("leads"), speech.say("margin")],
    values,
  });
}

function stationsChart({ counted, standing, times }, width) {
  const given = counted.filter((step) => step.stations != null);
  const { total } = standing;
  if (!given.length || !total) return null;
  const plot = new Plot(width, times, [{ low: 0, high: total, height: HEIGHT, label: (value) => speech.number(value) }]);
  const line = plot.stepped(given.map((step) => [step.at, step.stations]), times.at(-1));
  plot.add("path", { class: "total", d: `${line}V${plot.y(0)}H${plot.x(given[0].at)}Z` });
  plot.add("path", { class: "line", d: line });
  plot.labelled([{ y: plot.y(given.at(-1).stations), text: speech.percent(given.at(-1).stations, total) }]);
  plot.gone(standing.withdrawn, plot.bottom - 8);
  return framed(plot, "stations_over_time", given, {
    told: (step) => [speech.say("reported_of", { reported: step.stations, total })],
    heads: [speech.say("stations"), speech.say("share")],
    values: (step) => [speech.number(step.stations), speech.percent(step.stations, total)],
  });
}

// New votes dwarf revised ones a thousandfold, so each has a scale of its own.
function splitChart({ voted, times, standing }, width) {
  const [minutes, sums] = inSpans(voted, times);
  if (!sums.length) return null;
  const upward = (sum, kind) => Math.max(0, sum[kind]);
  const most = Math.max(1, ...sums.map((sum) => upward(sum, "new") + upward(sum, "unknown")));
  const [lowest, highest] = [Math.min(0, ...sums.map((sum) => sum.lowered)), Math.max(1, ...sums.map((sum) => sum.raised))];
  const [low, high] = [Math.min(lowest, -highest / 4) * 1.1, Math.max(highest, -lowest / 4) * 1.1];
  const plot = new Plot(width, times, [
    { low: 0, high: most * 1.05, height: 120, label: shortened },
    { low, high, height: 66, label: shortened },
  ]);
  for (const sum of sums) {
    const upper = upward(sum, "new");
    plot.block(sum.at, minutes * 60, [0, upper], 0, "new");
    plot.block(sum.at, minutes * 60, [upper, upper + upward(sum, "unknown")], 0, "unknown");
    for (const kind of ["raised", "lowered"]) plot.block(sum.at, minutes * 60, [0, sum[kind]], 1, kind, HATCHES[kind]);
  }
  plot.gone(standing.withdrawn);
  const said = (sum) => KINDS.filter((kind) => sum[kind]).map((kind) => `${speech.signed(sum[kind])} ${speech.say(kind)}`);
  const chart = framed(plot, "new_vs_revised", sums, {
    told: said,
    heads: KINDS.map((kind) => speech.say(kind)),
    values: (sum) => KINDS.map((kind) => speech.signed(sum[kind])),
  });
  const keys = KINDS.map((kind) => element("span", {}, swatch(kind), speech.say(kind)));
  chart.querySelector(".readout").after(element("p", { class: "legend" }, keys));
  chart.append(note(speech.say("new_vs_revised_note", { minutes })));
  return chart;
}

function swatch(kind) {
  const shape = { x: 0.5, y: 0.5, width: 11, height: 11 };
  return drawn(
    "svg",
    { class: "plot", viewBox: "0 0 12 12", "aria-hidden": "true" },
    drawn("rect", { ...shape, class: kind }),
    HATCHES[kind] && drawn("rect", { ...shape, fill: `url(#hatch-${HATCHES[kind]})` }),
  );
}

// Sums over spans of KPU's quarter-hours, long enough that at most 48 bars stand side by side.
function inSpans(voted, times) {
  const spans = [15, 30, 60, 120, 180, 360, 720, 1440];
  const minutes = spans.find((span) => (times.at(-1) - times[0]) / (60 * span) <= 48) || 2880;
  const told = voted.filter((step) => KINDS.some((kind) => step[kind] != null));
  const sums = [...grouped(told, (step) => Math.floor(step.at / (60 * minutes)))].map(([span, steps]) => {
    const sum = (kind) => steps.reduce((total, step) => total + (step[kind] || 0), 0);
    return { at: span * 60 * minutes, ...Object.fromEntries(KINDS.map((kind) => [kind, sum(kind)])) };
  });
  return [minutes, sums];
}

// A chart with its title, the line that reads it, and the same values as a table for who cannot see it.
function framed(plot, title, steps, { told, heads, values }) {
  const name = speech.say(title);
  const read = (step) => `${speech.moment(step.at)}: ${told(step).join(" · ")}`;
  const readout = element("p", { class: "readout", "aria-live": "polite" });
  plot.svg.setAttribute("aria-label", `${name}. ${read(steps.at(-1))}. ${speech.say("chart_keys")}`);
  plot.readable(steps.map((step) => step.at), (place) => read(steps[place]), readout);
  const details = element("details", {}, element("summary", {}, speech.say("as_table")));
  details.addEventListener("toggle", () => {
    if (!details.open || details.children.length > 1) return;
    const rows = steps.map((step) => row(headed(speech.moment(step.at)), values(step).map((value) => figure(value))));
    details.append(table(name, [[speech.say("time")], ...heads.map((head) => [head, "figure"])], rows));
  });
  return element("figure", { "data-chart": title }, element("h3", {}, name), readout, plot.svg, details);
}
