/** The live strip: drawn on a canvas, because it changes every two seconds. The tiles below hold its figures. */
import { useEffect, useRef } from 'react';
import UPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { useDark } from '../../app/theme.ts';
import { count } from '../../lib/numbers.ts';
import { timeOfDay } from '../../lib/time.ts';
import { Table } from '../../ui/table.tsx';
import { Twin } from '../../ui/twin.tsx';
import { type History, sampled } from './figures.ts';

const HEIGHT = 140;
/** Seconds that the strip shows. */
const WINDOW_S = 300;
/** Seconds between two rows of its figures. */
const ROW_S = 30;
const colour = (name: string) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

export default function FleetStrip({ history }: { history: History }) {
  const host = useRef<HTMLDivElement>(null);
  const plot = useRef<UPlot | null>(null);
  const dark = useDark();
  // biome-ignore lint/correctness/useExhaustiveDependencies: a canvas takes its colours once, so another theme means another one
  useEffect(() => {
    const node = host.current!;
    const axis = { stroke: colour('--muted'), grid: { stroke: colour('--line'), width: 1 }, ticks: { show: false } };
    const made = new UPlot(
      {
        width: node.clientWidth,
        height: HEIGHT,
        legend: { show: false },
        cursor: { show: false },
        scales: {
          // A window that moves: the first points must not stretch over years.
          x: { range: (_plot, _min, max) => [max - WINDOW_S, max] },
          y: { range: (_plot, _min, max) => [0, Math.max(4, max * 1.15)] },
        },
        axes: [
          { ...axis, space: 90, values: (_plot, ticks) => ticks.map(timeOfDay) },
          { ...axis, size: 36 },
        ],
        series: [
          {},
          { label: 'Running', stroke: colour('--c1'), width: 2, points: { show: false } },
          { label: 'Waiting', stroke: colour('--c2'), width: 2, dash: [5, 4], points: { show: false } },
        ],
      },
      [[], [], []],
      node,
    );
    plot.current = made;
    const observer = new ResizeObserver(() => made.setSize({ width: node.clientWidth, height: HEIGHT }));
    observer.observe(node);
    return () => {
      observer.disconnect();
      made.destroy();
    };
  }, [dark]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: a new canvas is empty
  useEffect(() => {
    if (history.atS.length > 0) plot.current?.setData([history.atS, history.running, history.waiting]);
  }, [history, dark]);
  return (
    <figure>
      <div ref={host} aria-hidden="true" className="w-full overflow-hidden" />
      <figcaption className="mt-1 flex gap-4 text-xs text-muted">
        <span>— running: {history.running.at(-1) ?? 0}</span>
        <span>- - without a first token: {history.waiting.at(-1) ?? 0}</span>
      </figcaption>
      <Twin>
        <Table
          caption="Running and waiting in figures, newest first"
          rows={sampled(history, ROW_S)}
          rowKey={(row) => String(row.atS)}
          columns={[
            { id: 'at', header: 'Time', cell: (row) => timeOfDay(row.atS) },
            { id: 'running', header: 'Running', numeric: true, cell: (row) => count(row.running) },
            { id: 'waiting', header: 'Without a first token', numeric: true, cell: (row) => count(row.waiting) },
          ]}
        />
      </Twin>
    </figure>
  );
}
