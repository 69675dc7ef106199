"use strict";
// Draws each figure in the page's colours once it is visible, and again when those change.
(() => {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const coarse = matchMedia("(pointer: coarse)");
  const hidden = new WeakMap(); // plot -> names of the arms switched off
  let printing = false;

  const tone = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const recoloured = (value, map) => {
    if (typeof value === "string") return map[value] ?? value;
    if (Array.isArray(value)) return value.map(item => recoloured(item, map));
    if (value === null || typeof value !== "object" || "bdata" in value) return value;
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, recoloured(item, map)]));
  };

  const wrapped = text => text.replace(/(.{16,26}) /g, "$1<br>");
  const axis = (own, narrow) => ({
    ...own,
    gridcolor: tone("--grid"),
    linecolor: tone("--rule"),
    tickcolor: tone("--rule"),
    ticks: own.showgrid === false ? "" : "outside",
    nticks: narrow ? 5 : 9,
    title: { text: narrow ? wrapped(own.title?.text ?? "") : own.title?.text, standoff: narrow ? 6 : 12 },
  });

  function dressed(plot) {
    const source = JSON.parse(plot.parentElement.querySelector("script").textContent);
    const night = dark.matches && !printing;
    const narrow = plot.clientWidth < 560;
    const off = hidden.get(plot) ?? new Set();
    const data = recoloured(source.data, night ? source.layout.meta.dark : {}).map((trace, i) => ({
      ...trace,
      uid: `t${i}`,
      visible: !off.has(trace.legendgroup),
    }));
    const layout = {
      ...source.layout,
      showlegend: false,
      font: { family: tone("--sans"), size: narrow ? 11 : 12.5, color: tone("--soft") },
      hoverlabel: { bgcolor: tone("--raised"), bordercolor: tone("--rule"), font: { color: tone("--ink") }, align: "left" },
      margin: narrow ? { ...source.layout.margin, l: 8, r: 8, b: 36 } : source.layout.margin,
      xaxis: axis(source.layout.xaxis, narrow),
      yaxis: axis(source.layout.yaxis, narrow),
      modebar: { bgcolor: "rgba(0,0,0,0)", color: tone("--rule"), activecolor: tone("--accent") },
      dragmode: coarse.matches ? false : "zoom", // a finger scrolls the page
    };
    return { data, layout };
  }

  function focus(plot, name) {
    plot.classList.toggle("focus", name !== null);
    plot.data.forEach((trace, i) => {
      plot.querySelector(`.scatterlayer .tracet${i}`)?.classList.toggle("on", trace.legendgroup === name);
    });
  }

  function button(words, title, onclick) {
    const made = document.createElement("button");
    made.type = "button";
    made.title = title;
    made.append(words);
    made.onclick = onclick;
    return made;
  }

  function legend(plot, data) {
    const box = plot.parentElement.querySelector(".legend");
    const off = hidden.get(plot) ?? new Set();
    const shown = data.filter(trace => trace.showlegend);
    const toggle = names => {
      const all = names.every(name => off.has(name));
      names.forEach(name => (all ? off.delete(name) : off.add(name)));
      hidden.set(plot, off);
      draw(plot);
    };
    box.replaceChildren(...[...new Set(shown.map(trace => trace.meta.family))].map(family => {
      const arms = shown.filter(trace => trace.meta.family === family);
      const names = arms.map(trace => trace.legendgroup);
      const row = document.createElement("span");
      row.className = "family";
      if (arms.length > 1) row.append(button(family, `show or hide ${family}`, () => toggle(names)));
      row.firstChild?.classList.add("name");
      arms.forEach(trace => {
        const chip = button("", `show or hide ${trace.legendgroup}`, () => toggle([trace.legendgroup]));
        const swatch = document.createElement("span");
        swatch.className = "swatch";
        swatch.style.setProperty("--tone", trace.meta.color);
        if (trace.meta.dash) swatch.classList.add(trace.meta.dash);
        chip.append(swatch, trace.meta.label);
        chip.setAttribute("aria-pressed", String(!off.has(trace.legendgroup)));
        chip.onmouseenter = chip.onfocus = () => focus(plot, trace.legendgroup);
        chip.onmouseleave = chip.onblur = () => focus(plot, null);
        row.append(chip);
      });
      return row;
    }));
  }

  function draw(plot) {
    const { data, layout } = dressed(plot);
    const first = !plot.classList.contains("drawn");
    Plotly.react(plot, data, layout, {
      responsive: true,
      displaylogo: false,
      displayModeBar: coarse.matches ? false : "hover",
      modeBarButtons: [["toImage", "zoom2d", "pan2d", "resetScale2d"]],
    });
    legend(plot, data);
    if (first) {
      plot.classList.add("drawn");
      plot.on("plotly_hover", event => focus(plot, event.points[0].data.legendgroup));
      plot.on("plotly_unhover", () => focus(plot, null));
    }
  }

  const plots = [...document.querySelectorAll(".plot")];
  if (typeof Plotly === "undefined") {
    plots.forEach(plot => {
      plot.style.minHeight = 0;
      plot.textContent = "This figure is drawn by plotly.min.js, which was not found: keep it where this page has it.";
    });
    return;
  }
  const drawn = plot => plot.classList.contains("drawn");
  const folded = plot => plot.closest("details:not([open])") !== null;
  function drawVisible() {
    plots.filter(plot => !drawn(plot) && !folded(plot)).forEach(plot => setTimeout(() => {
      if (!drawn(plot)) draw(plot);
    })); // one task each: the page answers in between
  }
  const redraw = () => plots.filter(drawn).forEach(draw);
  drawVisible();
  document.addEventListener("toggle", drawVisible, true); // of a details element; does not bubble
  dark.addEventListener("change", redraw);
  addEventListener("beforeprint", () => { printing = true; plots.forEach(draw); });
  addEventListener("afterprint", () => { printing = false; redraw(); });
})();
