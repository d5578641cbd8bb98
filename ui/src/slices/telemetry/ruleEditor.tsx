/** One rule file, checked while one types. */
import { Switch, TextInput } from '@mantine/core';
import { useDebouncedValue } from '@mantine/hooks';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { checkRules, deleteRules, type RuleFile, saveRules } from '@/api/telemetry';
import { Action, Guarded } from '@/parts/action';
import { Editor, Faults } from '@/parts/editor';
import { plural } from '@/parts/number';
import { StatusBadge } from '@/parts/status';
import { complain, say } from '@/parts/toast';

const EXAMPLE = `groups:
  - name: mine
    rules:
      - alert: HostBusy
        expr: 1 - avg by (instance) (rate(node_cpu_seconds_total{mode="idle"}[1m])) > 0.95
        for: 5m
        labels:
          severity: warning
        annotations:
          summary: "High CPU on {{ $labels.instance }}"
`;

export function RuleEditor({ file, close }: { file: RuleFile | null; close: () => void }) {
  const queries = useQueryClient();
  const [name, setName] = useState(file?.name ?? '');
  const [text, setText] = useState(file?.text ?? EXAMPLE);
  const [on, setOn] = useState(file?.is_enabled ?? true);
  const [settled] = useDebouncedValue(text, 300);
  const check = useQuery({
    queryKey: ['rules', 'check', settled],
    queryFn: () => checkRules({ name: name || 'draft', text: settled, is_enabled: on }),
    retry: false,
  });
  const faults = (check.data?.errors ?? []).map((e) => ({
    line: e.line ?? 1,
    column: e.column ?? 1,
    message: e.message,
  }));
  const act = async (what: Promise<unknown>, done: string) => {
    try {
      await what;
      say(done);
      void queries.invalidateQueries({ queryKey: ['rules'] });
      close();
    } catch (error) {
      complain(error, 'Not saved');
    }
  };
  return (
    <div className="below" style={{ display: 'grid', gap: 12 }}>
      <div className="row wrap between">
        <div className="row wrap">
          <TextInput
            aria-label="Name"
            placeholder="File name"
            value={name}
            onChange={(e) => setName(e.currentTarget.value)}
            w={260}
          />
          <Switch size="sm" label="Active" checked={on} onChange={(e) => setOn(e.currentTarget.checked)} />
          {faults.length > 0 ? (
            <StatusBadge status="critical">{plural(faults.length, 'fault')}</StatusBadge>
          ) : (
            check.data && <StatusBadge status="ok">{plural(check.data.rules, 'rule')} read well</StatusBadge>
          )}
        </div>
        <div className="row">
          <Action onClick={close}>Back</Action>
          {file && (
            <Guarded
              permission="rules.write"
              onClick={() => void act(deleteRules(file.id), 'Deleted; its alerts resolve')}
            >
              Delete
            </Guarded>
          )}
          <Guarded
            permission="rules.write"
            tone="primary"
            refusal={name.trim() === '' ? 'Enter a name.' : faults.length > 0 ? 'Fix the errors first.' : null}
            onClick={() =>
              void act(
                saveRules(file?.id ?? null, { name, text, is_enabled: on, version: file?.version }),
                'Saved and active',
              )
            }
          >
            Save
          </Guarded>
        </div>
      </div>
      <Editor value={text} change={setText} label="Rule file as YAML" numbers rows={18} faults={faults} />
      <Faults faults={faults} />
    </div>
  );
}
