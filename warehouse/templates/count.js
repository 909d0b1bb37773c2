// What the figures say: regions and their parents, standings, steps.

const LEVELS = { 2: "province", 4: "regency", 6: "district", 10: "village", 13: "tps" };
const PARENTS = { 4: 2, 6: 4, 10: 6, 13: 10 };

const levelOf = (code) => LEVELS[code.length] || "national";
const parentOf = (code) => (code.length === 2 ? "0" : PARENTS[code.length] ? code.slice(0, PARENTS[code.length]) : null);

// From the page's own region down to this one.
function lineage(code) {
  const path = [code];
  while (path[0] !== figures.region && parentOf(path[0])) path.unshift(parentOf(path[0]));
  return path;
}

const collators = {};
function byName(one, other) {
  const collator = (collators[speech.locale] ||= new Intl.Collator(speech.locale, { numeric: true }));
  return collator.compare(nameOf(one), nameOf(other));
}

function nameOf(code) {
  if (code === "0") return speech.say("country");
  return figures.units[code] || `${speech.say(levelOf(code))} ${code}`;
}

// One contest type at one stage: its tallies by region.
class Series {
  constructor(key) {
    this.key = key;
    [this.election, this.contestType, this.stage] = key.split("/");
    this.tallies = figures.series[key];
    this.codes = Object.keys(this.tallies);
    this.below = grouped(this.codes, parentOf);
    this.known = new Map();
  }

  get label() {
    return `${speech.say(this.contestType)} · ${speech.say(this.stage)}`;
  }

  children(code) {
    return this.below.get(code) || [];
  }

  // All regions of the page below a code.
  within(code) {
    const prefix = code === "0" ? "" : code;
    return this.codes.filter((other) => other !== code && other.startsWith(prefix));
  }

  steps(code) {
    return this.tallies[code]?.steps;
  }

  pairs(code) {
    const standing = this.tallies[code]?.standing;
    return (standing && figures.contests[`${this.election}/${standing.contest}`]) || [];
  }

  // Standing of a region; without a document of its own, how far those below it are.
  standing(code) {
    if (!this.known.has(code)) this.known.set(code, this.judged(code));
    return this.known.get(code);
  }

  judged(code) {
    const given = this.tallies[code]?.standing || this.summed(code);
    const { votes, stations, total } = given;
    const ranked = votes ? this.pairs(code).map((pair, place) => ({ ...pair, place, votes: votes[place] })) : [];
    ranked.sort((one, other) => (other.votes ?? -1) - (one.votes ?? -1));
    const whole = ranked.reduce((sum, pair) => sum + (pair.votes || 0), 0);
    const margin = whole ? ranked[0].votes - (ranked[1]?.votes || 0) : null;
    const leader = margin > 0 ? ranked[0] : null; // a tie has none
    return { ...given, ranked, whole, margin, leader, progress: total ? stations / total : null };
  }

  summed(code) {
    const parts = this.children(code).map((child) => this.tallies[child].standing);
    const sum = (key) => parts.reduce((total, part) => total + (part[key] || 0), 0);
    const latest = (key) => parts.reduce((last, part) => Math.max(last, part[key] || 0), 0) || null;
    return { stations: sum("stations"), total: sum("total"), at: latest("at"), seen: latest("seen"), summed: parts.length };
  }
}

function grouped(values, keyOf) {
  const groups = new Map();
  for (const value of values) {
    if (!groups.has(keyOf(value))) groups.set(keyOf(value), []);
    groups.get(keyOf(value)).push(value);
  }
  return groups;
}

// The steps of a region that changed votes and were no withdrawal, oldest first.
function changesOf(series, code) {
  const steps = series.steps(code);
  if (!steps) return [];
  const pairs = series.pairs(code);
  const changes = [];
  let before = [];
  let stations = 0;
  steps.at.forEach((minutes, step) => {
    const votes = steps.votes[step];
    if (votes && steps.kind[step] && steps.kind[step] !== "withdrawn") {
      const delta = (place) => (votes[place] || 0) - (before[place] || 0);
      const moved = pairs.map((pair, place) => ({ ...pair, place, delta: delta(place) }));
      const gained = (steps.stations[step] || 0) - stations;
      changes.push({ code, at: minutes * 60, kind: steps.kind[step], stations: gained, moved });
    }
    before = votes || before;
    stations = steps.stations[step] ?? stations;
  });
  return changes;
}
