/** Lines over time, errors and warnings at the foot of each bar. */
import type { LogHistogram } from '@/api/telemetry';
import { plural } from '@/parts/number';
import { clock, moment } from '@/parts/time';

export function Histogram({ data }: { data: LogHistogram }) {
  const top = Math.max(1, ...data.buckets.map((b) => b.total));
  const first = data.buckets[0]?.at;
  const last = data.buckets.at(-1)?.at;
  const share = (n: number) => `${(n / top) * 100}%`;
  return (
    <>
      <div className="bars" role="img" aria-label={`Lines over time, ${top} in the highest bar`}>
        {data.buckets.map((bucket) => (
          <div
            key={bucket.at}
            title={`${clock(bucket.at)}: ${plural(bucket.total, 'line')}, ${plural(bucket.errors, 'error')}, ${plural(bucket.warnings, 'warning')}`}
          >
            <i className="critical" style={{ height: share(bucket.errors) }} />
            <i className="warning" style={{ height: share(bucket.warnings) }} />
            <i style={{ height: share(Math.max(0, bucket.total - bucket.errors - bucket.warnings)) }} />
          </div>
        ))}
      </div>
      <div className="row between faint small" style={{ marginTop: 4 }}>
        <span>{first && moment(first)}</span>
        <span>max {top.toLocaleString()} per bar</span>
        <span>{last && moment(last)}</span>
      </div>
    </>
  );
}
