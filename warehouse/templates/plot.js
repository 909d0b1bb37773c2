// The frame that all charts over time share: scales, axes, the mark of a withdrawal, and reading values along it.

const HOUR = 3600;
const WIB = 7 * HOUR;
const MARGINS = { top: 10, bottom: 24, left: 52, right: 78 };
const GAP = 14; // between rows
const LABEL = 50; // the least room that a time on the axis takes
const STEPS = [1, 2, 3, 6, 12, 24, 48, 96, 168, 336]; // hours between times on the axis

// Rows one below the other, each with its own scale: `rows` is a list of {low, high, height, label}.
class Plot {
  constructor(width, times, rows) {
    this.width = width;
    this.right = width - MARGINS.right;
    [this.begins, this.ends] = [times[0], Math.max(times.at(-1), times[0] + 60)];
    let top = MARGINS.top - GAP;
    this.rows = rows.map((row) => ({ ...row, top: (top += GAP), bottom: (top += row.height) }));
    this.bottom = top;
    const viewBox = `0 0 ${width} ${this.bottom + MARGINS.bottom}`;
    this.svg = drawn("svg", { class: "plot", viewBox, role: "img", tabindex: 0 });
    this.rows.forEach((row, place) => this.ruled(row, place));
    this.timed();
  }

  x(seconds) {
    return MARGINS.left + ((seconds - this.begins) / (this.ends - this.begins)) * (this.right - MARGINS.left);
  }

  y(value, place = 0) {
    const { top, bottom, low, high } = this.rows[place];
    return bottom - ((value - low) / (high - low || 1)) * (bottom - top);
  }

  add(name, attributes, ...children) {
    const node = drawn(name, attributes, ...children);
    this.svg.append(node);
    return node;
  }

  // A rectangle with a pattern over its colour; 0 or none is plain.
  patterned(shape, kind, hatch) {
    this.add("rect", { ...shape, class: kind });
    if (hatch) this.add("rect", { ...shape, fill: `url(#hatch-${hatch})` });
  }

  // A bar over a span of time, from one value to another.
  block(at, seconds, [from, to], place, kind, hatch) {
    if (from === to) return;
    const width = Math.max(1.5, this.x(this.begins + seconds) - MARGINS.left - 1);
    const x = Math.min(Math.max(this.x(at), MARGINS.left), this.right - width);
    const [upper, lower] = [this.y(Math.max(from, to), place), this.y(Math.min(from, to), place)];
    this.patterned({ x, width, y: upper, height: Math.max(lower - upper, 1) }, kind, hatch);
  }

  ruled(row, place) {
    for (const value of ticks(row.low, row.high, row.height < 90 ? 2 : 5)) {
      const y = this.y(value, place);
      this.add("line", { class: value === 0 ? "base" : "grid", x1: MARGINS.left, x2: this.right, y1: y, y2: y });
      this.add("text", { x: MARGINS.left - 7, y: y + 4, "text-anchor": "end" }, row.label(value));
    }
  }

  // Full hours of Jakarta, and the day at its midnights.
  timed() {
    const room = (this.right - MARGINS.left) / LABEL;
    const step = HOUR * (STEPS.find((hours) => (this.ends - this.begins) / (hours * HOUR) <= room) || STEPS.at(-1));
    const first = Math.ceil((this.begins + WIB) / step) * step - WIB;
    const y = this.bottom + 18;
    for (let at = first; at <= this.ends; at += step) {
      const x = this.x(at);
      const isMidnight = (at + WIB) % (24 * HOUR) === 0;
      this.add("line", { class: "grid", x1: x, x2: x, y1: this.bottom, y2: this.bottom + 4 });
      this.add("text", { x, y, "text-anchor": "middle" }, isMidnight ? speech.day(at) : speech.clock(at));
    }
    if (first <= this.ends) return;
    this.add("text", { x: MARGINS.left, y }, `${speech.day(this.begins)} ${speech.clock(this.begins)}`);
  }

  // A value holds from its moment until the next: the count moves in steps, and no line may claim what lies between.
  stepped(points, until, place = 0) {
    const path = points.map(([at, value], step) => {
      const [x, y] = [this.x(at).toFixed(1), this.y(value, place).toFixed(1)];
      return step ? `H${x}V${y}` : `M${x} ${y}`;
    });
    return path.length ? `${path.join("")}H${this.x(until).toFixed(1)}` : "";
  }

  gone(seconds, y = MARGINS.top + 4) {
    if (!seconds || seconds < this.begins || seconds > this.ends) return;
    const x = this.x(seconds);
    this.add("line", { class: "gone", x1: x, x2: x, y1: MARGINS.top - 4, y2: this.bottom });
    this.add("text", { class: "gone", x: x - 5, y, "text-anchor": "end" }, speech.say("withdrawal"));
  }

  // Values at the end of their lines, moved apart where they would overlap.
  labelled(labels) {
    const sorted = labels.sort((one, other) => one.y - other.y);
    sorted.forEach((label, place) => {
      label.y = Math.max(label.y, place ? sorted[place - 1].y + 15 : MARGINS.top + 2);
    });
    const excess = Math.max(0, sorted.at(-1).y - this.bottom);
    for (const { y, text, paint } of sorted) {
      const kind = paint == null ? "strong" : `label paint-${paint}`;
      this.add("text", { class: kind, x: this.right + 7, y: y - excess + 4 }, text);
    }
  }

  // Pointer and arrow keys read the values at a moment into a line of text.
  readable(moments, describe, readout) {
    const cursor = this.add("line", { class: "cursor", y1: MARGINS.top - 4, y2: this.bottom });
    const last = moments.length - 1;
    let chosen = last;
    const read = (place, isReading) => {
      chosen = Math.min(Math.max(place, 0), last);
      const x = this.x(moments[chosen]);
      cursor.setAttribute("x1", x);
      cursor.setAttribute("x2", x);
      readout.textContent = describe(chosen);
      this.svg.classList.toggle("read", isReading);
    };
    const point = (event) => {
      const box = this.svg.getBoundingClientRect();
      const x = ((event.clientX - box.left) / box.width) * this.width;
      const distances = moments.map((at) => Math.abs(this.x(at) - x));
      read(distances.indexOf(Math.min(...distances)), true);
    };
    const keys = { ArrowLeft: () => chosen - 1, ArrowRight: () => chosen + 1, Home: () => 0, End: () => last };
    const press = (event) => {
      if (!Object.hasOwn(keys, event.key)) return;
      event.preventDefault();
      read(keys[event.key](), true);
    };
    for (const name of ["pointermove", "pointerdown"]) this.svg.addEventListener(name, point);
    for (const name of ["pointerleave", "blur"]) this.svg.addEventListener(name, () => read(last, false));
    this.svg.addEventListener("keydown", press);
    read(last, false);
  }
}

// Round values that span a scale, about `wanted` of them.
function ticks(low, high, wanted) {
  const rough = (high - low) / wanted || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((size) => size >= rough * 0.999);
  const values = [];
  for (let number = Math.ceil(low / step - 1e-9); number <= high / step + 1e-9; number++) values.push(number * step || 0);
  return values;
}

function shortened(value) {
  return new Intl.NumberFormat(speech.locale, { notation: "compact", maximumFractionDigits: 1 }).format(value);
}
