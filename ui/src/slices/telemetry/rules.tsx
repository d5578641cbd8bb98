/** Rules: built-in packs, custom rule files, and the state of each rule. */
import { Switch } from '@mantine/core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { useRefusal } from '@/api/session';
import { type RuleFile, type RuleState, ruleFilesQuery, rulesQuery, switchPack } from '@/api/telemetry';
import { Guarded } from '@/parts/action';
import { Ago } from '@/parts/ago';
import { Card } from '@/parts/card';
import { plural } from '@/parts/number';
import { Empty, Shown } from '@/parts/states';
import { StatusBadge } from '@/parts/status';
import { type Column, DataTable } from '@/parts/table';
import { span } from '@/parts/time';
import { complain, say } from '@/parts/toast';
import { RuleEditor } from './ruleEditor';
import { Tunings } from './tunings';

interface Row extends RuleState {
  group: string;
}

const COLUMNS: Column<Row>[] = [
  {
    id: 'state',
    head: 'State',
    value: (r) => (r.last_error ? 'failing' : r.active > 0 ? 'active' : 'inactive'),
    cell: (r) =>
      r.last_error ? (
        <StatusBadge status="critical">failing</StatusBadge>
      ) : r.active > 0 ? (
        <StatusBadge status="warning">{r.active} active</StatusBadge>
      ) : (
        <StatusBadge status="ok">inactive</StatusBadge>
      ),
    width: 110,
  },
  {
    id: 'name',
    head: 'Rule',
    value: (r) => r.name,
    cell: (r) => (
      <>
        <b className="break">{r.name}</b>
        <div className="mono muted break">{r.expr}</div>
        {r.last_error && (
          <div className="break" style={{ color: 'var(--critical)' }}>
            {r.last_error}
          </div>
        )}
      </>
    ),
  },
  { id: 'group', head: 'Group', value: (r) => r.group, roomy: true },
  {
    id: 'for',
    head: 'For',
    value: (r) => r.for_ms,
    cell: (r) => <span className={r.for_ms > 0 ? 'nowrap' : 'faint nowrap'}>{span(r.for_ms / 1000)}</span>,
    number: true,
    wide: true,
  },
  { id: 'how', head: 'Evaluation', value: (r) => (r.is_on_ingest ? 'on each sample' : 'periodic'), roomy: true },
  { id: 'ms', head: 'Duration (ms)', value: (r) => Number(r.evaluation_ms.toFixed(2)), number: true, wide: true },
];

export function Rules() {
  const overview = useQuery({ ...rulesQuery, refetchInterval: 10_000 });
  const files = useQuery(ruleFilesQuery);
  const queries = useQueryClient();
  const refusal = useRefusal('rules.write');
  const [editing, edit] = useState<RuleFile | 'new' | null>(null);
  const turn = async (name: string, on: boolean) => {
    try {
      await switchPack(name, on);
      say(on ? 'Pack enabled' : 'Pack disabled; its alerts resolve');
    } catch (error) {
      complain(error);
    }
    void queries.invalidateQueries({ queryKey: ['rules'] });
  };
  if (editing) return <RuleEditor file={editing === 'new' ? null : editing} close={() => edit(null)} />;
  const rows = (overview.data?.groups ?? []).flatMap((g) => g.rules.map((r): Row => ({ ...r, group: g.name })));
  return (
    <>
      <div className="cols two">
        <Card title="Built-in packs" flush>
          <Shown query={overview} what="Packs">
            {(data) => (
              <>
                {data.packs.map((pack) => (
                  <div className="line" key={pack.name}>
                    <div>
                      <b>{pack.title}</b>
                      <div className="mono muted">{pack.name}</div>
                    </div>
                    <Switch
                      size="sm"
                      aria-label={`Pack ${pack.title}`}
                      checked={pack.is_enabled}
                      disabled={refusal !== null}
                      title={refusal ?? undefined}
                      onChange={(e) => void turn(pack.name, e.currentTarget.checked)}
                    />
                  </div>
                ))}
              </>
            )}
          </Shown>
        </Card>
        <Card
          title="Custom rule files"
          flush
          aside={
            <Guarded permission="rules.write" onClick={() => edit('new')}>
              New rule file
            </Guarded>
          }
        >
          <Shown
            query={files}
            what="Rule files"
            empty={{
              when: (f) => f.length === 0,
              show: <Empty title="No custom rule files">Paste any Prometheus rule file.</Empty>,
            }}
          >
            {(list) => (
              <>
                {list.map((file) => (
                  <button
                    type="button"
                    className="plain line"
                    style={{ width: '100%' }}
                    key={file.id}
                    onClick={() => edit(file)}
                  >
                    <span>
                      <b>{file.name}</b>
                      <div className="muted">
                        version {file.version}, <Ago at={file.updated_at} />
                      </div>
                    </span>
                    <StatusBadge status={file.is_enabled ? 'ok' : 'maintenance'}>
                      {file.is_enabled ? 'on' : 'off'}
                    </StatusBadge>
                  </button>
                ))}
              </>
            )}
          </Shown>
        </Card>
      </div>
      <div className="below">
        <Tunings />
      </div>
      <div className="below">
        <Card title="Active rules" flush>
          <Shown
            query={overview}
            what="Rules"
            empty={{
              when: () => rows.length === 0,
              show: <Empty title="No active rules">Enable a pack above.</Empty>,
            }}
          >
            {() => (
              <DataTable
                rows={rows}
                columns={COLUMNS}
                id={(r) => r.key}
                label="Rules"
                csv="rules"
                aside={plural(rows.length, 'rule')}
              />
            )}
          </Shown>
        </Card>
      </div>
    </>
  );
}
