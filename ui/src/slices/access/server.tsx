/** The server: its version, its own measures, and snapshots of the data folder. */
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { buildQuery, createSnapshot, snapshotsQuery } from '@/api/platform';
import { useMay } from '@/api/session';
import { instantQuery } from '@/api/telemetry';
import { Guarded } from '@/parts/action';
import { Ago } from '@/parts/ago';
import { Card } from '@/parts/card';
import { CopyButton } from '@/parts/copy';
import { bytes, format, plural, type Unit } from '@/parts/number';
import { Empty, Failure, Shown } from '@/parts/states';
import { complain, say } from '@/parts/toast';
import { ParkedEvents } from './parkedEvents';

const MEASURES: [string, string, Unit][] = [
  ['Agents connected', 'sum(mainstay_agents_connected{job="mainstay-server"})', 'plain'],
  ['Active series', 'sum(mainstay_tsdb_head_series{job="mainstay-server"})', 'plain'],
  ['Samples per second', 'sum(rate(mainstay_samples_ingested_total{job="mainstay-server"}[1m]))', 'plain'],
  ['Log lines per second', 'sum(rate(mainstay_log_lines_ingested_total{job="mainstay-server"}[1m]))', 'plain'],
  ['Write-ahead log', 'sum(mainstay_tsdb_wal_bytes{job="mainstay-server"})', 'bytes'],
  ['Task restarts, last hour', 'sum(increase(mainstay_task_restarts_total{job="mainstay-server"}[1h]))', 'plain'],
  ['Notifications queued', 'sum(mainstay_messages_waiting{job="mainstay-server"})', 'plain'],
];

export function Server() {
  const build = useQuery(buildQuery);
  return (
    <div className="cols two">
      <ParkedEvents />
      <Snapshots />
      <Card title="Server" flush>
        {build.isError && <Failure error={build.error} what="The version" retry={() => void build.refetch()} />}
        {build.data && (
          <div className="line">
            <span className="muted">Version</span>
            <span>{build.data.revision.replace(/^mainstay /, 'Mainstay ')}</span>
          </div>
        )}
        {MEASURES.map(([title, expr, unit]) => (
          <Measure key={title} title={title} expr={expr} unit={unit} />
        ))}
        <div className="line">
          <span className="muted">API description</span>
          <a className="link" href="/api/v1/openapi.json">
            /api/v1/openapi.json
          </a>
        </div>
      </Card>
    </div>
  );
}

function Measure({ title, expr, unit }: { title: string; expr: string; unit: Unit }) {
  const value = useQuery({ ...instantQuery(expr, 10_000), retry: false }).data?.[0]?.points[0]?.[1];
  if (value === undefined) return null;
  return (
    <div className="line">
      <span className="muted">{title}</span>
      <span className="num">{format(value, unit)}</span>
    </div>
  );
}

function Snapshots() {
  const snapshots = useQuery({ ...snapshotsQuery, enabled: useMay('snapshots.read') });
  const queries = useQueryClient();
  const [busy, setBusy] = useState(false);
  const make = async () => {
    setBusy(true);
    try {
      const made = await createSnapshot();
      say(`Created ${made.name}, ${bytes(made.bytes)}`);
    } catch (error) {
      complain(error, 'Snapshot failed');
    }
    setBusy(false);
    void queries.invalidateQueries({ queryKey: ['snapshots'] });
  };
  return (
    <Card
      title="Snapshots"
      flush
      aside={
        <Guarded permission="snapshots.create" busy={busy} onClick={() => void make()}>
          Create snapshot
        </Guarded>
      }
    >
      <Shown
        query={snapshots}
        needs="snapshots.read"
        what="Snapshots"
        empty={{
          when: (list) => list.length === 0,
          show: (
            <Empty title="No snapshots yet">
              A snapshot is a consistent copy of the data folder, taken while the server runs. Copy it to another
              machine; <span className="mono">mainstay restore</span> starts from it.
            </Empty>
          ),
        }}
      >
        {(list) => (
          <>
            <div className="line muted">
              Snapshots do not contain the master key: keep a copy of DATA/master.key in another place.
            </div>
            {list.map((s) => (
              <div className="line" key={s.name}>
                <div style={{ minWidth: 0 }}>
                  <b className="break">{s.name}</b>
                  <div className="muted break mono">{s.path}</div>
                  <div className="muted">
                    {bytes(s.bytes)}, {plural(s.files, 'file')} · <Ago at={s.made_at} />
                    {!s.has_state && ' · without the PostgreSQL database'}
                  </div>
                </div>
                <CopyButton value={s.path} label={`Copy the path of ${s.name}`} />
              </div>
            ))}
          </>
        )}
      </Shown>
    </Card>
  );
}
