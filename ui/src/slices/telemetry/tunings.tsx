/** Tuned rules: where a built-in rule has another threshold, duration or severity, or is off. */
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { deleteTuning, type Tunable, type Tuning, type TuningBody, tuningsQuery } from '@/api/telemetry';
import { Guarded } from '@/parts/action';
import { Ago } from '@/parts/ago';
import { Card } from '@/parts/card';
import { Empty, Shown } from '@/parts/states';
import { span } from '@/parts/time';
import { complain, say } from '@/parts/toast';
import { TuningDialog } from './tuningDialog';

/** `hosts tag:env=test, mountpoint=/srv`, or all hosts. */
export function tunedPlace(tuning: Pick<TuningBody, 'hosts' | 'labels'>): string {
  const labels = Object.entries(tuning.labels ?? {}).map(([name, value]) => `${name}=${value}`);
  const parts = [...(tuning.hosts ? [`hosts ${tuning.hosts}`] : []), ...labels];
  return parts.length === 0 ? 'all hosts' : parts.join(', ');
}

/** `threshold 97 % used, for 10 min, severity warning`, or off. */
export function tunedChange(tuning: TuningBody, rule?: Tunable): string {
  if (tuning.is_off) return 'off';
  const parts: string[] = [];
  if (tuning.threshold != null) parts.push(`threshold ${tuning.threshold} ${rule?.unit ?? ''}`.trim());
  if (tuning.for_s != null) parts.push(tuning.for_s > 0 ? `for ${span(tuning.for_s)}` : 'immediately');
  if (tuning.severity) parts.push(`severity ${tuning.severity}`);
  return parts.join(', ');
}

export function Tunings() {
  const tunings = useQuery(tuningsQuery);
  const queries = useQueryClient();
  const [adding, setAdding] = useState(false);
  const again = () => void queries.invalidateQueries({ queryKey: ['rules'] });
  const remove = (tuning: Tuning) =>
    void deleteTuning(tuning.id)
      .then(
        () => say('Tuning removed; defaults apply'),
        (error) => complain(error, 'Not removed'),
      )
      .then(again);
  return (
    <Card
      title="Tuned rules"
      flush
      aside={
        <Guarded permission="rules.write" onClick={() => setAdding(true)} label="Tune rule">
          Tune a rule
        </Guarded>
      }
    >
      <Shown
        query={tunings}
        what="Tunings"
        empty={{
          when: (data) => data.items.length === 0,
          show: (
            <Empty title="No tuned rules: defaults apply everywhere">
              A tuning sets another threshold, duration or severity for selected hosts, services or disks.
            </Empty>
          ),
        }}
      >
        {(data) => (
          <>
            {data.items.map((tuning) => (
              <div className="line" key={tuning.id}>
                <div style={{ minWidth: 0 }}>
                  <b className="break">{tuning.rule}</b>{' '}
                  {tunedChange(
                    tuning,
                    data.rules.find((rule) => rule.name === tuning.rule),
                  )}
                  <div className="muted break">
                    {tunedPlace(tuning)} · <Ago at={tuning.updated_at} />
                    {tuning.note && ` · ${tuning.note}`}
                  </div>
                </div>
                <Guarded
                  permission="rules.write"
                  label={`Remove the tuning of ${tuning.rule}`}
                  onClick={() => remove(tuning)}
                >
                  Remove
                </Guarded>
              </div>
            ))}
          </>
        )}
      </Shown>
      {adding && tunings.data && (
        <TuningDialog rules={tunings.data.rules} close={() => setAdding(false)} done={again} />
      )}
    </Card>
  );
}
