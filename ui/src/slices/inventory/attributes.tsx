/** Attributes with their sources; where a manual value differs from what is observed, both are shown. */
import type { AttributeValue, ItemDetail } from '@/api/inventory';
import { Ago } from '@/parts/ago';
import { bytes } from '@/parts/number';
import { Empty } from '@/parts/states';
import { StatusBadge } from '@/parts/status';
import { ago, moment } from '@/parts/time';

export function show(name: string, value: unknown): string {
  if (value === null || value === undefined) return '–';
  if (typeof value === 'number' && name.endsWith('_bytes')) return bytes(value);
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  if (Array.isArray(value)) return value.map((v) => (typeof v === 'object' ? JSON.stringify(v) : String(v))).join(', ');
  if (typeof value === 'object') return JSON.stringify(value);
  if (typeof value === 'string' && /^\d{4}-\d\d-\d\dT/.test(value) && !Number.isNaN(Date.parse(value)))
    return `${moment(value)}, ${ago(value)}`;
  return String(value);
}

export function Attributes({ item }: { item: ItemDetail }) {
  const entries = Object.entries(item.attributes).sort(([a], [b]) => a.localeCompare(b));
  if (entries.length === 0) return <Empty title="No attributes yet">An agent or a person adds them.</Empty>;
  return (
    <table className="t" aria-label="Attributes">
      <tbody>
        {entries.map(([name, held]) => (
          <Row key={name} name={name} held={held} />
        ))}
      </tbody>
    </table>
  );
}

function Row({ name, held }: { name: string; held: AttributeValue }) {
  return (
    <tr>
      <td className="muted" style={{ width: 170 }}>
        {name.replaceAll('_', ' ').replace(/ bytes$/, '')}
      </td>
      <td className="break">
        {show(name, held.value)}
        {held.observed && (
          <div>
            <StatusBadge status="warning">observed differs: {show(name, held.observed.value)}</StatusBadge>
          </div>
        )}
      </td>
      <td className="n muted hide-s nowrap">
        <span className={held.source === 'manual' ? 'text' : 'faint'}>{held.source.split(':')[0]}</span> ·{' '}
        <Ago at={held.at} />
      </td>
    </tr>
  );
}
