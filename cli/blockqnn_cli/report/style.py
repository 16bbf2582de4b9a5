"""Style of a report: light and dark, on a screen, a phone and on paper."""

CSS = """
:root {
  color-scheme: light dark;
  --page: #f6f7f9; --card: #ffffff; --text: #1a1f29; --soft: #5a6475; --rule: #dfe3ea;
  --stage: #2a5fd40d; --stage-more: #2a5fd41c;
  --band: #98a1b04d;
  --blue: #2a5fd4; --orange: #c2570c; --green: #14803c; --red: #c62f2f; --grey: #98a1b0;
  --t1: #2a5fd4; --t2: #c2570c; --t3: #d99a1c; --t4: #98a1b0; --t5: #14803c; --t6: #8a4fc7;
  --t8: #2a5fd4; --t9: #c62f2f; --t10: #0f8b8d; --t11: #0f8b8d; --t12: #6f9be8; --t13: #8c5a2b;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #10141b; --card: #181e28; --text: #e8ecf3; --soft: #9aa5b8; --rule: #2c3544;
    --stage: #7aa5ff0d; --stage-more: #7aa5ff1f;
    --band: #6d788c5e;
    --blue: #7aa5ff; --orange: #ff9a4d; --green: #4cc77d; --red: #ff7b76; --grey: #6d788c;
    --t1: #5f8ff2; --t2: #e2803a; --t3: #e3b450; --t4: #77839a; --t5: #3fb36e; --t6: #b184e8;
    --t8: #5f8ff2; --t9: #ff7b76; --t10: #47c1c3; --t11: #47c1c3; --t12: #9dbcf5; --t13: #c79a6b;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--page); color: var(--text);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif;
}
main { max-width: 72rem; margin: 0 auto; padding: 2rem 1.25rem 3rem; }
h1 { font-size: 1.75rem; line-height: 1.2; margin: 0 0 .25rem; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 0 0 .25rem; }
h3 { font-size: 1rem; margin: 0; }
p { margin: 0 0 .75rem; max-width: 60rem; }
section > p:last-child { margin-bottom: 0; }
.soft { color: var(--soft); font-size: .9rem; }
.badge {
  display: inline-block; padding: .1rem .6rem; border-radius: 1rem; font-size: .85rem;
  font-weight: 600; border: 1.5px solid currentColor; vertical-align: .3em; margin-left: .5rem;
  white-space: nowrap;
}
.Complete { color: var(--green); } .Failed { color: var(--red); }
.Running, .TrainingFinalists { color: var(--blue); } .Suspended, .Pending { color: var(--orange); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(10rem, 1fr)); gap: .75rem;
  margin: 1.25rem 0; padding: 0; }
.tile, section {
  background: var(--card); border: 1px solid var(--rule); border-radius: .6rem;
}
.tile { padding: .7rem .9rem; }
.tile dt { color: var(--soft); font-size: .8rem; }
.tile dd { margin: 0; }
.tile .value { font-size: 1.35rem; font-weight: 650; line-height: 1.25; white-space: nowrap;
  font-variant-numeric: tabular-nums; }
.tile .note { color: var(--soft); font-size: .8rem; }
section { padding: 1.1rem 1.2rem; margin: 0 0 1rem; min-width: 0; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(26rem, 100%), 1fr));
  gap: 1rem; margin-bottom: 1rem; }
.pair section { margin: 0; }
.half { max-width: 34rem; margin-top: 1rem; }
.attention { border-left: 4px solid var(--orange); }
figure { margin: .5rem 0 0; }
svg { display: block; width: 100%; height: auto; }
svg.narrow { display: none; }
@media (max-width: 42rem) {
  svg.wide { display: none; } svg.narrow { display: block; }
  main { padding: 1.25rem .75rem 2rem; } section { padding: .9rem .8rem; }
}
.grid { stroke: var(--rule); stroke-width: 1; }
.axis { stroke: var(--soft); stroke-width: 1; }
text { font-size: 12px; fill: var(--text); font-variant-numeric: tabular-nums; }
text.tick, text.stage-name, text.axis-title { fill: var(--soft); }
.curve { fill: none; stroke-width: 2.2; stroke-linejoin: round; }
.mean { stroke: var(--blue); } .mean-mark { fill: var(--blue); }
.top-1 { stroke: var(--orange); } .top-5 { stroke: var(--green); stroke-dasharray: 6 4; }
.stage-0 { fill: var(--stage); } .stage-1 { fill: var(--stage-more); }
.random-band { fill: var(--band); }
.random-mean { stroke: var(--grey); stroke-width: 1.6; stroke-dasharray: 5 4; }
.dot { fill: none; stroke-width: 5.5; stroke-linecap: round; }
.random { stroke: var(--grey); stroke-opacity: .55; }
.guided { stroke: var(--blue); stroke-opacity: .65; }
.spread { stroke: var(--grey); stroke-width: 2; }
.front { stroke: var(--orange); stroke-width: 1.6; }
.front-mark { fill: var(--card); stroke: var(--orange); stroke-width: 2.2; }
path.type-1 { fill: var(--t1); } path.type-2 { fill: var(--t2); } path.type-3 { fill: var(--t3); }
path.type-4 { fill: var(--t4); } path.type-5 { fill: var(--t5); } path.type-6 { fill: var(--t6); }
path.type-8 { fill: var(--t8); } path.type-9 { fill: var(--t9); } path.type-10 { fill: var(--t10); }
path.type-11 { fill: var(--t11); } path.type-12 { fill: var(--t12); }
path.type-13 { fill: var(--t13); }
.legend { display: flex; flex-wrap: wrap; gap: .15rem 1.1rem; margin: .25rem 0 0; padding: 0;
  list-style: none; font-size: .85rem; color: var(--soft); }
.legend i { display: inline-block; width: 1.1rem; height: .6rem; border-radius: .15rem;
  margin-right: .4rem; background: currentColor; }
.legend .line { height: 0; border-top: 3px solid; background: none; vertical-align: .25em; }
.legend .dashed { border-top-style: dashed; }
.legend .ring { width: .7rem; height: .7rem; border: 2.5px solid; border-radius: 50%;
  background: none; vertical-align: -.05em; }
.legend .spot { width: .6rem; border-radius: 50%; }
.blocks { display: flex; flex-wrap: wrap; gap: 1rem; margin-top: .75rem; }
.blocks article { border: 1px solid var(--rule); border-radius: .5rem; padding: .8rem;
  min-width: 0; flex: 1 1 18rem; max-width: 100%; }
.blocks .broad { flex-basis: 30rem; }
.stages { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(15rem, 100%), 1fr)); }
@media (min-width: 42rem) { .stages .broad { grid-column: span 2; } }
.repeated { color: var(--orange); font-size: .9rem; font-weight: 600; }
.block { margin: .6rem auto; }
.wire { fill: none; stroke: var(--soft); stroke-width: 1.6; }
.box { stroke-width: 1.6; fill: var(--card); }
.box.end { stroke: var(--soft); stroke-dasharray: 3 3; }
rect.type-1 { stroke: var(--t1); } rect.type-2 { stroke: var(--t2); }
rect.type-3 { stroke: var(--t3); } rect.type-4 { stroke: var(--t4); }
rect.type-5 { stroke: var(--t5); } rect.type-6 { stroke: var(--t6); }
rect.type-8 { stroke: var(--t8); } rect.type-9 { stroke: var(--t9); }
rect.type-10 { stroke: var(--t10); } rect.type-11 { stroke: var(--t11); }
rect.type-12 { stroke: var(--t12); } rect.type-13 { stroke: var(--t13); }
.box-name { font-size: 12px; }
.bar { display: flex; height: 1.5rem; border-radius: .35rem; overflow: hidden;
  margin: .75rem 0 .5rem; gap: 2px; }
.bar span { min-width: 2px; }
.Succeeded { color: var(--green); } .Cached { color: var(--blue); }
.Infeasible { color: var(--orange); }
.bar span { background: currentColor; }
details { margin-top: .75rem; }
summary { cursor: pointer; color: var(--soft); font-size: .9rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .87rem; margin: .5rem 0 0;
  font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .28rem 0 .28rem 1.6rem; border-bottom: 1px solid var(--rule);
  white-space: nowrap; }
th { color: var(--soft); font-weight: 500; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
pre { overflow-x: auto; margin: .5rem 0 0;
  font: .82rem/1.5 ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; }
code { overflow-wrap: anywhere; font: .8rem/1.5 ui-monospace, Menlo, Consolas, monospace; }
a { color: var(--blue); }
footer { color: var(--soft); font-size: .85rem; }
@media print { section, .tile { break-inside: avoid; } body { background: none; } }
"""
