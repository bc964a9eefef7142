/** Stacked bars; loaded after the page. The table below it says the same in figures. */
import { Bar, BarChart, CartesianGrid, ResponsiveContainer, Tooltip, XAxis, YAxis } from 'recharts';
import { compact } from '../../lib/numbers.ts';
import { height, type Measure, type StackRow } from './stack.ts';

export const GROUP_COLOURS = [
  'var(--c1)',
  'var(--c2)',
  'var(--c3)',
  'var(--c4)',
  'var(--c5)',
  'var(--c6)',
  'var(--c7)',
  'var(--c8)',
];
export const colourOf = (index: number) => GROUP_COLOURS[Math.min(index, GROUP_COLOURS.length - 1)]!;

interface Props {
  rows: readonly StackRow[];
  groups: readonly { id: string; label: string }[];
  measure: Measure;
  label(startMs: number): string;
  value(amount: bigint): string;
  /** A click on a bar of a time and, unless the gap between bars was hit, a group. */
  onPick(startMs: number, group?: string): void;
}

export default function UsageChart({ rows, groups, measure, label, value, onPick }: Props) {
  const data = rows.map((row) => ({
    startMs: row.startMs,
    ...Object.fromEntries(groups.map(({ id }) => [`g:${id}`, height(row.values[id], measure)])),
  }));
  const byStart = new Map(rows.map((row) => [row.startMs, row]));
  return (
    <ResponsiveContainer width="100%" height={280}>
      <BarChart
        data={data}
        margin={{ top: 8, right: 4, bottom: 0, left: 0 }}
        accessibilityLayer
        onClick={(state) => {
          const row = rows[Number(state.activeTooltipIndex)];
          if (row) onPick(row.startMs);
        }}
      >
        <CartesianGrid vertical={false} stroke="var(--line)" />
        <XAxis
          dataKey="startMs"
          tickFormatter={label}
          tick={{ fill: 'var(--muted)', fontSize: 12 }}
          tickLine={false}
          axisLine={{ stroke: 'var(--line)' }}
          minTickGap={28}
        />
        <YAxis
          width={72}
          tick={{ fill: 'var(--muted)', fontSize: 12 }}
          tickLine={false}
          axisLine={false}
          tickFormatter={(tick: number) =>
            measure === 'spend'
              ? `$${compact(tick) === '0' && tick > 0 ? tick.toPrecision(2) : shortDollars(tick)}`
              : compact(tick)
          }
        />
        <Tooltip
          cursor={{ fill: 'var(--hover)' }}
          isAnimationActive={false}
          content={({ active, label: at }) => {
            const row = active ? byStart.get(Number(at)) : undefined;
            if (!row) return null;
            return (
              <div className="card px-3 py-2 text-sm shadow-float">
                <p className="mb-1 font-medium">{label(row.startMs)}</p>
                <ul className="num">
                  {groups.map(({ id, label: name }, index) =>
                    row.values[id] ? (
                      <li key={id} className="flex items-center gap-2">
                        <span className="size-2.5 rounded-sm" style={{ background: colourOf(index) }} />
                        <span className="max-w-52 flex-1 truncate">{name}</span>
                        <span>{value(row.values[id])}</span>
                      </li>
                    ) : null,
                  )}
                </ul>
                <p className="num mt-1 flex justify-between border-t border-line pt-1 font-medium">
                  <span>Total</span>
                  <span>{value(row.total)}</span>
                </p>
              </div>
            );
          }}
        />
        {groups.map(({ id, label: name }, index) => (
          <Bar
            key={id}
            dataKey={`g:${id}`}
            name={name}
            stackId="all"
            fill={colourOf(index)}
            isAnimationActive={false}
            maxBarSize={42}
            cursor="pointer"
            onClick={(_bar, at, event) => {
              event.stopPropagation();
              const row = rows[at];
              if (row) onPick(row.startMs, id);
            }}
          />
        ))}
      </BarChart>
    </ResponsiveContainer>
  );
}

/** `0.004`, `1.5`, `12`: an axis wants few characters. */
function shortDollars(value: number): string {
  if (value === 0) return '0';
  return value >= 10_000 ? compact(value) : String(Number(value.toPrecision(value >= 10 ? 4 : 2)));
}
