"use strict";
// The report's curves: uPlot draws them, and this file gives all of them one legend, one zoom and one cursor. What it
// shows lies in the page, as JSON; without this script the page shows drawn pictures in their place.
(() => {
  const data = JSON.parse(document.getElementById("curves-data").textContent);
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const colour = (name) => getComputedStyle(root).getPropertyValue(name).trim();
  const shown = data.labels.map(() => true);
  const dashes = [[], [9, 5], [2, 4]];
  let plots = [];
  let range = null;

  // A number as an axis and a tip show it: four digits, and powers of ten where it is far from 1.
  const short = (value) => {
    if (value === 0) return "0";
    const size = Math.abs(value);
    if (size >= 1e5 || size < 1e-3) return value.toExponential(2).replace(/\.?0+e/, "e");
    return String(Number(value.toPrecision(4)));
  };

  // All series over one axis of steps: what a series lacks at another's steps is left open.
  function joined(chart, logarithmic) {
    const floor = logarithmic ? least(chart) : -Infinity;
    const raised = (values) => values.map((value) => (value === null ? null : Math.max(value, floor)));
    const tables = chart.series.map((series) => {
      const low = series.low || series.value, high = series.high || series.value;
      return [series.step, raised(series.value), raised(low), raised(high)];
    });
    return tables.length ? uPlot.join(tables) : [[]];
  }

  // The least value above zero: what an axis of powers cannot show lies on its lowest line.
  function least(chart) {
    let found = Infinity;
    for (const series of chart.series) for (const value of series.value) if (value > 0 && value < found) found = value;
    return found;
  }

  function build(chart, index) {
    const figure = document.getElementById("chart-" + chart.id);
    const place = figure.querySelector(".plot");
    const logarithmic = figure.querySelector("input").checked;
    place.replaceChildren();
    const ink = colour("--ink"), line = colour("--line");
    const series = [{}], bands = [];
    for (const one of chart.series) {
      const paint = colour("--c" + (one.label % data.colours));
      const at = series.length;
      const show = shown[one.label];
      const edge = { show, width: 0, points: { show: false } };
      const few = one.step.length < 60, many = one.step.length > 400;
      series.push({ show, label: data.labels[one.label], stroke: paint, width: many ? 1 : 2, dash: dashes[one.label % 3], spanGaps: true,
        points: { show: few, size: 5 } });
      series.push({ ...edge, spanGaps: true }, { ...edge, spanGaps: true });
      if (one.low) bands.push({ series: [at + 2, at + 1], fill: paint + "26" });
    }
    const axis = { stroke: ink, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1 }, font: "12px system-ui, sans-serif",
      labelFont: "12px system-ui, sans-serif", values: (_, values) => values.map((v) => (v === null ? "" : short(v))) };
    const tip = document.createElement("div");
    tip.className = "tip";
    tip.hidden = true;
    const plot = new uPlot({
      width: Math.max(place.clientWidth, 200),
      height: innerWidth < 640 ? 260 : 340,
      legend: { show: false },
      series, bands,
      scales: { x: { time: false }, y: { distr: logarithmic ? 3 : 1 } },
      axes: [{ ...axis, size: 32, label: "step", labelSize: 18 }, { ...axis, size: 64, label: chart.unit, labelSize: 18 }],
      cursor: { sync: { key: "steps", scales: ["x", null] }, drag: { x: true, y: false }, y: false, points: { show: false } },
      hooks: {
        setScale: [(u, key) => { if (key === "x") zoomed(u); }],
        setCursor: [(u) => tell(u, chart, tip)],
      },
    }, joined(chart, logarithmic), place);
    plot.over.appendChild(tip);
    plot.over.addEventListener("mouseleave", () => { tip.hidden = true; });
    plots[index] = plot;
    if (range) plot.setScale("x", range);
  }

  // One chart was zoomed: all are.
  let busy = false;
  function zoomed(from) {
    if (busy || !plots.includes(from)) return;
    busy = true;
    const { min, max } = from.scales.x;
    range = { min, max };
    for (const plot of plots) {
      if (plot !== from && (plot.scales.x.min !== min || plot.scales.x.max !== max)) plot.setScale("x", range);
    }
    busy = false;
  }

  function whole() {
    let min = Infinity, max = -Infinity;
    for (const chart of data.charts) for (const one of chart.series) {
      if (one.step.length) { min = Math.min(min, one.step[0]); max = Math.max(max, one.step[one.step.length - 1]); }
    }
    return { min, max };
  }

  function zoom(factor) {
    const all = whole(), now = range || all;
    const middle = (now.min + now.max) / 2, half = ((now.max - now.min) / 2) * factor;
    const next = { min: Math.max(all.min, middle - half), max: Math.min(all.max, middle + half) };
    if (next.max > next.min && plots[0]) plots[0].setScale("x", factor === Infinity ? all : next);
  }

  // What all curves are at the cursor, the highest first; the one that is nearest to the pointer stands out.
  function tell(u, chart, tip) {
    const at = u.cursor.idx;
    // Another chart's pointer moves this chart's line, and not its tip.
    const own = u.over.matches(":hover") || u.root.parentElement === document.activeElement;
    if (at === null || at === undefined || u.cursor.left < 0 || !own) { tip.hidden = true; return; }
    const rows = [];
    chart.series.forEach((one, place) => {
      if (!shown[one.label]) return;
      const column = 1 + 3 * place, found = near(u.data[column], at);
      if (found === null) return;
      const value = u.data[column][found];
      rows.push({ one, value, low: u.data[column + 1][found], high: u.data[column + 2][found],
        away: Math.abs(u.valToPos(value, "y") - u.cursor.top) });
    });
    if (!rows.length) { tip.hidden = true; return; }
    rows.sort((a, b) => b.value - a.value);
    const nearest = rows.reduce((a, b) => (b.away < a.away ? b : a));
    const head = document.createElement("div");
    head.textContent = "step " + Math.round(u.data[0][at]).toLocaleString("en");
    const table = document.createElement("table");
    for (const row of rows.slice(0, 16)) {
      const tr = table.insertRow();
      if (row === nearest) tr.className = "near";
      tr.insertCell().appendChild(swatch(row.one.label));
      tr.insertCell().textContent = data.labels[row.one.label];
      tr.insertCell().textContent = short(row.value);
      const band = row.one.low && row.low !== row.high;
      tr.insertCell().textContent = band ? short(row.low) + " to " + short(row.high) : "";
    }
    tip.replaceChildren(head, table);
    tip.hidden = false;
    const room = u.over.clientWidth, wide = tip.offsetWidth;
    const left = u.cursor.left + 16 + wide > room ? Math.max(u.cursor.left - wide - 16, Math.min(0, room - wide)) : u.cursor.left + 16;
    tip.style.left = left + "px";
    tip.style.top = "8px";
  }

  // The place of the value nearest to `at` that is there.
  function near(values, at) {
    for (let away = 0; away < values.length; away++) {
      for (const place of [at - away, at + away]) if (values[place] !== null && values[place] !== undefined) return place;
    }
    return null;
  }

  function swatch(label) {
    const mark = document.createElement("span");
    mark.className = "swatch";
    mark.style.borderTopColor = "var(--c" + (label % data.colours) + ")";
    mark.style.borderTopStyle = ["solid", "dashed", "dotted"][label % 3];
    return mark;
  }

  function toggle(label, show) {
    shown[label] = show;
    chips[label].setAttribute("aria-pressed", String(show));
    plots.forEach((plot, index) => {
      data.charts[index].series.forEach((one, place) => {
        if (one.label === label) for (let part = 1; part <= 3; part++) plot.setSeries(3 * place + part, { show });
      });
    });
  }

  const holder = document.querySelector(".chips");
  const chips = data.labels.map((name, label) => {
    const chip = document.createElement("button");
    chip.type = "button";
    chip.className = "chip";
    chip.setAttribute("aria-pressed", "true");
    chip.append(swatch(label), name);
    chip.addEventListener("click", () => toggle(label, !shown[label]));
    holder.appendChild(chip);
    return chip;
  });
  const tools = {
    all: () => chips.forEach((_, label) => toggle(label, true)),
    none: () => chips.forEach((_, label) => toggle(label, false)),
    in: () => zoom(0.5),
    out: () => zoom(2),
    whole: () => zoom(Infinity),
  };
  for (const button of document.querySelectorAll("[data-tool]")) button.addEventListener("click", tools[button.dataset.tool]);

  root.classList.add("js");
  const all = () => data.charts.forEach(build);
  all();
  data.charts.forEach((chart, index) => {
    const figure = document.getElementById("chart-" + chart.id);
    figure.querySelector("input").addEventListener("change", () => build(chart, index));
    const place = figure.querySelector(".plot");
    place.addEventListener("dblclick", () => zoom(Infinity));
    place.addEventListener("blur", () => { plots[index].setCursor({ left: -10, top: -10 }); });
    place.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -0.01, ArrowRight: 0.01 }[event.key];
      if (!step) return;
      event.preventDefault();
      const plot = plots[index], width = plot.over.clientWidth;
      const from = plot.cursor.left < 0 ? width / 2 : plot.cursor.left;
      plot.setCursor({ left: Math.min(Math.max(from + step * width, 0), width - 1), top: 0 });
    });
    new ResizeObserver(() => {
      const plot = plots[index], width = place.clientWidth;
      if (width > 0 && width !== plot.width) plot.setSize({ width, height: plot.height });
    }).observe(place);
  });
  dark.addEventListener("change", all);
  // For whoever drives this page, such as its test.
  window.report = { plots: () => plots, range: () => range };

  // Tables are sorted by the column whose head is pressed.
  for (const table of document.querySelectorAll("table.sorted")) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.appendChild(button);
      button.addEventListener("click", () => {
        const falls = head.getAttribute("aria-sort") !== "descending";
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", falls ? "descending" : "ascending");
        const key = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent;
        const rows = [...table.tBodies[0].rows];
        rows.sort((a, b) => {
          const [x, y] = [key(a), key(b)], [m, n] = [parseFloat(x), parseFloat(y)];
          const order = Number.isNaN(m) || Number.isNaN(n) ? (Number.isNaN(m) - Number.isNaN(n)) * (falls ? -1 : 1) || x.localeCompare(y) : m - n;
          return falls ? -order : order;
        });
        table.tBodies[0].append(...rows);
      });
    });
  }
})();
