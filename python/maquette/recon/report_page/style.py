"""How the page looks: one quiet column, on a screen, a phone and on paper."""

from __future__ import annotations

CSS = """
:root { color-scheme: light; --ink: #1f2326; --soft: #667078; --line: #e2e4e3; --tint: #f5f6f4;
  --accent: #2f6690; --warn: #9a5b13; }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0; background: #fff; color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
main, header, footer { max-width: 54rem; margin: 0 auto; padding: 0 1.25rem; }
header { padding-top: 3rem; }
h1 { font-size: 2.4rem; line-height: 1.15; margin: 0 0 .3rem; letter-spacing: -.02em;
  overflow-wrap: anywhere; }
h2 { font-size: 1.35rem; margin: 3rem 0 .8rem; padding-top: 1.2rem;
  border-top: 1px solid var(--line); letter-spacing: -.01em; }
h3 { font-size: 1rem; margin: 1.6rem 0 .4rem; }
p { margin: .4rem 0 .8rem; max-width: 42rem; }
.soft, figcaption, footer { color: var(--soft); }
figcaption, footer, .small { font-size: .85rem; }
code { font: .88em ui-monospace, "SF Mono", Menlo, Consolas, monospace; overflow-wrap: anywhere; }
b code { font-weight: 700; }
figure { margin: 1.2rem 0; }
figure img, figure svg { display: block; width: 100%; height: auto; border-radius: 4px; }
figcaption { margin-top: .45rem; }
.tiles { display: flex; flex-wrap: wrap; gap: .6rem 2.4rem; margin: 1.4rem 0 .4rem; padding: 0; }
.tiles div { min-width: 6rem; }
.tiles dt { color: var(--soft); font-size: .82rem; }
.tiles dd { margin: 0; font-size: 1.3rem; font-variant-numeric: tabular-nums; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; margin: .4rem 0 .8rem; }
th, td { text-align: left; vertical-align: top; padding: .38rem .9rem .38rem 0;
  border-bottom: 1px solid var(--line); }
thead th { color: var(--soft); font-weight: 500; font-size: .82rem; }
tbody th { font-weight: 500; white-space: nowrap; }
tbody th code { white-space: normal; }
tbody:first-child tr:first-child > * { border-top: 1px solid var(--line); }
tbody tr:last-child > * { border-bottom: 0; }
.numbers td + td, .times td { font-variant-numeric: tabular-nums; }
.fact { display: inline-block; max-width: 100%; margin-right: 1rem; overflow-wrap: anywhere; }
.fact span { color: var(--soft); }
.times td { white-space: nowrap; }
.times tr.total > * { border-top: 1px solid var(--ink); font-weight: 600; }
.times td.bar { width: 40%; padding-right: 0; }
.bar i { display: block; height: .6rem; margin-top: .45rem; border-radius: 2px;
  background: var(--accent); opacity: .75; min-width: 1px; }
.notes { border-left: 3px solid #e0b77c; padding: .1rem 0 .1rem 1rem; margin: 1.4rem 0; }
.notes li { margin: .2rem 0; } ul { margin: .3rem 0; padding-left: 1.1rem; }
.notes h3 { margin: .2rem 0; color: var(--warn); }
.photos { display: grid; grid-template-columns: repeat(auto-fill, minmax(7.2rem, 1fr));
  gap: .7rem .6rem; margin: 1rem 0; }
.photos figure { margin: 0; }
.photos img { aspect-ratio: 4 / 3; object-fit: contain; background: var(--tint); }
.photos figcaption { font-size: .72rem; margin-top: .2rem; overflow-wrap: anywhere;
  line-height: 1.25; }
.photos .unused img { outline: 2px solid #c9822b; outline-offset: -2px; opacity: .6; }
.photos .unused figcaption { color: var(--warn); }
figure svg + svg { margin-top: .6rem; }
footer { margin-top: 3rem; padding-top: 1rem; padding-bottom: 3rem;
  border-top: 1px solid var(--line); }
@media (max-width: 34rem) {
  header { padding-top: 1.6rem; } h1 { font-size: 1.8rem; }
  .photos { grid-template-columns: repeat(3, 1fr); }
  .stacked, .stacked tbody, .stacked tr, .stacked th, .stacked td { display: block; }
  .stacked th { border: 0; padding-bottom: 0; }
  .stacked td { border-top: 0 !important; }
  .times td.bar, .times thead th:last-child { display: none; }
}
@media print {
  @page { size: A4; margin: 15mm 15mm 17mm; }
  body { font-size: 9.5pt; line-height: 1.45; }
  main, header, footer { max-width: none; padding: 0; }
  header { padding-top: 0; } h2 { margin-top: 1.4rem; }
  h2, h3, h2 + p { break-after: avoid; } .tiles { gap: .4rem 1.6rem; }
  p, figure, tr, .notes, .tiles, .times, .numbers { break-inside: avoid; }
  tr:last-child, footer, .small { break-before: avoid; }
  thead { display: table-header-group; } th, td { padding-top: .24rem; padding-bottom: .24rem; }
  figure img { max-height: 215mm; width: auto; max-width: 100%; }
  figure svg { max-height: 98mm; }
  .photos { grid-template-columns: repeat(6, 1fr); gap: .4rem; }
  .photos img { width: 100%; } .photos figcaption { font-size: 6pt; }
  .bar i { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  .wide { overflow: visible; } tbody th { white-space: normal; }
}
"""
