/** Tuning a built-in rule, with what it would have done over the past week. */
import { Checkbox, NumberInput, Select, TagsInput, Textarea, TextInput } from '@mantine/core';
import { useDebouncedValue } from '@mantine/hooks';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { createTuning, previewTuning, type Tunable, type TuningBody, type TuningPreview } from '@/api/telemetry';
import { Moment } from '@/parts/ago';
import { FormDialog } from '@/parts/dialog';
import { plural } from '@/parts/number';
import { Failure } from '@/parts/states';
import { parseTags } from '@/parts/tags';
import { say } from '@/parts/toast';

const SEVERITIES = ['critical', 'warning', 'info'];
const LISTED = 6;

export interface TuningDialogProps {
  rules: Tunable[];
  close: () => void;
  done: () => void;
}

export function TuningDialog({ rules, close, done }: TuningDialogProps) {
  // A rule may stand in a pack more than once, for different cases.
  const names = [...new Set(rules.map((rule) => rule.name))];
  const [name, setName] = useState(names.includes('DiskFull') ? 'DiskFull' : (names[0] ?? ''));
  const [hosts, setHosts] = useState('');
  const [labels, setLabels] = useState<string[]>([]);
  const [threshold, setThreshold] = useState<number | string>('');
  const [minutes, setMinutes] = useState<number | string>('');
  const [severity, setSeverity] = useState<string | null>(null);
  const [off, setOff] = useState(false);
  const [note, setNote] = useState('');
  const rule = rules.find((candidate) => candidate.name === name);
  const parsed = parseTags(labels);
  const tuning: TuningBody = {
    rule: name,
    hosts: hosts.trim() === '' ? null : hosts.trim(),
    labels: parsed ?? {},
    threshold: off || threshold === '' ? null : Number(threshold),
    for_s: off || minutes === '' ? null : Math.round(Number(minutes) * 60),
    severity: off ? null : (severity as TuningBody['severity']),
    is_off: off,
    note,
  };
  const changes = off || tuning.threshold !== null || tuning.for_s !== null || tuning.severity !== null;
  const [settled] = useDebouncedValue(JSON.stringify({ ...tuning, note: '' }), 400);
  const preview = useQuery({
    queryKey: ['rules', 'tunings', 'preview', settled],
    queryFn: () => previewTuning(JSON.parse(settled) as TuningBody),
    enabled: changes && parsed !== null,
    retry: false,
  });
  return (
    <FormDialog
      title="Tune a built-in rule"
      open
      close={close}
      size={560}
      verb={off ? 'Disable rule for this scope' : 'Tune rule'}
      refusal={!parsed ? 'Use labels as name=value.' : changes ? null : 'Change a value, or disable the rule.'}
      submit={async () => {
        await createTuning(tuning);
        say('Tuned');
        done();
      }}
    >
      {(fault) => (
        <>
          <Select
            label="Rule"
            data={names}
            searchable
            allowDeselect={false}
            value={name}
            onChange={(value) => {
              setName(value ?? name);
              setThreshold('');
            }}
            description={<span className="mono break">{rule?.expr}</span>}
            error={fault('rule')}
          />
          <TextInput
            label="Hosts"
            placeholder="all hosts; or tag:env=test, name=web-*"
            value={hosts}
            onChange={(e) => setHosts(e.currentTarget.value)}
            error={fault('hosts')}
          />
          <TagsInput
            label="Service, disk or other labels"
            placeholder="name=nginx, mountpoint=/srv, instance=web-1"
            value={labels}
            onChange={setLabels}
            error={fault('labels')}
          />
          <Checkbox
            size="xs"
            label="Disable the rule for this scope"
            checked={off}
            onChange={(e) => setOff(e.currentTarget.checked)}
          />
          <div className="row wrap" style={{ alignItems: 'flex-start' }}>
            <NumberInput
              label={rule?.unit ? `Threshold, ${rule.unit}` : 'Threshold'}
              placeholder={rule?.threshold == null ? 'no threshold' : String(rule.threshold)}
              disabled={off || rule?.threshold == null}
              value={threshold}
              onChange={setThreshold}
              error={fault('threshold')}
            />
            <NumberInput
              label="For (minutes)"
              placeholder={String((rule?.for_s ?? 0) / 60)}
              min={0}
              disabled={off}
              value={minutes}
              onChange={setMinutes}
              error={fault('for_s')}
            />
            <Select
              label="Severity"
              placeholder={rule?.severity ?? undefined}
              data={SEVERITIES}
              clearable
              disabled={off}
              value={severity}
              onChange={setSeverity}
              error={fault('severity')}
            />
          </div>
          <Textarea
            label="Reason"
            autosize
            value={note}
            onChange={(e) => setNote(e.currentTarget.value)}
            error={fault('note')}
          />
          <section className="card" aria-live="polite" aria-label="Preview">
            <header>
              <h3>Over the past week</h3>
              {preview.data && (
                <span className="muted">
                  fired {plural(preview.data.today.count, 'time')}, would have fired{' '}
                  {plural(preview.data.tuned.count, 'time')}
                </span>
              )}
            </header>
            {preview.isError && <Failure error={preview.error} />}
            {preview.data && <Firings preview={preview.data} />}
            {!preview.data && !preview.isError && (
              <div className="empty">
                {changes ? 'Evaluating the past week …' : 'Change a value to see its effect.'}
              </div>
            )}
          </section>
        </>
      )}
    </FormDialog>
  );
}

function Firings({ preview }: { preview: TuningPreview }) {
  const { firings, count } = preview.tuned;
  return (
    <>
      {preview.hosts && (
        <div className="line muted">
          <span className="break">
            {preview.hosts.length === 0
              ? 'No host matches today'
              : `Hosts: ${preview.hosts.slice(0, LISTED).join(', ')}`}
            {preview.hosts.length > LISTED && ` and ${preview.hosts.length - LISTED} more`}
          </span>
        </div>
      )}
      {firings.slice(0, LISTED).map((firing) => (
        <div className="line" key={`${firing.from} ${JSON.stringify(firing.labels)}`}>
          <span className="break">{firing.labels.instance}</span>
          <span className="muted break">{firing.labels.mountpoint ?? firing.labels.name ?? firing.labels.device}</span>
          <span className="muted">
            <Moment at={firing.from} />
          </span>
        </div>
      ))}
      {count > LISTED && <div className="line muted">and {plural(count - LISTED, 'more time')}</div>}
      {count === 0 && <div className="empty">It would not have fired.</div>}
      <div className="line faint">
        Evaluated every {preview.step_s / 60} minutes: what lasted shorter may be missing.
      </div>
    </>
  );
}
