import type { Table } from './figures.ts';

/** Small multiples: TTFT p99 (log scale) over load, one panel per workload; the legend names the lines as text. */
export function plot(table: Table): string {
  const shown = ['cost', 'sglang-cache-aware', 'llm-d-sticky', 'lmetric', 'lpwl', 'gie-322'];
  const colours = ['#0b6bcb', '#c41c1c', '#9a5b13', '#1f7a1f', '#6b4fa1', '#555e68'];
  const dashes = ['', '6 3', '2 3', '8 3 2 3', '4 2', '1 2'];
  const names = [...new Set(Object.keys(table).map((s) => s.replace(/ x[\d.]+$/, '')))];
  const [w, h] = [300, 190];
  const panels = names.map((name, i) => {
    const points = Object.entries(table)
      .filter(([s]) => s.startsWith(`${name} x`))
      .map(([s, row]) => ({ load: Number(/ x([\d.]+)$/.exec(s)![1]), row }))
      .sort((a, b) => a.load - b.load);
    const values = points.flatMap((p) => shown.map((k) => p.row[k]?.ttftP99Ms ?? Number.NaN)).filter((v) => v > 0);
    const [lo, hi] = [Math.log10(Math.min(...values)), Math.log10(Math.max(...values) * 1.1)];
    const x = (load: number) => 50 + ((load - 0.5) / 1) * (w - 70);
    const y = (v: number) => h - 30 - ((Math.log10(v) - lo) / Math.max(0.1, hi - lo)) * (h - 60);
    const lines = shown.map((policy, k) => {
      const path = points
        .filter((p) => p.row[policy])
        .map((p) => `${x(p.load).toFixed(1)},${y(p.row[policy]!.ttftP99Ms).toFixed(1)}`)
        .join(' ');
      return `<polyline points="${path}" fill="none" stroke="${colours[k]}" stroke-width="2" stroke-dasharray="${dashes[k]}"><title>${policy}</title></polyline>`;
    });
    const ticks = [lo, (lo + hi) / 2, hi].map(
      (v) => `<text x="44" y="${y(10 ** v) + 4}" text-anchor="end">${(10 ** v).toFixed(0)}</text>`,
    );
    const loads = points.map((p) => `<text x="${x(p.load)}" y="${h - 12}" text-anchor="middle">${p.load}</text>`);
    return `<g transform="translate(${(i % 3) * w},${Math.floor(i / 3) * h + 40})"><text x="50" y="16" font-weight="bold">${name}</text>${lines.join('')}${ticks.join('')}${loads.join('')}</g>`;
  });
  const legend = shown.map(
    (policy, k) =>
      `<g transform="translate(${10 + k * 150},16)"><line x2="24" stroke="${colours[k]}" stroke-width="2" stroke-dasharray="${dashes[k]}"/><text x="30" y="4">${policy}</text></g>`,
  );
  const height = Math.ceil(names.length / 3) * h + 50;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${3 * w} ${height}" font-family="sans-serif" font-size="12" role="img" aria-label="TTFT p99 in ms over load, by policy"><rect width="100%" height="100%" fill="#fff"/>${legend.join('')}${panels.join('')}</svg>\n`;
}
