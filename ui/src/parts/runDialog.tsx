/** Starting a run: inputs, the plan as a dry run, then a button that says what it will do. */
import { NumberInput, Select, TextInput } from '@mantine/core';
import { useDebouncedValue } from '@mantine/hooks';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useMemo, useState } from 'react';
import { isWaiting, type Plan, planRun, type Run, type RunbookInput, runbookQuery, startRun } from '@/api/automation';
import { FormDialog } from './dialog';
import { plural } from './number';
import { Failure, Skeleton } from './states';
import { StatusBadge } from './status';
import { say } from './toast';

export interface RunDialogProps {
  runbook: string;
  name: string;
  incident?: string;
  /** A selector that takes the place of the runbook's own. */
  targets?: string;
  /** Inputs as far as they are known, by name. */
  start?: Record<string, string>;
  close: () => void;
  started?: (run: Run) => void;
}

export function RunDialog({ runbook, name, incident, targets, start, close, started }: RunDialogProps) {
  const book = useQuery(runbookQuery(runbook));
  const queries = useQueryClient();
  const [typed, setInputs] = useState<Record<string, string>>({});
  const inputs = useMemo(() => {
    const asked = new Set((book.data?.inputs ?? []).map((field) => field.name));
    const known = Object.entries(start ?? {}).filter(([field]) => asked.has(field));
    return { ...Object.fromEntries(known), ...typed };
  }, [book.data, start, typed]);
  const missing = (book.data?.inputs ?? [])
    .filter((f) => f.is_required && !(inputs[f.name] ?? f.default))
    .map((f) => f.name);
  const [selector, setSelector] = useState(targets ?? '');
  const [wish] = useDebouncedValue({ inputs, targets: selector.trim() || undefined, incident_id: incident }, 250);
  const plan = useQuery({
    queryKey: ['runbooks', 'plan', runbook, wish],
    queryFn: () => planRun(runbook, wish),
    enabled: book.data !== undefined && missing.length === 0,
    retry: false,
    staleTime: 0,
  });
  const hosts = plan.data?.targets.length ?? 0;
  return (
    <FormDialog
      title={`Run ${name}`}
      open
      close={close}
      size={600}
      verb={missing.length === 0 && plan.data && hosts > 0 ? `Run on ${plural(hosts, 'target')}` : 'Run'}
      refusal={
        missing.length > 0
          ? `Fill in ${missing.join(', ')} first.`
          : plan.isError
            ? 'The plan has errors; see above.'
            : plan.data
              ? null
              : 'Waiting for the plan.'
      }
      submit={async () => {
        const run = await startRun(runbook, { ...wish, plan_hash: plan.data?.hash });
        void queries.invalidateQueries({ queryKey: ['runs'] });
        say(isWaiting(run.state) ? 'Run awaiting approval' : 'Run started');
        started?.(run);
      }}
    >
      {(fault) => (
        <>
          {(book.data?.inputs ?? []).map((field) => (
            <InputField
              key={field.name}
              field={field}
              value={inputs[field.name] ?? field.default ?? ''}
              set={(v) => setInputs({ ...typed, [field.name]: v })}
              error={fault(`inputs.${field.name}`)}
            />
          ))}
          <TextInput
            label="Targets"
            description={
              book.data?.targets
                ? `A selector; empty uses the runbook's targets: ${book.data.targets}`
                : 'A selector for the target items.'
            }
            placeholder="kind=host name=web-*"
            value={selector}
            onChange={(e) => setSelector(e.currentTarget.value)}
            error={fault('targets')}
          />
          {missing.length > 0 ? (
            <p className="muted">Fill in {missing.join(', ')} to see the plan.</p>
          ) : plan.isError ? (
            <Failure error={plan.error} what="The plan" retry={() => void plan.refetch()} />
          ) : plan.data ? (
            <PlanView plan={plan.data} />
          ) : (
            <Skeleton rows={2} />
          )}
        </>
      )}
    </FormDialog>
  );
}

interface FieldProps {
  field: RunbookInput;
  value: string;
  set: (value: string) => void;
  error?: string;
}

export function InputField({ field, value, set, error }: FieldProps) {
  const shared = { label: field.name, description: field.description || undefined, required: field.is_required, error };
  if (field.type === 'boolean')
    return <Select {...shared} data={['true', 'false']} value={value || null} onChange={(v) => set(v ?? '')} />;
  if (field.type === 'choice')
    return <Select {...shared} data={field.options ?? []} value={value || null} onChange={(v) => set(v ?? '')} />;
  if (field.type === 'integer') {
    return (
      <NumberInput
        {...shared}
        min={field.min}
        max={field.max}
        allowDecimal={false}
        value={value === '' ? '' : Number(value)}
        onChange={(v) => set(String(v))}
      />
    );
  }
  return <TextInput {...shared} value={value} onChange={(e) => set(e.currentTarget.value)} />;
}

/** What a step would do, line by line; by target where that differs. */
export function commandsOf(step: Plan['steps'][number]): { what: string; targets: string[] }[] {
  const groups = new Map<string, string[]>();
  for (const { target, what } of step.on) groups.set(what, [...(groups.get(what) ?? []), target]);
  return [...groups].map(([what, targets]) => ({ what, targets: groups.size > 1 ? targets : [] }));
}

/** What a run would do: steps, and targets by number and name. */
export function PlanView({ plan }: { plan: Plan }) {
  const names = plan.targets.map((t) => t.name);
  return (
    <section className="card" aria-label="Dry run">
      <header>
        <h3>Dry run</h3>
        <StatusBadge status={plan.risk === 'high' ? 'critical' : plan.risk === 'medium' ? 'warning' : 'ok'}>
          risk {plan.risk}
        </StatusBadge>
      </header>
      <div className="line">
        <span className="muted">Targets</span>
        <span className="right break">
          {names.length === 0
            ? 'none match'
            : `${plural(names.length, 'target')}: ${names.slice(0, 6).join(', ')}${names.length > 6 ? ', …' : ''}`}
          {plan.waves.length > 1 && <div className="muted">in {plan.waves.length} waves</div>}
        </span>
      </div>
      <ol style={{ listStyle: 'none' }}>
        {plan.steps.map((step, i) => (
          <li className="line" key={`${step.name}-${i}`}>
            <span style={{ minWidth: 0 }}>
              <span className="faint num">{i + 1}</span> <b>{step.name}</b>
              {commandsOf(step).map(({ what, targets }) => (
                <div key={what}>
                  {targets.length > 0 && <div className="faint small break">{targets.join(', ')}</div>}
                  <pre className="code plan">{what}</pre>
                </div>
              ))}
            </span>
            <span className="faint nowrap">{step.kind}</span>
          </li>
        ))}
      </ol>
    </section>
  );
}
