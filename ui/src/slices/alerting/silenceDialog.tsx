/** Silencing, with a preview of what falls silent. */
import { SegmentedControl, Textarea } from '@mantine/core';
import { useDebouncedValue } from '@mantine/hooks';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { createSilence, previewSilence } from '@/api/alerting';
import { FormDialog } from '@/parts/dialog';
import { plural } from '@/parts/number';
import { Failure } from '@/parts/states';
import { ofSeverity, StatusBadge } from '@/parts/status';
import { say } from '@/parts/toast';
import { parseMatchers } from './matchers';

const HOURS = [
  { value: '1', label: '1 h' },
  { value: '4', label: '4 h' },
  { value: '24', label: '1 day' },
  { value: '168', label: '1 week' },
];

export function SilenceDialog({ start, close }: { start: string; close: () => void }) {
  const queries = useQueryClient();
  const [text, setText] = useState(start);
  const [hours, setHours] = useState('1');
  const [comment, setComment] = useState('');
  const [settled] = useDebouncedValue(text, 250);
  const { matchers, error } = parseMatchers(settled);
  const preview = useQuery({
    queryKey: ['silences', 'preview', matchers],
    queryFn: () => previewSilence(matchers),
    enabled: error === null,
    retry: false,
  });
  return (
    <FormDialog
      title="Silence alerts"
      open
      close={close}
      size={560}
      verb={`Silence for ${HOURS.find((h) => h.value === hours)?.label}`}
      refusal={text.trim() === '' || error ? 'Enter at least one label matcher.' : null}
      submit={async () => {
        await createSilence({
          matchers: parseMatchers(text).matchers,
          ends_at: new Date(Date.now() + Number(hours) * 3_600_000).toISOString(),
          comment,
        });
        void queries.invalidateQueries({ queryKey: ['silences'] });
        void queries.invalidateQueries({ queryKey: ['alerts'] });
        say('Silenced; it expires automatically');
      }}
    >
      {(fault) => (
        <>
          <Textarea
            label="Matchers"
            description="Label matchers, separated by commas; =~ takes a regular expression."
            placeholder={'alertname="DiskFillsUp", instance=~"db-.*"'}
            autosize
            data-autofocus
            value={text}
            onChange={(e) => setText(e.currentTarget.value)}
            error={fault('matchers') ?? (settled.trim() !== '' ? error : null)}
            styles={{ input: { fontFamily: 'var(--mono)', fontSize: 12 } }}
          />
          <div>
            <div className="small muted" style={{ marginBottom: 3 }}>
              Duration
            </div>
            <SegmentedControl size="xs" aria-label="Duration" value={hours} onChange={setHours} data={HOURS} />
          </div>
          <Textarea
            label="Reason"
            required
            autosize
            value={comment}
            onChange={(e) => setComment(e.currentTarget.value)}
            error={fault('comment')}
          />
          <section className="card" aria-live="polite" aria-label="Preview">
            <header>
              <h3>Matching alerts</h3>
              {preview.data && (
                <span className="muted">
                  {preview.data.now} now, {preview.data.last_week} in the last week
                </span>
              )}
            </header>
            {preview.isError && <Failure error={preview.error} />}
            {preview.data?.alerts.slice(0, 6).map((alert) => (
              <div className="line" key={alert.id}>
                <StatusBadge status={ofSeverity(alert.severity)}>{alert.name}</StatusBadge>
                <span className="muted">{alert.labels.instance}</span>
              </div>
            ))}
            {(preview.data?.alerts.length ?? 0) > 6 && (
              <div className="line muted">and {plural((preview.data?.alerts.length ?? 0) - 6, 'more')}</div>
            )}
            {preview.data?.alerts.length === 0 && (
              <div className="empty">No alert firing now matches; future alerts will.</div>
            )}
            {!preview.data && !preview.isError && <div className="empty">Enter a label to see what matches.</div>}
          </section>
        </>
      )}
    </FormDialog>
  );
}
