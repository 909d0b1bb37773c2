// The page's words, numbers and times, by the same rules as report/speech.py.

const figures = JSON.parse(document.getElementById("figures").textContent);

const speech = {
  language: "id",

  // Only the two that the page speaks; Malay readers are served better by Indonesian.
  begin() {
    const tags = [figures.language, remembered("language"), ...navigator.languages].map((tag) => tag?.slice(0, 2));
    this.speak(tags.find((tag) => ["id", "ms", "en"].includes(tag)) === "en" ? "en" : "id");
  },

  speak(language) {
    this.language = language;
    this.locale = { id: "id-ID", en: "en-GB" }[language];
    this.whole = new Intl.NumberFormat(this.locale, { maximumFractionDigits: 0 });
    this.exact = new Intl.NumberFormat(this.locale, { minimumFractionDigits: 2, maximumFractionDigits: 2 });
    document.documentElement.lang = language;
    remember("language", language);
  },

  // A phrase with its blanks filled; `{reported/total:percent}` takes two values.
  say(phrase, values = {}) {
    return figures.words[phrase][this.language].replace(/\{([\w/]+)(?::(\w+))?\}/g, (_, names, how) => {
      const given = names.split("/").map((name) => values[name]);
      return how ? this[how](...given) : String(given[0]);
    });
  },

  number(value) {
    return value == null ? "" : this.whole.format(value);
  },

  signed(value) {
    return value == null ? "" : (value > 0 ? "+" : value < 0 ? "−" : "") + this.whole.format(Math.abs(value));
  },

  // Rounded half up, as KPU rounds; whole numbers keep it exact.
  percent(part, whole) {
    if (part == null || !whole) return "";
    return `${this.exact.format(Math.floor((20000 * part + whole) / (2 * whole)) / 100)}%`;
  },

  // A round share of 1, such as 0.75 or 0.999.
  share(value) {
    return new Intl.NumberFormat(this.locale, { style: "percent", maximumFractionDigits: 1 }).format(value);
  },

  points(value) {
    return value == null ? "" : `${this.exact.format(value)} ${this.language === "id" ? "poin" : "points"}`;
  },

  // Seconds since 1970, on the clock in Jakarta wherever the reader is.
  moment(seconds) {
    if (seconds == null) return "";
    const at = inJakarta(seconds);
    return `${at.getUTCDate()} ${this.month(at)} ${at.getUTCFullYear()} ${this.clock(seconds)} WIB`;
  },

  clock(seconds) {
    return inJakarta(seconds).toISOString().slice(11, 16).replace(":", this.language === "id" ? "." : ":");
  },

  day(seconds) {
    const at = inJakarta(seconds);
    return `${at.getUTCDate()} ${this.month(at)}`;
  },

  month(at) {
    return this.say("months").split(" ")[at.getUTCMonth()];
  },

  ago(seconds) {
    const units = [["year", 31557600], ["month", 2629800], ["day", 86400], ["hour", 3600], ["minute", 60]];
    const age = Date.now() / 1000 - seconds;
    const [unit, length] = units.find(([, length]) => age >= length) || ["minute", 60];
    return new Intl.RelativeTimeFormat(this.locale).format(-Math.max(0, Math.floor(age / length)), unit);
  },
};

function inJakarta(seconds) {
  return new Date((seconds + 7 * 3600) * 1000);
}

// A page opened from a disk may be forbidden to remember; then it forgets.
function remember(name, value) {
  try {
    localStorage.setItem(`realcount.${name}`, value);
  } catch {
    return;
  }
}

function remembered(name) {
  try {
    return localStorage.getItem(`realcount.${name}`);
  } catch {
    return null;
  }
}
